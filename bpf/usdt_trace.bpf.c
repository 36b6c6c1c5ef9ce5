// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What do libvferry's engines, and the software owner, do? From their USDT probes (include/vferry/probes.h). */
#include "rows.bpf.h"

#define BPF_USDT_MAX_SPEC_CNT 1024
#define BPF_USDT_MAX_IP_CNT   1
#include <bpf/usdt.bpf.h>

/* One probe's arguments by number; a failed read is counted and ends the program. */
#define ARG(n, into)                                 \
	do {                                         \
		long value_;                         \
		if (bpf_usdt_arg(ctx, n, &value_)) { \
			count_lost(VFT_LOST_ARGS);   \
			return 0;                    \
		}                                    \
		(into) = (__typeof__(into))value_;   \
	} while (0)

/* struct vferry_probe_command of include/vferry/probes.h, which cannot be included here. */
struct command {
	__u64 owner;
	__u64 member;
	__u64 submit_ns;
	__u64 issue_ns;
	__u64 wake_ns;
	__u64 done_ns;
	__u32 what;
	__u32 answer;
	__s32 error;
	__u32 bytes;
	__u32 retries;
	__u32 reserved;
};

const volatile bool want_rings = false;

static __always_inline void watch_ring(__u32 tgid)
{
	const struct vft_ring nothing = {};

	if (want_rings && !bpf_map_lookup_elem(&rings, &tgid))
		bpf_map_update_elem(&rings, &tgid, &nothing, BPF_NOEXIST);
}

SEC("usdt")
int admin_complete(struct pt_regs *ctx)
{
	struct vft_event event = {
		.kind = VFT_EVENT_COMMAND,
		.source = VFT_ENGINE,
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};
	struct command command;
	const void *record;

	if (!tgid_wanted(event.tgid))
		return 0;
	ARG(11, record);
	if (bpf_probe_read_user(&command, sizeof(command), record)) {
		count_lost(VFT_LOST_ARGS);
		return 0;
	}
	event.owner = command.owner;
	event.what = command.what;
	event.member = command.member;
	event.answer = command.answer;
	event.error = command.error;
	event.begin_ns = command.submit_ns;
	event.issue_ns = command.issue_ns;
	event.wake_ns = command.wake_ns;
	event.end_ns = command.done_ns;
	event.bytes = command.bytes;
	event.retries = command.retries;
	watch_ring(event.tgid);
	account(&event);
	return 0;
}

SEC("usdt")
int owner_command(struct pt_regs *ctx)
{
	struct vft_event event = {
		.kind = VFT_EVENT_COMMAND,
		.source = VFT_DEVICE,
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};

	if (!tgid_wanted(event.tgid))
		return 0;
	ARG(1, event.what);
	ARG(2, event.member);
	ARG(3, event.answer);
	ARG(4, event.begin_ns);
	ARG(5, event.end_ns);
	account(&event);
	return 0;
}

static __always_inline int mode_event(struct pt_regs *ctx, __u32 source)
{
	struct vft_event event = {
		.kind = VFT_EVENT_MODE,
		.source = source,
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};

	if (!tgid_wanted(event.tgid))
		return 0;
	ARG(0, event.owner);
	ARG(1, event.member);
	ARG(2, event.what);
	ARG(3, event.answer);
	ARG(4, event.begin_ns);
	ARG(5, event.end_ns);
	if (member_wanted(event.member))
		emit(&event);
	return 0;
}

SEC("usdt")
int mode(struct pt_regs *ctx)
{
	return mode_event(ctx, VFT_ENGINE);
}

SEC("usdt")
int owner_mode(struct pt_regs *ctx)
{
	return mode_event(ctx, VFT_DEVICE);
}

SEC("usdt")
int phase(struct pt_regs *ctx)
{
	struct vft_event event = {
		.kind = VFT_EVENT_PHASE,
		.source = VFT_ENGINE,
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};

	if (!tgid_wanted(event.tgid))
		return 0;
	ARG(0, event.owner);
	ARG(1, event.member);
	ARG(2, event.what);
	ARG(3, event.begin_ns);
	event.end_ns = event.begin_ns;
	if (member_wanted(event.member))
		emit(&event);
	return 0;
}

SEC("usdt")
int chunk(struct pt_regs *ctx)
{
	struct vft_event event = {
		.kind = VFT_EVENT_CHUNK,
		.source = VFT_ENGINE,
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};

	if (!tgid_wanted(event.tgid))
		return 0;
	ARG(0, event.owner);
	ARG(1, event.member);
	ARG(2, event.what);
	ARG(3, event.bytes);
	ARG(4, event.begin_ns);
	ARG(5, event.end_ns);
	if (member_wanted(event.member))
		emit(&event);
	return 0;
}

/* Tells user space to look at a program that starts. */
SEC("raw_tp/sched_process_exec")
int exec(void *ctx)
{
	struct vft_event event = {
		.kind = VFT_EVENT_EXEC,
		.tgid = bpf_get_current_pid_tgid() >> 32,
	};

	if (!only_tgid)
		emit(&event);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
