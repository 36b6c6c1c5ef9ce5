/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Journals that stay behind a settled migration, in <run dir>/settled, because forgetting them could make two live
 * copies. Nobody has to settle them; each goes when what it speaks of is gone.
 *
 *	source, GONE		the VF still holds what was moved away: not to be sent or made Active until it was reset
 *	destination, ACTIVE	taken in from a stream that others may hold too, or closed before the source had heard
 *	destination, REFUSED	a source asked for an id that nobody here knew: it must not come alive later; or, with a VF,
 *				one of a group had taken over its context before the group was refused, and is like one that was moved away
 */
#ifndef VF_SETTLED_H
#define VF_SETTLED_H

#include <vferry/migrate.h>
#include <vferry/owner.h>
#include "migrate/journal.h"

#define VF_SETTLED_REFUSED_MAX 1024 /* ids refused unseen; more are not answered */

/** vf_settled_keep() - an open journal, written to its last state, becomes one that is kept; it is closed. */
int vf_settled_keep(struct vf_journal *journal, struct vferry_error *err);
/** vf_settled_find() - the kept journal of an id: 0, -ENOENT, -errno. */
int vf_settled_find(struct vf_journal *journal, const uint8_t id[VF_ID_BYTES], enum vf_role role,
		    struct vferry_error *err);
/** vf_settled_refuse() - write down that @id, unknown here, will never become Active here. */
int vf_settled_refuse(const uint8_t id[VF_ID_BYTES], struct vferry_error *err);

/**
 * vf_settled_check_offer() - may @id be taken in?
 * @owner: address of the owner that is to take it in
 * @epoch: its
 *
 * Return: 0; -EALREADY: it was, and lives; -ECANCELED: it was refused here; -EBUSY: a file that cannot be read stands in the way.
 */
int vf_settled_check_offer(const uint8_t id[VF_ID_BYTES], const char *owner,
			   const uint8_t epoch[16], struct vferry_error *err);

/** vf_gone_is() - does a kept journal say that its VF must not live? */
bool vf_gone_is(const struct vf_journal_record *record);
/**
 * vf_gone_find() - the tombstone of a VF, under its loan
 * @epoch: of the owner now: a tombstone of another one is deleted, its copy is gone; NULL: not known
 *
 * Return: 0 and an open journal; -ENOENT; -EBUSY when a file cannot be read.
 */
int vf_gone_find(struct vf_journal *journal, const char *owner, uint16_t vf,
		 const uint8_t epoch[16], struct vferry_error *err);
/**
 * vf_gone_check() - -EBUSY with words when @vf still holds what was moved away
 * @blank: its context is that of a VF after reset (device_status 0): then the tombstone has done its service and is deleted
 */
int vf_gone_check(const char *owner, uint16_t vf, const uint8_t epoch[16], bool blank,
		  struct vferry_error *err);
/** vf_gone_check_device() - vf_gone_check(); the VF is looked at, only if there is a tombstone. @owner has it on loan, and an arena. */
int vf_gone_check_device(struct vferry_owner *owner, const char *address, uint16_t vf,
			 struct vferry_error *err);
/** vf_gone_forget() - somebody says that the VF may live (vferry admin --force): true when there was a tombstone. */
bool vf_gone_forget(const char *owner, uint16_t vf);

/* recover_settled.c */
/**
 * vf_recover_settled() - list, forget, or look whether what is kept is still needed
 * @address: only of this owner; empty: all
 * @matched: how many fit
 */
int vf_recover_settled(const struct vferry_recover_opts *opts, const char *address,
		       unsigned int *matched, struct vferry_error *err);

#endif
