// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry ctx: a saved context, or a saved stream of several, looked into. */
#include <errno.h>
#include <string.h>
#include "cli/ctx.h"

/* --- show --------------------------------------------------------------------------------------------------- */

/* A row for each value, the field's own columns in its first row only. */
static void entry_rows(struct json_object *rows, const struct vferry_ctx_entry *entry)
{
	struct vferry_ctx_pair pairs[VFERRY_CTX_PAIRS];
	size_t count = vferry_ctx_decode(entry, pairs);

	for (size_t i = 0; i < count; i++) {
		struct json_object *row = json_object_new_object();
		char text[400], name[32];

		snprintf(name, sizeof(name), "%s", vferry_ctx_type_name(entry->type));
		if (!strcmp(name, "unknown"))
			snprintf(name, sizeof(name), "%#x", entry->type);
		cli_add_string(row, "field", i ? " " : name);
		cli_add(row, "index",
			i ? json_object_new_string(" ") : json_object_new_uint64(entry->index));
		cli_add(row, "bytes",
			i ? json_object_new_string(" ") : json_object_new_uint64(entry->length));
		ctx_pair_text(&pairs[i], text, sizeof(text));
		cli_add_string(row, "name", pairs[i].name);
		cli_add_string(row, "value", text);
		json_object_array_add(rows, row);
	}
}

static void lane_text(struct cli *cli, const struct ctx_file *file,
		      const struct vf_saved_lane *lane)
{
	static const struct cli_column columns[] = {
		{ .key = "field", .title = "FIELD" }, { .key = "index", .title = "INDEX" },
		{ .key = "bytes", .title = "BYTES" }, { .key = "name", .title = "NAME" },
		{ .key = "value", .title = "VALUE" }, { .key = NULL },
	};
	static const struct cli_view views[] = {
		{ .key = "rows", .columns = columns, .empty = "no field" }, { .columns = NULL }
	};
	const struct vferry_ctx_totals *totals = vferry_context_totals(lane->ctx);
	struct json_object *doc = json_object_new_object();
	struct json_object *rows = json_object_new_array();

	cli_text(cli, "%s", file->name);
	if (vf_saved_kind(file->saved) == VF_SAVED_STREAM)
		cli_text(cli, ", lane %u", lane->lane);
	cli_text(cli, ": %llu bytes, %u image%s (%u delta%s), %zu fields\n",
		 (unsigned long long)totals->bytes, totals->images, totals->images == 1 ? "" : "s",
		 totals->deltas, totals->deltas == 1 ? "" : "s", vferry_context_count(lane->ctx));
	for (size_t i = 0; i < vferry_context_count(lane->ctx); i++)
		entry_rows(rows, vferry_context_entry(lane->ctx, i));
	cli_add(doc, "rows", rows);
	cli_print(cli, doc, views);
}

static struct json_object *lane_json(const struct vf_saved_lane *lane)
{
	const struct vferry_ctx_totals *totals = vferry_context_totals(lane->ctx);
	struct json_object *doc = json_object_new_object();
	struct json_object *fields = json_object_new_array();

	cli_add_uint(doc, "lane", lane->lane);
	cli_add_uint(doc, "context_bytes", totals->bytes);
	cli_add_uint(doc, "images", totals->images);
	cli_add_uint(doc, "deltas", totals->deltas);
	cli_add_uint(doc, "value_bytes", totals->value_bytes);
	cli_add_string(doc, "error", lane->code ? lane->why.text : NULL);
	for (size_t i = 0; i < vferry_context_count(lane->ctx); i++)
		json_object_array_add(fields, ctx_entry_json(vferry_context_entry(lane->ctx, i)));
	cli_add(doc, "fields", fields);
	return doc;
}

static struct json_object *file_json(const struct ctx_file *file)
{
	struct json_object *doc = json_object_new_object();

	cli_add_string(doc, "file", file->name);
	cli_add_string(doc, "kind", ctx_kind(file));
	cli_add_string(doc, "error", file->code ? file->why.text : NULL);
	return doc;
}

static int fail_lane(struct cli *cli, const struct ctx_file *file)
{
	struct vferry_error err;

	for (size_t i = 0; i < file->count; i++) {
		if (file->lanes[i].code) {
			vferry_fail(&err, file->lanes[i].code, "%s: lane %u: %s", file->name,
				    file->lanes[i].lane, file->lanes[i].why.text);
			return cli_fail(cli, &err);
		}
	}
	return CLI_DONE;
}

static int run_show(struct cli *cli)
{
	struct json_object *doc = cli_document("vferry.ctx");
	struct json_object *files = json_object_new_array();
	int status = CLI_DONE;

	for (unsigned int n = 0; n < cli_count(cli, "FILE"); n++) {
		struct json_object *one, *contexts = json_object_new_array();
		struct ctx_file file;

		ctx_read(&file, cli_string_at(cli, "FILE", n));
		if (n)
			cli_text(cli, "\n");
		for (size_t i = 0; i < file.count; i++) {
			if (i)
				cli_text(cli, "\n");
			if (cli_json(cli))
				json_object_array_add(contexts, lane_json(&file.lanes[i]));
			else
				lane_text(cli, &file, &file.lanes[i]);
		}
		one = file_json(&file);
		cli_add(one, "contexts", contexts);
		json_object_array_add(files, one);
		if (file.code)
			status = ctx_fail(cli, &file);
		else if (!ctx_sound(&file))
			status = fail_lane(cli, &file);
		ctx_close(&file);
	}
	cli_add(doc, "files", files);
	cli_print(cli, doc, NULL);
	return status;
}

/* --- check -------------------------------------------------------------------------------------------------- */

struct check {
	struct cli *cli;
	const struct ctx_file *file;
	const struct vf_saved_lane *lane;
	struct json_object *findings;
};

static void where(const struct ctx_file *file, const struct vf_saved_lane *lane, char *text,
		  size_t size)
{
	if (lane && vf_saved_kind(file->saved) == VF_SAVED_STREAM)
		snprintf(text, size, "%s, lane %u", file->name, lane->lane);
	else
		snprintf(text, size, "%s", file->name);
}

static void found(void *arg, const struct vferry_ctx_finding *finding)
{
	struct check *check = arg;
	struct json_object *row = json_object_new_object();
	char place[300];

	where(check->file, check->lane, place, sizeof(place));
	cli_text(check->cli, "%s: %s: %s %u: %s\n", place, finding->error ? "error" : "strange",
		 vferry_ctx_type_name(finding->type), finding->index, finding->text);
	cli_add_bool(row, "error", finding->error);
	cli_add_uint(row, "type", finding->type);
	cli_add_string(row, "name", vferry_ctx_type_name(finding->type));
	cli_add_uint(row, "index", finding->index);
	cli_add(row, "offset_bytes",
		finding->entry ? json_object_new_uint64(finding->entry->offset) : NULL);
	cli_add_string(row, "message", finding->text);
	json_object_array_add(check->findings, row);
}

static uint64_t check_lane(struct cli *cli, const struct ctx_file *file,
			   const struct vf_saved_lane *lane, struct json_object *contexts)
{
	struct check check = {
		.cli = cli, .file = file, .lane = lane, .findings = json_object_new_array()
	};
	struct json_object *doc = json_object_new_object();
	uint64_t errors = 0;
	char place[300];

	where(file, lane, place, sizeof(place));
	if (lane->code)
		cli_text(cli, "%s: error: %s\n", place, lane->why.text);
	else
		errors = vferry_context_check(lane->ctx, found, &check);
	errors += lane->code != 0;
	if (!errors)
		cli_text(cli, "%s: ok, %llu bytes, %u image%s, %zu fields\n", place,
			 (unsigned long long)vferry_context_totals(lane->ctx)->bytes,
			 vferry_context_totals(lane->ctx)->images,
			 vferry_context_totals(lane->ctx)->images == 1 ? "" : "s",
			 vferry_context_count(lane->ctx));
	cli_add_uint(doc, "lane", lane->lane);
	cli_add_bool(doc, "ok", !errors);
	cli_add_string(doc, "error", lane->code ? lane->why.text : NULL);
	cli_add(doc, "findings", check.findings);
	json_object_array_add(contexts, doc);
	return errors;
}

static int run_check(struct cli *cli)
{
	struct json_object *doc = cli_document("vferry.ctx_check");
	struct json_object *files = json_object_new_array();
	uint64_t errors = 0;

	for (unsigned int n = 0; n < cli_count(cli, "FILE"); n++) {
		struct json_object *one, *contexts = json_object_new_array();
		struct ctx_file file;

		ctx_read(&file, cli_string_at(cli, "FILE", n));
		for (size_t i = 0; i < file.count; i++)
			errors += check_lane(cli, &file, &file.lanes[i], contexts);
		if (file.code)
			cli_text(cli, "%s: error: %s\n", file.name, file.why.text);
		errors += file.code != 0;
		one = file_json(&file);
		cli_add(one, "contexts", contexts);
		json_object_array_add(files, one);
		ctx_close(&file);
	}
	cli_add(doc, "files", files);
	cli_add_uint(doc, "errors", errors);
	cli_print(cli, doc, NULL);
	return errors ? CLI_FAILED : CLI_DONE;
}

/* --- diff --------------------------------------------------------------------------------------------------- */

struct diff {
	struct cli *cli;
	struct json_object *rows;
	uint32_t lane;
	bool lanes;
};

static void say_pairs(struct cli *cli, const struct vferry_ctx_entry *a,
		      const struct vferry_ctx_entry *b)
{
	struct vferry_ctx_pair before[VFERRY_CTX_PAIRS], after[VFERRY_CTX_PAIRS];
	size_t na = vferry_ctx_decode(a, before), nb = vferry_ctx_decode(b, after);

	for (size_t i = 0; i < na && i < nb; i++) {
		char from[400], to[400];

		if (vferry_ctx_pair_equal(&before[i], &after[i]))
			continue;
		ctx_pair_text(&before[i], from, sizeof(from));
		ctx_pair_text(&after[i], to, sizeof(to));
		cli_text(cli, "    %s: %s -> %s\n", before[i].name, from, to);
	}
	if (a->length != b->length)
		cli_text(cli, "    length: %llu -> %llu bytes\n", (unsigned long long)a->length,
			 (unsigned long long)b->length);
}

static void differs(void *arg, const struct vferry_ctx_difference *difference)
{
	const struct vferry_ctx_entry *a = difference->a, *b = difference->b, *one = a ? a : b;
	struct json_object *row = json_object_new_object();
	struct diff *diff = arg;

	if (diff->lanes)
		cli_text(diff->cli, "lane %u: ", diff->lane);
	cli_text(diff->cli, "%c %s %u%s\n",
		 a && b ? '~'
		 : a	? '-'
			: '+',
		 vferry_ctx_type_name(one->type), one->index,
		 a && b ? ""
		 : a	? ": in the first only"
			: ": in the second only");
	if (a && b)
		say_pairs(diff->cli, a, b);
	cli_add_uint(row, "lane", diff->lane);
	cli_add_uint(row, "type", one->type);
	cli_add_string(row, "name", vferry_ctx_type_name(one->type));
	cli_add_uint(row, "index", one->index);
	cli_add(row, "a", a ? ctx_entry_json(a) : NULL);
	cli_add(row, "b", b ? ctx_entry_json(b) : NULL);
	json_object_array_add(diff->rows, row);
}

static int compare(struct cli *cli, const struct ctx_file *a, const struct ctx_file *b)
{
	struct json_object *doc = cli_document("vferry.ctx_diff");
	struct diff diff = { .cli = cli, .rows = json_object_new_array(), .lanes = a->count > 1 };
	size_t count = 0;

	for (size_t i = 0; i < a->count; i++) {
		diff.lane = a->lanes[i].lane;
		count += vferry_context_compare(a->lanes[i].ctx, b->lanes[i].ctx, differs, &diff);
	}
	if (!count)
		cli_text(cli, "no difference\n");
	cli_add_string(doc, "a", a->name);
	cli_add_string(doc, "b", b->name);
	cli_add_uint(doc, "differences", count);
	cli_add(doc, "fields", diff.rows);
	cli_print(cli, doc, NULL);
	return count ? CLI_FAILED : CLI_DONE;
}

static int run_diff(struct cli *cli)
{
	const char *first = cli_string(cli, "A"), *second = cli_string(cli, "B");
	struct vferry_error err;
	struct ctx_file a, b;
	int status;

	if (ctx_is_standard(first) && ctx_is_standard(second))
		return cli_usage(cli, "only one of the two can be standard input");
	ctx_read(&a, first);
	ctx_read(&b, second);
	if (a.code) {
		status = ctx_fail(cli, &a);
	} else if (b.code) {
		status = ctx_fail(cli, &b);
	} else if (!ctx_sound(&a) || !ctx_sound(&b)) {
		status = fail_lane(cli, ctx_sound(&a) ? &b : &a);
	} else if (a.count != b.count) {
		vferry_fail(&err, -EINVAL, "%s holds %zu contexts, %s holds %zu", first, a.count,
			    second, b.count);
		status = cli_fail(cli, &err);
	} else {
		status = compare(cli, &a, &b);
	}
	ctx_close(&a);
	ctx_close(&b);
	return status;
}

/* --- The table ------------------------------------------------------------------------------------------------ */

#define FILES                                                                 \
	((const struct cli_option[]){                                         \
		{ .name = "FILE",                                             \
		  .type = CLI_FILE,                                           \
		  .flags = CLI_REPEAT,                                        \
		  .help = "a saved context or stream; - is standard input" }, \
		CLI_END })

static const struct cli_command show = {
	.name = "show",
	.summary = "the fields of saved contexts, decoded",
	.about =
		(const char *const[]){
			"Images are merged by key, the last writer wins. Values too long to print are shown as their digest "
			"(XXH3-128).",
			NULL,
		},
	.positionals = FILES,
	.examples =
		(const struct cli_example[]){
			{ NULL, "vferry ctx show vf1.ctx" },
			{ "without a file", "vferry admin OWNER read --vf 1 | vferry ctx show -" },
			{ NULL, NULL },
		},
	.exits = CLI_X_FAILED,
	.run = run_show,
};

static const struct cli_command check_ = {
	.name = "check",
	.summary = "would a device take them? container, values, completeness",
	.positionals = FILES,
	.exits = CLI_X_FAILED,
	.run = run_check,
};

static const struct cli_command diff_ = {
	.name = "diff",
	.summary = "two saved contexts field by field; exit status 1 when they differ",
	.positionals =
		(const struct cli_option[]){
			{ .name = "A",
			  .type = CLI_FILE,
			  .help = "a saved context or stream; - is standard input" },
			{ .name = "B", .type = CLI_FILE, .help = "another one" },
			CLI_END,
		},
	.exits = CLI_X_FAILED,
	.run = run_diff,
};

const struct cli_command cli_cmd_ctx = {
	.name = "ctx",
	.group = CLI_GROUP_DEVICE,
	.summary = "show, check and compare saved contexts and streams",
	.about =
		(const char *const[]){
			"Reads what 'vferry admin OWNER read' and 'vferry send --to file:' have written, and needs no device.",
			NULL,
		},
	.subs = (const struct cli_command *const[]){ &show, &check_, &diff_, NULL },
	.see = (const char *const[]){ "admin", NULL },
};
