/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The service manager (systemd) as the keeper's process sees it: readiness, and the store in which it keeps descriptors
 * over a restart of the service (sd_notify(3), sd_listen_fds(3)).
 */
#ifndef VF_KEEP_MANAGER_H
#define VF_KEEP_MANAGER_H

#include <stdbool.h>
#include <stddef.h>
#include "bus/kept.h"

#define MANAGER_FDS 512

struct manager {
	struct vf_kept_fds
		fds; /* the store: put() stores, take() gives what was there at the start */
	bool there;  /* somebody listens at NOTIFY_SOCKET */
	unsigned int count;
	struct {
		int fd; /* -1: taken, or ours all along */
		char name[48];
		bool stored;
	} entries[MANAGER_FDS];
};

/** manager_begin() - find the manager, take over what it has kept; nothing of that is passed on to children. */
void manager_begin(struct manager *manager);
/** manager_has() - was a descriptor of this name kept? */
bool manager_has(const struct manager *manager, const char *name);
/** manager_next() - the name of one that was kept, begins with @prefix and was not taken yet. */
bool manager_next(const struct manager *manager, const char *prefix, char *name, size_t room);
/** manager_drop() - out of the store. */
void manager_drop(struct manager *manager, const char *name);
/** manager_drop_all() - out of the store with all, taken or not; what was not taken is closed. */
void manager_drop_all(struct manager *manager);
/** manager_tell() - a state as in sd_notify(3). Return: -ENOTCONN without a manager; -errno. */
int manager_tell(const struct manager *manager, const char *state, int fd);

#endif
