/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settling a group from its journals, under the loan of all its VFs (which journal decides: migrate/group.h). */
#ifndef VF_SETTLE_GROUP_H
#define VF_SETTLE_GROUP_H

#include "migrate/settle.h"

/**
 * struct vf_settling_group - the journals of a group on this side
 * @of: each with its words, its outcome, and what came of it (@result); the leader's first, when it is here
 * @leader: NULL: its journal is not here
 */
struct vf_settling_group {
	const struct vferry_recover_opts *opts;
	uint8_t id[VF_ID_BYTES];
	enum vf_role role;
	struct vf_settling *of;
	uint32_t count;
	struct vf_settling *leader;
	struct vferry_owner *owner;
};

/** vf_settle_group_open() - borrow all VFs, open all journals. -ENOENT: settled meanwhile; -EBUSY: an engine is at it. */
int vf_settle_group_open(struct vf_settling_group *group, const uint8_t id[VF_ID_BYTES],
			 enum vf_role role, const struct vferry_recover_opts *opts,
			 struct vferry_error *err);
void vf_settle_group_close(struct vf_settling_group *group);
/** vf_settle_group() - as vf_settle_source() and vf_settle_destination(), for all at once. */
int vf_settle_group(struct vf_settling_group *group, struct vferry_error *err);
/** vf_settle_group_state() - the group's, as its leader's journal has it; NONE when that is not here and cannot be done without. */
enum vferry_state vf_settle_group_state(const struct vf_settling_group *group);

#endif
