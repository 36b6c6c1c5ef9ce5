// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Doorbells as eventfds, made here and given to the client (ioeventfd). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fn.h"

struct doorbell {
	struct vf_op op;
	struct function *fn;
	struct doorbell *next; /* of the function's */
	unsigned int number;
	int fd;
	bool dropped;
};

static void doorbell_wait(struct doorbell *bell);

/* The client holds the same eventfd and may take O_NONBLOCK away: ask for each read not to wait. */
static bool doorbell_rung(struct doorbell *bell)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };

	return preadv2(bell->fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count);
}

static void doorbell_event(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct doorbell *bell = container_of(op, struct doorbell, op);
	struct function *fn = bell->fn;

	if (bell->dropped || res < 0) {
		if (bell->dropped) {
			close(bell->fd);
			free(bell);
		}
		return;
	}
	doorbell_wait(bell);
	if (!doorbell_rung(bell))
		return;
	for (unsigned int q = bell->number; q < fn_total_queues(fn); q += fn->io->doorbells.count) {
		fn_kick(fn, q);
		if (!fn->io->doorbells.count)
			return;
	}
}

static void doorbell_wait(struct doorbell *bell)
{
	struct io_uring_sqe *sqe = vf_ring_sqe(bell->fn->owner->ring, &bell->op);

	bell->op.done = doorbell_event;
	io_uring_prep_poll_add(sqe, bell->fd, POLLIN);
}

int doorbells_make(struct function *fn, unsigned int count)
{
	struct doorbells *bells = &fn->io->doorbells;

	if (bells->bells)
		return bells->count == count ? 0 : -EBUSY;
	for (unsigned int i = count; i--;) {
		struct doorbell *bell = calloc(1, sizeof(*bell));

		if (bell)
			bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (!bell || bell->fd < 0) {
			int ret = bell ? -errno : -ENOMEM;

			free(bell);
			doorbells_drop(fn);
			return ret;
		}
		bell->fn = fn;
		bell->number = i;
		bell->next = bells->bells;
		bells->bells = bell;
		doorbell_wait(bell);
	}
	bells->count = count;
	return 0;
}

void doorbells_drop(struct function *fn)
{
	struct doorbell *bell = fn->io->doorbells.bells;

	fn->io->doorbells = (struct doorbells){ 0 };
	while (bell) {
		struct doorbell *next = bell->next;

		bell->dropped = true;
		if (bell->op.busy) {
			vf_ring_cancel(fn->owner->ring, &bell->op);
		} else {
			close(bell->fd);
			free(bell);
		}
		bell = next;
	}
}

void doorbells_fold(struct function *fn)
{
	for (struct doorbell *bell = fn->io->doorbells.bells; bell; bell = bell->next) {
		if (!doorbell_rung(bell))
			continue;
		for (unsigned int q = bell->number; q < fn_total_queues(fn);
		     q += fn->io->doorbells.count)
			if (fn->queues[q].enabled)
				fn->queues[q].kicked = true;
	}
}

int doorbell_fd(const struct function *fn, unsigned int n)
{
	const struct doorbell *bell = fn->io->doorbells.bells;

	while (bell && bell->number != n)
		bell = bell->next;
	return bell ? bell->fd : -1;
}
