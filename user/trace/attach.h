/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Loading the BPF programs and attaching them, rung by rung: each probe is tried, what came of it is kept for the header, and one that
 * fails never takes the others down.
 */
#ifndef VFT_ATTACH_H
#define VFT_ATTACH_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>
#include <vferry/error.h>
#include "bpf/events.h"
#include "trace/find.h"

#define VFT_RUNGS_MAX 16
#define VFT_ROWS      512 /* places in the table, unless said otherwise */

struct vft_filter {
	pid_t pid; /* 0: every process */
	bool by_member;
	bool commands; /* an event for each command */
	bool only_errors;
	__u64 min_latency_ns;
	__u64 opcode_mask; /* 0: all */
	bool filter_members;
	__u64 member_mask[4];
	bool engine, device, kernel, ring; /* what to look at */
	bool uring, any_uring;		   /* URING_CMD of /dev/vferry; of any file */
	unsigned int rows;		   /* places in the table; 0: 512 */
};

static inline unsigned int vft_filter_rows(const struct vft_filter *filter)
{
	return filter->rows ? filter->rows : VFT_ROWS;
}

enum vft_rung_state {
	VFT_RUNG_OFF, /* not asked for */
	VFT_RUNG_OK,
	VFT_RUNG_FAILED,
	VFT_RUNG_ABSENT, /* the kernel has no such thing: not an error */
};

/** struct vft_rung - one probe of the ladder and what came of it */
struct vft_rung {
	const char *name; /* "usdt", "fentry vp_modern_admin_cmd_exec", … */
	enum vft_rung_state state;
	char why[160];
};

struct vft_tracer;

/** vft_tracer_open() - load; nothing is attached yet. -EPERM/-EACCES: the words name the capability that is missing. */
int vft_tracer_open(struct vft_tracer **tracer, const struct vft_filter *filter,
		    struct vferry_error *err);
/** vft_tracer_attach() - attach to what runs now and was not attached; number of files attached in all, or -errno (only for a --pid). */
int vft_tracer_attach(struct vft_tracer *tracer, struct vferry_error *err);
/** vft_tracer_started() - a program was started: attach to its file when it is one of ours. */
void vft_tracer_started(struct vft_tracer *tracer, pid_t pid);
void vft_tracer_close(struct vft_tracer *tracer);

const struct vft_rung *vft_tracer_rungs(const struct vft_tracer *tracer, unsigned int *count);
const struct vft_finder *vft_tracer_finder(const struct vft_tracer *tracer);
int vft_tracer_rows_fd(const struct vft_tracer *tracer);
int vft_tracer_events_fd(const struct vft_tracer *tracer);
int vft_tracer_rings_fd(const struct vft_tracer *tracer); /* -1 without */
/** vft_tracer_forget() - a process has ended: its row @key, already added up elsewhere, and its share of the maps are let go; its io_uring is added to @ring. */
void vft_tracer_forget(const struct vft_tracer *tracer, const struct vft_key *key,
		       struct vft_ring *ring);
/** vft_tracer_interrupts() - VFIO interrupts seen on the whole machine; false: they are not looked at. */
bool vft_tracer_interrupts(const struct vft_tracer *tracer, __u64 *count);
/** vft_tracer_lost() - what was not seen so far, summed over the processors; @lost has VFT_LOSTS places. */
void vft_tracer_lost(const struct vft_tracer *tracer, __u64 *lost);
/** vft_tracer_cost() - the programs' own run time, when the kernel's BPF statistics are on. */
void vft_tracer_cost(const struct vft_tracer *tracer, __u64 *run_ns, __u64 *run_count);

/** vft_may_trace() - are the capabilities there? 0, or -EPERM with the words. */
int vft_may_trace(struct vferry_error *err);

#endif
