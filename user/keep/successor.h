/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A keeper that dies is followed by one that goes on where it stopped: the service manager keeps its descriptors, one of
 * them a page of memory in which all the rest stands (struct record in successor.c). Neither opens the owner anew, so
 * nothing is reset, and the epoch is the same.
 */
#ifndef VF_KEEP_SUCCESSOR_H
#define VF_KEEP_SUCCESSOR_H

#include "keep/loans.h"
#include "virtio/pf.h"

struct keeper;
struct record;

/** successor_resume() - take up what the last keeper of this owner left. Return: 0: keeper->pf and its epoch are there; 1: nothing was left; -errno: what was left is of no use. */
int successor_resume(struct keeper *keeper, const struct vf_pf_opts *opts,
		     struct vferry_error *err);
/** successor_keep() - with a service manager: have it keep all that a successor needs. Without one the keeper goes on as it is. */
void successor_keep(struct keeper *keeper);
/** successor_loans() - the loans of the last keeper: their borrowers have lost their connection, their queues come to rest. */
void successor_loans(struct keeper *keeper);
/** successor_lent(), successor_rested() - what a successor has to know of a loan. */
void successor_lent(struct keeper *keeper, const struct loan *loan);
void successor_rested(struct keeper *keeper, const struct loan *loan);
/** successor_epoch() - another epoch was drawn. */
void successor_epoch(struct keeper *keeper);
/** successor_end() - in order: nobody is to go on. */
void successor_end(struct keeper *keeper);

#endif
