// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When commands start and end: --service-time, order, the clock that changes blocks. With a real ring. */
#include "admin_bench.h"

#define GENEROUS_NS 20000000000ULL
#define MANY	    64

static struct bench *timed(struct owner_opts opts)
{
	struct bench *bench = bench_new(opts);

	assert_int_equal(vf_ring_new(&bench->owner.ring, 64, NULL), 0);
	return bench;
}

static void timed_free(struct bench *bench)
{
	struct vf_ring *ring = bench->owner.ring;

	bench_free(bench);
	vf_ring_free(ring);
}

static void wait_for(struct bench *bench, struct reply *reply)
{
	uint64_t deadline = vf_now_ns() + GENEROUS_NS;

	while (!reply->calls) {
		assert_true(vf_now_ns() < deadline);
		vf_ring_turn(bench->owner.ring, deadline);
	}
}

static void submit(struct bench *bench, struct reply *reply, unsigned int queue, uint16_t opcode,
		   uint64_t vf, uint8_t data)
{
	uint8_t padded[8] = { data };
	struct message made = message(opcode, vf, padded, 8);

	bench_submit(bench, reply, queue, made.bytes, made.count, 64);
}

static struct bench *timed_ready(uint64_t service_time_ns)
{
	struct owner_opts opts = bench_opts();
	struct bench *bench;

	opts.service_time_ns = service_time_ns;
	bench = timed(opts);
	bench->owner.admin->list = VFERRY_LIST_BASE | VFERRY_LIST_MIGRATION;
	return bench;
}

static void answers_come_after_the_service_time(void **state)
{
	struct bench *bench = timed_ready(3000000);
	uint64_t begin = vf_now_ns();
	struct reply reply;

	submit(bench, &reply, 0, VFERRY_CMD_DEV_MODE_GET, 1, 0);
	assert_int_equal(reply.calls, 0);
	wait_for(bench, &reply);
	EXPECT(&reply, OK, OK);
	assert_true(vf_now_ns() - begin >= 3000000);
	reply_drop(&reply);
	timed_free(bench);
}

static unsigned int in_service(struct bench *bench)
{
	unsigned int count = 0;

	for (struct admin_command *c = bench->owner.admin->queues[0].first; c; c = c->queue_next)
		count += c->state == COMMAND_IN_SERVICE;
	return count;
}

static void members_overlap_one_member_does_not(void **state)
{
	struct bench *bench = timed_ready(1000000);
	struct reply replies[MANY];

	for (unsigned int i = 0; i < MANY; i++)
		submit(bench, &replies[i], 0, VFERRY_CMD_DEV_MODE_GET, i % BENCH_VFS + 1, 0);
	assert_int_equal(in_service(bench), BENCH_VFS);
	wait_for(bench, &replies[MANY - 1]);
	for (unsigned int i = 0; i < MANY; i++) {
		EXPECT(&replies[i], OK, OK);
		reply_drop(&replies[i]);
	}
	timed_free(bench);
}

/* The answer of a fast command waits for a slow one before it in the same queue, not in another. */
static void answers_leave_a_queue_in_order(void **state)
{
	struct bench *bench = timed_ready(0);
	struct reply slow, fast, elsewhere;

	assert_int_equal(faults_add(&bench->owner, "slow=20ms,vf=1", NULL), 0);
	submit(bench, &slow, 0, VFERRY_CMD_DEV_MODE_GET, 1, 0);
	submit(bench, &fast, 0, VFERRY_CMD_DEV_MODE_GET, 2, 0);
	submit(bench, &elsewhere, 1, VFERRY_CMD_DEV_MODE_GET, 3, 0);
	assert_int_equal(elsewhere.calls, 1);
	assert_int_equal(fast.calls, 0);
	wait_for(bench, &fast);
	assert_int_equal(slow.calls, 1);
	reply_drop(&slow);
	reply_drop(&fast);
	reply_drop(&elsewhere);
	timed_free(bench);
}

/* Commands of one member take effect in the order of their arrival, whatever the queue. */
static void one_member_is_served_in_order_across_queues(void **state)
{
	struct bench *bench = timed_ready(500000);
	struct reply set, get;

	submit(bench, &set, 0, VFERRY_CMD_DEV_MODE_SET, 1, VFERRY_MODE_FREEZE);
	submit(bench, &get, 1, VFERRY_CMD_DEV_MODE_GET, 1, 0);
	wait_for(bench, &get);
	assert_int_equal(set.calls, 1);
	assert_int_equal(get.data[0], VFERRY_MODE_FREEZE);
	reply_drop(&set);
	reply_drop(&get);
	timed_free(bench);
}

/* LIST_USE takes effect after what is before it in its queue, and before what is behind. */
static void list_use_stands_between_its_neighbours(void **state)
{
	struct bench *bench = timed_ready(500000);
	struct reply before, use, after;

	submit(bench, &before, 0, VFERRY_CMD_DEV_MODE_GET, 1, 0);
	submit(bench, &use, 0, VFERRY_CMD_LIST_USE, 0, 3);
	submit(bench, &after, 0, VFERRY_CMD_DEV_MODE_GET, 2, 0);
	assert_int_equal(in_service(bench), 1);
	wait_for(bench, &after);
	EXPECT(&before, OK, OK);
	EXPECT(&use, OK, OK);
	EXPECT(&after, EINVAL, INVALID_OPCODE);
	reply_drop(&before);
	reply_drop(&use);
	reply_drop(&after);
	timed_free(bench);
}

static void reset_drops_commands_in_service(void **state)
{
	struct bench *bench = timed_ready(1000000);
	struct reply one, two, kept;

	submit(bench, &one, 0, VFERRY_CMD_DEV_MODE_SET, 1, VFERRY_MODE_STOP);
	submit(bench, &two, 0, VFERRY_CMD_DEV_MODE_SET, 1, VFERRY_MODE_FREEZE);
	submit(bench, &kept, 1, VFERRY_CMD_DEV_MODE_GET, 1, 0);
	admin_queue_reset(&bench->owner, 0);
	wait_for(bench, &kept);
	assert_int_equal(kept.data[0], VFERRY_MODE_ACTIVE);
	assert_int_equal(one.calls + two.calls, 0);
	reply_drop(&one);
	reply_drop(&two);
	reply_drop(&kept);
	timed_free(bench);
}

static void freeing_the_owner_drops_everything(void **state)
{
	struct bench *bench = timed_ready(1000000);
	struct reply replies[8];

	for (unsigned int i = 0; i < 8; i++)
		submit(bench, &replies[i], i % 3, VFERRY_CMD_DEV_CTX_READ, i % 2 + 1, 0);
	timed_free(bench);
	for (unsigned int i = 0; i < 8; i++)
		reply_drop(&replies[i]);
}

static void the_clock_changes_blocks_of_active_vfs(void **state)
{
	struct owner_opts opts = bench_opts();
	uint64_t deadline = vf_now_ns() + GENEROUS_NS;
	struct bench *bench;

	opts.change_rate = 64 << 20;
	bench = timed(opts);
	/* It began without a ring. */
	blocks_clock_start(&bench->owner);
	bench->vfs[2].mode = VFERRY_MODE_STOP;
	bench->vfs[3].mode = VFERRY_MODE_FREEZE;
	while (bench->vfs[1].admin->blocks.version < 5) {
		assert_true(vf_now_ns() < deadline);
		vf_ring_turn(bench->owner.ring, deadline);
	}
	assert_int_equal(bench->vfs[2].admin->blocks.version, 0);
	assert_int_equal(bench->vfs[3].admin->blocks.version, 0);
	timed_free(bench);
}

/* The first large area that is not needed is kept as the spare, without content; the next is given back bit by bit. */
static void areas_are_given_back(void **state)
{
	struct owner_opts opts = bench_opts();
	uint64_t deadline = vf_now_ns() + GENEROUS_NS;
	struct block_area *area, *first = NULL;
	struct bench *bench;

	opts.vfs = 1;
	opts.context_bytes = 24 << 20;
	bench = timed(opts);
	for (int times = 0; times < 2; times++) {
		area = block_area_new(24 * 16, 0);
		assert_non_null(area);
		first = first ? first : area;
		for (uint32_t i = 0; i < 24 * 16; i++) {
			*block_area_at(area, i) = 1;
			block_area_mark(area, i);
		}
		block_area_retire(&bench->owner, area);
	}
	assert_non_null(bench->owner.admin->retired);
	while (bench->owner.admin->retired) {
		assert_true(vf_now_ns() < deadline);
		vf_ring_turn(bench->owner.ring, deadline);
	}
	area = block_area_take(&bench->owner, 24 * 16, 0);
	assert_ptr_equal(area, first);
	assert_int_equal(area->used, 0);
	assert_int_equal(area->filled[0], 0);
	block_area_retire(&bench->owner, area);
	area = block_area_take(&bench->owner, 16, 0); /* another size: a new one */
	assert_int_equal(area->count, 16);
	block_area_free(area);
	for (uint32_t i = 0; i < 24 * 16; i++)
		blocks_value(&bench->vfs[1], i);
	blocks_blank(&bench->vfs[1]);
	timed_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_after_the_service_time),
		cmocka_unit_test(members_overlap_one_member_does_not),
		cmocka_unit_test(answers_leave_a_queue_in_order),
		cmocka_unit_test(one_member_is_served_in_order_across_queues),
		cmocka_unit_test(list_use_stands_between_its_neighbours),
		cmocka_unit_test(reset_drops_commands_in_service),
		cmocka_unit_test(freeing_the_owner_drops_everything),
		cmocka_unit_test(the_clock_changes_blocks_of_active_vfs),
		cmocka_unit_test(areas_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
