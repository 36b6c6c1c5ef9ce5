// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the VFs of a group do together, on either side. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "migrate/group.h"

bool vf_group_meet(struct vf_lane *lane)
{
	struct vf_move *move = lane->move;
	uint64_t now = vf_now_ns();

	if (!move->together)
		return true;
	lane->met_ns = now;
	if (++move->group_run.there < move->count - move->settled)
		return false;
	move->group_run.there = 0;
	for (uint32_t i = 0; i < move->count; i++) {
		struct vf_lane *one = move->lanes[i];

		if (one->met_ns)
			vf_recorder_span(&one->recorder, VF_RECORD_GROUP, 0, one->met_ns, now, 0);
		one->met_ns = 0;
	}
	return true;
}

void vf_group_vfs(const struct vf_lane *lane, char *text, size_t room)
{
	const struct vf_move *move = lane->move;
	size_t length = 0;

	if (!move->together) {
		snprintf(text, room, "%u", lane->vf);
		return;
	}
	for (uint32_t i = 0, end; i < move->count && length < room; i = end + 1) {
		unsigned int first = move->lanes[i]->vf, last = first;

		for (end = i; end + 1 < move->count && move->lanes[end + 1]->vf == last + 1; end++)
			last++;
		length += (size_t)snprintf(text + length, room - length,
					   end > i ? "%s%u-%u" : "%s%u", i ? "," : "", first, last);
	}
}

int vf_group_state_all(struct vf_move *move, enum vferry_state state)
{
	for (uint32_t i = move->count; i-- > 0;) {
		int ret = vf_lane_state(move->lanes[i], state);

		if (ret)
			return ret;
		if (i == 1)
			VF_FAULT_POINT("group-before-leader");
	}
	return 0;
}

void vf_group_follow(struct vf_move *move, enum vferry_state state)
{
	for (uint32_t i = 1; i < move->count; i++) {
		struct vf_lane *lane = move->lanes[i];

		VF_FAULT_POINT("group-follow");
		/* A note that cannot be written does not change what was decided. */
		if (lane->journal.fd >= 0)
			vf_journal_write(&lane->journal, state, NULL);
		lane->state = lane->result->state = state;
	}
}

void vf_group_failed(struct vf_lane *lane)
{
	struct vf_move *move = lane->move;

	if (!move->together || move->group_run.failing)
		return;
	move->group_run.failing = true;
	move->group_run.there = 0;
	move->group_run.cause = lane->number + 1;
	for (uint32_t i = 0; i < move->count; i++)
		vf_lane_fail(move->lanes[i], lane->result->error,
			     "its group goes back because of VF %u", lane->vf);
}

const struct vferry_vf_result *vf_group_cause(struct vf_lane *lane)
{
	uint32_t cause = lane->move->group_run.cause;

	return cause ? lane->move->lanes[cause - 1]->result : lane->result;
}

void vf_group_doubted(struct vf_lane *lane)
{
	struct vf_move *move = lane->move;
	enum vferry_state state = vf_group_state(lane);

	if (!move->together || lane->side->role != VF_ROLE_DESTINATION ||
	    state == VFERRY_STATE_REFUSED || state == VFERRY_STATE_ACTIVE)
		return;
	for (uint32_t i = 0; i < move->count; i++)
		vf_lane_doubt(move->lanes[i], "a VF of its group cannot be undone");
}

bool vf_group_waits(struct vf_lane *lane, vf_lane_fn last)
{
	struct vf_move *move = lane->move;

	if (!move->together || lane->number || move->settled == move->count - 1)
		return false;
	move->group_run.last = last;
	return true;
}

void vf_group_settled(struct vf_move *move)
{
	vf_lane_fn last = move->group_run.last;

	if (!last || move->settled != move->count - 1 || move->lanes[0]->settled)
		return;
	move->group_run.last = NULL;
	last(move->lanes[0]);
}

bool vf_group_doubts(const struct vf_move *move)
{
	for (uint32_t i = 1; move->together && i < move->count; i++)
		if (move->lanes[i]->result->outcome == VFERRY_OUTCOME_IN_DOUBT)
			return true;
	return false;
}
