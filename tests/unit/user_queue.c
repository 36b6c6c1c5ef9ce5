// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fake_queue.h"

#define COMMANDS 300

struct world {
	struct fake fake;
	struct vf_ring *ring;
	struct vf_admin *admin;
	struct vferry_cmd cmds[COMMANDS];
	unsigned int order[COMMANDS]; /* of done() */
	unsigned int done;
};

static void note_done(struct vferry_cmd *cmd)
{
	struct world *world = cmd->arg;

	assert_true(world->done < COMMANDS);
	world->order[world->done++] = (unsigned int)(cmd - world->cmds);
}

static void world_open(struct world *world, uint16_t size, bool event_idx, bool indirect)
{
	memset(world, 0, sizeof(*world));
	fake_open(&world->fake, size, event_idx, indirect);
	assert_int_equal(vf_ring_new(&world->ring, 64, NULL), 0);
	assert_int_equal(vf_user_queue_open(&world->admin, world->ring, &world->fake.lease, NULL),
			 0);
	for (unsigned int i = 0; i < COMMANDS; i++) {
		world->cmds[i].opcode = VFERRY_CMD_DEV_MODE_GET;
		world->cmds[i].group_type = VFERRY_GROUP_SRIOV;
		world->cmds[i].member = 1 + i % 8;
		world->cmds[i].result_room = 8;
		world->cmds[i].done = note_done;
		world->cmds[i].arg = world;
	}
}

static void world_close(struct world *world)
{
	vf_admin_close(world->admin);
	vf_ring_free(world->ring);
	fake_close(&world->fake);
}

static void turn(struct world *world)
{
	for (unsigned int i = 0; i < 3; i++)
		assert_true(vf_ring_turn(world->ring, 0) >= 0);
}

/* Until @done commands are done; their deadlines bound it. */
static void turn_until(struct world *world, unsigned int done)
{
	while (world->done < done)
		assert_true(vf_ring_turn(world->ring, UINT64_MAX) >= 0);
	assert_int_equal(world->done, done);
}

/* The device of these tests acts between turns, so a turn must not wait for it. */
static void step(struct world *world)
{
	assert_true(vf_ring_turn(world->ring, vf_now_ns() + 200000) >= 0);
}

static void submit(struct world *world, unsigned int i)
{
	vf_admin_submit(world->admin, &world->cmds[i]);
}

static void take(struct world *world, struct fake_chain *chain)
{
	assert_true(fake_take(&world->fake, chain));
}

static void a_command_and_its_answer(void **state)
{
	struct fake_chain chain;
	struct world world;
	uint8_t mode = 2;

	world_open(&world, 16, true, true);
	submit(&world, 0);
	assert_int_equal(world.done, 0);
	assert_false(fake_take(&world.fake, &chain));
	turn(&world);
	take(&world, &chain);
	assert_int_equal(le16toh(chain.header.opcode), VFERRY_CMD_DEV_MODE_GET);
	assert_int_equal(le16toh(chain.header.group_type), 1);
	assert_int_equal(le64toh(chain.header.group_member_id), 1);
	assert_int_equal(chain.readable, 24);
	assert_int_equal(chain.room, 16);
	assert_int_equal(world.fake.kicks, 1);
	fake_answer(&world.fake, &chain, 0, 0, 0x01020304, &mode, 1);
	turn_until(&world, 1);
	assert_int_equal(world.cmds[0].error, 0);
	assert_int_equal(world.cmds[0].status, 0);
	assert_int_equal(world.cmds[0].used, 1);
	assert_int_equal(world.cmds[0].output[0], 4);
	assert_int_equal(((const uint8_t *)world.cmds[0].answer)[0], 2);
	assert_int_equal(((const uint8_t *)world.cmds[0].answer)[1], 0);
	assert_true(world.cmds[0].submit_ns <= world.cmds[0].issue_ns);
	assert_true(world.cmds[0].issue_ns <= world.cmds[0].wake_ns);
	assert_true(world.cmds[0].wake_ns <= world.cmds[0].done_ns);
	assert_int_equal(world.admin->inflight, 0);
	assert_int_equal(world.admin->queued, 0);
	world_close(&world);
}

static void the_readable_part_is_padded(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 16, true, true);
	/* A MODE_SET that is cut off would resume the device. */
	world.cmds[0].opcode = VFERRY_CMD_DEV_MODE_SET;
	world.cmds[1].opcode = VFERRY_CMD_DEV_MODE_SET;
	world.cmds[1].inline_data[0] = 2;
	world.cmds[1].inline_length = 1;
	world.cmds[2].inline_length = 11;
	memset(world.cmds[2].inline_data, 0xff, sizeof(world.cmds[2].inline_data));
	world.cmds[2].result_room = 3;
	for (unsigned int i = 0; i < 3; i++)
		submit(&world, i);
	turn(&world);
	take(&world, &chain);
	assert_int_equal(chain.readable, 32);
	fake_ok(&world.fake, &chain);
	take(&world, &chain);
	assert_int_equal(chain.readable, 32);
	assert_int_equal(chain.runs[0].bytes[24], 2);
	assert_int_equal(chain.runs[0].bytes[25], 0);
	fake_ok(&world.fake, &chain);
	take(&world, &chain);
	assert_int_equal(chain.readable, 40);
	assert_int_equal(chain.runs[0].bytes[34], 0xff);
	assert_int_equal(chain.runs[0].bytes[35], 0);
	assert_int_equal(chain.room, 16);
	fake_answer(&world.fake, &chain, 0, 0, 0, "12345678", 8);
	turn_until(&world, 3);
	/* The padding of the room is ours. */
	assert_int_equal(world.cmds[2].used, 3);
	assert_memory_equal(world.cmds[2].answer, "123\0\0", 5);
	world_close(&world);
}

static void bytes_go_by_the_arena(bool indirect)
{
	struct vferry_sg out[2] = {
		{ FAKE_ARENA_IOVA + 4096, 5 },
		{ FAKE_ARENA_IOVA + 8192, 7 },
	};
	struct vferry_sg in[2] = {
		{ FAKE_ARENA_IOVA + 16384, 8 },
		{ FAKE_ARENA_IOVA + 32768, 16 },
	};
	struct fake_chain chain;
	struct world world;
	char *arena;

	world_open(&world, 16, true, indirect);
	arena = world.fake.lease.arena;
	memcpy(arena + 4096, "hello", 5);
	memcpy(arena + 8192, "devices", 7);
	world.cmds[0].opcode = VFERRY_CMD_DEV_CTX_READ;
	world.cmds[0].inline_length = 4;
	world.cmds[0].data = out;
	world.cmds[0].data_count = 2;
	world.cmds[0].result = in;
	world.cmds[0].result_count = 2;
	submit(&world, 0);
	turn(&world);
	take(&world, &chain);
	assert_int_equal(chain.readable, 24 + 16);
	assert_int_equal(chain.room, 8 + 24);
	assert_memory_equal(chain.runs[1].bytes, "hello", 5);
	assert_memory_equal(chain.runs[2].bytes, "devices", 7);
	fake_answer(&world.fake, &chain, 0, 0, 13, "abcdefghijklm", 13);
	turn_until(&world, 1);
	assert_int_equal(world.cmds[0].error, 0);
	assert_int_equal(world.cmds[0].used, 13);
	assert_memory_equal(arena + 16384, "abcdefgh", 8);
	assert_memory_equal(arena + 32768, "ijklm", 5);
	world_close(&world);
}

static void bytes_go_by_the_arena_indirect(void **state)
{
	bytes_go_by_the_arena(true);
}

static void bytes_go_by_the_arena_direct(void **state)
{
	bytes_go_by_the_arena(false);
}

static void what_cannot_be_sent_is_refused(void **state)
{
	struct vferry_sg outside = { FAKE_ARENA_IOVA + FAKE_ARENA - 8, 16 };
	struct vferry_sg below = { FAKE_ARENA_IOVA - 8, 8 };
	struct vferry_sg wraps = { UINT64_MAX - 7, 16 };
	struct vferry_sg odd = { FAKE_ARENA_IOVA, 12 };
	struct vferry_sg none = { FAKE_ARENA_IOVA, 0 };
	struct vferry_sg *bad[] = { &outside, &below, &wraps, &odd, &none };
	struct world world;

	world_open(&world, 16, true, true);
	for (unsigned int i = 0; i < 5; i++) {
		world.cmds[i].data = bad[i];
		world.cmds[i].data_count = 1;
		world.cmds[5 + i].result = bad[i];
		world.cmds[5 + i].result_count = 1;
	}
	world.cmds[10].inline_length = VFERRY_CMD_INLINE_DATA + 1;
	world.cmds[11].result_room = VFERRY_CMD_INLINE_RESULT + 1;
	world.cmds[12].order = 3;
	for (unsigned int i = 0; i < 13; i++) {
		submit(&world, i);
		assert_int_equal(world.done, i);
		turn_until(&world, i + 1);
		assert_int_equal(world.cmds[i].error, -EINVAL);
		assert_non_null(world.cmds[i].why);
	}
	assert_int_equal(world.admin->inflight, 0);
	world_close(&world);
}

static void more_commands_than_room(void **state)
{
	struct fake_chain chain;
	unsigned int taken = 0;
	struct world world;

	world_open(&world, 16, true, true);
	for (unsigned int i = 0; i < COMMANDS; i++)
		submit(&world, i);
	turn(&world);
	assert_int_equal(world.admin->inflight, 16);
	assert_int_equal(world.admin->queued, COMMANDS - 16);
	/* One doorbell serves them all. */
	assert_int_equal(world.fake.kicks, 1);
	while (world.done < COMMANDS) {
		while (fake_take(&world.fake, &chain)) {
			assert_int_equal(le64toh(chain.header.group_member_id), 1 + taken % 8);
			taken++;
			fake_ok(&world.fake, &chain);
		}
		assert_true(vf_ring_turn(world.ring, UINT64_MAX) >= 0);
	}
	for (unsigned int i = 0; i < COMMANDS; i++)
		assert_int_equal(world.order[i], i);
	assert_int_equal(world.admin->stats.completed, COMMANDS);
	assert_int_equal(world.admin->stats.inflight_max, 16);
	world_close(&world);
}

static void the_ring_wraps(bool event_idx, bool indirect)
{
	struct fake_chain chain;
	struct world world;

	/* Beyond 65536, so that the indices wrap as well. */
	world_open(&world, 8, event_idx, indirect);
	for (unsigned int i = 0; i < 70000; i += 3) {
		world.done = 0;
		for (unsigned int k = 0; k < 3; k++)
			submit(&world, k);
		while (world.done < 3) {
			while (fake_take(&world.fake, &chain))
				fake_answer(&world.fake, &chain, 0, 0, i, &i, 4);
			assert_true(vf_ring_turn(world.ring, 0) >= 0);
		}
		assert_int_equal(world.cmds[2].used, 4);
	}
	assert_int_equal(world.admin->stats.completed, 70002);
	world_close(&world);
}

static void the_ring_wraps_with_event_indices(void **state)
{
	the_ring_wraps(true, true);
}

static void the_ring_wraps_without(void **state)
{
	the_ring_wraps(false, false);
}

static void answers_in_another_order(void **state)
{
	struct fake_chain chains[4];
	struct world world;

	world_open(&world, 16, true, false);
	for (unsigned int i = 0; i < 4; i++)
		submit(&world, i);
	turn(&world);
	for (unsigned int i = 0; i < 4; i++)
		take(&world, &chains[i]);
	for (unsigned int i = 0; i < 4; i++)
		fake_answer(&world.fake, &chains[3 - i], 0, 0, 3 - i, NULL, 0);
	turn_until(&world, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(world.order[i], 3 - i);
		assert_int_equal(world.cmds[i].output[0], i);
	}
	world_close(&world);
}

/* Interrupts may be saved where answers come fast; none is waited for that does not come. */
static void relaxed_answers_are_seen_all_the_same(void **state)
{
	struct fake_chain chains[97];
	struct world world;
	unsigned int taken = 0;

	world_open(&world, 128, true, true);
	for (unsigned int i = 0; i < 96; i++) {
		world.cmds[i].relaxed = true;
		submit(&world, i);
	}
	turn(&world);
	for (; taken < 96; taken++)
		take(&world, &chains[taken]);
	/* The device stops after one, two, three... answers. */
	for (unsigned int more = 1, i = 0; i < 66; more++) {
		for (unsigned int end = i + more; i < end; i++)
			fake_ok(&world.fake, &chains[i]);
		turn_until(&world, i);
	}
	/* One that is not relaxed among them: each answer interrupts. */
	submit(&world, 96);
	step(&world);
	take(&world, &chains[taken]);
	for (unsigned int i = 66; i < 97; i++) {
		step(&world);
		assert_int_equal(le16toh(world.fake.avail->ring[world.fake.lease.queue_size]), i);
		fake_ok(&world.fake, &chains[i]);
		turn_until(&world, i + 1);
	}
	world_close(&world);
}

static void a_late_answer(void **state)
{
	struct fake_chain late, chain;
	struct world world;

	world_open(&world, 16, true, true);
	world.cmds[0].deadline_ns = vf_now_ns() + 2000000;
	submit(&world, 0);
	turn_until(&world, 1);
	assert_int_equal(world.cmds[0].error, -ETIMEDOUT);
	assert_true(world.cmds[0].abandoned);
	assert_int_equal(world.admin->abandoned, 1);
	assert_int_equal(world.admin->inflight, 1);
	assert_true(vf_admin_busy(world.admin));
	take(&world, &late);
	/* The next command does not get the memory of the first. */
	submit(&world, 1);
	turn(&world);
	take(&world, &chain);
	assert_ptr_not_equal(chain.runs[0].bytes, late.runs[0].bytes);
	assert_int_not_equal(chain.id, late.id);
	fake_ok(&world.fake, &late);
	fake_ok(&world.fake, &chain);
	turn_until(&world, 2);
	assert_int_equal(world.cmds[1].error, 0);
	assert_int_equal(world.admin->abandoned, 0);
	assert_int_equal(vf_admin_settle(world.admin, vf_now_ns() + 1000000000ULL), 0);
	assert_int_equal(world.fake.resets, 0);
	assert_int_equal(world.admin->stats.timed_out, 1);
	world_close(&world);
}

static void an_answer_that_never_comes(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 4, true, false);
	/* All places are the device's: what comes later cannot even be sent. */
	for (unsigned int i = 0; i < 4; i++) {
		world.cmds[i].deadline_ns = vf_now_ns() + 2000000;
		submit(&world, i);
	}
	turn_until(&world, 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(world.cmds[i].error, -ETIMEDOUT);
	world.fake.lease.can_reset = false;
	assert_int_equal(vf_admin_settle(world.admin, vf_now_ns() + 2000000), -EBUSY);
	world.fake.lease.can_reset = true;
	assert_int_equal(vf_admin_settle(world.admin, vf_now_ns() + 2000000), 0);
	assert_int_equal(world.fake.resets, 1);
	assert_false(vf_admin_busy(world.admin));
	assert_int_equal(world.admin->inflight, 0);
	submit(&world, 4);
	turn(&world);
	take(&world, &chain);
	fake_ok(&world.fake, &chain);
	turn_until(&world, 5);
	assert_int_equal(world.cmds[4].error, 0);
	world_close(&world);
}

/* @spoil answers wrongly; everything under way fails, nothing else happens, and a reset puts it right. */
static void poisoned(void (*spoil)(struct world *world, struct fake_chain *chain))
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	submit(&world, 0);
	submit(&world, 1);
	turn(&world);
	take(&world, &chain);
	spoil(&world, &chain);
	turn_until(&world, 2);
	assert_int_equal(world.cmds[1].error, -EPROTO);
	assert_non_null(world.cmds[1].why);
	assert_int_equal(world.admin->dead, -EPROTO);
	submit(&world, 2);
	turn_until(&world, 3);
	assert_int_equal(world.cmds[2].error, -EPROTO);
	assert_int_equal(vf_admin_settle(world.admin, vf_now_ns() + 1000000000ULL), 0);
	submit(&world, 3);
	turn(&world);
	take(&world, &chain);
	fake_ok(&world.fake, &chain);
	turn_until(&world, 4);
	assert_int_equal(world.cmds[3].error, 0);
	world_close(&world);
}

static void answer_large(struct world *world, struct fake_chain *chain)
{
	fake_used(&world->fake, 0xdeadbeef, 8);
}

static void answer_unknown(struct world *world, struct fake_chain *chain)
{
	fake_used(&world->fake, 7, 8);
}

static void answer_twice(struct world *world, struct fake_chain *chain)
{
	fake_ok(&world->fake, chain);
	fake_ok(&world->fake, chain);
}

static void answer_ahead(struct world *world, struct fake_chain *chain)
{
	world->fake.used_index = 1000;
	world->fake.used->idx = htole16(1000);
	eventfd_write(world->fake.lease.call_fd, 1);
}

static void an_answer_that_cannot_be(void **state)
{
	poisoned(answer_large);
	poisoned(answer_unknown);
	poisoned(answer_twice);
	poisoned(answer_ahead);
}

static void wrong_lengths(void **state)
{
	static const struct {
		uint16_t opcode;
		uint32_t used;
		uint32_t output;
		int error;
	} cases[] = {
		{ VFERRY_CMD_DEV_MODE_GET, 0, 0, -EPROTO },
		{ VFERRY_CMD_DEV_MODE_GET, 3, 0, -EPROTO },
		{ VFERRY_CMD_DEV_MODE_GET, 17, 0, -EPROTO },
		{ VFERRY_CMD_DEV_MODE_GET, 0xffffffff, 0, -EPROTO },
		{ VFERRY_CMD_DEV_MODE_GET, 4, 0, 0 },
		{ VFERRY_CMD_DEV_MODE_GET, 16, 0, 0 },
		/* An end of the context must be said, not left out. */
		{ VFERRY_CMD_DEV_CTX_READ, 4, 0, -EPROTO },
		{ VFERRY_CMD_DEV_CTX_READ, 8, 0, 0 },
		{ VFERRY_CMD_DEV_CTX_READ, 8, 1, -EPROTO },
		{ VFERRY_CMD_DEV_CTX_READ, 12, 4, 0 },
		{ VFERRY_CMD_DEV_CTX_READ, 12, 5, -EPROTO },
	};
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t output = htole32(cases[i].output);

		world.cmds[i].opcode = cases[i].opcode;
		submit(&world, i);
		turn(&world);
		take(&world, &chain);
		memset(chain.runs[1].bytes, 0, 4);
		memcpy(chain.runs[1].bytes + 4, &output, 4);
		fake_used(&world.fake, chain.id, cases[i].used);
		turn_until(&world, i + 1);
		assert_int_equal(world.cmds[i].error, cases[i].error);
		/* Only this command is touched. */
		assert_int_equal(world.admin->dead, 0);
	}
	world_close(&world);
}

static void unknown_statuses_are_values(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	submit(&world, 0);
	turn(&world);
	take(&world, &chain);
	fake_answer(&world.fake, &chain, 999, 0xfff0, 0, NULL, 0);
	turn_until(&world, 1);
	assert_int_equal(world.cmds[0].error, 0);
	assert_int_equal(world.cmds[0].status, 999);
	assert_int_equal(world.cmds[0].qualifier, 0xfff0);
	assert_int_equal(world.admin->stats.failed, 1);
	world_close(&world);
}

static void eagain(struct world *world)
{
	struct fake_chain chain;

	while (!fake_take(&world->fake, &chain))
		step(world);
	fake_answer(&world->fake, &chain, VFERRY_STATUS_EAGAIN, VFERRY_Q_TRYAGAIN, 0, NULL, 0);
}

static void eagain_is_tried_again(void **state)
{
	struct fake_chain chain;
	struct world world;
	bool taken;

	world_open(&world, 8, true, true);
	submit(&world, 0);
	eagain(&world);
	eagain(&world);
	eagain(&world);
	while (!fake_take(&world.fake, &chain))
		step(&world);
	fake_ok(&world.fake, &chain);
	turn_until(&world, 1);
	assert_int_equal(world.cmds[0].error, 0);
	assert_int_equal(world.cmds[0].retries, 3);
	world.cmds[1].no_retry = true;
	submit(&world, 1);
	eagain(&world);
	turn_until(&world, 2);
	assert_int_equal(world.cmds[1].error, 0);
	assert_int_equal(world.cmds[1].status, VFERRY_STATUS_EAGAIN);
	world.cmds[2].deadline_ns = vf_now_ns() + 500000000;
	submit(&world, 2);
	while (world.done < 3) {
		if (fake_take(&world.fake, &chain))
			fake_answer(&world.fake, &chain, VFERRY_STATUS_EAGAIN, 7, 0, NULL, 0);
		step(&world);
	}
	assert_int_equal(world.cmds[2].error, -ETIMEDOUT);
	assert_true(world.cmds[2].retries > 0);
	/* Put off, not unanswered: nothing is the device's, unless we slept just when it had the command. */
	taken = fake_take(&world.fake, &chain);
	assert_int_equal(world.cmds[2].abandoned, taken);
	if (taken)
		fake_ok(&world.fake, &chain);
	while (vf_admin_busy(world.admin)) {
		assert_true(taken);
		step(&world);
	}
	world_close(&world);
}

static void order(struct world *world, enum vferry_order wish)
{
	for (unsigned int i = 0; i < 3; i++) {
		world->cmds[i].opcode = VFERRY_CMD_DEV_CTX_WRITE;
		world->cmds[i].member = 1;
		world->cmds[i].inline_data[0] = (uint8_t)i;
		world->cmds[i].inline_length = 1;
		world->cmds[i].order = (uint8_t)wish;
		submit(world, i);
	}
	/* Another member is not concerned. */
	world->cmds[3].member = 2;
	world->cmds[3].order = (uint8_t)wish;
	submit(world, 3);
	turn(world);
}

static unsigned int which(const struct fake_chain *chain)
{
	return le64toh(chain->header.group_member_id) == 2 ? 3 : chain->runs[0].bytes[24];
}

static void strict_order_is_never_overtaken(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	order(&world, VFERRY_ORDER_STRICT);
	take(&world, &chain);
	assert_int_equal(which(&chain), 0);
	fake_answer(&world.fake, &chain, VFERRY_STATUS_EAGAIN, 7, 0, NULL, 0);
	take(&world, &chain);
	assert_int_equal(which(&chain), 3);
	fake_ok(&world.fake, &chain);
	assert_false(fake_take(&world.fake, &chain));
	turn_until(&world, 1);
	for (unsigned int i = 0; i < 3; i++) {
		while (!fake_take(&world.fake, &chain))
			step(&world);
		assert_int_equal(which(&chain), i);
		assert_false(fake_take(&world.fake, &chain));
		fake_ok(&world.fake, &chain);
	}
	turn_until(&world, 4);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(world.order[1 + i], i);
		assert_int_equal(world.cmds[i].error, 0);
	}
	world_close(&world);
}

static void a_failure_ends_those_behind_it(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	order(&world, VFERRY_ORDER_STRICT);
	take(&world, &chain);
	fake_answer(&world.fake, &chain, VFERRY_STATUS_EINVAL, 1, 0, NULL, 0);
	turn_until(&world, 3);
	assert_int_equal(world.cmds[0].error, 0);
	assert_int_equal(world.cmds[0].status, VFERRY_STATUS_EINVAL);
	assert_int_equal(world.cmds[1].error, -ECANCELED);
	assert_int_equal(world.cmds[2].error, -ECANCELED);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(world.order[i], i);
	/* The order may begin again. */
	submit(&world, 0);
	turn(&world);
	take(&world, &chain);
	fake_ok(&world.fake, &chain);
	take(&world, &chain);
	assert_int_equal(which(&chain), 0);
	fake_ok(&world.fake, &chain);
	turn_until(&world, 5);
	world_close(&world);
}

static void pipelined_and_all_put_off(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	order(&world, VFERRY_ORDER_PIPELINED);
	for (unsigned int i = 0; i < 3; i++) {
		take(&world, &chain);
		assert_int_equal(which(&chain), i);
		fake_answer(&world.fake, &chain, VFERRY_STATUS_EAGAIN, 7, 0, NULL, 0);
	}
	take(&world, &chain);
	fake_ok(&world.fake, &chain);
	turn_until(&world, 1);
	for (unsigned int i = 0; i < 3; i++) {
		while (!fake_take(&world.fake, &chain))
			step(&world);
		assert_int_equal(which(&chain), i);
		assert_false(fake_take(&world.fake, &chain));
		fake_ok(&world.fake, &chain);
	}
	turn_until(&world, 4);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(world.order[1 + i], i);
		assert_int_equal(world.cmds[i].error, 0);
	}
	world_close(&world);
}

static void pipelined_and_overtaken(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	order(&world, VFERRY_ORDER_PIPELINED);
	take(&world, &chain);
	fake_answer(&world.fake, &chain, VFERRY_STATUS_EAGAIN, 7, 0, NULL, 0);
	take(&world, &chain);
	fake_ok(&world.fake, &chain);
	take(&world, &chain);
	fake_answer(&world.fake, &chain, VFERRY_STATUS_EAGAIN, 7, 0, NULL, 0);
	turn_until(&world, 3);
	assert_int_equal(world.cmds[0].error, -ECANCELED);
	assert_int_equal(world.cmds[1].error, -EILSEQ);
	assert_int_equal(world.cmds[2].error, -ECANCELED);
	world_close(&world);
}

static void ordered_commands_time_out(void **state)
{
	struct world world;

	world_open(&world, 8, true, true);
	for (unsigned int i = 0; i < 3; i++)
		world.cmds[i].deadline_ns = vf_now_ns() + 3000000;
	/* The middle one's comes first, while it waits for its turn. */
	world.cmds[1].deadline_ns = vf_now_ns() + 1000000;
	order(&world, VFERRY_ORDER_STRICT);
	turn_until(&world, 3);
	assert_int_equal(world.cmds[0].error, -ETIMEDOUT);
	assert_int_equal(world.cmds[1].error, -ETIMEDOUT);
	assert_true(world.cmds[2].error == -ETIMEDOUT || world.cmds[2].error == -ECANCELED);
	assert_int_equal(world.admin->abandoned, 1);
	world_close(&world);
	assert_int_equal(world.cmds[3].error, -ECANCELED);
}

static void cancelled(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	submit(&world, 0);
	turn(&world);
	submit(&world, 1);
	vf_admin_cancel(world.admin, &world.cmds[0]);
	vf_admin_cancel(world.admin, &world.cmds[1]);
	assert_int_equal(world.done, 0);
	turn_until(&world, 2);
	assert_int_equal(world.cmds[0].error, -ECANCELED);
	assert_int_equal(world.cmds[1].error, -ECANCELED);
	assert_true(world.cmds[0].abandoned);
	assert_false(world.cmds[1].abandoned);
	vf_admin_cancel(world.admin, &world.cmds[0]);
	turn(&world);
	assert_int_equal(world.done, 2);
	take(&world, &chain);
	assert_false(fake_take(&world.fake, &chain));
	assert_int_equal(world.admin->abandoned, 1);
	world_close(&world);
}

static void the_owner_goes(void **state)
{
	struct fake_chain chain;
	struct world world;

	world_open(&world, 8, true, true);
	submit(&world, 4);
	submit(&world, 5);
	order(&world, VFERRY_ORDER_STRICT);
	take(&world, &chain);
	fake_ok(&world.fake, &chain);
	world.fake.gone = true;
	close(world.fake.end[1]);
	world.fake.end[1] = -1;
	world.done = 0;
	while (!world.admin->dead)
		assert_true(vf_ring_turn(world.ring, UINT64_MAX) >= 0);
	turn(&world);
	assert_int_equal(world.admin->dead, -ENODEV);
	assert_int_equal(world.cmds[4].error, 0);
	assert_int_equal(world.cmds[5].error, -ENODEV);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(world.cmds[i].error, -ENODEV);
	assert_int_equal(world.admin->queued, 0);
	assert_int_equal(vf_admin_settle(world.admin, vf_now_ns() + 1000000), -ENODEV);
	world_close(&world);
}

static void a_ring_that_is_not_at_rest(void **state)
{
	struct vferry_error err;
	struct vf_admin *admin;
	struct vf_ring *ring;
	struct fake fake;

	fake_open(&fake, 8, true, true);
	fake.avail->idx = htole16(5);
	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	assert_int_equal(vf_user_queue_open(&admin, ring, &fake.lease, &err), -EBUSY);
	/* At rest elsewhere than at zero is fine. */
	fake.used->idx = htole16(5);
	assert_int_equal(vf_user_queue_open(&admin, ring, &fake.lease, &err), 0);
	vf_admin_close(admin);
	fake.lease.used_offset = (uint32_t)fake.lease.rings_bytes - 8;
	assert_int_equal(vf_user_queue_open(&admin, ring, &fake.lease, &err), -EINVAL);
	vf_ring_free(ring);
	fake_close(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_and_its_answer),
		cmocka_unit_test(the_readable_part_is_padded),
		cmocka_unit_test(bytes_go_by_the_arena_indirect),
		cmocka_unit_test(bytes_go_by_the_arena_direct),
		cmocka_unit_test(what_cannot_be_sent_is_refused),
		cmocka_unit_test(more_commands_than_room),
		cmocka_unit_test(the_ring_wraps_with_event_indices),
		cmocka_unit_test(the_ring_wraps_without),
		cmocka_unit_test(answers_in_another_order),
		cmocka_unit_test(relaxed_answers_are_seen_all_the_same),
		cmocka_unit_test(a_late_answer),
		cmocka_unit_test(an_answer_that_never_comes),
		cmocka_unit_test(an_answer_that_cannot_be),
		cmocka_unit_test(wrong_lengths),
		cmocka_unit_test(unknown_statuses_are_values),
		cmocka_unit_test(eagain_is_tried_again),
		cmocka_unit_test(strict_order_is_never_overtaken),
		cmocka_unit_test(a_failure_ends_those_behind_it),
		cmocka_unit_test(pipelined_and_all_put_off),
		cmocka_unit_test(pipelined_and_overtaken),
		cmocka_unit_test(ordered_commands_time_out),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(the_owner_goes),
		cmocka_unit_test(a_ring_that_is_not_at_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
