/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a VF's context: several READs in flight, each into a slot of the arena; chunks come out in the order in
 * which the device produced them.
 */
#ifndef VF_READER_H
#define VF_READER_H

#include "admin/admin.h"

#define VF_READER_DEPTH 32

struct vf_reader;

/** struct vf_read - one READ under way */
struct vf_read {
	struct vferry_cmd cmd;
	struct vferry_sg sg;
	struct vf_slot *slot;
	struct vf_reader *reader;
	bool answered;
};

/**
 * struct vf_reader_events - what a reader tells its owner, from vf_ring_turn()
 * @chunk: @length bytes stand in @slot, which is the owner's from now on
 * @pass_end: the device answered 0: the image is complete. Bytes after this one belong to the next
 * @stopped: no READ is in flight. 0: the last answer was 0, nothing more is to be had now; -EREMOTEIO: the device refused (the
 *	     command's status is in @reader->status); -ECANCELED after vf_reader_stop(); -errno
 * @hold: true: enough chunks are out, no further READ before vf_reader_slots(); may be NULL
 */
struct vf_reader_events {
	void (*chunk)(void *arg, struct vf_slot *slot, uint32_t length);
	void (*pass_end)(void *arg);
	void (*stopped)(void *arg, int error, const struct vferry_error *why);
	bool (*hold)(void *arg);
	void *arg;
};

/** struct vf_reader - zeroed, then vf_reader_init() */
struct vf_reader {
	struct vf_admin *admin;
	struct vf_arena *arena;
	struct vf_ring *ring;
	struct vf_reader_events events;
	uint16_t vf;
	uint32_t depth;	      /* READs in flight at most */
	uint64_t deadline_ns; /* for EAGAIN: how long the device may put us off */

	struct vf_read reads[VF_READER_DEPTH];
	uint32_t head, count;
	bool running, stopping, frozen;
	bool at_end;	    /* the last answer was 0 */
	bool starving;	    /* would READ, has no slot */
	uint64_t remaining; /* estimate of what the device has still to say */
	uint32_t chunk; /* length of the last chunk; the slot's size before the first of a pass */
	uint64_t bytes; /* of the pass */
	int error;
	uint16_t status, qualifier;
	struct vferry_error why;
	struct vf_timer backoff;
	uint64_t backoff_ns, put_off_since_ns;
};

void vf_reader_init(struct vf_reader *reader, struct vf_admin *admin, struct vf_arena *arena,
		    uint16_t vf, const struct vf_reader_events *events);

/**
 * vf_reader_start() - read until the device says 0
 * @estimate: what SIZE_GET said; a wrong one costs time only
 * @frozen: the VF is in Freeze: no new image can open behind the end, so READs may stand behind it
 *
 * In other modes at most one READ is in flight when at most two chunks remain.
 */
void vf_reader_start(struct vf_reader *reader, uint64_t estimate, bool frozen);
/** vf_reader_slots() - slots have come free; without effect when the reader does not wait for one. */
void vf_reader_slots(struct vf_reader *reader);
/** vf_reader_stop() - no more READs; @stopped follows when those in flight are answered. Their chunks are still told. */
void vf_reader_stop(struct vf_reader *reader);
bool vf_reader_busy(const struct vf_reader *reader);

#endif
