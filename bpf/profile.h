/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bpf/profile.bpf.c and user/profile/watch.c say to each other. The including file brings __u64 and its like. */
#ifndef PROF_BPF_H
#define PROF_BPF_H

#define PROF_BPF_PROCESSES 1024
#define PROF_BPF_THREADS   4096
#define PROF_BPF_WORKER	   0x100 /* in @state of OFF_CPU and RAN: a worker thread of io_uring */
#define PROF_BPF_IOWAIT \
	0x200 /* in @state of OFF_CPU: the kernel calls it a wait for input or output */

enum prof_bpf_kind {
	PROF_BPF_OFF_CPU = 1,
	PROF_BPF_RAN = 2, /* a thread that is not the main one was on a processor */
	PROF_BPF_IRQ = 3,
	PROF_BPF_SOFTIRQ = 4, /* what: its vector */
	PROF_BPF_PUNT = 5,    /* what: io_uring's opcode */
	PROF_BPF_CHILD =
		6, /* a watched process has a child: it is watched as well; what: its pid in its own namespace */
	PROF_BPF_RETRANSMIT = 7, /* what: local port | peer port << 16; state: network namespace */
};

struct prof_bpf_event {
	__u64 begin;
	__u64 wake; /* OFF_CPU: when it could have run again; 0: all the time */
	__u64 end;
	__u32 kind;
	__u32 pid;   /* the process */
	__u32 tid;   /* the thread; the main one has the number of its process */
	__u32 state; /* OFF_CPU: the kernel's TASK_ bits, 0: preempted */
	__u32 what;
	__u32 pad;
};

#endif
