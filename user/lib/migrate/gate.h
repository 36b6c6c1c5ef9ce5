/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Gates: the user's command, run at a step of the hand-off, which goes on when it exits with 0. */
#ifndef VF_GATE_H
#define VF_GATE_H

#include <sys/types.h>
#include "ring/ring.h"

#define VF_GATE_VFS 1200 /* VF numbers of a group, as text */

/** struct vf_gate - a gate's command under way; zeroed before first use */
struct vf_gate {
	struct vf_ring *ring;
	struct vf_op op;
	struct vf_timer deadline;
	int pidfd;
	pid_t pid;
	bool running;
	bool late;
	char event[32];
	void (*done)(struct vf_gate *gate, int error, const struct vferry_error *why);
};

/**
 * vf_gate_start() - run "sh -c command" with VFERRY_EVENT, VFERRY_VF, VFERRY_ID and VFERRY_OWNER set
 * @vfs: a VF's number; for a group all of them, as "1-4,7"
 *
 * Standard input is /dev/null, standard output goes to standard error: standard output may be the stream. @done is called from
 * vf_ring_turn(): 0; -ECANCELED when it exits with another status or is killed; -ETIMEDOUT after @timeout_ns (its process group is killed).
 */
int vf_gate_start(struct vf_gate *gate, struct vf_ring *ring, const char *command,
		  const char *event, const char *vfs, const char *id, const char *owner,
		  uint64_t timeout_ns,
		  void (*done)(struct vf_gate *gate, int error, const struct vferry_error *why),
		  struct vferry_error *err);
/** vf_gate_kill() - end it; @done follows. */
void vf_gate_kill(struct vf_gate *gate);

#endif
