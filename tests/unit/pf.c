// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bringing up a PF, on a server whose admin queue answers LIST_QUERY and LIST_USE as each test wants it. */
#include "fake_server.h"
#include "ring/ring.h"
#include "virtio/pf.h"
#include "virtio/vq.h"

struct admin {
	struct server server; /* first */
	uint16_t seen;	      /* available entries taken */
	/* how LIST_QUERY is answered */
	unsigned char list[4096];
	uint32_t list_bytes;
	uint32_t used;	      /* instead of the right one; 0: the right one */
	unsigned int put_off; /* EAGAIN so often */
	uint16_t use_status;  /* of LIST_USE */
	bool silent, no_interrupt;
	uint64_t used_list; /* what LIST_USE asked for */
};

static void *dma(struct server *server, uint64_t iova)
{
	return server->dma + (iova - server->dma_iova);
}

static void answer(struct admin *admin, uint16_t head, struct vring_used *used, uint16_t size,
		   const struct vring_desc *desc)
{
	struct server *server = &admin->server;
	struct vferry_admin_answer_hdr *header = dma(server, desc[desc[head].next].addr);
	struct vferry_admin_hdr *request = dma(server, desc[head].addr);
	uint32_t length = sizeof(*header);

	memset(header, 0, sizeof(*header));
	if (admin->put_off) {
		admin->put_off--;
		header->status = htole16(VFERRY_STATUS_EAGAIN);
	} else if (request->opcode == VFERRY_CMD_LIST_QUERY) {
		memcpy(header + 1, admin->list, admin->list_bytes);
		length += admin->list_bytes;
	} else {
		memcpy(&admin->used_list, request + 1, 8);
		header->status = htole16(admin->use_status);
	}
	used->ring[used->idx % size] = (struct vring_used_elem){
		.id = head,
		.len = admin->used ? admin->used : length,
	};
	__atomic_store_n(&used->idx, (uint16_t)(used->idx + 1), __ATOMIC_RELEASE);
	if (!admin->no_interrupt)
		eventfd_write(server->irqs[0], 1);
}

/* A write to the doorbell: only one queue was set up, so its registers are still there. */
static void on_write(struct server *server, struct reply *reply, const unsigned char *request,
		     uint32_t bytes)
{
	struct virtio_pci_common_cfg *common = (void *)server->bar;
	struct admin *admin = (struct admin *)server;
	struct vfio_user_region_access access;
	struct vring_avail *avail;
	uint16_t size;

	memcpy(&access, request, sizeof(access));
	if (access.region || access.offset != 4096 || admin->silent)
		return;
	size = common->queue_size;
	avail = dma(server, common->queue_avail_lo);
	while (admin->seen != avail->idx) {
		uint16_t head = avail->ring[admin->seen++ % size];

		answer(admin, head, dma(server, common->queue_used_lo), size,
		       dma(server, common->queue_desc_lo));
	}
}

static void admin_init(struct admin *admin, uint64_t list)
{
	memset(admin, 0, sizeof(*admin));
	server_init(&admin->server);
	memcpy(admin->list, &list, 8);
	admin->list_bytes = 8;
	admin->server.spoil_command = VFIO_USER_REGION_WRITE;
	admin->server.spoil = on_write;
	/* SR-IOV: 8 VFs */
	memcpy(admin->server.config + 0x100, "\x10\x00\x01\x00", 4);
	admin->server.config[0x10e] = 8;
}

static int open_pf(struct admin *admin, struct vf_pf **pf, const struct vf_pf_opts *more,
		   struct vferry_error *err)
{
	struct vf_pf_opts opts = { .queues = 1 };

	if (more)
		opts = *more;
	memset(err, 0, sizeof(*err));
	server_start(&admin->server);
	return vf_pf_open(pf, admin->server.path, &opts, err);
}

static void has(const struct vferry_error *err, const char *words)
{
	if (!strstr(err->text, words))
		fail_msg("\"%s\" lacks \"%s\"", err->text, words);
}

static void a_good_owner(void **state)
{
	struct vf_pf_opts opts = { .queues = 1, .num_vfs = 5 };
	struct vferry_error err;
	struct vf_lease lease, second;
	struct admin admin;
	struct vf_pf *pf;

	admin_init(&admin, 0x3f83);
	admin.put_off = 3;
	assert_int_equal(open_pf(&admin, &pf, &opts, &err), 0);
	assert_int_equal(vf_pf_list(pf), 0x3f83);
	assert_int_equal(admin.used_list, 0x3f83);
	assert_int_equal(vf_pf_num_vfs(pf), 5);
	assert_int_equal(vf_pf_total_vfs(pf), 8);
	assert_int_equal(admin.server.config[0x108], 9);
	assert_int_equal(vf_pf_queues(pf), 1);
	assert_false(vf_pf_needs_reset(pf));
	assert_int_equal(vf_pf_lease(pf, 0, 1 << 20, &lease, &err), 0);
	assert_int_equal(lease.queue, 1);
	assert_int_equal(lease.queue_size, 64);
	assert_int_equal(lease.doorbell, VF_DOORBELL_RELAY);
	assert_int_equal(lease.arena_bytes, 1 << 20);
	assert_int_equal(admin.server.maps, 2);
	assert_int_equal(vf_pf_lease(pf, 0, 0, &second, &err), -EBUSY);
	assert_int_equal(vf_pf_lease(pf, 1, 0, &second, &err), -EINVAL);
	assert_int_equal(vf_pf_pending(pf, 0), 0);
	assert_int_equal(vf_pf_rest(pf, 0, vf_now_ns() + 1000000000ULL, &err), 0);
	assert_int_equal(vf_pf_unlease(pf, &lease, &err), 0);
	assert_int_equal(admin.server.unmaps, 1);
	assert_int_equal(vf_pf_unlease(pf, &lease, &err), -EINVAL);
	/* DEVICE_NEEDS_RESET */
	admin.server.bar[VIRTIO_PCI_COMMON_STATUS] |= 0x40;
	assert_true(vf_pf_needs_reset(pf));
	vf_pf_close(pf);
	server_stop(&admin.server);
}

static void lists_of_any_length(void **state)
{
	static const uint32_t lengths[] = { 2, 8, 16, 9, 4096 };

	for (unsigned int i = 0; i < 5; i++) {
		struct vferry_error err;
		struct admin admin;
		struct vf_pf *pf;

		admin_init(&admin, 0x3f83);
		if (lengths[i] > 8)
			memset(admin.list + 8, 0xff, sizeof(admin.list) - 8);
		admin.list_bytes = lengths[i];
		assert_int_equal(open_pf(&admin, &pf, NULL, &err), 0);
		assert_int_equal(vf_pf_list(pf), 0x3f83);
		vf_pf_close(pf);
		server_stop(&admin.server);
	}
}

static void a_list_that_lacks_something(void **state)
{
	struct vf_pf_opts opts = { .queues = 1, .list_use = 3 };
	struct vferry_error err;
	struct admin admin;
	struct vf_pf *pf;

	admin_init(&admin, 0x3b83);
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EOPNOTSUPP);
	has(&err, "dev_ctx_read (0xa)");
	server_stop(&admin.server);
	/* An answer that stops before the second byte lacks those beyond it. */
	admin_init(&admin, 0x3f83);
	admin.list_bytes = 1;
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EOPNOTSUPP);
	has(&err, "dev_ctx_write");
	server_stop(&admin.server);
	/* Who asks for less gets less. */
	admin_init(&admin, 0x3);
	assert_int_equal(open_pf(&admin, &pf, &opts, &err), 0);
	assert_int_equal(admin.used_list, 3);
	vf_pf_close(pf);
	server_stop(&admin.server);
}

static void an_admin_queue_that_answers_wrongly(void **state)
{
	struct vf_pf_opts hasty = { .queues = 1, .bus.timeout_ns = 2000000000ULL };
	struct vferry_error err;
	struct admin admin;
	struct vf_pf *pf;

	admin_init(&admin, 0x3f83);
	admin.used = 3;
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EPROTO);
	has(&err, "used length of 3");
	server_stop(&admin.server);
	admin_init(&admin, 0x3f83);
	admin.used = 100000;
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EPROTO);
	server_stop(&admin.server);
	admin_init(&admin, 0x3f83);
	admin.use_status = VFERRY_STATUS_EINVAL;
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EREMOTEIO);
	has(&err, "list_use");
	server_stop(&admin.server);
	admin_init(&admin, 0x3f83);
	admin.silent = true;
	assert_int_equal(open_pf(&admin, &pf, &hasty, &err), -ETIMEDOUT);
	has(&err, "list_query");
	server_stop(&admin.server);
	/* An interrupt that never comes: the answer is found all the same. */
	admin_init(&admin, 0x3f83);
	admin.no_interrupt = true;
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), 0);
	vf_pf_close(pf);
	server_stop(&admin.server);
}

static void what_an_owner_must_have(void **state)
{
	struct vf_pf_opts many = { .queues = 1, .num_vfs = 9 };
	struct vferry_error err;
	struct admin admin;
	struct vf_pf *pf;

	admin_init(&admin, 0x3f83);
	admin.server.vectors = 0;
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EOPNOTSUPP);
	has(&err, "MSI-X");
	server_stop(&admin.server);
	admin_init(&admin, 0x3f83);
	admin.server.features &= ~(1ULL << VIRTIO_F_ADMIN_VQ);
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EOPNOTSUPP);
	has(&err, "VIRTIO_F_ADMIN_VQ");
	server_stop(&admin.server);
	admin_init(&admin, 0x3f83);
	memcpy(admin.server.bar + VIRTIO_PCI_COMMON_Q_SIZE, "\0\0", 2);
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), -EPROTO);
	server_stop(&admin.server);
	admin_init(&admin, 0x3f83);
	assert_int_equal(open_pf(&admin, &pf, &many, &err), -EINVAL);
	has(&err, "9 VFs wanted");
	server_stop(&admin.server);
	/* No SR-IOV in sight, as in a guest: the device knows its members. */
	admin_init(&admin, 0x3f83);
	memset(admin.server.config + 0x100, 0, 4);
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), 0);
	assert_int_equal(vf_pf_num_vfs(pf), 255);
	vf_pf_close(pf);
	server_stop(&admin.server);
}

/* A borrower that died between the available index and the doorbell, and one whose command is never answered. */
static void a_queue_is_brought_to_rest(void **state)
{
	struct vferry_sg sg = { 0, 64 }, in = { 0, 64 };
	struct vferry_error err;
	struct vf_vq_layout layout;
	struct vf_lease lease;
	struct admin admin;
	struct vf_pf *pf;
	struct vf_vq vq;

	admin_init(&admin, 0x3f83);
	admin.server.features &= ~(1ULL << VIRTIO_F_RING_RESET);
	assert_int_equal(open_pf(&admin, &pf, NULL, &err), 0);
	assert_int_equal(vf_pf_lease(pf, 0, 0, &lease, &err), 0);
	layout = (struct vf_vq_layout){ lease.desc_offset, lease.avail_offset, lease.used_offset,
					lease.commands_offset };
	sg.iova = lease.rings_iova + lease.commands_offset;
	in.iova = sg.iova + VF_COMMAND_WRITABLE;
	assert_int_equal(vf_vq_open(&vq, lease.rings, &layout, lease.queue_size, false), 0);
	assert_int_equal(vf_vq_add(&vq, &sg, 1, &in, 1, NULL, &vq), 0);
	vf_vq_publish(&vq);
	assert_int_equal(vf_pf_pending(pf, 0), 1);
	assert_int_equal(vf_pf_rest(pf, 0, vf_now_ns() + 10000000000ULL, &err), 0);
	assert_int_equal(vf_pf_pending(pf, 0), 0);
	admin.silent = true;
	assert_int_equal(vf_vq_add(&vq, &sg, 1, &in, 1, NULL, &vq), 0);
	vf_vq_publish(&vq);
	assert_int_equal(vf_pf_rest(pf, 0, vf_now_ns() + 20000000, &err), -EBUSY);
	has(&err, "wedged");
	vf_vq_close(&vq);
	vf_pf_close(pf);
	server_stop(&admin.server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_owner),
		cmocka_unit_test(lists_of_any_length),
		cmocka_unit_test(a_list_that_lacks_something),
		cmocka_unit_test(an_admin_queue_that_answers_wrongly),
		cmocka_unit_test(what_an_owner_must_have),
		cmocka_unit_test(a_queue_is_brought_to_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
