// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table's top: add a command here, in the order in which help shows it. */
#include "cli/cli.h"

#define COMMANDS(X)   \
	X(send)       \
	X(recv)       \
	X(recover)    \
	X(admin)      \
	X(conform)    \
	X(ctx)        \
	X(keep)       \
	X(trace)      \
	X(profile)    \
	X(list)       \
	X(doctor)     \
	X(completion) \
	X(manual)

#define X(name) extern const struct cli_command cli_cmd_##name;
COMMANDS(X)
#undef X

static const struct cli_command *const commands[] = {
#define X(name) &cli_cmd_##name,
	COMMANDS(X)
#undef X
		NULL,
};

static const char *const about[] = {
	"vferry carries the device context of virtio SR-IOV member devices (VFs) from one owner device (PF) to "
	"another with group administration commands, and shows where the time went.",
	NULL,
};

const struct cli_option cli_global_options[] = {
	{
		.name = "output",
		.letter = 'o',
		.type = CLI_CHOICE,
		.choices = "text|json",
		.help = "how results and errors are written",
	},
	{
		.name = "verbose",
		.letter = 'v',
		.help = "say more on standard error; twice: still more",
	},
	{
		.name = "timeout",
		.type = CLI_DURATION,
		.min = 1,
		.help = "longest wait for one answer, as in 500ms or 10s",
	},
	{
		.name = "help",
		.letter = 'h',
		.help = "show this help",
	},
	{
		.name = "version",
		.letter = 'V',
		.help = "show the version and those of the libraries",
	},
	CLI_END,
};

static const char *const output[] = {
	"Data goes to standard output, all words about it to standard error. With -o json results are documents with the "
	"members schema and schema_version; streams of results (trace) are JSON lines. Names are snake_case with their "
	"unit at the end (_ns, _bytes). An error is a document vferry.error on standard error with message, exit_status, "
	"errno and, when a device answered, opcode, status, status_name, qualifier and qualifier_name. What the device "
	"answered stands only there: the exit status is never the device's.",
	NULL,
};

static const char *const files[] = {
	"/run/vferry/keep: sockets of the keepers, one for each owner that is held.",
	"/run/vferry/journal: one small file for each migration that is not settled. It ends with the host, like the state "
	"that it describes; vferry recover reads it.",
	NULL,
};

static const char *const environment[] = {
	"VFERRY_RUN_DIR: used instead of /run/vferry (or, for users other than root, of $XDG_RUNTIME_DIR/vferry).",
	"VFERRY_PROGRAM: the program that is started as a keeper.",
	NULL,
};

static const char *const notes[] = {
	"With vfio: and vfio-user: owners io_uring drives sockets, files, deadlines and interrupts; the doorbell is a store or "
	"an eventfd, because no kernel has uring_cmd on a VFIO descriptor. That is not io_uring passthrough. With uring-cmd: "
	"owners (the kernel module of kmod/) each admin command is an IORING_OP_URING_CMD.",
	"An OWNER without a prefix is a PCI address with its domain, taken as uring-cmd: where the kernel module has that PF and as vfio: "
	"otherwise, or the path of a vfio-user socket or of a device node. Which way was taken is said on standard error.",
	NULL,
};

static const struct cli_section sections[] = {
	{ "OUTPUT", output }, { "NOTES", notes }, { "ENVIRONMENT", environment },
	{ "FILES", files },   { NULL, NULL },
};

static const struct cli_example examples[] = {
	{ "a software owner device with 8 VFs",
	  "vferry-owner --socket-dir /tmp/a --vfs 8 --vfs-enabled &" },
	{ "its VFs' modes", "vferry admin vfio-user:/tmp/a/pf0.sock mode get --vf all" },
	{ "what works on this machine", "vferry doctor" },
	{ NULL, NULL },
};

const struct cli_command cli_root = {
	.name = "vferry",
	.summary = "carry virtio VFs from one owner device to another",
	.about = about,
	.subs = commands,
	.examples = examples,
	.sections = sections,
};
