/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * --take-over: a client's connection goes from one owner process to another, between two messages, as a VMM would do
 * by connecting anew. The client sees nothing of it.
 */
#ifndef TAKE_OVER_H
#define TAKE_OVER_H

#include "server.h"

struct take_over;

/** take_over_new() - listen at DIR/take-over.sock. */
int take_over_new(struct owner *owner, struct vferry_error *err);
void take_over_end(struct owner *owner);
void take_over_free(struct owner *owner);

/* --- take_state.c: what a connection is, besides its socket --- */

#define TAKE_FDS_MAX 250U

/** struct take_fds - descriptors that go along: socket, state, memory objects, interrupt eventfds */
struct take_fds {
	int fds[TAKE_FDS_MAX];
	unsigned int count;
};

/**
 * take_save() - the function's memory map, PCI and interrupt state into a memfd
 * @fds: has the socket already; the state and all others are added. All but the state (fds[1], the caller's to close) are
 *	 borrowed
 */
int take_save(struct function *fn, const struct version_caps *caps, struct take_fds *fds,
	      struct vferry_error *err);

/** take_load() - the other way. Descriptors that are kept become -1. On failure the function is as before. */
int take_load(struct function *fn, struct take_fds *fds, struct version_caps *caps,
	      struct vferry_error *err);

#endif
