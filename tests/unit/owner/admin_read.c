// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules 1 to 7 of "Reading", SIZE_GET and DISCARD. */
#include "admin_bench.h"

static void frozen(struct bench *bench, uint64_t vf)
{
	assert_int_equal(set_mode(bench, vf, VFERRY_MODE_FREEZE), 0);
}

static void image_carries_every_key_in_order(void **state)
{
	static const struct {
		uint16_t type;
		uint32_t index;
		uint64_t length;
	} want[] = {
		{ VFERRY_CTX_DEV_FEATURES, 0, 8 },    { VFERRY_CTX_DRV_FEATURES, 0, 8 },
		{ VFERRY_CTX_PCI_COMMON_CFG, 0, 16 }, { VFERRY_CTX_DEVICE_STATUS, 0, 1 },
		{ VFERRY_CTX_VQ_CFG, 0, 32 },	      { VFERRY_CTX_VQ_CFG, 1, 32 },
		{ VFERRY_CTX_VQ_NOTIFY_CFG, 0, 8 },   { VFERRY_CTX_VQ_NOTIFY_CFG, 1, 8 },
		{ VFERRY_CTX_VQ_SPLIT_STATE, 0, 16 }, { VFERRY_CTX_VQ_SPLIT_STATE, 1, 16 },
		{ VFERRY_CTX_DEVICE_CFG, 0, 60 },     { VFERRY_CTX_BLOCK, 0, 65536 },
		{ VFERRY_CTX_BLOCK, 1, 65536 },	      { VFERRY_CTX_BLOCK, 2, 65536 },
	};
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image;
	struct seen_image seen;
	struct vferry_ctx_vq_split_state split;

	frozen(bench, 1);
	image = read_image(bench, 1, 10000);
	seen = look(image, false);
	assert_int_equal(seen.count, sizeof(want) / sizeof(*want));
	for (unsigned int i = 0; i < seen.count; i++) {
		assert_int_equal(seen.fields[i].type, want[i].type);
		assert_int_equal(seen.fields[i].index, want[i].index);
		assert_int_equal(seen.fields[i].length, want[i].length);
	}
	memcpy(&split, image.bytes + find(&seen, VFERRY_CTX_VQ_SPLIT_STATE, 1)->value,
	       sizeof(split));
	assert_int_equal(le16toh(split.next_avail), 42);
	assert_int_equal(le16toh(split.signalled), 41);
	assert_int_equal(le16toh(split.flags), VFERRY_CTX_VQ_OWED);
	free(image.bytes);
	bench_free(bench);
}

/* The same bytes whatever the room, and only 0 ends the stream. */
static void any_chunk_size_gives_the_same_bytes(void **state)
{
	static const size_t sizes[] = { 1, 3, 7, 8, 13, 64, 4093, 65536, 65537, 1 << 20 };
	struct owner_opts opts = bench_opts();
	struct bench *bench;
	struct image_bytes want;

	opts.context_bytes = 65536;
	bench = bench_ready(opts);
	frozen(bench, 1);
	want = read_image(bench, 1, 1 << 20);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct image_bytes image;

		discard_context(bench, 1);
		image = read_image(bench, 1, sizes[i]);
		assert_int_equal(image.count, want.count);
		assert_memory_equal(image.bytes, want.bytes, want.count);
		free(image.bytes);
	}
	free(want.bytes);
	bench_free(bench);
}

static void exact_room_then_zero_again_and_again(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	size_t size;
	uint8_t *bytes;

	frozen(bench, 1);
	size = get_size(bench, 1, 0);
	bytes = malloc(size);
	assert_int_equal(read_chunk(bench, 1, bytes, size), size);
	assert_int_equal(get_size(bench, 1, 0), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	free(bytes);
	bench_free(bench);
}

static void size_get_counts_down_to_zero(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	uint64_t whole, seen = 0;

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_STOP), 0);
	whole = get_size(bench, 1, 0);
	assert_int_equal(whole, get_size(bench, 1, 0));
	while (seen < whole) {
		seen += read_chunk(bench, 1, NULL, 12345);
		assert_int_equal(get_size(bench, 1, 0), whole - seen);
	}
	assert_int_equal(seen, whole);
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	assert_int_equal(get_size(bench, 1, 0), 0);
	admin_changed(&bench->vfs[1], VFERRY_CTX_DEVICE_STATUS, 0);
	assert_int_equal(get_size(bench, 1, 0), 24 + 24 + 16);
	bench_free(bench);
}

static void size_for_freeze_is_an_upper_estimate(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	uint64_t whole = get_size(bench, 1, 1);
	uint64_t estimate;
	struct image_bytes image;

	assert_int_equal(whole, get_size(bench, 1, 0));
	image = read_image(bench, 1, ROOM);
	free(image.bytes);
	for (uint32_t changed = 0; changed < 3; changed++) {
		estimate = get_size(bench, 1, 1);
		/* Small keys may all change yet, blocks count when they have. */
		assert_true(estimate < whole);
		assert_int_equal(whole - estimate, (3 - changed) * 65552);
		admin_changed(&bench->vfs[1], VFERRY_CTX_BLOCK, changed);
	}
	estimate = get_size(bench, 1, 1);
	frozen(bench, 1);
	assert_true(get_size(bench, 1, 1) <= estimate);
	assert_int_equal(get_size(bench, 1, 1), get_size(bench, 1, 0));
	bench_free(bench);
}

static void after_a_complete_image_comes_a_delta_of_what_changed(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = read_image(bench, 1, ROOM);
	struct seen_image seen = look(image, false);

	assert_false(seen.delta);
	free(image.bytes);
	bench->vfs[1].queues[1].used++;
	admin_changed(&bench->vfs[1], VFERRY_CTX_VQ_SPLIT_STATE, 1);
	admin_changed(&bench->vfs[1], VFERRY_CTX_BLOCK, 2);
	/* Keys that no VF of this owner has are nobody's. */
	admin_changed(&bench->vfs[1], VFERRY_CTX_BLOCK, 3);
	admin_changed(&bench->vfs[1], VFERRY_CTX_VQ_CFG, 2);
	admin_changed(&bench->vfs[1], 0x999, 0);
	image = read_image(bench, 1, ROOM);
	seen = look(image, true);
	assert_true(seen.delta);
	assert_int_equal(seen.count, 2);
	assert_non_null(find(&seen, VFERRY_CTX_VQ_SPLIT_STATE, 1));
	assert_non_null(find(&seen, VFERRY_CTX_BLOCK, 2));
	free(image.bytes);
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	bench_free(bench);
}

static void full_images_gives_full_ones_again(void **state)
{
	struct owner_opts opts = bench_opts();
	struct bench *bench;
	struct image_bytes image;
	struct seen_image seen;

	opts.full_images = true;
	bench = bench_ready(opts);
	image = read_image(bench, 1, ROOM);
	free(image.bytes);
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	admin_changed(&bench->vfs[1], VFERRY_CTX_DEVICE_STATUS, 0);
	image = read_image(bench, 1, ROOM);
	seen = look(image, false);
	assert_false(seen.delta);
	assert_int_equal(seen.count, 14);
	free(image.bytes);
	bench_free(bench);
}

/* Keys and lengths are fixed when an image opens; a value is what it is when it is copied. */
static void values_are_as_found_when_copied(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct function *fn = &bench->vfs[1];
	struct image_bytes image, next;
	struct seen_image seen;
	uint8_t first[24];

	assert_int_equal(read_chunk(bench, 1, first, 24), 24);
	fn->device_status = 0x4f;
	admin_changed(fn, VFERRY_CTX_DEVICE_STATUS, 0);
	next = read_image(bench, 1, ROOM);
	image = (struct image_bytes){ malloc(24 + next.count), 24 + next.count };
	memcpy(image.bytes, first, 24);
	memcpy(image.bytes + 24, next.bytes, next.count);
	seen = look(image, false);
	assert_int_equal(image.bytes[find(&seen, VFERRY_CTX_DEVICE_STATUS, 0)->value], 0x4f);
	free(image.bytes);
	free(next.bytes);
	/* What changed before it was copied is not told twice ... */
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	/* ... what changes after is in the next image. */
	discard_context(bench, 1);
	assert_int_equal(read_chunk(bench, 1, NULL, 2000), 2000);
	admin_changed(fn, VFERRY_CTX_DEVICE_STATUS, 0);
	next = read_image(bench, 1, ROOM);
	free(next.bytes);
	next = read_image(bench, 1, ROOM);
	seen = look(next, true);
	assert_int_equal(seen.count, 1);
	assert_true(seen.delta);
	free(next.bytes);
	bench_free(bench);
}

/* READs in flight behind the one that answers 0 open the next image when there is one. */
static void reads_behind_the_end_open_the_next_image(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	uint64_t size = get_size(bench, 1, 0);

	while (size)
		size -= read_chunk(bench, 1, NULL, ROOM);
	admin_changed(&bench->vfs[1], VFERRY_CTX_DRV_FEATURES, 0);
	assert_int_equal(read_chunk(bench, 1, NULL, ROOM), 0);
	assert_int_equal(read_chunk(bench, 1, NULL, ROOM), 24 + 24 + 16);
	assert_int_equal(read_chunk(bench, 1, NULL, ROOM), 0);
	bench_free(bench);
}

static void no_room_while_data_remains_is_einval_and_moves_nothing(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes want, image;
	struct reply reply;

	frozen(bench, 1);
	want = read_image(bench, 1, ROOM);
	discard_context(bench, 1);
	for (int twice = 0; twice < 2; twice++)
		for (size_t writable = 0; writable <= 8; writable++) {
			command(bench, &reply, VFERRY_CMD_DEV_CTX_READ, 1, NULL, 0, writable);
			assert_int_equal(reply.calls, 1);
			assert_int_equal(reply.used, writable);
			if (writable >= 4)
				EXPECT(&reply, EINVAL, INVALID_COMMAND);
			reply_drop(&reply);
		}
	image = read_image(bench, 1, ROOM);
	assert_int_equal(image.count, want.count);
	assert_memory_equal(image.bytes, want.bytes, want.count);
	/* Nothing remains: no room is needed to say so. */
	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_CTX_READ, 1, NULL, 0, 8), OK, OK);
	assert_int_equal(reply.output, 0);
	reply_drop(&reply);
	free(image.bytes);
	free(want.bytes);
	bench_free(bench);
}

static void read_is_legal_in_every_mode(void **state)
{
	struct bench *bench = bench_ready(bench_opts());

	for (unsigned int mode = 0; mode < 3; mode++) {
		struct image_bytes image;

		assert_int_equal(set_mode(bench, 1, mode), 0);
		discard_context(bench, 1);
		image = read_image(bench, 1, ROOM);
		assert_false(look(image, false).delta);
		free(image.bytes);
	}
	bench_free(bench);
}

static void discard_gives_identical_bytes_from_the_start_in_freeze(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes want, image;

	frozen(bench, 1);
	want = read_image(bench, 1, ROOM);
	for (int again = 0; again < 3; again++) {
		discard_context(bench, 1);
		assert_int_equal(read_chunk(bench, 1, NULL, 1000 * again + 8), 1000 * again + 8);
		discard_context(bench, 1);
		image = read_image(bench, 1, ROOM);
		assert_int_equal(image.count, want.count);
		assert_memory_equal(image.bytes, want.bytes, want.count);
		free(image.bytes);
	}
	assert_int_equal(get_mode(bench, 1), VFERRY_MODE_FREEZE);
	free(want.bytes);
	bench_free(bench);
}

static void mode_change_closes_the_open_image_and_keeps_the_change_map(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image;
	struct seen_image seen;

	/* A full one that was not read to its end is due again as a full one. */
	read_chunk(bench, 1, NULL, 500);
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_STOP), 0);
	image = read_image(bench, 1, ROOM);
	seen = look(image, false);
	assert_false(seen.delta);
	free(image.bytes);
	/* A delta that was not, with all of its keys. */
	admin_changed(&bench->vfs[1], VFERRY_CTX_DRV_FEATURES, 0);
	admin_changed(&bench->vfs[1], VFERRY_CTX_BLOCK, 1);
	read_chunk(bench, 1, NULL, 200);
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_FREEZE), 0);
	image = read_image(bench, 1, ROOM);
	seen = look(image, true);
	assert_true(seen.delta);
	assert_int_equal(seen.count, 2);
	free(image.bytes);
	/* A complete one is not told again. */
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_ACTIVE), 0);
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	bench_free(bench);
}

static void reset_of_the_pf_closes_cursors(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes want, image;

	frozen(bench, 1);
	want = read_image(bench, 1, ROOM);
	discard_context(bench, 1);
	read_chunk(bench, 1, NULL, 777);
	admin_pf_reset(&bench->owner);
	use_all(bench);
	image = read_image(bench, 1, ROOM);
	assert_int_equal(image.count, want.count);
	assert_memory_equal(image.bytes, want.bytes, want.count);
	free(image.bytes);
	free(want.bytes);
	bench_free(bench);
}

static void resuming_with_nothing_staged_keeps_the_state_also_after_a_full_read(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image;

	frozen(bench, 1);
	image = read_image(bench, 1, ROOM);
	free(image.bytes);
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_ACTIVE), 0);
	assert_int_equal(bench->vfs[1].device_status, 0xf);
	assert_int_equal(bench->vfs[1].queues[0].used, 41);
	assert_null(strchr(played.calls, 'L'));
	assert_null(strchr(played.calls, '0'));
	bench_free(bench);
}

static void blocks_change_only_while_active_and_count_as_changed(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes one = read_image(bench, 1, ROOM), other = read_image(bench, 2, ROOM);
	struct seen_image seen = look(one, false);
	size_t value = find(&seen, VFERRY_CTX_BLOCK, 0)->value;

	/* Content follows from seed, VF, block: none like another. */
	assert_memory_not_equal(one.bytes + value, other.bytes + value, 64);
	assert_memory_not_equal(one.bytes + value, one.bytes + value + 65552, 64);
	free(one.bytes);
	free(other.bytes);
	blocks_change(&bench->vfs[1], 65535);
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	blocks_change(&bench->vfs[1], 1);
	one = read_image(bench, 1, ROOM);
	seen = look(one, true);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.fields[0].type, VFERRY_CTX_BLOCK);
	free(one.bytes);
	bench_free(bench);
}

/* --- a device whose READ clears --------------------------------------------------------------------------- */

static struct bench *clearing(void)
{
	struct owner_opts opts = bench_opts();

	opts.read_clears = true;
	return bench_ready(opts);
}

static void read_clears_discard_gives_nothing_again(void **state)
{
	struct bench *bench = clearing();
	struct image_bytes image = read_image(bench, 1, ROOM);

	assert_false(look(image, false).delta);
	free(image.bytes);
	discard_context(bench, 1);
	assert_int_equal(get_size(bench, 1, 0), 0);
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	/* The running device has lost nothing. */
	assert_int_equal(bench->vfs[1].device_status, 0xf);
	admin_changed(&bench->vfs[1], VFERRY_CTX_DEVICE_STATUS, 0);
	image = read_image(bench, 1, ROOM);
	assert_true(look(image, true).delta);
	free(image.bytes);
	bench_free(bench);
}

static void read_clears_discard_in_the_middle_leaves_what_was_not_given(void **state)
{
	struct bench *bench = clearing();
	struct image_bytes image;
	struct seen_image seen;

	frozen(bench, 1);
	/* START, device features, driver features, and a part of the next. */
	read_chunk(bench, 1, NULL, 24 + 24 + 24 + 20);
	discard_context(bench, 1);
	image = read_image(bench, 1, ROOM);
	seen = look(image, true);
	assert_int_equal(seen.count, 12);
	assert_null(find(&seen, VFERRY_CTX_DRV_FEATURES, 0));
	assert_non_null(find(&seen, VFERRY_CTX_PCI_COMMON_CFG, 0));
	free(image.bytes);
	bench_free(bench);
}

static void read_clears_the_state_after_a_full_read_in_freeze(void **state)
{
	struct bench *bench = clearing();
	struct image_bytes first = read_image(bench, 1, ROOM), last;

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_STOP), 0);
	bench->vfs[1].queues[0].kicked = false;
	admin_changed(&bench->vfs[1], VFERRY_CTX_VQ_SPLIT_STATE, 0);
	frozen(bench, 1);
	last = read_image(bench, 1, ROOM);
	assert_int_equal(bench->vfs[1].device_status, 0);
	assert_int_equal(read_chunk(bench, 1, NULL, 64), 0);
	/* Taking back: DISCARD, WRITE what was kept, MODE_SET Active. */
	discard_context(bench, 1);
	assert_int_equal(write_bytes(bench, 1, first.bytes, first.count), ST(OK, OK));
	assert_int_equal(write_bytes(bench, 1, last.bytes, last.count), ST(OK, OK));
	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_ACTIVE), 0);
	assert_int_equal(bench->vfs[1].device_status, 0xf);
	assert_false(bench->vfs[1].queues[0].kicked);
	assert_true(bench->vfs[1].queues[1].owed);
	free(last.bytes);
	/* What was written has never been read. */
	last = read_image(bench, 1, ROOM);
	assert_false(look(last, false).delta);
	assert_int_equal(last.count, first.count);
	assert_memory_equal(last.bytes + first.count - 65552, first.bytes + first.count - 65552,
			    65552);
	free(first.bytes);
	free(last.bytes);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_carries_every_key_in_order),
		cmocka_unit_test(any_chunk_size_gives_the_same_bytes),
		cmocka_unit_test(exact_room_then_zero_again_and_again),
		cmocka_unit_test(size_get_counts_down_to_zero),
		cmocka_unit_test(size_for_freeze_is_an_upper_estimate),
		cmocka_unit_test(after_a_complete_image_comes_a_delta_of_what_changed),
		cmocka_unit_test(full_images_gives_full_ones_again),
		cmocka_unit_test(values_are_as_found_when_copied),
		cmocka_unit_test(reads_behind_the_end_open_the_next_image),
		cmocka_unit_test(no_room_while_data_remains_is_einval_and_moves_nothing),
		cmocka_unit_test(read_is_legal_in_every_mode),
		cmocka_unit_test(discard_gives_identical_bytes_from_the_start_in_freeze),
		cmocka_unit_test(mode_change_closes_the_open_image_and_keeps_the_change_map),
		cmocka_unit_test(reset_of_the_pf_closes_cursors),
		cmocka_unit_test(
			resuming_with_nothing_staged_keeps_the_state_also_after_a_full_read),
		cmocka_unit_test(blocks_change_only_while_active_and_count_as_changed),
		cmocka_unit_test(read_clears_discard_gives_nothing_again),
		cmocka_unit_test(read_clears_discard_in_the_middle_leaves_what_was_not_given),
		cmocka_unit_test(read_clears_the_state_after_a_full_read_in_freeze),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
