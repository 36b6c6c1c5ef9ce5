// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry admin: the commands that fit into one question and one answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bus/lent.h"
#include "cli/admin.h"
#include "migrate/journal.h"
#include "migrate/settled.h"

int admin_open(struct cli *cli, struct vferry_owner **owner, struct cli_vfs *vfs,
	       unsigned int flags, struct vferry_error *err)
{
	struct vferry_owner_opts opts = {
		.size = sizeof(opts),
		.flags = flags | (cli_has(cli, "wait") ? VFERRY_OWNER_WAIT : 0) |
			 (cli_has(cli, "direct") ? VFERRY_OWNER_DIRECT : 0),
		.timeout_ns = cli_timeout_ns(cli),
		.arena_bytes = 1u << 20, /* no pipeline here: a few chunks are enough */
	};
	int rc;

	if (vfs && vfs->all) {
		rc = vferry_owner_open(owner, cli_string(cli, "OWNER"), &opts, err);
		if (rc)
			return rc;
		rc = cli_vfs_all(vfs, vferry_owner_num_vfs(*owner), err);
		vferry_owner_close(*owner);
		if (rc)
			return rc;
	}
	if (vfs) {
		opts.vfs = vfs->vf;
		opts.vfs_count = vfs->count;
	}
	return vferry_owner_open(owner, cli_string(cli, "OWNER"), &opts, err);
}

uint16_t admin_one_vf(struct cli *cli)
{
	const struct cli_vfs *vfs = cli_vfs(cli, "vf");

	if (vfs && vfs->count == 1)
		return vfs->vf[0];
	if (vfs)
		cli_usage(cli, "--vf %s: one VF at a time", cli_string(cli, "vf"));
	else
		cli_usage(cli, "--vf is missing: the VF's number");
	return 0;
}

int admin_may_change(struct cli *cli, const struct cli_vfs *vfs, struct vferry_error *err)
{
	char address[256];
	int rc;

	if (cli_has(cli, "force"))
		return 0;
	rc = vf_owner_address(cli_string(cli, "OWNER"), address, sizeof(address), err);
	for (unsigned int i = 0; !rc && i < vfs->count; i++)
		rc = vf_journal_check_free(address, vfs->vf[i], err);
	return rc;
}

int admin_may_live(struct cli *cli, struct vferry_owner *owner, const struct cli_vfs *vfs,
		   struct vferry_error *err)
{
	char address[256];
	int rc = admin_may_change(cli, vfs, err);

	if (!rc)
		rc = vf_owner_address(cli_string(cli, "OWNER"), address, sizeof(address), err);
	for (unsigned int i = 0; !rc && i < vfs->count; i++) {
		if (!cli_has(cli, "force"))
			rc = vf_gone_check_device(owner, address, vfs->vf[i], err);
		else if (vf_gone_forget(address, vfs->vf[i]))
			cli_note(cli, "VF %u was moved away; it may live here again, as told",
				 vfs->vf[i]);
	}
	return rc;
}

/* --- One command a VF -------------------------------------------------------------------------------- */

struct job {
	uint16_t opcode;
	uint8_t data;
	uint32_t data_length;
	uint32_t result_room;
	bool changes; /* the VF: refused while a migration is open; the first refusal ends the row */
	const struct cli_column *columns;
	const char *part; /* of each answer, shown as a table of its own */
};

static void fill(struct vferry_cmd *cmd, const struct job *job, uint16_t vf)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->opcode = job->opcode;
	cmd->group_type = VFERRY_GROUP_SRIOV;
	cmd->member = vf;
	cmd->inline_data[0] = job->data;
	cmd->inline_length = job->data_length;
	cmd->result_room = job->result_room;
}

static int dry_run(struct cli *cli, const struct job *job, const struct cli_vfs *vfs)
{
	struct vferry_cmd *commands;
	int rc;

	if (vfs->all)
		return cli_usage(
			cli,
			"--vf all: only the owner knows how many there are, and a dry run does not ask it");
	commands = calloc(vfs->count, sizeof(*commands));
	if (!commands)
		return CLI_FAILED;
	for (unsigned int i = 0; i < vfs->count; i++)
		fill(&commands[i], job, vfs->vf[i]);
	rc = admin_dry_run(cli, commands, vfs->count, NULL);
	free(commands);
	return rc;
}

static int fail_command(struct cli *cli, const struct vferry_cmd *cmd,
			const struct vferry_error *err)
{
	const struct vferry_answer answer = { .opcode = cmd->opcode,
					      .status = cmd->status,
					      .qualifier = cmd->qualifier };

	return cli_fail_answer(cli, err, &answer);
}

static void show_hex(struct cli *cli, const struct vferry_cmd *cmd, struct json_object *answer)
{
	struct json_object *hex;
	uint8_t *bytes;
	size_t count;

	if (!cli_has(cli, "hex") || !json_object_object_get_ex(answer, "answer_hex", &hex) ||
	    cli_parse_hex(json_object_get_string(hex), &bytes, &count, NULL))
		return;
	if (cmd->member)
		cli_text(cli, "VF %llu: ", (unsigned long long)cmd->member);
	cli_text(cli, "%s answered %zu bytes\n", vferry_opcode_name(cmd->opcode), count);
	cli_hexdump(cli, bytes, count, 2);
	free(bytes);
}

/* A table of its own for each answer; printing consumes @doc. */
static void print_parts(struct cli *cli, struct json_object *doc, const struct job *job,
			size_t count)
{
	struct cli_view *views = calloc(count + 1, sizeof(*views));
	char(*words)[2][48] = calloc(count, sizeof(*words));

	if (!views || !words)
		abort();
	for (size_t i = 0; i < count; i++) {
		struct json_object *answers = json_object_object_get(doc, "answers");
		struct json_object *answer = json_object_array_get_idx(answers, i);
		struct json_object *vf;

		snprintf(words[i][0], sizeof(words[i][0]), "answers.%zu.%s", i, job->part);
		views[i].key = words[i][0];
		views[i].columns = job->columns;
		views[i].empty = "none";
		if (count > 1 && json_object_object_get_ex(answer, "vf", &vf)) {
			snprintf(words[i][1], sizeof(words[i][1]), "VF %d",
				 json_object_get_int(vf));
			views[i].title = words[i][1];
		}
	}
	cli_print(cli, doc, views);
	free(views);
	free(words);
}

static void print_answers(struct cli *cli, struct json_object *answers, const struct job *job)
{
	struct cli_view views[] = { { .key = "answers", .columns = job->columns },
				    { .columns = NULL } };
	struct json_object *doc = cli_document("vferry.admin");
	size_t count = json_object_array_length(answers);

	cli_add_string(doc, "owner", cli_string(cli, "OWNER"));
	cli_add_string(doc, "command", cli_path(cli));
	cli_add(doc, "answers", answers);
	if (job->part)
		print_parts(cli, doc, job, count);
	else
		cli_print(cli, doc, views);
}

static int run_commands(struct cli *cli, struct vferry_owner *owner, const struct job *job,
			const struct cli_vfs *vfs)
{
	struct json_object *answers = json_object_new_array();
	int status = CLI_DONE;

	for (unsigned int i = 0; i < vfs->count; i++) {
		struct json_object *answer;
		struct vferry_error err;
		struct vferry_cmd cmd;

		fill(&cmd, job, vfs->vf[i]);
		vferry_owner_exec(owner, &cmd);
		if (admin_answer_error(&cmd, &err)) {
			int failed = fail_command(cli, &cmd, &err);

			status = status ? status : failed;
			/* A device that says no to one VF may still answer for the next; one that is silent will not. */
			if (cmd.error || job->changes)
				break;
			continue;
		}
		answer = admin_answer_json(&cmd);
		show_hex(cli, &cmd, answer);
		json_object_array_add(answers, answer);
	}
	if (json_object_array_length(answers))
		print_answers(cli, answers, job);
	else
		json_object_put(answers);
	return status;
}

static int each_vf(struct cli *cli, const struct job *job)
{
	const struct cli_vfs *given = cli_vfs(cli, "vf");
	struct vferry_owner *owner;
	struct vferry_error err;
	struct cli_vfs *vfs;
	int rc;

	if (!given)
		return cli_usage(cli, "--vf is missing: the VFs' numbers");
	if (cli_has(cli, "dry-run"))
		return dry_run(cli, job, given);
	vfs = (struct cli_vfs *)
		given; /* "all" becomes the numbers, for as long as the arguments live */
	rc = admin_open(cli, &owner, vfs, 0, &err);
	if (rc)
		return cli_fail(cli, &err);
	if (job->changes && job->opcode == VFERRY_CMD_DEV_MODE_SET &&
	    job->data != VFERRY_MODE_FREEZE)
		rc = admin_may_live(cli, owner, vfs, &err);
	else if (job->changes)
		rc = admin_may_change(cli, vfs, &err);
	rc = rc ? cli_fail(cli, &err) : run_commands(cli, owner, job, vfs);
	vferry_owner_close(owner);
	return rc;
}

static const struct cli_column mode_columns[] = {
	{ .key = "vf", .title = "VF" },
	{ .key = "mode", .title = "MODE" },
	{ .key = "duration_ns", .title = "TOOK", .format = CLI_NS },
	{ .key = NULL },
};

int admin_run_mode_get(struct cli *cli)
{
	return each_vf(cli, &(struct job){ .opcode = VFERRY_CMD_DEV_MODE_GET,
					   .result_room = VFERRY_ADMIN_ALIGN,
					   .columns = mode_columns });
}

int admin_run_mode_set(struct cli *cli)
{
	/* Never without its data: a mode that is not there reads as 0, which is Active. */
	return each_vf(cli, &(struct job){ .opcode = VFERRY_CMD_DEV_MODE_SET,
					   .data = (uint8_t)cli_number(cli, "MODE", 0),
					   .data_length = sizeof(struct vferry_admin_mode),
					   .changes = true,
					   .columns = mode_columns });
}

int admin_run_size(struct cli *cli)
{
	static const struct cli_column columns[] = {
		{ .key = "vf", .title = "VF" },
		{ .key = "context_bytes", .title = "BYTES" },
		{ .key = "context_bytes", .title = "SIZE", .format = CLI_BYTES },
		{ .key = "in_freeze", .title = "IN-FREEZE" },
		{ .key = "duration_ns", .title = "TOOK", .format = CLI_NS },
		{ .key = NULL },
	};

	return each_vf(cli, &(struct job){ .opcode = VFERRY_CMD_DEV_CTX_SIZE_GET,
					   .data = cli_has(cli, "freeze"),
					   .data_length = sizeof(struct vferry_admin_size_data),
					   .result_room = sizeof(struct vferry_admin_size_result),
					   .columns = columns });
}

int admin_run_fields(struct cli *cli)
{
	static const struct cli_column columns[] = {
		{ .key = "type", .title = "TYPE", .format = CLI_HEX0X },
		{ .key = "name", .title = "NAME" },
		{ .key = "length_bytes", .title = "LENGTH" },
		{ .key = NULL },
	};

	return each_vf(cli, &(struct job){ .opcode = VFERRY_CMD_DEV_CTX_FIELDS_QUERY,
					   .result_room = VFERRY_CMD_INLINE_RESULT,
					   .columns = columns,
					   .part = "fields" });
}

int admin_run_discard(struct cli *cli)
{
	static const struct cli_column columns[] = {
		{ .key = "vf", .title = "VF" },
		{ .key = "status_name", .title = "DISCARD" },
		{ .key = "duration_ns", .title = "TOOK", .format = CLI_NS },
		{ .key = NULL },
	};

	return each_vf(cli, &(struct job){ .opcode = VFERRY_CMD_DEV_CTX_DISCARD,
					   .changes = true,
					   .columns = columns });
}

/* --- The group's commands ------------------------------------------------------------------------------ */

static const struct cli_column opcode_columns[] = {
	{ .key = "opcode", .title = "OPCODE", .format = CLI_HEX0X },
	{ .key = "name", .title = "NAME" },
	{ .key = NULL },
};

static const struct job list_job = { .columns = opcode_columns, .part = "opcodes" };

static int group_command(struct cli *cli, struct vferry_owner *owner, struct vferry_cmd *cmd)
{
	struct json_object *answers, *answer;
	struct vferry_error err;

	vferry_owner_exec(owner, cmd);
	if (admin_answer_error(cmd, &err))
		return fail_command(cli, cmd, &err);
	answers = json_object_new_array();
	answer = admin_answer_json(cmd);
	show_hex(cli, cmd, answer);
	json_object_array_add(answers, answer);
	print_answers(cli, answers, &list_job);
	return CLI_DONE;
}

static int no_vf(struct cli *cli)
{
	if (cli_has(cli, "vf"))
		return cli_usage(cli, "--vf %s: this command asks the group; leave --vf out",
				 cli_string(cli, "vf"));
	return CLI_DONE;
}

int admin_run_list_query(struct cli *cli)
{
	struct vferry_cmd cmd = {
		.opcode = VFERRY_CMD_LIST_QUERY,
		.group_type = VFERRY_GROUP_SRIOV,
		.result_room = VFERRY_CMD_INLINE_DATA,
	};
	struct vferry_owner *owner;
	struct vferry_error err;
	int rc = no_vf(cli);

	if (rc)
		return rc;
	if (cli_has(cli, "dry-run"))
		return admin_dry_run(cli, &cmd, 1, NULL);
	if (admin_open(cli, &owner, NULL, 0, &err))
		return cli_fail(cli, &err);
	rc = group_command(cli, owner, &cmd);
	vferry_owner_close(owner);
	return rc;
}

/* "all": what the device offers, as it answers. */
static int offered(struct cli *cli, struct vferry_owner *owner, struct vferry_cmd *use)
{
	struct vferry_cmd query = {
		.opcode = VFERRY_CMD_LIST_QUERY,
		.group_type = VFERRY_GROUP_SRIOV,
		.result_room = VFERRY_CMD_INLINE_DATA,
	};
	struct vferry_error err;

	vferry_owner_exec(owner, &query);
	if (admin_answer_error(&query, &err))
		return fail_command(cli, &query, &err);
	use->inline_length =
		query.used < VFERRY_CMD_INLINE_DATA ? query.used & ~7u : VFERRY_CMD_INLINE_DATA;
	if (use->inline_length)
		memcpy(use->inline_data, query.answer, use->inline_length);
	return CLI_DONE;
}

int admin_run_list_use(struct cli *cli)
{
	struct vferry_cmd cmd = { .opcode = VFERRY_CMD_LIST_USE, .group_type = VFERRY_GROUP_SRIOV };
	const char *opcodes = cli_string(cli, "OPCODES");
	bool all = !opcodes || !strcmp(opcodes, "all");
	struct vferry_owner *owner;
	struct vferry_error err;
	size_t length;
	int rc = no_vf(cli);

	if (rc)
		return rc;
	if (!all) {
		if (cli_parse_opcodes(opcodes, cmd.inline_data, &length, &err))
			return cli_usage(cli, "OPCODES: %s", err.text);
		cmd.inline_length = (uint32_t)length;
	}
	if (cli_has(cli, "dry-run")) {
		if (all)
			return cli_usage(
				cli,
				"OPCODES: name them; a dry run does not ask the owner for its list");
		return admin_dry_run(cli, &cmd, 1, NULL);
	}
	if (admin_open(cli, &owner, NULL, VFERRY_OWNER_ALONE, &err))
		return cli_fail(cli, &err);
	rc = all ? offered(cli, owner, &cmd) : CLI_DONE;
	if (!rc)
		rc = group_command(cli, owner, &cmd);
	vferry_owner_close(owner);
	return rc;
}
