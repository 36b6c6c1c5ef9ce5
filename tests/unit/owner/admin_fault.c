// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* --fault: its words and what the faults do. */
#include "admin_bench.h"

static struct bench *faulty(const char *spec)
{
	struct bench *bench = bench_ready(bench_opts());
	struct vferry_error err;

	if (faults_add(&bench->owner, spec, &err))
		fail_msg("%s", err.text);
	return bench;
}

static void get(struct bench *bench, struct reply *reply, uint64_t vf)
{
	command(bench, reply, VFERRY_CMD_DEV_MODE_GET, vf, NULL, 0, 16);
}

static void status_with_a_qualifier_and_no_effect(void **state)
{
	struct bench *bench = faulty("status=einval/invalid_field,op=dev_mode_set");
	uint8_t stop[8] = { VFERRY_MODE_STOP };
	struct reply reply;

	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_MODE_SET, 1, stop, 8, 8), EINVAL,
	       INVALID_FIELD);
	reply_drop(&reply);
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	bench_free(bench);
	bench = faulty("status=77/0x1234");
	get(bench, &reply, 1);
	expect(&reply, 77, 0x1234);
	reply_drop(&reply);
	bench_free(bench);
}

static void eagain_n_times_then_the_retry_works(void **state)
{
	struct bench *bench = faulty("eagain=3,op=0x7");
	struct reply reply;

	for (int i = 0; i < 3; i++) {
		get(bench, &reply, 1);
		EXPECT(&reply, EAGAIN, TRYAGAIN);
		reply_drop(&reply);
	}
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	bench_free(bench);
}

static void eagain_of_a_read_does_not_advance(void **state)
{
	struct bench *bench = faulty("eagain,op=dev_ctx_read,at=2");
	struct image_bytes image, again;
	struct reply reply;
	uint8_t first[100];

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
	read_chunk(bench, 1, first, 100);
	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_READ, 1, NULL, 0, 108), EAGAIN, TRYAGAIN);
	reply_drop(&reply);
	image = read_image(bench, 1, ROOM);
	discard_context(bench, 1);
	again = read_image(bench, 1, ROOM);
	assert_int_equal(again.count, image.count + 100);
	assert_memory_equal(again.bytes, first, 100);
	assert_memory_equal(again.bytes + 100, image.bytes, image.count);
	free(image.bytes);
	free(again.bytes);
	bench_free(bench);
}

static void silence_answers_never_and_stops_nobody_else(void **state)
{
	struct bench *bench = faulty("silence,op=dev_mode_set,vf=2,at=1");
	uint8_t stop[8] = { VFERRY_MODE_STOP };
	struct reply reply;

	command(bench, &reply, VFERRY_CMD_DEV_MODE_SET, 2, stop, 8, 8);
	assert_int_equal(reply.calls, 0);
	assert_int_equal(reply.in_bytes[0], 0xee);
	assert_int_equal(get_mode(bench, 2), VFERRY_MODE_ACTIVE);
	reply_drop(&reply);
	bench_free(bench);
	bench = faulty("lost-answer,op=dev_mode_set");
	command(bench, &reply, VFERRY_CMD_DEV_MODE_SET, 2, stop, 8, 8);
	assert_int_equal(reply.calls, 0);
	assert_int_equal(get_mode(bench, 2), VFERRY_MODE_STOP);
	reply_drop(&reply);
	bench_free(bench);
}

static void short_and_odd_reads_lose_nothing(void **state)
{
	static const char *const specs[] = { "short-read", "short-read=13", "odd-read",
					     "short-read=100,p=0.5" };
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes want;

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
	want = read_image(bench, 1, ROOM);
	bench_free(bench);
	for (unsigned int i = 0; i < 4; i++) {
		struct image_bytes image;

		bench = faulty(specs[i]);
		assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
		image = read_image(bench, 1, 4096);
		assert_int_equal(image.count, want.count);
		assert_memory_equal(image.bytes, want.bytes, want.count);
		free(image.bytes);
		bench_free(bench);
	}
	free(want.bytes);
}

static void odd_reads_are_odd(void **state)
{
	struct bench *bench = faulty("odd-read");

	assert_int_equal(read_chunk(bench, 1, NULL, 4096), 4095);
	assert_int_equal(read_chunk(bench, 1, NULL, 4095), 4095);
	bench_free(bench);
}

static void garbage_in_the_answer(void **state)
{
	struct bench *bench = faulty("garbage-status,op=7,times=1");
	struct bench *same = faulty("garbage-status,op=7,times=1");
	struct reply one, two;

	get(bench, &one, 1);
	get(same, &two, 1);
	assert_int_equal(one.calls, 1);
	/* The same seed, the same garbage. */
	assert_memory_equal(one.in_bytes, two.in_bytes, 16);
	reply_drop(&one);
	reply_drop(&two);
	get(bench, &one, 1);
	EXPECT(&one, OK, OK);
	reply_drop(&one);
	bench_free(bench);
	bench_free(same);
	bench = faulty("used=4000000000");
	get(bench, &one, 1);
	assert_int_equal(one.used, 4000000000U);
	reply_drop(&one);
	bench_free(bench);
	bench = faulty("context-len=beyond");
	command(bench, &one, VFERRY_CMD_DEV_CTX_READ, 1, NULL, 0, 108);
	assert_int_equal(one.output, 101);
	assert_int_equal(one.used, 108);
	reply_drop(&one);
	get(bench, &one, 1);
	assert_int_equal(one.output, 0);
	reply_drop(&one);
	bench_free(bench);
}

static struct {
	int deaths;
	unsigned int mode;
} died;

static void play_dead(struct owner *owner)
{
	died.deaths++;
	died.mode = owner->vfs[1].mode;
}

static void death_at_the_nth_command(void **state)
{
	struct bench *bench = faulty("die,at=3,op=dev_mode_set");

	died.deaths = 0;
	bench->owner.die = play_dead;
	set_mode(bench, 1, VFERRY_MODE_STOP);
	set_mode(bench, 2, VFERRY_MODE_STOP);
	assert_int_equal(died.deaths, 0);
	set_mode(bench, 1, VFERRY_MODE_FREEZE);
	assert_int_equal(died.deaths, 1);
	assert_int_equal(died.mode, VFERRY_MODE_STOP);
	bench_free(bench);
	bench = faulty("die-after,at=1,op=dev_mode_set");
	bench->owner.die = play_dead;
	set_mode(bench, 1, VFERRY_MODE_FREEZE);
	assert_int_equal(died.deaths, 2);
	assert_int_equal(died.mode, VFERRY_MODE_FREEZE);
	bench_free(bench);
}

static void selected_by_member_range_occurrence_and_chance(void **state)
{
	struct bench *bench = faulty("status=einval,vf=2-3,at=2,times=2");
	unsigned int hits = 0, misses = 0;
	struct reply reply;

	for (int round = 0; round < 4; round++)
		for (uint64_t vf = 1; vf <= 4; vf++) {
			get(bench, &reply, vf);
			/* The 2nd and 3rd match: VF 3 of round 0, VF 2 of round 1. */
			assert_int_equal(reply.status != 0,
					 (round == 0 && vf == 3) || (round == 1 && vf == 2));
			reply_drop(&reply);
		}
	bench_free(bench);
	bench = faulty("status=ebusy,op=dev_mode_get,p=0.25");
	for (int i = 0; i < 1000; i++) {
		get(bench, &reply, 1);
		if (reply.status)
			hits++;
		else
			misses++;
		reply_drop(&reply);
	}
	assert_true(hits > 150 && hits < 350);
	assert_int_equal(hits + misses, 1000);
	bench_free(bench);
}

static void syntax_errors_name_the_offending_part(void **state)
{
	static const struct {
		const char *spec, *part;
	} rows[] = {
		{ "", "''" },
		{ "explode", "'explode'" },
		{ "silence=1", "'silence=1'" },
		{ "status", "'status'" },
		{ "status=nonsense", "'status=nonsense'" },
		{ "status=einval/nonsense", "'status=einval/nonsense'" },
		{ "status=65536", "'status=65536'" },
		{ "eagain=0", "'eagain=0'" },
		{ "eagain=-1", "'eagain=-1'" },
		{ "slow=10", "'slow=10'" },
		{ "slow=ms", "'slow=ms'" },
		{ "slow=9999999999999999999s", "'slow=" },
		{ "used=", "'used='" },
		{ "short-read=0", "'short-read=0'" },
		{ "context-len=far", "'context-len=far'" },
		{ "die,op=read", "'op=read'" },
		{ "die,vf=0", "'vf=0'" },
		{ "die,vf=3-1", "'vf=3-1'" },
		{ "die,vf=1-", "'vf=1-'" },
		{ "die,at=0", "'at=0'" },
		{ "die,times", "'times'" },
		{ "die,p=0", "'p=0'" },
		{ "die,p=1.5", "'p=1.5'" },
		{ "die,p=nan", "'p=nan'" },
		{ "die,", "''" },
		{ "die,when=2", "'when=2'" },
	};
	struct bench *bench = bench_new(bench_opts());

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct vferry_error err = { 0 };

		assert_int_equal(faults_add(&bench->owner, rows[i].spec, &err), -EINVAL);
		if (!strstr(err.text, rows[i].part))
			fail_msg("'%s' does not name %s", err.text, rows[i].part);
	}
	for (int i = 0; i < 64; i++)
		assert_int_equal(faults_add(&bench->owner, "slow=1us", NULL), 0);
	assert_int_equal(faults_add(&bench->owner, "slow=1us", NULL), -E2BIG);
	assert_non_null(strstr(faults_help(), "context-len"));
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_with_a_qualifier_and_no_effect),
		cmocka_unit_test(eagain_n_times_then_the_retry_works),
		cmocka_unit_test(eagain_of_a_read_does_not_advance),
		cmocka_unit_test(silence_answers_never_and_stops_nobody_else),
		cmocka_unit_test(short_and_odd_reads_lose_nothing),
		cmocka_unit_test(odd_reads_are_odd),
		cmocka_unit_test(garbage_in_the_answer),
		cmocka_unit_test(death_at_the_nth_command),
		cmocka_unit_test(selected_by_member_range_occurrence_and_chance),
		cmocka_unit_test(syntax_errors_name_the_offending_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
