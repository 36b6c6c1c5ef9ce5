// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Getting requests out of a function, for Stop, for resets and for unmapping; and the modes. */
#include <stdlib.h>
#include "fn.h"

static bool quiet(const struct owner *owner, const struct function *only)
{
	if (only)
		return !only->io->inflight;
	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		if (owner->vfs[i].io->inflight)
			return false;
	return !owner->pf.io->inflight;
}

static void hold(struct owner *owner, struct function *only, int by)
{
	if (only) {
		only->io->holds += (unsigned int)by;
		return;
	}
	owner->pf.io->holds += (unsigned int)by;
	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		owner->vfs[i].io->holds += (unsigned int)by;
}

bool fn_quiesce(struct owner *owner, struct function *fn, struct quiesce *q)
{
	if (quiet(owner, fn))
		return true;
	q->only = fn;
	q->waiting = true;
	q->next = owner->io->quiesces;
	owner->io->quiesces = q;
	hold(owner, fn, 1);
	return false;
}

static void quiesced(struct owner *owner)
{
	struct quiesce **link = &owner->io->quiesces;

	while (*link) {
		struct quiesce *q = *link;
		struct function *only = q->only;

		if (!quiet(owner, only)) {
			link = &q->next;
			continue;
		}
		*link = q->next;
		q->waiting = false;
		q->done(q->arg);
		/* Only now: nobody has taken a request before @done had its way. */
		hold(owner, only, -1);
		if (only) {
			fn_kick_all(only);
		} else {
			fn_kick_all(&owner->pf);
			for (unsigned int i = 1; i <= owner->opts.vfs; i++)
				fn_kick_all(&owner->vfs[i]);
		}
		link = &owner->io->quiesces;
	}
}

static void stopped(struct function *fn)
{
	while (!fn->io->inflight && fn->io->stops) {
		struct stop_waiter *waiter = fn->io->stops;
		void (*done)(void *arg) = waiter->done;
		void *arg = waiter->arg;

		fn->io->stops = waiter->next;
		free(waiter);
		done(arg);
	}
}

void fn_request_done(struct function *fn, unsigned int index)
{
	fn->queues[index].inflight--;
	fn->io->inflight--;
	if (!fn->io->inflight) {
		if (!fn->io->in_service)
			dma_reap(&fn->io->dma);
		stopped(fn);
		if (fn->owner->io->quiesces)
			quiesced(fn->owner);
	}
	if (fn->io->queues[index].starved)
		fn_kick(fn, index);
}

/* --- modes --- */

void fn_stop(struct function *fn, void (*done)(void *arg), void *arg)
{
	struct stop_waiter *waiter, **link = &fn->io->stops;

	for (unsigned int i = 0; i < fn_total_queues(fn) && FN_WRONG(fn, STOP_KICKS_ALL); i++)
		fn->queues[i].kicked = true;
	fn->io->draining = true;
	if (!fn->io->inflight) {
		done(arg);
		return;
	}
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		abort(); /* 24 bytes: nothing else would work either */
	waiter->done = done;
	waiter->arg = arg;
	while (*link)
		link = &(*link)->next;
	*link = waiter;
}

void fn_freeze(struct function *fn)
{
	doorbells_fold(fn);
}

void fn_thaw(struct function *fn)
{
	/* Doorbells and registers look at fn->mode by themselves. */
	for (unsigned int i = 0; i < fn_total_queues(fn) && FN_WRONG(fn, STOP_RAISES_OWED); i++)
		if (fn->queues[i].owed)
			msix_raise(fn, fn->queues[i].vector);
}

void fn_resume(struct function *fn)
{
	fn->io->draining = false;
	for (unsigned int i = 0; i < fn_total_queues(fn); i++) {
		struct vqueue *q = &fn->queues[i];

		if (!q->enabled || (!q->owed && q->signalled == q->used) || FN_WRONG(fn, OWED_LOST))
			continue;
		q->owed = false;
		q->signalled = q->used;
		fn->io->isr |= 1;
		msix_raise(fn, q->vector);
		fn_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, i);
	}
	if (fn->config_owed && !FN_WRONG(fn, CONFIG_OWED_LOST)) {
		fn->config_owed = false;
		fn_config_interrupt(fn);
		fn_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, 0);
	}
	/* What was pending behind the mode. */
	msix_deliver(fn);
	if (FN_WRONG(fn, RESUME_NO_LOOK))
		return;
	for (unsigned int i = 0; i < fn_total_queues(fn); i++)
		if (fn->queues[i].kicked || !FN_WRONG(fn, RESUME_KICKED_ONLY))
			fn_kick(fn, i);
}

void fn_state_loaded(struct function *fn)
{
	if (fn->config_msix_vector >= fn->io->msix.count)
		fn->config_msix_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned int i = 0; i < fn_total_queues(fn); i++) {
		struct vqueue *q = &fn->queues[i];

		if (q->vector >= fn->io->msix.count)
			q->vector = VIRTIO_MSI_NO_VECTOR;
		q->notify_off = (uint16_t)i;
		fn->io->queues[i].starved = false;
		queue_forget(fn, i);
	}
}
