// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include "context_build.h"

/* What a walk has told, with the runs of a value joined: the same for every way to cut the bytes. */
struct story {
	char text[1 << 16];
	size_t count;
	const uint8_t *from, *to; /* value runs lie inside */
	uint64_t value_at;
	int fail_at; /* the n-th event is answered with -ECANCELED */
	int events;
};

static int listen(void *arg, const struct vferry_ctx_event *event)
{
	struct story *story = arg;
	char *at = story->text + story->count;
	size_t room = sizeof(story->text) - story->count;

	if (story->fail_at && ++story->events == story->fail_at)
		return -ECANCELED;
	if (event->kind == VFERRY_CTX_VALUE) {
		assert_true(event->bytes >= story->from &&
			    event->bytes + event->count <= story->to);
		assert_true(event->count > 0);
		assert_int_equal(event->offset, story->value_at);
		story->value_at += event->count;
		for (uint64_t i = 0; i < event->count; i++)
			story->count += (size_t)sprintf(story->text + story->count, "%02x",
							event->bytes[i]);
		assert_true(story->count < sizeof(story->text) - 256);
		return 0;
	}
	if (event->kind == VFERRY_CTX_FIELD_BEGIN)
		story->value_at = 0;
	if (event->kind == VFERRY_CTX_FIELD_END)
		assert_int_equal(story->value_at, event->length);
	story->count += (size_t)snprintf(at, room, "[%d %u %d %x.%u/%x %llu @%llu]", event->kind,
					 event->image, event->delta, event->type, event->index,
					 event->flags, (unsigned long long)event->length,
					 (unsigned long long)event->offset);
	return 0;
}

static bool only_ratified(void *arg, uint16_t type)
{
	return type < 0x180;
}

static const struct vferry_ctx_walk_opts limits = { .image_bound = 4096, .fields_max = 8 };

static int walk(const struct vferry_ctx_walk_opts *opts, const struct build *b, struct story *story,
		struct vferry_error *err)
{
	struct vferry_ctx_walk_opts with = *opts;
	struct vferry_ctx_walker *walker;
	int ret;

	with.event = story ? listen : NULL;
	with.arg = story;
	if (story) {
		story->from = b->bytes;
		story->to = b->bytes + b->count;
	}
	walker = vferry_ctx_walker_new(&with);
	assert_non_null(walker);
	ret = vferry_ctx_walk(walker, b->bytes, b->count, err);
	if (!ret)
		assert_int_equal(vferry_ctx_walk_offset(walker), b->count);
	vferry_ctx_walker_free(walker);
	return ret;
}

static void refused(const struct vferry_ctx_walk_opts *opts, const struct build *b,
		    const char *words)
{
	struct vferry_error err = { 0 };

	assert_int_equal(walk(opts, b, NULL, &err), -EBADMSG);
	assert_int_equal(err.code, -EBADMSG);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, err.text);
}

static void sample(struct build *b)
{
	const uint8_t value[] = "0123456789abcdefghijklmnopqrstuvwxyz";

	b->count = 0;
	put_start(b, 0);
	put_field(b, VFERRY_CTX_DEVICE_STATUS, 0, 0, value, 1);
	put_field(b, VFERRY_CTX_VQ_CFG, 0, 0, value, 32);
	put_field(b, VFERRY_CTX_VQ_CFG, 0, 1, value + 1, 32);
	put_field(b, 0x7777, VFERRY_CTX_F_OPTIONAL, 9, value, 13);
	put_field(b, VFERRY_CTX_DEVICE_CFG, 0, 0, value, 0);
	put_end(b);
	put_start(b, VFERRY_CTX_START_F_DELTA);
	put_field(b, VFERRY_CTX_DEVICE_STATUS, 0, 0, value + 2, 1);
	put_end(b);
	put_start(b, 0);
	put_end(b);
}

static void a_sample_is_told_in_order(void **state)
{
	static struct build b;
	static struct story story;

	memset(&story, 0, sizeof(story));
	sample(&b);
	assert_int_equal(walk(&limits, &b, &story, NULL), 0);
	assert_string_equal(
		story.text,
		"[0 0 0 0.0/0 8 @0]"
		"[1 0 0 103.0/0 1 @24]30[3 0 0 103.0/0 1 @24]"
		"[1 0 0 104.0/0 32 @48]"
		"303132333435363738396162636465666768696a6b6c6d6e6f70717273747576"
		"[3 0 0 104.0/0 32 @48]"
		"[1 0 0 104.1/0 32 @96]"
		"3132333435363738396162636465666768696a6b6c6d6e6f7071727374757677"
		"[3 0 0 104.1/0 32 @96]"
		"[1 0 0 7777.9/1 13 @144]30313233343536373839616263[3 0 0 7777.9/1 13 @144]"
		"[1 0 0 181.0/0 0 @176][3 0 0 181.0/0 0 @176]"
		"[4 0 0 1.0/0 0 @192]"
		"[0 1 1 0.0/0 8 @208]"
		"[1 1 1 103.0/0 1 @232]32[3 1 1 103.0/0 1 @232]"
		"[4 1 1 1.0/0 0 @256]"
		"[0 2 0 0.0/0 8 @272][4 2 0 1.0/0 0 @296]");
}

static void any_cut_tells_the_same(void **state)
{
	static struct build b;
	static struct story whole, parts;

	memset(&whole, 0, sizeof(whole));
	sample(&b);
	assert_int_equal(walk(&limits, &b, &whole, NULL), 0);
	for (uint64_t cut = 0; cut <= b.count; cut++) {
		struct vferry_ctx_walk_opts opts = limits;
		struct vferry_ctx_walker *walker;

		memset(&parts, 0, sizeof(parts));
		parts.from = b.bytes;
		parts.to = b.bytes + b.count;
		opts.event = listen;
		opts.arg = &parts;
		walker = vferry_ctx_walker_new(&opts);
		assert_int_equal(vferry_ctx_walk(walker, b.bytes, cut, NULL), 0);
		assert_int_equal(vferry_ctx_walk_offset(walker), cut);
		assert_int_equal(vferry_ctx_walk_open(walker),
				 cut != 0 && cut != 208 && cut != 272 && cut != b.count);
		assert_int_equal(vferry_ctx_walk_images(walker),
				 (cut >= 208) + (cut >= 272) + (cut >= b.count));
		assert_int_equal(vferry_ctx_walk(walker, b.bytes + cut, b.count - cut, NULL), 0);
		assert_string_equal(parts.text, whole.text);
		vferry_ctx_walker_free(walker);
	}
	/* one byte at a time, twice with the same walker */
	{
		struct vferry_ctx_walk_opts opts = limits;
		struct vferry_ctx_walker *walker;

		opts.event = listen;
		opts.arg = &parts;
		walker = vferry_ctx_walker_new(&opts);
		for (int round = 0; round < 2; round++) {
			memset(&parts, 0, sizeof(parts));
			parts.from = b.bytes;
			parts.to = b.bytes + b.count;
			for (uint64_t i = 0; i < b.count; i++)
				assert_int_equal(vferry_ctx_walk(walker, b.bytes + i, 1, NULL), 0);
			assert_string_equal(parts.text, whole.text);
			vferry_ctx_walk_reset(walker);
			assert_int_equal(vferry_ctx_walk_offset(walker), 0);
			assert_int_equal(vferry_ctx_walk_images(walker), 0);
		}
		vferry_ctx_walker_free(walker);
	}
}

static void reserved_bits_are_refused(void **state)
{
	struct build b = { .count = 0 };

	put_header(&b, VFERRY_CTX_START, 0, 1, 0, 8);
	refused(&limits, &b, "reserved bits");
	for (unsigned int bit = 1; bit < 8; bit++) {
		b.count = 0;
		put_start(&b, 0);
		put_header(&b, VFERRY_CTX_DEVICE_STATUS, (uint8_t)(1u << bit), 0, 0, 1);
		refused(&limits, &b, "device_status (0x103) index 0 at offset 24: reserved bits");
	}
	for (unsigned int bit = 1; bit < 32; bit++) {
		b.count = 0;
		put_start(&b, 1u << bit);
		refused(&limits, &b, "reserved bits");
	}
	b.count = 0;
	put_start(&b, 0);
	b.bytes[20] = 1;
	refused(&limits, &b, "reserved bits");
}

static void markers_out_of_place_are_refused(void **state)
{
	struct build b = { .count = 0 };

	put_field(&b, VFERRY_CTX_DEVICE_STATUS, 0, 0, "x", 1);
	refused(&limits, &b, "an image begins with start");
	b.count = 0;
	put_end(&b);
	refused(&limits, &b, "an image begins with start");
	b.count = 0;
	put_start(&b, 0);
	put_start(&b, 0);
	refused(&limits, &b, "start inside an image");
	b.count = 0;
	put_start(&b, 0);
	put_end(&b);
	put_end(&b);
	refused(&limits, &b, "image 1, field end (0x1) index 0 at offset 40: an image begins with");
}

static void malformed_markers_are_refused(void **state)
{
	struct build b = { .count = 0 };

	put_header(&b, VFERRY_CTX_START, 0, 0, 0, 16);
	refused(&limits, &b, "length 16, this marker's is 8");
	b.count = 0;
	put_header(&b, VFERRY_CTX_START, 0, 0, 1, 8);
	refused(&limits, &b, "a marker's index is 0");
	b.count = 0;
	put_header(&b, VFERRY_CTX_START, VFERRY_CTX_F_OPTIONAL, 0, 0, 8);
	refused(&limits, &b, "a marker has no flags");
	b.count = 0;
	put_start(&b, 0);
	put_header(&b, VFERRY_CTX_END, 0, 0, 0, 8);
	refused(&limits, &b, "length 8, this marker's is 0");
}

static void a_key_twice_is_refused(void **state)
{
	struct build b = { .count = 0 };

	put_start(&b, 0);
	put_field(&b, VFERRY_CTX_VQ_CFG, 0, 7, "x", 1);
	put_field(&b, VFERRY_CTX_VQ_CFG, 0, 8, "x", 1);
	put_field(&b, VFERRY_CTX_VQ_NOTIFY_CFG, 0, 7, "x", 1);
	put_field(&b, VFERRY_CTX_VQ_CFG, 0, 7, "x", 1);
	refused(&limits, &b,
		"vq_cfg (0x104) index 7 at offset 96: this type and index came before");
	/* in two images it is no repetition */
	b.count = 96;
	put_end(&b);
	put_start(&b, VFERRY_CTX_START_F_DELTA);
	put_field(&b, VFERRY_CTX_VQ_CFG, 0, 7, "x", 1);
	put_end(&b);
	assert_int_equal(walk(&limits, &b, NULL, NULL), 0);
}

static void many_keys_are_told_apart(void **state)
{
	struct vferry_ctx_walk_opts opts = { .image_bound = UINT64_MAX, .fields_max = 100000 };
	struct vferry_ctx_walker *walker = vferry_ctx_walker_new(&opts);
	struct build b = { .count = 0 };
	struct vferry_error err;

	put_start(&b, 0);
	/* more images than the set has generations, one of them large */
	for (uint32_t image = 0; image < 70000; image++) {
		uint32_t fields = image ? 1 : 20000;

		assert_int_equal(vferry_ctx_walk(walker, b.bytes, b.count, NULL), 0);
		for (uint32_t i = 0; i < fields; i++) {
			struct vferry_ctx_field field = { htole16(VFERRY_CTX_BLOCK), 0, 0,
							  htole32(i * 4096), 0 };

			assert_int_equal(vferry_ctx_walk(walker, &field, sizeof(field), NULL), 0);
		}
		if (image + 1 < 70000) {
			struct vferry_ctx_field end = { htole16(VFERRY_CTX_END), 0, 0, 0, 0 };

			assert_int_equal(vferry_ctx_walk(walker, &end, sizeof(end), NULL), 0);
		}
	}
	{
		struct vferry_ctx_field again = { htole16(VFERRY_CTX_BLOCK), 0, 0, 0, 0 };

		assert_int_equal(vferry_ctx_walk(walker, &again, sizeof(again), &err), -EBADMSG);
	}
	vferry_ctx_walker_free(walker);
}

static void lengths_beyond_the_bound_are_refused(void **state)
{
	static const uint64_t wrong[] = {
		4096 - 24 - 16 - 16 + 1, 4096, 1ULL << 32, 1ULL << 63, UINT64_MAX - 7, UINT64_MAX
	};
	struct build b = { .count = 0 };

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		b.count = 0;
		put_start(&b, 0);
		put_header(&b, VFERRY_CTX_BLOCK, 0, 0, 0, wrong[i]);
		refused(&limits, &b, "goes beyond the image's bound of 4096 bytes");
	}
	b.count = 0;
	put_start(&b, 0);
	put_header(&b, VFERRY_CTX_BLOCK, 0, 0, 0, 4096 - 24 - 16 - 16);
	b.count += 4096 - 24 - 16 - 16;
	put_end(&b);
	assert_int_equal(walk(&limits, &b, NULL, NULL), 0);
	/* and no length at all overflows a walker without a bound */
	{
		struct vferry_ctx_walk_opts opts = { .image_bound = UINT64_MAX, .fields_max = 8 };

		b.count = 0;
		put_start(&b, 0);
		put_header(&b, VFERRY_CTX_BLOCK, 0, 0, 0, UINT64_MAX);
		refused(&opts, &b, "goes beyond");
	}
}

static void too_many_fields_are_refused(void **state)
{
	struct build b = { .count = 0 };

	put_start(&b, 0);
	for (uint32_t i = 0; i < 9; i++)
		put_field(&b, VFERRY_CTX_VQ_CFG, 0, i, "x", 1);
	refused(&limits, &b, "more than 8 fields");
}

static void unknown_types_must_be_optional(void **state)
{
	struct vferry_ctx_walk_opts opts = limits;
	struct build b = { .count = 0 };

	put_start(&b, 0);
	put_field(&b, 0x7777, VFERRY_CTX_F_OPTIONAL, 3, "x", 1);
	put_field(&b, 0x7778, 0, 3, "x", 1);
	put_end(&b);
	assert_int_equal(walk(&opts, &b, NULL, NULL), 0);
	opts.known = only_ratified;
	refused(&opts, &b, "unknown (0x7778) index 3 at offset 48: this type is unknown here");
}

static void padding_must_be_zero(void **state)
{
	struct build b = { .count = 0 };

	for (unsigned int i = 1; i < 8; i++) {
		b.count = 0;
		put_start(&b, 0);
		put_field(&b, VFERRY_CTX_DEVICE_STATUS, 0, 0, "x", 1);
		b.bytes[40 + i] = 0x80;
		refused(&limits, &b, "padding at offset 4");
	}
}

static void a_delta_needs_a_full_image(void **state)
{
	struct build b = { .count = 0 };

	put_start(&b, VFERRY_CTX_START_F_DELTA);
	put_end(&b);
	refused(&limits, &b, "a delta with no full image before it");
}

static void a_failed_walker_stays_failed(void **state)
{
	struct vferry_ctx_walker *walker = vferry_ctx_walker_new(&limits);
	struct vferry_error first, second;
	struct build b = { .count = 0 };

	put_end(&b);
	assert_int_equal(vferry_ctx_walk(walker, b.bytes, b.count, &first), -EBADMSG);
	b.count = 0;
	put_start(&b, 0);
	assert_int_equal(vferry_ctx_walk(walker, b.bytes, b.count, &second), -EBADMSG);
	assert_string_equal(first.text, second.text);
	assert_int_equal(vferry_ctx_walk(walker, b.bytes, 0, NULL), -EBADMSG);
	vferry_ctx_walk_reset(walker);
	assert_int_equal(vferry_ctx_walk(walker, b.bytes, b.count, &second), 0);
	assert_true(vferry_ctx_walk_open(walker));
	vferry_ctx_walker_free(walker);
}

static void the_callback_ends_the_walk(void **state)
{
	static struct build b;
	static struct story story;

	sample(&b);
	for (int n = 1; n < 18; n++) {
		memset(&story, 0, sizeof(story));
		story.fail_at = n;
		assert_int_equal(walk(&limits, &b, &story, NULL), -ECANCELED);
		assert_int_equal(story.events, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_is_told_in_order),
		cmocka_unit_test(any_cut_tells_the_same),
		cmocka_unit_test(reserved_bits_are_refused),
		cmocka_unit_test(markers_out_of_place_are_refused),
		cmocka_unit_test(malformed_markers_are_refused),
		cmocka_unit_test(a_key_twice_is_refused),
		cmocka_unit_test(many_keys_are_told_apart),
		cmocka_unit_test(lengths_beyond_the_bound_are_refused),
		cmocka_unit_test(too_many_fields_are_refused),
		cmocka_unit_test(unknown_types_must_be_optional),
		cmocka_unit_test(padding_must_be_zero),
		cmocka_unit_test(a_delta_needs_a_full_image),
		cmocka_unit_test(a_failed_walker_stays_failed),
		cmocka_unit_test(the_callback_ends_the_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
