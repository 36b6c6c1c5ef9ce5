// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Admin commands as SQEs: what a virtqueue does for user_queue.c, the kernel module does here. */
#include <errno.h>
#include <string.h>
#include "admin/uring_cmd_inside.h"

#define ANSWER ((uint32_t)sizeof(struct vferry_admin_answer_hdr))

/* Where in a command's memory; before it the result. */
#define SLOT_DATA 4096
#define SLOT_RUNS 4160

_Static_assert(VFERRY_CMD_INLINE_RESULT <= SLOT_DATA, "command memory");
_Static_assert(SLOT_DATA + VFERRY_CMD_INLINE_DATA <= SLOT_RUNS, "command memory");
_Static_assert(SLOT_RUNS + 2 * VFERRY_URING_RUNS * sizeof(struct vferry_uring_run) <=
		       VF_URING_CMD_SLOT_BYTES,
	       "command memory");
_Static_assert(VFERRY_CMD_SG_MAX <= VFERRY_URING_RUNS, "runs of a command");
_Static_assert(sizeof(struct vferry_uring_admin) == VFERRY_URING_CMD_BYTES, "cmd[] of an SQE128");

/* --- SQEs --- */

static struct io_uring_sqe *new_sqe(struct vf_uring_cmd *carrier, uint32_t op, const void *payload,
				    size_t bytes)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&carrier->ring);

	if (!sqe)
		return NULL;
	/* Both halves: the second one is not the library's to clear. */
	memset((void *)sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = carrier->fd;
	sqe->off = op; /* cmd_op in its lower half */
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, addr3), payload, bytes);
	return sqe;
}

int vf_uring_cmd_ask(struct vf_uring_cmd *carrier, uint32_t op, const void *payload, size_t bytes)
{
	struct io_uring_sqe *sqe = new_sqe(carrier, op, payload, bytes);
	struct io_uring_cqe *cqe;
	uint64_t tag = UINT64_MAX;
	int ret;

	if (!sqe)
		return -EBUSY;
	sqe->user_data = tag;
	ret = io_uring_submit(&carrier->ring);
	while (ret >= 0) {
		ret = io_uring_wait_cqe(&carrier->ring, &cqe);
		if (ret == -EINTR) {
			ret = 0;
			continue;
		}
		if (ret)
			break;
		tag = cqe->user_data;
		ret = cqe->res;
		io_uring_cqe_seen(&carrier->ring, cqe);
		if (tag == UINT64_MAX)
			return ret;
		/* Of a command that nobody waits for any more. */
		ret = 0;
	}
	return ret;
}

/* --- a command --- */

static unsigned char *slot_memory(const struct vf_uring_cmd *carrier, uint16_t slot)
{
	return carrier->commands + slot * (size_t)VF_URING_CMD_SLOT_BYTES;
}

static struct vferry_uring_run in_slot(const struct vf_uring_cmd *carrier, uint16_t slot,
				       uint32_t offset, uint32_t length)
{
	return (struct vferry_uring_run){
		.buffer = carrier->commands_buffer,
		.length = length,
		.offset = slot * (uint64_t)VF_URING_CMD_SLOT_BYTES + offset,
	};
}

static unsigned int in_arena(const struct user_queue *queue, const struct vferry_sg *sg,
			     unsigned int count, struct vferry_uring_run *runs)
{
	const struct vf_uring_cmd *carrier = queue->carrier;

	for (unsigned int i = 0; i < count; i++)
		runs[i] = (struct vferry_uring_run){
			.buffer = carrier->arena_buffer,
			.length = sg[i].length,
			.offset = sg[i].iova - queue->lease->arena_iova,
		};
	return count;
}

static const char *check(const struct user_queue *queue, const struct vferry_cmd *cmd)
{
	const char *why = vf_chain_check(queue, cmd);

	if (!why && cmd->order == VF_ORDER_RAW)
		return "the kernel module lays commands out itself: no raw ones";
	if (!why && vf_chain_inline_bytes(cmd) > VFERRY_URING_INLINE &&
	    cmd->data_count == VFERRY_URING_RUNS)
		return "more runs than the kernel module takes";
	return why;
}

static uint32_t timeout_ms(const struct vferry_cmd *cmd)
{
	const struct cmd_state_of *state = (const struct cmd_state_of *)cmd->private_;
	uint64_t now = vf_now_ns();
	uint64_t ms = state->deadline_ns > now ? (state->deadline_ns - now) / 1000000 + 1 : 1;

	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static int add(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot)
{
	struct vf_uring_cmd *carrier = queue->carrier;
	unsigned char *memory = slot_memory(carrier, slot);
	struct vferry_uring_run *out = (struct vferry_uring_run *)(memory + SLOT_RUNS);
	struct vferry_uring_run *in = out + VFERRY_URING_RUNS;
	struct vferry_uring_admin admin = {
		.opcode = cmd->opcode,
		.group_type = cmd->group_type,
		.member = cmd->member,
		.data_buffer = VFERRY_URING_NONE,
		.result_buffer = VFERRY_URING_NONE,
		.timeout_ms = timeout_ms(cmd),
	};
	uint32_t data = vf_chain_inline_bytes(cmd), result = vf_chain_result_bytes(cmd);
	unsigned int outs = 0, ins;
	struct io_uring_sqe *sqe;

	if (data <= sizeof(admin.inline_data)) {
		admin.inline_length = (uint16_t)data;
		memcpy(admin.inline_data, cmd->inline_data, cmd->inline_length);
	} else {
		memset(memory + SLOT_DATA, 0, data);
		memcpy(memory + SLOT_DATA, cmd->inline_data, cmd->inline_length);
		out[outs++] = in_slot(carrier, slot, SLOT_DATA, data);
	}
	outs += in_arena(queue, cmd->data, cmd->data_count, out + outs);
	ins = in_arena(queue, cmd->result, cmd->result_count, in);
	if (result)
		in[ins++] = in_slot(carrier, slot, 0, result);
	if (outs == 1) {
		admin.data_buffer = out->buffer;
		admin.data_length = out->length;
		admin.data_offset = out->offset;
	} else if (outs) {
		admin.flags |= VFERRY_URING_DATA_RUNS;
		admin.data_length = outs;
		admin.data_offset = (uintptr_t)out;
	}
	if (ins == 1) {
		admin.result_buffer = in->buffer;
		admin.result_length = in->length;
		admin.result_offset = in->offset;
	} else if (ins) {
		admin.flags |= VFERRY_URING_RESULT_RUNS;
		admin.result_length = ins;
		admin.result_offset = (uintptr_t)in;
	}
	sqe = new_sqe(carrier, VFERRY_URING_ADMIN, &admin, sizeof(admin));
	if (!sqe)
		return -ENOSPC;
	sqe->user_data = (uint64_t)carrier->generation << 16 | slot;
	return 0;
}

static void publish(struct user_queue *queue)
{
	struct vf_uring_cmd *carrier = queue->carrier;
	int ret;

	queue->base.stats.doorbells++;
	do {
		ret = io_uring_submit(&carrier->ring);
	} while (ret == -EINTR || ret == -EAGAIN);
	if (ret < 0)
		vf_queue_die(queue, -EIO, "io_uring does not take the commands");
}

/* The kernel gave up, the device did not: its memory is the device's until a reset says otherwise. */
static bool keeps_memory(int32_t res)
{
	return res == -ETIMEDOUT || res == -ECANCELED;
}

static int pop(struct user_queue *queue, struct vf_vq_answer *answer)
{
	struct vf_uring_cmd *carrier = queue->carrier;
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&carrier->ring, &cqe)) {
		uint64_t tag = cqe->user_data;
		int32_t res = cqe->res;
		uint64_t word = cqe->big_cqe[0];
		unsigned int slot = tag & 0xffff;

		io_uring_cqe_seen(&carrier->ring, cqe);
		if (tag >> 16 != carrier->generation || slot >= queue->slots_count ||
		    !queue->slots[slot].in_use)
			continue;
		if (res == -ENODEV) {
			vf_queue_die(queue, -ENODEV, "the owner is gone, or it was reset");
			return 0;
		}
		if (keeps_memory(res)) {
			if (queue->slots[slot].cmd)
				vf_queue_end(queue, queue->slots[slot].cmd, res,
					     "the device did not answer the kernel module");
			continue;
		}
		carrier->answers[slot].res = res;
		carrier->answers[slot].word = word;
		answer->token = &queue->slots[slot];
		answer->length = res > 0 ? (uint32_t)res : 0;
		return 1;
	}
	return 0;
}

static const char *refusal(int error)
{
	switch (error) {
	case -EACCES:
		return "the kernel module refuses it: the VF is not this program's, or the owner is not its alone";
	case -EOPNOTSUPP:
		return "the kernel module refuses it: not among the commands in use (LIST_USE), or too many runs";
	case -EPROTO:
		return "the device answered what cannot be";
	case -EIO:
		return "the admin queue is parked: the device does not answer and cannot be reset";
	}
	return "the kernel module refuses it";
}

static int take(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot, uint32_t used)
{
	const struct vf_uring_cmd *carrier = queue->carrier;
	uint64_t word = carrier->answers[slot].word;
	struct vferry_admin_answer_hdr header = {
		.status = htole16((uint16_t)word),
		.status_qualifier = htole16((uint16_t)(word >> 16)),
	};
	uint32_t output = htole32((uint32_t)(word >> 32));
	uint64_t room = ANSWER + vf_chain_result_bytes(cmd);
	int ret = carrier->answers[slot].res;

	/* Other files share the queue: there will be room. */
	if (ret == -EBUSY && !cmd->no_retry) {
		cmd->status = VFERRY_STATUS_EAGAIN;
		return 0;
	}
	if (ret < 0) {
		cmd->why = refusal(ret);
		return ret;
	}
	for (unsigned int i = 0; i < cmd->result_count; i++)
		room += cmd->result[i].length;
	memcpy(header.output, &output, sizeof(header.output));
	ret = vf_answer_take(cmd, &header, used, room);
	if (!ret && !cmd->result_count && cmd->result_room)
		vf_chain_result(queue, cmd, slot_memory(carrier, slot));
	return ret;
}

static bool has_answers(struct user_queue *queue, uint16_t skip)
{
	struct vf_uring_cmd *carrier = queue->carrier;

	return io_uring_cq_ready(&carrier->ring);
}

static void quiet(struct user_queue *queue)
{
	(void)queue;
}

static void restart(struct user_queue *queue)
{
	struct vf_uring_cmd *carrier = queue->carrier;

	carrier->generation++;
}

/* Ends what is under way: the module keeps the pages for as long as the device has them. */
static void close_ring(struct user_queue *queue)
{
	struct vf_uring_cmd *carrier = queue->carrier;

	io_uring_queue_exit(&carrier->ring);
	carrier->has_ring = false;
}

const struct vf_queue_way vf_uring_cmd_way = {
	.check = check,
	.add = add,
	.publish = publish,
	.pop = pop,
	.take = take,
	.listen = has_answers,
	.quiet = quiet,
	.restart = restart,
	.close = close_ring,
};
