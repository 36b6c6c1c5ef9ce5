// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What does the kernel's own admin queue do (PF on virtio_pci)? vp_modern_admin_cmd_exec() submits and waits, so that its
 * entry and its return are one command. The waker's interrupt handler, vp_modern_avq_done(), splits the time.
 * fentry/fexit where they work, kprobe/kretprobe elsewhere: user space loads one of the two.
 */
#include "rows.bpf.h"

struct begun {
	__u64 begin_ns;
	__u64 member;
	__u32 what;
	__u32 data_bytes;
};

/* A thread runs one command at a time: the call sleeps until the answer. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct begun);
} begun SEC(".maps");

__u64 last_done_ns = 0; /* when the queue's interrupt handler last ran */

static __always_inline int command_begins(struct virtio_admin_cmd *cmd)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 thread = (__u32)id;
	struct begun now = { .begin_ns = bpf_ktime_get_ns() };

	if (!tgid_wanted(id >> 32))
		return 0;
	now.what = BPF_CORE_READ(cmd, opcode) | (__u32)BPF_CORE_READ(cmd, group_type) << 16;
	now.member = BPF_CORE_READ(cmd, group_member_id);
	bpf_map_update_elem(&begun, &thread, &now, BPF_ANY);
	return 0;
}

static __always_inline int command_ends(long ret)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 thread = (__u32)id;
	struct begun *then;
	struct vft_event event = {
		.kind = VFT_EVENT_COMMAND,
		.source = VFT_KERNEL,
		.tgid = id >> 32,
		.end_ns = bpf_ktime_get_ns(),
	};
	int code = (int)ret;

	if (!tgid_wanted(event.tgid))
		return 0;
	then = bpf_map_lookup_elem(&begun, &thread);
	if (!then) {
		count_lost(VFT_LOST_PAIRS);
		return 0;
	}
	event.begin_ns = then->begin_ns;
	event.issue_ns = then->begin_ns;
	event.what = then->what;
	event.member = then->member;
	if (last_done_ns >= then->begin_ns && last_done_ns <= event.end_ns)
		event.wake_ns = last_done_ns;
	bpf_map_delete_elem(&begun, &thread);
	/* The kernel gives -status; -EOPNOTSUPP (95) and -EIO (5) are its own and never reached a device. */
	if (code == -95 || code == -5)
		event.error = code;
	else if (code < 0)
		event.answer = (__u32)-code;
	account(&event);
	return 0;
}

SEC("fentry/vp_modern_admin_cmd_exec")
int BPF_PROG(exec_fentry, void *vdev, struct virtio_admin_cmd *cmd)
{
	return command_begins(cmd);
}

SEC("fexit/vp_modern_admin_cmd_exec")
int BPF_PROG(exec_fexit, void *vdev, struct virtio_admin_cmd *cmd, int ret)
{
	return command_ends(ret);
}

SEC("fentry/vp_modern_avq_done")
int BPF_PROG(done_fentry)
{
	last_done_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("kprobe/vp_modern_admin_cmd_exec")
int BPF_KPROBE(exec_kprobe, void *vdev, struct virtio_admin_cmd *cmd)
{
	return command_begins(cmd);
}

SEC("kretprobe/vp_modern_admin_cmd_exec")
int BPF_KRETPROBE(exec_kretprobe, int ret)
{
	return command_ends(ret);
}

SEC("kprobe/vp_modern_avq_done")
int BPF_KPROBE(done_kprobe)
{
	last_done_ns = bpf_ktime_get_ns();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
