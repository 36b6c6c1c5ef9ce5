// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry keep: hold an owner for engines (design/keeper.md). */
#include <errno.h>
#include <string.h>
#include "bus/keeper.h"
#include "bus/lent.h"
#include "cli/cli.h"
#include "keep/keep.h"

static const struct cli_column loan_columns[] = {
	{ .key = "pid", .title = "PID" },     { .key = "command", .title = "COMMAND" },
	{ .key = "queue", .title = "QUEUE" }, { .key = "vfs", .title = "VFS" },
	{ .key = "state", .title = "STATE" }, { .key = NULL },
};

static const struct cli_column columns[] = {
	{ .key = "owner", .title = "owner" },
	{ .key = "state", .title = "keeper" },
	{ .key = "trouble", .title = "trouble" },
	{ .key = "pid", .title = "pid" },
	{ .key = "num_vfs", .title = "VFs" },
	{ .key = "queues", .title = "admin queues" },
	{ .key = "epoch", .title = "epoch" },
	{ .key = "vf_token", .title = "VF token" },
	{ .key = NULL },
};

static const struct cli_view views[] = {
	{ .columns = columns },
	{ .key = "loans", .title = "on loan", .columns = loan_columns },
	{ .columns = NULL },
};

static const char *loan_state(enum vf_loan_state state)
{
	switch (state) {
	case VF_LOAN_LENT:
		return "lent";
	case VF_LOAN_RESTING:
		return "coming to rest";
	case VF_LOAN_WEDGED:
		return "wedged";
	}
	return "unknown";
}

static const char *keeper_state(enum vf_keeper_state state)
{
	switch (state) {
	case VF_KEEPER_SERVING:
		return "serving";
	case VF_KEEPER_WEDGED:
		return "wedged";
	case VF_KEEPER_NEEDS_RESET:
		return "needs reset";
	case VF_KEEPER_ENDING:
		return "ending";
	}
	return "unknown";
}

static void add_loans(struct json_object *doc, const struct vf_keeper_report *report)
{
	struct json_object *loans = json_object_new_array();

	for (unsigned int i = 0; i < report->loan_count; i++) {
		const struct vf_keeper_loan *loan = &report->loans[i];
		struct json_object *entry = json_object_new_object();
		struct json_object *vfs = json_object_new_array();

		cli_add_uint(entry, "pid", (uint64_t)loan->pid);
		cli_add_string(entry, "command", loan->comm);
		cli_add_uint(entry, "queue", loan->queue);
		for (unsigned int vf = 1; vf < VF_MAX_VFS; vf++) {
			if (vf_vfset_has(&loan->vfs, vf))
				json_object_array_add(vfs, json_object_new_int((int)vf));
		}
		cli_add(entry, "vfs", vfs);
		cli_add_string(entry, "state", loan_state(loan->state));
		cli_add_bool(entry, "alone", loan->alone);
		cli_add_uint(entry, "age_ns", loan->age_ns);
		json_object_array_add(loans, entry);
	}
	cli_add(doc, "loans", loans);
}

static struct json_object *document(const struct vf_keeper_report *report)
{
	struct json_object *doc = cli_document("vferry.keep");

	cli_add_string(doc, "owner", report->address);
	cli_add_string(doc, "state", keeper_state(report->state));
	if (*report->trouble)
		cli_add_string(doc, "trouble", report->trouble);
	cli_add_uint(doc, "pid", (uint64_t)report->pid);
	cli_add_uint(doc, "num_vfs", report->num_vfs);
	cli_add_uint(doc, "total_vfs", report->total_vfs);
	cli_add_uint(doc, "queues", report->queues);
	cli_add_uint(doc, "queues_free", report->queues_free);
	cli_add_uint(doc, "waiting", report->waiting);
	cli_add_hex(doc, "epoch", report->epoch, sizeof(report->epoch));
	if (*report->token)
		cli_add_string(doc, "vf_token", report->token);
	add_loans(doc, report);
	return doc;
}

static int stop(struct cli *cli, const char *owner)
{
	struct vf_keeper_report *report;
	struct json_object *doc;
	struct vferry_error err;
	int ret;

	ret = vf_keeper_ask(owner, 0, cli_timeout_ns(cli), &report, &err);
	if (ret)
		return cli_fail(cli, &err);
	for (unsigned int i = 0; i < report->loan_count; i++)
		cli_note(
			cli,
			"pid %d (%s) has %u VFs of this owner on loan: it is asked to give them back, and killed if "
			"it does not",
			(int)report->loans[i].pid, report->loans[i].comm,
			vf_vfset_count(&report->loans[i].vfs));
	cli_note(cli, "giving %s up resets it: the state of its %u VFs is lost", report->address,
		 report->num_vfs);
	doc = document(report);
	vf_keeper_report_free(report);
	ret = vf_keeper_stop(owner, cli_timeout_ns(cli), &err);
	if (ret) {
		json_object_put(doc);
		return cli_fail(cli, &err);
	}
	cli_add_string(doc, "state", "stopped");
	return cli_print(cli, doc, views);
}

static int detach(struct cli *cli, const char *owner)
{
	struct vf_keeper_start how = {
		.num_vfs = (uint16_t)cli_number(cli, "vfs", 0),
		.vf_token = cli_string(cli, "vf-token"),
		.timeout_ns = cli_timeout_ns(cli),
	};
	struct vf_keeper_report *report;
	struct json_object *doc;
	struct vferry_error err;
	int ret;

	ret = vf_keeper_start(owner, &how, &err);
	if (!ret)
		ret = vf_keeper_ask(owner, 0, cli_timeout_ns(cli), &report, &err);
	if (ret)
		return cli_fail(cli, &err);
	if (!report->num_vfs)
		cli_note(cli, "no VFs are enabled; vferry keep %s --vfs N enables them, up to %u",
			 owner, report->total_vfs);
	doc = document(report);
	vf_keeper_report_free(report);
	return cli_print(cli, doc, views);
}

static int run(struct cli *cli)
{
	const char *owner = cli_string(cli, "OWNER");
	struct vferry_error err = { 0 };
	struct keep_opts opts = {
		.address = owner,
		.num_vfs = (uint16_t)cli_number(cli, "vfs", 0),
		.vf_token = cli_string(cli, "vf-token"),
		.rest_ns = cli_timeout_ns(cli),
		.timeout_ns = cli_timeout_ns(cli),
	};

	if (cli_has(cli, "stop"))
		return stop(cli, owner);
	if (!cli_has(cli, "foreground"))
		return detach(cli, owner);
	return keep_run(&opts, &err) ? cli_fail(cli, &err) : CLI_DONE;
}

static const char *const about[] = {
	"Opening a PF through VFIO resets it, and so does closing it; a reset of the PF takes every VF's state with it. The keeper "
	"is a small process that holds the owner for as long as its VFs live and lends VFs, an admin queue and memory to the "
	"commands that work on it, while these come, go and crash. send, recv, recover and admin start one when there is none.",
	"Without --foreground the keeper goes into the background once it serves. Under systemd, "
	"vferry-keeper@OWNER.service runs it, and systemd keeps its descriptors: a keeper that is killed is started again and goes on "
	"with them, with the same epoch and no reset of the owner. Engines that were at work lose their loan; vferry recover "
	"settles what they left.",
	NULL,
};

static const struct cli_option positionals[] = { CLI_ARG_OWNER, CLI_END };

static const struct cli_option options[] = {
	{
		.name = "vfs",
		.type = CLI_NUMBER,
		.min = 1,
		.max = VF_MAX_VFS - 1,
		.help = "enable that many VFs; without it they stay as they are",
	},
	{
		.name = "vf-token",
		.type = CLI_STRING,
		.arg = "UUID",
		.help = "VF token of a PF bound to vfio-pci",
	},
	{
		.name = "stop",
		.help = "end the keeper: borrowers are asked to give back and killed after --timeout (5s), then the owner is reset",
	},
	{
		.name = "foreground",
		.help = "stay in the foreground and log to standard error",
	},
	CLI_END,
};

static const struct cli_example examples[] = {
	{ "hold an owner and enable 8 VFs", "vferry keep vfio:0000:65:00.0 --vfs 8" },
	{ "let it go", "vferry keep vfio:0000:65:00.0 --stop" },
	{ NULL, NULL },
};

static const char *const see[] = { "list", "admin", "recover", NULL };

const struct cli_command cli_cmd_keep = {
	.name = "keep",
	.group = CLI_GROUP_DEVICE,
	.summary = "hold an owner and lend it to the commands that work on it",
	.about = about,
	.positionals = positionals,
	.options = options,
	.examples = examples,
	.exits = CLI_X_OWNER,
	.see = see,
	.run = run,
};
