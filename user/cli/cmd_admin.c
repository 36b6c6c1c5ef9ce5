// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry admin: each administration command by hand. */
#include "cli/admin.h"

#define NAMED(...)	((const struct cli_option[]){ __VA_ARGS__, CLI_END })
#define EXAMPLES(...)	((const struct cli_example[]){ __VA_ARGS__, { NULL, NULL } })
#define PARAGRAPHS(...) ((const char *const[]){ __VA_ARGS__, NULL })

#define FORCE                                                                                                 \
	{                                                                                                     \
		.name = "force",                                                                              \
		.help = "also when a migration's journal is open for the VF: it may end with two live copies" \
	}

static const struct cli_command mode_get = {
	.name = "get",
	.summary = "the mode of each VF: active, stop or freeze",
	.examples = EXAMPLES({ "the mode of every VF",
			       "vferry admin vfio-user:/run/vferry/pf0.sock mode get --vf all" }),
	.exits = CLI_X_OWNER,
	.run = admin_run_mode_get,
};

static const struct cli_command mode_set = {
	.name = "set",
	.summary = "change the mode of each VF",
	.about = PARAGRAPHS(
		"Stop ends DMA and interrupts, Freeze also ignores doorbells and configuration writes. Leaving "
		"Freeze commits a context that was written. A mode that cannot be set stays what it was."),
	.positionals =
		NAMED({ .name = "MODE", .type = CLI_MODE, .help = "active, stop or freeze" }),
	.options = NAMED(FORCE),
	.examples = EXAMPLES({ "the bytes only",
			       "vferry admin vfio:0000:65:00.0 mode set stop --vf 3 --dry-run" }),
	.exits = CLI_X_OWNER,
	.run = admin_run_mode_set,
};

static const struct cli_command mode = {
	.name = "mode",
	.summary = "the mode of VFs: get it, set it",
	.subs = (const struct cli_command *const[]){ &mode_get, &mode_set, NULL },
};

static const struct cli_command size = {
	.name = "size",
	.summary = "how many bytes of context remain to be read; an estimate",
	.options = NAMED({ .name = "freeze",
			   .help = "as it will be in Freeze, not as it is in the mode of now" }),
	.exits = CLI_X_OWNER,
	.run = admin_run_size,
};

static const struct cli_command read_ = {
	.name = "read",
	.summary = "read what remains of a VF's context into a file",
	.about = PARAGRAPHS(
		"Reading forgets: what the device has returned it does not return again, until 'discard' makes "
		"a full image due. Only a context read in Freeze is exact."),
	.options = NAMED(
		{ .name = "out",
		  .type = CLI_FILE,
		  .help = "where to; - or nothing: standard output, which may not be a terminal" },
		{ .name = "passes",
		  .type = CLI_NUMBER,
		  .min = 1,
		  .max = 1000000,
		  .help = "read so many images one after the other (1 unless given); fewer when the device has no more to say" },
		FORCE),
	.examples = EXAMPLES(
		{ NULL, "vferry admin vfio-user:/run/vferry/pf0.sock read --vf 1 --out vf1.ctx" },
		{ "look at it without a file",
		  "vferry admin vfio-user:/run/vferry/pf0.sock read --vf 1 | vferry ctx show -" }),
	.exits = CLI_X_OWNER,
	.see = PARAGRAPHS("ctx"),
	.run = admin_run_read,
};

static const struct cli_command write_ = {
	.name = "write",
	.summary = "write a saved context to a VF in Freeze",
	.about = PARAGRAPHS(
		"The context is staged; setting the mode to stop or active commits it, all of it or nothing; "
		"'discard' drops it."),
	.options = NAMED({ .name = "in",
			   .type = CLI_FILE,
			   .help = "where from; - or nothing: standard input" },
			 FORCE),
	.examples = EXAMPLES(
		{ NULL, "vferry admin vfio-user:/run/vferry/pf1.sock write --vf 5 --in vf1.ctx" }),
	.exits = CLI_X_OWNER,
	.run = admin_run_write,
};

static const struct cli_command fields = {
	.name = "fields",
	.summary = "the context's field types that the device supports",
	.exits = CLI_X_OWNER,
	.run = admin_run_fields,
};

static const struct cli_command discard = {
	.name = "discard",
	.summary = "drop what is partly read and all that is staged",
	.about = PARAGRAPHS(
		"The next read begins a new, full image. The mode stays, and what was committed is not undone."),
	.options = NAMED(FORCE),
	.exits = CLI_X_OWNER,
	.run = admin_run_discard,
};

static const struct cli_command list_query = {
	.name = "list-query",
	.summary = "the commands that the owner offers for its VFs",
	.exits = CLI_X_OWNER,
	.run = admin_run_list_query,
};

static const struct cli_command list_use = {
	.name = "list-use",
	.summary =
		"tell the owner which commands will be used; all others are refused from then on",
	.about = PARAGRAPHS(
		"Nobody else may be using the owner meanwhile. Migration needs 0, 1 and 7-13."),
	.positionals = NAMED(
		{ .name = "OPCODES",
		  .type = CLI_STRING,
		  .flags = CLI_OPTIONAL,
		  .help = "numbers or names, as in 0,1,7-13; all (unless given): what list-query says; none: an empty list" }),
	.examples =
		EXAMPLES({ NULL, "vferry admin vfio-user:/run/vferry/pf0.sock list-use 0,1,7-13" }),
	.exits = CLI_X_OWNER,
	.run = admin_run_list_use,
};

const struct cli_command cli_cmd_admin = {
	.name = "admin",
	.group = CLI_GROUP_DEVICE,
	.summary = "give an owner device administration commands by hand",
	.about = PARAGRAPHS(
		"Each command is sent as it is and its answer is shown; a keeper is started when none holds the "
		"owner. An answer other than OK ends with exit status 3, and its status and qualifier are in the "
		"JSON error."),
	.positionals = NAMED(CLI_ARG_OWNER),
	.options = NAMED(
		{ .name = "vf", .type = CLI_VFS, .help = "the VFs: 1, or 1-4,7, or all" },
		{ .name = "dry-run",
		  .letter = 'n',
		  .help = "print the command's bytes; send nothing, need no device" },
		{ .name = "hex", .letter = 'x', .help = "show the answer's bytes too" },
		{ .name = "wait", .help = "wait until the VFs and an admin queue are free" },
		{ .name = "direct",
		  .help = "hold the owner in this process, without a keeper: its end resets the owner and all its VFs" }),
	.subs = (const struct cli_command *const[]){ &mode, &size, &read_, &write_, &fields,
						     &discard, &list_query, &list_use, NULL },
	.see = PARAGRAPHS("ctx", "keep", "list"),
};
