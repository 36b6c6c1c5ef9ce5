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

	if (!tgid_wanted(event.tgid))
		return 0;
	ARG(0, event.owner);
	ARG(1, event.what);
	ARG(2, event.member);
	ARG(3, event.answer);
	ARG(4, event.error);
	ARG(5, event.begin_ns);
	ARG(6, event.issue_ns);
	ARG(7, event.wake_ns);
	ARG(8, event.end_ns);
	ARG(9, event.bytes);
	ARG(10, event.retries);
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

/* Tells user space to look for new program files at once. */
SEC("raw_tp/sched_process_exec")
int exec(void *ctx)
{
	struct vft_event event = { .kind = VFT_EVENT_EXEC };

	if (!only_tgid)
		emit(&event);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
