// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Modes and resets: all nine pairs, what the administration asks of the function, what a failure leaves. */
#include "admin_bench.h"

static void all_nine_pairs(void **state)
{
	static const struct {
		unsigned int from, to;
		const char *calls;
	} rows[] = {
		{ VFERRY_MODE_ACTIVE, VFERRY_MODE_ACTIVE, "" },
		{ VFERRY_MODE_ACTIVE, VFERRY_MODE_STOP, "S" },
		{ VFERRY_MODE_ACTIVE, VFERRY_MODE_FREEZE, "SF" },
		{ VFERRY_MODE_STOP, VFERRY_MODE_ACTIVE, "R" },
		{ VFERRY_MODE_STOP, VFERRY_MODE_STOP, "" },
		{ VFERRY_MODE_STOP, VFERRY_MODE_FREEZE, "F" },
		{ VFERRY_MODE_FREEZE, VFERRY_MODE_ACTIVE, "TR" },
		{ VFERRY_MODE_FREEZE, VFERRY_MODE_STOP, "T" },
		{ VFERRY_MODE_FREEZE, VFERRY_MODE_FREEZE, "" },
	};
	struct bench *bench = bench_ready(bench_opts());

	for (unsigned int i = 0; i < 9; i++) {
		bench->vfs[2].mode = rows[i].from;
		memset(played.calls, 0, sizeof(played.calls));
		assert_int_equal(set_mode(bench, 2, rows[i].to), 0);
		assert_int_equal(get_mode(bench, 2), rows[i].to);
		assert_string_equal(played.calls, rows[i].calls);
		assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	}
	bench_free(bench);
}

static void unknown_mode_is_invalid_field_and_keeps_the_mode(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply reply;

	for (unsigned int from = 0; from < 3; from++)
		for (unsigned int mode = 3; mode < 256; mode++) {
			uint8_t data[8] = { (uint8_t)mode };

			bench->vfs[1].mode = from;
			EXPECT(command(bench, &reply, VFERRY_CMD_DEV_MODE_SET, 1, data, 8, 8),
			       EINVAL, INVALID_FIELD);
			reply_drop(&reply);
			assert_int_equal(get_mode(bench, 1), from);
		}
	assert_string_equal(played.calls, "");
	bench_free(bench);
}

static void submit_mode(struct bench *bench, struct reply *reply, unsigned int queue, uint64_t vf,
			unsigned int mode)
{
	uint8_t data[8] = { (uint8_t)mode };
	struct message made = message(VFERRY_CMD_DEV_MODE_SET, vf, data, 8);

	bench_submit(bench, reply, queue, made.bytes, made.count, 8);
}

static void submit_get(struct bench *bench, struct reply *reply, unsigned int queue, uint64_t vf)
{
	struct message made = message(VFERRY_CMD_DEV_MODE_GET, vf, NULL, 0);

	bench_submit(bench, reply, queue, made.bytes, made.count, 16);
}

static void stop_completes_when_nothing_is_inside(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply stop, same, other, elsewhere;

	played.stop_later = true;
	submit_mode(bench, &stop, 0, 1, VFERRY_MODE_STOP);
	assert_int_equal(stop.calls, 0);
	assert_int_equal(bench->vfs[1].mode, VFERRY_MODE_ACTIVE);
	/* The member's own commands wait, another member's go on; answers leave a queue in order. */
	submit_get(bench, &same, 1, 1);
	submit_get(bench, &other, 0, 2);
	submit_get(bench, &elsewhere, 2, 2);
	assert_int_equal(same.calls, 0);
	assert_int_equal(other.calls, 0);
	assert_int_equal(elsewhere.calls, 1);
	played.done(played.done_arg);
	EXPECT(&stop, OK, OK);
	EXPECT(&same, OK, OK);
	assert_int_equal(same.data[0], VFERRY_MODE_STOP);
	EXPECT(&other, OK, OK);
	reply_drop(&stop);
	reply_drop(&same);
	reply_drop(&other);
	reply_drop(&elsewhere);
	bench_free(bench);
}

static void freeze_from_active_is_stop_then_freeze(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply reply;

	played.stop_later = true;
	submit_mode(bench, &reply, 0, 1, VFERRY_MODE_FREEZE);
	assert_int_equal(reply.calls, 0);
	assert_string_equal(played.calls, "S");
	played.done(played.done_arg);
	EXPECT(&reply, OK, OK);
	assert_string_equal(played.calls, "SF");
	assert_int_equal(bench->vfs[1].mode, VFERRY_MODE_FREEZE);
	reply_drop(&reply);
	bench_free(bench);
}

static void reset_of_the_pf_forgets_commands_in_service(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply stop, waiting;

	played.stop_later = true;
	submit_mode(bench, &stop, 0, 1, VFERRY_MODE_STOP);
	submit_get(bench, &waiting, 0, 1);
	admin_pf_reset(&bench->owner);
	reply_drop(&waiting);
	/* Their memory is gone: the end of the stop touches none of it. */
	assert_int_equal(stop.calls, 0);
	free(stop.in_bytes);
	free(stop.out.iov_base);
	played.done(played.done_arg);
	use_all(bench);
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_STOP);
	bench_free(bench);
}

static void reset_of_a_queue_leaves_the_others(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply stop, mine, kept;

	played.stop_later = true;
	submit_mode(bench, &stop, 1, 1, VFERRY_MODE_STOP);
	submit_get(bench, &mine, 0, 1);
	submit_get(bench, &kept, 2, 1);
	admin_queue_reset(&bench->owner, 0);
	played.done(played.done_arg);
	assert_int_equal(stop.calls, 1);
	assert_int_equal(mine.calls, 0);
	EXPECT(&kept, OK, OK);
	reply_drop(&stop);
	reply_drop(&mine);
	reply_drop(&kept);
	bench_free(bench);
}

static void vfs_that_vanish_answer_invalid_group(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply stop, waiting;

	played.stop_later = true;
	submit_mode(bench, &stop, 0, 1, VFERRY_MODE_STOP);
	submit_get(bench, &waiting, 0, 1);
	admin_vfs_enabled(&bench->owner, 0);
	EXPECT(&stop, EINVAL, INVALID_GROUP);
	EXPECT(&waiting, EINVAL, INVALID_GROUP);
	admin_vfs_enabled(&bench->owner, BENCH_VFS);
	/* The old stop's end concerns nobody now. */
	played.done(played.done_arg);
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_ACTIVE);
	reply_drop(&stop);
	reply_drop(&waiting);
	bench_free(bench);
}

static void a_stop_that_never_ends_leaks_nothing(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct reply stop, again, other;

	played.stop_later = true;
	submit_mode(bench, &stop, 0, 1, VFERRY_MODE_STOP);
	admin_vfs_enabled(&bench->owner, 0);
	admin_vfs_enabled(&bench->owner, BENCH_VFS);
	submit_mode(bench, &again, 0, 1, VFERRY_MODE_STOP);
	submit_mode(bench, &other, 0, 2, VFERRY_MODE_STOP);
	bench_free(bench);
	assert_int_equal(again.calls, 0);
	reply_drop(&stop);
	reply_drop(&again);
	reply_drop(&other);
}

static void reset_of_a_vf_keeps_the_mode_and_makes_a_full_image_due(void **state)
{
	struct bench *bench = bench_ready(bench_opts());

	for (unsigned int mode = 0; mode < 3; mode++) {
		struct image_bytes image;
		struct seen_image seen;

		assert_int_equal(set_mode(bench, 1, mode), 0);
		image = read_image(bench, 1, 4096);
		free(image.bytes);
		assert_int_equal(get_size(bench, 1, 0), 0);
		fn_reset(&bench->vfs[1]);
		assert_int_equal(get_mode(bench, 1), mode);
		image = read_image(bench, 1, 4096);
		seen = look(image, false);
		assert_false(seen.delta);
		assert_int_equal(image.bytes[find(&seen, VFERRY_CTX_DEVICE_STATUS, 0)->value], 0);
		free(image.bytes);
		bench_dress(&bench->vfs[1], 1);
	}
	bench_free(bench);
}

static void reset_of_a_vf_keeps_what_is_staged(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image;

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	image = read_image(bench, 1, ROOM);
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count / 2), ST(OK, OK));
	fn_reset(&bench->vfs[2]);
	assert_int_equal(
		write_bytes(bench, 2, image.bytes + image.count / 2, image.count - image.count / 2),
		ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_ACTIVE), 0);
	assert_int_equal(bench->vfs[2].device_status, 0xf);
	free(image.bytes);
	bench_free(bench);
}

static void reset_of_a_vf_lets_an_open_image_go_on(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image, next;
	uint8_t *begun;
	struct seen_image seen;

	begun = malloc(100);
	assert_int_equal(read_chunk(bench, 1, begun, 100), 100);
	fn_reset(&bench->vfs[1]);
	image = read_image(bench, 1, 4096);
	image.bytes = realloc(image.bytes, image.count + 100);
	memmove(image.bytes + 100, image.bytes, image.count);
	memcpy(image.bytes, begun, 100);
	image.count += 100;
	seen = look(image, false);
	assert_int_equal(seen.images, 1);
	next = read_image(bench, 1, 4096);
	seen = look(next, false);
	assert_int_equal(seen.images, 1);
	assert_false(seen.delta);
	free(begun);
	free(image.bytes);
	free(next.bytes);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_nine_pairs),
		cmocka_unit_test(unknown_mode_is_invalid_field_and_keeps_the_mode),
		cmocka_unit_test(stop_completes_when_nothing_is_inside),
		cmocka_unit_test(freeze_from_active_is_stop_then_freeze),
		cmocka_unit_test(reset_of_the_pf_forgets_commands_in_service),
		cmocka_unit_test(reset_of_a_queue_leaves_the_others),
		cmocka_unit_test(vfs_that_vanish_answer_invalid_group),
		cmocka_unit_test(a_stop_that_never_ends_leaks_nothing),
		cmocka_unit_test(reset_of_a_vf_keeps_the_mode_and_makes_a_full_image_due),
		cmocka_unit_test(reset_of_a_vf_keeps_what_is_staged),
		cmocka_unit_test(reset_of_a_vf_lets_an_open_image_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
