// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Requests that reach the disk, modes and resets around them. */
#include "fn_bench.h"

static void data_reaches_the_disk_and_comes_back(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 2);
	for (unsigned int q = 0; q < 2; q++) {
		memset(blk_data(bench, q), 0xa0 + (int)q, 4096);
		assert_int_equal(blk_do(bench, q, VIRTIO_BLK_T_OUT, 8 + 8 * q, 4096),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(used_length(bench, q, 0), 1);
		assert_int_equal(bench->disk[4096 + 4096 * q], 0xa0 + q);
		assert_int_equal(bench->disk[4096 + 4096 * q + 4095], 0xa0 + q);
		memset(blk_data(bench, q), 0, 4096);
		assert_int_equal(blk_do(bench, q, VIRTIO_BLK_T_IN, 8 + 8 * q, 4096),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(used_length(bench, q, 1), 4097);
		assert_int_equal(blk_data(bench, q)[4095], 0xa0 + q);
		assert_int_equal(blk_do(bench, q, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	}
}

static void what_is_out_of_range_is_refused(void **state)
{
	uint64_t last = DISK_BYTES / 512;
	struct bench *bench = *state;

	drive(bench, 0, 1);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_IN, last - 1, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_IN, last - 1, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_IN, last, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_OUT, UINT64_MAX, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_OUT, UINT64_MAX / 512 + 1, 512),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_IN, 0, 513), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_GET_ID, 0, 19), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	assert_string_equal((char *)blk_data(bench, 0), "vferry-vf1");
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_DISCARD, 0, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(blk_do(bench, 0, 0xffffffff, 0, 512), VIRTIO_BLK_S_UNSUPP);
}

static bool done_called;

static void stop_done(void *arg)
{
	struct function *fn = arg;

	done_called = true;
	fn->mode = VFERRY_MODE_STOP;
}

static void until(struct bench *bench, const bool *flag)
{
	uint64_t end = vf_now_ns() + LIMIT_NS;

	while (!*flag) {
		assert_true(vf_now_ns() < end);
		vf_ring_turn(bench->owner.ring, vf_now_ns() + 10000000);
	}
}

static void stop_finishes_what_was_taken_and_takes_no_more(void **state)
{
	struct bench *bench = *state;
	struct vqueue *q = &bench->vf->queues[0];

	drive(bench, 0, 2);
	blk(bench, 0, VIRTIO_BLK_T_IN, 0, 4096);
	ring(bench, 0);
	assert_int_equal(q->inflight, 1);
	done_called = false;
	fn_stop(bench->vf, stop_done, bench->vf);
	/* Offered while it stops: stays in the ring. */
	blk(bench, 1, VIRTIO_BLK_T_IN, 0, 512);
	ring(bench, 1);
	until(bench, &done_called);
	assert_int_equal(used_index(bench, 0), 1);
	assert_int_equal(q->inflight, 0);
	assert_int_equal(used_index(bench, 1), 0);
	assert_true(bench->vf->queues[1].kicked);

	/* Stop: remembered. Freeze: ignored, registers too. */
	blk(bench, 0, VIRTIO_BLK_T_IN, 0, 512);
	ring(bench, 0);
	assert_true(q->kicked);
	q->kicked = false;
	fn_freeze(bench->vf);
	bench->vf->mode = VFERRY_MODE_FREEZE;
	ring(bench, 0);
	assert_false(q->kicked);
	put_reg(bench->vf, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	put_reg(bench->vf, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(get_reg(bench->vf, VIRTIO_PCI_COMMON_STATUS, 1), 15);
	assert_int_equal(bench->vf->queue_select, 1); /* as drive() left it */
	pci_write(bench->vf, PCI_COMMAND, (const uint8_t *)"\6", 1);
	assert_int_equal(bench->vf->io->pci.config[PCI_COMMAND], 6);

	/* Active: both queues are looked at, kicked or not. */
	bench->vf->mode = VFERRY_MODE_ACTIVE;
	fn_resume(bench->vf);
	until_used(bench, 0, 2);
	until_used(bench, 1, 1);
	assert_int_equal(blk_status(bench, 1), VIRTIO_BLK_S_OK);
}

static int vector_eventfd(struct bench *bench, unsigned int vector)
{
	struct vfio_user_set_irqs set = { htole32(20), htole32(0x24), htole32(2), htole32(vector),
					  htole32(1) };
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), mine = dup(fd);

	assert_int_equal(msix_set_irqs(bench->vf, &set, NULL, 0, &fd, 1), 0);
	return mine;
}

static void owed_interrupts_are_paid(void **state)
{
	struct bench *bench = *state;
	uint64_t count;
	int fd;

	drive(bench, 0, 1);
	fd = vector_eventfd(bench, 1);
	blk(bench, 0, VIRTIO_BLK_T_IN, 0, 4096);
	ring(bench, 0);
	/* As if the answer came after the mode. */
	bench->vf->mode = VFERRY_MODE_STOP;
	until_used(bench, 0, 1);
	turn(bench);
	assert_true(bench->vf->queues[0].owed);
	assert_int_equal(read(fd, &count, 8), -1);
	bench->vf->mode = VFERRY_MODE_ACTIVE;
	fn_resume(bench->vf);
	turn(bench);
	assert_int_equal(read(fd, &count, 8), 8);
	assert_int_equal(count, 1);
	assert_false(bench->vf->queues[0].owed);
	/* Once. */
	fn_resume(bench->vf);
	turn(bench);
	assert_int_equal(read(fd, &count, 8), -1);
	close(fd);
}

static void doorbells_before_freeze_are_folded(void **state)
{
	struct bench *bench = *state;
	uint64_t one = 1;

	drive(bench, 0, 2);
	assert_int_equal(doorbells_make(bench->vf, 2), 0);
	turn(bench);
	bench->vf->mode = VFERRY_MODE_STOP;
	assert_int_equal(write(doorbell_fd(bench->vf, 1), &one, 8), 8);
	fn_freeze(bench->vf);
	bench->vf->mode = VFERRY_MODE_FREEZE;
	assert_true(bench->vf->queues[1].kicked);
	assert_false(bench->vf->queues[0].kicked);
	assert_int_equal(write(doorbell_fd(bench->vf, 0), &one, 8), 8);
	turn(bench);
	turn(bench);
	assert_false(bench->vf->queues[0].kicked);
}

static void a_reset_keeps_the_mode_and_waits_for_nobody(void **state)
{
	struct bench *bench = *state;

	drive(bench, 0, 1);
	blk(bench, 0, VIRTIO_BLK_T_IN, 0, 4096);
	ring(bench, 0);
	bench->vf->mode = VFERRY_MODE_STOP;
	fn_reset(bench->vf);
	assert_int_equal(bench->vf->mode, VFERRY_MODE_STOP);
	assert_int_equal(bench->vf->device_status, 0);
	/* The request that was inside is forgotten: it writes no used entry. */
	while (bench->vf->io->inflight)
		vf_ring_turn(bench->owner.ring, vf_now_ns() + 10000000);
	assert_int_equal(used_index(bench, 0), 0);
	assert_int_equal(bench->vf->queues[0].inflight, 0);
	bench->vf->mode = VFERRY_MODE_ACTIVE;
	drive(bench, 0, 1);
	assert_int_equal(blk_do(bench, 0, VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK);
}

static void quiet(void *arg)
{
	*(bool *)arg = true;
}

static void quiet_comes_when_requests_are_out(void **state)
{
	struct bench *bench = *state;
	bool called = false;
	struct quiesce q = { .done = quiet, .arg = &called };

	drive(bench, 0, 2);
	assert_true(fn_quiesce(&bench->owner, NULL, &q));
	blk(bench, 0, VIRTIO_BLK_T_IN, 0, 4096);
	ring(bench, 0);
	assert_false(fn_quiesce(&bench->owner, NULL, &q));
	blk(bench, 1, VIRTIO_BLK_T_IN, 0, 512);
	ring(bench, 1);
	assert_int_equal(bench->vf->queues[1].inflight, 0);
	until(bench, &called);
	/* And what came meanwhile is served after it. */
	until_used(bench, 1, 1);
}

static void memory_that_goes_away_is_noticed(void **state)
{
	struct bench *bench = *state;

	guard_install(); /* cmocka has a handler of its own */
	drive(bench, 0, 1);
	assert_int_equal(ftruncate(bench->guest, 0), 0);
	ring(bench, 0);
	assert_true(dma_broken(&bench->vf->io->dma));
	assert_int_equal(ftruncate(bench->guest, GUEST_BYTES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_reaches_the_disk_and_comes_back),
		TEST(what_is_out_of_range_is_refused),
		TEST(stop_finishes_what_was_taken_and_takes_no_more),
		TEST(owed_interrupts_are_paid),
		TEST(doorbells_before_freeze_are_folded),
		TEST(a_reset_keeps_the_mode_and_waits_for_nobody),
		TEST(quiet_comes_when_requests_are_out),
		TEST(memory_that_goes_away_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
