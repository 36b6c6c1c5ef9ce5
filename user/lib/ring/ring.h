/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The io_uring loop: one thread, operations with a callback each, timers.
 * The lowest floor: it knows nothing of devices or streams.
 */
#ifndef VF_RING_H
#define VF_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vferry/error.h>
#include "ring/compat.h"

struct vf_ring;

/**
 * struct vf_op - an operation under way; embedded in its owner, who keeps it until it is done
 * @done: called once for each completion, from vf_ring_turn(), with io_uring's res and flags.
 *	  Multishot and zero-copy operations complete more than once: as long as @flags has
 *	  IORING_CQE_F_MORE the operation goes on
 * @busy: completions are still due; the memory must stay
 */
struct vf_op {
	void (*done)(struct vf_op *op, int32_t res, uint32_t flags);
	bool busy;
};

/** struct vf_timer - calls @fn once at @at_ns (CLOCK_MONOTONIC); embedded in its owner. Zeroed before first use. */
struct vf_timer {
	uint64_t at_ns;
	void (*fn)(struct vf_timer *timer);
	uint32_t slot; /* place in the heap, 1-based; 0: not set */
};

/** struct vf_ring_stats - what the ring has seen */
struct vf_ring_stats {
	uint64_t submitted;
	uint64_t completed;
	uint64_t enters; /* system calls */
};

/** vf_now_ns() - CLOCK_MONOTONIC in nanoseconds, the clock of all deadlines and events. */
uint64_t vf_now_ns(void);

/**
 * vf_ring_new() - make a ring
 * @out: the ring, owned by the caller
 * @entries: submission slots; the completion side gets four times as many
 * @err: may be NULL
 *
 * Asks for SINGLE_ISSUER and DEFER_TASKRUN and goes without on kernels that lack them: the ring
 * belongs to the thread that made it.
 *
 * Return: 0; -ENOSYS or -EPERM where io_uring is missing or forbidden (the words name the cause); -errno.
 */
int vf_ring_new(struct vf_ring **out, unsigned int entries, struct vferry_error *err);

/** vf_ring_free() - cancel what is under way, wait for it, end. Callbacks of cancelled operations do run. */
void vf_ring_free(struct vf_ring *ring);

/** vf_ring_features() - the IORING_SETUP_* flags in force. */
unsigned int vf_ring_flags(const struct vf_ring *ring);
/**
 * vf_ring_fd() - readable when completions wait; for embedding in another loop. Timers need vf_ring_next_timer().
 *
 * An eventfd, made at the first call: with DEFER_TASKRUN a ring's own descriptor wakes no epoll. Nor does this one for polls of
 * other eventfds (6.18 puts off such a nested signal once and loses those that follow): watch these beside it. -errno.
 */
int vf_ring_fd(struct vf_ring *ring);
/** vf_ring_next_timer() - when the earliest timer is due, UINT64_MAX without one. */
uint64_t vf_ring_next_timer(const struct vf_ring *ring);
const struct vf_ring_stats *vf_ring_stats(const struct vf_ring *ring);

/**
 * vf_ring_sqe() - a submission entry to fill in with an io_uring_prep_*() function
 * @ring: the ring
 * @op: called back on completion; NULL: the completion is ignored
 *
 * The entry is submitted by the next vf_ring_turn() or vf_ring_flush(). Sets user data and
 * @op->busy after io_uring_prep_*() must not be relied upon: prep functions of liburing keep user_data.
 *
 * Return: never NULL; a full submission queue is submitted first.
 */
struct io_uring_sqe *vf_ring_sqe(struct vf_ring *ring, struct vf_op *op);

/**
 * vf_ring_reserve() - make sure that the next @count entries go to the kernel together: a link (IOSQE_IO_LINK) ends
 * where a submission ends. @count is far below the ring's size.
 */
void vf_ring_reserve(struct vf_ring *ring, unsigned int count);

/** vf_ring_quiet() - no completion for @sqe (prepared, without an operation) when it succeeds: it does not end a wait. */
void vf_ring_quiet(struct vf_ring *ring, struct io_uring_sqe *sqe);

/** vf_ring_flush() - submit now what was prepared, without waiting. */
int vf_ring_flush(struct vf_ring *ring);

/** vf_ring_cancel() - ask for @op's cancellation; @op->done still runs (with -ECANCELED or what it came to). */
void vf_ring_cancel(struct vf_ring *ring, struct vf_op *op);

/**
 * vf_ring_turn() - submit, wait for at least one completion or timer, run the callbacks
 * @ring: the ring
 * @deadline_ns: wait no longer than this (CLOCK_MONOTONIC; 0: do not wait; UINT64_MAX: until something happens)
 *
 * Return: number of callbacks run, timers and hooks included; 0 when the deadline came first, or when only
 * completions came that nobody waits for (of a cancellation): look at the clock before calling it a timeout; -EINTR
 * when a signal came; -errno.
 */
int vf_ring_turn(struct vf_ring *ring, uint64_t deadline_ns);

/**
 * struct vf_hook - called at the start of each vf_ring_turn(), before it submits and waits; embedded in its owner
 * @fn: what one doorbell or one flag is enough for at the end of a turn belongs here. Returns how many callbacks it
 *	ran: when any, the turn does not wait
 */
struct vf_hook {
	int (*fn)(struct vf_hook *hook);
	struct vf_hook *next;
};

void vf_ring_hook(struct vf_ring *ring, struct vf_hook *hook);
/** vf_ring_unhook() - also from within a hook. */
void vf_ring_unhook(struct vf_ring *ring, struct vf_hook *hook);

/** vf_timer_set() - set or move a timer. */
void vf_timer_set(struct vf_ring *ring, struct vf_timer *timer, uint64_t at_ns);
/** vf_timer_stop() - without effect when it is not set. */
void vf_timer_stop(struct vf_ring *ring, struct vf_timer *timer);

#endif
