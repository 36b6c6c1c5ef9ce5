// SPDX-License-Identifier: GPL-2.0-only
/* The character device: one open file is one engine. */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "compat.h"
#include "vferry.h"

static int vferry_open(struct inode *inode, struct file *filp)
{
	struct vferry_owner *owner = container_of(inode->i_cdev, struct vferry_owner, cdev);
	struct vferry_file *file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	int ret = 0;

	if (!file)
		return -ENOMEM;
	file->owner = owner;
	if (mutex_lock_interruptible(&owner->mutex)) {
		kfree(file);
		return -ERESTARTSYS;
	}
	if (owner->removed)
		ret = -ENODEV;
	else if (owner->asleep || (owner->up && owner->reset && owner->users))
		ret = -EAGAIN;
	else
		ret = vferry_owner_up(owner);
	if (!ret) {
		owner->users++;
		file->queue = &owner->queues[owner->next_queue++ % owner->queues_count];
		get_device(&owner->dev);
		filp->private_data = file;
	}
	mutex_unlock(&owner->mutex);
	if (ret)
		kfree(file);
	return ret;
}

static void drop_claims(struct vferry_file *file)
{
	unsigned long vf;
	void *entry;

	xa_for_each(&file->owner->claims, vf, entry) {
		if (entry == file)
			xa_erase(&file->owner->claims, vf);
	}
}

/*
 * No request of this file is left in io_uring; the device may still have what was cancelled or
 * timed out.
 */
static int vferry_release(struct inode *inode, struct file *filp)
{
	struct vferry_file *file = filp->private_data;
	struct vferry_owner *owner = file->owner;

	mutex_lock(&owner->mutex);
	owner->users--;
	/* With VFs enabled this module is their keeper: the owner stays up. */
	if (!owner->users && !owner->keeps)
		vferry_owner_down(owner);
	drop_claims(file);
	vferry_buffer_drop_file(file);
	mutex_unlock(&owner->mutex);
	kfree(file);
	put_device(&owner->dev);
	return 0;
}

static int claim(struct vferry_file *file, const struct vferry_uring_claim *claim, bool release)
{
	struct vferry_owner *owner = file->owner;
	u32 i;

	if (claim->flags || claim->reserved1 || claim->reserved[0] || claim->reserved[1] ||
	    !claim->first || !claim->count || claim->first > VFERRY_MOST_VFS ||
	    claim->count > VFERRY_MOST_VFS - claim->first + 1)
		return -EINVAL;
	for (i = 0; i < claim->count; i++) {
		int ret;

		if (release) {
			xa_cmpxchg(&owner->claims, claim->first + i, file, NULL, 0);
			continue;
		}
		if (xa_load(&owner->claims, claim->first + i) == file)
			ret = -EBUSY;
		else
			ret = xa_insert(&owner->claims, claim->first + i, file, GFP_KERNEL_ACCOUNT);
		if (ret) {
			while (i--)
				xa_cmpxchg(&owner->claims, claim->first + i, file, NULL, 0);
			return ret;
		}
		cond_resched();
	}
	return 0;
}

static int query(struct vferry_file *file, const struct vferry_uring_query *query)
{
	struct vferry_owner *owner = file->owner;
	struct vferry_uring_info info = {
		.version = VFERRY_URING_VERSION,
		.num_vfs = pci_num_vf(owner->pdev),
		.queues = owner->queues_count,
		.depth = file->queue->slots_count,
		.buffers = VFERRY_BUFFERS,
		.timeout_ms = VFERRY_TIMEOUT_MS,
		.buffer_bytes = VFERRY_BUFFER_BYTES,
		.list = owner->list,
		.list_used = owner->list_used,
		.features = owner->features,
	};
	u32 bytes = min_t(u32, query->length, sizeof(info));
	int total = pci_sriov_get_totalvfs(owner->pdev);

	if (query->flags || query->reserved[0] || query->reserved[1])
		return -EINVAL;
	if (total > 0) {
		info.flags |= VFERRY_URING_INFO_SRIOV;
		info.total_vfs = total;
	}
	if (vferry_owner_has(owner, VIRTIO_F_RING_RESET))
		info.flags |= VFERRY_URING_INFO_RESET;
	if (vferry_owner_has(owner, VIRTIO_RING_F_INDIRECT_DESC))
		info.flags |= VFERRY_URING_INFO_RUNS;
	if (READ_ONCE(file->queue->state) == VFERRY_QUEUE_PARKED)
		info.flags |= VFERRY_URING_INFO_PARKED;
	memcpy(info.epoch, owner->epoch, sizeof(info.epoch));
	return copy_to_user(u64_to_user_ptr(query->address), &info, bytes) ? -EFAULT : bytes;
}

/* What may sleep for long goes to a worker. */
static bool sleeps(u32 cmd_op)
{
	return cmd_op == VFERRY_URING_REGISTER || cmd_op == VFERRY_URING_UNREGISTER ||
	       cmd_op == VFERRY_URING_CLAIM || cmd_op == VFERRY_URING_RELEASE;
}

static size_t payload_bytes(u32 cmd_op)
{
	switch (cmd_op) {
	case VFERRY_URING_ADMIN:
	case VFERRY_URING_REGISTER:
	case VFERRY_URING_UNREGISTER:
	case VFERRY_URING_CLAIM:
	case VFERRY_URING_RELEASE:
	case VFERRY_URING_QUERY:
		return _IOC_SIZE(cmd_op);
	}
	return 0;
}

static int vferry_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const unsigned int wide = IO_URING_F_SQE128 | IO_URING_F_CQE32;
	struct vferry_file *file = cmd->file->private_data;
	union {
		u8 bytes[VFERRY_URING_CMD_BYTES];
		struct vferry_uring_admin admin;
		struct vferry_uring_register reg;
		struct vferry_uring_unregister unreg;
		struct vferry_uring_claim claim;
		struct vferry_uring_query query;
	} payload;
	size_t bytes = payload_bytes(cmd->cmd_op);

	if (issue_flags & IO_URING_F_CANCEL) {
		vferry_queue_cancel(cmd, issue_flags);
		return 0;
	}
	if ((issue_flags & wide) != wide || !bytes)
		return -EOPNOTSUPP;
	if (cmd->flags & IORING_URING_CMD_MASK)
		return -EINVAL;
	if (READ_ONCE(file->owner->removed))
		return -ENODEV;
	if (sleeps(cmd->cmd_op) && issue_flags & IO_URING_F_NONBLOCK)
		return -EAGAIN;
	/* User space may write to it meanwhile: once. */
	memcpy(payload.bytes, vferry_sqe_payload(cmd), sizeof(payload.bytes));
	if (memchr_inv(payload.bytes + bytes, 0, sizeof(payload.bytes) - bytes))
		return -EINVAL;
	switch (cmd->cmd_op) {
	case VFERRY_URING_ADMIN:
		return vferry_admin(file, &payload.admin, cmd, issue_flags);
	case VFERRY_URING_REGISTER:
		return vferry_buffer_register(file, &payload.reg);
	case VFERRY_URING_UNREGISTER:
		if (payload.unreg.flags || payload.unreg.reserved[0] || payload.unreg.reserved[1])
			return -EINVAL;
		return vferry_buffer_unregister(file, payload.unreg.buffer);
	case VFERRY_URING_CLAIM:
	case VFERRY_URING_RELEASE:
		return claim(file, &payload.claim, cmd->cmd_op == VFERRY_URING_RELEASE);
	case VFERRY_URING_QUERY:
		return query(file, &payload.query);
	}
	return -EOPNOTSUPP;
}

const struct file_operations vferry_fops = {
	.owner = THIS_MODULE,
	.open = vferry_open,
	.release = vferry_release,
	.uring_cmd = vferry_uring_cmd,
};

static_assert(sizeof(struct vferry_uring_admin) == VFERRY_URING_CMD_BYTES);
static_assert(sizeof(struct vferry_uring_info) == 128);
