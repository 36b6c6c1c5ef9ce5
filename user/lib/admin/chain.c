// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A command and the bytes that the device sees of it. */
#include <errno.h>
#include <string.h>
#include "admin/queue_inside.h"

#define HEADER	   ((uint32_t)sizeof(struct vferry_admin_hdr))
#define ANSWER	   ((uint32_t)sizeof(struct vferry_admin_answer_hdr))
#define MOST_RUNS  (2 + 2 * VFERRY_CMD_SG_MAX)
#define MOST_BYTES (1ULL << 31)
#define padded(n)  (((n) + VFERRY_ADMIN_ALIGN - 1) & ~(uint32_t)(VFERRY_ADMIN_ALIGN - 1))

_Static_assert(HEADER + VFERRY_CMD_INLINE_DATA <= VF_COMMAND_WRITABLE, "command memory");
_Static_assert(VF_COMMAND_WRITABLE + 8 + VFERRY_CMD_INLINE_RESULT <= VF_COMMAND_TABLE,
	       "command memory");
_Static_assert(VF_COMMAND_TABLE + VF_COMMAND_RUNS * sizeof(struct vring_desc) <= VF_COMMAND_BYTES,
	       "command memory");
_Static_assert(MOST_RUNS <= VF_COMMAND_RUNS, "command memory");

static const char *check_runs(const struct vf_lease *lease, const struct vferry_sg *runs,
			      unsigned int count, uint64_t *bytes)
{
	*bytes = 0;
	if (count > VFERRY_CMD_SG_MAX)
		return "more runs than VFERRY_CMD_SG_MAX";
	for (unsigned int i = 0; i < count; i++) {
		uint64_t at = runs[i].iova - lease->arena_iova;

		if (!runs[i].length)
			return "a run of no bytes";
		if (runs[i].iova < lease->arena_iova || at > lease->arena_bytes ||
		    runs[i].length > lease->arena_bytes - at)
			return "a run outside of the arena";
		*bytes += runs[i].length;
	}
	return *bytes > MOST_BYTES ? "more than 2 GiB in one command" : NULL;
}

const char *vf_chain_check(const struct user_queue *queue, const struct vferry_cmd *cmd)
{
	uint64_t data, result;
	const char *why;

	if (cmd->inline_length > VFERRY_CMD_INLINE_DATA)
		return "more inline data than VFERRY_CMD_INLINE_DATA";
	if (!cmd->result_count && cmd->result_room > VFERRY_CMD_INLINE_RESULT)
		return "more result room than VFERRY_CMD_INLINE_RESULT";
	if (cmd->order > VFERRY_ORDER_PIPELINED && cmd->order != VF_ORDER_RAW)
		return "no such order";
	why = check_runs(queue->lease, cmd->data, cmd->data_count, &data);
	if (!why)
		why = check_runs(queue->lease, cmd->result, cmd->result_count, &result);
	if (why)
		return why;
	if (cmd->order == VF_ORDER_RAW)
		return cmd->data_count + cmd->result_count ? NULL : "a chain of nothing";
	/* Padding after inline data would stand in the middle of the data. */
	if (cmd->data_count && (cmd->inline_length + data) % VFERRY_ADMIN_ALIGN)
		return "the data is no multiple of 8 bytes";
	if (result % VFERRY_ADMIN_ALIGN)
		return "the room for the result is no multiple of 8 bytes";
	if (2 + cmd->data_count + cmd->result_count > queue->vq.size && !queue->lease->indirect)
		return "more runs than the admin queue has descriptors";
	return NULL;
}

static unsigned char *slot_memory(struct user_queue *queue, uint16_t slot)
{
	return (unsigned char *)queue->lease->rings + queue->lease->commands_offset +
	       slot * (size_t)VF_COMMAND_BYTES;
}

/* A truncated MODE_SET reads as Active and resumes a device: its data is never left out. */
uint32_t vf_chain_inline_bytes(const struct vferry_cmd *cmd)
{
	bool one_byte = cmd->opcode == VFERRY_CMD_DEV_MODE_SET ||
			cmd->opcode == VFERRY_CMD_DEV_CTX_SIZE_GET;

	if (cmd->data_count)
		return cmd->inline_length;
	return one_byte && !cmd->inline_length ? VFERRY_ADMIN_ALIGN : padded(cmd->inline_length);
}

uint32_t vf_chain_result_bytes(const struct vferry_cmd *cmd)
{
	return cmd->result_count ? 0 : padded(cmd->result_room);
}

int vf_chain_add(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot)
{
	uint64_t iova = queue->lease->rings_iova + queue->lease->commands_offset +
			slot * (uint64_t)VF_COMMAND_BYTES;
	unsigned char *memory = slot_memory(queue, slot);
	struct vf_vq_indirect table = {
		.table = (struct vring_desc *)(memory + VF_COMMAND_TABLE),
		.iova = iova + VF_COMMAND_TABLE,
		.room = VF_COMMAND_RUNS,
	};
	struct vferry_admin_hdr header = {
		.opcode = htole16(cmd->opcode),
		.group_type = htole16(cmd->group_type),
		.group_member_id = htole64(cmd->member),
	};
	struct vferry_sg out[1 + VFERRY_CMD_SG_MAX], in[1 + VFERRY_CMD_SG_MAX];
	uint32_t data = vf_chain_inline_bytes(cmd);

	if (cmd->order == VF_ORDER_RAW)
		return vf_vq_add(&queue->vq, cmd->data, cmd->data_count, cmd->result,
				 cmd->result_count, queue->lease->indirect ? &table : NULL,
				 &queue->slots[slot]);
	memcpy(memory, &header, HEADER);
	memset(memory + HEADER, 0, VFERRY_CMD_INLINE_DATA);
	memcpy(memory + HEADER, cmd->inline_data, cmd->inline_length);
	memset(memory + VF_COMMAND_WRITABLE, 0, ANSWER);
	out[0] = (struct vferry_sg){ iova, HEADER + data };
	in[0] = (struct vferry_sg){ iova + VF_COMMAND_WRITABLE,
				    ANSWER + vf_chain_result_bytes(cmd) };
	if (cmd->data_count)
		memcpy(out + 1, cmd->data, cmd->data_count * sizeof(*out));
	if (cmd->result_count)
		memcpy(in + 1, cmd->result, cmd->result_count * sizeof(*in));
	return vf_vq_add(&queue->vq, out, 1 + cmd->data_count, in, 1 + cmd->result_count,
			 queue->lease->indirect ? &table : NULL, &queue->slots[slot]);
}

void vf_chain_result(struct user_queue *queue, struct vferry_cmd *cmd, const void *result)
{
	/* Padding of ours is no result of the device's. */
	if (cmd->used > cmd->result_room)
		cmd->used = cmd->result_room;
	memcpy(queue->answer, result, cmd->used);
	memset(queue->answer + cmd->used, 0, sizeof(queue->answer) - cmd->used);
	cmd->answer = queue->answer;
}

int vf_chain_take(struct user_queue *queue, struct vferry_cmd *cmd, uint16_t slot, uint32_t used)
{
	const unsigned char *memory = slot_memory(queue, slot) + VF_COMMAND_WRITABLE;
	uint64_t room = ANSWER + vf_chain_result_bytes(cmd);
	struct vferry_admin_answer_hdr header;
	int ret;

	if (cmd->order == VF_ORDER_RAW) {
		cmd->used = used;
		return 0;
	}
	for (unsigned int i = 0; i < cmd->result_count; i++)
		room += cmd->result[i].length;
	/* Once, out of the device's reach. */
	memcpy(&header, memory, sizeof(header));
	ret = vf_answer_take(cmd, &header, used, room);
	if (ret || cmd->result_count || !cmd->result_room)
		return ret;
	vf_chain_result(queue, cmd, memory + ANSWER);
	return 0;
}
