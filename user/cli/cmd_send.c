// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry send: move VFs to another owner. */
#include "cli/move.h"

static int run(struct cli *cli)
{
	struct move_cli move = { 0 };
	struct vferry_error err = { 0 };
	int ret = move_peer(cli, "to");

	if (!ret)
		ret = move_begin(&move, cli);
	if (ret)
		return ret;
	move.opts.peer = cli_string(cli, "to");
	move.opts.downtime_limit_ns = cli_number(cli, "downtime-limit", 0);
	move.opts.max_downtime_ns = cli_number(cli, "max-downtime", 0);
	move.opts.flags = (cli_has(cli, "no-precopy") ? VFERRY_MOVE_NO_PRECOPY : 0) |
			  (cli_has(cli, "together") ? VFERRY_MOVE_TOGETHER : 0) |
			  (cli_has(cli, "hand-over") ? VFERRY_MOVE_HAND_OVER : 0) |
			  (cli_has(cli, "wait") ? VFERRY_MOVE_WAIT : 0);
	ret = vferry_send(&move.opts, &move.move, &err);
	return move_end(&move, "vferry.send", ret, &err);
}

static const char *const about[] = {
	"Carries the context of each VF to the peer while the VF works (pre-copy), stops it when what remains is "
	"expected to take no longer than --downtime-limit, carries the rest and hands over: the source gives up its "
	"right to go on before the destination becomes active, so that there are never two live copies.",
	"Until that moment every failure, an interrupt (Ctrl-C, SIGTERM) and the end of the connection give the VF "
	"back to its guest as it was. After it the outcome is waited for; when it cannot be learned, both sides stay "
	"frozen (exit status 7) and vferry recover finishes the matter.",
	"To a file or a pipe nobody answers: the stream is a snapshot, and the VF goes on as soon as it has been read. "
	"With --hand-over the VF stays frozen instead, for whoever holds the file.",
	NULL,
};

static const char *const hooks[] = {
	"A hook is a gate: the move waits until it has ended, and goes on only when it ends with 0. Any other status, a "
	"signal, or --hook-timeout gives the VF back. source-stopped: the device writes the guest's memory no more, so its "
	"last pages may be copied. before-release: 0 says that memory and disks are at the destination; after it this side "
	"gives up the VF. On the other side vferry recv runs destination-before-active, whose 0 says that the guest's memory "
	"is there, and destination-active, after which the guest may run. Hooks stand in the downtime: --max-downtime "
	"bounds it, and takes the VF back while that is still allowed.",
	"QEMU: PREFIX/share/doc/vferry/examples/vferry-qemu-hook is that hook, on the guest's QMP socket. "
	"vferry-qemu-hook /run/guest.qmp start tcp:host2:4445 begins the guest's migration with the capability "
	"pause-before-switchover, so that memory is copied while VF and guest work; then vferry send --hook "
	"'vferry-qemu-hook /run/guest.qmp'. At source-stopped it waits until query-migrate says pre-switchover, and sends "
	"migrate-continue; at before-release it waits until that says completed. QEMU at the destination runs with -incoming "
	"and -S, and vferry recv has the same hook with its socket: destination-before-active waits until query-status says "
	"paused, destination-active sends cont. When vferry send ends with any status but 0 and 7, vferry-qemu-hook "
	"/run/guest.qmp back lets the guest go on at the source.",
	"libvirt: a script given to vferry send --hook --hook-timeout 5min. "
	"case $VFERRY_EVENT in "
	"source-stopped) exec virsh migrate --live --persistent --suspend guest1 qemu+ssh://host2/system;; "
	"before-release) test \"$(virsh -c qemu+ssh://host2/system domstate guest1)\" = paused;; esac. "
	"At the destination, to vferry recv --hook: "
	"case $VFERRY_EVENT in "
	"destination-before-active) test \"$(virsh domstate guest1)\" = paused;; "
	"destination-active) exec virsh resume guest1;; esac. "
	"The VF is down for as long as virsh migrate copies memory: where that is too long, use the way of QEMU above, "
	"through virsh qemu-monitor-command.",
	NULL,
};

static const char *const together[] = {
	"With --together the VFs are of one guest, and all of them move or none. Pre-copy ends when it has for each of them; all "
	"are stopped before the first is frozen; a hook runs once at each gate, for all (VFERRY_VF is then 1-4,7 and VFERRY_ID the "
	"group's id); one word releases all. --max-downtime counts from the first Stop. What one VF cannot do, no VF of the "
	"group does: a failure of one before the release takes back all, and the destination takes all in or none.",
	"The destination first lets all of them take over their contexts, still stopped, and makes them active when each has. When "
	"one refuses, all are frozen again and refused. A VF that had taken over its context by then is reset, where this "
	"host's kernel has it as a PCI function and the command may (root). Behind vfio-user it cannot be: such a VF stays in freeze with a copy "
	"that must not serve, is named, and vferry recv calls it in use until its next driver, or you, have reset it.",
	"In doubt, vferry recover settles the group at once, by the journal of its first VF. A file or a pipe cannot answer, so it takes "
	"no group (exit status 5).",
	NULL,
};

static const struct cli_section sections[] = {
	{ "SEVERAL VFS OF ONE GUEST", together },
	{ "HOOKS", hooks },
	{ NULL, NULL },
};

static const struct cli_option positionals[] = { CLI_ARG_OWNER, CLI_END };

static const struct cli_option options[] = {
	{
		.name = "vf",
		.type = CLI_VFS,
		.flags = CLI_REQUIRED,
		.help = "VFs to move, as in 1-4,7; the first goes to the peer's first",
	},
	{
		.name = "to",
		.type = CLI_STRING,
		.arg = "PEER",
		.flags = CLI_REQUIRED,
		.help = "where to: tcp:host:port, unix:path, exec:command, fd:N, file:path or - (standard output)",
	},
	{
		.name = "downtime-limit",
		.type = CLI_DURATION,
		.help = "switch over when the rest is expected to take no longer than this (50ms)",
	},
	{
		.name = "max-downtime",
		.type = CLI_DURATION,
		.help = "take the VF (with --together all) back when it is down for longer, as long as that is allowed",
	},
	{
		.name = "no-precopy",
		.help = "stop at once and carry all while the VF is down",
	},
	{
		.name = "together",
		.help = "the VFs are of one guest: all of them move, or none",
	},
	{
		.name = "hand-over",
		.help = "to a file or pipe: leave the VF frozen for whoever holds the stream",
	},
	{
		.name = "hook",
		.type = CLI_STRING,
		.arg = "CMD",
		.help = "run by sh at source-stopped and before-release (VFERRY_EVENT, VFERRY_VF, VFERRY_ID, "
			"VFERRY_OWNER); the move goes on when it exits with 0",
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
		.help = "most bytes of one command (256K)",
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
	{ "one VF to another host, over ssh",
	  "vferry send vfio:0000:65:00.0 --vf 1 --to 'exec:ssh host2 vferry recv vfio:0000:65:00.0 --vf 1 "
	  "--from -'" },
	{ "four VFs to a receiver on this machine",
	  "vferry send vfio-user:/run/vferry/a/pf0.sock --vf 1-4 --to tcp:127.0.0.1:7471" },
	{ "the two VFs of one guest, both or none",
	  "vferry send vfio:0000:65:00.0 --vf 1,2 --together --to 'exec:ssh host2 vferry recv "
	  "vfio:0000:65:00.0 --vf 1,2 --from -'" },
	{ "a copy to look at",
	  "vferry send vfio-user:/run/vferry/a/pf0.sock --vf 2 --to file:vf2.vferry" },
	{ 0 },
};

static const char *const see[] = { "recv", "recover", "list", NULL };

const struct cli_command cli_cmd_send = {
	.name = "send",
	.group = CLI_GROUP_MIGRATE,
	.summary = "move VFs to another owner device",
	.about = about,
	.positionals = positionals,
	.options = options,
	.examples = examples,
	.exits = CLI_X_OWNER | CLI_X(CLI_IN_DOUBT) | CLI_X_SIGNALS,
	.sections = sections,
	.see = see,
	.run = run,
};
