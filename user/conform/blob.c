// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bytes that grow, and images made and taken apart by hand: the device under test must not share our walker's view alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "conform/conform.h"

struct blob *blob(struct conform *c)
{
	/* The table's checks use a few; one more is a mistake in the program. */
	if (c->blob_count == BLOBS)
		abort();
	return &c->blobs[c->blob_count++];
}

static void need(struct blob *b, uint64_t more)
{
	if (b->room - b->count >= more)
		return;
	b->room = (b->count + more) * 2 + 4096;
	b->at = realloc(b->at, b->room);
	if (!b->at)
		abort();
}

void blob_add(struct blob *b, const void *bytes, uint64_t count)
{
	if (!count)
		return;
	need(b, count);
	memcpy(b->at + b->count, bytes, count);
	b->count += count;
}

void blob_cut(struct blob *b, uint64_t count)
{
	if (count < b->count)
		b->count = count;
}

void blob_free(struct blob *b)
{
	free(b->at);
	*b = (struct blob){ 0 };
}

void blob_insert(struct blob *b, uint64_t at, const void *bytes, uint64_t count)
{
	if (at > b->count)
		at = b->count;
	need(b, count);
	memmove(b->at + at + count, b->at + at, b->count - at);
	memcpy(b->at + at, bytes, count);
	b->count += count;
}

void blob_field(struct blob *b, uint16_t type, uint8_t flags, uint32_t index, const void *value,
		uint64_t length)
{
	static const uint8_t zeros[VFERRY_CTX_ALIGN];
	struct vferry_ctx_field field = {
		.type = htole16(type),
		.flags = flags,
		.index = htole32(index),
		.length = htole64(length),
	};

	blob_add(b, &field, sizeof(field));
	blob_add(b, value, length);
	blob_add(b, zeros, (0 - length) % VFERRY_CTX_ALIGN);
}

void blob_start(struct blob *b, bool delta)
{
	struct vferry_ctx_start start = { .flags = htole32(delta ? VFERRY_CTX_START_F_DELTA : 0) };

	blob_field(b, VFERRY_CTX_START, 0, 0, &start, sizeof(start));
}

void blob_end(struct blob *b)
{
	blob_field(b, VFERRY_CTX_END, 0, 0, NULL, 0);
}

bool blob_next(const struct blob *b, uint64_t *at, struct field_at *field)
{
	struct vferry_ctx_field head;
	uint64_t left;

	if (*at > b->count || b->count - *at < sizeof(head))
		return false;
	memcpy(&head, b->at + *at, sizeof(head));
	left = b->count - *at - sizeof(head);
	*field = (struct field_at){
		.offset = *at,
		.type = le16toh(head.type),
		.flags = head.flags,
		.index = le32toh(head.index),
		.length = le64toh(head.length),
	};
	if (field->length > left || ((field->length + 7) & ~7ull) > left)
		return false;
	field->bytes = vferry_ctx_field_bytes(field->length);
	*at += field->bytes;
	return true;
}

bool blob_find(const struct blob *b, uint16_t type, uint32_t index, struct field_at *field)
{
	uint64_t at = 0;

	while (blob_next(b, &at, field))
		if (field->type == type && field->index == index)
			return true;
	return false;
}

struct end_of {
	uint64_t first_end;
	bool delta;
};

static int note_end(void *arg, const struct vferry_ctx_event *event)
{
	struct end_of *end = arg;

	if (event->kind == VFERRY_CTX_IMAGE_BEGIN && !event->image)
		end->delta = event->delta;
	if (event->kind != VFERRY_CTX_IMAGE_END)
		return 0;
	end->first_end = event->offset + sizeof(struct vferry_ctx_field);
	return -ECANCELED; /* seen enough */
}

static int64_t walk(const struct blob *b, bool *delta, struct vferry_error *err)
{
	struct end_of end = { 0 };
	const struct vferry_ctx_walk_opts opts = {
		.image_bound = CTX_BOUND,
		.fields_max = 1u << 20,
		.event = note_end,
		.arg = &end,
	};
	struct vferry_ctx_walker *walker = vferry_ctx_walker_new(&opts);
	struct blob full = { 0 };
	uint64_t at = 0;
	struct field_at first;
	int ret;

	if (!walker)
		abort();
	/* A delta stands behind a full image; here it may stand alone: its flag is looked at by hand. */
	blob_add(&full, b->at, b->count);
	*delta = false;
	if (blob_next(&full, &at, &first) && first.type == VFERRY_CTX_START && first.length == 8 &&
	    full.at[16] & VFERRY_CTX_START_F_DELTA) {
		*delta = true;
		full.at[16] &= (uint8_t)~VFERRY_CTX_START_F_DELTA;
	}
	ret = full.count ? vferry_ctx_walk(walker, full.at, full.count, err) : 0;
	vferry_ctx_walker_free(walker);
	blob_free(&full);
	if (ret && ret != -ECANCELED)
		return ret;
	return (int64_t)end.first_end;
}

int64_t blob_image_end(const struct blob *b, struct vferry_error *err)
{
	bool delta;

	return walk(b, &delta, err);
}

bool blob_is_image(const struct blob *b, bool *delta, struct vferry_error *err)
{
	int64_t bytes = walk(b, delta, err);

	if (bytes >= 0 && (uint64_t)bytes == b->count && bytes)
		return true;
	if (bytes >= 0)
		vferry_fail(err, -EBADMSG,
			    bytes ? "bytes follow its end marker" : "it has no end marker");
	return false;
}
