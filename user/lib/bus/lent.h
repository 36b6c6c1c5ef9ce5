/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Borrowing from a keeper: the engine's end of the keeper's socket. */
#ifndef VF_LENT_H
#define VF_LENT_H

#include <vferry/owner.h>
#include "bus/lease.h"

/**
 * vf_lent_borrow() - borrow VFs, an admin queue and an arena from the keeper of @address
 *
 * Starts a keeper when there is none, unless VFERRY_OWNER_NO_START. Fills in @lease, ops included; lease->ops->release() gives it back.
 */
int vf_lent_borrow(struct vf_lease *lease, const char *address,
		   const struct vferry_owner_opts *opts, struct vferry_error *err);

/** vf_run_dir() - where sockets and journals live: $VFERRY_RUN_DIR, else /run/vferry for root, else $XDG_RUNTIME_DIR/vferry. */
int vf_run_dir(char *path, size_t room, struct vferry_error *err);
/**
 * vf_owner_address() - the one spelling of an owner's address, so that two spellings meet
 *
 * vfio-user: the socket's real path; vfio: with domain, in lower case. Without a prefix the best way that the machine has: a PCI address is
 * uring-cmd: where the kernel module has that PF, vfio: otherwise; a path is that of a socket or of a device node. -EINVAL for what cannot
 * be an address.
 */
int vf_owner_address(const char *address, char *out, size_t room, struct vferry_error *err);
/** vf_owner_address_bare() - @address does not say which way. */
bool vf_owner_address_bare(const char *address);
/** vf_keeper_socket() - path of the keeper's socket for an owner's address: <run dir>/keep/<16 hex digits of SHA-256>.sock. */
int vf_keeper_socket(const char *address, char *path, size_t room, struct vferry_error *err);

#endif
