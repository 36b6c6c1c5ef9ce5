/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of rows, the ring of events and the filters: what each program that sees commands ends in. */
#ifndef VFT_ROWS_BPF_H
#define VFT_ROWS_BPF_H

#include "kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "events.h"

#define VFT_VFS		 256
#define VFT_EVENTS_BYTES (1 << 20)

_Static_assert(!(VFT_HIST_SLOTS & (VFT_HIST_SLOTS - 1)), "slots are masked");

/* Filters and switches, fixed before loading: the verifier drops the branches not taken. */
const volatile __u32 only_tgid = 0; /* 0: every process */
const volatile __u32 self_tgid = 0; /* the tracer itself is never counted */
const volatile bool by_member = false;
const volatile bool want_commands = false; /* events of commands, not only rows */
const volatile bool want_irqs = false;	   /* the interrupt's time is known */
const volatile bool only_errors = false;
const volatile __u64 min_latency_ns = 0;
const volatile __u64 opcode_mask = ~0ULL; /* bit n: opcode n; opcodes from 63 on share bit 63 */
const volatile bool filter_members = false;
const volatile __u32 rows_each = 320; /* a process's share of the table */
const volatile __u64 member_mask[VFT_VFS / 64] = {};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 512);
	__type(key, struct vft_key);
	__type(value, struct vft_row);
} rows SEC(".maps");

/* A row of zeros, too large for the stack, to begin a new one with. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vft_row);
} blank SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, VFT_EVENTS_BYTES);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VFT_LOSTS);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/* Processes whose io_uring is counted: those that have fired one of our probes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct vft_ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct vft_share);
} shares SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct vft_irqs);
} irqs SEC(".maps");

static __always_inline void count_lost(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&lost, &what);

	if (n)
		(*n)++;
}

static __always_inline bool tgid_wanted(__u32 tgid)
{
	return tgid != self_tgid && (!only_tgid || tgid == only_tgid);
}

static __always_inline bool member_wanted(__u64 member)
{
	if (!filter_members)
		return true;
	if (member >= VFT_VFS)
		return false;
	return member_mask[(member / 64) & (VFT_VFS / 64 - 1)] >> (member % 64) & 1;
}

static __always_inline __u32 status_class(const struct vft_event *event)
{
	if (event->error)
		return VFT_NONE;
	switch (event->answer & 0xffff) {
	case 0:
		return VFT_OK;
	case 6:
		return VFT_ENXIO;
	case 11:
		return VFT_EAGAIN;
	case 12:
		return VFT_ENOMEM;
	case 16:
		return VFT_EBUSY;
	case 22:
		return VFT_EINVAL;
	case 28:
		return VFT_ENOSPC;
	}
	return VFT_OTHER;
}

static __always_inline struct vft_share *share_of(__u32 tgid)
{
	const struct vft_share nothing = {};
	struct vft_share *share = bpf_map_lookup_elem(&shares, &tgid);

	if (share)
		return share;
	bpf_map_update_elem(&shares, &tgid, &nothing, BPF_NOEXIST);
	return bpf_map_lookup_elem(&shares, &tgid);
}

static __always_inline struct vft_row *new_row(const struct vft_key *key)
{
	const __u32 zero = 0;
	void *empty = bpf_map_lookup_elem(&blank, &zero);

	if (!empty)
		return 0;
	bpf_map_update_elem(&rows, key, empty, BPF_NOEXIST);
	return bpf_map_lookup_elem(&rows, key);
}

static __always_inline struct vft_row *row_of(struct vft_key *key)
{
	struct vft_row *row = bpf_map_lookup_elem(&rows, key);
	struct vft_share *share;

	if (row)
		return row;
	share = share_of(key->tgid);
	if (share && share->rows < rows_each) {
		row = new_row(key);
		if (row) {
			share->rows++;
			return row;
		}
	}
	/* The table is full, or this process has its share: the command is still counted, in a row that stands for all of those. */
	count_lost(VFT_LOST_ROWS);
	if (share && share->rows >= rows_each) {
		key->member = 0;
		key->opcode = VFT_OPCODE_OTHER;
		row = bpf_map_lookup_elem(&rows, key);
		if (!row)
			row = new_row(key);
		if (row)
			return row;
	}
	key->tgid = 0;
	key->member = 0;
	key->opcode = VFT_OPCODE_OTHER;
	return bpf_map_lookup_elem(&rows, key);
}

static __always_inline void emit(const struct vft_event *event)
{
	struct vft_share *share = share_of(event->tgid);
	__u64 window = bpf_ktime_get_ns() / VFT_EVENTS_WINDOW_NS;
	struct vft_event *copy = 0;

	if (share && share->window != window) {
		share->window = window;
		share->events = 0;
	}
	if (share && share->events < VFT_EVENTS_EACH) {
		share->events++;
		copy = bpf_ringbuf_reserve(&events, sizeof(*copy), 0);
	}
	if (!copy) {
		count_lost(VFT_LOST_EVENTS);
		return;
	}
	*copy = *event;
	copy->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(copy->comm, sizeof(copy->comm));
	/* User space looks every few milliseconds by itself; it is woken only when much has come together. */
	bpf_ringbuf_submit(copy,
			   bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > VFT_EVENTS_BYTES / 4
				   ? BPF_RB_FORCE_WAKEUP
				   : BPF_RB_NO_WAKEUP);
}

/* The last interrupt between doorbell and wake-up is taken for this command's. */
static __always_inline void split_at_interrupt(struct vft_row *row, const struct vft_event *event)
{
	const __u32 zero = 0;
	const struct vft_irqs *seen = bpf_map_lookup_elem(&irqs, &zero);
	__u64 at = 0;

	if (!seen || !event->issue_ns || !event->wake_ns)
		return;
#pragma unroll
	for (__u32 i = 0; i < VFT_IRQS; i++) {
		__u64 one = seen->at_ns[i];

		if (one >= event->issue_ns && one <= event->wake_ns && one > at)
			at = one;
	}
	if (!at)
		return;
	row->irq_split++;
	row->irq_device_ns += at - event->issue_ns;
	row->irq_wake_ns += event->wake_ns - at;
}

/* A command is over. event->begin_ns..end_ns is its latency; issue and wake split it when both are known. */
static __always_inline void account(struct vft_event *event)
{
	__u64 latency = event->end_ns - event->begin_ns;
	struct vft_key key = {
		.tgid = event->tgid,
		.member = by_member ? (__u32)event->member : 0,
		.opcode = (__u16)event->what,
		.source = (__u8)event->source,
	};
	__u32 bit = key.opcode >= VFT_OPCODES ? VFT_OPCODES - 1 : key.opcode;
	struct vft_row *row;
	__u32 class, slot;

	/* Times come from a process that may lie: an impossible one counts as nothing. */
	if ((__s64)latency < 0)
		latency = 0;
	class = status_class(event);
	if (!(opcode_mask >> bit & 1) || !member_wanted(event->member) ||
	    latency < min_latency_ns || (only_errors && class == VFT_OK))
		return;
	if (key.opcode >= VFT_OPCODES && key.source < VFT_URING)
		key.opcode = VFT_OPCODE_OTHER;
	row = row_of(&key);
	if (row) {
		if (!row->count)
			bpf_get_current_comm(row->comm, sizeof(row->comm));
		row->count++;
		row->sum_ns += latency;
		if (latency > row->max_ns)
			row->max_ns = latency;
		if (event->begin_ns <= event->issue_ns && event->issue_ns <= event->wake_ns &&
		    event->wake_ns <= event->end_ns && event->issue_ns) {
			row->wait_ns += event->issue_ns - event->begin_ns;
			row->device_ns += event->wake_ns - event->issue_ns;
			row->reap_ns += event->end_ns - event->wake_ns;
			row->split++;
		}
		if (want_irqs && event->source == VFT_ENGINE)
			split_at_interrupt(row, event);
		row->bytes += event->bytes;
		row->retries += event->retries;
		if (class < VFT_STATUSES)
			row->status[class]++;
		/* The mask says to the verifier what vft_hist_slot() has already seen to. */
		slot = vft_hist_slot(latency);
		barrier_var(slot);
		row->hist[slot & (VFT_HIST_SLOTS - 1)]++;
	}
	if (want_commands)
		emit(event);
}

#endif
