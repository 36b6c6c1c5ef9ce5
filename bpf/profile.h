/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What bpf/profile.bpf.c and user/profile/watch.c say to each other. The including file brings __u64 and its like. */
#ifndef PROF_BPF_H
#define PROF_BPF_H

#define PROF_BPF_PROCESSES 1024

enum prof_bpf_kind {
	PROF_BPF_OFF_CPU = 1,
	PROF_BPF_IRQ = 2,
	PROF_BPF_PUNT = 3,
	PROF_BPF_CHILD = 4, /* a watched process has a child: it is watched as well */
};

struct prof_bpf_event {
	__u64 begin;
	__u64 wake; /* OFF_CPU: when it could have run again; 0: all the time */
	__u64 end;
	__u32 kind;
	__u32 pid;
	__u32 state; /* OFF_CPU: the kernel's TASK_ bits; 0: preempted */
	__u32 pad;
};

#endif
