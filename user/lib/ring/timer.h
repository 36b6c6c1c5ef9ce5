/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A binary heap of timers, earliest first; private to the ring. */
#ifndef VF_RING_TIMER_H
#define VF_RING_TIMER_H

#include <stddef.h>
#include "ring/ring.h"

struct vf_timers {
	struct vf_timer **heap; /* heap[1..count] */
	uint32_t count;
	uint32_t room;
};

void vf_timers_set(struct vf_timers *timers, struct vf_timer *timer, uint64_t at_ns);
void vf_timers_stop(struct vf_timers *timers, struct vf_timer *timer);
/** vf_timers_due() - take the earliest timer out if it is due at @now_ns; NULL otherwise. */
struct vf_timer *vf_timers_due(struct vf_timers *timers, uint64_t now_ns);
uint64_t vf_timers_next(const struct vf_timers *timers);
void vf_timers_free(struct vf_timers *timers);

#endif
