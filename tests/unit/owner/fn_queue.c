// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rings as no driver should write them: each ends in NEEDS_RESET, none in a crash or a hang. */
#include "fn_bench.h"

#define INDIRECT (1ULL << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT	 (1ULL << VIRTIO_RING_F_EVENT_IDX)

static void broken(struct bench *bench)
{
	ring(bench, 0);
	assert_true(needs_reset(bench));
	assert_int_equal(used_index(bench, 0), 0);
	/* And a reset mends it. */
	drive(bench, 0, 1);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

static void a_loop(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 1);
	desc(bench, 0, 0, GUEST_IOVA + BUFFERS, 16, VRING_DESC_F_NEXT, 1);
	desc(bench, 0, 1, GUEST_IOVA + BUFFERS, 16, VRING_DESC_F_NEXT, 0);
	offer(bench, 0, 0);
	broken(bench);
}

static void next_out_of_range(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 1);
	desc(bench, 0, 0, GUEST_IOVA + BUFFERS, 16, VRING_DESC_F_NEXT, RING_SIZE);
	offer(bench, 0, 0);
	broken(bench);
}

static void head_out_of_range(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 1);
	offer(bench, 0, 0xffff);
	broken(bench);
}

static void available_index_too_far(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 1);
	bench->avail[0] = RING_SIZE;
	offer(bench, 0, 0);
	broken(bench);
}

static void unmapped_and_overflowing_addresses(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t length;
	} bad[] = {
		{ 0, 16 },
		{ GUEST_IOVA - 1, 16 },
		{ GUEST_IOVA + GUEST_BYTES - 8, 16 },
		{ GUEST_IOVA, UINT32_MAX },
		{ UINT64_MAX - 8, 16 },
		{ UINT64_MAX, 1 },
	};
	struct bench *bench = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		drive(bench, 0, 1);
		desc(bench, 0, 0, bad[i].addr, bad[i].length, VRING_DESC_F_NEXT, 1);
		desc(bench, 0, 1, GUEST_IOVA + BUFFERS, 512, VRING_DESC_F_WRITE, 0);
		offer(bench, 0, 0);
		broken(bench);
	}
}

static void writable_before_readable(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 1);
	desc(bench, 0, 0, GUEST_IOVA + BUFFERS, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	desc(bench, 0, 1, GUEST_IOVA + BUFFERS, 16, 0, 0);
	offer(bench, 0, 0);
	broken(bench);
}

static void chains_that_cannot_be_answered(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 1);
	desc(bench, 0, 0, GUEST_IOVA + BUFFERS, 16, 0, 0); /* nowhere to write the status */
	offer(bench, 0, 0);
	broken(bench);
	drive(bench, 0, 1);
	desc(bench, 0, 0, GUEST_IOVA + BUFFERS, 15, VRING_DESC_F_NEXT, 1); /* half a header */
	desc(bench, 0, 1, GUEST_IOVA + BUFFERS, 1, VRING_DESC_F_WRITE, 0);
	offer(bench, 0, 0);
	broken(bench);
}

static void read_only_memory_is_not_written(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(dma_map(&bench->vf->io->dma, GUEST_IOVA + GUEST_BYTES, 4096, 0,
				 VFIO_USER_DMA_F_READ, bench->guest, NULL),
			 0);
	drive(bench, 0, 1);
	desc(bench, 0, 0, GUEST_IOVA + BUFFERS, 16, VRING_DESC_F_NEXT, 1);
	desc(bench, 0, 1, GUEST_IOVA + GUEST_BYTES, 1, VRING_DESC_F_WRITE, 0);
	offer(bench, 0, 0);
	broken(bench);
}

static struct vring_desc *table(struct bench *bench)
{
	return (struct vring_desc *)(bench->mem + 0x30000);
}

static void entry(struct bench *bench, unsigned int n, uint64_t addr, uint32_t length,
		  uint16_t flags, uint16_t next)
{
	table(bench)[n] = (struct vring_desc){ htole64(addr), htole32(length), htole16(flags),
					       htole16(next) };
}

static void indirect_tables_as_they_must_not_be(void **state)
{
	static const struct {
		uint32_t length;
		uint16_t flags, entry_flags, next;
	} bad[] = {
		{ 0, VRING_DESC_F_INDIRECT, 0, 0 },
		{ 15, VRING_DESC_F_INDIRECT, 0, 0 },
		{ 24, VRING_DESC_F_INDIRECT, 0, 0 },
		{ 16 * (CHAIN_INDIRECT_MAX + 1), VRING_DESC_F_INDIRECT, 0, 0 },
		{ UINT32_MAX & ~15U, VRING_DESC_F_INDIRECT, 0, 0 },
		{ 32, VRING_DESC_F_INDIRECT, VRING_DESC_F_INDIRECT, 0 },
		{ 32, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, 0 },
		{ 32, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, 2 },
		{ 32, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, 0xffff },
		{ 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 0, 0 },
	};
	struct bench *bench = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		drive(bench, INDIRECT, 1);
		entry(bench, 0, GUEST_IOVA + 0x30000, 32, bad[i].entry_flags, bad[i].next);
		desc(bench, 0, 0, GUEST_IOVA + 0x30000, bad[i].length, bad[i].flags, 0);
		offer(bench, 0, 0);
		broken(bench);
	}
	/* Without the feature there are none at all. */
	drive(bench, 0, 1);
	desc(bench, 0, 0, GUEST_IOVA + 0x30000, 32, VRING_DESC_F_INDIRECT, 0);
	offer(bench, 0, 0);
	broken(bench);
}

static void an_indirect_request_is_served(void **state)
{
	struct bench *bench = *state;
	struct virtio_blk_outhdr *header = (void *)(bench->mem + BUFFERS);

	drive(bench, INDIRECT, 1);
	memset(bench->disk, 0x5a, 1024);
	header->type = htole32(VIRTIO_BLK_T_IN);
	header->sector = htole64(1);
	/* Header in two pieces, data and status in one: any layout is legal. */
	entry(bench, 5, GUEST_IOVA + BUFFERS, 3, VRING_DESC_F_NEXT, 7);
	entry(bench, 7, GUEST_IOVA + BUFFERS + 3, 13, VRING_DESC_F_NEXT, 1);
	entry(bench, 1, GUEST_IOVA + BUFFERS + 0x1000, 513, VRING_DESC_F_WRITE, 0);
	entry(bench, 0, GUEST_IOVA + BUFFERS, 0, VRING_DESC_F_NEXT, 5);
	desc(bench, 0, 3, GUEST_IOVA + 0x30000, 16 * 8, VRING_DESC_F_INDIRECT, 0);
	offer(bench, 0, 3);
	ring(bench, 0);
	until_used(bench, 0, 1);
	assert_int_equal(used_length(bench, 0, 0), 513);
	assert_int_equal(bench->mem[BUFFERS + 0x1000 + 511], 0x5a);
	assert_int_equal(bench->mem[BUFFERS + 0x1000 + 512], VIRTIO_BLK_S_OK);
}

static void rings_that_are_not_there(void **state)
{
	static const uint64_t bad[] = { 0, GUEST_IOVA + 8, GUEST_IOVA + GUEST_BYTES - 0x2000,
					UINT64_MAX - 4095, UINT64_MAX & ~15ULL };
	struct bench *bench = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		negotiate(bench->vf, 0);
		enable(bench->vf, 0, bad[i]);
		put_reg(bench->vf, VIRTIO_PCI_COMMON_STATUS, 1, 15);
		assert_true(needs_reset(bench));
	}
}

static void a_context_may_bring_any_size(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 257, 512, 65535 };
	struct bench *bench = *state;

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		drive(bench, 0, 1);
		bench->vf->queues[0].size = sizes[i];
		fn_state_loaded(bench->vf);
		ring(bench, 0);
		assert_true(needs_reset(bench));
	}
}

static void rings_may_straddle_ranges(void **state)
{
	struct dma *dma = &((struct bench *)*state)->vf->io->dma;
	struct bench *bench = *state;
	uint64_t odd = GUEST_IOVA + 0x800;

	/* Page by page and out of order: neighbours in IOVA, not here. */
	assert_int_equal(dma_unmap(dma, GUEST_IOVA, GUEST_BYTES), 0);
	for (unsigned int page = 0; page < 8; page++)
		assert_int_equal(dma_map(dma, GUEST_IOVA + page * 4096, 4096, (7 - page) * 4096, 3,
					 bench->guest, NULL),
				 0);
	negotiate(bench->vf, 0);
	put_reg(bench->vf, VIRTIO_PCI_COMMON_Q_SIZE, 2, 256);
	put_reg(bench->vf, VIRTIO_PCI_COMMON_Q_DESCLO, 8, odd);		  /* pages 0, 1 */
	put_reg(bench->vf, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, odd + 0x1600); /* pages 1, 2 */
	put_reg(bench->vf, VIRTIO_PCI_COMMON_Q_USEDLO, 8, odd + 0x2504);  /* pages 2, 3 */
	put_reg(bench->vf, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	put_reg(bench->vf, VIRTIO_PCI_COMMON_STATUS, 1, 15);
	assert_false(needs_reset(bench));
	for (unsigned int i = 0; i < 300; i++) {
		struct iovec iov;
		uint16_t head = (uint16_t)(i * 3 % 256 / 3 * 3);
		struct vring_desc chain[3] = {
			{ htole64(GUEST_IOVA + 0x5000), htole32(16), htole16(1),
			  htole16(head + 1) },
			{ htole64(GUEST_IOVA + 0x5800), htole32(0x1000), htole16(3),
			  htole16(head + 2) },
			{ htole64(GUEST_IOVA + 0x7000), htole32(1), htole16(2), 0 },
		};
		uint16_t le = htole16(head), index = htole16((uint16_t)(i + 1));

		if (head > 252)
			continue;
		for (unsigned int n = 0; n < 3; n++) {
			assert_int_equal(dma_translate(dma, odd + (head + n) * 16, 16, 3, &iov, 1),
					 1);
			memcpy(iov.iov_base, &chain[n], 16);
		}
		assert_int_equal(
			dma_translate(dma, odd + 0x1600 + 4 + 2 * (i % 256), 2, 3, &iov, 1), 1);
		memcpy(iov.iov_base, &le, 2);
		assert_int_equal(dma_translate(dma, odd + 0x1602, 2, 3, &iov, 1), 1);
		memcpy(iov.iov_base, &index, 2);
		ring(bench, 0);
		for (uint64_t end = vf_now_ns() + LIMIT_NS; bench->vf->queues[0].used != i + 1;) {
			assert_false(needs_reset(bench));
			assert_true(vf_now_ns() < end);
			vf_ring_turn(bench->owner.ring, vf_now_ns() + 10000000);
		}
	}
}

static void the_index_wraps(void **state)
{
	struct bench *bench = *state;

	drive(bench, EVENT, 1);
	bench->vf->queues[0].next_avail = bench->vf->queues[0].used = 65530;
	bench->vf->queues[0].signalled = 65530;
	bench->avail[0] = 65530;
	((uint16_t *)(bench->mem + 0x1000))[1] = htole16(65530);
	((uint16_t *)(bench->mem + 0x2000))[1] = htole16(65530);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_IN, i, 512), VIRTIO_BLK_S_OK);
	/* avail_event asks for the next one. */
	assert_int_equal(le16toh(*(uint16_t *)(bench->mem + 0x2004 + 8 * RING_SIZE)), 14);
}

static void event_index_decides(void **state)
{
	struct bench *bench = *state;
	uint16_t *event = (uint16_t *)(bench->mem + 0x1004 + 2 * RING_SIZE);
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), mine = dup(fd);
	struct vfio_user_set_irqs set = { htole32(20), htole32(0x24), htole32(2), htole32(1),
					  htole32(1) };
	uint64_t count;

	assert_int_equal(msix_set_irqs(bench->vf, &set, NULL, 0, &fd, 1), 0);
	assert_int_equal(fd, -1);
	drive(bench, EVENT, 1);
	*event = htole16(2);
	blk_do(bench, 0, VIRTIO_BLK_T_IN, 0, 512);
	blk_do(bench, 0, VIRTIO_BLK_T_IN, 0, 512);
	turn(bench);
	assert_int_equal(read(mine, &count, 8), -1);
	blk_do(bench, 0, VIRTIO_BLK_T_IN, 0, 512);
	turn(bench);
	assert_int_equal(read(mine, &count, 8), 8);
	blk_do(bench, 0, VIRTIO_BLK_T_IN, 0, 512);
	turn(bench);
	assert_int_equal(read(mine, &count, 8), -1);
	close(mine);
}

static void more_requests_than_the_ring_is_long(void **state)
{
	struct bench *bench = *state;

	/* A driver that makes entries available again before they were used. */
	drive(bench, 0, 1);
	for (unsigned int i = 0; i < 50; i++) {
		blk(bench, 0, VIRTIO_BLK_T_IN, 0, 512);
		if (i % RING_SIZE == RING_SIZE - 1) {
			ring(bench, 0);
			assert_true(bench->vf->queues[0].inflight <= RING_SIZE);
		}
	}
	/* It took what fits; that the rest was offered too soon is found out, at the latest, here. */
	ring(bench, 0);
	for (uint64_t end = vf_now_ns() + LIMIT_NS; bench->vf->io->inflight;) {
		assert_true(vf_now_ns() < end);
		vf_ring_turn(bench->owner.ring, vf_now_ns() + 10000000);
	}
	ring(bench, 0);
	assert_true(needs_reset(bench));
	assert_int_equal(bench->vf->queues[0].inflight, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_loop),
		TEST(next_out_of_range),
		TEST(head_out_of_range),
		TEST(available_index_too_far),
		TEST(unmapped_and_overflowing_addresses),
		TEST(writable_before_readable),
		TEST(chains_that_cannot_be_answered),
		TEST(read_only_memory_is_not_written),
		TEST(indirect_tables_as_they_must_not_be),
		TEST(an_indirect_request_is_served),
		TEST(rings_that_are_not_there),
		TEST(a_context_may_bring_any_size),
		TEST(rings_may_straddle_ranges),
		TEST(the_index_wraps),
		TEST(event_index_decides),
		TEST(more_requests_than_the_ring_is_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
