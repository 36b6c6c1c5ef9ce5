// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * All images of a stream, merged by key. Fields are noted in the order in which they come; sorting them leaves the
 * last of each key. It is done again whenever the notes have doubled, so that many deltas do not fill the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <vferry/context_check.h>

#define FIELDS_MAX  (1u << 20)
#define IMAGE_BOUND (1ULL << 40) /* values are not stored, so this bounds no memory */
#define KEPT_MAX    (64u << 20)	 /* of all values together; beyond, digests have to do */
#define FIRST_ROOM  256
#define READ_BYTES  (256u << 10)

struct vferry_context {
	struct vferry_ctx_walker *walker;
	XXH3_state_t *hash;
	struct vferry_ctx_totals totals;
	struct vferry_ctx_entry *entries;
	size_t count;
	size_t room;
	size_t merged; /* of entries, sorted and without repetition */
	uint64_t kept;
	uint8_t *value; /* of the field under way, or NULL */
	int failed;
	struct vferry_error why;
};

static int begin(struct vferry_context *ctx, const struct vferry_ctx_event *event)
{
	XXH3_128bits_reset(ctx->hash);
	ctx->totals.fields++;
	if (event->length > VFERRY_CTX_KEPT || ctx->kept + event->length > KEPT_MAX)
		return 0;
	/* One byte more: a value of no bytes is kept too. */
	ctx->value = malloc(event->length + 1);
	if (!ctx->value)
		return -ENOMEM;
	ctx->kept += event->length;
	return 0;
}

static void drop(struct vferry_context *ctx, struct vferry_ctx_entry *entry)
{
	if (entry->value)
		ctx->kept -= entry->length;
	free((void *)entry->value);
}

static int by_key(const void *one, const void *two)
{
	const struct vferry_ctx_entry *a = one, *b = two;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool same_key(const struct vferry_ctx_entry *a, const struct vferry_ctx_entry *b)
{
	return a->type == b->type && a->index == b->index;
}

static void merge(struct vferry_context *ctx)
{
	size_t out = 0;

	if (ctx->count)
		qsort(ctx->entries, ctx->count, sizeof(*ctx->entries), by_key);
	for (size_t i = 0; i < ctx->count; i++) {
		if (out && same_key(&ctx->entries[out - 1], &ctx->entries[i]))
			drop(ctx, &ctx->entries[--out]);
		ctx->entries[out++] = ctx->entries[i];
	}
	ctx->count = out;
	ctx->merged = out;
}

static int make_room(struct vferry_context *ctx)
{
	size_t room = ctx->room ? ctx->room * 2 : FIRST_ROOM;
	struct vferry_ctx_entry *entries;

	if (ctx->count < ctx->room)
		return 0;
	if (ctx->count >= ctx->merged * 2)
		merge(ctx);
	if (ctx->count < ctx->room / 2)
		return 0;
	entries = realloc(ctx->entries, room * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	ctx->entries = entries;
	ctx->room = room;
	return 0;
}

static int end(struct vferry_context *ctx, const struct vferry_ctx_event *event)
{
	XXH128_hash_t digest = XXH3_128bits_digest(ctx->hash);
	int ret = make_room(ctx);

	if (ret)
		return ret;
	ctx->entries[ctx->count++] = (struct vferry_ctx_entry){
		.type = event->type,
		.flags = event->flags,
		.index = event->index,
		.image = event->image,
		.offset = event->offset,
		.length = event->length,
		.value = ctx->value,
		.digest = { digest.high64, digest.low64 },
	};
	ctx->value = NULL;
	return 0;
}

static int on_event(void *arg, const struct vferry_ctx_event *event)
{
	struct vferry_context *ctx = arg;

	switch (event->kind) {
	case VFERRY_CTX_FIELD_BEGIN:
		return begin(ctx, event);
	case VFERRY_CTX_VALUE:
		XXH3_128bits_update(ctx->hash, event->bytes, event->count);
		if (ctx->value)
			memcpy(ctx->value + event->offset, event->bytes, event->count);
		return 0;
	case VFERRY_CTX_FIELD_END:
		return end(ctx, event);
	case VFERRY_CTX_IMAGE_END:
		ctx->totals.images++;
		ctx->totals.deltas += event->delta;
		return 0;
	default:
		return 0;
	}
}

struct vferry_context *vferry_context_new(void)
{
	struct vferry_context *ctx = calloc(1, sizeof(*ctx));
	struct vferry_ctx_walk_opts opts = {
		.image_bound = IMAGE_BOUND,
		.fields_max = FIELDS_MAX,
		.event = on_event,
		.arg = ctx,
	};

	if (!ctx)
		return NULL;
	ctx->walker = vferry_ctx_walker_new(&opts);
	ctx->hash = XXH3_createState();
	if (!ctx->walker || !ctx->hash) {
		vferry_context_free(ctx);
		return NULL;
	}
	return ctx;
}

void vferry_context_free(struct vferry_context *ctx)
{
	if (!ctx)
		return;
	for (size_t i = 0; i < ctx->count; i++)
		free((void *)ctx->entries[i].value);
	free(ctx->entries);
	free(ctx->value);
	XXH3_freeState(ctx->hash);
	vferry_ctx_walker_free(ctx->walker);
	free(ctx);
}

int vferry_context_add(struct vferry_context *ctx, const void *bytes, uint64_t count,
		       struct vferry_error *err)
{
	int ret = ctx->failed;

	if (!ret)
		ret = vferry_ctx_walk(ctx->walker, bytes, count, &ctx->why);
	ctx->failed = ret;
	if (ret && err)
		*err = ctx->why;
	return ret;
}

int vferry_context_finish(struct vferry_context *ctx, struct vferry_error *err)
{
	uint64_t at = vferry_ctx_walk_offset(ctx->walker);

	ctx->totals.bytes = at;
	merge(ctx);
	ctx->totals.value_bytes = 0;
	for (size_t i = 0; i < ctx->count; i++)
		ctx->totals.value_bytes += ctx->entries[i].length;
	if (!ctx->failed && vferry_ctx_walk_open(ctx->walker))
		ctx->failed = vferry_fail(
			&ctx->why, -EBADMSG,
			"the context ends at offset %llu inside image %u, which has no end: it was cut",
			(unsigned long long)at, ctx->totals.images);
	else if (!ctx->failed && !ctx->totals.images)
		ctx->failed = vferry_fail(&ctx->why, -EBADMSG, "the context is empty: no image");
	if (ctx->failed && err)
		*err = ctx->why;
	return ctx->failed;
}

int vferry_context_read(struct vferry_context *ctx, int fd, struct vferry_error *err)
{
	uint8_t *buffer = malloc(READ_BYTES);
	int ret = buffer ? 0 : vferry_fail(err, -ENOMEM, "no memory to read a context");
	ssize_t got;

	while (!ret) {
		got = read(fd, buffer, READ_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			ret = vferry_fail(err, -errno,
					  "reading the context failed at offset %llu: %s",
					  (unsigned long long)vferry_ctx_walk_offset(ctx->walker),
					  strerror(errno));
		if (got <= 0)
			break;
		ret = vferry_context_add(ctx, buffer, (uint64_t)got, err);
	}
	free(buffer);
	if (ret)
		vferry_context_finish(ctx, NULL);
	else
		ret = vferry_context_finish(ctx, err);
	return ret;
}

const struct vferry_ctx_totals *vferry_context_totals(const struct vferry_context *ctx)
{
	return &ctx->totals;
}

size_t vferry_context_count(const struct vferry_context *ctx)
{
	return ctx->count;
}

const struct vferry_ctx_entry *vferry_context_entry(const struct vferry_context *ctx, size_t n)
{
	return n < ctx->count ? &ctx->entries[n] : NULL;
}

const struct vferry_ctx_entry *vferry_context_find(const struct vferry_context *ctx, uint16_t type,
						   uint32_t index)
{
	struct vferry_ctx_entry key = { .type = type, .index = index };
	size_t low = 0, high = ctx->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_key(&ctx->entries[middle], &key) < 0 &&
		    !same_key(&ctx->entries[middle], &key))
			low = middle + 1;
		else
			high = middle;
	}
	return low < ctx->count && same_key(&ctx->entries[low], &key) ? &ctx->entries[low] : NULL;
}
