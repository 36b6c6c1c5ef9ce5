// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "fake_admin.h"
#include "migrate/writer.h"

struct source {
	struct fake *fake;
	struct vf_writer writer;
	uint64_t given;
	unsigned int drained, failed;
	int error;
};

static void on_progress(void *arg)
{
}

static void on_drained(void *arg)
{
	struct source *source = arg;

	source->drained++;
}

static void on_failed(void *arg, int error, const struct vferry_error *why)
{
	struct source *source = arg;

	source->failed++;
	source->error = error;
}

static void begin(struct source *source, uint64_t bytes, uint32_t slots)
{
	const struct vf_writer_events events = {
		.progress = on_progress,
		.drained = on_drained,
		.failed = on_failed,
		.arg = source,
	};

	memset(source, 0, sizeof(*source));
	source->fake = fake_new(bytes, slots, 4096);
	assert_int_equal(vf_writer_init(&source->writer, &source->fake->admin, source->fake->arena,
					1, &events),
			 0);
}

static void finish(struct source *source)
{
	vf_writer_free(&source->writer);
	assert_int_equal(vf_arena_free_slots(source->fake->arena),
			 vf_arena_slots(source->fake->arena));
	fake_free(source->fake);
}

static bool give(struct source *source, uint32_t length)
{
	struct vf_slot *slot = vf_arena_get(source->fake->arena);

	if (!slot)
		return false;
	memcpy(slot->memory, source->fake->context + source->given, length);
	source->given += length;
	vf_writer_add(&source->writer, slot, length);
	return true;
}

static void turn(struct source *source)
{
	uint64_t deadline = vf_now_ns() + 10000000000ULL;

	while (source->writer.busy) {
		vf_ring_turn(source->fake->ring, vf_now_ns() + 10000000);
		assert_true(vf_now_ns() < deadline);
	}
}

/* Chunks of any length arrive whole, in order, in multiples of 8 (the fake device checks each WRITE). */
static void any_lengths_are_gathered(void **state)
{
	srand(11);
	for (unsigned int round = 0; round < 50; round++) {
		const uint64_t all = 80000;
		struct source source;

		begin(&source, all, 9 + round % 20);
		while (source.given < all) {
			uint64_t left = all - source.given;
			uint32_t length = 1 + (uint32_t)rand() % (round % 3 ? 4096 : 20);

			if (length > left)
				length = (uint32_t)left;
			if (!give(&source, length))
				turn(&source);
			else if (rand() % 3 == 0)
				vf_ring_turn(source.fake->ring, 0);
		}
		turn(&source);
		assert_int_equal(source.failed, 0);
		assert_int_equal(source.writer.pending, 0);
		assert_int_equal(source.writer.written, all);
		assert_int_equal(source.fake->written_bytes, all);
		assert_memory_equal(source.fake->written, source.fake->context, all);
		assert_int_equal(source.fake->most_inflight, 1);
		assert_true(source.drained > 0);
		finish(&source);
	}
}

static void what_waits_goes_in_one_command(void **state)
{
	struct source source;

	begin(&source, 16 * 4096, 20);
	for (unsigned int i = 0; i < 16; i++)
		assert_true(give(&source, 4096));
	turn(&source);
	assert_int_equal(source.fake->writes, 2); /* the first, and all that came meanwhile */
	assert_memory_equal(source.fake->written, source.fake->context, 16 * 4096);
	finish(&source);
}

static void fewer_than_8_bytes_wait(void **state)
{
	struct source source;

	begin(&source, 16, 4);
	assert_true(give(&source, 7));
	turn(&source);
	assert_int_equal(source.fake->writes, 0);
	assert_true(give(&source, 8));
	turn(&source);
	assert_int_equal(source.fake->written_bytes, 8);
	assert_int_equal(source.writer.pending, 7);
	assert_true(give(&source, 1));
	turn(&source);
	assert_int_equal(source.fake->written_bytes, 16);
	assert_memory_equal(source.fake->written, source.fake->context, 16);
	finish(&source);
}

static void a_refusal_is_told_once(void **state)
{
	for (unsigned int at = 1; at < 4; at++) {
		struct source source;

		begin(&source, 40 * 4096, 20);
		source.fake->fault_at = at;
		source.fake->fault_times = 9;
		source.fake->fault_status = VFERRY_STATUS_EINVAL;
		for (unsigned int i = 0; i < 40; i++) {
			if (!give(&source, 4096)) {
				turn(&source);
				assert_true(give(&source, 4096));
			}
		}
		turn(&source);
		assert_int_equal(source.failed, 1);
		assert_int_equal(source.error, -EREMOTEIO);
		assert_int_equal(source.writer.status, VFERRY_STATUS_EINVAL);
		finish(&source);
	}
}

static void dropping_leaves_what_is_under_way(void **state)
{
	struct source source;

	begin(&source, 20 * 4096, 20);
	for (unsigned int i = 0; i < 10; i++)
		assert_true(give(&source, 4001));
	assert_true(source.writer.busy);
	vf_writer_drop(&source.writer);
	turn(&source);
	assert_int_equal(source.fake->writes, 1);
	assert_int_equal(source.fake->written_bytes, 4000);
	finish(&source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_lengths_are_gathered),
		cmocka_unit_test(what_waits_goes_in_one_command),
		cmocka_unit_test(fewer_than_8_bytes_wait),
		cmocka_unit_test(a_refusal_is_told_once),
		cmocka_unit_test(dropping_leaves_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
