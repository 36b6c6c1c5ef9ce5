// SPDX-License-Identifier: GPL-2.0-only
/* From an SQE to a request: everything in it is checked here. */
#include <linux/uaccess.h>
#include "vferry.h"

#define GROUP_SRIOV 1
#define LIST_QUERY  0
#define FLAGS	    (VFERRY_URING_DATA_RUNS | VFERRY_URING_RESULT_RUNS)
#define MOST_BYTES  BIT(30)

/*
 * Who may: a member's commands need its claim; what is the owner's own needs the owner for
 * oneself.
 */
static int may(struct vferry_file *file, const struct vferry_uring_admin *admin)
{
	struct vferry_owner *owner = file->owner;

	if (admin->group_type == GROUP_SRIOV && admin->opcode > 1) {
		if (admin->opcode >= 64 || !(owner->list_used & BIT_ULL(admin->opcode)))
			return -EOPNOTSUPP;
	}
	if (admin->opcode == LIST_QUERY)
		return 0;
	if (admin->group_type == GROUP_SRIOV && admin->member) {
		if (admin->member > VFERRY_MOST_VFS)
			return -EINVAL;
		return xa_load(&owner->claims, admin->member) == file ? 0 : -EACCES;
	}
	return READ_ONCE(owner->users) == 1 ? 0 : -EACCES;
}

static int take_runs(struct vferry_file *file, struct vferry_request *req, u32 buffer, u32 length,
		     u64 offset, bool list, struct vferry_segment *segments, unsigned int *count,
		     u64 *bytes)
{
	struct vferry_uring_run runs[VFERRY_URING_RUNS];
	unsigned int i, n = 1;
	int ret;

	*count = 0;
	*bytes = 0;
	if (list) {
		if (buffer != VFERRY_URING_NONE || !length || length > VFERRY_URING_RUNS)
			return -EINVAL;
		n = length;
		if (copy_from_user(runs, u64_to_user_ptr(offset), n * sizeof(runs[0])))
			return -EFAULT;
	} else {
		if (buffer == VFERRY_URING_NONE)
			return length || offset ? -EINVAL : 0;
		runs[0] = (struct vferry_uring_run){ buffer, length, offset };
	}
	for (i = 0; i < n; i++) {
		ret = vferry_buffer_get(file, &runs[i], &req->buffers[req->nbuffers],
					&segments[i]);
		if (ret)
			return ret;
		req->nbuffers++;
		*bytes += runs[i].length;
	}
	*count = n;
	return *bytes % 8 && segments == req->in ? -EINVAL : 0;
}

static int take(struct vferry_file *file, const struct vferry_uring_admin *admin,
		struct vferry_request *req)
{
	u64 data, room;
	int ret;

	ret = take_runs(file, req, admin->data_buffer, admin->data_length, admin->data_offset,
			admin->flags & VFERRY_URING_DATA_RUNS, req->out, &req->outs, &data);
	if (ret)
		return ret;
	ret = take_runs(file, req, admin->result_buffer, admin->result_length, admin->result_offset,
			admin->flags & VFERRY_URING_RESULT_RUNS, req->in, &req->ins, &room);
	if (ret)
		return ret;
	if ((admin->inline_length + data) % 8 || data > MOST_BYTES || room > MOST_BYTES)
		return -EINVAL;
	req->room = room;
	return 0;
}

int vferry_admin(struct vferry_file *file, const struct vferry_uring_admin *admin,
		 struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct vferry_request req = {
		.opcode = admin->opcode,
		.group_type = admin->group_type,
		.member = admin->member,
		.inline_data = admin->inline_data,
		.inline_length = admin->inline_length,
		.timeout_ms = admin->timeout_ms ? min_t(u32, admin->timeout_ms,
							VFERRY_MOST_TIMEOUT_MS) :
						  VFERRY_TIMEOUT_MS,
	};
	int ret;

	if (admin->flags & ~FLAGS || admin->reserved1 || admin->reserved2 ||
	    admin->inline_length > VFERRY_URING_INLINE)
		return -EINVAL;
	ret = may(file, admin);
	if (!ret)
		ret = take(file, admin, &req);
	if (!ret)
		ret = vferry_queue_submit(file->queue, &req, cmd, issue_flags);
	/* What the queue took it took out of the request. */
	while (req.nbuffers)
		vferry_buffer_put(req.buffers[--req.nbuffers]);
	return ret;
}
