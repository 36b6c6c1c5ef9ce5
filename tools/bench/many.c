// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Many VFs out of one owner: each stopped, frozen, read, and set back; all side by side, or one command at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tools/bench/pull.h"

#define PATIENCE_NS 60000000000ull

struct member {
	struct pull pull;
	struct vferry_cmd cmd;
	uint16_t next; /* step */
	struct many *many;
};

struct many {
	struct vferry_owner *owner;
	struct member *members;
	uint16_t count, left;
	uint64_t estimate, bytes;
	int error;
	struct vferry_error why;
};

static void step(struct member *member);

static void failed(struct member *member, int error, const char *words)
{
	struct many *many = member->many;

	many->left--;
	if (!many->error)
		many->error = vferry_fail(&many->why, error, "VF %u: %s", member->pull.vf, words);
}

static void answered(struct vferry_cmd *cmd)
{
	struct member *member = cmd->arg;

	if (cmd->error || cmd->status != VFERRY_STATUS_OK)
		failed(member, cmd->error ? cmd->error : -EREMOTEIO,
		       vferry_status_name(cmd->status));
	else
		step(member);
}

static void read_over(struct pull *pull)
{
	struct member *member = pull->arg;

	if (pull->error) {
		failed(member, pull->error, pull->why.text);
		return;
	}
	member->many->bytes += pull->bytes;
	step(member);
}

static void give(struct member *member, uint16_t opcode, int data)
{
	member->cmd = (struct vferry_cmd){
		.opcode = opcode,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = member->pull.vf,
		.done = answered,
		.arg = member,
	};
	if (data >= 0) {
		member->cmd.inline_data[0] = (uint8_t)data;
		member->cmd.inline_length = 1;
	}
	vferry_owner_submit(member->many->owner, &member->cmd);
}

static void step(struct member *member)
{
	switch (member->next++) {
	case 0:
		give(member, VFERRY_CMD_DEV_MODE_SET, VFERRY_MODE_STOP);
		return;
	case 1:
		give(member, VFERRY_CMD_DEV_MODE_SET, VFERRY_MODE_FREEZE);
		return;
	case 2:
		pull_start(&member->pull, member->many->estimate, true);
		return;
	case 3:
		give(member, VFERRY_CMD_DEV_CTX_DISCARD, -1);
		return;
	case 4:
		give(member, VFERRY_CMD_DEV_MODE_SET, VFERRY_MODE_ACTIVE);
		return;
	default:
		member->many->left--;
	}
}

static int all_at_once(struct many *many, struct bench_side *side, struct vferry_error *err)
{
	uint64_t deadline = vf_now_ns() + PATIENCE_NS;
	double begin = bench_seconds(), cpu = bench_cpu();

	many->left = many->count;
	many->bytes = 0;
	for (uint16_t i = 0; i < many->count; i++) {
		many->members[i].next = 0;
		step(&many->members[i]);
	}
	while (many->left) {
		int n = vferry_owner_turn(many->owner, PATIENCE_NS);

		/* Slots that one member gave back may be what another waits for. */
		for (uint16_t i = 0; i < many->count; i++)
			if (many->members[i].pull.busy)
				vf_reader_slots(&many->members[i].pull.reader);
		if ((n < 0 && n != -EINTR) || vf_now_ns() > deadline)
			return vferry_fail(err, n < 0 ? n : -ETIMEDOUT,
					   "the VFs do not come to an end");
	}
	*side = (struct bench_side){ bench_seconds() - begin, bench_cpu() - cpu, many->bytes };
	if (many->error && err)
		*err = many->why;
	return many->error;
}

static int one_at_a_time(struct many *many, struct bench_side *side, struct vferry_error *err)
{
	double begin = bench_seconds(), cpu = bench_cpu();
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < many->count; i++) {
		uint16_t vf = many->members[i].pull.vf;
		const void *memory;
		uint32_t count = 1;
		int error = vferry_mode_set(many->owner, vf, VFERRY_MODE_STOP, NULL, err);

		if (!error)
			error = vferry_mode_set(many->owner, vf, VFERRY_MODE_FREEZE, NULL, err);
		while (!error && count) {
			error = vferry_ctx_read(many->owner, vf, &memory, &count, NULL, err);
			bytes += error ? 0 : count;
		}
		if (!error)
			error = vferry_ctx_discard(many->owner, vf, NULL, err);
		if (!error)
			error = vferry_mode_set(many->owner, vf, VFERRY_MODE_ACTIVE, NULL, err);
		if (error)
			return error;
	}
	*side = (struct bench_side){ bench_seconds() - begin, bench_cpu() - cpu, bytes };
	return 0;
}

int bench_many(const struct bench_opts *opts, struct vferry_error *err)
{
	struct many many = { .count = opts->vfs };
	struct bench_side ours, plain;
	int error = pull_open(&many.owner, opts, err);

	many.members = calloc(many.count, sizeof(*many.members));
	if (!error && !many.members)
		error = vferry_fail(err, -ENOMEM, "out of memory");
	for (uint16_t i = 0; !error && i < many.count; i++) {
		struct member *member = &many.members[i];

		pull_init(&member->pull, many.owner, (uint16_t)(opts->first_vf + i));
		member->pull.over = read_over;
		member->pull.arg = member;
		member->many = &many;
	}
	if (!error)
		error = vferry_ctx_size(many.owner, opts->first_vf, true, &many.estimate, NULL,
					err);
	for (unsigned int i = 0; !error && i <= opts->pairs; i++) {
		error = all_at_once(&many, &ours, err);
		if (!error)
			error = one_at_a_time(&many, &plain, err);
		if (!error && i) /* the first touches memory */
			bench_row("many", i - 1, &ours, &plain);
	}
	if (many.owner)
		vferry_owner_close(many.owner);
	free(many.members);
	return error;
}
