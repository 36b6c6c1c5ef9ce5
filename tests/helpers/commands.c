// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * commands ADDRESS SEED COUNT [VFS [LANES]]: runs exactly COUNT commands, a mix by SEED over VFs 1 to VFS (4), up to LANES (8) under way, and prints
 * what it did, counted by itself: the witness for the tracer. JSON: commands by opcode and VF, errors, the mode changes of each VF in order, percentiles of latency by opcode.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vferry/owner.h>
#include "admin/owner.h"

#define VFS   4
#define LANES 8

struct count {
	unsigned int total;
	unsigned int errors;
};

struct run {
	struct vferry_owner *owner;
	unsigned int vfs;
	unsigned int left;
	unsigned int under_way;
	struct count counts[16][VFS + 1];
	uint64_t *latencies[16];
	unsigned int latency_count[16];
	unsigned int total;
	uint8_t *modes[VFS + 1]; /* every mode set, in order */
	unsigned int mode_count[VFS + 1];
	bool mode_busy[VFS + 1];
};

struct lane {
	struct vferry_cmd cmd;
	struct vferry_sg sg;
	struct run *run;
};

static void go_on(struct lane *lane);

static void done(struct vferry_cmd *cmd)
{
	struct lane *lane = (struct lane *)cmd;
	struct run *run = lane->run;
	struct count *count = &run->counts[cmd->opcode][cmd->member];

	if (cmd->error) {
		fprintf(stderr, "commands: opcode %u: %s\n", cmd->opcode,
			cmd->why ? cmd->why : strerror(-cmd->error));
		exit(1);
	}
	count->total++;
	count->errors += cmd->status != 0;
	run->latencies[cmd->opcode][run->latency_count[cmd->opcode]++] =
		cmd->done_ns - cmd->submit_ns;
	if (cmd->opcode == VFERRY_CMD_DEV_MODE_SET) {
		run->mode_busy[cmd->member] = false;
		if (!cmd->status)
			run->modes[cmd->member][run->mode_count[cmd->member]++] =
				cmd->inline_data[0];
	}
	run->under_way--;
	go_on(lane);
}

static void go_on(struct lane *lane)
{
	/* WRITE in Active and MODE_SET of 9 are refused: errors of a known number. */
	static const uint16_t mix[] = {
		VFERRY_CMD_DEV_MODE_GET,    VFERRY_CMD_DEV_MODE_GET,
		VFERRY_CMD_DEV_MODE_SET,    VFERRY_CMD_DEV_CTX_SIZE_GET,
		VFERRY_CMD_DEV_CTX_READ,    VFERRY_CMD_DEV_CTX_READ,
		VFERRY_CMD_DEV_CTX_WRITE,   VFERRY_CMD_DEV_CTX_FIELDS_QUERY,
		VFERRY_CMD_DEV_CTX_DISCARD,
	};
	struct vferry_cmd *cmd = &lane->cmd;
	struct run *run = lane->run;
	uint16_t vf = (uint16_t)(1 + (unsigned int)rand() % run->vfs);
	uint16_t opcode = mix[(unsigned int)rand() % (sizeof(mix) / sizeof(mix[0]))];

	if (!run->left)
		return;
	/* One mode change a VF at a time: their order is then known to both sides. */
	if (opcode == VFERRY_CMD_DEV_MODE_SET && run->mode_busy[vf])
		opcode = VFERRY_CMD_DEV_MODE_GET;
	memset(cmd, 0, sizeof(*cmd));
	cmd->opcode = opcode;
	cmd->group_type = VFERRY_GROUP_SRIOV;
	cmd->member = vf;
	cmd->done = done;
	switch (opcode) {
	case VFERRY_CMD_DEV_MODE_GET:
		cmd->result_room = 1;
		break;
	case VFERRY_CMD_DEV_MODE_SET:
		run->mode_busy[vf] = true;
		cmd->inline_data[0] = rand() % 10 == 0 ? 9 : (uint8_t)(rand() % 3);
		cmd->inline_length = 1;
		break;
	case VFERRY_CMD_DEV_CTX_SIZE_GET:
		cmd->inline_length = 1;
		cmd->result_room = 8;
		break;
	case VFERRY_CMD_DEV_CTX_READ:
	case VFERRY_CMD_DEV_CTX_WRITE:
		lane->sg = (struct vferry_sg){ run->owner->lease.arena_iova, 4096 };
		if (opcode == VFERRY_CMD_DEV_CTX_READ) {
			cmd->result = &lane->sg;
			cmd->result_count = 1;
		} else {
			/* Bytes that are no context: refused in Freeze as malformed, elsewhere for the mode. */
			memset(cmd->inline_data, 0xff, 16);
			cmd->inline_length = 16;
		}
		break;
	case VFERRY_CMD_DEV_CTX_FIELDS_QUERY:
		cmd->result_room = 1024;
		break;
	}
	run->left--;
	run->under_way++;
	vferry_owner_submit(run->owner, cmd);
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t percentile(const struct run *run, unsigned int opcode, unsigned int percent)
{
	unsigned int count = run->latency_count[opcode];

	return run->latencies[opcode][(count * percent + 99) / 100 - 1];
}

static void report(struct run *run)
{
	const char *comma = "";

	printf("{\"pid\":%d,\"commands\":[", getpid());
	for (unsigned int opcode = 0; opcode < 16; opcode++) {
		for (unsigned int vf = 1; vf <= VFS; vf++) {
			const struct count *count = &run->counts[opcode][vf];

			if (!count->total)
				continue;
			printf("%s{\"name\":\"%s\",\"vf\":%u,\"count\":%u,\"errors\":%u}", comma,
			       vferry_opcode_name(opcode), vf, count->total, count->errors);
			comma = ",";
		}
	}
	comma = "";
	printf("],\"latency\":{");
	for (unsigned int opcode = 0; opcode < 16; opcode++) {
		if (!run->latency_count[opcode])
			continue;
		qsort(run->latencies[opcode], run->latency_count[opcode], sizeof(uint64_t),
		      ascending);
		printf("%s\"%s\":{\"p50_ns\":%" PRIu64 ",\"p90_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64
		       ",\"max_ns\":%" PRIu64 "}",
		       comma, vferry_opcode_name(opcode), percentile(run, opcode, 50),
		       percentile(run, opcode, 90), percentile(run, opcode, 99),
		       percentile(run, opcode, 100));
		comma = ",";
	}
	comma = "";
	printf("},\"modes\":{");
	for (unsigned int vf = 1; vf <= VFS; vf++) {
		printf("%s\"%u\":[", comma, vf);
		for (unsigned int i = 0; i < run->mode_count[vf]; i++)
			printf("%s\"%s\"", i ? "," : "", vferry_mode_name(run->modes[vf][i]));
		printf("]");
		comma = ",";
	}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	static const uint16_t vfs[VFS] = { 1, 2, 3, 4 };
	struct vferry_owner_opts opts = {
		.size = sizeof(opts),
		.vfs = vfs,
		.timeout_ns = 60000000000ULL,
	};
	static struct lane lanes[LANES];
	unsigned int under_way = argc > 5 ? (unsigned int)atoi(argv[5]) : LANES;
	struct run run = { .vfs = argc > 4 ? (unsigned int)atoi(argv[4]) : VFS };
	struct vferry_error err;

	/* For a tracer that shall know this file before it counts: there, and gone after a minute at the latest. */
	if (argc == 2 && !strcmp(argv[1], "hold"))
		return (int)sleep(60);
	if (argc < 4 || argc > 6 || !run.vfs || run.vfs > VFS || !under_way || under_way > LANES) {
		fprintf(stderr,
			"Usage: commands ADDRESS SEED COUNT [VFS [LANES]]\n       commands hold\n");
		return 2;
	}
	opts.vfs_count = run.vfs;
	opts.num_vfs = (uint16_t)run.vfs;
	srand((unsigned int)atoi(argv[2]));
	run.total = run.left = (unsigned int)atoi(argv[3]);
	if (vferry_owner_open(&run.owner, argv[1], &opts, &err)) {
		fprintf(stderr, "commands: %s\n", err.text);
		return 1;
	}
	for (unsigned int i = 0; i < 16; i++)
		run.latencies[i] = calloc(run.total, sizeof(uint64_t));
	for (unsigned int i = 0; i <= VFS; i++)
		run.modes[i] = calloc(run.total, 1);
	for (unsigned int i = 0; i < under_way; i++) {
		lanes[i].run = &run;
		go_on(&lanes[i]);
	}
	while (run.under_way)
		if (vferry_owner_turn(run.owner, 1000000000ULL) < 0)
			break;
	report(&run);
	vferry_owner_close(run.owner);
	for (unsigned int i = 0; i < 16; i++)
		free(run.latencies[i]);
	for (unsigned int i = 0; i <= VFS; i++)
		free(run.modes[i]);
	return run.under_way || run.left;
}
