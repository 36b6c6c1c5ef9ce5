// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The way over the kernel module, without it: what SQEs say, and what their answers mean. /dev/null takes any of them and answers 0. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "admin/uring_cmd_inside.h"

#define ARENA_IOVA 0x10000000u

struct world {
	struct vf_uring_cmd carrier;
	struct user_queue queue;
	struct vf_lease lease;
	struct command_slot slots[4];
	struct vferry_cmd cmd;
};

static void world_open(struct world *world)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };

	memset(world, 0, sizeof(*world));
	world->carrier.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(world->carrier.fd >= 0);
	assert_int_equal(io_uring_queue_init_params(8, &world->carrier.ring, &params), 0);
	world->carrier.commands = calloc(4, VF_URING_CMD_SLOT_BYTES);
	assert_non_null(world->carrier.commands);
	world->carrier.commands_buffer = 5;
	world->carrier.arena_buffer = 6;
	world->lease.indirect = true;
	world->lease.arena_iova = ARENA_IOVA;
	world->lease.arena_bytes = 1 << 20;
	world->queue.carrier = &world->carrier;
	world->queue.lease = &world->lease;
	world->queue.slots = world->slots;
	world->queue.slots_count = 4;
	world->cmd = (struct vferry_cmd){
		.opcode = VFERRY_CMD_DEV_MODE_GET,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = 3,
	};
	of(&world->cmd)->deadline_ns = vf_now_ns() + 5000000000u;
}

static void world_close(struct world *world)
{
	io_uring_queue_exit(&world->carrier.ring);
	close(world->carrier.fd);
	free(world->carrier.commands);
}

/* Puts the command into slot 2, and returns what its SQE carries. */
static struct vferry_uring_admin sqe_of(struct world *world)
{
	struct io_uring *ring = &world->carrier.ring;
	unsigned int at = (ring->sq.sqe_tail & ring->sq.ring_mask) << 1;
	struct vferry_uring_admin admin;
	struct io_uring_sqe *sqe = &ring->sq.sqes[at];

	world->slots[2].cmd = &world->cmd;
	world->slots[2].in_use = true;
	assert_int_equal(vf_uring_cmd_way.add(&world->queue, &world->cmd, 2), 0);
	assert_int_equal(sqe->opcode, IORING_OP_URING_CMD);
	assert_int_equal(sqe->fd, world->carrier.fd);
	assert_int_equal((uint32_t)sqe->off, VFERRY_URING_ADMIN);
	assert_int_equal(sqe->off >> 32, 0);
	assert_int_equal(sqe->user_data & 0xffff, 2);
	memcpy(&admin, (char *)sqe + offsetof(struct io_uring_sqe, addr3), sizeof(admin));
	assert_int_equal(admin.group_type, 1);
	assert_int_equal(admin.member, 3);
	assert_int_equal(admin.reserved1, 0);
	assert_int_equal(admin.reserved2, 0);
	assert_in_range(admin.timeout_ms, 1, 5001);
	return admin;
}

static void a_result_in_the_commands_memory(void **state)
{
	struct world world;
	struct vferry_uring_admin admin;

	(void)state;
	world_open(&world);
	world.cmd.result_room = 8;
	admin = sqe_of(&world);
	assert_int_equal(admin.opcode, VFERRY_CMD_DEV_MODE_GET);
	assert_int_equal(admin.flags, 0);
	assert_int_equal(admin.data_buffer, VFERRY_URING_NONE);
	assert_int_equal(admin.result_buffer, 5);
	assert_int_equal(admin.result_length, 8);
	assert_int_equal(admin.result_offset, 2 * VF_URING_CMD_SLOT_BYTES);
	assert_int_equal(admin.inline_length, 0);
	world_close(&world);
}

static void a_byte_of_data_is_padded(void **state)
{
	struct world world;
	struct vferry_uring_admin admin;

	(void)state;
	world_open(&world);
	world.cmd.opcode = VFERRY_CMD_DEV_MODE_SET;
	world.cmd.inline_data[0] = VFERRY_MODE_FREEZE;
	world.cmd.inline_length = 1;
	admin = sqe_of(&world);
	assert_int_equal(admin.inline_length, 8);
	assert_int_equal(admin.inline_data[0], VFERRY_MODE_FREEZE);
	for (unsigned int i = 1; i < sizeof(admin.inline_data); i++)
		assert_int_equal(admin.inline_data[i], 0);
	assert_int_equal(admin.result_buffer, VFERRY_URING_NONE);
	world_close(&world);
}

static void runs_of_the_arena(void **state)
{
	const struct vferry_sg sg[2] = { { .iova = ARENA_IOVA + 4096, .length = 4096 },
					 { .iova = ARENA_IOVA + 65536, .length = 8192 } };
	const struct vferry_uring_run *runs;
	struct world world;
	struct vferry_uring_admin admin;

	(void)state;
	world_open(&world);
	world.cmd.opcode = VFERRY_CMD_DEV_CTX_READ;
	world.cmd.result = sg;
	world.cmd.result_count = 1;
	admin = sqe_of(&world);
	assert_int_equal(admin.flags, 0);
	assert_int_equal(admin.result_buffer, 6);
	assert_int_equal(admin.result_offset, 4096);
	assert_int_equal(admin.result_length, 4096);
	world.cmd.result_count = 2;
	admin = sqe_of(&world);
	assert_int_equal(admin.flags, VFERRY_URING_RESULT_RUNS);
	assert_int_equal(admin.result_buffer, VFERRY_URING_NONE);
	assert_int_equal(admin.result_length, 2);
	runs = (const void *)(uintptr_t)admin.result_offset;
	assert_int_equal(runs[0].buffer, 6);
	assert_int_equal(runs[0].offset, 4096);
	assert_int_equal(runs[1].offset, 65536);
	assert_int_equal(runs[1].length, 8192);
	world_close(&world);
}

static void raw_commands_are_refused(void **state)
{
	const struct vferry_sg sg = { .iova = ARENA_IOVA, .length = 32 };
	struct world world;

	(void)state;
	world_open(&world);
	assert_null(vf_uring_cmd_way.check(&world.queue, &world.cmd));
	world.cmd.order = VF_ORDER_RAW;
	world.cmd.data = world.cmd.result = &sg;
	world.cmd.data_count = world.cmd.result_count = 1;
	assert_non_null(vf_uring_cmd_way.check(&world.queue, &world.cmd));
	world_close(&world);
}

static void publish_and_wait(struct world *world)
{
	struct io_uring_cqe *cqe;

	vf_uring_cmd_way.publish(&world->queue);
	assert_int_equal(io_uring_wait_cqe(&world->carrier.ring, &cqe), 0);
}

static void an_answer_without_bytes_is_none(void **state)
{
	struct vf_vq_answer answer = { 0 };
	struct world world;

	(void)state;
	world_open(&world);
	world.cmd.result_room = 8;
	sqe_of(&world);
	assert_false(vf_uring_cmd_way.listen(&world.queue, 0));
	publish_and_wait(&world);
	assert_true(vf_uring_cmd_way.listen(&world.queue, 0));
	assert_int_equal(vf_uring_cmd_way.pop(&world.queue, &answer), 1);
	assert_ptr_equal(answer.token, &world.slots[2]);
	assert_int_equal(answer.length, 0);
	assert_int_equal(vf_uring_cmd_way.take(&world.queue, &world.cmd, 2, answer.length),
			 -EPROTO);
	assert_int_equal(vf_uring_cmd_way.pop(&world.queue, &answer), 0);
	world_close(&world);
}

static void an_answer_from_before_a_reset_is_nobodys(void **state)
{
	struct vf_vq_answer answer;
	struct world world;

	(void)state;
	world_open(&world);
	sqe_of(&world);
	publish_and_wait(&world);
	vf_uring_cmd_way.restart(&world.queue);
	assert_int_equal(vf_uring_cmd_way.pop(&world.queue, &answer), 0);
	world_close(&world);
}

static void answers_in_the_kernels_words(void **state)
{
	struct world world;

	(void)state;
	world_open(&world);
	world.cmd.result_room = 8;
	world.carrier.answers[2].res = 16;
	world.carrier.answers[2].word = 0x04030201ull << 32 | 0x7ull << 16 | VFERRY_STATUS_EINVAL;
	assert_int_equal(vf_uring_cmd_way.take(&world.queue, &world.cmd, 2, 16), 0);
	assert_int_equal(world.cmd.status, VFERRY_STATUS_EINVAL);
	assert_int_equal(world.cmd.qualifier, 7);
	assert_int_equal(world.cmd.output[0], 1);
	assert_int_equal(world.cmd.output[3], 4);
	/* More than there was room for. */
	assert_int_equal(vf_uring_cmd_way.take(&world.queue, &world.cmd, 2, 17), -EPROTO);
	/* Refused by the kernel: named; a full queue is to be tried again. */
	world.carrier.answers[2].res = -EACCES;
	assert_int_equal(vf_uring_cmd_way.take(&world.queue, &world.cmd, 2, 0), -EACCES);
	assert_non_null(world.cmd.why);
	world.carrier.answers[2].res = -EBUSY;
	assert_int_equal(vf_uring_cmd_way.take(&world.queue, &world.cmd, 2, 0), 0);
	assert_int_equal(world.cmd.status, VFERRY_STATUS_EAGAIN);
	world_close(&world);
}

static void what_is_no_node_is_named(void **state)
{
	struct vferry_owner_opts opts = { .size = sizeof(opts), .timeout_ns = 1000000000u };
	struct vferry_error err = { 0 };
	struct vf_lease lease;
	struct vf_admin *admin;
	struct vf_ring *ring;

	(void)state;
	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	assert_int_equal(
		vf_uring_cmd_open(&admin, ring, &lease, "uring-cmd:/dev/vferry/none", &opts, &err),
		-ENOENT);
	assert_non_null(strstr(err.text, "vferry_vfio_pci.ko"));
	/* It answers 0 to everything: no bytes of struct vferry_uring_info. */
	assert_int_equal(
		vf_uring_cmd_open(&admin, ring, &lease, "uring-cmd:/dev/null", &opts, &err),
		-EPROTONOSUPPORT);
	assert_int_equal(
		vf_uring_cmd_open(&admin, ring, &lease, "uring-cmd:/dev/zero", &opts, &err),
		-EOPNOTSUPP);
	assert_non_null(strstr(err.text, "not a device node of vferry"));
	vf_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_in_the_commands_memory),
		cmocka_unit_test(a_byte_of_data_is_padded),
		cmocka_unit_test(runs_of_the_arena),
		cmocka_unit_test(raw_commands_are_refused),
		cmocka_unit_test(an_answer_without_bytes_is_none),
		cmocka_unit_test(an_answer_from_before_a_reset_is_nobodys),
		cmocka_unit_test(answers_in_the_kernels_words),
		cmocka_unit_test(what_is_no_node_is_named),
	};

	return cmocka_run_group_tests_name("uring_cmd", tests, NULL, NULL);
}
