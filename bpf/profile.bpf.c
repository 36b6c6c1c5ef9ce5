// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When did an engine not run, and why? An engine is its process's main thread; io_uring's worker threads belong to the process
 * and are told apart. What a watched process starts is watched as well. Times are the kernel's CLOCK_MONOTONIC, without what a
 * time namespace adds.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <asm/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "profile.h"

#define TASK_DEAD    0x80
#define PF_IO_WORKER 0x10

struct upid {
	int nr;
} __attribute__((preserve_access_index));

struct pid {
	unsigned int level;
	struct upid numbers[1];
} __attribute__((preserve_access_index));

struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	unsigned int in_iowait : 1;
	struct pid *thread_pid;
} __attribute__((preserve_access_index));

struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

struct sock_common {
	__u16 skc_num;
	__be16 skc_dport;
	struct {
		struct net *net;
	} skc_net;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

struct io_kiocb {
	__u8 opcode;
} __attribute__((preserve_access_index));

struct thread {
	__u64 off_begin, wake, on_begin;
	__u64 irq_begin, softirq_begin;
	__u32 state;
	__u32 pad;
};

/* The operation is the tracepoint's first argument; older kernels have it elsewhere. */
const volatile bool punt_has_request = false;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROF_BPF_PROCESSES);
	__type(key, __u32);
	__type(value, __u32);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROF_BPF_THREADS);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* The whole machine's: a network that loses much must not crowd out the rest. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
} segments SEC(".maps");

__u64 lost = 0;
__u64 segments_lost = 0;

static __always_inline void emit(__u32 kind, __u32 pid, __u32 tid, __u64 begin, __u64 wake,
				 __u64 end, __u32 state, __u32 what)
{
	struct prof_bpf_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return;
	}
	*event = (struct prof_bpf_event){
		.begin = begin,
		.wake = wake,
		.end = end,
		.kind = kind,
		.pid = pid,
		.tid = tid,
		.state = state,
		.what = what,
	};
	/* Read when all is over, or ten times a second: nobody is woken for it. */
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static __always_inline bool is_watched(__u32 pid)
{
	return bpf_map_lookup_elem(&watched, &pid);
}

static __always_inline struct thread *thread_of(__u32 tid)
{
	const struct thread fresh = {};
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid);

	if (thread)
		return thread;
	if (bpf_map_update_elem(&threads, &tid, &fresh, BPF_NOEXIST))
		__sync_fetch_and_add(&lost, 1);
	return bpf_map_lookup_elem(&threads, &tid);
}

static __always_inline __u32 marks_of(struct task_struct *task)
{
	return task->flags & PF_IO_WORKER ? PROF_BPF_WORKER : 0;
}

static __always_inline void leaves(struct task_struct *task, __u32 state, __u64 now)
{
	__u32 tgid = (__u32)task->tgid, tid = (__u32)task->pid;
	struct thread *thread;

	if (!is_watched(tgid))
		return;
	thread = thread_of(tid);
	if (!thread)
		return;
	if (tid != tgid && thread->on_begin)
		emit(PROF_BPF_RAN, tgid, tid, thread->on_begin, 0, now, marks_of(task), 0);
	if (state & TASK_DEAD) {
		bpf_map_delete_elem(&threads, &tid);
		if (tid == tgid)
			bpf_map_delete_elem(&watched, &tgid);
		return;
	}
	thread->off_begin = now;
	thread->wake = 0;
	thread->state = (state & 0xff) | marks_of(task);
	if (state && BPF_CORE_READ_BITFIELD(task, in_iowait))
		thread->state |= PROF_BPF_IOWAIT;
}

static __always_inline void comes(struct task_struct *task, __u64 now)
{
	__u32 tgid = (__u32)task->tgid, tid = (__u32)task->pid;
	struct thread *thread;

	if (!is_watched(tgid))
		return;
	thread = thread_of(tid);
	if (!thread)
		return;
	if (thread->off_begin)
		emit(PROF_BPF_OFF_CPU, tgid, tid, thread->off_begin, thread->wake, now,
		     thread->state, 0);
	thread->off_begin = 0;
	thread->on_begin = now;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	__u64 now = bpf_ktime_get_ns();

	leaves(prev, preempt ? 0 : prev_state, now);
	comes(next, now);
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	__u32 tid = (__u32)task->pid;
	struct thread *thread;

	if (!is_watched((__u32)task->tgid))
		return 0;
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (thread && thread->off_begin && !thread->wake)
		thread->wake = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 pid = (__u32)child->pid, yes = 1, inside;
	struct pid *numbers;
	__u64 now;

	if (child->tgid != child->pid || !is_watched((__u32)parent->tgid))
		return 0;
	if (bpf_map_update_elem(&watched, &pid, &yes, BPF_NOEXIST)) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	now = bpf_ktime_get_ns();
	numbers = BPF_CORE_READ(child, thread_pid);
	/* Its number as it sees it itself: that of the innermost namespace. */
	if (bpf_probe_read_kernel(&inside, sizeof(inside),
				  (void *)numbers + bpf_core_field_offset(struct pid, numbers) +
					  (unsigned long)BPF_CORE_READ(numbers, level) *
						  bpf_core_type_size(struct upid)))
		inside = pid;
	emit(PROF_BPF_CHILD, pid, pid, now, 0, now, 0, inside);
	return 0;
}

/* Interrupts count where they take the engine's own time: on its main thread. */
static __always_inline struct thread *interrupted(__u32 *pid)
{
	__u64 both = bpf_get_current_pid_tgid();

	*pid = (__u32)both;
	if (*pid != both >> 32 || !is_watched(*pid))
		return 0;
	return thread_of(*pid);
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(on_irq)
{
	__u32 pid;
	struct thread *thread = interrupted(&pid);

	if (thread)
		thread->irq_begin = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(on_irq_end)
{
	__u32 pid;
	struct thread *thread = interrupted(&pid);

	if (thread && thread->irq_begin) {
		emit(PROF_BPF_IRQ, pid, pid, thread->irq_begin, 0, bpf_ktime_get_ns(), 0, 0);
		thread->irq_begin = 0;
	}
	return 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(on_softirq)
{
	__u32 pid;
	struct thread *thread = interrupted(&pid);

	if (thread)
		thread->softirq_begin = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(on_softirq_end, unsigned int vector)
{
	__u32 pid;
	struct thread *thread = interrupted(&pid);

	if (thread && thread->softirq_begin) {
		emit(PROF_BPF_SOFTIRQ, pid, pid, thread->softirq_begin, 0, bpf_ktime_get_ns(), 0,
		     vector);
		thread->softirq_begin = 0;
	}
	return 0;
}

SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(on_punt, struct io_kiocb *request)
{
	__u64 both = bpf_get_current_pid_tgid(), now = bpf_ktime_get_ns();
	__u32 pid = (__u32)(both >> 32);

	if (is_watched(pid))
		emit(PROF_BPF_PUNT, pid, (__u32)both, now, 0, now, 0,
		     punt_has_request ? BPF_CORE_READ(request, opcode) : 0xffff);
	return 0;
}

/* In whatever context the timer or the acknowledgement came: user space finds its own connections by their ports. */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(on_retransmit, struct sock *sock)
{
	struct prof_bpf_event *event = bpf_ringbuf_reserve(&segments, sizeof(*event), 0);
	__u64 now = bpf_ktime_get_ns();

	if (!event) {
		__sync_fetch_and_add(&segments_lost, 1);
		return 0;
	}
	*event = (struct prof_bpf_event){
		.begin = now,
		.end = now,
		.kind = PROF_BPF_RETRANSMIT,
		.state = BPF_CORE_READ(sock, __sk_common.skc_net.net, ns.inum),
		.what = BPF_CORE_READ(sock, __sk_common.skc_num) |
			(__u32)bpf_ntohs(BPF_CORE_READ(sock, __sk_common.skc_dport)) << 16,
	};
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
