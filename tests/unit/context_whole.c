// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Contexts as a whole: merged, decoded, checked, compared, and read out of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vferry/context_check.h>
#include "context_build.h"
#include "stream/frame.h"
#include "stream/saved.h"

static void put_features(struct build *b, uint16_t type, uint64_t features)
{
	__le64 value = htole64(features);

	put_field(b, type, 0, 0, &value, sizeof(value));
}

static void put_common(struct build *b, unsigned int num_queues)
{
	struct vferry_ctx_pci_common_cfg cfg = { .num_queues = htole16((uint16_t)num_queues),
						 .config_msix_vector = htole16(3) };

	put_field(b, VFERRY_CTX_PCI_COMMON_CFG, 0, 0, &cfg, sizeof(cfg));
}

static void put_status(struct build *b, uint8_t status)
{
	put_field(b, VFERRY_CTX_DEVICE_STATUS, 0, 0, &status, 1);
}

static void put_queue(struct build *b, uint32_t index, uint16_t size, uint64_t desc)
{
	struct vferry_ctx_vq_cfg cfg = {
		.queue_size = htole16(size),
		.vector = htole16((uint16_t)index),
		.enabled = htole16(1),
		.queue_desc = htole64(desc),
		.queue_driver = htole64(desc + 0x1000),
		.queue_device = htole64(desc + 0x2000),
	};

	put_field(b, VFERRY_CTX_VQ_CFG, 0, index, &cfg, sizeof(cfg));
}

static void put_split(struct build *b, uint32_t index, uint16_t at)
{
	struct vferry_ctx_vq_split_state split = {
		.next_avail = htole16(at),
		.used = htole16(at),
		.signalled = htole16(at),
		.flags = htole16(VFERRY_CTX_VQ_KICKED),
	};

	put_field(b, VFERRY_CTX_VQ_SPLIT_STATE, 0, index, &split, sizeof(split));
}

/* What a small device of two queues would give. */
static void sound(struct build *b)
{
	b->count = 0;
	put_start(b, 0);
	put_features(b, VFERRY_CTX_DEV_FEATURES, 1ULL << 32 | 1ULL << 29 | 1 << 9);
	put_features(b, VFERRY_CTX_DRV_FEATURES, 1ULL << 32 | 1 << 9);
	put_common(b, 2);
	put_status(b, 0x0f);
	put_queue(b, 0, 128, 0x10000);
	put_queue(b, 1, 256, 0x20000);
	put_split(b, 0, 7);
	put_split(b, 1, 9);
	put_end(b);
}

static struct vferry_context *whole(const struct build *b)
{
	struct vferry_context *ctx = vferry_context_new();
	struct vferry_error err = { 0 };

	assert_non_null(ctx);
	if (vferry_context_add(ctx, b->bytes, b->count, &err) || vferry_context_finish(ctx, &err))
		fail_msg("%s", err.text);
	return ctx;
}

struct findings {
	char text[4096];
};

static void note(void *arg, const struct vferry_ctx_finding *finding)
{
	struct findings *findings = arg;
	size_t used = strlen(findings->text);

	assert_true((finding->entry == NULL) == (strncmp(finding->text, "missing", 7) == 0));
	snprintf(findings->text + used, sizeof(findings->text) - used, "%s %s %u: %s\n",
		 finding->error ? "error" : "strange", vferry_ctx_type_name(finding->type),
		 finding->index, finding->text);
}

static void finds(const struct build *b, size_t errors, const char *words)
{
	struct vferry_context *ctx = whole(b);
	struct findings findings = { 0 };

	assert_int_equal(vferry_context_check(ctx, note, &findings), errors);
	assert_int_equal(vferry_context_check(ctx, NULL, NULL), errors);
	if (!strstr(findings.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, findings.text);
	vferry_context_free(ctx);
}

static void a_sound_context_has_no_findings(void **state)
{
	struct findings findings = { 0 };
	struct vferry_context *ctx;
	static struct build b;

	sound(&b);
	ctx = whole(&b);
	assert_int_equal(vferry_context_check(ctx, note, &findings), 0);
	assert_string_equal(findings.text, "");
	assert_int_equal(vferry_context_count(ctx), 8);
	assert_int_equal(vferry_context_totals(ctx)->images, 1);
	assert_int_equal(vferry_context_totals(ctx)->bytes, b.count);
	assert_int_equal(vferry_context_totals(ctx)->fields, 8);
	assert_int_equal(vferry_context_totals(ctx)->value_bytes, 8 + 8 + 16 + 1 + 64 + 32);
	vferry_context_free(ctx);
}

static void values_that_are_wrong(void **state)
{
	struct vferry_ctx_vq_split_state split = { .next_avail = htole16(5), .used = htole16(4) };
	static struct build b;
	uint64_t last = 16;

	sound(&b);
	b.count -= last;
	put_queue(&b, 2, 64, 0x30000);
	put_split(&b, 2, 0);
	put_end(&b);
	finds(&b, 2, "error vq_cfg 2: queue 2 of a device that has 2");

	b.count = 0;
	put_start(&b, 0);
	put_end(&b);
	finds(&b, 4, "error device_status 0: missing");

	b.count = 0;
	put_start(&b, 0);
	put_features(&b, VFERRY_CTX_DEV_FEATURES, 1ULL << 32);
	put_features(&b, VFERRY_CTX_DRV_FEATURES, 1ULL << 33 | 1);
	put_common(&b, 0);
	put_status(&b, 0x9f);
	put_queue(&b, 0, 100, 0x10001);
	put_field(&b, VFERRY_CTX_VQ_NOTIFY_CFG, 0, 0, "xxxxxxxx", 8);
	put_field(&b, VFERRY_CTX_DEVICE_CFG, 0, 1, "x", 1);
	put_field(&b, 0x999, 0, 0, "x", 1);
	put_end(&b);
	finds(&b, 9, "the driver has features that the device does not offer: 0,access_platform");
	finds(&b, 9, "error device_status 0: device_status 0x9f has bits");
	finds(&b, 9, "strange device_status 0: the driver has given up");
	finds(&b, 9, "queue_size 100 is no power of 2");
	finds(&b, 9, "queue_desc 0x10001 is not aligned to 16 bytes");
	finds(&b, 9, "error vq_split_state 0: missing: queue 0 is enabled");
	finds(&b, 9, "error vq_notify_cfg 0: reserved byte 0 is 0x78");
	finds(&b, 9, "error device_cfg 1: index 1, this field comes once");
	finds(&b, 9, "strange unknown 0: vferry does not know this type");

	sound(&b);
	b.count -= last;
	put_end(&b);
	put_start(&b, VFERRY_CTX_START_F_DELTA);
	put_field(&b, VFERRY_CTX_VQ_SPLIT_STATE, 0, 1, &split, sizeof(split));
	put_field(&b, VFERRY_CTX_DEVICE_STATUS, 0, 0, "xx", 2);
	put_field(&b, VFERRY_CTX_VQ_CFG, 0, 1, "xx", 2);
	put_end(&b);
	finds(&b, 2, "strange vq_split_state 1: next_avail 5 and used 4 differ");
	finds(&b, 2, "error device_status 0: 2 bytes, this field has 1");
}

static void images_merge_by_key(void **state)
{
	const struct vferry_ctx_entry *entry;
	struct vferry_context *ctx;
	static struct build b;

	b.count = 0;
	put_start(&b, 0);
	for (uint32_t i = 0; i < 500; i++)
		put_field(&b, 0x500, 0, 499 - i, &i, sizeof(i));
	put_end(&b);
	for (uint32_t round = 1; round < 100; round++) {
		put_start(&b, VFERRY_CTX_START_F_DELTA);
		for (uint32_t i = 0; i < 5; i++) {
			uint32_t value = round * 1000 + i;

			put_field(&b, 0x500, 0, round * i, &value, sizeof(value));
		}
		put_end(&b);
	}
	ctx = whole(&b);
	assert_int_equal(vferry_context_count(ctx), 500);
	for (size_t i = 1; i < 500; i++)
		assert_true(vferry_context_entry(ctx, i - 1)->index <
			    vferry_context_entry(ctx, i)->index);
	assert_null(vferry_context_entry(ctx, 500));
	entry = vferry_context_find(ctx, 0x500, 0);
	assert_int_equal(*(const uint32_t *)entry->value, 99000);
	assert_int_equal(entry->image, 99);
	entry = vferry_context_find(ctx, 0x500, 98 * 4);
	assert_int_equal(*(const uint32_t *)entry->value, 98004);
	assert_null(vferry_context_find(ctx, 0x500, 500));
	assert_null(vferry_context_find(ctx, 0x4ff, 0));
	assert_null(vferry_context_find(ctx, 0x501, 0));
	assert_int_equal(vferry_context_totals(ctx)->images, 100);
	assert_int_equal(vferry_context_totals(ctx)->deltas, 99);
	vferry_context_free(ctx);
}

static const struct vferry_ctx_pair *pair_of(const struct vferry_context *ctx, uint16_t type,
					     uint32_t index, const char *name)
{
	static struct vferry_ctx_pair pairs[VFERRY_CTX_PAIRS];
	size_t count = vferry_ctx_decode(vferry_context_find(ctx, type, index), pairs);

	assert_true(count > 0 && count <= VFERRY_CTX_PAIRS);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(pairs[i].name, name))
			return &pairs[i];
	fail_msg("no pair named %s", name);
	return NULL;
}

static void values_decode(void **state)
{
	static const uint8_t large[8000];
	const struct vferry_ctx_pair *pair;
	struct vferry_context *ctx;
	static struct build b;

	sound(&b);
	b.count -= 16;
	put_field(&b, 0x999, VFERRY_CTX_F_OPTIONAL, 0, "abc", 3);
	put_field(&b, 0x999, VFERRY_CTX_F_OPTIONAL, 1, large, 4000);
	put_field(&b, VFERRY_CTX_BLOCK, 0, 0, large, 8000);
	put_field(&b, VFERRY_CTX_VQ_NOTIFY_CFG, 0, 0, "abc", 3);
	put_field(&b, VFERRY_CTX_DEVICE_CFG, 0, 0, NULL, 0);
	put_end(&b);
	ctx = whole(&b);
	pair = pair_of(ctx, VFERRY_CTX_DEV_FEATURES, 0, "features");
	assert_int_equal(pair->form, VFERRY_CTX_HEX);
	assert_int_equal(pair->number, 1ULL << 32 | 1ULL << 29 | 1 << 9);
	assert_string_equal(pair->text, "9,ring_event_idx,version_1");
	pair = pair_of(ctx, VFERRY_CTX_DEVICE_STATUS, 0, "device_status");
	assert_string_equal(pair->text, "acknowledge,driver,driver_ok,features_ok");
	assert_int_equal(pair_of(ctx, VFERRY_CTX_VQ_CFG, 1, "queue_size")->number, 256);
	assert_int_equal(pair_of(ctx, VFERRY_CTX_VQ_CFG, 1, "queue_device")->number, 0x22000);
	assert_int_equal(pair_of(ctx, VFERRY_CTX_VQ_SPLIT_STATE, 0, "next_avail")->number, 7);
	pair = pair_of(ctx, VFERRY_CTX_VQ_SPLIT_STATE, 0, "kicked");
	assert_int_equal(pair->form, VFERRY_CTX_FLAG);
	assert_int_equal(pair->number, 1);
	assert_int_equal(pair_of(ctx, VFERRY_CTX_PCI_COMMON_CFG, 0, "num_queues")->number, 2);
	assert_string_equal(pair_of(ctx, 0x999, 0, "bytes")->text, "616263");
	assert_int_equal(strlen(pair_of(ctx, 0x999, 1, "bytes")->text), 256 + 3);
	assert_int_equal(strncmp(pair_of(ctx, VFERRY_CTX_BLOCK, 0, "digest")->text, "xxh3-128:", 9),
			 0);
	assert_string_equal(pair_of(ctx, VFERRY_CTX_VQ_NOTIFY_CFG, 0, "bytes")->text, "616263");
	assert_string_equal(pair_of(ctx, VFERRY_CTX_DEVICE_CFG, 0, "bytes")->text, "");
	vferry_context_free(ctx);
}

static void note_difference(void *arg, const struct vferry_ctx_difference *difference)
{
	const struct vferry_ctx_entry *entry = difference->a ? difference->a : difference->b;
	char *text = arg;

	sprintf(text + strlen(text), "%s%s %x.%u ", difference->a ? "a" : "",
		difference->b ? "b" : "", entry->type, entry->index);
}

static void contexts_compare(void **state)
{
	static uint8_t large[6000];
	static struct build one, two;
	struct vferry_context *a, *b;
	struct vferry_ctx_pair first, second;
	char text[200] = "";

	sound(&one);
	one.count -= 16;
	put_field(&one, VFERRY_CTX_BLOCK, 0, 0, large, 6000);
	put_field(&one, VFERRY_CTX_BLOCK, 0, 1, large, 6000);
	put_field(&one, VFERRY_CTX_BLOCK, 0, 5, "x", 1);
	put_end(&one);
	sound(&two);
	two.count -= 16;
	put_field(&two, VFERRY_CTX_BLOCK, 0, 0, large, 6000);
	large[5999] = 1;
	put_field(&two, VFERRY_CTX_BLOCK, 0, 1, large, 6000);
	put_field(&two, VFERRY_CTX_BLOCK, 0, 4, "x", 1);
	put_field(&two, 0xffff, 0, UINT32_MAX, "x", 1);
	put_end(&two);
	put_start(&two, VFERRY_CTX_START_F_DELTA);
	put_split(&two, 1, 10);
	put_end(&two);
	a = whole(&one);
	b = whole(&two);
	assert_int_equal(vferry_context_compare(a, a, note_difference, text), 0);
	assert_string_equal(text, "");
	assert_int_equal(vferry_context_compare(a, b, note_difference, text), 5);
	assert_string_equal(text, "ab 180.1 ab 300.1 b 300.4 a 300.5 b ffff.4294967295 ");
	first = *pair_of(a, VFERRY_CTX_VQ_SPLIT_STATE, 1, "used");
	second = *pair_of(b, VFERRY_CTX_VQ_SPLIT_STATE, 1, "used");
	assert_false(vferry_ctx_pair_equal(&first, &second));
	second = *pair_of(a, VFERRY_CTX_VQ_SPLIT_STATE, 1, "used");
	assert_true(vferry_ctx_pair_equal(&first, &second));
	second = *pair_of(a, VFERRY_CTX_VQ_SPLIT_STATE, 1, "signalled");
	assert_false(vferry_ctx_pair_equal(&first, &second));
	vferry_context_free(a);
	vferry_context_free(b);
}

static int file_of(const void *bytes, uint64_t count)
{
	int fd = memfd_create("context", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, count), count);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void read_and_expect(const void *bytes, uint64_t count, int want, const char *words)
{
	struct vferry_context *ctx = vferry_context_new();
	struct vferry_error err = { 0 };
	int fd = file_of(bytes, count);

	assert_int_equal(vferry_context_read(ctx, fd, &err), want);
	if (want && !strstr(err.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, err.text);
	close(fd);
	vferry_context_free(ctx);
}

static void contexts_that_are_cut(void **state)
{
	static struct build b;

	sound(&b);
	for (uint64_t cut = 0; cut < b.count; cut++)
		read_and_expect(b.bytes, cut, -EBADMSG,
				cut ? "inside image 0, which has no end" : "no image");
	read_and_expect(b.bytes, b.count, 0, "");
	b.bytes[b.count - 16] = 0;
	read_and_expect(b.bytes, b.count, -EBADMSG, "start inside an image");
}

static void frame(struct build *out, uint16_t type, uint32_t lane, uint64_t sequence,
		  const void *bytes, uint32_t length)
{
	struct vf_frame f = { .type = type, .lane = lane, .length = length, .sequence = sequence };
	struct iovec part = { (void *)bytes, length };
	struct vf_frame_wire wire;

	vf_frame_pack(&wire, &f, length ? vf_frame_check(&part, 1, sequence) : 0);
	put(out, &wire, sizeof(wire));
	put(out, bytes, length);
}

static int contexts_of(const struct build *file, struct vf_saved_lane **lanes, size_t *count,
		       enum vf_saved_kind *kind, struct vferry_error *err)
{
	int fd = file_of(file->bytes, file->count);
	struct vf_saved *saved;
	int ret = vf_saved_open(&saved, fd, err);

	*lanes = NULL;
	*count = 0;
	if (!ret) {
		*kind = vf_saved_kind(saved);
		ret = vf_saved_contexts(saved, 4, lanes, count, err);
		vf_saved_free(saved);
	}
	close(fd);
	return ret;
}

static void saved_streams_lane_by_lane(void **state)
{
	static struct build one, two, file;
	struct vferry_error err = { 0 };
	struct vf_saved_lane *lanes;
	enum vf_saved_kind kind;
	uint64_t sequence = 0, borders[64], whole_frames = 0;
	size_t count;

	sound(&one);
	sound(&two);
	put_start(&two, VFERRY_CTX_START_F_DELTA);
	put_split(&two, 1, 77);
	put_end(&two);
	/* two lanes, interleaved, cut inside of fields, other frames between them */
	file.count = 0;
	frame(&file, 1, 9, sequence++, "offer", 5);
	borders[0] = file.count;
	for (uint64_t at = 0; at < two.count; at += 33) {
		if (at < one.count)
			frame(&file, 4, 9, sequence++, one.bytes + at,
			      (uint32_t)(one.count - at < 33 ? one.count - at : 33));
		frame(&file, 4, 2, sequence++, two.bytes + at,
		      (uint32_t)(two.count - at < 33 ? two.count - at : 33));
		borders[++whole_frames] = file.count;
	}
	frame(&file, 5, 9, sequence++, NULL, 0);
	assert_int_equal(contexts_of(&file, &lanes, &count, &kind, &err), 0);
	assert_int_equal(kind, VF_SAVED_STREAM);
	assert_int_equal(count, 2);
	assert_int_equal(lanes[0].lane, 9);
	assert_int_equal(lanes[1].lane, 2);
	assert_int_equal(lanes[0].code, 0);
	assert_int_equal(vferry_context_compare(lanes[0].ctx, lanes[1].ctx, NULL, NULL), 1);
	vf_saved_lanes_free(lanes, count);

	/* a lane that is cut is told of, and the other one is whole */
	{
		uint64_t all = file.count;

		file.count = borders[whole_frames - 1];
		assert_int_equal(contexts_of(&file, &lanes, &count, &kind, &err), 0);
		assert_int_equal(lanes[1].code, -EBADMSG);
		assert_int_equal(lanes[0].code, 0);
		vf_saved_lanes_free(lanes, count);
		file.count = all;
	}
	/* a damaged or cut file is named with its byte, and what came before is there */
	file.bytes[borders[4] + 60] ^= 1;
	assert_int_equal(contexts_of(&file, &lanes, &count, &kind, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "is damaged"));
	assert_int_equal(count, 2);
	vf_saved_lanes_free(lanes, count);
	file.bytes[borders[4] + 60] ^= 1;
	for (uint64_t cut = borders[0] + 1; cut < borders[0] + 48 + 33; cut++) {
		char words[40];

		file.count = cut;
		assert_int_equal(contexts_of(&file, &lanes, &count, &kind, &err), -EBADMSG);
		snprintf(words, sizeof(words), "cut at byte %llu", (unsigned long long)cut);
		assert_non_null(strstr(err.text, words));
		vf_saved_lanes_free(lanes, count);
	}
}

static void bare_contexts_and_other_files(void **state)
{
	struct vferry_error err = { 0 };
	struct vf_saved_lane *lanes;
	static struct build b;
	enum vf_saved_kind kind;
	size_t count;

	sound(&b);
	assert_int_equal(contexts_of(&b, &lanes, &count, &kind, &err), 0);
	assert_int_equal(kind, VF_SAVED_CONTEXT);
	assert_int_equal(count, 1);
	assert_int_equal(lanes[0].code, 0);
	assert_int_equal(vferry_context_count(lanes[0].ctx), 8);
	vf_saved_lanes_free(lanes, count);

	b.count = 0;
	assert_int_equal(contexts_of(&b, &lanes, &count, &kind, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "this is empty"));
	put(&b, "#!/bin/sh\necho hello\n", 21);
	assert_int_equal(contexts_of(&b, &lanes, &count, &kind, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "neither a saved stream nor a context"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_context_has_no_findings),
		cmocka_unit_test(values_that_are_wrong),
		cmocka_unit_test(images_merge_by_key),
		cmocka_unit_test(values_decode),
		cmocka_unit_test(contexts_compare),
		cmocka_unit_test(contexts_that_are_cut),
		cmocka_unit_test(saved_streams_lane_by_lane),
		cmocka_unit_test(bare_contexts_and_other_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
