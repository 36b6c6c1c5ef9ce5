/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The destination's side of the hand-off: LOADING, LOADED, GRANTED, ACTIVE, or REFUSED. */
#ifndef VF_DESTINATION_H
#define VF_DESTINATION_H

#include <vferry/context.h>
#include "migrate/lane.h"
#include "migrate/writer.h"

/** struct vf_destination - one VF; @lane comes first */
struct vf_destination {
	struct vf_lane lane;
	struct vf_offer offer;
	struct vf_writer writer;
	struct vferry_ctx_walker *walker;
	bool offered, accepted, final, released, confirmed, loaded, asked, given_up;
	bool holds_copy; /* of a group: committed, and then not to be */
	bool end_due;	 /* END came; STAGED or LOADED follows when all is written */
	uint32_t pass;
	uint64_t pass_bytes, pass_begin_ns, last_byte_ns, release_ns;
	struct vf_slot *arriving;
};

static inline struct vf_destination *vf_destination_of(struct vf_lane *lane)
{
	return (struct vf_destination *)lane;
}

extern const struct vf_side vf_destination_side;

/* destination.c: offer, loading */
/** vf_destination_offer() - the first word about this lane; @offer is the caller's. */
void vf_destination_offer(struct vf_lane *lane, const struct vf_offer *offer);
/** vf_destination_room() - a slot for @frame; NULL without one (or when the frame cannot be: the lane has failed then). */
void *vf_destination_room(struct vf_lane *lane, const struct vf_frame *frame);
void vf_destination_frame(struct vf_lane *lane, const struct vf_frame *frame, void *payload);
void vf_destination_free(struct vf_lane *lane);

/* clock.c */
void vf_clock_answer(struct vf_lane *lane, const struct vf_message *ping);

/* destination_switch.c: granted, active, refused; and the way back */
void vf_destination_loaded(struct vf_destination *destination);
void vf_destination_release(struct vf_destination *destination);
void vf_destination_done(struct vf_destination *destination);
/** vf_destination_active() - the device is Active: journal, say so, hook. Not 0: in doubt, as the journal could not be written. */
int vf_destination_active(struct vf_lane *lane);
void vf_destination_confirmed(struct vf_destination *destination);
void vf_destination_undo(struct vf_lane *lane);
void vf_destination_interrupt(struct vf_lane *lane);
void vf_destination_silence(struct vf_lane *lane);
void vf_destination_broken(struct vf_lane *lane);

#endif
