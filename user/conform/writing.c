// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of WRITE: any split, malformed bytes, what discard drops. */
#include <string.h>
#include "conform/conform.h"

static void commit(struct conform *c)
{
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
}

/* @b writes of @a bytes, then large ones */
static void chunks(struct conform *c, const struct check *check)
{
	uint64_t first = check->a * check->b;
	struct blob head, tail;

	if (first > c->image.count)
		first = c->image.count;
	head = (struct blob){ c->image.at, first, 0 };
	tail = (struct blob){ c->image.at + first, c->image.count - first, 0 };
	write_all(c, &head, (uint32_t)check->a);
	write_all(c, &tail, CTX_CHUNK);
	commit(c);
	same_state(c, &c->image, check->title);
}

static void each_split(struct conform *c, const struct check *check)
{
	for (uint64_t at = 8; at < 512 && at < c->image.count && going(c); at += 8) {
		struct blob head = { c->image.at, at, 0 };
		struct blob tail = { c->image.at + at, c->image.count - at, 0 };

		write_all(c, &head, CTX_CHUNK);
		write_all(c, &tail, CTX_CHUNK);
		commit(c);
	}
	same_state(c, &c->image, check->title);
}

/* Lengths that are no multiple of 8: the readable part ends there, and the next begins there. */
static void odd(struct conform *c, const struct check *check)
{
	struct vferry_admin_hdr head = header(VFERRY_CMD_DEV_CTX_WRITE, VFERRY_GROUP_SRIOV, c->vf);
	uint8_t bytes[64];
	struct blob tail;
	uint64_t at = 0;

	memcpy(bytes, &head, sizeof(head));
	while (at < 120 && at + check->a <= c->image.count && going(c)) {
		memcpy(bytes + sizeof(head), c->image.at + at, check->a);
		want_ok(c, raw(c, bytes, (uint32_t)(sizeof(head) + check->a), 8, 0), check->title);
		at += check->a;
	}
	tail = (struct blob){ c->image.at + at, (c->image.count - at) & ~7ull, 0 };
	write_all(c, &tail, CTX_CHUNK);
	if (going(c) && at + tail.count < c->image.count) {
		uint32_t left = (uint32_t)(c->image.count - at - tail.count);

		memcpy(bytes + sizeof(head), tail.at + tail.count, left);
		want_ok(c, raw(c, bytes, (uint32_t)sizeof(head) + left, 8, 0), check->title);
	}
	commit(c);
	same_state(c, &c->image, check->title);
}

static void empty(struct conform *c, const struct check *check)
{
	want_ok(c, write_ex(c, NULL, 0), check->title);
	commit(c);
	same_state(c, &c->image, check->title);
}

static void runs(struct conform *c, const struct check *check)
{
	struct vferry_admin_hdr head = header(VFERRY_CMD_DEV_CTX_WRITE, VFERRY_GROUP_SRIOV, c->vf);
	uint64_t first = c->image.count < 360 ? c->image.count & ~7ull : 360;
	struct blob tail = { c->image.at + first, c->image.count - first, 0 };
	struct blob *bytes = blob(c);

	blob_add(bytes, &head, sizeof(head));
	blob_add(bytes, c->image.at, first);
	want_ok(c, raw(c, bytes->at, (uint32_t)bytes->count, 8, (uint32_t)check->a), check->title);
	write_all(c, &tail, CTX_CHUNK);
	commit(c);
	same_state(c, &c->image, check->title);
}

static void used(struct conform *c, const struct check *check)
{
	const struct ex *ex = write_ex(c, c->image.at, c->image.count < 512 ? 64 : 512);

	want_ok(c, ex, "write");
	want_used(c, ex, 8, check->title);
}

/* --- malformed streams --- */

enum wrongs {
	FLAG_RESERVED,
	BYTE_RESERVED,
	NO_START,
	START_TWICE,
	KEY_TWICE,
	UNKNOWN_TYPE,
	LENGTH_MAX,
	LENGTH_HUGE,
	LENGTH_BOUND,
	START_FLAGS,
	START_RESERVED,
	START_LENGTH,
	START_INDEX,
	END_LENGTH,
	END_OPTIONAL,
	PADDING,
	DELTA_FIRST,
	INDEX_RANGE,
	TYPE_LENGTH,
	AFTER_END,
	END_FIRST,
};

static void put_field(struct blob *b, uint64_t at, const struct blob *field)
{
	blob_insert(b, at, field->at, field->count);
}

static void spoil(struct conform *c, struct blob *b, enum wrongs how)
{
	struct field_at end = { 0 }, status = { 0 }, any = { 0 };
	struct blob *field = blob(c);
	uint64_t at = 24, junk = htole64(1ull << 40);
	static const uint8_t value[24];

	blob_add(b, c->image.at, c->image.count);
	if (!blob_next(b, &at, &any) || !blob_find(b, VFERRY_CTX_END, 0, &end)) {
		not_applicable(c, "the VF's image has no field");
		return;
	}
	switch (how) {
	case FLAG_RESERVED:
		b->at[any.offset + 2] |= 0x80;
		break;
	case BYTE_RESERVED:
		b->at[any.offset + 3] = 1;
		break;
	case NO_START:
		memmove(b->at, b->at + 24, b->count - 24);
		b->count -= 24;
		break;
	case START_TWICE:
		blob_start(field, false);
		put_field(b, end.offset, field);
		break;
	case KEY_TWICE:
		blob_add(field, b->at + any.offset, any.bytes);
		put_field(b, end.offset, field);
		break;
	case UNKNOWN_TYPE:
		blob_field(field, 0x7ff, 0, 0, value, 8);
		put_field(b, end.offset, field);
		break;
	case LENGTH_MAX:
		memset(b->at + any.offset + 8, 0xff, 8);
		break;
	case LENGTH_HUGE:
		memset(b->at + any.offset + 8, 0, 8);
		b->at[any.offset + 15] = 0x80;
		break;
	case LENGTH_BOUND:
		memcpy(b->at + any.offset + 8, &junk, 8);
		break;
	case START_FLAGS:
		b->at[16] |= 0x02;
		break;
	case START_RESERVED:
		b->at[20] = 1;
		break;
	case START_LENGTH:
		b->at[8] = 16;
		blob_insert(b, 24, value, 8);
		break;
	case START_INDEX:
		b->at[4] = 1;
		break;
	case END_LENGTH:
		b->at[end.offset + 8] = 8;
		blob_add(b, value, 8);
		break;
	case END_OPTIONAL:
		b->at[end.offset + 2] = VFERRY_CTX_F_OPTIONAL;
		break;
	case PADDING:
		blob_field(field, 0x7fe, VFERRY_CTX_F_OPTIONAL, 0, value, 5);
		field->at[field->count - 1] = 1;
		put_field(b, end.offset, field);
		break;
	case DELTA_FIRST:
		b->at[16] |= VFERRY_CTX_START_F_DELTA;
		break;
	case INDEX_RANGE:
		blob_field(field, any.type, 0, 60000, b->at + any.offset + 16, any.length);
		put_field(b, end.offset, field);
		break;
	case TYPE_LENGTH:
		if (!blob_find(b, VFERRY_CTX_DEVICE_STATUS, 0, &status)) {
			not_applicable(c, "its images have no device status");
			return;
		}
		b->at[status.offset + 8] = 2;
		break;
	case AFTER_END:
		blob_field(b, any.type, 0, 0, value, 8);
		break;
	case END_FIRST:
		blob_end(field);
		put_field(b, 0, field);
		break;
	}
}

/* Refused as soon as it is seen, or at the commit at the latest; nothing of it becomes state. */
static void malformed(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;
	struct blob *bad = blob(c);
	const struct ex *ex = NULL;

	spoil(c, bad, (enum wrongs)check->a);
	for (uint64_t at = 0; at < bad->count && going(c);) {
		uint64_t left = bad->count - at;
		uint32_t count = left < CTX_CHUNK ? (uint32_t)left : CTX_CHUNK;

		ex = write_ex(c, bad->at + at, count);
		at += count;
		if (ex->status)
			break;
	}
	if (ex && ex->status) {
		want_refused(c, ex, VFERRY_Q_INVALID_FIELD, check->title);
		discard(c);
	} else {
		want_refused(c, command(c, VFERRY_CMD_DEV_MODE_SET, &stop, 1, 0),
			     VFERRY_Q_INVALID_COMMAND,
			     "the commit of a malformed stream that write took");
	}
	mode_is(c, VFERRY_MODE_FREEZE, "after what was refused");
	same_state(c, &c->image, "after what was refused");
}

static void refused_keeps(struct conform *c, const struct check *check)
{
	uint64_t half = c->image.count > 4096 ? 2048 : c->image.count / 16 * 8;
	struct blob head = { c->image.at, half, 0 };
	struct blob tail = { c->image.at + half, c->image.count - half, 0 };
	uint64_t at = 0;
	struct field_at field;
	struct blob *bad = blob(c);

	/* Cut between fields: there a second start is out of place. */
	while (blob_next(&c->image, &at, &field) && at < half)
		;
	head.count = at;
	tail = (struct blob){ c->image.at + at, c->image.count - at, 0 };
	blob_start(bad, false);
	write_all(c, &head, CTX_CHUNK);
	if (going(c) && !write_ex(c, bad->at, (uint32_t)bad->count)->status) {
		not_applicable(c, "the device took a second start, and says so at the commit only");
		return;
	}
	write_all(c, &tail, CTX_CHUNK);
	commit(c);
	same_state(c, &c->image, check->title);
}

static void optional(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c), *field = blob(c), *value = blob(c);
	struct field_at end = { 0 };
	static const uint8_t zeros[512];

	for (uint64_t n = 0; n < check->b; n += sizeof(zeros))
		blob_add(value, zeros, check->b - n < sizeof(zeros) ? check->b - n : sizeof(zeros));
	blob_field(field, (uint16_t)check->a, VFERRY_CTX_F_OPTIONAL, 7, value->at, value->count);
	blob_add(image, c->image.at, c->image.count);
	if (!blob_find(image, VFERRY_CTX_END, 0, &end))
		return;
	put_field(image, check->d ? 24 : end.offset, field);
	write_all(c, image, CTX_CHUNK);
	commit(c);
	same_state(c, &c->image, check->title);
}

static void not_visible(struct conform *c, const struct check *check)
{
	struct blob half = { c->image.at, c->image.count / 16 * 8, 0 }, *now = blob(c);

	write_all(c, &half, CTX_CHUNK);
	read_image(c, CTX_CHUNK, now);
	same_bytes(c, &c->image, now, "a read while something is staged");
}

static void discard_half(struct conform *c, const struct check *check)
{
	uint64_t half = check->a < c->image.count ? check->a : c->image.count / 16 * 8;
	struct blob head = { c->image.at, half, 0 };

	write_all(c, &head, CTX_CHUNK);
	discard(c);
	write_all(c, &c->image, CTX_CHUNK);
	commit(c);
	same_state(c, &c->image, check->title);
}

static void discard_drops(struct conform *c, const struct check *check)
{
	struct blob head = { c->image.at, 64, 0 };

	write_all(c, &head, CTX_CHUNK);
	discard(c);
	commit(c);
	same_state(c, &c->image, check->title);
}

static void cursor_stays(struct conform *c, const struct check *check)
{
	struct blob *again = blob(c), head = { c->image.at, 64, 0 };

	read_chunk(c, 40, again);
	write_all(c, &head, CTX_CHUNK);
	while (going(c) && again->count < c->image.count && read_chunk(c, CTX_CHUNK, again))
		;
	same_bytes(c, &c->image, again, check->title);
}

static void other_member(struct conform *c, const struct check *check)
{
	struct blob head = { c->image.at, 64, 0 }, tail;

	tail = (struct blob){ c->image.at + 64, c->image.count - 64, 0 };
	write_all(c, &head, CTX_CHUNK);
	c->vf = c->opts.spare;
	discard(c);
	if (!mode_to(c, VFERRY_MODE_FREEZE))
		not_applicable(c, "the second VF cannot be brought into Freeze");
	discard(c);
	if (!mode_to(c, VFERRY_MODE_ACTIVE))
		not_applicable(c, "the second VF cannot be brought out of Freeze");
	c->vf = c->opts.vf;
	write_all(c, &tail, CTX_CHUNK);
	commit(c);
	same_state(c, &c->image, check->title);
}

#define W    SEED "Device Context Write Command"
#define BOX  OURS "The container"
#define IN_F (NEEDS_CHANGES | NEEDS_FREEZE | NEEDS_IMAGE)
#define CHUNKS(n, times) \
	CHECK("writing.chunks_" #n, "an image in writes of " #n " bytes", W, IN_F, chunks, n, times)
#define ODD(n)	CHECK("writing.odd_" #n, "writes of " #n " bytes", BASE ", lengths", IN_F, odd, n)
#define RUNS(n) CHECK("writing.runs_" #n, "a write in runs of " #n " bytes", QUEUE, IN_F, runs, n)
#define BAD(text, what, title) \
	CHECK("writing.bad_" text, title " is refused", BOX, IN_F, malformed, what)

const struct check conform_writing[] = {
	CHUNKS(8, 200),
	CHUNKS(16, 100),
	CHUNKS(24, 100),
	CHUNKS(40, 100),
	CHUNKS(104, 100),
	CHUNKS(1000, 70),
	CHUNKS(4096, 100),
	CHUNKS(65536, 8),
	CHECK("writing.each_split", "an image in two writes, cut at each multiple of 8", W, IN_F,
	      each_split),
	ODD(1),
	ODD(7),
	ODD(13),
	RUNS(25),
	RUNS(64),
	CHECK("writing.empty", "a write of no bytes stages nothing", BASE ", lengths", IN_F, empty),
	CHECK("writing.used", "the used length of write is 8", BASE ", lengths", IN_F, used),
	BAD("flag", FLAG_RESERVED, "a reserved flag of a field"),
	BAD("reserved", BYTE_RESERVED, "a reserved byte of a field"),
	BAD("no_start", NO_START, "an image without start"),
	BAD("start_twice", START_TWICE, "a start inside an image"),
	BAD("key_twice", KEY_TWICE, "a key twice in one image"),
	BAD("unknown_type", UNKNOWN_TYPE, "an unknown type that is not optional"),
	BAD("length_max", LENGTH_MAX, "a length of 2^64-1"),
	BAD("length_huge", LENGTH_HUGE, "a length of 2^63"),
	BAD("length_bound", LENGTH_BOUND, "a length beyond any image"),
	BAD("start_flags", START_FLAGS, "a reserved flag of start"),
	BAD("start_reserved", START_RESERVED, "start's reserved word"),
	BAD("start_length", START_LENGTH, "a start of another length"),
	BAD("start_index", START_INDEX, "a start with an index"),
	BAD("end_length", END_LENGTH, "an end with a value"),
	BAD("end_optional", END_OPTIONAL, "an end marked optional"),
	BAD("padding", PADDING, "padding that is not zero"),
	BAD("delta_first", DELTA_FIRST, "a delta without a full image before it"),
	BAD("index", INDEX_RANGE, "an index that the device does not have"),
	BAD("type_length", TYPE_LENGTH, "a wrong length of a known type"),
	BAD("after_end", AFTER_END, "a field behind end"),
	BAD("end_first", END_FIRST, "an end before any start"),
	CHECK("writing.refused_keeps", "a refused write leaves what was staged before it", BASE,
	      IN_F, refused_keeps),
	CHECK("writing.optional", "an unknown optional field is skipped", BOX, IN_F, optional,
	      0x7ff, 8),
	CHECK("writing.optional_empty", "an unknown optional field without a value is skipped", BOX,
	      IN_F, optional, 0x7ff, 0),
	CHECK("writing.optional_odd", "an unknown optional field of 1001 bytes is skipped", BOX,
	      IN_F, optional, 0x5ff, 1001),
	CHECK("writing.optional_first", "an unknown optional field before all others is skipped",
	      BOX, IN_F, optional, 0xfffe, 24, 1),
	CHECK("writing.not_visible", "what is staged cannot be read", W, IN_F, not_visible),
	CHECK("writing.discard_half", "discard, then a whole image",
	      SEED "Device Context Discard Command", IN_F, discard_half, 1000),
	CHECK("writing.discard_header", "discard inside a field's header, then a whole image",
	      SEED "Device Context Discard Command", IN_F, discard_half, 32),
	CHECK("writing.discard_drops", "after discard there is nothing to commit",
	      SEED "Device Context Discard Command", IN_F, discard_drops),
	CHECK("writing.cursor_stays", "write does not move the read cursor", W, IN_F, cursor_stays),
	CHECK("writing.other_member", "another VF's discard leaves what is staged",
	      SEED "Device Context Discard Command", IN_F | NEEDS_SPARE, other_member),
	CHECKS_END,
};
