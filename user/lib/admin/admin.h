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
	/* takes @cmd, whose fields were reset; what is wrong with it is its answer */
	void (*submit)(struct vf_admin *admin, struct vferry_cmd *cmd);
	/* done() with -ECANCELED follows in the next turn; without effect when @cmd is not under way */
	void (*cancel)(struct vf_admin *admin, struct vferry_cmd *cmd);
	int (*settle)(struct vf_admin *admin, uint64_t deadline_ns);
	/* commands still under way are done with -ECANCELED, from here */
	void (*close)(struct vf_admin *admin);
};

/** struct vf_admin - base of each way */
struct vf_admin {
	const struct vf_admin_ops *ops;
	struct vf_ring *ring;
	uint64_t timeout_ns;   /* for commands without a deadline of their own */
	unsigned int room;     /* commands that may be with the device at once */
	unsigned int inflight; /* with the device now, the abandoned ones included */
	unsigned int queued; /* waiting: for a place, for their turn, for the moment to try again */
	unsigned int abandoned; /* timed out; their memory is still the device's */
	int dead; /* -EPROTO: the device answered what cannot be; -ENODEV: it is gone. New commands get this */
	bool wants_turn; /* commands wait for the next vf_ring_turn() */
	bool polled;	 /* whoever turns the ring never waits in it: no interrupts */
	bool recalled;	 /* the keeper wants everything back soon */
	struct vferry_admin_stats stats;
	void (*ended)(void *arg,
		      const struct vferry_cmd *cmd); /* told of each command's end; may be NULL */
	void *ended_arg;
	uint64_t owner_hash;	       /* what stands for the owner in probes */
	uint8_t mode_seen[VF_MAX_VFS]; /* last mode known + 1, for probes; 0: not known */
	unsigned char exec_answer[VFERRY_CMD_INLINE_RESULT];
};

/**
 * vf_user_queue_open() - drive a lent admin queue
 *
 * The queue belongs to the ring's thread. Commands are given to the device at the start of the next vf_ring_turn(), with one doorbell
 * for all of them; answers are reaped there and at the interrupt's eventfd, and done() runs in the order of the answers.
 * A command past its deadline is done with -ETIMEDOUT at once; its descriptors and its memory in the queue stay the device's,
 * and vf_admin_busy() says so; the arena memory it names must not be given to anyone else until vf_admin_settle().
 */
int vf_user_queue_open(struct vf_admin **admin, struct vf_ring *ring, struct vf_lease *lease,
		       struct vferry_error *err);

/** vf_admin_busy() - abandoned commands: memory in the queue and in the arena that is still the device's. */
static inline bool vf_admin_busy(const struct vf_admin *admin)
{
	return admin->abandoned;
}

/** vf_admin_submit() - never fails for want of room: the command waits its turn, its deadline runs. cmd->done is called once, never from here. */
void vf_admin_submit(struct vf_admin *admin, struct vferry_cmd *cmd);
/** vf_admin_exec() - submit and turn the ring until done. 0 when the device answered (look at cmd->status), else cmd->error. */
int vf_admin_exec(struct vf_admin *admin, struct vferry_cmd *cmd);
/** vf_admin_cancel() - the command is done with -ECANCELED in the next turn; what the device has of it is abandoned. */
void vf_admin_cancel(struct vf_admin *admin, struct vferry_cmd *cmd);
/**
 * vf_admin_settle() - abandoned commands: wait for late answers until @deadline_ns, then reset the queue where it can
 *
 * To be called when nothing else is under way: the reset ends every command (-ECANCELED). It also puts right a queue that is dead with -EPROTO.
 *
 * Return: 0: nothing is the device's any more; -EBUSY: something still is; -ENODEV: the device is gone.
 */
int vf_admin_settle(struct vf_admin *admin, uint64_t deadline_ns);
/** vf_admin_close() - not from within done(). The lease stays the caller's. */
void vf_admin_close(struct vf_admin *admin);
/** vf_admin_probe_end() - for the ways down: @cmd is over, its done() comes next. */
void vf_admin_probe_end(struct vf_admin *admin, const struct vferry_cmd *cmd);

/*
 * vferry_cmd.order of a command whose bytes are the caller's, for conformance tests: @data is the whole device-readable part,
 * header and all, @result the whole device-writable one, each of any length and cut anywhere, in the arena. Nothing is padded or
 * read of the answer; used is the used length as the device gave it. EAGAIN is not looked for.
 */
#define VF_ORDER_RAW 0x80

/** vf_answer_take() - what the device wrote (@header, @used bytes in all, @room of them at most), checked, into @cmd. 0, or -EPROTO with cmd->why. */
int vf_answer_take(struct vferry_cmd *cmd, const struct vferry_admin_answer_hdr *header,
		   uint32_t used, uint64_t room);

/* --- the arena: slots for context bytes in the lease's memory --- */
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
/**
 * vf_arena_touch() - have the kernel find pages now for the first @bytes, which vf_arena_get() gives first
 *
 * So that none has to be found and cleared in a downtime. More would cost time and memory that most runs do not need.
 */
void vf_arena_touch(const struct vf_arena *arena, uint64_t bytes);

#endif
