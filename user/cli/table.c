// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table's top: add a command here, in the order in which help shows it. */
#include "cli/cli.h"

#define COMMANDS(X)   \
	X(send)       \
	X(recv)       \
	X(recover)    \
	X(admin)      \
	X(keep)       \
	X(trace)      \
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

const struct cli_command cli_root = {
	.name = "vferry",
	.summary = "carry virtio VFs from one owner device to another",
	.about = about,
	.subs = commands,
};
