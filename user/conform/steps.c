// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The commands of a member as steps of a check. What is read of an answer are the bytes that the device wrote, whatever the used length says. */
#include <stdlib.h>
#include <string.h>
#include "conform/conform.h"

unsigned int mode_get(struct conform *c)
{
	const struct ex *ex = command(c, VFERRY_CMD_DEV_MODE_GET, NULL, 0, 8);

	want_ok(c, ex, "mode_get");
	return ex->result[0];
}

void mode_set(struct conform *c, unsigned int mode)
{
	uint8_t data = (uint8_t)mode;
	char words[48];

	snprintf(words, sizeof(words), "mode_set %s", vferry_mode_name(mode));
	want_ok(c, command(c, VFERRY_CMD_DEV_MODE_SET, &data, 1, 0), words);
}

void mode_is(struct conform *c, unsigned int mode, const char *when)
{
	unsigned int now = mode_get(c);

	want(c, now == mode, "%s: mode_get says %u (%s), and it says %u (%s)", when, mode,
	     vferry_mode_name(mode), now, vferry_mode_name(now));
}

static bool try_mode(struct conform *c, unsigned int mode)
{
	uint8_t data = (uint8_t)mode;
	const struct ex *ex = command(c, VFERRY_CMD_DEV_MODE_SET, &data, 1, 0);

	return going(c) && !ex->error && !ex->status;
}

bool mode_to(struct conform *c, unsigned int mode)
{
	const struct ex *ex = command(c, VFERRY_CMD_DEV_MODE_GET, NULL, 0, 8);
	unsigned int now = ex->result[0];

	if (!going(c) || ex->error || ex->status)
		return false;
	if (now == mode)
		return true;
	/* A device that takes single steps only is still one whose other rules can be checked. */
	if (mode == VFERRY_MODE_FREEZE && now == VFERRY_MODE_ACTIVE)
		return try_mode(c, VFERRY_MODE_STOP) && try_mode(c, mode);
	return try_mode(c, mode);
}

uint64_t size_get(struct conform *c, bool freeze)
{
	uint8_t data = freeze;
	const struct ex *ex = command(c, VFERRY_CMD_DEV_CTX_SIZE_GET, &data, 1, 8);
	uint64_t size;

	want_ok(c, ex, "size_get");
	memcpy(&size, ex->result, sizeof(size));
	return going(c) ? le64toh(size) : 0;
}

void discard(struct conform *c)
{
	want_ok(c, command(c, VFERRY_CMD_DEV_CTX_DISCARD, NULL, 0, 0), "discard");
}

uint32_t read_chunk(struct conform *c, uint32_t room, struct blob *to)
{
	const struct ex *ex = command(c, VFERRY_CMD_DEV_CTX_READ, NULL, 0, room);

	want_ok(c, ex, "read");
	want(c, ex->output <= room, "context_len at most the room of %u bytes, and it is %u", room,
	     ex->output);
	if (!going(c))
		return 0;
	if (to)
		blob_add(to, ex->result, ex->output);
	return ex->output;
}

void read_image(struct conform *c, uint32_t chunk, struct blob *to)
{
	struct vferry_error err = { 0 };
	struct blob part = { 0 };
	int64_t end = 0;
	/* The walk over what came so far is made anew as it doubles. */
	uint64_t next_look = 0;

	while (going(c) && !end) {
		uint32_t count = read_chunk(c, chunk, &part);

		if (!going(c))
			break;
		if (!count || part.count >= next_look ||
		    (part.count >= 16 && part.at[part.count - 16] == VFERRY_CTX_END)) {
			end = blob_image_end(&part, &err);
			next_look = part.count * 2;
		}
		want(c, end >= 0, "images of the container's form, and: %s", err.text);
		want(c, !end || (uint64_t)end == part.count,
		     "nothing behind an end marker before the read that answers 0, and there are %llu bytes",
		     (unsigned long long)(part.count - (uint64_t)(end > 0 ? end : 0)));
		want(c, count || end, "context_len 0 only behind an end marker, and %s",
		     part.count ? "the image is not complete" : "nothing was said at all");
		want(c, part.count <= c->bound, "an end, and %llu bytes came without one",
		     (unsigned long long)part.count);
	}
	blob_add(to, part.at, part.count);
	blob_free(&part);
}

void read_rest(struct conform *c, struct blob *to)
{
	while (going(c) && read_chunk(c, CTX_CHUNK, to))
		want(c, to->count <= c->bound, "an end, and %llu bytes came without one",
		     (unsigned long long)to->count);
}

void read_end(struct conform *c)
{
	uint32_t count = read_chunk(c, CTX_CHUNK, NULL);

	want(c, !count, "context_len 0 behind the last byte of an image, and it is %u", count);
}

struct ex *write_ex(struct conform *c, const void *bytes, uint32_t count)
{
	return command(c, VFERRY_CMD_DEV_CTX_WRITE, bytes, count, 0);
}

void write_all(struct conform *c, const struct blob *from, uint32_t chunk)
{
	for (uint64_t at = 0; at < from->count && going(c);) {
		uint64_t left = from->count - at;
		uint32_t count = left < chunk ? (uint32_t)left : chunk;

		want_ok(c, write_ex(c, from->at + at, count), "write");
		at += count;
	}
}

void same_bytes(struct conform *c, const struct blob *a, const struct blob *b, const char *what)
{
	uint64_t at = 0;
	struct field_at field = { 0 };

	if (!going(c))
		return;
	if (a->count == b->count && !memcmp(a->at, b->at, a->count))
		return;
	while (at < a->count && at < b->count && a->at[at] == b->at[at])
		at++;
	for (uint64_t next = 0; blob_next(a, &next, &field) && next <= at;)
		;
	fail(c,
	     "%s: the same %llu bytes, and there are %llu that differ at byte %llu (%s %u, byte %llu of its field)",
	     what, (unsigned long long)a->count, (unsigned long long)b->count,
	     (unsigned long long)at, vferry_ctx_type_name(field.type), field.index,
	     (unsigned long long)(at - field.offset));
}

void same_state(struct conform *c, const struct blob *image, const char *when)
{
	struct blob now = { 0 };

	discard(c);
	read_image(c, CTX_CHUNK, &now);
	same_bytes(c, image, &now, when);
	blob_free(&now);
}
