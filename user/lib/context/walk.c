// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The walk over a stream of images: one state for each kind of byte, whatever the cuts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/context.h>
#include "context/keyset.h"

#define FIELD_BYTES sizeof(struct vferry_ctx_field)

enum state {
	HEADER,	 /* gathering a field header */
	START,	 /* gathering START's value */
	VALUE,	 /* in a field's value */
	PADDING, /* behind it */
};

struct vferry_ctx_walker {
	struct vferry_ctx_walk_opts opts;
	struct vf_keyset keys; /* of the open image */
	struct vferry_error why;
	int failed;
	enum state state;
	bool open;
	bool full_seen;
	bool delta;
	uint32_t images;
	uint32_t fields;      /* in the open image */
	uint64_t offset;      /* in the stream */
	uint64_t image_bytes; /* of the open image, padding included */
	uint8_t held[FIELD_BYTES];
	unsigned int held_count;

	/* the field under way */
	uint64_t field_at;
	uint16_t type;
	uint8_t flags;
	uint32_t index;
	uint64_t length;
	uint64_t value_at;
	unsigned int padding;
};

struct vferry_ctx_walker *vferry_ctx_walker_new(const struct vferry_ctx_walk_opts *opts)
{
	struct vferry_ctx_walker *walker = calloc(1, sizeof(*walker));

	if (!walker)
		return NULL;
	walker->opts = *opts;
	vf_keyset_init(&walker->keys);
	return walker;
}

void vferry_ctx_walker_free(struct vferry_ctx_walker *walker)
{
	if (!walker)
		return;
	vf_keyset_free(&walker->keys);
	free(walker);
}

void vferry_ctx_walk_reset(struct vferry_ctx_walker *walker)
{
	struct vferry_ctx_walk_opts opts = walker->opts;
	struct vf_keyset keys = walker->keys;

	vf_keyset_clear(&keys);
	*walker = (struct vferry_ctx_walker){ .opts = opts, .keys = keys };
}

uint32_t vferry_ctx_walk_images(const struct vferry_ctx_walker *walker)
{
	return walker->images;
}

uint64_t vferry_ctx_walk_offset(const struct vferry_ctx_walker *walker)
{
	return walker->offset;
}

bool vferry_ctx_walk_open(const struct vferry_ctx_walker *walker)
{
	return walker->open || walker->held_count || walker->state != HEADER;
}

__attribute__((format(printf, 2, 3))) static int refuse(struct vferry_ctx_walker *walker,
							const char *format, ...)
{
	char words[256];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	walker->failed = -EBADMSG;
	return vferry_fail(&walker->why, -EBADMSG,
			   "context image %u, field %s (0x%x) index %u at offset %llu: %s",
			   walker->images, vferry_ctx_type_name(walker->type), walker->type,
			   walker->index, (unsigned long long)walker->field_at, words);
}

static int tell(struct vferry_ctx_walker *walker, int kind, const uint8_t *bytes, uint64_t count)
{
	struct vferry_ctx_event event = {
		.kind = kind,
		.image = walker->images,
		.delta = walker->delta,
		.type = walker->type,
		.flags = walker->flags,
		.index = walker->index,
		.length = walker->length,
		.offset = bytes ? walker->value_at : walker->field_at,
		.bytes = bytes,
		.count = count,
	};
	int ret;

	if (!walker->opts.event)
		return 0;
	ret = walker->opts.event(walker->opts.arg, &event);
	if (ret) {
		walker->failed = ret;
		vferry_fail(&walker->why, ret, "context image %u, offset %llu: %s", walker->images,
			    (unsigned long long)walker->offset,
			    ret < 0 ? strerror(-ret) : "the walk was ended");
	}
	return ret;
}

/* Does a field of this length, and END behind it, still fit into the image? */
static bool fits(const struct vferry_ctx_walker *walker)
{
	uint64_t bound = walker->opts.image_bound;
	uint64_t used = walker->image_bytes;
	uint64_t tail = walker->type == VFERRY_CTX_END ? 0 : FIELD_BYTES;

	if (used > bound || tail > bound - used || walker->length > bound - used - tail)
		return false;
	return vferry_ctx_field_bytes(walker->length) - FIELD_BYTES <= bound - used - tail;
}

static int begin_marker(struct vferry_ctx_walker *walker)
{
	uint64_t want = walker->type == VFERRY_CTX_START ? sizeof(struct vferry_ctx_start) : 0;
	int ret;

	if (walker->flags)
		return refuse(walker, "a marker has no flags, these are 0x%02x", walker->flags);
	if (walker->index)
		return refuse(walker, "a marker's index is 0");
	if (walker->length != want)
		return refuse(walker, "length %llu, this marker's is %llu",
			      (unsigned long long)walker->length, (unsigned long long)want);
	if (walker->type == VFERRY_CTX_START) {
		walker->state = START;
		return 0;
	}
	walker->open = false;
	ret = tell(walker, VFERRY_CTX_IMAGE_END, NULL, 0);
	walker->images++;
	return ret;
}

static int begin_field(struct vferry_ctx_walker *walker)
{
	uint64_t padded = vferry_ctx_field_bytes(walker->length) - FIELD_BYTES;
	int ret;

	if (!(walker->flags & VFERRY_CTX_F_OPTIONAL) && walker->opts.known &&
	    !walker->opts.known(walker->opts.arg, walker->type))
		return refuse(walker, "this type is unknown here and not marked optional");
	if (walker->fields == walker->opts.fields_max)
		return refuse(walker, "more than %u fields in one image", walker->opts.fields_max);
	ret = vf_keyset_add(&walker->keys, (uint64_t)walker->type << 32 | walker->index);
	if (ret == -EEXIST)
		return refuse(walker, "this type and index came before in the same image");
	if (ret) {
		walker->failed = ret;
		return vferry_fail(&walker->why, ret, "no memory to remember %u context fields",
				   walker->fields);
	}
	walker->fields++;
	walker->value_at = 0;
	walker->padding = (unsigned int)(padded - walker->length);
	walker->image_bytes += padded;
	walker->state = VALUE;
	return tell(walker, VFERRY_CTX_FIELD_BEGIN, NULL, 0);
}

static int header_complete(struct vferry_ctx_walker *walker)
{
	struct vferry_ctx_field field;

	memcpy(&field, walker->held, sizeof(field));
	walker->field_at = walker->offset - FIELD_BYTES;
	walker->type = le16toh(field.type);
	walker->flags = field.flags;
	walker->index = le32toh(field.index);
	walker->length = le64toh(field.length);

	if (field.flags & ~VFERRY_CTX_F_OPTIONAL || field.reserved)
		return refuse(walker, "reserved bits are set: flags 0x%02x, reserved 0x%02x",
			      field.flags, field.reserved);
	if (!walker->open) {
		if (walker->type != VFERRY_CTX_START)
			return refuse(walker, "an image begins with start");
		walker->image_bytes = 0;
	} else if (walker->type == VFERRY_CTX_START) {
		return refuse(walker, "start inside an image that has no end yet");
	}
	walker->image_bytes += FIELD_BYTES;
	if (!fits(walker))
		return refuse(walker,
			      "a value of %llu bytes goes beyond the image's bound of %llu bytes "
			      "(%llu are used, and end needs 16)",
			      (unsigned long long)walker->length,
			      (unsigned long long)walker->opts.image_bound,
			      (unsigned long long)walker->image_bytes);
	if (walker->type == VFERRY_CTX_START || walker->type == VFERRY_CTX_END)
		return begin_marker(walker);
	return begin_field(walker);
}

static int start_complete(struct vferry_ctx_walker *walker)
{
	struct vferry_ctx_start start;
	uint32_t flags;

	memcpy(&start, walker->held, sizeof(start));
	flags = le32toh(start.flags);
	if (flags & ~(uint32_t)VFERRY_CTX_START_F_DELTA || start.reserved)
		return refuse(walker, "reserved bits are set: flags 0x%08x, reserved 0x%08x", flags,
			      le32toh(start.reserved));
	walker->delta = flags & VFERRY_CTX_START_F_DELTA;
	if (walker->delta && !walker->full_seen)
		return refuse(walker, "a delta with no full image before it");
	walker->full_seen = true;
	walker->open = true;
	walker->fields = 0;
	walker->image_bytes += sizeof(start);
	vf_keyset_clear(&walker->keys);
	walker->state = HEADER;
	return tell(walker, VFERRY_CTX_IMAGE_BEGIN, NULL, 0);
}

/* Fills walker->held up to @want bytes; returns how many of @count were taken. */
static uint64_t gather(struct vferry_ctx_walker *walker, const uint8_t *bytes, uint64_t count,
		       unsigned int want)
{
	uint64_t take = want - walker->held_count;

	if (take > count)
		take = count;
	memcpy(walker->held + walker->held_count, bytes, take);
	walker->held_count += (unsigned int)take;
	walker->offset += take;
	return take;
}

static uint64_t take_value(struct vferry_ctx_walker *walker, const uint8_t *bytes, uint64_t count,
			   int *ret)
{
	uint64_t take = walker->length - walker->value_at;

	if (take > count)
		take = count;
	*ret = tell(walker, VFERRY_CTX_VALUE, bytes, take);
	walker->offset += take;
	walker->value_at += take;
	return take;
}

static uint64_t take_padding(struct vferry_ctx_walker *walker, const uint8_t *bytes, uint64_t count,
			     int *ret)
{
	uint64_t take = 0;

	for (; take < count && walker->padding; take++, walker->padding--) {
		if (bytes[take]) {
			*ret = refuse(walker, "padding at offset %llu is 0x%02x, not zero",
				      (unsigned long long)walker->offset, bytes[take]);
			break;
		}
		walker->offset++;
	}
	return take;
}

static uint64_t step(struct vferry_ctx_walker *walker, const uint8_t *bytes, uint64_t count,
		     int *ret)
{
	bool header = walker->state == HEADER;
	unsigned int want = header ? FIELD_BYTES : sizeof(struct vferry_ctx_start);
	uint64_t took;

	switch (walker->state) {
	case HEADER:
	case START:
		took = gather(walker, bytes, count, want);
		if (walker->held_count == want) {
			walker->held_count = 0;
			*ret = header ? header_complete(walker) : start_complete(walker);
		}
		break;
	case VALUE:
		took = take_value(walker, bytes, count, ret);
		break;
	default:
		took = take_padding(walker, bytes, count, ret);
	}
	/* A field ends with its last byte, not when the next one comes. */
	if (!*ret && walker->state == VALUE && walker->value_at == walker->length)
		walker->state = PADDING;
	if (!*ret && walker->state == PADDING && !walker->padding) {
		walker->state = HEADER;
		*ret = tell(walker, VFERRY_CTX_FIELD_END, NULL, 0);
	}
	return took;
}

int vferry_ctx_walk(struct vferry_ctx_walker *walker, const void *bytes, uint64_t count,
		    struct vferry_error *err)
{
	const uint8_t *at = bytes;
	int ret = walker->failed;

	while (!ret && count) {
		uint64_t took = step(walker, at, count, &ret);

		at += took;
		count -= took;
	}
	if (ret && err)
		*err = walker->why;
	return ret;
}
