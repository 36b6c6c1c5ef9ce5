// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of READ, SIZE_GET, FIELDS_QUERY and DISCARD's reading half. */
#include <string.h>
#include "conform/conform.h"

static void whole(struct conform *c, const struct check *check)
{
	struct vferry_error err = { 0 };
	struct blob *image = blob(c);
	bool delta;

	read_image(c, CTX_CHUNK, image);
	want(c, blob_is_image(image, &delta, &err), "one whole image: %s", err.text);
	want(c, !delta, "a full image after discard, and it is a delta");
}

static void ends(struct conform *c, const struct check *check)
{
	read_image(c, CTX_CHUNK, blob(c));
	for (uint64_t i = 0; i < check->a; i++)
		read_end(c);
}

static void end_used(struct conform *c, const struct check *check)
{
	const struct ex *ex;

	read_image(c, CTX_CHUNK, blob(c));
	ex = command(c, VFERRY_CMD_DEV_CTX_READ, NULL, 0, 4096);
	want_ok(c, ex, "the read behind the last byte");
	want(c, !ex->output, "context_len 0, and it is %u", ex->output);
	want_used(c, ex, 8, "the read behind the last byte");
}

/* @b reads with @a bytes of room, then large ones. */
static void rooms(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c), *parts = blob(c), *rest = blob(c);
	uint32_t room = (uint32_t)check->a;
	uint64_t got = 0;

	read_image(c, CTX_CHUNK, image);
	discard(c);
	for (uint64_t i = 0; i < check->b && going(c) && got < image->count; i++) {
		uint32_t count = read_chunk(c, room, parts);

		want(c, count, "bytes, and context_len is 0 after %llu of %llu",
		     (unsigned long long)got, (unsigned long long)image->count);
		got += count;
	}
	while (going(c) && got < image->count) {
		uint32_t count = read_chunk(c, CTX_CHUNK, rest);

		want(c, count, "bytes, and context_len is 0 after %llu of %llu",
		     (unsigned long long)got, (unsigned long long)image->count);
		got += count;
	}
	blob_add(parts, rest->at, rest->count);
	same_bytes(c, image, parts, check->title);
	read_end(c);
}

static void more_room(struct conform *c, const struct check *check)
{
	uint64_t size = size_get(c, false);

	if (size > EX_DATA - 64) {
		not_applicable(c, "its context of %llu bytes is larger than one read of this check",
			       (unsigned long long)size);
		return;
	}
	want(c, read_chunk(c, EX_DATA, blob(c)), "bytes");
}

/* A writable part without room for data while data remains: it must not read as the end, and nothing is lost. */
static void no_room(struct conform *c, const struct check *check)
{
	want_refused(c, command(c, VFERRY_CMD_DEV_CTX_READ, NULL, 0, 0), VFERRY_Q_INVALID_COMMAND,
		     check->title);
}

static void no_room_keeps(struct conform *c, const struct check *check)
{
	struct vferry_admin_hdr head = header(VFERRY_CMD_DEV_CTX_READ, VFERRY_GROUP_SRIOV, c->vf);
	struct blob *image = blob(c), *again = blob(c);

	read_image(c, CTX_CHUNK, image);
	discard(c);
	read_chunk(c, 40, again);
	raw(c, &head, sizeof(head), (uint32_t)check->a, 0);
	while (going(c) && again->count < image->count && read_chunk(c, CTX_CHUNK, again))
		;
	same_bytes(c, image, again, check->title);
}

static void no_room_at_end(struct conform *c, const struct check *check)
{
	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	want(c, !read_chunk(c, 0, NULL), "context_len 0");
}

static void size_is_image(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c);
	uint64_t size = size_get(c, false);

	read_image(c, CTX_CHUNK, image);
	want(c, size == image->count,
	     "the bytes that a read of Freeze then gives, %llu, and it is %llu",
	     (unsigned long long)image->count, (unsigned long long)size);
}

static void size_falls(struct conform *c, const struct check *check)
{
	uint64_t before = size_get(c, false), after;
	uint32_t count = read_chunk(c, (uint32_t)check->a, NULL);

	after = size_get(c, false);
	want(c, after + count == before, "%llu bytes less %u that were read, and it is %llu",
	     (unsigned long long)before, count, (unsigned long long)after);
}

static void size_zero(struct conform *c, const struct check *check)
{
	uint64_t size;

	read_image(c, CTX_CHUNK, blob(c));
	size = size_get(c, check->a);
	want(c, !size, "0 once the context is read, and it is %llu", (unsigned long long)size);
	read_end(c);
	size = size_get(c, check->a);
	want(c, !size, "0 behind the end, and it is %llu", (unsigned long long)size);
}

static void size_again(struct conform *c, const struct check *check)
{
	uint64_t before = size_get(c, false), after;

	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	discard(c);
	after = size_get(c, false);
	want(c, before == after, "the whole size after discard, %llu, and it is %llu",
	     (unsigned long long)before, (unsigned long long)after);
}

static void size_frozen(struct conform *c, const struct check *check)
{
	uint64_t now, frozen;

	read_chunk(c, 64, NULL);
	now = size_get(c, false);
	frozen = size_get(c, true);

	want(c, now == frozen,
	     "in Freeze the same with freeze_mode 0 and 1, and it is %llu and %llu",
	     (unsigned long long)now, (unsigned long long)frozen);
}

static void size_estimate(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c);
	uint64_t estimate;

	if (check->a) {
		read_image(c, CTX_CHUNK, blob(c));
		read_end(c);
	}
	estimate = size_get(c, true);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	read_rest(c, image);
	want(c, estimate >= image->count,
	     "at least what is then read in Freeze, %llu bytes, and it was %llu",
	     (unsigned long long)image->count, (unsigned long long)estimate);
}

static void size_no_effect(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c), *again = blob(c);

	read_image(c, CTX_CHUNK, image);
	discard(c);
	while (going(c) && again->count < image->count) {
		size_get(c, false);
		size_get(c, true);
		if (!read_chunk(c, again->count < 200 ? 40 : CTX_CHUNK, again))
			break;
	}
	same_bytes(c, image, again, check->title);
}

/* @a: bytes read before DISCARD, 0: all and the end */
static void discard_rewinds(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c), *again = blob(c);

	read_image(c, CTX_CHUNK, image);
	if (check->a) {
		discard(c);
		read_chunk(c, (uint32_t)check->a, NULL);
	} else {
		read_end(c);
	}
	for (uint64_t i = 0; i <= check->b; i++)
		discard(c);
	read_image(c, CTX_CHUNK, again);
	same_bytes(c, image, again, check->title);
}

static void discard_full(struct conform *c, const struct check *check)
{
	struct vferry_error err = { 0 };
	struct blob *image = blob(c);
	bool delta = false;

	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	discard(c);
	read_image(c, CTX_CHUNK, image);
	want(c, blob_is_image(image, &delta, &err), "an image: %s", err.text);
	want(c, !delta, "a full image after discard, and it says that it is a delta");
}

static void exact(struct conform *c, const struct check *check)
{
	struct blob *first = blob(c), *second = blob(c);

	read_image(c, CTX_CHUNK, first);
	discard(c);
	read_image(c, CTX_CHUNK, second);
	same_bytes(c, first, second, check->title);
}

/* An image half read when the mode changes is closed; nothing of it has been delivered. */
static void mode_closes(struct conform *c, const struct check *check)
{
	struct vferry_error err = { 0 };
	struct blob *image = blob(c);
	bool delta = false;

	want(c, read_chunk(c, 64, NULL), "bytes");
	mode_set(c, (unsigned int)check->a);
	read_image(c, CTX_CHUNK, image);
	want(c, blob_is_image(image, &delta, &err), "an image from its beginning: %s", err.text);
	want(c, !delta, "a full image, for the last one was not read whole, and it says delta");
}

static void mode_keeps_map(struct conform *c, const struct check *check)
{
	struct vferry_error err = { 0 };
	struct blob *image = blob(c);
	bool delta = true;

	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	read_rest(c, image);
	want(c, !image->count || blob_is_image(image, &delta, &err), "an image or nothing: %s",
	     err.text);
	/* A device may know full images only, but then it has something to say. */
	want(c, !image->count || delta,
	     "nothing, or a delta, after Stop and Freeze when all was read before, and it is a full image");
}

/* --- FIELDS_QUERY --- */

static uint32_t fields(struct conform *c, struct blob *to)
{
	const struct ex *ex = command(c, VFERRY_CMD_DEV_CTX_FIELDS_QUERY, NULL, 0, 64 * 1024);

	want_ok(c, ex, "fields");
	want(c, ex->used >= 8 && !((ex->used - 8) % sizeof(struct vferry_admin_field)),
	     "a used length of 8 and whole entries of 16, and it is %u", ex->used);
	if (going(c))
		blob_add(to, ex->result, ex->used - 8);
	return (uint32_t)(to->count / sizeof(struct vferry_admin_field));
}

static bool field_entry(const struct blob *entries, uint16_t type, struct vferry_admin_field *entry)
{
	for (uint64_t at = 0; at + sizeof(*entry) <= entries->count; at += sizeof(*entry)) {
		memcpy(entry, entries->at + at, sizeof(*entry));
		if (le16toh(entry->type) == type)
			return true;
	}
	return false;
}

static void fields_cover(struct conform *c, const struct check *check)
{
	struct blob *entries = blob(c), *image = blob(c);
	struct vferry_admin_field entry;
	struct field_at field;
	uint64_t at = 0;

	fields(c, entries);
	read_image(c, CTX_CHUNK, image);
	while (going(c) && blob_next(image, &at, &field)) {
		bool there = field_entry(entries, field.type, &entry);

		if (check->a) {
			want(c, !there || !entry.length || le64toh(entry.length) >= field.length,
			     "for type 0x%x the largest length, and it says %llu while an image carries %llu",
			     field.type, (unsigned long long)le64toh(entry.length),
			     (unsigned long long)field.length);
			continue;
		}
		want(c, there || field.flags & VFERRY_CTX_F_OPTIONAL,
		     "an entry for type 0x%x, which an image carries", field.type);
	}
}

static void fields_clean(struct conform *c, const struct check *check)
{
	struct blob *entries = blob(c);
	uint32_t count = fields(c, entries);
	static const uint8_t zero[6];

	want(c, count, "an entry at least");
	for (uint32_t i = 0; i < count && going(c); i++) {
		struct vferry_admin_field entry;

		memcpy(&entry, entries->at + i * sizeof(entry), sizeof(entry));
		want(c, !memcmp(entry.reserved, zero, sizeof(zero)),
		     "reserved bytes zero in entry %u", i);
		for (uint32_t j = 0; j < i; j++)
			want(c, memcmp(entries->at + j * sizeof(entry), &entry.type, 2),
			     "one entry a type, and type 0x%x stands in entries %u and %u",
			     le16toh(entry.type), j, i);
	}
}

static void fields_same(struct conform *c, const struct check *check)
{
	struct blob *active = blob(c), *frozen = blob(c);

	fields(c, active);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	fields(c, frozen);
	same_bytes(c, active, frozen, check->title);
}

static void fields_no_effect(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c), *again = blob(c);

	read_image(c, CTX_CHUNK, image);
	discard(c);
	read_chunk(c, 40, again);
	fields(c, blob(c));
	while (going(c) && again->count < image->count && read_chunk(c, CTX_CHUNK, again))
		;
	same_bytes(c, image, again, check->title);
}

static void other_member(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c), *again = blob(c);

	read_image(c, CTX_CHUNK, image);
	discard(c);
	read_chunk(c, 40, again);
	c->vf = c->opts.spare;
	discard(c);
	read_image(c, CTX_CHUNK, blob(c));
	discard(c);
	c->vf = c->opts.vf;
	while (going(c) && again->count < image->count && read_chunk(c, CTX_CHUNK, again))
		;
	same_bytes(c, image, again, check->title);
}

static void keys_once(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c);
	struct field_at a, b;

	/* By hand: the walk of read_image() would refuse it, and say so of every check. */
	read_rest(c, image);
	for (uint64_t at = 0; going(c) && blob_next(image, &at, &a);)
		for (uint64_t next = at; going(c) && blob_next(image, &next, &b);)
			want(c, a.type != b.type || a.index != b.index,
			     "a key once in an image, and (0x%x, %u) stands at bytes %llu and %llu",
			     a.type, a.index, (unsigned long long)a.offset,
			     (unsigned long long)b.offset);
}

#define R    SEED "Device Context Read Command"
#define Z    SEED "Device Context Size Get Command"
#define D    SEED "Device Context Discard Command"
#define Q    SEED "Device Context Supported Fields Query Command"
#define IN_A NEEDS_CHANGES
#define IN_S (NEEDS_CHANGES | NEEDS_STOP)
#define IN_F (NEEDS_CHANGES | NEEDS_FREEZE)
#define ROOM(n, times)                                                                        \
	CHECK("reading.room_" #n, "reads with room for " #n " bytes lose and add nothing", R, \
	      IN_F, rooms, n, times)

const struct check conform_reading[] = {
	CHECK("reading.whole_in_active", "a whole, full image in Active", OURS "Reading", IN_A,
	      whole),
	CHECK("reading.whole_in_stop", "a whole, full image in Stop", OURS "Reading", IN_S, whole),
	CHECK("reading.whole_in_freeze", "a whole, full image in Freeze", OURS "Reading", IN_F,
	      whole),
	CHECK("reading.keys_once", "a key stands once in an image", OURS "The container", IN_F,
	      keys_once),
	CHECK("reading.end", "the read behind the last byte answers 0", R, IN_F, ends, 1),
	CHECK("reading.end_again", "in Freeze all further reads answer 0", OURS "Reading 1", IN_F,
	      ends, 4),
	CHECK("reading.end_used", "the used length of the end is 8", R, IN_F, end_used),
	ROOM(1, 70),
	ROOM(2, 70),
	ROOM(3, 70),
	ROOM(7, 60),
	ROOM(8, 100),
	ROOM(13, 60),
	ROOM(16, 60),
	ROOM(24, 60),
	ROOM(61, 20),
	ROOM(1000, 20),
	ROOM(4096, 100),
	ROOM(65535, 8),
	CHECK("reading.room_more", "more room than there are bytes", R, IN_F, more_room),
	CHECK("reading.no_room", "a read without room while bytes remain is refused",
	      OURS "Reading 7", IN_F, no_room),
	CHECK("reading.no_room_keeps", "a read without room does not move the cursor", BASE, IN_F,
	      no_room_keeps, 8),
	CHECK("reading.no_header_keeps_1", "a read with 1 writable byte does not move the cursor",
	      BASE, IN_F, no_room_keeps, 1),
	CHECK("reading.no_header_keeps_4", "a read with 4 writable bytes does not move the cursor",
	      BASE, IN_F, no_room_keeps, 4),
	CHECK("reading.no_header_keeps_7", "a read with 7 writable bytes does not move the cursor",
	      BASE, IN_F, no_room_keeps, 7),
	CHECK("reading.no_room_at_end", "a read without room behind the end answers 0",
	      OURS "Reading 1", IN_F, no_room_at_end),
	CHECK("reading.size_is_image", "size_get in Freeze says what can be read", OURS "Reading 5",
	      IN_F, size_is_image),
	CHECK("reading.size_falls_64", "size_get falls by what was read: 64 bytes", Z, IN_F,
	      size_falls, 64),
	CHECK("reading.size_falls_200", "size_get falls by what was read: 200 bytes", Z, IN_F,
	      size_falls, 200),
	CHECK("reading.size_zero", "size_get says 0 once all is read", Z, IN_F, size_zero, 0),
	CHECK("reading.size_zero_frozen",
	      "size_get with freeze_mode 1 says 0 in Freeze once all is read", Z, IN_F, size_zero,
	      1),
	CHECK("reading.size_after_discard", "size_get says the whole again after discard", D, IN_F,
	      size_again),
	CHECK("reading.size_frozen", "in Freeze freeze_mode makes no difference", Z, IN_F,
	      size_frozen),
	CHECK("reading.size_estimate", "the estimate for Freeze is an upper one", OURS "Reading 5",
	      IN_A, size_estimate, 0),
	CHECK("reading.size_estimate_read",
	      "the estimate for Freeze is an upper one after a whole read", OURS "Reading 5", IN_A,
	      size_estimate, 1),
	CHECK("reading.size_no_effect", "size_get between reads changes nothing", Z, IN_F,
	      size_no_effect),
	CHECK("reading.discard_first", "discard after 8 bytes: from the start again", D, IN_F,
	      discard_rewinds, 8),
	CHECK("reading.discard_partial", "discard after 100 bytes: from the start again", D, IN_F,
	      discard_rewinds, 100),
	CHECK("reading.discard_end", "discard behind the end: all again", D, IN_F, discard_rewinds,
	      0),
	CHECK("reading.discard_twice", "discard twice is as once", D, IN_F, discard_rewinds, 60, 1),
	CHECK("reading.discard_full", "the image after discard is a full one", OURS "Reading 4",
	      IN_A, discard_full),
	CHECK("reading.exact", "in Freeze the same bytes each time", OURS "Reading 2", IN_F, exact),
	CHECK("reading.mode_closes_stop", "Active to Stop closes an image half read",
	      OURS "Reading 4", IN_A, mode_closes, VFERRY_MODE_STOP),
	CHECK("reading.mode_closes_freeze", "Stop to Freeze closes an image half read",
	      OURS "Reading 4", IN_S, mode_closes, VFERRY_MODE_FREEZE),
	CHECK("reading.mode_closes_active", "Freeze to Active closes an image half read",
	      OURS "Reading 4", IN_F, mode_closes, VFERRY_MODE_ACTIVE),
	CHECK("reading.mode_keeps_map", "what was read whole is not full again after a mode change",
	      OURS "Reading 4", IN_F, mode_keeps_map),
	CHECK("reading.fields_cover", "fields names each type that an image carries", Q, IN_F,
	      fields_cover, 0),
	CHECK("reading.fields_length", "fields says the largest length of a type", Q, IN_F,
	      fields_cover, 1),
	CHECK("reading.fields_clean", "fields has one entry a type, reserved bytes zero", Q, 0,
	      fields_clean),
	CHECK("reading.fields_same", "fields answers the same in Active and Freeze", Q, IN_A,
	      fields_same),
	CHECK("reading.fields_no_effect", "fields between reads changes nothing", Q, IN_F,
	      fields_no_effect),
	CHECK("reading.other_member", "reading one VF leaves another's cursor",
	      SEED "Device Context Read Command", IN_F | NEEDS_SPARE, other_member),
	CHECKS_END,
};
