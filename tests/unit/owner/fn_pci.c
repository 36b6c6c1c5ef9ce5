// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Configuration space, and the transport's registers. */
#include "fn_bench.h"

static uint32_t config(struct function *fn, unsigned int at, unsigned int bytes)
{
	uint32_t le = 0;

	pci_read(fn, at, (uint8_t *)&le, bytes);
	return le32toh(le);
}

static void config_put(struct function *fn, unsigned int at, unsigned int bytes, uint32_t value)
{
	uint32_t le = htole32(value);

	pci_write(fn, at, (uint8_t *)&le, bytes);
}

static void only_what_is_writable_is_written(void **state)
{
	struct bench *bench = *state;
	uint8_t before[PCI_CONFIG_BYTES], ones[PCI_CONFIG_BYTES], after[PCI_CONFIG_BYTES];
	struct pci *pci = &bench->vf->io->pci;

	memset(ones, 0xff, sizeof(ones));
	pci_read(bench->vf, 0, before, sizeof(before));
	/* All but the bit that resets it. */
	ones[pci->pcie_cap + PCI_EXP_DEVCTL + 1] = 0x7f;
	pci_write(bench->vf, 0, ones, sizeof(ones));
	pci_read(bench->vf, 0, after, sizeof(after));
	for (unsigned int i = 0; i < sizeof(before); i++)
		assert_int_equal(after[i] & ~pci->writable[i], before[i] & ~pci->writable[i]);
	assert_int_equal(config(bench->vf, 0, 4), 0x10421af4);
	assert_int_equal(config(bench->vf, PCI_BASE_ADDRESS_0, 4), ~(BAR_VIRTIO_BYTES - 1) | 4);
	fn_flr(bench->vf);
	pci_read(bench->vf, 0, after, sizeof(after));
	assert_memory_equal(before, after, sizeof(before));
}

static void a_window_reaches_the_bar(void **state)
{
	struct bench *bench = *state;
	unsigned int cap = bench->vf->io->pci.access_cap;

	config_put(bench->vf, cap + 4, 1, 0);
	config_put(bench->vf, cap + 8, 4, VIRTIO_PCI_COMMON_STATUS);
	config_put(bench->vf, cap + 12, 4, 1);
	config_put(bench->vf, cap + 16, 1, 3);
	assert_int_equal(bench->vf->device_status, 3);
	assert_int_equal(config(bench->vf, cap + 16, 1), 3);
	/* Beyond the BAR, of no length, in no BAR: nothing. */
	config_put(bench->vf, cap + 8, 4, BAR_VIRTIO_BYTES);
	config_put(bench->vf, cap + 16, 4, 0);
	config_put(bench->vf, cap + 8, 4, 0xffffffff);
	config_put(bench->vf, cap + 12, 4, 4);
	config_put(bench->vf, cap + 16, 4, 0);
	config_put(bench->vf, cap + 12, 4, 0xffffffff);
	config_put(bench->vf, cap + 8, 4, 0);
	config_put(bench->vf, cap + 16, 4, 0);
	config_put(bench->vf, cap + 4, 1, 5);
	config_put(bench->vf, cap + 12, 4, 4);
	config_put(bench->vf, cap + 16, 4, 0);
	assert_int_equal(bench->vf->device_status, 3);
}

static void vf_enable_makes_and_unmakes_vfs(void **state)
{
	struct bench *bench = *state;
	struct function *pf = &bench->owner.pf;
	unsigned int cap = pf->io->pci.sriov_cap;

	assert_int_equal(config(pf, cap, 2), PCI_EXT_CAP_ID_SRIOV);
	assert_int_equal(config(pf, cap + PCI_SRIOV_TOTAL_VF, 2), 2);
	assert_int_equal(config(pf, cap + PCI_SRIOV_NUM_VF, 2), 2);
	drive(bench, 0, 1);
	bench->vf->mode = VFERRY_MODE_STOP;
	config_put(pf, cap + PCI_SRIOV_CTRL, 2, 0);
	assert_int_equal(bench->owner.num_vfs, 0);
	assert_false(fn_exists(bench->vf));
	config_put(pf, cap + PCI_SRIOV_NUM_VF, 2, 3);
	assert_int_equal(config(pf, cap + PCI_SRIOV_NUM_VF, 2), 2);
	config_put(pf, cap + PCI_SRIOV_NUM_VF, 2, 1);
	config_put(pf, cap + PCI_SRIOV_CTRL, 2, PCI_SRIOV_CTRL_VFE);
	assert_int_equal(bench->owner.num_vfs, 1);
	assert_true(fn_exists(bench->vf));
	assert_int_equal(bench->vf->device_status, 0);
	assert_int_equal(bench->vf->mode, VFERRY_MODE_ACTIVE);
	config_put(pf, cap + PCI_SRIOV_NUM_VF, 2, 2);
	assert_int_equal(config(pf, cap + PCI_SRIOV_NUM_VF, 2), 1);
	/* An FLR of the PF, by its capability. */
	config_put(pf, pf->io->pci.pcie_cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(bench->owner.num_vfs, 0);
	assert_int_equal(config(pf, cap + PCI_SRIOV_CTRL, 2), 0);
}

static void an_flr_keeps_the_mode(void **state)
{
	struct bench *bench = *state;
	unsigned int cap = bench->vf->io->pci.pcie_cap;

	for (int mode = VFERRY_MODE_ACTIVE; mode <= VFERRY_MODE_FREEZE; mode++) {
		bench->vf->mode = VFERRY_MODE_ACTIVE;
		drive(bench, 0, 1);
		bench->vf->mode = (enum vferry_mode)mode;
		config_put(bench->vf, cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
		assert_int_equal(bench->vf->mode, mode);
		assert_int_equal(bench->vf->device_status, 0);
		assert_int_equal(bench->vf->queues[0].enabled, 0);
	}
}

static void features_are_agreed_before_features_ok(void **state)
{
	static const uint64_t bad[] = { 0, 1ULL << VIRTIO_F_VERSION_1,
					1ULL << VIRTIO_F_ACCESS_PLATFORM,
					FN_FEATURES_REQUIRED | 1ULL << 62,
					FN_FEATURES_REQUIRED | 1ULL << VIRTIO_F_ADMIN_VQ };
	struct bench *bench = *state;
	struct function *fn = bench->vf;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 3);
		for (unsigned int w = 0; w < 2; w++) {
			put_reg(fn, VIRTIO_PCI_COMMON_GFSELECT, 4, w);
			put_reg(fn, VIRTIO_PCI_COMMON_GF, 4, bad[i] >> (32 * w));
		}
		put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 11);
		assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1), 3);
		/* And there is no way around it. */
		put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 15);
		assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1), 3);
		put_reg(fn, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
		put_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	}
	negotiate(fn, 0);
	/* Agreed is agreed; status bits are not taken back one by one. */
	put_reg(fn, VIRTIO_PCI_COMMON_GF, 4, 0);
	assert_int_equal(fn->driver_features, FN_FEATURES_REQUIRED);
	put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1), 11);
	put_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1, 0x40);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_STATUS, 1), 11);
}

static void queues_have_their_rules(void **state)
{
	struct bench *bench = *state;
	struct function *fn = bench->vf;

	negotiate(fn, 0);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_SELECT, 2, 2); /* there are two */
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_NOFF, 2), 1);
	for (unsigned int size = 0; size < 600; size += 33) {
		put_reg(fn, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
		assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_SIZE, 2), OWNER_QUEUE_SIZE);
	}
	put_reg(fn, VIRTIO_PCI_COMMON_Q_MSIX, 2, 3);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	put_reg(fn, VIRTIO_PCI_COMMON_MSIX, 2, 0xfffe);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	enable(fn, 1, GUEST_IOVA);
	/* Enabled: its shape is fixed, its vector is not. */
	put_reg(fn, VIRTIO_PCI_COMMON_Q_SIZE, 2, 16);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_SIZE, 2), RING_SIZE);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_DESCLO, 8), GUEST_IOVA);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	/* No RING_RESET, no queue reset. */
	put_reg(fn, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	negotiate(fn, 1ULL << VIRTIO_F_RING_RESET);
	enable(fn, 1, GUEST_IOVA);
	put_reg(fn, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_RESET, 2), 0);
	assert_int_equal(get_reg(fn, VIRTIO_PCI_COMMON_Q_SIZE, 2), OWNER_QUEUE_SIZE);
}

static void admin_queues_are_the_pfs(void **state)
{
	struct bench *bench = *state;
	struct function *pf = &bench->owner.pf;

	assert_int_equal(get_reg(bench->vf, VIRTIO_PCI_COMMON_ADM_Q_NUM, 2), 0);
	assert_int_equal(get_reg(pf, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	assert_int_equal(get_reg(pf, VIRTIO_PCI_COMMON_ADM_Q_IDX, 2), 1);
	assert_int_equal(get_reg(pf, VIRTIO_PCI_COMMON_ADM_Q_NUM, 2), 2);
	bench_map(bench, pf);
	negotiate(pf, 0);
	put_reg(pf, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	put_reg(pf, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(get_reg(pf, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	negotiate(pf, 1ULL << VIRTIO_F_ADMIN_VQ);
	enable(pf, 2, GUEST_IOVA);
}

static void an_admin_command_goes_through(void **state)
{
	struct bench *bench = *state;
	struct function *pf = &bench->owner.pf;
	struct vferry_admin_hdr *hdr = (void *)(bench->mem + BUFFERS);
	uint64_t end = vf_now_ns() + LIMIT_NS;
	uint8_t *answer = bench->mem + BUFFERS + 0x1000;

	bench_map(bench, pf);
	negotiate(pf, 1ULL << VIRTIO_F_ADMIN_VQ);
	enable(pf, 1, GUEST_IOVA);
	put_reg(pf, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	*hdr = (struct vferry_admin_hdr){ .opcode = htole16(VFERRY_CMD_LIST_QUERY),
					  .group_type = htole16(VFERRY_GROUP_SRIOV) };
	desc(bench, 0, 0, GUEST_IOVA + BUFFERS, sizeof(*hdr), VRING_DESC_F_NEXT, 1);
	desc(bench, 0, 1, GUEST_IOVA + BUFFERS + 0x1000, 16, VRING_DESC_F_WRITE, 0);
	offer(bench, 0, 0);
	put_reg(pf, BAR_NOTIFY + NOTIFY_MULTIPLIER, 2, 1);
	while (!used_index(bench, 0)) {
		assert_true(vf_now_ns() < end);
		vf_ring_turn(bench->owner.ring, vf_now_ns() + 10000000);
	}
	assert_int_equal(answer[0], VFERRY_STATUS_OK);
	assert_int_equal(used_length(bench, 0, 0), 16);
	assert_int_equal(pf->queues[1].inflight, 0);
	assert_int_equal(pf->io->in_service, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_what_is_writable_is_written),
		TEST(a_window_reaches_the_bar),
		TEST(vf_enable_makes_and_unmakes_vfs),
		TEST(an_flr_keeps_the_mode),
		TEST(features_are_agreed_before_features_ok),
		TEST(queues_have_their_rules),
		TEST(admin_queues_are_the_pfs),
		TEST(an_admin_command_goes_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
