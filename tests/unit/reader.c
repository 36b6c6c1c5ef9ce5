// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "fake_admin.h"
#include "migrate/reader.h"

struct sink {
	struct fake *fake;
	struct vf_reader reader;
	uint8_t *got;
	uint64_t bytes;
	uint64_t pass_ends[16];
	unsigned int passes;
	bool hold; /* keep slots: a network that stalls */
	struct vf_slot *held;
	unsigned int stop_after, chunks;
	bool stopped;
	int error;
};

static void on_chunk(void *arg, struct vf_slot *slot, uint32_t length)
{
	struct sink *sink = arg;

	memcpy(sink->got + sink->bytes, slot->memory, length);
	sink->bytes += length;
	sink->chunks++;
	if (sink->hold) {
		slot->next = sink->held;
		sink->held = slot;
	} else {
		vf_arena_put(sink->fake->arena, slot);
	}
	if (sink->stop_after && sink->chunks == sink->stop_after)
		vf_reader_stop(&sink->reader);
}

static void on_pass_end(void *arg)
{
	struct sink *sink = arg;

	sink->pass_ends[sink->passes++] = sink->bytes;
}

static void on_stopped(void *arg, int error, const struct vferry_error *why)
{
	struct sink *sink = arg;

	assert_false(sink->stopped);
	sink->stopped = true;
	sink->error = error;
}

static void begin(struct sink *sink, uint64_t bytes, uint32_t slots, uint32_t slot_bytes)
{
	const struct vf_reader_events events = {
		.chunk = on_chunk,
		.pass_end = on_pass_end,
		.stopped = on_stopped,
		.arg = sink,
	};

	memset(sink, 0, sizeof(*sink));
	sink->fake = fake_new(bytes, slots, slot_bytes);
	sink->got = malloc(bytes * 2 + 1);
	vf_reader_init(&sink->reader, &sink->fake->admin, sink->fake->arena, 1, &events);
}

static void turn(struct sink *sink)
{
	uint64_t deadline = vf_now_ns() + 20000000000ULL;

	while (!sink->stopped) {
		vf_ring_turn(sink->fake->ring, vf_now_ns() + 10000000);
		assert_true(vf_now_ns() < deadline);
		if (sink->held && sink->reader.starving) {
			struct vf_slot *slot = sink->held;

			sink->held = slot->next;
			vf_arena_put(sink->fake->arena, slot);
			vf_reader_slots(&sink->reader);
		}
	}
}

static void finish(struct sink *sink)
{
	while (sink->held) {
		struct vf_slot *slot = sink->held;

		sink->held = slot->next;
		vf_arena_put(sink->fake->arena, slot);
	}
	assert_int_equal(vf_arena_free_slots(sink->fake->arena), vf_arena_slots(sink->fake->arena));
	free(sink->got);
	fake_free(sink->fake);
}

static void expect_all(struct sink *sink, uint64_t bytes)
{
	assert_int_equal(sink->error, 0);
	assert_int_equal(sink->bytes, bytes);
	assert_memory_equal(sink->got, sink->fake->context, bytes);
}

static void reads_are_pipelined(void **state)
{
	struct sink sink;

	begin(&sink, 1 << 20, 32, 4096);
	vf_reader_start(&sink.reader, 1 << 20, true);
	turn(&sink);
	expect_all(&sink, 1 << 20);
	assert_int_equal(sink.passes, 1);
	assert_true(sink.fake->most_inflight >= 8);
	finish(&sink);
}

/* Outside Freeze one READ at most when at most two chunks remain: none may open the next image by accident. */
static void the_end_is_approached_with_care(void **state)
{
	struct sink sink;

	begin(&sink, 40 * 4096, 32, 4096);
	vf_reader_start(&sink.reader, 40 * 4096, false);
	turn(&sink);
	expect_all(&sink, 40 * 4096);
	assert_int_equal(sink.fake->reads, 41); /* none too many */
	finish(&sink);
}

/* An estimate that is far too high: what opens behind the end is the next image's. */
static void bytes_behind_the_end_belong_to_the_next_image(void **state)
{
	struct sink sink;

	begin(&sink, 10 * 4096, 32, 4096);
	sink.fake->images = 3;
	sink.fake->image[0] = 5 * 4096;
	sink.fake->image[1] = 100;
	sink.fake->image[2] = 5 * 4096 - 100;
	vf_reader_start(&sink.reader, 1 << 30, false);
	turn(&sink);
	expect_all(&sink, 10 * 4096);
	assert_int_equal(sink.passes, 3);
	assert_int_equal(sink.pass_ends[0], 5 * 4096);
	assert_int_equal(sink.pass_ends[1], 5 * 4096 + 100);
	finish(&sink);
}

static uint32_t odd_chunk(struct fake *fake, uint32_t room)
{
	return 1 + fake->reads * 7919 % 1500;
}

static void any_chunk_length_will_do(void **state)
{
	struct sink sink;

	begin(&sink, 300001, 7, 4096);
	sink.fake->chunk = odd_chunk;
	vf_reader_start(&sink.reader, 12, false); /* and a wrong estimate */
	turn(&sink);
	expect_all(&sink, 300001);
	finish(&sink);
}

static void eagain_keeps_the_order(void **state)
{
	for (unsigned int every = 2; every < 9; every++) {
		struct sink sink;

		begin(&sink, 200000, 16, 4096);
		sink.fake->chunk = odd_chunk;
		sink.fake->fault_every = every;
		sink.fake->fault_status = VFERRY_STATUS_EAGAIN;
		vf_reader_start(&sink.reader, 200000, every % 2);
		turn(&sink);
		expect_all(&sink, 200000);
		finish(&sink);
	}
}

static void eagain_for_ever_ends(void **state)
{
	struct sink sink;

	begin(&sink, 100000, 16, 4096);
	sink.fake->fault_at = 5;
	sink.fake->fault_times = 1u << 30;
	sink.fake->fault_status = VFERRY_STATUS_EAGAIN;
	vf_reader_start(&sink.reader, 100000, true);
	turn(&sink);
	assert_int_equal(sink.error, -ETIMEDOUT);
	finish(&sink);
}

/* Nothing behind a hole is told: the bytes so far are the beginning, without a gap. */
static void an_error_at_any_command_ends_it_cleanly(void **state)
{
	for (unsigned int at = 1; at < 30; at++) {
		struct sink sink;

		begin(&sink, 20 * 4096, 16, 4096);
		sink.fake->fault_at = at;
		sink.fake->fault_times = 1;
		sink.fake->fault_status = VFERRY_STATUS_ENOMEM;
		vf_reader_start(&sink.reader, 20 * 4096, true);
		turn(&sink);
		if (at <= 21) {
			assert_int_equal(sink.error, -EREMOTEIO);
			assert_int_equal(sink.reader.status, VFERRY_STATUS_ENOMEM);
			assert_int_equal(sink.bytes, (at - 1) * 4096);
		}
		assert_memory_equal(sink.got, sink.fake->context, sink.bytes);
		finish(&sink);
	}
}

static void a_contradiction_is_refused(void **state)
{
	struct sink sink;

	begin(&sink, 20 * 4096, 16, 4096);
	sink.fake->lie = true;
	vf_reader_start(&sink.reader, 20 * 4096, true);
	turn(&sink);
	assert_int_equal(sink.error, -EPROTO);
	assert_int_equal(sink.bytes, 0);
	finish(&sink);
}

static void without_slots_it_waits(void **state)
{
	struct sink sink;

	begin(&sink, 50 * 4096, 3, 4096);
	sink.hold = true;
	vf_reader_start(&sink.reader, 50 * 4096, true);
	turn(&sink);
	expect_all(&sink, 50 * 4096);
	finish(&sink);
}

static void stop_tells_what_was_under_way(void **state)
{
	struct sink sink;

	begin(&sink, 50 * 4096, 16, 4096);
	sink.stop_after = 3;
	vf_reader_start(&sink.reader, 50 * 4096, true);
	turn(&sink);
	assert_int_equal(sink.error, -ECANCELED);
	assert_true(sink.bytes >= 3 * 4096 && sink.bytes < 50 * 4096);
	assert_memory_equal(sink.got, sink.fake->context, sink.bytes);
	/* And it can go on. */
	sink.stopped = false;
	sink.stop_after = 0;
	vf_reader_start(&sink.reader, 50 * 4096 - sink.bytes, true);
	turn(&sink);
	expect_all(&sink, 50 * 4096);
	finish(&sink);
}

static void nothing_to_say_is_no_pass(void **state)
{
	struct sink sink;

	begin(&sink, 4096, 4, 4096);
	sink.fake->images = 0;
	vf_reader_start(&sink.reader, 0, true);
	turn(&sink);
	assert_int_equal(sink.error, 0);
	assert_int_equal(sink.passes, 0);
	finish(&sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_are_pipelined),
		cmocka_unit_test(the_end_is_approached_with_care),
		cmocka_unit_test(bytes_behind_the_end_belong_to_the_next_image),
		cmocka_unit_test(any_chunk_length_will_do),
		cmocka_unit_test(eagain_keeps_the_order),
		cmocka_unit_test(eagain_for_ever_ends),
		cmocka_unit_test(an_error_at_any_command_ends_it_cleanly),
		cmocka_unit_test(a_contradiction_is_refused),
		cmocka_unit_test(without_slots_it_waits),
		cmocka_unit_test(stop_tells_what_was_under_way),
		cmocka_unit_test(nothing_to_say_is_no_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
