// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "ring/ring.h"
#include "virtio/pf_inside.h"

/* The places of everything follow from number and size alone. */
static int lay_out(struct vf_pf *pf, unsigned int n, uint16_t index, uint16_t size,
		   struct vferry_error *err)
{
	struct vf_pf_queue *queue = &pf->queues[n];

	*queue = (struct vf_pf_queue){
		.pf = pf,
		.number = n,
		.index = index,
		.size = size,
		.fd = -1,
		.call_fd = -1,
		.kick_fd = -1,
		.notify_fd = -1,
		.arena_fd = -1,
		.iova = VF_PF_RINGS_IOVA + n * VF_PF_RINGS_STEP,
		.layout = vf_vq_layout(size),
	};
	queue->commands = (queue->layout.bytes + 4095) & ~4095U;
	queue->bytes = queue->commands + (uint64_t)size * VF_COMMAND_BYTES;
	if (queue->bytes > VF_PF_RINGS_STEP)
		return vferry_fail(err, -EINVAL, "%s: an admin queue of %u entries is too large",
				   vf_bus_address(pf->bus), size);
	return 0;
}

int vf_pf_queue_new(struct vf_pf *pf, unsigned int n, uint16_t index, uint16_t size,
		    struct vferry_error *err)
{
	struct vf_pf_queue *queue = &pf->queues[n];
	int ret = lay_out(pf, n, index, size, err);

	if (ret)
		return ret;
	ret = vf_pf_memory("vferry-queue", &queue->bytes, false, &queue->fd, &queue->memory, err);
	if (ret)
		return ret;
	/* Engines poll it. EFD_NONBLOCK for the device's sake: it signals on the spot then, a blocking one it gives to a worker. */
	queue->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->call_fd < 0)
		return vferry_fail(err, -errno, "no eventfd: %s", strerror(errno));
	ret = vf_bus_dma_map(pf->bus, queue->iova, queue->fd, 0, queue->bytes, queue->memory, true,
			     err);
	queue->mapped = !ret;
	return ret;
}

/* The best way that the device has: a signal that it waits for, or its page, or else a message. */
static void find_doorbell(struct vf_pf_queue *queue)
{
	struct vf_bus *bus = queue->pf->bus;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t begin = queue->doorbell_offset & ~(page - 1);
	uint64_t fd_offset = 0;

	if (queue->kick_fd >= 0 || queue->notify)
		return;
	if (!vf_bus_ioeventfd(bus, queue->doorbell_region, queue->doorbell_offset, 2,
			      &queue->kick_fd)) {
		/* A counter that nobody takes from must not stop us. */
		fcntl(queue->kick_fd, F_SETFL, fcntl(queue->kick_fd, F_GETFL) | O_NONBLOCK);
		return;
	}
	queue->kick_fd = -1;
	if (vf_bus_map(bus, queue->doorbell_region, begin, page, &queue->notify_page,
		       &queue->notify_fd, &fd_offset)) {
		queue->notify_fd = -1;
		return;
	}
	queue->notify_page_bytes = page;
	queue->notify = (volatile uint16_t *)((char *)queue->notify_page +
					      (queue->doorbell_offset - begin));
	queue->notify_fd_offset = fd_offset + (queue->doorbell_offset - begin);
}

int vf_pf_queue_resume(struct vf_pf *pf, unsigned int n, struct vf_kept_fds *fds,
		       struct vferry_error *err)
{
	struct vf_pf_queue *queue = &pf->queues[n];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char name[16];
	int ret = lay_out(pf, n, pf->kept->queues[n].index, pf->kept->queues[n].size, err);

	if (ret)
		return ret;
	queue->bytes = (queue->bytes + page - 1) & ~(page - 1);
	snprintf(name, sizeof(name), "queue%u", n);
	queue->fd = fds->take(fds, name);
	snprintf(name, sizeof(name), "call%u", n);
	queue->call_fd = fds->take(fds, name);
	if (queue->fd < 0 || queue->call_fd < 0)
		return vferry_fail(err, -ENOENT, "%s: not all descriptors of queue %u were kept",
				   vf_bus_address(pf->bus), n);
	ret = vf_pf_memory_again(queue->fd, queue->bytes, &queue->memory);
	if (ret)
		return vferry_fail(err, ret, "%s: the memory that was kept of queue %u is not its",
				   vf_bus_address(pf->bus), n);
	queue->mapped = true;
	queue->arena_bytes = pf->kept->queues[n].arena_bytes;
	queue->arena_iova = VF_PF_ARENA_IOVA + n * VF_PF_ARENA_STEP;
	ret = vf_virtio_doorbell(&pf->dev, queue->index, &queue->doorbell_region,
				 &queue->doorbell_offset, err);
	if (ret)
		return ret;
	find_doorbell(queue);
	if (!pf->kept->queues[n].resetting)
		return 0;
	return vf_pf_queue_reset(pf, n, vf_now_ns() + pf->timeout_ns, err);
}

int vf_pf_queue_start(struct vf_pf_queue *queue, struct vferry_error *err)
{
	struct vf_virtio_queue where = {
		.index = queue->index,
		.size = queue->size,
		.vector = (uint16_t)queue->number,
		.desc = queue->iova + queue->layout.desc,
		.driver = queue->iova + queue->layout.avail,
		.device = queue->iova + queue->layout.used,
	};
	int ret;

	memset(queue->memory, 0, queue->layout.bytes);
	ret = vf_virtio_queue(&queue->pf->dev, &where, err);
	if (!ret)
		ret = vf_virtio_doorbell(&queue->pf->dev, queue->index, &queue->doorbell_region,
					 &queue->doorbell_offset, err);
	if (!ret)
		find_doorbell(queue);
	return ret;
}

void vf_pf_queue_free(struct vf_pf_queue *queue)
{
	if (queue->notify_page)
		munmap(queue->notify_page, queue->notify_page_bytes);
	if (queue->kick_fd >= 0)
		close(queue->kick_fd);
	if (queue->call_fd >= 0)
		close(queue->call_fd);
	if (queue->memory)
		munmap(queue->memory, queue->bytes);
	if (queue->fd >= 0)
		close(queue->fd);
	if (queue->arena)
		munmap(queue->arena, queue->arena_bytes);
	if (queue->arena_fd >= 0)
		close(queue->arena_fd);
}

int vf_pf_ring_doorbell(struct vf_pf_queue *queue, struct vferry_error *err)
{
	uint16_t wire = htole16(queue->index);

	return vf_bus_write(queue->pf->bus, queue->doorbell_region, queue->doorbell_offset, &wire,
			    2, err);
}

static uint16_t index_at(struct vf_pf_queue *queue, uint32_t offset)
{
	/* Both rings begin with flags, then the index. */
	uint16_t *at = (uint16_t *)((char *)queue->memory + offset + 2);

	return le16toh(__atomic_load_n(at, __ATOMIC_ACQUIRE));
}

uint16_t vf_pf_pending(struct vf_pf *pf, unsigned int n)
{
	struct vf_pf_queue *queue = &pf->queues[n];

	return (uint16_t)(index_at(queue, queue->layout.avail) -
			  index_at(queue, queue->layout.used));
}

int vf_pf_queue_reset(struct vf_pf *pf, unsigned int n, uint64_t deadline_ns,
		      struct vferry_error *err)
{
	int ret;

	if (pf->kept)
		pf->kept->queues[n].resetting = 1;
	ret = vf_virtio_queue_reset(&pf->dev, pf->queues[n].index, deadline_ns, err);
	if (!ret)
		ret = vf_pf_queue_start(&pf->queues[n], err);
	if (pf->kept && (!ret || ret == -EOPNOTSUPP))
		pf->kept->queues[n].resetting = 0;
	return ret;
}

static bool caught_up(struct vf_pf *pf, unsigned int n, uint64_t until_ns)
{
	unsigned int round = 0;

	while (vf_pf_pending(pf, n)) {
		struct timespec pause = { .tv_nsec = round < 20 ? 50000 : 1000000 };

		if (vf_now_ns() >= until_ns || vf_bus_gone(pf->bus))
			return false;
		round++;
		nanosleep(&pause, NULL);
	}
	return true;
}

int vf_pf_rest(struct vf_pf *pf, unsigned int n, uint64_t deadline_ns, struct vferry_error *err)
{
	struct vf_pf_queue *queue = &pf->queues[n];
	bool can_reset = pf->dev.features & 1ULL << VIRTIO_F_RING_RESET;
	uint64_t now = vf_now_ns(), until = deadline_ns, signals;
	struct vferry_error cause = { 0 };
	int ret = 0;

	/* A borrower may have died between the available index and the doorbell. */
	if (vf_pf_pending(pf, n))
		vf_pf_ring_doorbell(queue, NULL);
	if (can_reset && deadline_ns > now)
		until = now + (deadline_ns - now) / 2;
	if (!caught_up(pf, n, until)) {
		if (can_reset)
			ret = vf_pf_queue_reset(pf, n, deadline_ns, &cause);
		else
			ret = vferry_fail(&cause, -ETIMEDOUT,
					  "VIRTIO_F_RING_RESET was not negotiated");
	}
	if (ret)
		return vferry_fail(err, -EBUSY,
				   "%s: admin queue %u is wedged: %u commands without an answer, "
				   "and no reset of the queue: %.300s",
				   vf_bus_address(pf->bus), queue->index, vf_pf_pending(pf, n),
				   cause.text);
	if (read(queue->call_fd, &signals, sizeof(signals)) < 0)
		signals = 0;
	return 0;
}
