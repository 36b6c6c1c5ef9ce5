/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flight recorder: the last events of each VF's migration, in memory at all times, so that the first slow or failed
 * one in a month can be explained afterwards. An event is a store of one cache line. Nothing is written to disk before
 * the VF's part is over.
 */
#ifndef VF_RECORDER_H
#define VF_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/command.h>
#include <vferry/phase.h>

#define VF_RECORDER_EVENTS	512u   /* of a VF, always */
#define VF_RECORDER_EVENTS_MOST 16384u /* of a VF, while someone profiles */
#define VF_RECORDER_MARKS	64u    /* phases and failures: never overwritten */
#define VF_RECORDER_RARE	48u    /* what happens a few times in a migration: likewise */

/* X(NAME, number, "name in the file") */
#define VF_RECORDS(X)                                                                      \
	X(COMMAND, 1, "command")     /* a submit, b issue, c wake, at: reaped */           \
	X(CHUNK_OUT, 2, "chunk_out") /* a: handed to the stream, at: the memory is free */ \
	X(CHUNK_IN, 3, "chunk_in")   /* a, at: it arrived */                               \
	X(JOURNAL, 4, "journal")     /* a: begun, at: written; what: state */              \
	X(GATE, 5, "gate")	     /* a: the hook was started, at: it ended */           \
	X(GROUP, 7, "group")	     /* a: this VF was ready, at: all of its group were */ \
	X(TCP, 6,                                                                          \
	  "tcp") /* a: rtt us, b: retransmits in all, c: bytes not acknowledged; what: phase */

enum vf_record_kind {
#define X(name, number, text) VF_RECORD_##name = number,
	VF_RECORDS(X)
#undef X
};

/** struct vf_record - an event; times are CLOCK_MONOTONIC in nanoseconds */
struct vf_record {
	uint64_t at;
	uint64_t a, b, c;
	uint32_t bytes;
	int32_t error;
	uint16_t kind;
	uint16_t what; /* opcode, state or phase */
	uint16_t status;
	uint16_t qualifier;
	uint64_t spare[2];
};

/** struct vf_mark - a phase that was entered, or a failure (@phase 0) */
struct vf_mark {
	uint64_t at;
	uint32_t phase;
	int32_t code;
};

/** struct vf_clock - where the peer's clock stands against ours: theirs - ours, and how wrong that may be */
struct vf_clock {
	int64_t offset_ns;
	uint64_t error_ns;
	uint64_t at_ns;
	uint32_t exchanges;
};

/** struct vf_recorder - of one VF; zeroed memory records nothing */
struct vf_recorder {
	struct vf_record *ring; /* a power of two of them */
	uint32_t mask;
	uint64_t next; /* events ever; those beyond the ring's size have overwritten the oldest */
	struct vf_record *rare; /* behind the ring, in the same memory */
	uint32_t rare_count;
	struct vf_mark marks[VF_RECORDER_MARKS];
	uint32_t mark_count;
	uint32_t marks_lost;
	uint16_t local_port, peer_port;
};

_Static_assert(sizeof(struct vf_record) == 64, "one cache line");

/** vf_recorder_init() - @events rounded to a power of two; the memory is touched now, not in the downtime. */
int vf_recorder_init(struct vf_recorder *recorder, uint32_t events);
void vf_recorder_free(struct vf_recorder *recorder);

/** vf_recorder_add() - the next place, to be filled in by the caller; never NULL once vf_recorder_init() was. */
static inline struct vf_record *vf_recorder_add(struct vf_recorder *recorder)
{
	return &recorder->ring[recorder->next++ & recorder->mask];
}

/** vf_recorder_rare() - likewise, for what a long image must not overwrite: mode changes, journal, hooks, TCP. */
static inline struct vf_record *vf_recorder_rare(struct vf_recorder *recorder)
{
	if (recorder->rare_count == VF_RECORDER_RARE)
		return vf_recorder_add(recorder);
	return &recorder->rare[recorder->rare_count++];
}

static inline void vf_recorder_mark(struct vf_recorder *recorder, uint32_t phase, int code,
				    uint64_t at)
{
	if (recorder->mark_count == VF_RECORDER_MARKS) {
		recorder->marks_lost++;
		return;
	}
	recorder->marks[recorder->mark_count++] =
		(struct vf_mark){ .at = at, .phase = phase, .code = code };
}

static inline void vf_recorder_span(struct vf_recorder *recorder, enum vf_record_kind kind,
				    uint16_t what, uint64_t begin, uint64_t end, uint32_t bytes)
{
	if (!recorder->ring)
		return;
	*(kind == VF_RECORD_CHUNK_OUT || kind == VF_RECORD_CHUNK_IN ? vf_recorder_add(recorder)
								    : vf_recorder_rare(recorder)) =
		(struct vf_record){
			.at = end,
			.a = begin,
			.bytes = bytes,
			.kind = (uint16_t)kind,
			.what = what,
		};
}

/** vf_recorder_command() - a command has ended. */
void vf_recorder_command(struct vf_recorder *recorder, const struct vferry_cmd *cmd);
/** vf_recorder_tcp() - what the kernel knows of the connection @fd now. */
void vf_recorder_tcp(struct vf_recorder *recorder, int fd, enum vferry_phase phase);

#endif
