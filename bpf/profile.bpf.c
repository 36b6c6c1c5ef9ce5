// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When did an engine not run, and why? Only the main threads of watched processes: an engine is its main thread. What they
 * start is watched as well. CLOCK_MONOTONIC, as the engine's own times.
 */
#include <linux/types.h>
#include <linux/bpf.h>
#include <asm/ptrace.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "profile.h"

struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));

struct process {
	__u64 off_begin, wake, irq_begin, softirq_begin;
	__u32 state;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROF_BPF_PROCESSES);
	__type(key, __u32);
	__type(value, struct process);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

__u64 lost = 0;

static __always_inline struct process *process_of(struct task_struct *task, __u32 *pid)
{
	*pid = (__u32)task->pid;
	if (task->tgid != task->pid)
		return 0;
	return bpf_map_lookup_elem(&watched, pid);
}

static __always_inline struct process *current_process(__u32 *pid)
{
	__u64 both = bpf_get_current_pid_tgid();

	*pid = (__u32)both;
	if (*pid != both >> 32)
		return 0;
	return bpf_map_lookup_elem(&watched, pid);
}

static __always_inline void emit(__u32 kind, __u32 pid, __u64 begin, __u64 wake, __u64 end,
				 __u32 state)
{
	struct prof_bpf_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return;
	}
	event->begin = begin;
	event->wake = wake;
	event->end = end;
	event->kind = kind;
	event->pid = pid;
	event->state = state;
	event->pad = 0;
	/* Read when all is over, or ten times a second: nobody is woken for it. */
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	__u64 now = bpf_ktime_get_ns();
	struct process *process;
	__u32 pid;

	process = process_of(prev, &pid);
	if (process) {
		process->off_begin = now;
		process->wake = 0;
		process->state = preempt ? 0 : prev_state;
	}
	process = process_of(next, &pid);
	if (process && process->off_begin) {
		emit(PROF_BPF_OFF_CPU, pid, process->off_begin, process->wake, now, process->state);
		process->off_begin = 0;
	}
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	struct process *process;
	__u32 pid;

	process = process_of(task, &pid);
	if (process && process->off_begin && !process->wake)
		process->wake = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	const struct process fresh = {};
	__u32 tgid = (__u32)parent->tgid, pid = (__u32)child->pid;
	__u64 now;

	if (child->tgid != child->pid || !bpf_map_lookup_elem(&watched, &tgid))
		return 0;
	if (bpf_map_update_elem(&watched, &pid, &fresh, BPF_NOEXIST)) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	now = bpf_ktime_get_ns();
	emit(PROF_BPF_CHILD, pid, now, 0, now, 0);
	return 0;
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(on_irq)
{
	__u32 pid;
	struct process *process = current_process(&pid);

	if (process)
		process->irq_begin = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(on_irq_end)
{
	__u32 pid;
	struct process *process = current_process(&pid);

	if (process && process->irq_begin) {
		emit(PROF_BPF_IRQ, pid, process->irq_begin, 0, bpf_ktime_get_ns(), 0);
		process->irq_begin = 0;
	}
	return 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(on_softirq)
{
	__u32 pid;
	struct process *process = current_process(&pid);

	if (process)
		process->softirq_begin = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(on_softirq_end)
{
	__u32 pid;
	struct process *process = current_process(&pid);

	if (process && process->softirq_begin) {
		emit(PROF_BPF_IRQ, pid, process->softirq_begin, 0, bpf_ktime_get_ns(), 1);
		process->softirq_begin = 0;
	}
	return 0;
}

SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(on_punt)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	__u64 now = bpf_ktime_get_ns();

	if (bpf_map_lookup_elem(&watched, &tgid))
		emit(PROF_BPF_PUNT, tgid, now, 0, now, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
