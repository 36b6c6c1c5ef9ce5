// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The destination from LOADED on: GRANTED, ACTIVE, or REFUSED; and the way back. */
#include <errno.h>
#include <string.h>
#include "migrate/destination.h"
#include "migrate/group.h"
#include "migrate/settled.h"

static void settle_moved(struct vf_destination *destination)
{
	struct vf_lane *lane = &destination->lane;
	bool copy = destination->offer.kind == VF_OFFER_SNAPSHOT;

	if (lane->gate.running)
		return; /* destination-active: comes back here */
	vf_lane_settle(lane, copy ? VFERRY_OUTCOME_COPIED : VFERRY_OUTCOME_MOVED);
}

/* What the hook says at the last gate changes nothing any more. */
static void last_gate_over(struct vf_gate *gate, int error, const struct vferry_error *why)
{
	struct vf_lane *lane = (struct vf_lane *)((char *)gate - offsetof(struct vf_lane, gate));
	struct vf_destination *destination = vf_destination_of(lane);

	vf_move_progress(lane->move);
	vf_lane_gated(lane);
	if (error)
		snprintf(lane->result->undone, sizeof(lane->result->undone), "%.150s", why->text);
	if (destination->confirmed)
		settle_moved(destination);
}

void vf_destination_confirmed(struct vf_destination *destination)
{
	struct vf_lane *lane = &destination->lane;
	struct vf_message message = { 0 };
	struct vferry_error why;

	destination->confirmed = true;
	VF_FAULT_POINT("destination-done");
	/* Others may hold the same stream, or this receiver may be given it again. */
	if (destination->offer.kind == VF_OFFER_HAND_OVER ? vf_settled_keep(&lane->journal, &why)
							  : vf_journal_remove(&lane->journal, &why))
		snprintf(lane->result->undone, sizeof(lane->result->undone), "%.150s", why.text);
	vf_lane_phase(lane, VFERRY_PHASE_DST_DONE);
	/* The source deletes its journal on this word only: a connection may end for other reasons. */
	vf_lane_say(lane, VF_FRAME_STATE, &message);
	settle_moved(destination);
}

/* What it was answered, said and journalled; the hook, which may let the guest go on. */
static void say_active(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);
	struct vf_message message = {
		.ns = lane->result->downtime_ns,
		.bytes = destination->writer.written,
	};

	vf_lane_say(lane, VF_FRAME_ACTIVE, &message);
}

int vf_destination_active(struct vf_lane *lane)
{
	struct vferry_error why;
	char vfs[VF_GATE_VFS];
	uint64_t begin;
	int ret;

	VF_FAULT_POINT("destination-before-active");
	begin = vf_now_ns();
	ret = vf_journal_write(&lane->journal, VFERRY_STATE_ACTIVE, &why);
	vf_recorder_span(&lane->recorder, VF_RECORD_JOURNAL, VFERRY_STATE_ACTIVE, begin,
			 vf_now_ns(), 0);
	if (ret) {
		/* It is Active all the same; recover finds that out from the device. */
		lane->result->error = why.code;
		lane->result->why = why;
		vf_lane_doubt(lane, "Active, but not journalled");
		return ret;
	}
	lane->state = lane->result->state = VFERRY_STATE_ACTIVE;
	VF_FAULT_POINT("destination-active");
	/* The leader's comes last, and says that all are. */
	for (uint32_t i = lane->move->count; lane->move->together && i-- > 1;)
		say_active(lane->move->lanes[i]);
	say_active(lane);
	lane->gate_ns = vf_now_ns();
	vf_group_vfs(lane, vfs, sizeof(vfs));
	if (lane->move->opts->hook)
		vf_gate_start(&lane->gate, lane->move->ring, lane->move->opts->hook,
			      "destination-active", vfs, lane->result->id, lane->move->address,
			      lane->move->opts->hook_timeout_ns, last_gate_over, NULL);
	return 0;
}

static void active(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);

	lane->result->downtime_ns = lane->cmd.done_ns - destination->release_ns;
	vf_lane_phase(lane, VFERRY_PHASE_DST_ACTIVE);
	if (vf_destination_active(lane))
		return;
	if (lane->move->mute) /* nobody will say DONE */
		vf_destination_confirmed(destination);
	else if (lane->move->broken)
		vf_destination_broken(lane);
}

static void activate(struct vf_lane *lane)
{
	VF_FAULT_POINT("destination-activate");
	vf_lane_phase(lane, VFERRY_PHASE_DST_GRANTED);
	vf_lane_mode(lane, VFERRY_MODE_ACTIVE, active);
}

static void grant(struct vf_destination *destination)
{
	struct vf_lane *lane = &destination->lane;

	vf_lane_phase(lane, VFERRY_PHASE_DST_RELEASE);
	VF_FAULT_POINT("destination-release");
	if (vf_lane_state(lane, VFERRY_STATE_GRANTED))
		return;
	VF_FAULT_POINT("destination-granted");
	vf_lane_gate(lane, "destination-before-active", activate);
}

void vf_destination_loaded(struct vf_destination *destination)
{
	if (destination->offer.kind == VF_OFFER_SNAPSHOT)
		vf_destination_release(destination);
	else if (destination->released)
		grant(destination);
}

void vf_destination_release(struct vf_destination *destination)
{
	if (destination->lane.move->together) {
		vf_group_release(destination);
		return;
	}
	destination->release_ns = vf_now_ns();
	destination->released = true;
	if (destination->lane.state == VFERRY_STATE_LOADED)
		grant(destination);
}

void vf_destination_done(struct vf_destination *destination)
{
	if (destination->lane.move->together) {
		if (!destination->lane.number) /* the leader's is the group's */
			vf_group_done(destination->lane.move);
	} else
		vf_destination_confirmed(destination);
}

/* --- the way back --- */

static void undone(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);

	vf_lane_phase(lane, VFERRY_PHASE_DST_REFUSED);
	vf_lane_say_words(lane, destination->released ? VF_FRAME_REFUSED : VF_FRAME_REFUSE,
			  lane->result->error, lane->result->why.text);
	snprintf(lane->result->undone, sizeof(lane->result->undone),
		 "what had been staged is discarded, VF %u is %s, as it was found", lane->vf,
		 vferry_mode_name(lane->mode));
	/* An id that nobody knows is as good as REFUSED, unless the source is waiting for just this word. */
	if (!destination->released || !lane->move->broken)
		vf_journal_remove(&lane->journal, NULL);
	vf_lane_settle(lane, VFERRY_OUTCOME_DISCARDED);
}

static void discarded(struct vf_lane *lane)
{
	VF_FAULT_POINT("destination-discarded");
	vf_lane_mode(lane, lane->mode_found, undone);
}

/*
 * Written down before it is said, so that it stays true whoever asks; and before the VF is as it was found: that may be
 * Active, and with GRANTED in the journal it would be taken for the guest at work.
 */
static void refuse(struct vf_lane *lane)
{
	struct vferry_error why;

	if (vf_journal_write(&lane->journal, VFERRY_STATE_REFUSED, &why)) {
		vf_lane_doubt(lane, why.text);
		return;
	}
	lane->state = lane->result->state = VFERRY_STATE_REFUSED;
	VF_FAULT_POINT("destination-refused");
	vf_lane_call(lane, VFERRY_CMD_DEV_CTX_DISCARD, -1, 0, discarded);
}

static void mode_asked(struct vf_lane *lane)
{
	uint8_t mode = *(const uint8_t *)lane->cmd.answer;

	if (mode != VFERRY_MODE_ACTIVE) {
		refuse(lane);
		return;
	}
	/* The answer was lost, not the command: it is Active, and everything else follows from that. */
	lane->failing = lane->undoing = false;
	lane->mode = mode;
	lane->result->error = 0;
	active(lane);
}

void vf_destination_undo(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);

	if (lane->journal.fd < 0) { /* nothing was touched */
		const struct vferry_vf_result *cause = vf_group_cause(lane);

		if (destination->offered)
			vf_lane_say_words(lane, VF_FRAME_REFUSE, cause->error, cause->why.text);
		snprintf(lane->result->undone, sizeof(lane->result->undone),
			 "VF %u was not touched", lane->vf);
		vf_lane_settle(lane, VFERRY_OUTCOME_UNTOUCHED);
		vf_group_undo(lane);
		return;
	}
	if (lane->move->together) {
		vf_group_undo(lane);
		return;
	}
	if (lane->state == VFERRY_STATE_ACTIVE) {
		vf_lane_doubt(lane, "the VF is Active here");
		return;
	}
	vf_writer_drop(&destination->writer);
	VF_FAULT_POINT("destination-undo");
	/*
	 * A MODE_SET(Active) may have been done though it was not answered, and though this side gave up while it was
	 * on its way: then the guest is at work here.
	 */
	if (lane->state == VFERRY_STATE_GRANTED && lane->cmd.opcode == VFERRY_CMD_DEV_MODE_SET)
		vf_lane_call(lane, VFERRY_CMD_DEV_MODE_GET, -1, 1, mode_asked);
	else
		refuse(lane);
}

static bool destination_quiet(struct vf_lane *lane)
{
	return !vf_destination_of(lane)->writer.busy;
}

static void destination_hush(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);

	if (destination->writer.runs)
		vf_writer_drop(&destination->writer);
	if (lane->move->stream)
		vf_stream_resume(lane->move->stream);
}

const struct vf_side vf_destination_side = {
	.role = VF_ROLE_DESTINATION,
	.undo = vf_destination_undo,
	.quiet = destination_quiet,
	.hush = destination_hush,
};

void vf_destination_interrupt(struct vf_lane *lane)
{
	/* From LOADED on the source may have released: only it, or the end of the connection, can say. */
	if (lane->state < VFERRY_STATE_LOADED ||
	    (lane->state == VFERRY_STATE_LOADED && !vf_destination_of(lane)->released))
		vf_lane_fail(lane, -EINTR, "interrupted");
}

void vf_destination_silence(struct vf_lane *lane)
{
	unsigned long long ms = lane->move->timeout_ns / 1000000;

	if (lane->undoing)
		vf_lane_doubt(lane, "the device did nothing for the whole timeout");
	else if (lane->state == VFERRY_STATE_ACTIVE) {
		vf_destination_of(lane)->given_up = true;
		vf_destination_broken(lane);
	} else
		vf_lane_fail(lane, -ETIMEDOUT, "nothing has moved for %llu ms (--timeout)", ms);
}

void vf_destination_broken(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);
	struct vf_move *move = lane->move;

	/* GRANTED goes its way: the device's answer is the outcome. */
	if (lane->state == VFERRY_STATE_GRANTED ||
	    (destination->released && lane->state != VFERRY_STATE_ACTIVE))
		return;
	if (lane->state == VFERRY_STATE_ACTIVE) {
		if (destination->confirmed)
			return;
		/* The source asks when it has not heard; a while is given to it. */
		if (move->listens && !destination->given_up)
			return;
		destination->confirmed = true;
		snprintf(
			lane->result->undone, sizeof(lane->result->undone),
			"Active; the source has not confirmed, the journal is kept: vferry recover %s",
			lane->result->id);
		settle_moved(destination);
		return;
	}
	if (move->mute && !move->broken_error) {
		/* A file ends behind its last frame. */
		if (destination->final && destination->offer.kind == VF_OFFER_SNAPSHOT)
			return;
		vf_lane_fail(lane, -EBADMSG,
			     destination->offered ? "the stream ends before its context does"
						  : "the stream ends without a word about this VF");
		return;
	}
	if (move->broken_error)
		vf_lane_fail(lane, move->broken_error, "%s", move->broken_why.text);
	else
		vf_lane_fail(lane, -ECONNRESET, "the source has closed the connection");
}
