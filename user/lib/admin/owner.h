/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inside of an owner handle, for the floors above that drive the loop themselves (migrate, keeper). */
#ifndef VF_OWNER_H
#define VF_OWNER_H

#include <vferry/owner.h>
#include "admin/admin.h"

struct vferry_owner {
	struct vf_ring *ring;
	bool own_ring;
	struct vf_lease lease;
	struct vf_admin *admin;
	struct vf_arena *arena;
	struct vf_pf *pf; /* VFERRY_OWNER_DIRECT */
	uint64_t timeout_ns;
	struct vf_slot *chunk; /* for vferry_ctx_read() and its like */
	struct vf_slot *lost;  /* slots that an unanswered command may still write to */
	int poll_fd, timer_fd; /* vferry_owner_fd(), -1 before it is asked for */
};

/** vf_owner_open_on() - as vferry_owner_open(), on a ring that the caller already has (and keeps). */
int vf_owner_open_on(struct vferry_owner **out, struct vf_ring *ring, const char *address,
		     const struct vferry_owner_opts *opts, struct vferry_error *err);

#endif
