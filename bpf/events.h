/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs and user space say to each other: the key and the value of a row of the latency table, and the
 * events of the ring buffer. Includes nothing, since the BPF side has types of its own; the including file brings __u64
 * and its like.
 */
#ifndef VFT_EVENTS_H
#define VFT_EVENTS_H

#include "hist.h"

#define VFT_COMM 16

enum vft_source {
	VFT_ENGINE = 0,	     /* libvferry's admin_complete */
	VFT_DEVICE = 1,	     /* the software owner's owner_command */
	VFT_KERNEL = 2,	     /* the kernel's own admin queue */
	VFT_URING = 3,	     /* IORING_OP_URING_CMD on /dev/vferry, whoever sends it */
	VFT_URING_OTHER = 4, /* the same on any other file */
	VFT_SOURCES,
};

/* Where an answer's status is counted; the rest is OTHER, and NONE is a command that got no answer. */
enum vft_status {
	VFT_OK,
	VFT_ENXIO,
	VFT_EAGAIN,
	VFT_ENOMEM,
	VFT_EBUSY,
	VFT_EINVAL,
	VFT_ENOSPC,
	VFT_OTHER,
	VFT_NONE,
	VFT_STATUSES,
};

#define VFT_OPCODE_OTHER 0xffff /* the row for all that found no row of its own */

/* Opcodes from here on have no name in any dialect: of these a process has one row. */
#define VFT_OPCODES 64

/*
 * No process gets more than this share of what all share, so that one that goes mad, or lies, spoils nobody's figures but its own: of the
 * table's rows 5 in 8, of the events in some 67 ms less than half of what the ring buffer holds.
 */
#define VFT_ROWS_EACH(rows)  ((rows) / 8 * 5)
#define VFT_EVENTS_EACH	     4096
#define VFT_EVENTS_WINDOW_NS (1ULL << 26)

struct vft_key {
	__u32 tgid;
	__u32 member; /* 0 unless rows are split by member */
	__u16 opcode;
	__u8 source;
	__u8 pad;
};

struct vft_row {
	__u64 count;
	__u64 sum_ns;
	__u64 max_ns;
	__u64 wait_ns;	     /* handed over -> given to the device */
	__u64 device_ns;     /* given to the device -> the loop woke */
	__u64 reap_ns;	     /* the loop woke -> reaped */
	__u64 split;	     /* commands for which the three above are known */
	__u64 irq_split;     /* commands for which the interrupt was seen */
	__u64 irq_device_ns; /* given to the device -> interrupt */
	__u64 irq_wake_ns;   /* interrupt -> the loop woke */
	__u64 bytes;
	__u64 retries;
	__u64 status[VFT_STATUSES];
	char comm[VFT_COMM];
	__u32 hist[VFT_HIST_SLOTS];
};

enum vft_event_kind {
	VFT_EVENT_COMMAND = 1,
	VFT_EVENT_MODE = 2,
	VFT_EVENT_PHASE = 3,
	VFT_EVENT_EXEC = 4, /* a program was started: it may be one of ours */
	VFT_EVENT_CHUNK = 5,
};

struct vft_event {
	__u32 kind;
	__u32 tgid;
	__u64 member;
	__u64 owner; /* or migration id */
	__u64 begin_ns;
	__u64 end_ns;
	__u64 issue_ns;
	__u64 wake_ns;
	__u32 what;   /* opcode | group << 16; MODE: from; PHASE: phase; CHUNK: direction */
	__u32 answer; /* status | qualifier << 16; MODE: to */
	__s32 error;
	__u32 bytes;
	__u32 retries;
	__u32 source;
	__u32 uid;
	__u32 pad;
	char comm[VFT_COMM];
};

/* Counters that say what was not seen; index of the lost[] array. */
enum vft_lost {
	VFT_LOST_EVENTS, /* the ring buffer was full, or one process had its share */
	VFT_LOST_ROWS,	 /* the table was full: counted in the row "other" */
	VFT_LOST_ARGS,	 /* a probe's arguments could not be read */
	VFT_LOST_PAIRS,	 /* a command's begin was not seen */
	VFT_LOST_MODES,	 /* VFs without a place among the modes: counted by user space */
	VFT_LOSTS,
};

/* When the last VFIO interrupts of the machine arrived. */
#define VFT_IRQS 16u

struct vft_irqs {
	__u64 count;
	__u64 at_ns[VFT_IRQS];
};

/* What a process has had of what all share. */
struct vft_share {
	__u32 rows;
	__u32 events;
	__u64 window; /* in which the events were counted */
};

/* The io_uring of a traced process. */
struct vft_ring {
	__u64 submitted;
	__u64 completed;
	__u64 failed;
	__u64 punted; /* handed to io-wq: a thread hop */
};

#endif
