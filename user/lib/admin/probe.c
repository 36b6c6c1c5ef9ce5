// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The probes of a command's end. Whatever way a command went, it ends here once. */
#include <string.h>
#include <vferry/probes.h>
#include "admin/admin.h"

#define MODE_UNKNOWN 0xffu

static uint32_t bytes_of(const struct vferry_cmd *cmd)
{
	uint32_t bytes = cmd->inline_length;

	switch (cmd->opcode) {
	case VFERRY_CMD_DEV_CTX_READ:
		memcpy(&bytes, cmd->output, sizeof(bytes));
		return le32toh(bytes);
	case VFERRY_CMD_DEV_CTX_WRITE:
		for (unsigned int i = 0; i < cmd->data_count; i++)
			bytes += cmd->data[i].length;
		return bytes;
	}
	return cmd->used;
}

static void mode_known(struct vf_admin *admin, const struct vferry_cmd *cmd)
{
	bool set = cmd->opcode == VFERRY_CMD_DEV_MODE_SET;
	uint8_t *seen, now;

	if (cmd->member >= VF_MAX_VFS || (!set && !cmd->answer))
		return;
	seen = &admin->mode_seen[cmd->member];
	now = set ? cmd->inline_data[0] : *(const uint8_t *)cmd->answer;
	/* One less than what is kept, so that zeroed memory means not known. */
	if (set)
		VFERRY_PROBE6(mode, admin->owner_hash, cmd->member,
			      *seen ? (uint32_t)*seen - 1 : MODE_UNKNOWN, (uint32_t)now,
			      cmd->issue_ns, cmd->done_ns);
	*seen = (uint8_t)(now + 1);
}

static void complete(const struct vf_admin *admin, const struct vferry_cmd *cmd)
{
	const struct vferry_probe_command record = {
		.owner = admin->owner_hash,
		.member = cmd->member,
		.submit_ns = cmd->submit_ns,
		.issue_ns = cmd->issue_ns,
		.wake_ns = cmd->wake_ns,
		.done_ns = cmd->done_ns,
		.what = (uint32_t)cmd->opcode | (uint32_t)cmd->group_type << 16,
		.answer = (uint32_t)cmd->status | (uint32_t)cmd->qualifier << 16,
		.error = cmd->error,
		.bytes = bytes_of(cmd),
		.retries = cmd->retries,
	};

	VFERRY_PROBE12(admin_complete, record.owner, record.what, record.member, record.answer,
		       record.error, record.submit_ns, record.issue_ns, record.wake_ns,
		       record.done_ns, record.bytes, record.retries, &record);
}

void vf_admin_probe_end(struct vf_admin *admin, const struct vferry_cmd *cmd)
{
	if (admin->ended)
		admin->ended(admin->ended_arg, cmd);
	if (VFERRY_PROBE_ON(admin_complete))
		complete(admin, cmd);
	if (!cmd->error && !cmd->status &&
	    (cmd->opcode == VFERRY_CMD_DEV_MODE_SET || cmd->opcode == VFERRY_CMD_DEV_MODE_GET))
		mode_known(admin, cmd);
}
