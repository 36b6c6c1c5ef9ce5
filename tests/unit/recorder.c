// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The flight recorder: the last events are there, phases are never overwritten; what an event costs is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>
#include <vferry/admin.h>
#include "migrate/recorder.h"
#include "ring/ring.h"

static void the_last_events_stay(void **state)
{
	struct vf_recorder recorder = { 0 };

	assert_int_equal(vf_recorder_init(&recorder, 100), 0);
	assert_int_equal(recorder.mask, 127);
	for (uint64_t i = 0; i < 1000; i++)
		vf_recorder_span(&recorder, VF_RECORD_CHUNK_OUT, 0, i, i + 1, 4096);
	assert_int_equal(recorder.next, 1000);
	for (uint64_t i = 1000 - 128; i < 1000; i++)
		assert_int_equal(recorder.ring[i & recorder.mask].a, i);
	vf_recorder_free(&recorder);
}

/* A long image of chunks leaves the mode changes, the journal and TCP alone. */
static void what_is_rare_stays(void **state)
{
	const struct vferry_cmd cmd = { .opcode = VFERRY_CMD_DEV_MODE_SET, .done_ns = 7 };
	struct vf_recorder recorder = { 0 };

	assert_int_equal(vf_recorder_init(&recorder, 64), 0);
	vf_recorder_command(&recorder, &cmd);
	vf_recorder_span(&recorder, VF_RECORD_JOURNAL, 1, 1, 2, 0);
	for (uint64_t i = 0; i < 1000; i++)
		vf_recorder_span(&recorder, VF_RECORD_CHUNK_OUT, 0, i, i + 1, 4096);
	assert_int_equal(recorder.rare_count, 2);
	assert_int_equal(recorder.rare[0].kind, VF_RECORD_COMMAND);
	assert_int_equal(recorder.rare[1].kind, VF_RECORD_JOURNAL);
	/* More of them than there are places go where all others go. */
	for (unsigned int i = 0; i < VF_RECORDER_RARE; i++)
		vf_recorder_span(&recorder, VF_RECORD_GATE, 0, 5, 6, 0);
	assert_int_equal(recorder.rare_count, VF_RECORDER_RARE);
	assert_int_equal(recorder.next, 1002);
	assert_int_equal(recorder.ring[1001 & recorder.mask].kind, VF_RECORD_GATE);
	vf_recorder_free(&recorder);
}

static void marks_are_kept_and_counted(void **state)
{
	struct vf_recorder recorder = { 0 };

	for (unsigned int i = 0; i < VF_RECORDER_MARKS + 3; i++)
		vf_recorder_mark(&recorder, VFERRY_PHASE_SRC_STOP, 0, i);
	assert_int_equal(recorder.mark_count, VF_RECORDER_MARKS);
	assert_int_equal(recorder.marks_lost, 3);
	assert_int_equal(recorder.marks[VF_RECORDER_MARKS - 1].at, VF_RECORDER_MARKS - 1);
}

static void nothing_is_recorded_without_memory(void **state)
{
	struct vf_recorder recorder = { 0 };
	const struct vferry_cmd cmd = { .opcode = VFERRY_CMD_DEV_MODE_GET };

	vf_recorder_span(&recorder, VF_RECORD_GATE, 0, 1, 2, 0);
	vf_recorder_command(&recorder, &cmd);
	vf_recorder_tcp(&recorder, -1, VFERRY_PHASE_SRC_STOP);
	assert_int_equal(recorder.next, 0);
}

/* Of the processor's time: others run on this machine. */
static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void what_an_event_costs(void **state)
{
	const struct vferry_cmd cmd = { .opcode = VFERRY_CMD_DEV_CTX_WRITE, .done_ns = 1 };
	struct vf_recorder recorder = { 0 };
	double begin, bare, timed;

	assert_int_equal(vf_recorder_init(&recorder, VF_RECORDER_EVENTS), 0);
	begin = cpu_ns();
	for (unsigned int i = 0; i < 1000000; i++)
		vf_recorder_command(&recorder, &cmd);
	bare = cpu_ns() - begin;
	begin = cpu_ns();
	for (unsigned int i = 0; i < 1000000; i++)
		vf_recorder_span(&recorder, VF_RECORD_JOURNAL, 0, i, vf_now_ns(), 0);
	timed = cpu_ns() - begin;
	print_message("# a command %.1f ns, an event with its own time %.1f ns\n", bare / 1e6,
		      timed / 1e6);
	vf_recorder_free(&recorder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_events_stay),
		cmocka_unit_test(what_is_rare_stays),
		cmocka_unit_test(marks_are_kept_and_counted),
		cmocka_unit_test(nothing_is_recorded_without_memory),
		cmocka_unit_test(what_an_event_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
