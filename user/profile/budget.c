// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The downtime cut at its events. Where an event was not seen, the phases on both sides of it are one segment. */
#include <string.h>
#include "profile/profile.h"

const char *prof_basis_name(enum prof_basis basis)
{
	switch (basis) {
	case PROF_BASIS_WHOLE:
		return "stop_to_active";
	case PROF_BASIS_SOURCE:
		return "stop_to_word_active";
	case PROF_BASIS_DESTINATION:
		return "destination_only";
	case PROF_BASIS_BACK:
		return "stop_to_taken_back";
	case PROF_BASIS_OPEN:
		return "not_over";
	case PROF_BASIS_NONE:
		return "never_stopped";
	}
	return "unknown";
}

static int64_t seen(const struct prof_pair *pair, enum vferry_phase phase)
{
	enum prof_at at = prof_side_of(phase);

	if (!pair->vf[at] || !pair->vf[at]->at[phase])
		return 0;
	return prof_on_source(pair, at, pair->vf[at]->at[phase]);
}

static void cut(struct prof_budget *budget, const struct prof_pair *pair, enum prof_phase first,
		enum prof_phase last, int64_t *from, int64_t to)
{
	struct prof_segment *segment = &budget->segments[budget->count];

	if (budget->count == PROF_PHASE_ALL)
		return;
	if (to <
	    *from) { /* the clocks' error, or a jump: the order is certain, so the sum rule holds */
		budget->clamped_ns += *from - to;
		to = *from;
	}
	memset(segment, 0, sizeof(*segment));
	segment->first = first;
	segment->last = last;
	segment->begin = *from;
	segment->end = to;
	for (unsigned int phase = first; phase <= (unsigned int)last; phase++) {
		const char *side = prof_phase_defs[phase].side;

		segment->side[PROF_SOURCE] |= *side != 'd';
		segment->side[PROF_DESTINATION] |= *side != 's';
	}
	segment->crosses = segment->side[PROF_SOURCE] && segment->side[PROF_DESTINATION];
	*from = to;
	budget->count++;
}

/* How wrong a segment may be: only when it begins on one host and ends on the other. */
static void errors(struct prof_budget *budget, const struct prof_pair *pair)
{
	bool two = pair->vf[PROF_SOURCE] && pair->vf[PROF_DESTINATION];

	for (unsigned int i = 0; two && i < budget->count; i++) {
		struct prof_segment *segment = &budget->segments[i];

		if (segment->last >= PROF_PHASE_COUNT)
			continue;
		if (prof_side_of(prof_phase_defs[segment->first].from) !=
		    prof_side_of(prof_phase_defs[segment->last].to))
			segment->error_ns = pair->error_ns;
	}
	if (two && budget->basis == PROF_BASIS_WHOLE)
		budget->error_ns = pair->error_ns;
}

static enum prof_basis basis_of(const struct prof_pair *pair)
{
	if (!pair->vf[PROF_SOURCE])
		return PROF_BASIS_DESTINATION;
	if (!seen(pair, VFERRY_PHASE_SRC_STOP))
		return seen(pair, VFERRY_PHASE_DST_ACTIVE) ? PROF_BASIS_DESTINATION
							   : PROF_BASIS_NONE;
	if (seen(pair, VFERRY_PHASE_DST_ACTIVE))
		return PROF_BASIS_WHOLE;
	if (seen(pair, VFERRY_PHASE_SRC_ACTIVE))
		return PROF_BASIS_SOURCE;
	if (seen(pair, VFERRY_PHASE_SRC_BACK))
		return PROF_BASIS_BACK;
	return PROF_BASIS_OPEN;
}

void prof_budget(const struct prof_pair *pair, struct prof_budget *budget)
{
	unsigned int first = 0;
	int64_t from = 0, at;

	memset(budget, 0, sizeof(*budget));
	budget->basis = basis_of(pair);
	while (first < PROF_BOUNDS && !(from = seen(pair, prof_bounds[first])))
		first++;
	if (budget->basis == PROF_BASIS_NONE || first == PROF_BOUNDS) {
		budget->basis = PROF_BASIS_NONE;
		return;
	}
	budget->begin = from;
	for (unsigned int bound = first + 1; bound < PROF_BOUNDS; bound++) {
		at = seen(pair, prof_bounds[bound]);
		if (!at)
			continue;
		/* What the source did before it failed is its own; the destination's events behind that are not. */
		cut(budget, pair, (enum prof_phase)first, (enum prof_phase)(bound - 1), &from, at);
		first = bound;
	}
	if (budget->basis == PROF_BASIS_SOURCE) {
		at = seen(pair, VFERRY_PHASE_SRC_ACTIVE);
		cut(budget, pair, (enum prof_phase)first, PROF_PHASE_ACTIVE_WORD, &from, at);
	} else if (budget->basis == PROF_BASIS_BACK) {
		at = pair->vf[PROF_SOURCE]->failed_at;
		if (at > from && at <= seen(pair, VFERRY_PHASE_SRC_BACK))
			cut(budget, pair, (enum prof_phase)first, (enum prof_phase)first, &from,
			    at);
		cut(budget, pair, PROF_PHASE_TAKE_BACK, PROF_PHASE_TAKE_BACK, &from,
		    seen(pair, VFERRY_PHASE_SRC_BACK));
	} else if (budget->basis == PROF_BASIS_OPEN && pair->vf[PROF_SOURCE]->failed_at > from &&
		   first < PROF_PHASE_COUNT) {
		cut(budget, pair, (enum prof_phase)first, (enum prof_phase)first, &from,
		    pair->vf[PROF_SOURCE]->failed_at);
	}
	budget->end = from;
	budget->clamped = budget->clamped_ns > (int64_t)pair->error_ns;
	errors(budget, pair);
}
