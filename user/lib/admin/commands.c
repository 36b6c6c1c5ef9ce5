// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The commands of an owner device, each waiting for its answer. */
#include <errno.h>
#include <string.h>
#include "admin/owner.h"

/* Slots that a command without an answer named: theirs again once nothing is the device's any more. */
static void recover_slots(struct vferry_owner *owner)
{
	while (owner->lost && !vf_admin_busy(owner->admin)) {
		struct vf_slot *slot = owner->lost;

		owner->lost = slot->next;
		vf_arena_put(owner->arena, slot);
	}
}

static struct vf_slot *chunk_of(struct vferry_owner *owner)
{
	recover_slots(owner);
	if (!owner->chunk && owner->arena)
		owner->chunk = vf_arena_get(owner->arena);
	return owner->chunk;
}

static int no_chunk(struct vferry_owner *owner, struct vferry_error *err)
{
	if (!owner->arena)
		return vferry_fail(err, -ENOBUFS, "%s: opened without an arena for context bytes",
				   owner->lease.address);
	return vferry_fail(err, -ENOBUFS,
			   "%s: all slots of the arena are in use, %u by commands that the device "
			   "has not answered",
			   owner->lease.address, owner->admin->abandoned);
}

static int run(struct vferry_owner *owner, struct vferry_cmd *cmd, struct vferry_answer *answer,
	       struct vferry_error *err)
{
	const char *who = owner->lease.address, *name = vferry_opcode_name(cmd->opcode);
	struct vferry_answer said = { .opcode = cmd->opcode };
	char vf[32] = "";
	int ret;

	if (cmd->member) {
		snprintf(vf, sizeof(vf), " VF %u:", (unsigned int)cmd->member);
		/* The rest of an owner that is held alone is ours too; a keeper's is somebody else's. */
		if (!owner->pf && cmd->member <= owner->lease.num_vfs &&
		    !vf_vfset_has(&owner->lease.vfs, (unsigned int)cmd->member))
			return vferry_fail(err, -EACCES,
					   "%s:%s %s: the VF was not borrowed from the keeper", who,
					   vf, name);
	}
	ret = vferry_owner_exec(owner, cmd);
	if (ret) {
		if ((cmd->data_count || cmd->result_count) && cmd->abandoned) {
			owner->chunk->next = owner->lost;
			owner->lost = owner->chunk;
			owner->chunk = NULL;
		}
		if (answer)
			*answer = said;
		return vferry_fail(err, ret, "%s:%s %s: %s", who, vf, name,
				   cmd->why ? cmd->why : strerror(-ret));
	}
	said.status = cmd->status;
	said.qualifier = cmd->qualifier;
	if (answer)
		*answer = said;
	if (!said.status)
		return 0;
	return vferry_fail(err, -EREMOTEIO, "%s:%s %s: the device answers %s (%u), %s (%u)", who,
			   vf, name, vferry_status_name(said.status), said.status,
			   vferry_qualifier_name(said.qualifier), said.qualifier);
}

static int too_short(struct vferry_owner *owner, const struct vferry_cmd *cmd, uint32_t wanted,
		     struct vferry_error *err)
{
	return vferry_fail(err, -EPROTO, "%s: VF %u: %s: the device wrote %u bytes of %u",
			   owner->lease.address, (unsigned int)cmd->member,
			   vferry_opcode_name(cmd->opcode), cmd->used, wanted);
}

static struct vferry_cmd command(uint16_t opcode, uint16_t vf)
{
	return (struct vferry_cmd){
		.opcode = opcode,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = vf,
	};
}

int vferry_mode_get(struct vferry_owner *owner, uint16_t vf, enum vferry_mode *mode,
		    struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_MODE_GET, vf);
	int ret;

	cmd.result_room = 8;
	ret = run(owner, &cmd, answer, err);
	if (ret)
		return ret;
	/* What was not written would read as Active. */
	if (cmd.used < sizeof(struct vferry_admin_mode))
		return too_short(owner, &cmd, sizeof(struct vferry_admin_mode), err);
	*mode = *(const uint8_t *)cmd.answer;
	return 0;
}

int vferry_mode_set(struct vferry_owner *owner, uint16_t vf, enum vferry_mode mode,
		    struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_MODE_SET, vf);

	cmd.inline_data[0] = (uint8_t)mode;
	cmd.inline_length = 1;
	return run(owner, &cmd, answer, err);
}

int vferry_ctx_size(struct vferry_owner *owner, uint16_t vf, bool freeze, uint64_t *bytes,
		    struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_CTX_SIZE_GET, vf);
	struct vferry_admin_size_result size;
	int ret;

	cmd.inline_data[0] = freeze;
	cmd.inline_length = 1;
	cmd.result_room = sizeof(size);
	ret = run(owner, &cmd, answer, err);
	if (ret)
		return ret;
	if (cmd.used < sizeof(size))
		return too_short(owner, &cmd, sizeof(size), err);
	memcpy(&size, cmd.answer, sizeof(size));
	*bytes = le64toh(size.size);
	return 0;
}

int vferry_ctx_read(struct vferry_owner *owner, uint16_t vf, const void **bytes, uint32_t *count,
		    struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_CTX_READ, vf);
	struct vf_slot *chunk = chunk_of(owner);
	struct vferry_sg run_of_it;
	uint32_t length;
	int ret;

	if (!chunk)
		return no_chunk(owner, err);
	run_of_it = (struct vferry_sg){ chunk->iova, chunk->bytes };
	cmd.result = &run_of_it;
	cmd.result_count = 1;
	ret = run(owner, &cmd, answer, err);
	if (ret)
		return ret;
	memcpy(&length, cmd.output, sizeof(length));
	*bytes = chunk->memory;
	*count = le32toh(length);
	return 0;
}

int vferry_ctx_write(struct vferry_owner *owner, uint16_t vf, const void *bytes, uint32_t count,
		     struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_CTX_WRITE, vf);
	struct vf_slot *chunk = chunk_of(owner);
	struct vferry_sg run_of_it;

	if (!chunk)
		return no_chunk(owner, err);
	if (count % VFERRY_ADMIN_ALIGN || count > chunk->bytes)
		return vferry_fail(err, -EINVAL,
				   "%u bytes to write: a multiple of 8 is needed, at most %u",
				   count, chunk->bytes);
	memcpy(chunk->memory, bytes, count);
	run_of_it = (struct vferry_sg){ chunk->iova, count };
	cmd.data = &run_of_it;
	cmd.data_count = count ? 1 : 0;
	return run(owner, &cmd, answer, err);
}

/* A result of a length that only the device knows: in the arena where there is one, so that there is room. */
static int run_long(struct vferry_owner *owner, struct vferry_cmd *cmd, const void **result,
		    struct vferry_answer *answer, struct vferry_error *err)
{
	struct vf_slot *chunk = chunk_of(owner);
	struct vferry_sg run_of_it;
	int ret;

	if (chunk) {
		run_of_it = (struct vferry_sg){ chunk->iova, chunk->bytes };
		cmd->result = &run_of_it;
		cmd->result_count = 1;
	} else {
		cmd->result_room = VFERRY_CMD_INLINE_RESULT;
	}
	ret = run(owner, cmd, answer, err);
	*result = chunk ? chunk->memory : cmd->answer;
	return ret;
}

int vferry_ctx_fields(struct vferry_owner *owner, uint16_t vf, struct vferry_admin_field *fields,
		      uint32_t *count, struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_CTX_FIELDS_QUERY, vf);
	uint32_t room = *count;
	const void *result;
	int ret = run_long(owner, &cmd, &result, answer, err);

	if (ret)
		return ret;
	*count = cmd.used / (uint32_t)sizeof(*fields);
	if (fields)
		memcpy(fields, result, (*count < room ? *count : room) * sizeof(*fields));
	return 0;
}

int vferry_ctx_discard(struct vferry_owner *owner, uint16_t vf, struct vferry_answer *answer,
		       struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_DEV_CTX_DISCARD, vf);

	return run(owner, &cmd, answer, err);
}

int vferry_list_query(struct vferry_owner *owner, uint16_t group_type, uint64_t *words,
		      uint32_t *count, struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_LIST_QUERY, 0);
	uint32_t room = *count;
	const void *result;
	int ret;

	cmd.group_type = group_type;
	ret = run_long(owner, &cmd, &result, answer, err);
	if (ret)
		return ret;
	/* A last word that was written in part: the rest of it reads as zero. */
	*count = (cmd.used + 7) / 8;
	for (uint32_t i = 0; i < *count && i < room && words; i++) {
		uint32_t left = cmd.used - i * 8;
		uint64_t word = 0;

		memcpy(&word, (const char *)result + i * 8, left < 8 ? left : 8);
		words[i] = le64toh(word);
	}
	return 0;
}

int vferry_list_use(struct vferry_owner *owner, uint16_t group_type, const uint64_t *words,
		    uint32_t count, struct vferry_answer *answer, struct vferry_error *err)
{
	struct vferry_cmd cmd = command(VFERRY_CMD_LIST_USE, 0);

	if (count * 8ULL > VFERRY_CMD_INLINE_DATA)
		return vferry_fail(err, -EINVAL,
				   "a list of %u words of opcodes: there may be at most %d", count,
				   VFERRY_CMD_INLINE_DATA / 8);
	cmd.group_type = group_type;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t word = htole64(words[i]);

		memcpy(cmd.inline_data + i * 8, &word, 8);
	}
	cmd.inline_length = count * 8;
	return run(owner, &cmd, answer, err);
}
