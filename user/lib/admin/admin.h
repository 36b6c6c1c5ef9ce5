/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one admin interface, and the arena. Ways down: user_queue.c (a virtqueue of ours, lent) and uring_cmd.c (the kernel
 * module). Everything above sees submit and done.
 */
#ifndef VF_ADMIN_H
#define VF_ADMIN_H

#include <vferry/command.h>
#include "bus/lease.h"
#include "ring/ring.h"

struct vf_admin;

struct vf_admin_ops {
	int (*submit)(struct vf_admin *admin, struct vferry_cmd *cmd);
	void (*cancel)(struct vf_admin *admin, struct vferry_cmd *cmd);
	void (*close)(struct vf_admin *admin);
};

/** struct vf_admin - base of each way */
struct vf_admin {
	const struct vf_admin_ops *ops;
	struct vf_ring *ring;
	uint64_t timeout_ns;	/* for commands without a deadline of their own */
	unsigned int room;	/* commands that may be with the device at once */
	unsigned int inflight;	/* with the device now, the abandoned ones included */
	unsigned int queued;	/* waiting for a place */
	unsigned int abandoned; /* timed out; their memory is still the device's */
	struct vferry_admin_stats stats;
};

/**
 * vf_user_queue_open() - drive a lent admin queue
 *
 * The queue belongs to the ring's thread. Completions are reaped at the interrupt's eventfd and whenever a submission looks.
 * A command past its deadline is done with -ETIMEDOUT at once; its descriptors and its memory in the queue stay the device's,
 * and vf_admin_busy() says so; the arena memory it names must not be given to anyone else until vf_admin_settle().
 */
int vf_user_queue_open(struct vf_admin **admin, struct vf_ring *ring, struct vf_lease *lease,
		       struct vferry_error *err);

/** vf_admin_submit() - never fails for want of room: the command waits its turn, its deadline runs. cmd->done is called once, never from here. */
void vf_admin_submit(struct vf_admin *admin, struct vferry_cmd *cmd);
/** vf_admin_exec() - submit and turn the ring until done. 0 when the device answered (look at cmd->status), else cmd->error. */
int vf_admin_exec(struct vf_admin *admin, struct vferry_cmd *cmd);
/** vf_admin_settle() - abandoned commands: wait for late answers until @deadline_ns, then reset the queue where it can. 0: nothing is the device's any more. */
int vf_admin_settle(struct vf_admin *admin, uint64_t deadline_ns);
void vf_admin_close(struct vf_admin *admin);

/* --- the arena: slots for context bytes in the lease's memory, registered once with the ring --- */
struct vf_arena;

struct vf_slot {
	void *memory;
	uint64_t iova;
	uint32_t bytes;
	uint32_t number;
	struct vf_slot *next; /* the arena's, or a list of whoever has it */
};

int vf_arena_new(struct vf_arena **arena, struct vf_lease *lease, uint32_t slot_bytes,
		 struct vferry_error *err);
void vf_arena_free(struct vf_arena *arena);
struct vf_slot *vf_arena_get(struct vf_arena *arena); /* NULL when all are in use */
void vf_arena_put(struct vf_arena *arena, struct vf_slot *slot);
uint32_t vf_arena_free_slots(const struct vf_arena *arena);
uint32_t vf_arena_slots(const struct vf_arena *arena);
uint32_t vf_arena_slot_bytes(const struct vf_arena *arena);

#endif
