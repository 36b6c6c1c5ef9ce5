/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who has what: VFs, one admin queue and an arena for each loan, and those who wait. A VF is on one loan at a time; a
 * queue too. Knows nothing of sockets or processes.
 */
#ifndef VF_KEEP_LOANS_H
#define VF_KEEP_LOANS_H

#include "bus/keeper_wire.h"
#include "keep/device.h"
#include "ring/ring.h"

struct loans;
struct want;

/* One for each admin queue. */
struct loan {
	struct loans *loans;
	unsigned int queue;
	enum vf_loan_state state; /* 0: the queue is free */
	bool own;		  /* the keeper itself uses the queue */
	bool alone;
	struct vf_vfset vfs;
	struct vf_lease lease;
	struct want *holder; /* while lent */
	uint32_t pid;	     /* what was said of the holder; stays while resting */
	char comm[16];
	uint64_t since_ns;
	/* coming to rest (rest.c) */
	struct vf_timer timer;
	uint64_t rest_until_ns;
	uint64_t rest_step_ns;
};

/** struct want - somebody who wants a loan, waits for it, or has it; embedded in its owner */
struct want {
	struct vf_vfset vfs;
	uint64_t arena_bytes;
	bool wait, alone;
	uint32_t pid;
	char comm[16];
	/* called once, perhaps from within loans_ask() */
	void (*granted)(struct want *want, struct loan *loan);
	void (*refused)(struct want *want, const struct vferry_error *err);
	/* whether the holder of a loan has died and nobody noticed yet; then the loan is being returned already */
	bool (*dead)(struct want *holder);

	struct loan *loan;
	struct want *next; /* in the waiting list */
	bool waiting;
};

struct loans {
	const struct keep_device_ops *ops;
	void *device;
	struct vf_ring *ring;
	struct loan *slots; /* by admin queue */
	unsigned int count;
	unsigned int first; /* queues below are the keeper's own for good */
	uint16_t num_vfs;
	uint8_t epoch[16];
	uint64_t generation;
	struct want *waiting;
	char trouble[504]; /* words: nothing is lent; empty: it is */
	int trouble_code;
	uint64_t rest_ns;  /* how long a queue may take to come to rest */
	unsigned int held; /* nothing is lent at this moment, and all wait: loans_hold() */
	/* a loan ended: the queue is free again, or wedged (@loan->state); VFs and holder are still in it */
	void (*ended)(struct loans *loans, struct loan *loan);
	void *arg;
};

/** loans_init() - @loans->ops, device, ring, num_vfs are set before. @count: admin queues. */
int loans_init(struct loans *loans, unsigned int count, struct vferry_error *err);
void loans_free(struct loans *loans);

/** loans_ask() - now, later, or not: @want's callbacks say. */
void loans_ask(struct loans *loans, struct want *want);
/** loans_withdraw() - @want no longer waits, or gives its loan back. Afterwards @want is the caller's. */
void loans_withdraw(struct loans *loans, struct want *want);
/** loans_serve() - look again at those who wait. */
void loans_serve(struct loans *loans);
/** loans_own() - the keeper takes a free queue for itself when it has none for good; NULL: none is free. */
struct loan *loans_own(struct loans *loans);
void loans_disown(struct loan *loan);

/** loans_hold() - lend nothing until loans_unhold(): the keeper has to put something right first. */
void loans_hold(struct loans *loans);
void loans_unhold(struct loans *loans);

/** loans_trouble() - from now on nothing is lent, and why; those who wait are refused. @code 0: over. */
__attribute__((format(printf, 3, 4))) void loans_trouble(struct loans *loans, int code,
							 const char *format, ...);
unsigned int loans_lent(const struct loans *loans); /* lent or coming to rest */
unsigned int loans_wedged(const struct loans *loans);
unsigned int loans_free_queues(const struct loans *loans);
unsigned int loans_waiting(const struct loans *loans);

/* rest.c */

/** rest_begin() - @loan's holder is gone: bring its queue to rest, in steps from the loop. */
void rest_begin(struct loan *loan);
/** rest_again() - a wedged queue may have caught up by itself meanwhile. Return: whether it has. */
bool rest_again(struct loan *loan);

#endif
