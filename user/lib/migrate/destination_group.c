// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The destination of a group: GRANTED for all, from Freeze to Stop, COMMITTED, from Stop to Active, ACTIVE; and the way
 * back of all, when one cannot.
 */
#include <errno.h>
#include <string.h>
#include "bus/vf_reset.h"
#include "migrate/destination.h"
#include "migrate/group.h"
#include "migrate/settled.h"

static void for_all(struct vf_move *move, vf_lane_fn step)
{
	for (uint32_t i = 0; i < move->count; i++)
		if (!move->lanes[i]->settled)
			step(move->lanes[i]);
}

/* --- GRANTED, COMMITTED, ACTIVE --- */

static void all_active(struct vf_move *move)
{
	if (vf_destination_active(move->lanes[0]))
		return;
	vf_group_follow(move, VFERRY_STATE_ACTIVE);
	if (move->broken)
		for_all(move, vf_destination_broken);
}

static void active(struct vf_lane *lane)
{
	lane->result->downtime_ns = lane->cmd.done_ns - vf_destination_of(lane)->release_ns;
	vf_lane_phase(lane, VFERRY_PHASE_DST_ACTIVE);
	VF_FAULT_POINT("destination-group-one-active");
	if (vf_group_meet(lane))
		all_active(lane->move);
}

static void activate(struct vf_lane *lane)
{
	vf_lane_mode(lane, VFERRY_MODE_ACTIVE, active);
}

static void committed(struct vf_lane *lane)
{
	VF_FAULT_POINT("destination-group-one-committed");
	if (!vf_group_meet(lane) || vf_group_state_all(lane->move, VFERRY_STATE_COMMITTED))
		return;
	VF_FAULT_POINT("destination-group-committed");
	for_all(lane->move, activate);
}

static void commit(struct vf_lane *lane)
{
	vf_lane_phase(lane, VFERRY_PHASE_DST_GRANTED);
	vf_lane_mode(lane, VFERRY_MODE_STOP, committed);
}

static void commit_all(struct vf_lane *leader)
{
	VF_FAULT_POINT("destination-group-commit");
	leader->move->group_run.moving = true;
	for_all(leader->move, commit);
}

void vf_group_release(struct vf_destination *destination)
{
	struct vf_move *move = destination->lane.move;
	uint64_t now = vf_now_ns();

	for (uint32_t i = 0; i < move->count; i++) {
		if (move->lanes[i]->state == VFERRY_STATE_LOADED && !destination->lane.number)
			continue;
		vf_lane_fail(&destination->lane, -EPROTO,
			     "the source released its group before all of it was loaded");
		return;
	}
	for (uint32_t i = 0; i < move->count; i++) {
		vf_destination_of(move->lanes[i])->release_ns = now;
		vf_destination_of(move->lanes[i])->released = true;
		vf_lane_phase(move->lanes[i], VFERRY_PHASE_DST_RELEASE);
	}
	VF_FAULT_POINT("destination-group-release");
	if (vf_group_state_all(move, VFERRY_STATE_GRANTED))
		return;
	VF_FAULT_POINT("destination-group-granted");
	vf_lane_gate(move->lanes[0], "destination-before-active", commit_all);
}

void vf_group_done(struct vf_move *move)
{
	/* The one that decides goes last. */
	for (uint32_t i = move->count; i-- > 0;)
		vf_destination_confirmed(vf_destination_of(move->lanes[i]));
}

/* --- the way back --- */

static void settle_refused(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);

	/* The source of a released group asks for the leader's, unless it was told. */
	if (lane->number || (!vf_group_doubts(lane->move) &&
			     (!destination->released || lane->move->group_run.told)))
		destination->holds_copy ? vf_settled_keep(&lane->journal, NULL)
					: vf_journal_remove(&lane->journal, NULL);
	vf_lane_settle(lane, VFERRY_OUTCOME_DISCARDED);
}

static void undone(struct vf_lane *lane)
{
	struct vf_destination *destination = vf_destination_of(lane);
	const struct vferry_vf_result *cause = vf_group_cause(lane);
	struct vferry_vf_result *result = lane->result;

	vf_lane_phase(lane, VFERRY_PHASE_DST_REFUSED);
	if (!destination->released)
		vf_lane_say_words(lane, VF_FRAME_REFUSE, cause->error, cause->why.text);
	if (destination->holds_copy)
		snprintf(
			result->undone, sizeof(result->undone),
			"VF %u had taken over the context, and stays in freeze with a copy that must not "
			"serve: reset the VF before it is used again",
			lane->vf);
	else
		snprintf(result->undone, sizeof(result->undone),
			 "what had been staged is discarded, VF %u is %s, as it was found",
			 lane->vf, vferry_mode_name(lane->mode));
	if (!vf_group_waits(lane, settle_refused))
		settle_refused(lane);
}

static void give_back(struct vf_lane *lane)
{
	if (vf_destination_of(lane)->holds_copy)
		undone(lane);
	else
		vf_lane_mode(lane, lane->mode_found, undone);
}

static void look(struct vf_lane *lane,
		 void (*looked)(void *arg, int error, const struct vferry_error *why))
{
	struct vferry_owner *owner = lane->move->owner;

	vf_probe_start(&lane->probe, owner->admin, owner->arena, lane->vf, false, &lane->about,
		       looked, lane);
}

/* What cannot be looked at is not taken for blank. */
static void saw(struct vf_lane *lane, int error)
{
	vf_move_progress(lane->move);
	vf_destination_of(lane)->holds_copy =
		error || !lane->about.has_status || lane->about.device_status;
}

static void looked_after_reset(void *arg, int error, const struct vferry_error *why)
{
	struct vf_lane *lane = arg;

	if (lane->settled)
		return;
	saw(lane, error);
	give_back(lane);
}

static void discarded(struct vf_lane *lane)
{
	struct vferry_error why;

	VF_FAULT_POINT("destination-group-discarded");
	if (vf_destination_of(lane)->holds_copy &&
	    !vf_vf_reset("/sys", lane->move->address, lane->vf, &why))
		look(lane, looked_after_reset);
	else
		give_back(lane);
}

static void discard(struct vf_lane *lane)
{
	vf_lane_call(lane, VFERRY_CMD_DEV_CTX_DISCARD, -1, 0, discarded);
}

/*
 * None is Active: the leader's word, then the members' notes; only then does a VF leave Freeze, and the source hear of it. It
 * need not wait for VFs that are made blank: its guest does.
 */
static void refuse_all(struct vf_move *move)
{
	struct vf_lane *leader = move->lanes[0];
	struct vferry_error why;

	VF_FAULT_POINT("destination-group-refuse");
	if (leader->journal.fd >= 0 &&
	    vf_journal_write(&leader->journal, VFERRY_STATE_REFUSED, &why)) {
		vf_lane_doubt(leader, why.text);
		return;
	}
	leader->state = VFERRY_STATE_REFUSED;
	if (!leader->settled)
		leader->result->state = VFERRY_STATE_REFUSED;
	vf_group_follow(move, VFERRY_STATE_REFUSED);
	VF_FAULT_POINT("destination-group-refused");
	if (vf_destination_of(leader)->released && !move->broken) {
		const struct vferry_vf_result *cause = vf_group_cause(leader);

		vf_lane_say_words(leader, VF_FRAME_REFUSED, cause->error, cause->why.text);
		move->group_run.told = true;
	}
	for_all(move, discard);
}

static void looked(void *arg, int error, const struct vferry_error *why)
{
	struct vf_lane *lane = arg;

	if (lane->settled)
		return;
	saw(lane, error);
	if (vf_group_meet(lane))
		refuse_all(lane->move);
}

static void frozen_again(struct vf_lane *lane)
{
	VF_FAULT_POINT("destination-group-frozen");
	look(lane, looked);
}

static void freeze(struct vf_lane *lane)
{
	vf_lane_mode(lane, VFERRY_MODE_FREEZE, frozen_again);
}

/* An answer was lost, not a command: all are Active, and everything else follows from that. */
static void go_on(struct vf_move *move)
{
	move->group_run = (struct vf_group_run){ .moving = true };
	for (uint32_t i = 0; i < move->count; i++) {
		struct vf_lane *lane = move->lanes[i];

		lane->failing = lane->undoing = false;
		lane->result->error = 0;
		if (!lane->result->downtime_ns)
			lane->result->downtime_ns =
				vf_now_ns() - vf_destination_of(lane)->release_ns;
	}
	all_active(move);
}

static void mode_asked(struct vf_lane *lane)
{
	struct vf_move *move = lane->move;
	uint32_t there = 0;

	lane->mode = *(const uint8_t *)lane->cmd.answer;
	if (!vf_group_meet(lane))
		return;
	for (uint32_t i = 0; i < move->count; i++)
		there += !move->lanes[i]->settled && move->lanes[i]->mode == VFERRY_MODE_ACTIVE;
	if (there == move->count)
		go_on(move);
	else
		for_all(move, freeze);
}

static void ask_mode(struct vf_lane *lane)
{
	vf_lane_call(lane, VFERRY_CMD_DEV_MODE_GET, -1, 1, mode_asked);
}

static void drop(struct vf_lane *lane)
{
	vf_writer_drop(&vf_destination_of(lane)->writer);
}

static void is_active(struct vf_lane *lane)
{
	vf_lane_doubt(lane, "the group is Active here");
}

void vf_group_undo(struct vf_lane *lane)
{
	struct vf_move *move = lane->move;

	if (!move->together || move->group_run.back)
		return;
	for (uint32_t i = 0; i < move->count; i++)
		if (!move->lanes[i]->settled && !move->lanes[i]->undoing)
			return; /* comes here when it is quiet */
	move->group_run.back = true;
	if (move->settled == move->count)
		return;
	if (vf_group_state(lane) == VFERRY_STATE_ACTIVE) {
		for_all(move, is_active);
		return;
	}
	VF_FAULT_POINT("destination-group-undo");
	for_all(move, drop);
	if (move->group_run.moving)
		for_all(move, ask_mode);
	else
		refuse_all(move);
}
