// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "keep/loans.h"

#define ARENA_MAX (16ULL << 30)

int loans_init(struct loans *loans, unsigned int count, struct vferry_error *err)
{
	if (!count || count > VF_KEEPER_LOANS_MAX)
		return vferry_fail(err, -EINVAL,
				   "the owner has %u admin queues; 1 to %d can be lent", count,
				   VF_KEEPER_LOANS_MAX);
	loans->slots = calloc(count, sizeof(*loans->slots));
	if (!loans->slots)
		return vferry_fail(err, -ENOMEM, "no memory for loans");
	loans->count = count;
	/* The keeper's own, for what it answers by itself; an owner with one queue lends that. */
	loans->first = count > 1 ? 1 : 0;
	for (unsigned int i = 0; i < count; i++) {
		loans->slots[i].loans = loans;
		loans->slots[i].queue = i;
	}
	return 0;
}

void loans_free(struct loans *loans)
{
	for (unsigned int i = 0; i < loans->count; i++)
		vf_timer_stop(loans->ring, &loans->slots[i].timer);
	free(loans->slots);
	loans->slots = NULL;
	loans->count = 0;
}

static bool overlap(const struct vf_vfset *a, const struct vf_vfset *b, unsigned int *which)
{
	for (unsigned int i = 0; i < VF_MAX_VFS / 64; i++) {
		if (a->bits[i] & b->bits[i]) {
			*which = i * 64 + (unsigned int)__builtin_ctzll(a->bits[i] & b->bits[i]);
			return true;
		}
	}
	return false;
}

enum verdict {
	GRANT,
	HOLD, /* wait, whether asked to or not: something comes to rest at this moment */
	BUSY,
};

/* What @want must wait for, among the loans. @why: the loan in the way and the VF, 0 when it is not for a VF. */
static enum verdict look(const struct loans *loans, const struct want *want,
			 struct loan **free_slot, struct loan **why, unsigned int *vf)
{
	enum verdict verdict = GRANT;
	struct loan *other = NULL;
	bool soon = false;

	*free_slot = NULL;
	*why = NULL;
	*vf = 0;
	for (unsigned int i = loans->first; i < loans->count; i++) {
		struct loan *loan = &loans->slots[i];
		unsigned int shared = 0;

		if (!loan->state) {
			if (!*free_slot)
				*free_slot = loan;
			continue;
		}
		if (loan->state == VF_LOAN_WEDGED)
			continue;
		if (loan->state == VF_LOAN_RESTING || loan->own)
			soon = true;
		else if (!other)
			other = loan;
		if (!overlap(&loan->vfs, &want->vfs, &shared) && !loan->alone &&
		    !(want->alone && !loan->own))
			continue;
		if (loan->state == VF_LOAN_LENT && !loan->own) {
			*why = loan;
			*vf = shared;
			return BUSY;
		}
		verdict = HOLD;
	}
	if (verdict == GRANT && !*free_slot) {
		*why = other;
		return soon ? HOLD : BUSY;
	}
	return verdict;
}

/* First come, first served, where two want the same thing; and a queue is left for each who came first and needs no more than that. */
static bool behind(const struct loans *loans, const struct want *want)
{
	unsigned int reserved = 0;

	for (const struct want *w = loans->waiting; w && w != want; w = w->next) {
		struct loan *slot, *why;
		unsigned int vf;

		if (w->alone || want->alone || overlap(&w->vfs, &want->vfs, &vf))
			return true;
		if (look(loans, w, &slot, &why, &vf) != BUSY || (why && !vf && !why->alone))
			reserved++;
	}
	return reserved >= loans_free_queues(loans);
}

static void drop(struct loans *loans, struct want *want)
{
	for (struct want **at = &loans->waiting; *at; at = &(*at)->next) {
		if (*at == want) {
			*at = want->next;
			break;
		}
	}
	want->waiting = false;
	want->next = NULL;
}

static void wait_in_line(struct loans *loans, struct want *want)
{
	struct want **at = &loans->waiting;

	if (want->waiting)
		return;
	while (*at)
		at = &(*at)->next;
	*at = want;
	want->next = NULL;
	want->waiting = true;
}

static void refuse(struct loans *loans, struct want *want, const struct vferry_error *err)
{
	if (want->waiting)
		drop(loans, want);
	want->refused(want, err);
}

static void refuse_busy(struct loans *loans, struct want *want, const struct loan *why,
			unsigned int vf)
{
	struct vferry_error err;

	if (!why)
		vferry_fail(&err, -EBUSY,
			    "every admin queue of this owner is in use; --wait waits");
	else if (vf)
		vferry_fail(&err, -EBUSY, "VF %u is on loan to pid %u (%s); --wait waits for it",
			    vf, why->pid, why->comm);
	else if (why->alone)
		vferry_fail(&err, -EBUSY,
			    "pid %u (%s) has this owner to itself; --wait waits for it", why->pid,
			    why->comm);
	else if (want->alone)
		vferry_fail(&err, -EBUSY,
			    "pid %u (%s) is at work on this owner, and you want it to yourself; "
			    "--wait waits for it",
			    why->pid, why->comm);
	else
		vferry_fail(&err, -EBUSY,
			    "all %u admin queues that this owner lends are on loan, one to pid %u "
			    "(%s); --wait waits for one",
			    loans->count - loans->first, why->pid, why->comm);
	refuse(loans, want, &err);
}

static void grant(struct loans *loans, struct want *want, struct loan *loan)
{
	struct vferry_error err = { 0 };
	int ret;

	memset(&loan->lease, 0, sizeof(loan->lease));
	ret = loans->ops->lease(loans->device, loan->queue, want->arena_bytes, &loan->lease, &err);
	if (ret) {
		if (!err.code)
			vferry_fail(&err, ret, "cannot lend admin queue %u: %s", loan->queue,
				    strerror(-ret));
		refuse(loans, want, &err);
		return;
	}
	if (want->waiting)
		drop(loans, want);
	loan->state = VF_LOAN_LENT;
	loan->alone = want->alone;
	loan->vfs = want->vfs;
	loan->pid = want->pid;
	memcpy(loan->comm, want->comm, sizeof(loan->comm));
	loan->since_ns = vf_now_ns();
	loan->holder = want;
	loan->lease.vfs = want->vfs;
	loan->lease.num_vfs = loans->num_vfs;
	loan->lease.generation = ++loans->generation;
	memcpy(loan->lease.epoch, loans->epoch, sizeof(loan->lease.epoch));
	want->loan = loan;
	want->granted(want, loan);
}

static bool in_range(struct loans *loans, struct want *want)
{
	struct vferry_error err;

	for (unsigned int vf = 1; vf < VF_MAX_VFS; vf++) {
		if (!vf_vfset_has(&want->vfs, vf) || vf <= loans->num_vfs)
			continue;
		if (loans->num_vfs)
			vferry_fail(&err, -ENXIO, "VF %u: this owner has VFs 1 to %u", vf,
				    loans->num_vfs);
		else
			vferry_fail(
				&err, -ENXIO,
				"VF %u: no VFs are enabled on this owner; end its keeper (vferry "
				"keep OWNER --stop) and start one that enables them: vferry keep "
				"OWNER --vfs N",
				vf);
		want->refused(want, &err);
		return false;
	}
	if (want->arena_bytes <= ARENA_MAX)
		return true;
	vferry_fail(&err, -EINVAL, "an arena of %llu bytes: the most is %llu",
		    (unsigned long long)want->arena_bytes, ARENA_MAX);
	want->refused(want, &err);
	return false;
}

/* A wedged queue that has caught up by itself is not trouble any more. */
static void look_at_wedged(struct loans *loans)
{
	for (unsigned int i = 0; i < loans->count; i++) {
		if (loans->slots[i].state == VF_LOAN_WEDGED)
			rest_again(&loans->slots[i]);
	}
}

/* Return: whether something has changed for those who wait. */
static bool consider(struct loans *loans, struct want *want)
{
	struct loan *slot, *why;
	struct vferry_error err;
	enum verdict verdict;
	unsigned int vf;

	if (loans->trouble_code) {
		vferry_fail(&err, loans->trouble_code, "%s", loans->trouble);
		refuse(loans, want, &err);
		return true;
	}
	verdict = look(loans, want, &slot, &why, &vf);
	if (verdict == GRANT && (loans->held || behind(loans, want))) {
		wait_in_line(loans, want);
		return false;
	}
	if (verdict == GRANT) {
		grant(loans, want, slot);
		return true;
	}
	/* Its process may have ended a moment ago. */
	if (verdict == BUSY && why && why->holder && why->holder->dead &&
	    why->holder->dead(why->holder))
		verdict = HOLD;
	if (verdict == BUSY && !want->wait) {
		refuse_busy(loans, want, why, vf);
		return true;
	}
	wait_in_line(loans, want);
	return false;
}

void loans_ask(struct loans *loans, struct want *want)
{
	want->loan = NULL;
	want->waiting = false;
	look_at_wedged(loans);
	if (in_range(loans, want))
		consider(loans, want);
}

void loans_serve(struct loans *loans)
{
	struct want *want;
	bool again = true;

	/* Each round takes one out of the list, or ends. */
	while (again) {
		again = false;
		for (want = loans->waiting; want && !again; want = want->next)
			again = consider(loans, want);
	}
}

void loans_withdraw(struct loans *loans, struct want *want)
{
	struct loan *loan = want->loan;

	if (want->waiting) {
		drop(loans, want);
		loans_serve(loans);
	}
	if (!loan)
		return;
	want->loan = NULL;
	loan->holder = NULL;
	rest_begin(loan);
}

struct loan *loans_own(struct loans *loans)
{
	struct loan *loan = &loans->slots[0];

	if (loan->state)
		return NULL;
	loan->state = VF_LOAN_LENT;
	loan->own = true;
	return loan;
}

void loans_disown(struct loan *loan)
{
	loan->state = 0;
	loan->own = false;
	loans_serve(loan->loans);
}

void loans_hold(struct loans *loans)
{
	loans->held++;
}

void loans_unhold(struct loans *loans)
{
	if (!--loans->held)
		loans_serve(loans);
}

void loans_trouble(struct loans *loans, int code, const char *format, ...)
{
	va_list args;

	loans->trouble_code = code;
	va_start(args, format);
	vsnprintf(loans->trouble, sizeof(loans->trouble), format, args);
	va_end(args);
	if (!code)
		loans->trouble[0] = '\0';
	loans_serve(loans);
}

static unsigned int count_state(const struct loans *loans, enum vf_loan_state state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < loans->count; i++)
		n += loans->slots[i].state == state && !loans->slots[i].own;
	return n;
}

unsigned int loans_lent(const struct loans *loans)
{
	return count_state(loans, VF_LOAN_LENT) + count_state(loans, VF_LOAN_RESTING);
}

unsigned int loans_wedged(const struct loans *loans)
{
	return count_state(loans, VF_LOAN_WEDGED);
}

unsigned int loans_free_queues(const struct loans *loans)
{
	unsigned int n = 0;

	for (unsigned int i = loans->first; i < loans->count; i++)
		n += !loans->slots[i].state;
	return n;
}

unsigned int loans_waiting(const struct loans *loans)
{
	unsigned int n = 0;

	for (const struct want *want = loans->waiting; want; want = want->next)
		n++;
	return n;
}
