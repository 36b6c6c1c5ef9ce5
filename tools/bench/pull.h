/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A VF's context, read the way `vferry send` reads it: many READs in flight, each into a slot of the arena. */
#ifndef BENCH_PULL_H
#define BENCH_PULL_H

#include "admin/owner.h"
#include "migrate/reader.h"
#include "tools/bench/bench.h"

struct pull {
	struct vferry_owner *owner;
	struct vf_reader reader;
	uint16_t vf;
	/* looks at a chunk before its slot is given back; may be NULL */
	void (*chunk)(struct pull *pull, const struct vf_slot *slot, uint32_t length);
	void (*over)(struct pull *pull); /* may be NULL */
	void *arg;
	uint64_t bytes;
	bool busy;
	int error;
	struct vferry_error why;
};

/** pull_open() - the owner in this process, as `vferry admin` without a keeper would hold it. */
int pull_open(struct vferry_owner **owner, const struct bench_opts *opts, struct vferry_error *err);
void pull_init(struct pull *pull, struct vferry_owner *owner, uint16_t vf);
/** pull_start() - one pass, @estimate bytes or so. */
void pull_start(struct pull *pull, uint64_t estimate, bool frozen);
/** pull_pass() - the same, and wait for its end. */
int pull_pass(struct pull *pull, uint64_t estimate, bool frozen, struct vferry_error *err);

#endif
