// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry recv: receive VFs from another owner. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/move.h"

static void listening(void *arg, const char *peer)
{
	struct move_cli *run = arg;

	cli_note(run->cli, "waiting for a source at %s", peer);
}

static bool is_pipe(int fd)
{
	struct stat stat;

	return !fstat(fd, &stat) && (S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode));
}

static int run(struct cli *cli)
{
	struct move_cli move = { 0 };
	struct vferry_error err = { 0 };
	int ret = move_peer(cli, "from");
	bool talks;

	if (!ret)
		ret = move_begin(&move, cli);
	if (ret)
		return ret;
	move.opts.peer = cli_string(cli, "from");
	move.opts.flags = (cli_has(cli, "activate-snapshot") ? VFERRY_MOVE_ACTIVATE_SNAPSHOT : 0) |
			  (cli_has(cli, "insecure") ? VFERRY_MOVE_INSECURE : 0) |
			  (cli_has(cli, "wait") ? VFERRY_MOVE_WAIT : 0);
	move.opts.listening = listening;
	talks = !strcmp(move.opts.peer, "-") && is_pipe(STDIN_FILENO) && is_pipe(STDOUT_FILENO);
	ret = vferry_recv(&move.opts, &move.move, &err);
	/* Standard output was the way back to the source: the report is not for it. */
	if (talks)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	return move_end(&move, "vferry.recv", ret, &err);
}

static const char *const about[] = {
	"Waits for a source, borrows the VFs when it makes its offer, and takes their contexts in. Before anything is "
	"touched the offer is compared with what is here (fields, features, queues, device configuration), and each VF "
	"must be unused; a difference is refused by name.",
	"A VF becomes active only after its source has given it up. If that never happens, or the device refuses the "
	"context, what was staged is discarded. Whether the VFs are a group, of which all are taken in or none, the source says "
	"(vferry send --together); each hook then runs once, for all.",
	"Sources that were interrupted are answered, too: vferry recover on their side asks what became of a migration.",
	NULL,
};

static const struct cli_option positionals[] = { CLI_ARG_OWNER, CLI_END };

static const struct cli_option options[] = {
	{
		.name = "vf",
		.type = CLI_VFS,
		.flags = CLI_REQUIRED,
		.help = "VFs to receive into, as in 1-4,7; the first takes the source's first",
	},
	{
		.name = "from",
		.type = CLI_STRING,
		.arg = "PEER",
		.flags = CLI_REQUIRED,
		.help = "where from: tcp:host:port, unix:path, exec:command, fd:N, file:path or - (standard input)",
	},
	{
		.name = "activate-snapshot",
		.help = "take in a snapshot, whose source went on: this makes a second copy",
	},
	{
		.name = "insecure",
		.help = "tcp: listen on other addresses than loopback, unencrypted",
	},
	{
		.name = "hook",
		.type = CLI_STRING,
		.arg = "CMD",
		.help = "run by sh at destination-before-active, a gate, and at destination-active (VFERRY_EVENT, "
			"VFERRY_VF, VFERRY_ID, VFERRY_OWNER)",
	},
	{
		.name = "hook-timeout",
		.type = CLI_DURATION,
		.help = "longest time for the hook at one gate (30s)",
	},
	{
		.name = "arena",
		.type = CLI_SIZE,
		.min = 4096,
		.help = "memory for context bytes (64M)",
	},
	{
		.name = "chunk",
		.type = CLI_SIZE,
		.min = 4096,
		.max = 4u << 20,
		.help = "most bytes of one frame; at least the source's (256K)",
	},
	{
		.name = "wait",
		.help = "wait for VFs and an admin queue that another engine has on loan",
	},
	{
		.name = "slow",
		.type = CLI_DURATION,
		.help = "write the flight recorder out (vferry profile reads it) when a VF was down for longer; after a failure it "
			"is always written",
	},
	CLI_END,
};

static const struct cli_example examples[] = {
	{ "from a source on this machine",
	  "vferry recv vfio-user:/run/vferry/b/pf0.sock --vf 1-4 --from tcp:127.0.0.1:7471" },
	{ "started by the source over ssh", "vferry recv vfio:0000:65:00.0 --vf 1 --from -" },
	{ "a saved copy",
	  "vferry recv vfio-user:/run/vferry/b/pf0.sock --vf 2 --from file:vf2.vferry --activate-snapshot" },
	{ 0 },
};

static const char *const see[] = { "send", "recover", "list", NULL };

const struct cli_command cli_cmd_recv = {
	.name = "recv",
	.group = CLI_GROUP_MIGRATE,
	.summary = "receive VFs from another owner device",
	.about = about,
	.positionals = positionals,
	.options = options,
	.examples = examples,
	.exits = CLI_X_OWNER | CLI_X(CLI_IN_DOUBT) | CLI_X_SIGNALS,
	.see = see,
	.run = run,
};
