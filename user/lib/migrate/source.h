/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The source's side of the hand-off: PRECOPY, STOPPED, FROZEN, RELEASED, GONE. */
#ifndef VF_SOURCE_H
#define VF_SOURCE_H

#include "migrate/lane.h"
#include "migrate/reader.h"
#include "migrate/writer.h"

#define VF_PASSES_MAX 64 /* pre-copy passes; then the switch, whatever they came to */

/** struct vf_source_run - what the VFs of one send share; @move comes first */
struct vf_source_run {
	struct vf_move move;
	enum vf_offer_kind kind;
	uint32_t chunk_bytes;
};

/** struct vf_source - one VF; @lane comes first */
struct vf_source {
	struct vf_lane lane;
	struct vf_reader reader;
	struct vf_retain retain;
	bool loaded;		 /* the destination has all, here not all is kept yet */
	bool deposited;		 /* the keeper holds @retain's file, too */
	struct vf_writer writer; /* takes back what was kept */
	bool accepted, final, refused, ended, copying, restoring;
	bool has_clock; /* the destination answers PING */
	bool heard;	/* the destination has deleted its journal */
	bool reads_clear;
	bool ready, resting; /* of a group: this one need not read on; and does not */

	/* the pass at hand */
	uint32_t pass;
	uint64_t pass_bytes, pass_begin_ns, pass_estimate;
	uint64_t sent_bytes, prior_bytes; /* of the last pass, and the one before */
	bool end_due;			  /* in Freeze: END waits to learn whether it is the last */
	double rate;			  /* bytes a nanosecond, the best pass so far */
	uint32_t staged;		  /* passes that the destination has staged */
	bool pass_over;
	uint64_t freeze_estimate;

	uint64_t stop_ns;
	struct vf_timer downtime;

	vf_lane_fn after_clock; /* an exchange is under way */
	uint32_t clock_number;
	uint64_t clock_sent_ns;
};

static inline struct vf_source *vf_source_of(struct vf_lane *lane)
{
	return (struct vf_source *)lane;
}

extern const struct vf_side vf_source_side;

/* source.c: up to the switch */
void vf_source_begin(struct vf_lane *lane);
/** vf_source_look() - how much is there to do now: another pass, or the switch? */
void vf_source_look(struct vf_source *source);
void vf_source_pass_over(struct vf_source *source);
void vf_source_frame(struct vf_move *move, const struct vf_frame *frame, void *payload);

/* source_read.c: reading and sending */
void vf_source_reader_init(struct vf_source *source);
/** vf_source_read() - one pass; vf_source_pass_over() or vf_source_final_sent() follows. */
void vf_source_read(struct vf_source *source, uint64_t estimate);
/** vf_source_read_held() - the first pass begins with what the probe has read. */
void vf_source_read_held(struct vf_source *source);

/* clock.c: the two clocks */
/** vf_clock_exchange() - measure the peer's clock unless that was done just now or the peer cannot, then @then. */
void vf_clock_exchange(struct vf_source *source, vf_lane_fn then);
void vf_clock_answered(struct vf_source *source, const struct vf_message *message);

/* source_switch.c: Stop, Freeze, the last image, release, gone; and the way back */
void vf_source_switch(struct vf_source *source);
void vf_source_stop(struct vf_lane *lane);
void vf_source_freeze(struct vf_lane *lane);
void vf_source_final_sent(struct vf_source *source);
void vf_source_loaded(struct vf_source *source);
void vf_source_active(struct vf_source *source, const struct vf_message *message);
/** vf_source_forget() - at the end: what was left with the keeper, unless a journal needs it. */
void vf_source_forget(struct vf_source *source);
void vf_source_undo(struct vf_lane *lane);
void vf_source_interrupt(struct vf_lane *lane);
void vf_source_silence(struct vf_lane *lane);
void vf_source_broken(struct vf_lane *lane);

#endif
