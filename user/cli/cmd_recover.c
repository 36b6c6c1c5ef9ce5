// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry recover: settle what was interrupted. */
#include <string.h>
#include <time.h>
#include "cli/move.h"

static const struct cli_column columns[] = {
	{ .key = "vf", .title = "VF" },	      { .key = "owner", .title = "OWNER" },
	{ .key = "role", .title = "ROLE" },   { .key = "state", .title = "STATE" },
	{ .key = "after", .title = "AFTER" }, { .key = "id", .title = "ID" },
	{ .key = "words", .title = "" },      { .key = NULL },
};

static const struct cli_view views[] = {
	{ .key = "journals", .columns = columns, .empty = "no open journal" },
	{ .key = "settled",
	  .title = "Settled, and kept so that nothing lives twice",
	  .columns = columns },
	{ .columns = NULL },
};

struct lists {
	struct json_object *journals, *settled;
};

static void each(void *arg, const struct vferry_recovered *recovered)
{
	struct json_object *row = json_object_new_object();
	struct lists *lists = arg;

	if (recovered->readable) {
		if (recovered->vf)
			cli_add_uint(row, "vf", recovered->vf);
		cli_add_string(row, "owner", recovered->owner);
		cli_add_string(row, "role", recovered->role);
		cli_add_string(row, "peer", recovered->peer);
		cli_add_string(row, "state", vferry_state_name(recovered->before));
		cli_add_string(row, "after",
			       recovered->kept	    ? "kept"
			       : recovered->settled ? "settled"
						    : vferry_state_name(recovered->after));
		cli_add_string(row, "id", recovered->id);
		if (recovered->group[0])
			cli_add_string(row, "group", recovered->group);
		cli_add_uint(row, "written_ns", recovered->written_ns);
	}
	cli_add_string(row, "path", recovered->path);
	if (recovered->outcome)
		cli_add_string(row, "outcome", vferry_outcome_name(recovered->outcome));
	cli_add_bool(row, "settled", recovered->settled);
	if (recovered->words[0])
		cli_add_string(row, "words", recovered->words);
	/* One of a settled migration that goes now is told of with those that were kept. */
	json_object_array_add(
		recovered->kept || recovered->was_kept ? lists->settled : lists->journals, row);
}

static int run(struct cli *cli)
{
	struct json_object *doc = cli_document("vferry.recover");
	struct lists lists = { json_object_new_array(), json_object_new_array() };
	const char *owner = cli_string(cli, "OWNER"), *id = cli_string(cli, "ID");
	struct vferry_error err = { 0 };
	struct vferry_recover_opts opts = {
		.size = sizeof(opts),
		.flags = (cli_has(cli, "list") ? VFERRY_RECOVER_LIST : 0) |
			 (cli_has(cli, "finish") ? VFERRY_RECOVER_FINISH : 0) |
			 (cli_has(cli, "abort") ? VFERRY_RECOVER_ABORT : 0) |
			 (cli_has(cli, "destination-is-dead") ? VFERRY_RECOVER_DESTINATION_IS_DEAD
							      : 0) |
			 (cli_has(cli, "forget") ? VFERRY_RECOVER_FORGET : 0),
		.peer = cli_string(cli, "peer"),
		.timeout_ns = cli_timeout_ns(cli),
		.each = each,
		.arg = &lists,
	};
	int ret, signal;

	/* An owner's address has a colon, a migration's id is hex digits. */
	if (owner && !id && !strchr(owner, ':')) {
		id = owner;
		owner = NULL;
	}
	if (id && strspn(id, "0123456789abcdef") != strlen(id)) {
		json_object_put(doc);
		json_object_put(lists.journals);
		json_object_put(lists.settled);
		return cli_usage(
			cli, "\"%s\" is no migration's id: hex digits, as --list shows them", id);
	}
	if (opts.flags & VFERRY_RECOVER_FORGET && !id) {
		json_object_put(doc);
		json_object_put(lists.journals);
		json_object_put(lists.settled);
		return cli_usage(cli, "--forget: which migration? Its ID, as --list shows it");
	}
	opts.owner = owner;
	opts.id = id;
	opts.interrupt_fd = move_signals();
	ret = vferry_recover(&opts, &err);
	signal = move_signal(opts.interrupt_fd);
	cli_add(doc, "journals", lists.journals);
	cli_add(doc, "settled", lists.settled);
	cli_print(cli, doc, views);
	if (!ret)
		return CLI_DONE;
	return cli_fail_as(cli, (enum cli_exit)move_exit_status(ret, signal), &err, NULL);
}

static const char *const about[] = {
	"Each migration keeps a small journal on both sides until it is settled. When an engine died, a connection was "
	"lost or an owner was reset in the middle, this command reads what the journals say, borrows the VFs so that no "
	"command of the dead engine is on its way any more, and settles: a VF that was not released goes back to work; "
	"for one that was, the destination is asked.",
	"VFs that were sent together (vferry send --together) are settled together: all of them are borrowed, the "
	"destination is asked once, and the id of any of them stands for the group.",
	"The destination answers through a listening vferry recv. While it cannot be asked, the VF stays frozen: whether "
	"that host is dead only you can know. Only the host that accepted the migration can answer for it: another one, "
	"asked by mistake, says so, and nothing changes.",
	"What could live twice is remembered behind a settled migration. A VF that was moved away keeps its old copy in "
	"Freeze: it is not sent, and not set to stop or active, until it was reset (the end of the program that has it open does "
	"that), was taken into use by vferry recv, or its owner lost its state. A stream of send --hand-over is taken in once. "
	"--list shows what is remembered; recover deletes what is not needed any more.",
	NULL,
};

static const struct cli_option positionals[] = {
	{
		.name = "OWNER",
		.type = CLI_STRING,
		.flags = CLI_OPTIONAL,
		.help = "only journals of this owner device",
	},
	{
		.name = "ID",
		.type = CLI_STRING,
		.flags = CLI_OPTIONAL,
		.help = "only this migration; the first digits will do",
	},
	CLI_END,
};

static const struct cli_option options[] = {
	{ .name = "list", .help = "show what is open, change nothing" },
	{
		.name = "finish",
		.help = "delete journals whose other side is known to have the VF",
	},
	{
		.name = "abort",
		.help = "also delete journals whose copy is gone with a reset of the owner",
	},
	{
		.name = "forget",
		.help = "with ID: forget that the VF was moved away, or the stream taken in; if that copy lives, it may live twice",
	},
	{
		.name = "peer",
		.type = CLI_STRING,
		.arg = "PEER",
		.help = "ask there instead of where the journal says: tcp:host:port or unix:path",
	},
	{
		.name = "destination-is-dead",
		.help = "take a released VF back without asking; if the destination lives, there are two live copies",
	},
	CLI_END,
};

static const struct cli_example examples[] = {
	{ "what is open", "vferry recover --list" },
	{ "settle all that can be settled", "vferry recover" },
	{ "one migration, asking at another address",
	  "vferry recover 3fa2 --peer tcp:10.0.0.2:7471" },
	{ 0 },
};

static const char *const see[] = { "send", "recv", "list", NULL };

const struct cli_command cli_cmd_recover = {
	.name = "recover",
	.group = CLI_GROUP_MIGRATE,
	.summary = "settle migrations that were interrupted",
	.about = about,
	.positionals = positionals,
	.options = options,
	.examples = examples,
	.exits = CLI_X_OWNER | CLI_X(CLI_IN_DOUBT) | CLI_X_SIGNALS,
	.see = see,
	.run = run,
};
