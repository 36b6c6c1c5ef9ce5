/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of an admin queue: ring.c has what the device sees, queue.c a command from its
 * submission to its answer, recover.c what happens to those that are not answered. All of it
 * under queue->lock.
 */
#ifndef VFERRY_QUEUE_H
#define VFERRY_QUEUE_H

#include "vferry.h"

/* ring.c */
void vferry_ring_empty(struct vferry_queue *queue);
bool vferry_ring_fits(const struct vferry_queue *queue, const struct vferry_request *req);
void vferry_ring_publish(struct vferry_slot *slot, const struct vferry_request *req);
/* An answer's slot, NULL: none; or why the queue is broken. */
const char *vferry_ring_next(struct vferry_queue *queue, struct vferry_slot **slot, u32 *used);
/* There is one that was not looked at. */
bool vferry_ring_answered(const struct vferry_queue *queue);
/* The next one is to interrupt; true: it is there already. */
bool vferry_ring_listen(struct vferry_queue *queue);
void vferry_ring_answer(const struct vferry_slot *slot, struct vferry_answer *answer);

/* queue.c */
void vferry_slots_empty(struct vferry_queue *queue);
void vferry_slot_free(struct vferry_slot *slot);
/* Nobody waits for the slot after this; what the device has of it, it keeps. */
void vferry_slot_tell(struct vferry_slot *slot, const struct vferry_answer *answer);
void vferry_queue_reap(struct vferry_queue *queue);

/* Somebody waits for its answer. */
static inline bool vferry_slot_awaited(const struct vferry_slot *slot)
{
	return slot->cmd || slot->sync;
}

/* recover.c */
void vferry_queue_broken(struct vferry_queue *queue, const char *why);

#endif
