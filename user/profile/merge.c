// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Pairs of sides, and one clock for both. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "profile/profile.h"

/* The order of words that crossed, on whatever clocks: from the source on its way (END, RELEASE), and back (LOADED, ACTIVE). */
static void bounds(const struct prof_pair *pair, int64_t *low, int64_t *high)
{
	static const struct {
		enum vferry_phase source, destination;
		bool back;
	} words[] = {
		{ VFERRY_PHASE_SRC_FINAL_READ, VFERRY_PHASE_DST_FINAL_LAST, false },
		{ VFERRY_PHASE_SRC_LOADED, VFERRY_PHASE_DST_LOADED, true },
		{ VFERRY_PHASE_SRC_RELEASE, VFERRY_PHASE_DST_RELEASE, false },
		{ VFERRY_PHASE_SRC_ACTIVE, VFERRY_PHASE_DST_ACTIVE, true },
	};
	const int64_t *source = pair->vf[PROF_SOURCE]->at;
	const int64_t *destination = pair->vf[PROF_DESTINATION]->at;

	*low = INT64_MIN;
	*high = INT64_MAX;
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		int64_t s = source[words[i].source], d = destination[words[i].destination];

		if (!s || !d)
			continue;
		if (words[i].back && d - s > *low)
			*low = d - s;
		if (!words[i].back && d - s < *high)
			*high = d - s;
	}
}

void prof_clock_settle(struct prof_pair *pair)
{
	const struct prof_side *source = pair->side[PROF_SOURCE];
	const struct prof_side *destination = pair->side[PROF_DESTINATION];
	const struct prof_clock *clock;
	int64_t low, high, from, to;

	pair->clock = PROF_CLOCK_NONE;
	pair->offset_ns = 0;
	pair->error_ns = 0;
	pair->jumped = false;
	if (!source || !destination)
		return;
	bounds(pair, &low, &high);
	if (source->boot_id[0] && !strcmp(source->boot_id, destination->boot_id)) {
		pair->clock = PROF_CLOCK_SAME;
		pair->offset_ns = destination->namespace_ns - source->namespace_ns;
		pair->jumped = low != INT64_MIN && high != INT64_MAX &&
			       (pair->offset_ns < low || pair->offset_ns > high);
		return;
	}
	clock = &pair->vf[PROF_SOURCE]->clock;
	if (clock->exchanges) {
		from = clock->offset_ns - (int64_t)clock->error_ns;
		to = clock->offset_ns + (int64_t)clock->error_ns;
		if (from < low)
			from = low;
		if (to > high)
			to = high;
		if (from <= to) {
			pair->clock = PROF_CLOCK_MEASURED;
			pair->offset_ns = from + (to - from) / 2;
			pair->error_ns = (uint64_t)(to - from - (to - from) / 2);
			return;
		}
		pair->jumped = true;
	}
	if (low == INT64_MIN || high == INT64_MAX || low > high) {
		/* One bound alone is still better than nothing, and is said to be no more than that. */
		pair->offset_ns = clock->exchanges    ? clock->offset_ns
				  : high != INT64_MAX ? high
				  : low != INT64_MIN  ? low
						      : 0;
		pair->error_ns = clock->exchanges ? clock->error_ns : 0;
		pair->jumped |= low != INT64_MIN && high != INT64_MAX && low > high;
		return;
	}
	pair->clock = PROF_CLOCK_BOUNDS;
	pair->offset_ns = low + (high - low) / 2;
	pair->error_ns = (uint64_t)(high - low - (high - low) / 2);
}

static void join_kernels(struct prof_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		for (size_t k = 0; k < set->kernel_count; k++)
			if (set->kernels[k].pid == set->sides[i].pid &&
			    !strcmp(set->kernels[k].boot_id, set->sides[i].boot_id))
				set->sides[i].kernel = &set->kernels[k];
}

/* Probes give the first half of an id only. */
static bool same_id(const char *a, const char *b)
{
	size_t length = strlen(a) < strlen(b) ? strlen(a) : strlen(b);

	return length >= 16 && !strncmp(a, b, length);
}

static struct prof_pair *pair_of(struct prof_pair *pairs, size_t count, const struct prof_vf *vf)
{
	for (size_t i = 0; i < count; i++)
		for (unsigned int at = 0; at < PROF_SIDES; at++)
			if (pairs[i].vf[at] && same_id(pairs[i].vf[at]->id, vf->id))
				return &pairs[i];
	return NULL;
}

static void say_pairs(struct prof_set *set, const struct prof_pair *pairs, size_t count)
{
	size_t alone[PROF_SIDES] = { 0 }, both = 0;

	for (size_t i = 0; i < count; i++) {
		both += pairs[i].vf[0] && pairs[i].vf[1];
		alone[PROF_SOURCE] += pairs[i].vf[0] && !pairs[i].vf[1];
		alone[PROF_DESTINATION] += !pairs[i].vf[0] && pairs[i].vf[1];
		if (pairs[i].jumped)
			prof_problem(
				set,
				"VF %u: the clocks of source and destination contradict the order of events: "
				"one of them has jumped; %s",
				(pairs[i].vf[0] ? pairs[i].vf[0] : pairs[i].vf[1])->vf,
				pairs[i].clock == PROF_CLOCK_BOUNDS
					? "the offset is taken from that order"
					: "events are moved to keep the order");
	}
	if (alone[PROF_SOURCE] && alone[PROF_DESTINATION])
		prof_problem(set,
			     "profiles of different migrations: %zu are of a source only, %zu of a "
			     "destination only%s",
			     alone[PROF_SOURCE], alone[PROF_DESTINATION],
			     both ? "" : ", and no two of them belong together");
}

int prof_join(struct prof_set *set, struct prof_pair **out)
{
	struct prof_pair *pairs = NULL;
	size_t count = 0, most = 0;

	join_kernels(set);
	for (size_t i = 0; i < set->count; i++)
		most += set->sides[i].count;
	pairs = calloc(most ? most : 1, sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++) {
		const struct prof_side *side = &set->sides[i];

		for (size_t v = 0; v < side->count; v++) {
			const struct prof_vf *vf = &side->vfs[v];
			struct prof_pair *pair = pair_of(pairs, count, vf);

			if (!pair)
				pair = &pairs[count++];
			if (pair->vf[side->role]) {
				/* Seen twice: the engine's own word is more than the probes'. */
				if (!strcmp(pair->side[side->role]->origin, "engine")) {
					if (!strcmp(side->origin, "engine"))
						prof_problem(
							set,
							"%s: VF %u of migration %s stands in %s as well; that one "
							"counts",
							side->file, vf->vf, vf->id,
							pair->side[side->role]->file);
					continue;
				}
			}
			pair->side[side->role] = side;
			pair->vf[side->role] = vf;
		}
	}
	for (size_t i = 0; i < count; i++)
		prof_clock_settle(&pairs[i]);
	say_pairs(set, pairs, count);
	*out = pairs;
	return (int)count;
}
