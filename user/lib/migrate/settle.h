/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Settling a migration from its journal, under the VF's loan: then no dead engine's command is on its way, and the
 * journal is the truth (design/handoff.md, "In doubt").
 */
#ifndef VF_SETTLE_H
#define VF_SETTLE_H

#include <vferry/migrate.h>
#include "migrate/journal.h"

#define VF_RESTORE_BYTES \
	(256u << 10) /* of what a device gets back, written at once; the arena has room for two */

/** struct vf_settling - one journal under the loan */
struct vf_settling {
	const struct vferry_recover_opts *opts;
	struct vf_journal journal;
	struct vferry_owner *owner;
	bool stale; /* another epoch or boot: this side's copy is gone */
	struct vferry_error stale_why;
	bool removed;
	bool keep;   /* of a group: what it says is remembered when it is settled (settled.h) */
	int result;  /* of a group: what this one came to */
	int kept_fd; /* what the VF is to get back; -1: it has it */
	enum vferry_outcome outcome;
	char words[480]; /* what was done, or is to be done */
};

/** vf_settle_open() - borrow the VF, open the journal. -ENOENT: it was settled meanwhile; -EBUSY: an engine is at it. */
int vf_settle_open(struct vf_settling *settling, const char *path,
		   const struct vferry_recover_opts *opts, struct vferry_error *err);
void vf_settle_close(struct vf_settling *settling);

/** vf_settle_source() - 0: settled; -EINPROGRESS: in doubt as before, the words say what to do; -errno. */
int vf_settle_source(struct vf_settling *settling, struct vferry_error *err);
/** vf_settle_destination() - 0: settled, or ACTIVE, which only the source's word ends. */
int vf_settle_destination(struct vf_settling *settling, struct vferry_error *err);

/* Steps that both sides take, alone or in a group. */
void vf_settle_say(struct vf_settling *settling, const char *what);
/** vf_settle_doubt() - say so; -EINPROGRESS. */
int vf_settle_doubt(struct vf_settling *settling, const char *words);
/** vf_settle_find_kept() - what the device cannot give again, for vf_settle_back(); -EINPROGRESS when it died with its engine. */
int vf_settle_find_kept(struct vf_settling *settling, struct vferry_error *err);
int vf_settle_stale_source(struct vf_settling *settling, struct vferry_error *err);
/** vf_settle_return() - as the VF was found: nothing staged, nothing read, in its mode. The journal stays. */
int vf_settle_return(struct vf_settling *settling, const char *why, struct vferry_error *err);
int vf_settle_back(struct vf_settling *settling, const char *why, struct vferry_error *err);
int vf_settle_remove(struct vf_settling *settling, struct vferry_error *err);
/** vf_settle_keep() - settled, and not forgotten (settled.h). */
int vf_settle_keep(struct vf_settling *settling, struct vferry_error *err);

#endif
