// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What all ways down have in common. */
#include <errno.h>
#include <string.h>
#include "admin/admin.h"

void vf_admin_submit(struct vf_admin *admin, struct vferry_cmd *cmd)
{
	cmd->error = 0;
	cmd->status = cmd->qualifier = 0;
	memset(cmd->output, 0, sizeof(cmd->output));
	cmd->used = 0;
	cmd->answer = NULL;
	cmd->submit_ns = vf_now_ns();
	cmd->issue_ns = cmd->wake_ns = cmd->done_ns = 0;
	cmd->retries = 0;
	cmd->abandoned = false;
	cmd->why = NULL;
	memset(cmd->private_, 0, sizeof(cmd->private_));
	admin->stats.submitted++;
	admin->ops->submit(admin, cmd);
}

void vf_admin_cancel(struct vf_admin *admin, struct vferry_cmd *cmd)
{
	admin->ops->cancel(admin, cmd);
}

int vf_admin_settle(struct vf_admin *admin, uint64_t deadline_ns)
{
	return admin->ops->settle(admin, deadline_ns);
}

void vf_admin_close(struct vf_admin *admin)
{
	if (admin)
		admin->ops->close(admin);
}

struct exec {
	void (*done)(struct vferry_cmd *cmd);
	void *arg;
	struct vf_admin *admin;
	bool over;
};

static void exec_done(struct vferry_cmd *cmd)
{
	struct exec *exec = cmd->arg;

	/* Other commands may be answered before the caller looks. */
	if (cmd->answer) {
		memcpy(exec->admin->exec_answer, cmd->answer, VFERRY_CMD_INLINE_RESULT);
		cmd->answer = exec->admin->exec_answer;
	}
	exec->over = true;
}

int vf_admin_exec(struct vf_admin *admin, struct vferry_cmd *cmd)
{
	struct exec exec = { .done = cmd->done, .arg = cmd->arg, .admin = admin };
	int ret = 0;

	cmd->done = exec_done;
	cmd->arg = &exec;
	vf_admin_submit(admin, cmd);
	/* The command's deadline ends this; signals wait until then. */
	while (!exec.over) {
		ret = vf_ring_turn(admin->ring, UINT64_MAX);
		if (ret < 0 && ret != -EINTR && !exec.over)
			vf_admin_cancel(admin, cmd);
	}
	cmd->done = exec.done;
	cmd->arg = exec.arg;
	return cmd->error;
}

static int refuse(struct vferry_cmd *cmd, const char *why)
{
	cmd->why = why;
	return -EPROTO;
}

int vf_answer_take(struct vferry_cmd *cmd, const struct vferry_admin_answer_hdr *header,
		   uint32_t used, uint64_t room)
{
	uint32_t count;

	if (used > room)
		return refuse(cmd, "the used length is beyond the writable part");
	/* A device must always write both; what it leaves of output reads as zero. */
	if (used < 4)
		return refuse(cmd, "the used length does not reach over status and qualifier");
	cmd->status = le16toh(header->status);
	cmd->qualifier = le16toh(header->status_qualifier);
	if (used > 4)
		memcpy(cmd->output, header->output, used < 8 ? used - 4 : 4);
	cmd->used = used > 8 ? used - 8 : 0;
	if (cmd->opcode != VFERRY_CMD_DEV_CTX_READ || cmd->status != VFERRY_STATUS_OK)
		return 0;
	/* Zero means the end of the context: it must have been said, not left out. */
	if (used < 8)
		return refuse(cmd, "a READ's answer without context_len");
	memcpy(&count, cmd->output, sizeof(count));
	if (le32toh(count) > cmd->used)
		return refuse(cmd, "a READ's context_len is more than the bytes written");
	return 0;
}
