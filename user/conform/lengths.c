// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of readable and writable parts of every length and cut, and of the used length. */
#include <string.h>
#include "conform/conform.h"

#define ANSWER 8u

static const struct ex *mode_get_raw(struct conform *c, uint32_t readable, uint32_t writable,
				     uint32_t cut)
{
	struct vferry_admin_hdr head = header(VFERRY_CMD_DEV_MODE_GET, VFERRY_GROUP_SRIOV, c->vf);
	uint8_t bytes[4096];

	/* What is more than the header must not matter. */
	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, &head, sizeof(head));
	return raw(c, bytes, readable, writable, cut);
}

static void readable(struct conform *c, const struct check *check)
{
	const struct ex *ex = mode_get_raw(c, (uint32_t)check->a, 16, 0);

	want_ok(c, ex, check->title);
	want(c, ex->result[0] <= VFERRY_MODE_FREEZE, "a mode, and it is %u", ex->result[0]);
}

/* Missing bytes read as zero: group type 0, or member 0. */
static void readable_short(struct conform *c, const struct check *check)
{
	want_refused(c, mode_get_raw(c, (uint32_t)check->a, 16, 0), (uint16_t)check->b,
		     check->title);
}

/* MODE_GET's answer has 9 bytes. */
static void writable(struct conform *c, const struct check *check)
{
	uint32_t room = (uint32_t)check->a, least = room < 9 ? room : 9;
	const struct ex *ex = mode_get_raw(c, 24, room, 0);
	uint8_t status[2] = { ex->answer[0], room > 1 ? ex->answer[1] : 0 };

	want(c, !status[0] && !status[1],
	     "status 0 (ok) as far as there is room, and it begins 0x%02x", status[0]);
	want(c, ex->used >= least && ex->used <= room,
	     "a used length from %u (what the answer has, or the room) to %u, and it is %u", least,
	     room, ex->used);
	want_untouched(c, ex, ex->used);
}

static void cut(struct conform *c, const struct check *check)
{
	const struct ex *ex = mode_get_raw(c, 24, 16, (uint32_t)check->a);

	want_ok(c, ex, check->title);
	want(c, ex->result[0] <= VFERRY_MODE_FREEZE, "a mode, and it is %u", ex->result[0]);
}

static void set_mode_raw(struct conform *c, uint32_t count, uint8_t mode, const char *title)
{
	struct vferry_admin_hdr head = header(VFERRY_CMD_DEV_MODE_SET, VFERRY_GROUP_SRIOV, c->vf);
	uint8_t bytes[4096];

	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, &head, sizeof(head));
	bytes[sizeof(head)] = mode;
	want_ok(c, raw(c, bytes, count, 8, 0), title);
}

static void mode_set_length(struct conform *c, const struct check *check)
{
	set_mode_raw(c, (uint32_t)check->a, VFERRY_MODE_FREEZE, check->title);
	mode_is(c, check->a > 24 ? VFERRY_MODE_FREEZE : VFERRY_MODE_ACTIVE, check->title);
}

static void size_get_length(struct conform *c, const struct check *check)
{
	struct vferry_admin_hdr head =
		header(VFERRY_CMD_DEV_CTX_SIZE_GET, VFERRY_GROUP_SRIOV, c->vf);
	uint8_t bytes[64];

	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, &head, sizeof(head));
	bytes[sizeof(head)] = 1;
	want_ok(c, raw(c, bytes, (uint32_t)check->a, 16, 0), check->title);
}

static void list_query_room(struct conform *c, const struct check *check)
{
	struct vferry_admin_hdr head = header(VFERRY_CMD_LIST_QUERY, VFERRY_GROUP_SRIOV, 0);
	uint32_t room = (uint32_t)check->a;
	const struct ex *ex = raw(c, &head, sizeof(head), room, 0);

	want(c, !ex->answer[0], "status 0 (ok), and it begins 0x%02x", ex->answer[0]);
	want(c, ex->used <= room, "a used length of %u at most, and it is %u", room, ex->used);
	want_untouched(c, ex, ex->used);
}

/* @a: opcode, @b: used length */
static void used_exact(struct conform *c, const struct check *check)
{
	static const uint8_t active = VFERRY_MODE_ACTIVE;
	bool mode = check->a == VFERRY_CMD_DEV_MODE_SET;
	const struct ex *ex = command(c, (uint16_t)check->a, &active, mode, 56);

	want_used(c, ex, (uint32_t)check->b, check->title);
	want_untouched(c, ex, ex->used);
}

static void used_at_least(struct conform *c, const struct check *check)
{
	const struct ex *ex = command(c, (uint16_t)check->a, NULL, 0, 56);

	want_ok(c, ex, check->title);
	want(c, ex->used >= check->b && ex->used <= 64,
	     "a used length from %llu to 64, and it is %u", (unsigned long long)check->b, ex->used);
	want_untouched(c, ex, ex->used);
}

static void used_refused(struct conform *c, const struct check *check)
{
	const struct ex *ex = command(c, 0x7fff, NULL, 0, 56);

	want_used(c, ex, ANSWER, check->title);
	want_untouched(c, ex, ANSWER);
}

static void used_read(struct conform *c, const struct check *check)
{
	const struct ex *ex = command(c, VFERRY_CMD_DEV_CTX_READ, NULL, 0, (uint32_t)check->a);

	want_ok(c, ex, "read");
	want(c, ex->output && ex->output <= check->a, "context_len from 1 to %llu, and it is %u",
	     (unsigned long long)check->a, ex->output);
	want_used(c, ex, ANSWER + ex->output, "8 and context_len");
	want_untouched(c, ex, ex->used);
}

static void discard_length(struct conform *c, const struct check *check)
{
	struct vferry_admin_hdr head =
		header(VFERRY_CMD_DEV_CTX_DISCARD, VFERRY_GROUP_SRIOV, c->vf);
	uint8_t bytes[4096];

	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, &head, sizeof(head));
	want_ok(c, raw(c, bytes, (uint32_t)check->a, (uint32_t)check->b, 0), check->title);
}

static void fields_room(struct conform *c, const struct check *check)
{
	const struct ex *ex = command(c, VFERRY_CMD_DEV_CTX_FIELDS_QUERY, NULL, 0, 4096);
	uint32_t all = ex->used > ANSWER ? ex->used - ANSWER : 0, room = (uint32_t)check->a;
	struct blob *whole = blob(c);

	want_ok(c, ex, "fields");
	blob_add(whole, ex->result, all < 4096 ? all : 4096);
	ex = command(c, VFERRY_CMD_DEV_CTX_FIELDS_QUERY, NULL, 0, room);
	want_ok(c, ex, check->title);
	want(c, ex->used <= ANSWER + room, "a used length of %u at most, and it is %u",
	     ANSWER + room, ex->used);
	want(c,
	     ex->used < ANSWER || whole->count < ex->used - ANSWER ||
		     !memcmp(whole->at, ex->result, ex->used - ANSWER),
	     "the beginning of what is answered with more room");
	want_untouched(c, ex, ex->used);
}

#define LEN BASE ", lengths"
#define READABLE(n) \
	CHECK("lengths.readable_" #n, "a readable part of " #n " bytes", LEN, 0, readable, n)
#define SHORT(n, q, what)                                                                       \
	CHECK("lengths.readable_" #n, "of " #n " readable bytes the rest reads as zero: " what, \
	      LEN, 0, readable_short, n, q)
#define WRITABLE(n) \
	CHECK("lengths.writable_" #n, "a writable part of " #n " bytes", LEN, 0, writable, n)
#define CUT(n) CHECK("lengths.cut_" #n, "both parts in runs of " #n " bytes", QUEUE, 0, cut, n)
#define MODE_SET(n, what)                                                               \
	CHECK("lengths.mode_set_" #n, "mode_set with " #n " readable bytes " what, LEN, \
	      NEEDS_CHANGES | NEEDS_STOP, mode_set_length, n)
#define LIST_ROOM(n)                                                                     \
	CHECK("lengths.list_query_" #n, "list_query with " #n " writable bytes", LEN, 0, \
	      list_query_room, n)
#define DISCARD(r, w)                                                                       \
	CHECK("lengths.discard_" #r "_" #w,                                                 \
	      "discard with " #r " readable and " #w " writable bytes", LEN, NEEDS_CHANGES, \
	      discard_length, r, w)

const struct check conform_lengths[] = {
	SHORT(1, VFERRY_Q_INVALID_GROUP, "no group type"),
	SHORT(2, VFERRY_Q_INVALID_GROUP, "no group type"),
	SHORT(4, VFERRY_Q_INVALID_MEMBER, "member 0"),
	SHORT(8, VFERRY_Q_INVALID_MEMBER, "member 0"),
	SHORT(16, VFERRY_Q_INVALID_MEMBER, "member 0"),
	READABLE(17),
	READABLE(23),
	READABLE(24),
	READABLE(25),
	READABLE(31),
	READABLE(32),
	READABLE(33),
	READABLE(40),
	READABLE(4096),
	WRITABLE(1),
	WRITABLE(2),
	WRITABLE(4),
	WRITABLE(7),
	WRITABLE(8),
	WRITABLE(9),
	WRITABLE(11),
	WRITABLE(16),
	WRITABLE(4096),
	CUT(2),
	CUT(3),
	CUT(5),
	CUT(8),
	MODE_SET(24, "asks for Active"),
	MODE_SET(25, "asks for what its last byte says"),
	MODE_SET(31, "asks for what the first byte of data says"),
	MODE_SET(32, "asks for what the first byte of data says"),
	MODE_SET(64, "asks for what the first byte of data says"),
	CHECK("lengths.size_get_24", "size_get without data asks for the mode as it is", LEN, 0,
	      size_get_length, 24),
	CHECK("lengths.size_get_25", "size_get with one byte of data", LEN, 0, size_get_length, 25),
	CHECK("lengths.size_get_40", "size_get with more data than it has", LEN, 0, size_get_length,
	      40),
	LIST_ROOM(1),
	LIST_ROOM(8),
	LIST_ROOM(12),
	LIST_ROOM(17),
	DISCARD(24, 8),
	DISCARD(27, 9),
	DISCARD(64, 4),
	CHECK("lengths.fields_24", "fields with room for an entry and a half", LEN, 0, fields_room,
	      24),
	CHECK("lengths.fields_0", "fields with no room", LEN, 0, fields_room, 0),
	CHECK("lengths.used_mode_set", "the used length of mode_set is 8", LEN, NEEDS_CHANGES,
	      used_exact, VFERRY_CMD_DEV_MODE_SET, ANSWER),
	CHECK("lengths.used_discard", "the used length of discard is 8", LEN, NEEDS_CHANGES,
	      used_exact, VFERRY_CMD_DEV_CTX_DISCARD, ANSWER),
	CHECK("lengths.used_write_refused", "the used length of a refused write is 8", LEN,
	      NEEDS_CHANGES, used_exact, VFERRY_CMD_DEV_CTX_WRITE, ANSWER),
	CHECK("lengths.used_mode_get", "the used length of mode_get covers the mode", LEN, 0,
	      used_at_least, VFERRY_CMD_DEV_MODE_GET, ANSWER + 1),
	CHECK("lengths.used_size_get", "the used length of size_get covers the size", LEN, 0,
	      used_at_least, VFERRY_CMD_DEV_CTX_SIZE_GET, ANSWER + 8),
	CHECK("lengths.used_refused", "the used length of a refusal is 8", LEN, 0, used_refused),
	CHECK("lengths.used_read_16", "the used length of a read of 16 bytes is 8 and context_len",
	      SEED "Device Context Read Command", NEEDS_CHANGES, used_read, 16),
	CHECK("lengths.used_read_4096",
	      "the used length of a read of 4096 bytes is 8 and context_len",
	      SEED "Device Context Read Command", NEEDS_CHANGES, used_read, 4096),
	CHECKS_END,
};
