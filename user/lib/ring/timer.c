// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdlib.h>
#include "ring/timer.h"

static void place(struct vf_timers *timers, uint32_t slot, struct vf_timer *timer)
{
	timers->heap[slot] = timer;
	timer->slot = slot;
}

static void sift_up(struct vf_timers *timers, uint32_t slot, struct vf_timer *timer)
{
	while (slot > 1 && timers->heap[slot / 2]->at_ns > timer->at_ns) {
		place(timers, slot, timers->heap[slot / 2]);
		slot /= 2;
	}
	place(timers, slot, timer);
}

static void sift_down(struct vf_timers *timers, uint32_t slot, struct vf_timer *timer)
{
	for (;;) {
		uint32_t child = slot * 2;

		if (child > timers->count)
			break;
		if (child < timers->count &&
		    timers->heap[child + 1]->at_ns < timers->heap[child]->at_ns)
			child++;
		if (timers->heap[child]->at_ns >= timer->at_ns)
			break;
		place(timers, slot, timers->heap[child]);
		slot = child;
	}
	place(timers, slot, timer);
}

void vf_timers_set(struct vf_timers *timers, struct vf_timer *timer, uint64_t at_ns)
{
	vf_timers_stop(timers, timer);
	if (timers->count + 1 >= timers->room) {
		uint32_t room = timers->room ? timers->room * 2 : 64;
		struct vf_timer **heap = realloc(timers->heap, room * sizeof(*heap));

		/* A deadline that cannot be kept would be a wait without one: there is no going on. */
		if (!heap)
			abort();
		timers->heap = heap;
		timers->room = room;
	}
	timer->at_ns = at_ns;
	sift_up(timers, ++timers->count, timer);
}

void vf_timers_stop(struct vf_timers *timers, struct vf_timer *timer)
{
	uint32_t slot = timer->slot;
	struct vf_timer *last;

	if (!slot)
		return;
	timer->slot = 0;
	last = timers->heap[timers->count--];
	if (last == timer)
		return;
	if (slot > 1 && timers->heap[slot / 2]->at_ns > last->at_ns)
		sift_up(timers, slot, last);
	else
		sift_down(timers, slot, last);
}

struct vf_timer *vf_timers_due(struct vf_timers *timers, uint64_t now_ns)
{
	struct vf_timer *timer;

	if (!timers->count || timers->heap[1]->at_ns > now_ns)
		return NULL;
	timer = timers->heap[1];
	vf_timers_stop(timers, timer);
	return timer;
}

uint64_t vf_timers_next(const struct vf_timers *timers)
{
	return timers->count ? timers->heap[1]->at_ns : UINT64_MAX;
}

void vf_timers_free(struct vf_timers *timers)
{
	for (uint32_t i = 1; i <= timers->count; i++)
		timers->heap[i]->slot = 0;
	free(timers->heap);
	*timers = (struct vf_timers){ 0 };
}
