// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* WRITE, the container's refusals, and the commit: all of it or nothing. */
#include "admin_bench.h"

#define REFUSED ST(EINVAL, INVALID_FIELD)

static struct image_bytes frozen_image(struct bench *bench, uint64_t vf)
{
	assert_int_equal(set_mode(bench, vf, VFERRY_MODE_FREEZE), 0);
	return read_image(bench, vf, ROOM);
}

static struct image_bytes copy_of(struct image_bytes image)
{
	struct image_bytes copy = { malloc(image.count), image.count };

	assert_non_null(copy.bytes);
	memcpy(copy.bytes, image.bytes, image.count);
	return copy;
}

/* VF 2's own state as one image, to see that nothing has changed. */
static struct image_bytes state_of(struct bench *bench, uint64_t vf)
{
	struct function *fn = &bench->vfs[vf];
	struct image_bytes image;

	image_forget(fn);
	image = read_image(bench, vf, ROOM);
	return image;
}

static void assert_same(struct image_bytes a, struct image_bytes b)
{
	assert_int_equal(a.count, b.count);
	assert_memory_equal(a.bytes, b.bytes, a.count);
}

static void write_outside_freeze_fails_and_stages_nothing(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1);

	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count),
			 ST(EINVAL, INVALID_COMMAND));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count),
			 ST(EINVAL, INVALID_COMMAND));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_ACTIVE), 0);
	assert_null(strchr(played.calls, 'L'));
	free(image.bytes);
	bench_free(bench);
}

static void round_trip(unsigned int to_mode)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1), after;

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(OK, OK));
	/* Not before the mode changes. */
	assert_int_equal(bench->vfs[2].queues[0].used, 42);
	memset(played.calls, 0, sizeof(played.calls));
	assert_int_equal(set_mode(bench, 2, to_mode), 0);
	assert_string_equal(played.calls, to_mode == VFERRY_MODE_ACTIVE ? "LTR" : "LT");
	assert_int_equal(bench->vfs[2].queues[0].used, 41);
	assert_true(bench->vfs[2].queues[0].kicked);
	assert_true(bench->vfs[2].queues[1].owed);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	after = read_image(bench, 2, 4096);
	assert_same(image, after);
	free(image.bytes);
	free(after.bytes);
	bench_free(bench);
}

static void commit_on_leaving_freeze_for_active(void **state)
{
	round_trip(VFERRY_MODE_ACTIVE);
}

static void commit_on_leaving_freeze_for_stop(void **state)
{
	round_trip(VFERRY_MODE_STOP);
}

static void cuts_may_be_anywhere(void **state)
{
	struct owner_opts opts = bench_opts();
	struct bench *bench;
	struct image_bytes image, after;
	struct vferry_ctx_field *end;

	opts.context_bytes = 0;
	bench = bench_ready(opts);
	image = frozen_image(bench, 1);
	end = (struct vferry_ctx_field *)(image.bytes + image.count - 16);
	assert_int_equal(le16toh(end->type), VFERRY_CTX_END);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (size_t cut = 1; cut < image.count; cut++) {
		assert_int_equal(write_bytes(bench, 2, image.bytes, cut), ST(OK, OK));
		/* A refused WRITE in between leaves no trace. */
		assert_int_not_equal(write_bytes(bench, 2,
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff"
						 "\xff\xff\xff\xff\xff\xff\xff\xff",
						 80),
				     ST(OK, OK));
		assert_int_equal(write_bytes(bench, 2, image.bytes + cut, image.count - cut),
				 ST(OK, OK));
		assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
		assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
		after = state_of(bench, 2);
		assert_same(image, after);
		free(after.bytes);
		bench_dress(&bench->vfs[2], 2);
	}
	free(image.bytes);
	bench_free(bench);
}

static void byte_by_byte_and_images_after_images(void **state)
{
	struct owner_opts opts = bench_opts();
	struct bench *bench;
	struct image_bytes image, after;

	opts.context_bytes = 0;
	bench = bench_ready(opts);
	image = frozen_image(bench, 1);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (int twice = 0; twice < 2; twice++)
		for (size_t at = 0; at < image.count; at++)
			assert_int_equal(write_bytes(bench, 2, image.bytes + at, 1), ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	after = state_of(bench, 2);
	assert_same(image, after);
	free(image.bytes);
	free(after.bytes);
	bench_free(bench);
}

static void last_writer_wins_by_key(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes full = frozen_image(bench, 1), delta, want, after;

	assert_int_equal(set_mode(bench, 1, VFERRY_MODE_ACTIVE), 0);
	bench->vfs[1].device_status = 0x4f;
	admin_changed(&bench->vfs[1], VFERRY_CTX_DEVICE_STATUS, 0);
	blocks_change(&bench->vfs[1], 2 * 65536);
	delta = frozen_image(bench, 1);
	want = state_of(bench, 1);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 2, full.bytes, full.count), ST(OK, OK));
	assert_int_equal(write_bytes(bench, 2, delta.bytes, delta.count), ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	after = state_of(bench, 2);
	assert_same(want, after);
	/* Two full ones in one WRITE. */
	full.bytes = realloc(full.bytes, full.count + want.count);
	memcpy(full.bytes + full.count, want.bytes, want.count);
	assert_int_equal(set_mode(bench, 3, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 3, full.bytes, full.count + want.count), ST(OK, OK));
	assert_int_equal(set_mode(bench, 3, VFERRY_MODE_STOP), 0);
	free(after.bytes);
	after = state_of(bench, 3);
	assert_same(want, after);
	free(full.bytes);
	free(delta.bytes);
	free(want.bytes);
	free(after.bytes);
	bench_free(bench);
}

/* Refused at the WRITE: EINVAL, INVALID_FIELD; what was staged before is as it was. */
static void expect_refused(struct bench *bench, const void *bytes, size_t count)
{
	assert_int_equal(write_bytes(bench, 2, bytes, count), REFUSED);
}

/* Refused at the commit: mode still Freeze, state as before, nothing staged any more. */
static void expect_no_commit(struct bench *bench)
{
	struct image_bytes before = state_of(bench, 2), after;
	struct reply reply;
	uint8_t active[8] = { VFERRY_MODE_ACTIVE };

	memset(played.calls, 0, sizeof(played.calls));
	EXPECT(command(bench, &reply, VFERRY_CMD_DEV_MODE_SET, 2, active, 8, 8), EINVAL,
	       INVALID_COMMAND);
	reply_drop(&reply);
	assert_string_equal(played.calls, "");
	assert_int_equal(get_mode(bench, 2), VFERRY_MODE_FREEZE);
	after = state_of(bench, 2);
	assert_same(before, after);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	assert_string_equal(played.calls, "T");
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	free(before.bytes);
	free(after.bytes);
}

static void incomplete_context_is_refused_at_the_commit(void **state)
{
	struct owner_opts opts = bench_opts();
	struct bench *bench;
	struct image_bytes image;

	opts.context_bytes = 0;
	bench = bench_ready(opts);
	image = frozen_image(bench, 1);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (size_t count = 1; count < image.count; count++) {
		assert_int_equal(write_bytes(bench, 2, image.bytes, count), ST(OK, OK));
		expect_no_commit(bench);
	}
	/* A complete one with a beginning behind it is no better. */
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(OK, OK));
	assert_int_equal(write_bytes(bench, 2, image.bytes, 7), ST(OK, OK));
	expect_no_commit(bench);
	free(image.bytes);
	bench_free(bench);
}

static void delta_without_its_full_image_is_refused(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1);

	image.bytes[16] = VFERRY_CTX_START_F_DELTA;
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	expect_refused(bench, image.bytes, image.count);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_ACTIVE), 0);
	assert_null(strchr(played.calls, 'L'));
	free(image.bytes);
	bench_free(bench);
}

static void put_field(uint8_t *to, uint16_t type, uint8_t flags, uint32_t index, uint64_t length)
{
	struct vferry_ctx_field field = { .type = htole16(type),
					  .flags = flags,
					  .index = htole32(index),
					  .length = htole64(length) };

	memcpy(to, &field, sizeof(field));
}

/* @image with a field put in before END. */
static struct image_bytes with_field(struct image_bytes image, uint16_t type, uint8_t flags,
				     uint32_t index, uint64_t length, size_t room)
{
	struct image_bytes made = { calloc(1, image.count + 16 + room), image.count + 16 + room };

	assert_non_null(made.bytes);
	memcpy(made.bytes, image.bytes, image.count - 16);
	put_field(made.bytes + image.count - 16, type, flags, index, length);
	memcpy(made.bytes + made.count - 16, image.bytes + image.count - 16, 16);
	return made;
}

static void malformed_fields_are_refused_at_once(void **state)
{
	static const struct {
		uint16_t type;
		uint8_t flags;
		uint32_t index;
		uint64_t length;
	} rows[] = {
		{ 0x999, 0, 0, 8 },			    /* unknown, not optional */
		{ 0x999, 2, 0, 8 },			    /* reserved flag */
		{ VFERRY_CTX_DEVICE_STATUS, 0, 0, 1 },	    /* a second time */
		{ VFERRY_CTX_BLOCK, 0, 0, 65536 },	    /* a second time */
		{ VFERRY_CTX_BLOCK, 0, 3, 65536 },	    /* index out of range */
		{ VFERRY_CTX_BLOCK, 1, UINT32_MAX, 65536 }, /* optional helps no known type */
		{ VFERRY_CTX_VQ_CFG, 0, 2, 32 },	    /* index out of range */
		{ VFERRY_CTX_DRV_FEATURES, 0, 1, 8 },	    /* index out of range */
		{ 0x999, 1, 0, UINT64_MAX },		    /* length beyond everything */
		{ 0x999, 1, 0, 1ULL << 40 },		    /* beyond the bound */
		{ VFERRY_CTX_START, 0, 0, 8 },		    /* a marker inside */
		{ VFERRY_CTX_END, 0, 0, 8 },		    /* END with a value */
		{ VFERRY_CTX_END, 0, 1, 0 },		    /* END with an index */
	};
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1), after;

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct image_bytes bad = with_field(image, rows[i].type, rows[i].flags,
						    rows[i].index, rows[i].length, 65536);

		expect_refused(bench, bad.bytes, bad.count);
		free(bad.bytes);
	}
	/* None of it has left a trace. */
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	after = state_of(bench, 2);
	assert_same(image, after);
	free(image.bytes);
	free(after.bytes);
	bench_free(bench);
}

static void wrong_lengths_of_known_fields_are_refused(void **state)
{
	static const struct {
		uint16_t type;
		uint64_t length;
	} rows[] = {
		{ VFERRY_CTX_DEV_FEATURES, 16 },   { VFERRY_CTX_DRV_FEATURES, 0 },
		{ VFERRY_CTX_PCI_COMMON_CFG, 15 }, { VFERRY_CTX_DEVICE_STATUS, 2 },
		{ VFERRY_CTX_VQ_CFG, 31 },	   { VFERRY_CTX_VQ_NOTIFY_CFG, 9 },
		{ VFERRY_CTX_VQ_SPLIT_STATE, 17 }, { VFERRY_CTX_DEVICE_CFG, 64 },
		{ VFERRY_CTX_BLOCK, 65535 },	   { VFERRY_CTX_BLOCK, 65537 },
		{ VFERRY_CTX_BLOCK, 0 },
	};
	struct bench *bench = bench_ready(bench_opts());

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t bytes[40] = { [8] = 8 };

		put_field(bytes + 24, rows[i].type, 0, 0, rows[i].length);
		expect_refused(bench, bytes, sizeof(bytes));
	}
	bench_free(bench);
}

static void unknown_optional_fields_are_skipped(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1), rich, after;

	rich = with_field(image, 0x999, VFERRY_CTX_F_OPTIONAL, 5, 65530, 65536);
	memset(rich.bytes + image.count, 0xaa, 65530);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 2, rich.bytes, rich.count), ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	after = state_of(bench, 2);
	assert_same(image, after);
	/* Padding that is not zero is still refused. */
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	rich.bytes[image.count + 65535] = 1;
	expect_refused(bench, rich.bytes, rich.count);
	free(image.bytes);
	free(rich.bytes);
	free(after.bytes);
	bench_free(bench);
}

/* @image without the @n-th field. */
static struct image_bytes without(struct image_bytes image, const struct seen_image *seen,
				  unsigned int n)
{
	struct image_bytes made = copy_of(image);
	size_t from = seen->fields[n].value - 16;
	size_t count = vferry_ctx_field_bytes(seen->fields[n].length);

	memmove(made.bytes + from, made.bytes + from + count, made.count - from - count);
	made.count -= count;
	return made;
}

static void missing_fields_are_refused_at_the_commit(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1);
	struct seen_image seen = look(image, false);

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (unsigned int i = 0; i < seen.count; i++) {
		struct image_bytes poor = without(image, &seen, i);

		assert_int_equal(write_bytes(bench, 2, poor.bytes, poor.count), ST(OK, OK));
		expect_no_commit(bench);
		free(poor.bytes);
	}
	free(image.bytes);
	bench_free(bench);
}

static void values_that_cannot_be_are_refused_at_the_commit(void **state)
{
	static const struct {
		uint16_t type;
		uint32_t index;
		unsigned int at;
		uint8_t flip;
	} rows[] = {
		{ VFERRY_CTX_DEV_FEATURES, 0, 0, 1 },	  /* compared, never set */
		{ VFERRY_CTX_DRV_FEATURES, 0, 0, 1 },	  /* never offered */
		{ VFERRY_CTX_PCI_COMMON_CFG, 0, 12, 1 },  /* num_queues */
		{ VFERRY_CTX_PCI_COMMON_CFG, 0, 15, 1 },  /* reserved */
		{ VFERRY_CTX_DEVICE_STATUS, 0, 0, 0x20 }, /* unknown bit */
		{ VFERRY_CTX_VQ_CFG, 1, 0, 1 },		  /* size 129 */
		{ VFERRY_CTX_VQ_CFG, 1, 1, 2 },		  /* size 640 */
		{ VFERRY_CTX_VQ_CFG, 1, 4, 2 },		  /* enabled 3 */
		{ VFERRY_CTX_VQ_CFG, 1, 0, 128 },	  /* enabled without a size */
		{ VFERRY_CTX_VQ_CFG, 1, 7, 1 },		  /* reserved */
		{ VFERRY_CTX_VQ_NOTIFY_CFG, 1, 0, 2 },	  /* doorbell elsewhere */
		{ VFERRY_CTX_VQ_SPLIT_STATE, 1, 1, 1 },	  /* more inside than entries */
		{ VFERRY_CTX_VQ_SPLIT_STATE, 1, 6, 4 },	  /* unknown flag */
		{ VFERRY_CTX_VQ_SPLIT_STATE, 1, 8, 1 },	  /* config_owed, but of queue 1 */
		{ VFERRY_CTX_VQ_SPLIT_STATE, 0, 15, 1 },  /* reserved */
		{ VFERRY_CTX_DEVICE_CFG, 0, 0, 1 },	  /* capacity */
	};
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1);
	struct seen_image seen = look(image, false);

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct image_bytes bad = copy_of(image);

		bad.bytes[find(&seen, rows[i].type, rows[i].index)->value + rows[i].at] ^=
			rows[i].flip;
		assert_int_equal(write_bytes(bench, 2, bad.bytes, bad.count), ST(OK, OK));
		expect_no_commit(bench);
		free(bad.bytes);
	}
	free(image.bytes);
	bench_free(bench);
}

static void what_a_driver_can_set_is_committed(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1), after;
	struct seen_image seen = look(image, false);

	image.bytes[find(&seen, VFERRY_CTX_DEVICE_CFG, 0)->value +
		    offsetof(struct virtio_blk_config, wce)] = 1;
	image.bytes[find(&seen, VFERRY_CTX_VQ_SPLIT_STATE, 0)->value + 8] = 1;
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	assert_true(bench->vfs[2].config_owed);
	after = state_of(bench, 2);
	assert_same(image, after);
	free(image.bytes);
	free(after.bytes);
	bench_free(bench);
}

static void discard_in_the_middle_then_a_full_write(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1), after;

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	for (size_t count = 3; count < image.count; count = count * 5 + 1) {
		assert_int_equal(write_bytes(bench, 2, image.bytes, count), ST(OK, OK));
		discard_context(bench, 2);
	}
	assert_int_equal(get_mode(bench, 2), VFERRY_MODE_FREEZE);
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_ACTIVE), 0);
	/* DISCARD undoes no commit. */
	discard_context(bench, 2);
	after = state_of(bench, 2);
	assert_same(image, after);
	free(image.bytes);
	free(after.bytes);
	bench_free(bench);
}

static void staging_is_bounded(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1), after;
	uint64_t limit = bench->owner.admin->stage_limit;

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	bench->owner.admin->stage_limit = 2 * 65536;
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(ENOMEM, NORESOURCE));
	/* No side effects: the same WRITE again, once there is memory. */
	bench->owner.admin->stage_limit = limit;
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(OK, OK));
	assert_int_equal(bench->owner.admin->stage_bytes, 3 * 65536);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_STOP), 0);
	assert_int_equal(bench->owner.admin->stage_bytes, 0);
	after = state_of(bench, 2);
	assert_same(image, after);
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count - 1), ST(OK, OK));
	discard_context(bench, 2);
	assert_int_equal(bench->owner.admin->stage_bytes, 0);
	free(image.bytes);
	free(after.bytes);
	bench_free(bench);
}

static void a_write_of_nothing_stages_nothing(void **state)
{
	struct bench *bench = bench_ready(bench_opts());

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 2, "", 0), ST(OK, OK));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_ACTIVE), 0);
	bench_free(bench);
}

static void zero_padding_between_images_is_refused(void **state)
{
	struct bench *bench = bench_ready(bench_opts());
	struct image_bytes image = frozen_image(bench, 1);
	uint8_t zeros[16] = { 0 };

	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_FREEZE), 0);
	assert_int_equal(write_bytes(bench, 2, image.bytes, image.count), ST(OK, OK));
	expect_refused(bench, zeros, sizeof(zeros));
	assert_int_equal(set_mode(bench, 2, VFERRY_MODE_ACTIVE), 0);
	assert_non_null(strchr(played.calls, 'L'));
	free(image.bytes);
	bench_free(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_outside_freeze_fails_and_stages_nothing),
		cmocka_unit_test(commit_on_leaving_freeze_for_active),
		cmocka_unit_test(commit_on_leaving_freeze_for_stop),
		cmocka_unit_test(cuts_may_be_anywhere),
		cmocka_unit_test(byte_by_byte_and_images_after_images),
		cmocka_unit_test(last_writer_wins_by_key),
		cmocka_unit_test(incomplete_context_is_refused_at_the_commit),
		cmocka_unit_test(delta_without_its_full_image_is_refused),
		cmocka_unit_test(malformed_fields_are_refused_at_once),
		cmocka_unit_test(wrong_lengths_of_known_fields_are_refused),
		cmocka_unit_test(unknown_optional_fields_are_skipped),
		cmocka_unit_test(missing_fields_are_refused_at_the_commit),
		cmocka_unit_test(values_that_cannot_be_are_refused_at_the_commit),
		cmocka_unit_test(what_a_driver_can_set_is_committed),
		cmocka_unit_test(discard_in_the_middle_then_a_full_write),
		cmocka_unit_test(staging_is_bounded),
		cmocka_unit_test(a_write_of_nothing_stages_nothing),
		cmocka_unit_test(zero_padding_between_images_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
