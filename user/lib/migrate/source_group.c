// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The source of a group: all stand still before any is frozen, one RELEASE, one outcome. */
#include <string.h>
#include "migrate/group.h"
#include "migrate/source.h"

static struct vf_source *member(struct vf_move *move, uint32_t number)
{
	return vf_source_of(move->lanes[number]);
}

/* --- the switch, at once --- */

/* A failure takes them all back: whoever is not stopped yet need not be. */
static void for_all(struct vf_move *move, vf_lane_fn step)
{
	for (uint32_t i = 0; i < move->count && !move->group_run.failing; i++)
		step(move->lanes[i]);
}

static void timed(struct vf_lane *lane)
{
	if (vf_group_meet(lane))
		for_all(lane->move, vf_source_stop);
}

/* One exchange for all, over their one connection. */
static void leader_timed(struct vf_lane *leader)
{
	struct vf_move *move = leader->move;

	for (uint32_t i = 1; i < move->count; i++)
		vf_clock_exchange(member(move, i), timed);
	timed(leader);
}

/*
 * A VF whose pre-copy is over waits for the slowest of its group, and what changes meanwhile would have to be moved in
 * the downtime: when the last one is ready, those that have waited look once more.
 */
void vf_group_ready(struct vf_source *source)
{
	struct vf_move *move = source->lane.move;
	bool last = !source->ready;
	uint32_t resting = 0;

	source->ready = source->resting = true;
	for (uint32_t i = 0; i < move->count; i++)
		if (!member(move, i)->ready)
			return;
	for (uint32_t i = 0; last && i < move->count; i++) {
		struct vf_source *other = member(move, i);

		if (other == source || move->opts->flags & VFERRY_MOVE_NO_PRECOPY)
			continue;
		other->resting = false;
		vf_source_look(other);
	}
	for (uint32_t i = 0; i < move->count; i++)
		resting += member(move, i)->resting;
	if (resting < move->count)
		return;
	VF_FAULT_POINT("source-group-ready");
	vf_clock_exchange(member(move, 0), leader_timed);
}

static void freeze_all(struct vf_lane *leader)
{
	VF_FAULT_POINT("source-group-freeze");
	for_all(leader->move, vf_source_freeze);
}

void vf_group_stopped(struct vf_lane *lane)
{
	if (!vf_group_meet(lane))
		return;
	VF_FAULT_POINT("source-group-stopped");
	vf_lane_gate(lane->move->lanes[0], "source-stopped", freeze_all);
}

/* --- RELEASED and GONE --- */

static void release_all(struct vf_lane *leader)
{
	struct vf_move *move = leader->move;
	struct vf_message message = { 0 };

	VF_FAULT_POINT("source-group-release");
	if (vf_group_state_all(move, VFERRY_STATE_RELEASED))
		return;
	VF_FAULT_POINT("source-group-released");
	for (uint32_t i = 0; i < move->count; i++) {
		vf_lane_phase(move->lanes[i], VFERRY_PHASE_SRC_RELEASE);
		vf_timer_stop(move->ring, &member(move, i)->downtime);
	}
	vf_lane_say(leader, VF_FRAME_RELEASE, &message);
}

void vf_group_loaded(struct vf_lane *lane)
{
	if (!vf_group_meet(lane))
		return;
	VF_FAULT_POINT("source-group-loaded");
	vf_lane_gate(lane->move->lanes[0], "before-release", release_all);
}

void vf_group_active(struct vf_source *source, const struct vf_message *message)
{
	struct vf_lane *leader = vf_group_leader(&source->lane);
	struct vf_move *move = leader->move;
	struct vf_message done = { 0 };
	uint64_t now = vf_now_ns();

	/* Each tells how long it took; the leader's, which comes last, says that all are. */
	source->lane.result->peer_ns = message->ns;
	if (&source->lane != leader)
		return;
	for (uint32_t i = 0; i < move->count; i++) {
		move->lanes[i]->result->downtime_ns = now - member(move, i)->stop_ns;
		vf_lane_phase(move->lanes[i], VFERRY_PHASE_SRC_ACTIVE);
	}
	VF_FAULT_POINT("source-group-before-gone");
	if (vf_lane_state(leader, VFERRY_STATE_GONE))
		return;
	vf_group_follow(move, VFERRY_STATE_GONE);
	VF_FAULT_POINT("source-group-gone");
	vf_lane_say(leader, VF_FRAME_DONE, &done);
	for (uint32_t i = 0; i < move->count; i++)
		vf_lane_settle(move->lanes[i], VFERRY_OUTCOME_MOVED);
}

bool vf_group_refused(struct vf_source *source)
{
	struct vf_move *move = source->lane.move;

	if (!move->together)
		return true;
	if (source->lane.number)
		return false;
	for (uint32_t i = 0; i < move->count; i++)
		member(move, i)->refused = true;
	return true;
}

void vf_group_heard(struct vf_source *source)
{
	struct vf_move *move = source->lane.move;

	source->heard = true;
	for (uint32_t i = 0; move->together && !source->lane.number && i < move->count; i++)
		member(move, i)->heard = true;
}
