// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What moves while the VF is frozen, beside what has changed since the last pass: found by comparing the blocks that the
 * pass carried with those that are there in Freeze.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vferry/context.h>
#include "tools/bench/pull.h"

struct picture {
	struct vferry_ctx_walker *walker;
	uint8_t *blocks;
	uint64_t bytes;
	int error;
	struct vferry_error why;
};

static int value(void *argument, const struct vferry_ctx_event *event)
{
	struct picture *picture = argument;
	uint64_t at = (uint64_t)event->index * VFERRY_CTX_BLOCK_BYTES + event->offset;

	if (event->kind != VFERRY_CTX_VALUE || event->type != VFERRY_CTX_BLOCK)
		return 0;
	if (at > picture->bytes || event->count > picture->bytes - at)
		return -ERANGE;
	memcpy(picture->blocks + at, event->bytes, event->count);
	return 0;
}

static void look(struct pull *pull, const struct vf_slot *slot, uint32_t length)
{
	struct picture *picture = pull->arg;

	if (!picture->error)
		picture->error =
			vferry_ctx_walk(picture->walker, slot->memory, length, &picture->why);
}

static int picture_new(struct picture *picture, uint64_t bytes)
{
	const struct vferry_ctx_walk_opts opts = {
		.image_bound = 2 * bytes + (1 << 20),
		.fields_max = 1 << 20,
		.event = value,
		.arg = picture,
	};

	*picture = (struct picture){ .bytes = bytes };
	picture->blocks = calloc(1, bytes);
	picture->walker = vferry_ctx_walker_new(&opts);
	return picture->blocks && picture->walker ? 0 : -ENOMEM;
}

static void picture_free(struct picture *picture)
{
	free(picture->blocks);
	if (picture->walker)
		vferry_ctx_walker_free(picture->walker);
}

/* A full image into @picture, or @picture NULL: only its size. */
static int take(struct pull *pull, struct picture *picture, bool frozen, struct vferry_error *err)
{
	int error;

	pull->chunk = picture ? look : NULL;
	pull->arg = picture;
	if (picture) {
		vferry_ctx_walk_reset(picture->walker);
		picture->error = 0;
	}
	error = pull_pass(pull, picture ? picture->bytes : 0, frozen, err);
	if (!error && picture && picture->error)
		error = vferry_fail(err, picture->error, "%s", picture->why.text);
	return error;
}

static uint64_t differing(const struct picture *a, const struct picture *b)
{
	uint64_t count = 0;

	for (uint64_t at = 0; at < a->bytes; at += 8)
		count += memcmp(a->blocks + at, b->blocks + at, 8) ? 8 : 0;
	return count;
}

static int one_pair(struct pull *pull, struct picture *before, struct picture *after,
		    const struct bench_opts *opts, unsigned int pair, struct vferry_error *err)
{
	const struct timespec pause = { .tv_sec = (time_t)(opts->pause_ns / 1000000000),
					.tv_nsec = (long)(opts->pause_ns % 1000000000) };
	struct vferry_owner *owner = pull->owner;
	struct bench_side ours = { 0 }, plain = { 0 };
	double begin;
	int error = vferry_mode_set(owner, pull->vf, VFERRY_MODE_ACTIVE, NULL, err);

	if (!error)
		error = vferry_ctx_discard(owner, pull->vf, NULL, err);
	if (!error)
		error = take(pull, before, false, err);
	if (error)
		return error;
	nanosleep(&pause, NULL);
	error = vferry_mode_set(owner, pull->vf, VFERRY_MODE_STOP, NULL, err);
	if (!error)
		error = vferry_mode_set(owner, pull->vf, VFERRY_MODE_FREEZE, NULL, err);
	begin = bench_seconds();
	if (!error)
		error = take(pull, NULL, true, err);
	ours.seconds = bench_seconds() - begin;
	ours.bytes = pull->bytes;
	if (!error)
		error = vferry_ctx_discard(owner, pull->vf, NULL, err);
	if (!error)
		error = take(pull, after, true, err);
	if (error)
		return error;
	plain.bytes = differing(before, after);
	bench_row("delta", pair, &ours, &plain);
	return 0;
}

int bench_delta(const struct bench_opts *opts, struct vferry_error *err)
{
	struct picture before, after;
	struct vferry_owner *owner = NULL;
	struct pull pull;
	int error = picture_new(&before, opts->bytes) | picture_new(&after, opts->bytes);

	if (error)
		error = vferry_fail(err, -ENOMEM, "out of memory");
	else
		error = pull_open(&owner, opts, err);
	if (!error)
		pull_init(&pull, owner, opts->first_vf);
	for (unsigned int i = 0; !error && i < opts->pairs; i++)
		error = one_pair(&pull, &before, &after, opts, i, err);
	if (owner)
		vferry_owner_close(owner);
	picture_free(&before);
	picture_free(&after);
	return error;
}
