/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Several VFs of one guest, moved as a group (--together). Each VF has its lane, its migration id and its journal; the
 * lanes meet at the steps that none may take alone, and what one cannot do none does.
 *
 * WHICH JOURNAL DECIDES: that of the group's leader, the run's first VF. The group's id is the leader's migration id, and
 * stands in every member's journal. What the leader's journal says is the group's state; a member's journal guards its VF
 * against everybody else and says that there is something to settle, and its own state is a note that may lag behind or,
 * before the leader's word, run ahead. So each step of the group is one write of one small record:
 *
 *   source       STOPPED, FROZEN  every VF for itself; Freeze of any after Stop of all
 *                RELEASED         members first, the leader last: until then the group is taken back, from then on the
 *                                 destination is asked. One RELEASE is said, with the leader's id
 *                GONE             the leader first (on the destination's one ACTIVE), then members; then one DONE
 *   destination  LOADING, LOADED  every VF for itself
 *                GRANTED          members first, the leader last; no VF has left Freeze before
 *                COMMITTED        the same, when all have gone from Freeze to Stop; no VF is set Active before
 *                ACTIVE           the leader first, when the devices of all have said Active; then members
 *                REFUSED          the leader first, when no VF is Active any more (all are in Freeze again), then members;
 *                                 no VF leaves Freeze before, and REFUSED is said after
 *   both         an end           members' journals are deleted first, the leader's last, and not while a member's is
 *                                 left: as long as there is a member's journal, there is the one that decides for it
 *
 * Recover borrows all VFs of the group, then reads the leader's journal:
 *   PRECOPY, STOPPED, FROZEN: all are taken back. RELEASED: the destination is asked once, by the group's id. GONE: all.
 *   LOADING, LOADED, REFUSED: REFUSED for all. ACTIVE: all. GRANTED, COMMITTED: the devices are asked; when every one of
 *   the group (its number stands in the journals; one missing: in doubt) says Active, ACTIVE; else all to Freeze, REFUSED.
 *   No journal of the leader: it was not written yet; a member below RELEASED is taken back, one at LOADING, LOADED or
 *   REFUSED is refused. Any other member without its leader's journal is in doubt: somebody has deleted that.
 *
 * A VF that was committed holds the guest's context, and leaves Freeze only when it is blank again. No admin command does
 * that; an FLR does, and where the host's kernel sees the VF (vfio:, uring-cmd: with SR-IOV) it is asked for one (bus/vf_reset.h). A
 * VF whose context then still has a device_status, or that cannot be reset (vfio-user), stays in Freeze: recv does not take it
 * ("in use"), and it serves again only after its VMM, or somebody by hand, has reset it.
 */
#ifndef VF_GROUP_H
#define VF_GROUP_H

#include "migrate/lane.h"

struct vf_source;
struct vf_destination;

static inline struct vf_lane *vf_group_leader(struct vf_lane *lane)
{
	return lane->move->together ? lane->move->lanes[0] : lane;
}

/** vf_group_state() - what decides for @lane: its own state, or its leader's. */
static inline enum vferry_state vf_group_state(struct vf_lane *lane)
{
	return vf_group_leader(lane)->state;
}

/* group.c: what both sides need. Without effect on a lane that moves by itself. */
/** vf_group_meet() - @lane has come to a step that all take at once; true for the last one, which goes on for all. */
bool vf_group_meet(struct vf_lane *lane);
/** vf_group_vfs() - the VF's number; for a group those of all, "1-4,7", as --vf takes it. */
void vf_group_vfs(const struct vf_lane *lane, char *text, size_t room);
/** vf_group_state_all() - journal a state: members first, the leader last. 0, or the group fails. */
int vf_group_state_all(struct vf_move *move, enum vferry_state state);
/** vf_group_follow() - the leader's journal has decided: members' notes. */
void vf_group_follow(struct vf_move *move, enum vferry_state state);
/** vf_group_failed() - @lane has: so do all. */
void vf_group_failed(struct vf_lane *lane);
/** vf_group_cause() - the result of the one that failed first; of a lane that moves by itself its own. */
const struct vferry_vf_result *vf_group_cause(struct vf_lane *lane);
/** vf_group_doubted() - @lane cannot be undone: before the leader has decided, none is. */
void vf_group_doubted(struct vf_lane *lane);
/** vf_group_waits() - true when @lane leads a group whose members are not settled: @last is called when they are. */
bool vf_group_waits(struct vf_lane *lane, vf_lane_fn last);
/** vf_group_settled() - a lane is over. */
void vf_group_settled(struct vf_move *move);
/** vf_group_doubts() - a member is in doubt: the leader's journal has to stay. */
bool vf_group_doubts(const struct vf_move *move);

/* source_group.c */
/** vf_group_ready() - the pre-copy of @source need not go on. */
void vf_group_ready(struct vf_source *source);
void vf_group_stopped(struct vf_lane *lane);
void vf_group_loaded(struct vf_lane *lane);
void vf_group_active(struct vf_source *source, const struct vf_message *message);
/** vf_group_refused() - REFUSED came after RELEASED: false when it is not @source's to take. */
bool vf_group_refused(struct vf_source *source);
/** vf_group_heard() - the destination has deleted its journals. */
void vf_group_heard(struct vf_source *source);

/* destination_group.c */
void vf_group_release(struct vf_destination *destination);
void vf_group_undo(struct vf_lane *lane);
void vf_group_done(struct vf_move *move);

#endif
