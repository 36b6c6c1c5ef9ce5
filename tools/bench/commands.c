// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands a second over one way to an owner: so many in flight, the next one given as soon as one is answered. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "tools/bench/pull.h"

#define PATIENCE_NS 60000000000ull

struct load {
	struct vferry_owner *owner;
	uint64_t done, until_ns;
	unsigned int under_way;
	int error;
};

static void answered(struct vferry_cmd *cmd);

static void give(struct load *load, struct vferry_cmd *cmd, uint16_t vf)
{
	*cmd = (struct vferry_cmd){
		.opcode = VFERRY_CMD_DEV_MODE_GET,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = vf,
		.result_room = 8,
		.order = VFERRY_ORDER_FREE,
		.done = answered,
		.arg = load,
	};
	load->under_way++;
	vferry_owner_submit(load->owner, cmd);
}

static void answered(struct vferry_cmd *cmd)
{
	struct load *load = cmd->arg;

	load->under_way--;
	if (cmd->error || cmd->status != VFERRY_STATUS_OK)
		load->error = cmd->error ? cmd->error : -EREMOTEIO;
	else
		load->done++;
	if (!load->error && vf_now_ns() < load->until_ns)
		give(load, cmd, (uint16_t)cmd->member);
}

int bench_commands(const struct bench_opts *opts, struct vferry_error *err)
{
	struct vferry_owner_opts how = {
		.size = sizeof(how),
		.flags = VFERRY_OWNER_DIRECT,
		.vfs = &opts->first_vf,
		.vfs_count = 1,
		.arena_bytes = 1 << 20,
		.timeout_ns = PATIENCE_NS,
	};
	struct load load = { 0 };
	struct vferry_cmd *cmds = calloc(opts->in_flight, sizeof(*cmds));
	int error = cmds ? vferry_owner_open(&load.owner, opts->owner, &how, err)
			 : vferry_fail(err, -ENOMEM, "out of memory");

	for (unsigned int i = 0; !error && i <= opts->pairs; i++) {
		double begin = bench_seconds(), cpu = bench_cpu();

		load.owner->admin->polled = opts->poll;
		load.done = 0;
		load.until_ns = vf_now_ns() + opts->pause_ns;
		for (unsigned int n = 0; n < opts->in_flight; n++)
			give(&load, &cmds[n], opts->first_vf);
		while (load.under_way) {
			int ret = vferry_owner_turn(load.owner, opts->poll ? 0 : PATIENCE_NS);

			if (ret < 0 && ret != -EINTR && !load.error)
				load.error = ret;
		}
		error = load.error ? vferry_fail(err, load.error, "MODE_GET of VF %u fails",
						 opts->first_vf)
				   : 0;
		if (!error && i) /* the first touches memory */
			printf("{\"schema\":\"vferry.bench.commands\",\"schema_version\":1,"
			       "\"in_flight\":%u,\"polled\":%s,\"commands\":%llu,\"seconds\":%.6f,"
			       "\"cpu_seconds\":%.6f}\n",
			       opts->in_flight, opts->poll ? "true" : "false",
			       (unsigned long long)load.done, bench_seconds() - begin,
			       bench_cpu() - cpu);
	}
	if (load.owner) {
		load.owner->admin->polled = false;
		vferry_owner_close(load.owner);
	}
	free(cmds);
	return error;
}
