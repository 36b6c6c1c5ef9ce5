// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include "tools/bench/pull.h"

#define PATIENCE_NS 60000000000ull

static void chunk(void *argument, struct vf_slot *slot, uint32_t length)
{
	struct pull *pull = argument;

	pull->bytes += length;
	if (pull->chunk)
		pull->chunk(pull, slot, length);
	vf_arena_put(pull->owner->arena, slot);
	vf_reader_slots(&pull->reader);
}

static void pass_end(void *argument)
{
	(void)argument;
}

static void stopped(void *argument, int error, const struct vferry_error *why)
{
	struct pull *pull = argument;

	pull->busy = false;
	pull->error = error;
	if (error && why)
		pull->why = *why;
	if (pull->over)
		pull->over(pull);
}

int pull_open(struct vferry_owner **owner, const struct bench_opts *opts, struct vferry_error *err)
{
	uint16_t vfs[VF_MAX_VFS];
	struct vferry_owner_opts how = {
		.size = sizeof(how),
		.flags = VFERRY_OWNER_DIRECT,
		.vfs = vfs,
		.vfs_count = opts->vfs,
		.slot_bytes = opts->chunk,
		.arena_bytes = opts->arena,
		.timeout_ns = PATIENCE_NS,
		.num_vfs = opts->hidden ? 0 : (uint16_t)(opts->first_vf + opts->vfs - 1),
	};

	if (!opts->vfs || opts->first_vf + opts->vfs > VF_MAX_VFS)
		return vferry_fail(err, -EINVAL, "VFs %u and %u more do not exist", opts->first_vf,
				   opts->vfs);
	for (uint16_t i = 0; i < opts->vfs; i++)
		vfs[i] = (uint16_t)(opts->first_vf + i);
	return vferry_owner_open(owner, opts->owner, &how, err);
}

void pull_init(struct pull *pull, struct vferry_owner *owner, uint16_t vf)
{
	const struct vf_reader_events events = {
		.chunk = chunk,
		.pass_end = pass_end,
		.stopped = stopped,
		.arg = pull,
	};

	memset(pull, 0, sizeof(*pull));
	pull->owner = owner;
	pull->vf = vf;
	vf_reader_init(&pull->reader, owner->admin, owner->arena, vf, &events);
}

void pull_start(struct pull *pull, uint64_t estimate, bool frozen)
{
	pull->bytes = 0;
	pull->error = 0;
	pull->busy = true;
	vf_reader_start(&pull->reader, estimate, frozen);
}

int pull_pass(struct pull *pull, uint64_t estimate, bool frozen, struct vferry_error *err)
{
	uint64_t deadline = vf_now_ns() + PATIENCE_NS;

	pull_start(pull, estimate, frozen);
	while (pull->busy) {
		int n = vf_ring_turn(pull->owner->ring, deadline);

		if (n < 0 && n != -EINTR)
			return vferry_fail(err, n, "VF %u: reading: %s", pull->vf, strerror(-n));
		if (!n && vf_now_ns() >= deadline)
			return vferry_fail(err, -ETIMEDOUT, "VF %u: the context does not end",
					   pull->vf);
	}
	return pull->error ? vferry_fail(err, pull->error, "VF %u: %s", pull->vf, pull->why.text)
			   : 0;
}
