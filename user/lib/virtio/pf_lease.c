// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ring/ring.h"
#include "virtio/pf_inside.h"

/* A lease within one process: the holder is the queue. */

static int kick(struct vf_lease *lease)
{
	return vf_pf_ring_doorbell(lease->holder, NULL);
}

static int reset(struct vf_lease *lease, uint64_t deadline_ns)
{
	struct vf_pf_queue *queue = lease->holder;

	return vf_pf_queue_reset(queue->pf, queue->number, deadline_ns, NULL);
}

static int alive(struct vf_lease *lease)
{
	struct vf_pf_queue *queue = lease->holder;

	return vf_bus_gone(queue->pf->bus) ? -ENODEV : 0;
}

static int lease_fd(struct vf_lease *lease)
{
	struct vf_pf_queue *queue = lease->holder;

	return vf_bus_fd(queue->pf->bus);
}

static void release(struct vf_lease *lease)
{
	struct vf_pf_queue *queue = lease->holder;
	struct vf_pf *pf = queue->pf;

	if (!vf_pf_rest(pf, queue->number, vf_now_ns() + pf->timeout_ns, NULL))
		vf_pf_unlease(pf, lease, NULL);
	lease->ops = NULL;
	lease->holder = NULL;
}

static const struct vf_lease_ops ops = {
	.kick = kick,
	.reset = reset,
	.alive = alive,
	.fd = lease_fd,
	.release = release,
};

static void no_arena(struct vf_pf_queue *queue)
{
	queue->arena_bytes = 0;
	if (queue->pf->kept)
		queue->pf->kept->queues[queue->number].arena_bytes = 0;
}

static int make_arena(struct vf_pf_queue *queue, uint64_t bytes, struct vferry_error *err)
{
	struct vf_bus *bus = queue->pf->bus;
	int ret;

	if (bytes > VF_PF_ARENA_BYTES)
		return vferry_fail(
			err, -EINVAL, "an arena of %llu bytes: there may be at most %llu",
			(unsigned long long)bytes, (unsigned long long)VF_PF_ARENA_BYTES);
	queue->arena_bytes = bytes;
	queue->arena_iova = VF_PF_ARENA_IOVA + queue->number * VF_PF_ARENA_STEP;
	ret = vf_pf_memory("vferry-arena", &queue->arena_bytes, true, &queue->arena_fd,
			   &queue->arena, err);
	if (ret) {
		queue->arena_bytes = 0;
		return ret;
	}
	/* Said before it is so: unmapping what is not mapped does no harm. */
	if (queue->pf->kept)
		queue->pf->kept->queues[queue->number].arena_bytes = queue->arena_bytes;
	ret = vf_bus_dma_map(bus, queue->arena_iova, queue->arena_fd, 0, queue->arena_bytes,
			     queue->arena, true, err);
	if (ret) {
		munmap(queue->arena, queue->arena_bytes);
		close(queue->arena_fd);
		queue->arena = NULL;
		queue->arena_fd = -1;
		no_arena(queue);
	}
	return ret;
}

static void fill(struct vf_pf_queue *queue, struct vf_lease *lease)
{
	struct vf_pf *pf = queue->pf;

	*lease = (struct vf_lease){
		.queue = queue->index,
		.queue_size = queue->size,
		.event_idx = pf->dev.features & 1ULL << VIRTIO_RING_F_EVENT_IDX,
		.indirect = pf->dev.features & 1ULL << VIRTIO_RING_F_INDIRECT_DESC,
		.can_reset = pf->dev.features & 1ULL << VIRTIO_F_RING_RESET,
		.rings_fd = queue->fd,
		.rings = queue->memory,
		.rings_bytes = queue->bytes,
		.rings_iova = queue->iova,
		.desc_offset = queue->layout.desc,
		.avail_offset = queue->layout.avail,
		.used_offset = queue->layout.used,
		.commands_offset = queue->commands,
		.doorbell = queue->kick_fd >= 0 ? VF_DOORBELL_EVENTFD
			    : queue->notify	? VF_DOORBELL_STORE
						: VF_DOORBELL_RELAY,
		.notify = queue->notify,
		.notify_fd = queue->notify_fd,
		.notify_fd_offset = queue->notify_fd_offset,
		.kick_fd = queue->kick_fd,
		.call_fd = queue->call_fd,
		.arena_fd = queue->arena_fd,
		.arena = queue->arena,
		.arena_bytes = queue->arena ? queue->arena_bytes : 0,
		.arena_iova = queue->arena_iova,
		.num_vfs = pf->num_vfs,
		.list = pf->list_used,
		.ops = &ops,
		.holder = queue,
	};
	strcpy(lease->address, vf_bus_address(pf->bus));
	memcpy(lease->epoch, pf->epoch, sizeof(lease->epoch));
}

void vf_pf_lease_left(struct vf_pf *pf, unsigned int n, struct vf_lease *lease)
{
	struct vf_pf_queue *queue = &pf->queues[n];

	queue->lent = true;
	fill(queue, lease);
}

int vf_pf_lease(struct vf_pf *pf, unsigned int n, uint64_t arena_bytes, struct vf_lease *lease,
		struct vferry_error *err)
{
	struct vf_pf_queue *queue;
	int ret;

	if (n >= pf->queues_count)
		return vferry_fail(err, -EINVAL, "%s: no admin queue %u, there are %u",
				   vf_bus_address(pf->bus), n, pf->queues_count);
	queue = &pf->queues[n];
	if (queue->lent || queue->arena)
		return vferry_fail(err, -EBUSY, "%s: admin queue %u is lent already",
				   vf_bus_address(pf->bus), queue->index);
	if (arena_bytes) {
		ret = make_arena(queue, arena_bytes, err);
		if (ret)
			return ret;
	}
	queue->lent = true;
	fill(queue, lease);
	return 0;
}

int vf_pf_unlease(struct vf_pf *pf, struct vf_lease *lease, struct vferry_error *err)
{
	struct vf_pf_queue *queue = NULL;
	int ret = 0;

	for (unsigned int n = 0; n < pf->queues_count; n++) {
		if (pf->queues[n].index == lease->queue)
			queue = &pf->queues[n];
	}
	if (!queue || !queue->lent)
		return vferry_fail(err, -EINVAL, "%s: admin queue %u is not lent",
				   vf_bus_address(pf->bus), lease->queue);
	if (queue->arena_bytes) {
		ret = vf_bus_dma_unmap(pf->bus, queue->arena_iova, queue->arena_bytes, err);
		/*
		 * What the device may still see is not given back to the system; the queue stays lent. What another process
		 * left behind may never have been mapped; if it is, the next arena cannot be, and says so.
		 */
		if (ret && queue->arena && !vf_bus_gone(pf->bus))
			return ret;
		if (queue->arena) {
			munmap(queue->arena, queue->arena_bytes);
			close(queue->arena_fd);
		}
		queue->arena = NULL;
		queue->arena_fd = -1;
		no_arena(queue);
	}
	queue->lent = false;
	return 0;
}
