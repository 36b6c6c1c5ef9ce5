// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sum rule on random event sets, two clocks, and what instants are blamed on, against a slow oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <vferry/admin.h>
#include "profile/profile.h"

#define ROUNDS 4000

static int64_t below(int64_t most)
{
	return (int64_t)(((uint64_t)rand() << 24 ^ (uint64_t)rand()) % (uint64_t)most);
}

static void partition_agrees_with_an_oracle(void **state)
{
	srand(7);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct prof_span spans[12];
		uint64_t sums[PROF_RANKS], slow[PROF_RANKS] = { 0 }, total = 0;
		size_t count = (size_t)below(13);
		int64_t begin = below(20), end = begin + below(60);
		unsigned int fill = (unsigned int)below(PROF_RANKS);

		for (size_t i = 0; i < count; i++) {
			spans[i].begin = below(90) - 5;
			spans[i].end = spans[i].begin + below(30) - 3;
			spans[i].rank = (unsigned int)below(PROF_RANKS + 2);
		}
		for (int64_t t = begin; t < end; t++) {
			unsigned int rank = PROF_RANKS;

			for (size_t i = 0; i < count; i++)
				if (spans[i].begin <= t && t < spans[i].end && spans[i].rank < rank)
					rank = spans[i].rank;
			slow[rank < PROF_RANKS ? rank : fill]++;
		}
		prof_partition(spans, count, begin, end, fill, sums);
		for (unsigned int i = 0; i < PROF_RANKS; i++) {
			assert_int_equal(sums[i], slow[i]);
			total += sums[i];
		}
		assert_int_equal(total, end - begin);
	}
}

/* --- a migration made up: both sides, on clocks of their own --- */

struct world {
	struct prof_side sides[PROF_SIDES];
	struct prof_vf vfs[PROF_SIDES];
	struct prof_event events[PROF_SIDES][40];
	struct prof_kernel kernels[PROF_SIDES];
	struct prof_event off[PROF_SIDES][40], sorted[PROF_SIDES][40];
	int64_t truth[PROF_BOUNDS]; /* on the source's clock */
	int64_t offset;
	struct prof_pair pair;
};

static void random_events(struct world *world, int at, int64_t begin, int64_t end)
{
	struct prof_events *events = &world->vfs[at].events;
	struct prof_kernel *kernel = &world->kernels[at];
	int64_t shift = at == PROF_DESTINATION ? world->offset : 0, now = begin;

	events->at = world->events[at];
	events->count = (size_t)below(40);
	for (size_t i = 0; i < events->count; i++) {
		struct prof_event *event = &events->at[i];

		memset(event, 0, sizeof(*event));
		event->kind = (enum prof_kind)below(PROF_TCP + 1);
		event->begin = begin + below(end - begin + 1) + shift;
		event->end = event->begin + below(2000);
		/* Some of them make no sense: they must not break a sum. */
		event->issue = below(4) ? event->begin + below(1000) : below(3000);
		event->wake = below(4) ? event->issue + below(1000) : 0;
		event->opcode = VFERRY_CMD_DEV_CTX_READ;
	}
	/* A kernel's times are without what its side's time namespace adds. */
	shift -= world->sides[at].namespace_ns;
	kernel->scheduler = below(3);
	kernel->from = begin - 10 + shift;
	kernel->to = end + 10 + shift;
	kernel->events.at = world->off[at];
	kernel->events.count = 0;
	kernel->off.at = world->sorted[at];
	while (kernel->events.count < 40 && now < end) {
		struct prof_event *event = &kernel->events.at[kernel->events.count++];

		memset(event, 0, sizeof(*event));
		event->kind = below(5) ? PROF_OFF_CPU : below(2) ? PROF_IRQ : PROF_THREAD_RAN;
		event->begin = now + below(300) + shift;
		event->end = event->begin + below(500);
		event->wake = below(2) ? event->begin + below(600) : 0;
		event->state = "RSDT"[below(4)];
		event->io_wait = below(2);
		event->worker = below(2);
		now = event->end - shift;
		if (event->kind == PROF_OFF_CPU)
			kernel->off.at[kernel->off.count++] = *event;
	}
	world->sides[at].kernel = below(4) ? kernel : NULL;
}

static void make_world(struct world *world, int64_t offset, uint64_t error, bool two_hosts)
{
	int64_t now = 1000000000 + below(1000000000);

	memset(world, 0, sizeof(*world));
	world->offset = offset;
	for (unsigned int i = 0; i < PROF_BOUNDS; i++) {
		enum vferry_phase phase = prof_bounds[i];
		enum prof_at at = prof_side_of(phase);

		world->truth[i] = now;
		world->vfs[at].at[phase] = now + (at == PROF_DESTINATION ? offset : 0);
		now += below(3) ? below(5000) : 0;
	}
	world->vfs[PROF_SOURCE].at[VFERRY_PHASE_SRC_ACTIVE] = now;
	for (int at = 0; at < PROF_SIDES; at++) {
		struct prof_side *side = &world->sides[at];

		side->role = (enum prof_at)at;
		side->vfs = &world->vfs[at];
		side->count = 1;
		strcpy(side->boot_id, two_hosts && at ? "another" : "one");
		strcpy(world->vfs[at].id, "00112233445566778899aabbccddeeff");
		if (!two_hosts && at == PROF_DESTINATION)
			side->namespace_ns = offset;
		random_events(world, at, world->truth[0] - 500, now);
		world->pair.side[at] = side;
		world->pair.vf[at] = &world->vfs[at];
	}
	world->vfs[PROF_SOURCE].clock = (struct prof_clock){
		.offset_ns = offset + (error ? below((int64_t)error * 2 + 1) - (int64_t)error : 0),
		.error_ns = error,
		.exchanges = 5,
	};
}

static void check_sums(const struct prof_pair *pair, struct prof_budget *budget)
{
	int64_t at = budget->begin;

	assert_int_equal(prof_blame(pair, budget), 0);
	for (unsigned int i = 0; i < budget->count; i++) {
		struct prof_segment *segment = &budget->segments[i];
		uint64_t causes = 0;

		assert_int_equal(segment->begin, at);
		assert_true(segment->end >= segment->begin);
		at = segment->end;
		for (unsigned int c = 0; c < PROF_CAUSE_COUNT; c++)
			causes += segment->cause[c][0] + segment->cause[c][1];
		assert_int_equal(causes, segment->end - segment->begin);
		for (unsigned int s = 0; s < PROF_SIDES; s++) {
			uint64_t states = 0;

			for (unsigned int t = 0; t < PROF_THREAD_COUNT; t++)
				states += segment->host[s].ns[t];
			assert_int_equal(states,
					 segment->host[s].seen ? segment->end - segment->begin : 0);
		}
	}
	assert_int_equal(at, budget->end);
}

static void phases_and_causes_add_up(void **state)
{
	srand(11);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct prof_budget budget;
		struct world world;

		make_world(&world, below(1000000) - 500000, 0, false);
		prof_clock_settle(&world.pair);
		assert_int_equal(world.pair.clock, PROF_CLOCK_SAME);
		assert_false(world.pair.jumped);
		prof_budget(&world.pair, &budget);
		assert_int_equal(budget.basis, PROF_BASIS_WHOLE);
		assert_int_equal(budget.count, PROF_PHASE_COUNT);
		assert_int_equal(budget.end - budget.begin,
				 world.truth[PROF_BOUNDS - 1] - world.truth[0]);
		for (unsigned int i = 0; i < budget.count; i++)
			assert_int_equal(budget.segments[i].end - budget.segments[i].begin,
					 world.truth[i + 1] - world.truth[i]);
		check_sums(&world.pair, &budget);
	}
}

/* A command of 1000 ns in Stop; the engine is woken for something else in between, and late for the answer. */
static void a_device_is_blamed_until_it_may_have_answered(void **state)
{
	static const struct prof_event off[] = {
		{ .kind = PROF_OFF_CPU, .begin = 20, .wake = 300, .end = 400, .state = 'S' },
		{ .kind = PROF_OFF_CPU, .begin = 450, .end = 500, .state = 'R' },
		{ .kind = PROF_OFF_CPU, .begin = 510, .wake = 900, .end = 960, .state = 'S' },
	};
	struct prof_event command = { .kind = PROF_COMMAND, .begin = 0, .end = 990, .issue = 10 };
	struct prof_event events[3];
	struct prof_budget budget;
	struct world world;

	make_world(&world, 0, 0, false);
	for (int at = 0; at < PROF_SIDES; at++) {
		world.vfs[at].events.count = 0;
		world.sides[at].kernel = NULL;
	}
	world.vfs[PROF_SOURCE].at[VFERRY_PHASE_SRC_STOP] =
		world.vfs[PROF_SOURCE].at[VFERRY_PHASE_SRC_STOPPED] - 1000;
	for (unsigned int i = 0; i < 3; i++) {
		int64_t zero = world.vfs[PROF_SOURCE].at[VFERRY_PHASE_SRC_STOP];

		events[i] = off[i];
		events[i].begin += zero;
		events[i].end += zero;
		events[i].wake += off[i].wake ? zero : 0;
		if (i)
			continue;
		command.begin += zero;
		command.issue += zero;
		command.end += zero;
		command.wake = zero + 970;
	}
	world.vfs[PROF_SOURCE].events = (struct prof_events){ &command, 1, 1 };
	world.kernels[PROF_SOURCE] = (struct prof_kernel){
		.scheduler = true,
		.from = 1,
		.to = INT64_MAX / 4,
		.events = { events, 3, 3 },
		.off = { events, 3, 3 },
	};
	world.sides[PROF_SOURCE].kernel = &world.kernels[PROF_SOURCE];
	prof_clock_settle(&world.pair);
	prof_budget(&world.pair, &budget);
	check_sums(&world.pair, &budget);
	/* Up to the last wake-up, and from its end to when the interrupt was seen. */
	assert_int_equal(budget.segments[0].cause[PROF_CAUSE_DEVICE][PROF_SOURCE], 890 + 10);
	assert_int_equal(budget.segments[0].cause[PROF_CAUSE_RUNQUEUE][PROF_SOURCE], 60);
	assert_int_equal(budget.segments[0].cause[PROF_CAUSE_PREEMPTED][PROF_SOURCE], 0);
	assert_int_equal(budget.segments[0].cause[PROF_CAUSE_QUEUE][PROF_SOURCE], 10);
	assert_int_equal(budget.segments[0].cause[PROF_CAUSE_REAP][PROF_SOURCE], 20);
	assert_int_equal(budget.segments[0].cause[PROF_CAUSE_ENGINE][PROF_SOURCE], 10);
	/* What the thread did is told beside it, all of it. */
	assert_int_equal(budget.segments[0].host[PROF_SOURCE].ns[PROF_THREAD_RUNQUEUE], 160);
	assert_int_equal(budget.segments[0].host[PROF_SOURCE].ns[PROF_THREAD_PREEMPTED], 50);
	assert_int_equal(budget.segments[0].host[PROF_SOURCE].ns[PROF_THREAD_ASLEEP], 670);
	assert_int_equal(budget.segments[0].host[PROF_SOURCE].ns[PROF_THREAD_ON_CPU], 120);
}

static void what_is_missing_is_one_segment(void **state)
{
	srand(13);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct prof_budget budget;
		struct world world;

		make_world(&world, 12345, 0, false);
		for (unsigned int i = 0; i < PROF_BOUNDS; i++)
			if (!below(4))
				world.vfs[prof_side_of(prof_bounds[i])].at[prof_bounds[i]] = 0;
		if (!below(3)) { /* it failed and was taken back */
			world.vfs[0].at[VFERRY_PHASE_SRC_ACTIVE] = 0;
			world.vfs[1].at[VFERRY_PHASE_DST_ACTIVE] = 0;
			world.vfs[0].failed_at = world.truth[5] + below(10000);
			world.vfs[0].at[VFERRY_PHASE_SRC_BACK] = world.truth[5] + below(20000);
		}
		if (!below(5)) {
			int at = (int)below(2);

			world.pair.side[at] = NULL;
			world.pair.vf[at] = NULL;
		}
		prof_clock_settle(&world.pair);
		prof_budget(&world.pair, &budget);
		check_sums(&world.pair, &budget);
		for (unsigned int i = 1; i < budget.count; i++)
			assert_true(budget.segments[i].first >= budget.segments[i - 1].last);
	}
}

static void two_clocks_are_right_within_their_error(void **state)
{
	srand(17);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t error = 1 + (uint64_t)below(4000);
		struct prof_budget budget;
		struct world world;
		int64_t wrong;

		make_world(&world, below(1000000000000) - 500000000000, error, true);
		if (!below(4))
			world.vfs[PROF_SOURCE].clock.exchanges = 0;
		prof_clock_settle(&world.pair);
		assert_false(world.pair.jumped);
		assert_true(world.pair.clock == PROF_CLOCK_MEASURED ||
			    world.pair.clock == PROF_CLOCK_BOUNDS);
		assert_true(world.pair.error_ns <= error || world.pair.clock == PROF_CLOCK_BOUNDS);
		wrong = world.pair.offset_ns - world.offset;
		assert_true((uint64_t)(wrong < 0 ? -wrong : wrong) <= world.pair.error_ns);
		prof_budget(&world.pair, &budget);
		assert_false(budget.clamped);
		for (unsigned int i = 0; i < budget.count; i++) {
			const struct prof_segment *segment = &budget.segments[i];

			wrong = segment->end - segment->begin -
				(world.truth[i + 1] - world.truth[i]);
			assert_true((uint64_t)(wrong < 0 ? -wrong : wrong) <= segment->error_ns);
		}
		wrong = budget.end - budget.begin - (world.truth[PROF_BOUNDS - 1] - world.truth[0]);
		assert_true((uint64_t)(wrong < 0 ? -wrong : wrong) <= budget.error_ns);
		check_sums(&world.pair, &budget);
	}
}

static void a_clock_that_jumps_is_seen(void **state)
{
	struct prof_budget budget;
	struct world world;

	srand(19);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		make_world(&world, 777, 50, true);
		/* Far beyond what the words that crossed allow. */
		world.vfs[PROF_SOURCE].clock.offset_ns += (below(2) ? 1 : -1) * 100000000;
		prof_clock_settle(&world.pair);
		assert_true(world.pair.jumped);
		assert_int_equal(world.pair.clock, PROF_CLOCK_BOUNDS);
		prof_budget(&world.pair, &budget);
		check_sums(&world.pair, &budget);
	}
	/* One that jumps while the VF is down: nothing agrees any more, the sums still do. */
	for (unsigned int round = 0; round < ROUNDS; round++) {
		make_world(&world, 0, 0, false);
		for (unsigned int i = 5; i < PROF_BOUNDS; i++)
			if (prof_side_of(prof_bounds[i]) == PROF_DESTINATION)
				world.vfs[1].at[prof_bounds[i]] -= 1000000;
		prof_clock_settle(&world.pair);
		assert_true(world.pair.jumped);
		prof_budget(&world.pair, &budget);
		assert_true(budget.clamped);
		check_sums(&world.pair, &budget);
	}
}

static void percentiles_are_of_the_values(void **state)
{
	const uint64_t values[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };

	assert_int_equal(prof_percentile(values, 10, 50), 5);
	assert_int_equal(prof_percentile(values, 10, 90), 9);
	assert_int_equal(prof_percentile(values, 10, 99), 10);
	assert_int_equal(prof_percentile(values, 10, 0), 1);
	assert_int_equal(prof_percentile(values, 1, 99), 1);
	assert_int_equal(prof_percentile(values, 0, 50), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partition_agrees_with_an_oracle),
		cmocka_unit_test(phases_and_causes_add_up),
		cmocka_unit_test(a_device_is_blamed_until_it_may_have_answered),
		cmocka_unit_test(what_is_missing_is_one_segment),
		cmocka_unit_test(two_clocks_are_right_within_their_error),
		cmocka_unit_test(a_clock_that_jumps_is_seen),
		cmocka_unit_test(percentiles_are_of_the_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
