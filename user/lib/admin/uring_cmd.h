/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel module as the way to an owner: each command is an IORING_OP_URING_CMD on /dev/vferry/BDF. */
#ifndef VF_URING_CMD_H
#define VF_URING_CMD_H

#include <vferry/owner.h>
#include "admin/admin.h"

/** vf_uring_cmd_is() - an address of this way. */
bool vf_uring_cmd_is(const char *address);

/**
 * vf_uring_cmd_open() - open the device node, claim the VFs of @opts, register an arena, drive the file's admin queue
 * @lease: filled in; its memory is released by its ops, after vf_admin_close()
 *
 * The SQEs go through a ring of their own (IORING_SETUP_SQE128 and CQE32 are the ring's, and cost the others), whose eventfd @ring polls.
 *
 * Return: 0; -ENOENT: no such node; -EBUSY: VFIO holds the owner, or another program a VF; -EPROTONOSUPPORT: another version; -errno.
 */
int vf_uring_cmd_open(struct vf_admin **admin, struct vf_ring *ring, struct vf_lease *lease,
		      const char *address, const struct vferry_owner_opts *opts,
		      struct vferry_error *err);

#endif
