// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reading a context in Freeze, beside one memcpy of as many bytes, from the same kind of memory as the software device
 * keeps it in, into the same slots in the same order: what the device model cannot do without.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "tools/bench/pull.h"

struct landing { /* where each chunk went */
	void *memory;
	uint32_t length;
};

struct landings {
	struct landing *at;
	size_t count, room;
};

static void landed(struct pull *pull, const struct vf_slot *slot, uint32_t length)
{
	struct landings *landings = pull->arg;

	if (landings->count < landings->room)
		landings->at[landings->count++] = (struct landing){ slot->memory, length };
}

static int read_once(struct pull *pull, const struct bench_opts *opts, struct bench_side *side,
		     struct vferry_error *err)
{
	struct landings *landings = pull->arg;
	uint64_t estimate = 0;
	double begin, cpu;
	int error = vferry_ctx_discard(pull->owner, pull->vf, NULL, err);

	if (!error)
		error = vferry_ctx_size(pull->owner, pull->vf, true, &estimate, NULL, err);
	if (error)
		return error;
	landings->count = 0;
	begin = bench_seconds();
	cpu = bench_cpu();
	error = pull_pass(pull, estimate, true, err);
	*side = (struct bench_side){ bench_seconds() - begin, bench_cpu() - cpu, pull->bytes };
	if (!error && pull->bytes < opts->bytes)
		return vferry_fail(err, -EIO,
				   "the context has %llu bytes only: start vferry-owner "
				   "with --context-bytes",
				   (unsigned long long)pull->bytes);
	return error;
}

static void copy_once(const struct landings *landings, const uint8_t *source, uint64_t bytes,
		      struct bench_side *side)
{
	double begin = bench_seconds(), cpu = bench_cpu();
	uint64_t at = 0;

	for (size_t i = 0; i < landings->count; i++) {
		uint32_t length = landings->at[i].length;

		if (length > bytes - at)
			length = (uint32_t)(bytes - at);
		memcpy(landings->at[i].memory, source + at, length);
		at += length;
	}
	*side = (struct bench_side){ bench_seconds() - begin, bench_cpu() - cpu, at };
}

int bench_read(const struct bench_opts *opts, struct vferry_error *err)
{
	struct landings landings = { .room = opts->bytes / 1024 };
	struct vferry_owner *owner = NULL;
	struct pull pull;
	struct bench_side ours, plain;
	/* As vferry-owner keeps its blocks. */
	uint8_t *source =
		mmap(NULL, opts->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int error = pull_open(&owner, opts, err);

	landings.at = calloc(landings.room, sizeof(*landings.at));
	if (!error && (source == MAP_FAILED || !landings.at))
		error = vferry_fail(err, -ENOMEM, "out of memory");
	if (!error) {
		madvise(source, opts->bytes, MADV_HUGEPAGE);
		memset(source, 0x5a, opts->bytes);
		pull_init(&pull, owner, opts->first_vf);
		pull.chunk = landed;
		pull.arg = &landings;
		error = vferry_mode_set(owner, opts->first_vf, VFERRY_MODE_FREEZE, NULL, err);
	}
	/* The first pass touches all memory on both sides and is not counted. */
	for (unsigned int i = 0; !error && i <= opts->pairs; i++) {
		error = read_once(&pull, opts, &ours, err);
		if (error)
			break;
		copy_once(&landings, source, opts->bytes, &plain);
		if (i)
			bench_row("read", i - 1, &ours, &plain);
	}
	if (owner)
		vferry_owner_close(owner);
	if (source != MAP_FAILED)
		munmap(source, opts->bytes);
	free(landings.at);
	return error;
}
