// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include "keep/device.h"
#include "virtio/pf.h"

static int lease(void *device, unsigned int queue, uint64_t arena_bytes, struct vf_lease *to,
		 struct vferry_error *err)
{
	return vf_pf_lease(device, queue, arena_bytes, to, err);
}

static int unlease(void *device, struct vf_lease *from, struct vferry_error *err)
{
	return vf_pf_unlease(device, from, err);
}

static uint16_t pending(void *device, unsigned int queue)
{
	return vf_pf_pending(device, queue);
}

static void kick(void *device, struct vf_lease *lent)
{
	struct pollfd room = { .fd = lent->kick_fd, .events = POLLOUT };

	switch (lent->doorbell) {
	case VF_DOORBELL_STORE:
		atomic_thread_fence(memory_order_seq_cst);
		*lent->notify = htole16(lent->queue);
		break;
	case VF_DOORBELL_EVENTFD:
		/* A borrower may have changed its flags: never wait for room. */
		if (poll(&room, 1, 0) > 0)
			eventfd_write(lent->kick_fd, 1);
		break;
	case VF_DOORBELL_RELAY:
		lent->ops->kick(lent);
		break;
	}
}

static int reset(void *device, unsigned int queue, uint64_t deadline_ns, struct vferry_error *err)
{
	return vf_pf_queue_reset(device, queue, deadline_ns, err);
}

const struct keep_device_ops keep_device_pf = {
	.lease = lease,
	.unlease = unlease,
	.pending = pending,
	.kick = kick,
	.reset = reset,
};
