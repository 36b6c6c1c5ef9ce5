// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One PCI function: serving its queues, its modes, its resets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fn.h"

struct admin_pending {
	struct admin_request request;
	struct function *fn;
	struct admin_pending *next;
	uint16_t index;
	uint16_t head;
	struct iovec iov[];
};

void owner_close(struct owner *owner, int fd)
{
	io_uring_prep_close(vf_ring_sqe(owner->ring, NULL), fd);
}

void fn_changed(struct function *fn, uint16_t type, uint32_t index)
{
	if (fn->number && fn->admin)
		admin_changed(fn, type, index);
}

bool fn_exists(const struct function *fn)
{
	return fn->number <= fn->owner->num_vfs;
}

static bool may_take(const struct function *fn)
{
	if (fn->mode == VFERRY_MODE_STOP && FN_WRONG(fn, STOP_SERVES))
		return true;
	if (fn->mode == VFERRY_MODE_FREEZE && FN_WRONG(fn, FREEZE_SERVES))
		return true;
	return fn->mode == VFERRY_MODE_ACTIVE && !fn->io->draining && !fn->io->holds;
}

static bool running(const struct function *fn)
{
	return (fn->device_status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET |
				     VIRTIO_CONFIG_S_FAILED)) == VIRTIO_CONFIG_S_DRIVER_OK;
}

/* --- interrupts --- */

void fn_interrupt(struct function *fn, unsigned int index)
{
	struct vqueue *q = &fn->queues[index];

	if (queue_interrupt_due(fn, index)) {
		if (fn->mode != VFERRY_MODE_ACTIVE) {
			q->owed = true;
		} else {
			fn->io->isr |= 1;
			msix_raise(fn, q->vector);
		}
	}
	fn_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, index);
}

void fn_config_interrupt(struct function *fn)
{
	if (fn->mode != VFERRY_MODE_ACTIVE) {
		fn->config_owed = true;
		fn_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, 0);
		return;
	}
	fn->io->isr |= 2;
	msix_raise(fn, fn->config_msix_vector);
}

/* --- serving --- */

static void admin_done(struct admin_request *request, uint32_t used);

static void admin_begin(struct function *fn, unsigned int index, const struct chain *chain)
{
	unsigned int pieces = chain->out_count + chain->in_count;
	struct admin_pending *pending = calloc(1, sizeof(*pending) + pieces * sizeof(struct iovec));

	if (!pending) {
		transport_needs_reset(fn);
		return;
	}
	memcpy(pending->iov, chain->iov, pieces * sizeof(struct iovec));
	pending->fn = fn;
	pending->index = (uint16_t)index;
	pending->head = chain->head;
	pending->request = (struct admin_request){
		.queue = index - fn->io->admin_first,
		.out = pending->iov,
		.out_count = chain->out_count,
		.in = pending->iov + chain->out_count,
		.in_count = chain->in_count,
		.complete = admin_done,
		.arg = pending,
	};
	pending->next = fn->io->queues[index].admin;
	fn->io->queues[index].admin = pending;
	fn->queues[index].inflight++;
	fn->io->in_service++;
	admin_request_begin(fn->owner, &pending->request);
}

static void serve(struct function *fn, unsigned int index)
{
	struct queue_io *qio = &fn->io->queues[index];
	struct vqueue *q = &fn->queues[index];
	struct chain *chain = &fn->owner->io->chain;

	q->kicked = false;
	qio->starved = false;
	/* The longest ring's length at a time: a driver that never stops does not keep the others waiting. */
	for (unsigned int n = 0; may_take(fn) && running(fn) && q->enabled; n++) {
		int ret;

		if (q->size && q->inflight >= q->size) {
			qio->starved = true;
			break;
		}
		if (n >= OWNER_QUEUE_SIZE) {
			vf_timer_set(fn->owner->ring, &qio->again, vf_now_ns());
			break;
		}
		ret = queue_pop(fn, index, chain);
		if (ret < 0) {
			transport_needs_reset(fn);
			break;
		}
		if (!ret) {
			if (!queue_arm(fn, index))
				break;
			continue;
		}
		if (index >= fn->io->admin_first)
			admin_begin(fn, index, chain);
		else
			blk_begin(fn, index, chain);
	}
	fn_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, index);
}

static void serve_again(struct vf_timer *timer)
{
	struct queue_io *qio = container_of(timer, struct queue_io, again);

	fn_kick(qio->fn, qio->index);
}

void fn_kick(struct function *fn, unsigned int index)
{
	struct vqueue *q;

	if (index >= fn_total_queues(fn))
		return;
	if (fn->mode == VFERRY_MODE_FREEZE && !FN_WRONG(fn, FREEZE_SERVES) &&
	    !FN_WRONG(fn, FREEZE_KICKED))
		return;
	q = &fn->queues[index];
	/* A doorbell before DRIVER_OK is answered when DRIVER_OK comes. */
	if (!q->enabled || !running(fn) || !fn_exists(fn))
		return;
	if (may_take(fn)) {
		serve(fn, index);
	} else if (!q->kicked && !FN_WRONG(fn, STOP_FORGETS_KICK)) {
		if (fn->mode == VFERRY_MODE_STOP && FN_WRONG(fn, STOP_INTERRUPTS))
			msix_raise(fn, q->vector);
		q->kicked = true;
		fn_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, index);
	}
}

void fn_kick_all(struct function *fn)
{
	for (unsigned int i = 0; i < fn_total_queues(fn); i++)
		fn_kick(fn, i);
}

static void admin_done(struct admin_request *request, uint32_t used)
{
	struct admin_pending *pending = request->arg, **link;
	struct function *fn = pending->fn;
	unsigned int index = pending->index;
	struct queue_io *qio = &fn->io->queues[index];

	for (link = &qio->admin; *link != pending;)
		link = &(*link)->next;
	*link = pending->next;
	fn->queues[index].inflight--;
	fn->io->in_service--;
	if (queue_push(fn, index, pending->head, used))
		transport_needs_reset(fn);
	else
		fn_interrupt(fn, index);
	free(pending);
	if (!fn->io->in_service && !fn->io->inflight)
		dma_reap(&fn->io->dma);
	if (qio->starved)
		fn_kick(fn, index);
}

void fn_forget_admin(struct function *fn, unsigned int index)
{
	struct queue_io *qio = &fn->io->queues[index];

	while (qio->admin) {
		struct admin_pending *pending = qio->admin;

		qio->admin = pending->next;
		fn->queues[index].inflight--;
		fn->io->in_service--;
		free(pending);
	}
	if (!fn->io->in_service && !fn->io->inflight)
		dma_reap(&fn->io->dma);
}

/* --- birth and death --- */

int function_new(struct owner *owner, struct function *fn, uint16_t number, int disk,
		 struct vferry_error *err)
{
	unsigned int blk_queues = number ? owner->opts.blk_queues : 1;
	unsigned int total = blk_queues + (number ? 0 : owner->opts.admin_queues);
	struct stat st;
	int ret;

	if (fstat(disk, &st))
		return vferry_fail(err, -errno, "disk of function %u: %s", number, strerror(errno));
	memset(fn, 0, sizeof(*fn));
	fn->owner = owner;
	fn->number = number;
	fn->num_queues = (uint16_t)blk_queues;
	fn->queues = calloc(total, sizeof(*fn->queues));
	fn->io = calloc(1, sizeof(*fn->io));
	if (fn->io)
		fn->io->queues = calloc(total, sizeof(*fn->io->queues));
	if (!fn->queues || !fn->io || !fn->io->queues)
		goto no_memory;
	fn->io->disk = -1;
	fn->io->dma.keep_fds = owner->opts.take_over;
	fn->io->total_queues = total;
	fn->io->admin_first = blk_queues;
	fn->io->capacity = (uint64_t)st.st_size / 512;
	fn->io->read_only = !number;
	for (unsigned int i = 0; i < total; i++) {
		fn->io->queues[i].fn = fn;
		fn->io->queues[i].index = (uint16_t)i;
		fn->io->queues[i].again.fn = serve_again;
	}
	snprintf(fn->io->serial, sizeof(fn->io->serial), number ? "vferry-vf%u" : "vferry-pf%u",
		 number);
	ret = msix_init(fn, total + 1);
	if (ret)
		goto no_memory;
	pci_init(fn);
	blk_config(fn, blk_queues);
	transport_init(fn);
	fn->io->disk = disk;
	return 0;

no_memory:
	function_free(fn);
	return vferry_fail(err, -ENOMEM, "no memory for function %u", number);
}

void function_end(struct function *fn)
{
	if (!fn->io)
		return;
	for (unsigned int i = 0; i < fn->io->total_queues; i++) {
		if (i >= fn->io->admin_first)
			fn_forget_admin(fn, i);
		vf_timer_stop(fn->owner->ring, &fn->io->queues[i].again);
	}
	doorbells_drop(fn);
	msix_drop(fn);
}

void function_free(struct function *fn)
{
	if (fn->io) {
		while (fn->io->stops) {
			struct stop_waiter *next = fn->io->stops->next;

			free(fn->io->stops);
			fn->io->stops = next;
		}
		msix_free(fn);
		dma_free(&fn->io->dma);
		if (fn->io->disk >= 0)
			close(fn->io->disk);
		free(fn->io->queues);
		free(fn->io);
	}
	free(fn->queues);
	fn->io = NULL;
	fn->queues = NULL;
}
