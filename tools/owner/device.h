/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The whole device: PF, VFs, administration, sockets. */
#ifndef OWNER_DEVICE_H
#define OWNER_DEVICE_H

#include "fn.h"

#define DEVICE_PF_DISK_BYTES (1ULL << 20)

/**
 * device_new() - make the device that owner->opts describes, and its ring
 * @disk: gives VF n's backing file (0: the PF's) as a descriptor, or -errno with words
 *
 * Without opts.socket_dir it has no sockets. On failure device_free() cleans up.
 */
int device_new(struct owner *owner,
	       int (*disk)(void *arg, unsigned int vf, struct vferry_error *err), void *arg,
	       struct vferry_error *err);
void device_free(struct owner *owner);
/** device_turn() - after each turn of the ring: looks for clients that took their memory away. */
void device_turn(struct owner *owner);
/** device_socket() - the path of function @number's socket. */
const char *device_socket(const struct owner *owner, unsigned int number);

#endif
