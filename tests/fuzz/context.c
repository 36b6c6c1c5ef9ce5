// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as a context. The walk in one piece and the walk in pieces tell the same events and end in the same
 * verdict; and what is read of it can be decoded, checked and compared.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/context_check.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct story {
	uint64_t hash;
	uint64_t events; /* without VALUE, whose runs depend on the cuts */
	uint64_t value_at;
	uint64_t end_at; /* the event that is answered with an error */
	const uint8_t *from, *to;
};

static void fold(struct story *story, uint64_t value)
{
	story->hash = (story->hash ^ value) * 0x100000001b3ULL;
	story->hash ^= story->hash >> 29;
}

static int on_event(void *arg, const struct vferry_ctx_event *event)
{
	struct story *story = arg;

	if (event->kind == VFERRY_CTX_VALUE) {
		if (event->bytes < story->from || event->bytes + event->count > story->to ||
		    !event->count || event->offset != story->value_at)
			abort();
		story->value_at += event->count;
		for (uint64_t i = 0; i < event->count; i++)
			fold(story, event->bytes[i]);
		return 0;
	}
	story->value_at = 0;
	fold(story, event->kind);
	fold(story, (uint64_t)event->image << 1 | event->delta);
	fold(story, (uint64_t)event->type << 40 | (uint64_t)event->flags << 32 | event->index);
	fold(story, event->length);
	fold(story, event->offset);
	return ++story->events == story->end_at ? -7 : 0;
}

static bool some_are_known(void *arg, uint16_t type)
{
	return type % 5;
}

static int walk(struct vferry_ctx_walk_opts *opts, struct story *story, const uint8_t *data,
		size_t size, uint32_t seed, struct vferry_error *err, uint64_t *offset)
{
	struct vferry_ctx_walker *walker;
	int ret = 0;

	opts->arg = story;
	story->from = data;
	story->to = data + size;
	walker = vferry_ctx_walker_new(opts);
	while (size && !ret) {
		size_t piece = size;

		if (seed) {
			seed = seed * 1664525u + 1013904223u;
			piece = seed >> 16 & (seed & 0x100 ? 3 : 63);
			if (piece > size)
				piece = size;
		}
		ret = vferry_ctx_walk(walker, data, piece, err);
		data += piece;
		size -= piece;
	}
	*offset = vferry_ctx_walk_offset(walker);
	fold(story, vferry_ctx_walk_images(walker));
	fold(story, vferry_ctx_walk_open(walker));
	vferry_ctx_walker_free(walker);
	return ret;
}

static void note(void *arg, const struct vferry_ctx_finding *finding)
{
	*(size_t *)arg += strlen(finding->text) > 0;
}

static void use(const uint8_t *data, size_t size)
{
	struct vferry_context *ctx = vferry_context_new();
	struct vferry_ctx_pair pairs[VFERRY_CTX_PAIRS];
	struct vferry_error err;
	size_t findings = 0;

	vferry_context_add(ctx, data, size, &err);
	vferry_context_finish(ctx, &err);
	for (size_t i = 0; i < vferry_context_count(ctx); i++) {
		const struct vferry_ctx_entry *entry = vferry_context_entry(ctx, i);
		size_t count = vferry_ctx_decode(entry, pairs);

		if (!count || count > VFERRY_CTX_PAIRS ||
		    vferry_context_find(ctx, entry->type, entry->index) != entry)
			abort();
	}
	if (vferry_context_check(ctx, note, &findings) > findings ||
	    vferry_context_compare(ctx, ctx, NULL, NULL))
		abort();
	vferry_context_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vferry_ctx_walk_opts opts = { .event = on_event };
	struct story whole = { 0 }, pieces = { 0 };
	struct vferry_error first = { 0 }, second = { 0 };
	uint64_t first_at, second_at;
	int one, two;

	if (size < 4)
		return 0;
	opts.image_bound = data[0] & 1 ? UINT64_MAX : 64ULL * data[1];
	opts.fields_max = data[0] & 2 ? 1000 : data[1] % 8;
	opts.known = data[0] & 4 ? some_are_known : NULL;
	whole.end_at = pieces.end_at = data[0] & 8 ? data[2] : 0;
	one = walk(&opts, &whole, data + 4, size - 4, 0, &first, &first_at);
	two = walk(&opts, &pieces, data + 4, size - 4, 1u + data[3], &second, &second_at);
	if (one != two || first_at != second_at || whole.hash != pieces.hash ||
	    whole.events != pieces.events || strcmp(first.text, second.text))
		abort();
	use(data + 4, size - 4);
	return 0;
}
