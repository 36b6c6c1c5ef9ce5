// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry conform: check a device against the rules, one named check a line. */
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "cli/conform.h"

#define TIMEOUT_NS 2000000000ull

static const char *const verdicts[] = { "runs", "pass", "fail", "n/a" };

static const struct cli_column columns[] = {
	{ .key = "result", .title = "RESULT", .width = 6 },
	{ .key = "check", .title = "CHECK", .width = 34 },
	{ .key = "title", .title = "RULE" },
	{ .key = NULL },
};

static bool wanted(struct cli *cli, const struct check *check)
{
	unsigned int count = cli_count(cli, "only");

	for (unsigned int i = 0; i < count; i++)
		if (!fnmatch(cli_string_at(cli, "only", i), check->name, 0))
			return true;
	return !count;
}

static unsigned int count_wanted(struct cli *cli)
{
	const struct check *check;
	unsigned int count = 0;

	for (unsigned int n = 0; (check = conform_check(n)); n++)
		count += wanted(cli, check);
	return count;
}

/* --- the table --- */

static void add_needs(struct json_object *row, const struct check *check)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} needs[] = {
		{ NEEDS_CHANGES, "destructive" }, { NEEDS_ALONE, "alone" },
		{ NEEDS_SPARE, "spare_vf" },	  { NEEDS_MEMBER, "member_socket" },
		{ NEEDS_IMAGE, "whole_image" },
	};
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (check->needs & needs[i].bit)
			json_object_array_add(list, json_object_new_string(needs[i].name));
	cli_add(row, "needs", list);
}

static struct json_object *row_of(const struct check *check)
{
	struct json_object *row = json_object_new_object();

	cli_add_string(row, "check", check->name);
	cli_add_string(row, "title", check->title);
	cli_add_string(row, "source", check->source);
	add_needs(row, check);
	return row;
}

static int list(struct cli *cli)
{
	static const struct cli_column listed[] = {
		{ .key = "check", .title = "CHECK", .width = 34 },
		{ .key = "needs", .title = "NEEDS", .width = 24 },
		{ .key = "title", .title = "RULE" },
		{ .key = NULL },
	};
	const struct check *check;

	for (unsigned int n = 0; (check = conform_check(n)); n++)
		if (wanted(cli, check))
			cli_row(cli, row_of(check), listed);
	return CLI_DONE;
}

static int explain(struct cli *cli)
{
	static const struct cli_column explained[] = {
		{ .key = "check", .title = "check" },	      { .key = "title", .title = "rule" },
		{ .key = "source", .title = "source" },	      { .key = "needs", .title = "needs" },
		{ .key = "begins_in", .title = "begins in" }, { .key = NULL },
	};
	static const struct cli_view views[] = { { .columns = explained }, { .columns = NULL } };
	const char *name = cli_string(cli, "explain");
	const struct check *check;

	for (unsigned int n = 0; (check = conform_check(n)); n++) {
		struct json_object *doc, *row;

		if (strcmp(check->name, name))
			continue;
		doc = cli_document("vferry.conform.check");
		row = row_of(check);
		json_object_object_foreach(row, key, value)
			cli_add(doc, key, json_object_get(value));
		json_object_put(row);
		cli_add_string(doc, "begins_in",
			       !(check->needs & NEEDS_CHANGES) ? "any mode"
			       : check->needs & NEEDS_FREEZE   ? "freeze"
			       : check->needs & NEEDS_STOP     ? "stop"
							       : "active");
		return cli_print(cli, doc, views);
	}
	return cli_usage(cli, "--explain %s: there is no such check; --list names them", name);
}

/* --- one result --- */

static uint32_t kept(uint32_t bytes)
{
	return bytes < RECORD_BYTES ? bytes : RECORD_BYTES;
}

static void add_exchanges(struct json_object *row, const struct conform *c)
{
	struct json_object *exchanges = json_object_new_array();
	unsigned int from = c->record_count > RECORDS ? c->record_count - RECORDS : 0;

	for (unsigned int i = from; i < c->record_count; i++) {
		const struct record *record = &c->records[i % RECORDS];
		struct json_object *one = json_object_new_object();

		cli_add_uint(one, "sent_bytes", record->sent_bytes);
		cli_add_hex(one, "sent_hex", record->sent, kept(record->sent_bytes));
		cli_add_uint(one, "writable_bytes", record->room_bytes);
		cli_add_bool(one, "answered", !record->error);
		if (!record->error) {
			cli_add_uint(one, "used_bytes", record->used);
			cli_add_hex(one, "received_hex", record->answer, kept(record->room_bytes));
		}
		json_object_array_add(exchanges, one);
	}
	cli_add(row, "exchanges", exchanges);
}

static void show_record(struct cli *cli, const struct record *record)
{
	uint32_t sent = kept(record->sent_bytes), room = kept(record->room_bytes);

	cli_text(cli, "          sent %u bytes%s\n", record->sent_bytes,
		 sent < record->sent_bytes ? ", of which the first" : "");
	cli_hexdump(cli, record->sent, sent < 128 || cli_verbose(cli) ? sent : 128, 10);
	if (record->error) {
		cli_text(cli, "          no answer\n");
		return;
	}
	cli_text(cli, "          received, in %u writable bytes (a5: untouched), used length %u\n",
		 record->room_bytes, record->used);
	cli_hexdump(cli, record->answer, room < 128 || cli_verbose(cli) ? room : 128, 10);
}

static void show_exchanges(struct cli *cli, const struct conform *c)
{
	unsigned int shown = cli_verbose(cli) ? RECORDS : 1;
	unsigned int from = c->record_count > shown ? c->record_count - shown : 0;

	for (unsigned int i = from; i < c->record_count; i++)
		show_record(cli, &c->records[i % RECORDS]);
}

static void report(struct cli *cli, const struct conform *c, const struct check *check)
{
	struct json_object *row = row_of(check);

	cli_add_string(row, "result", verdicts[c->verdict]);
	if (c->verdict == CHECK_FAILED) {
		cli_add_string(row, "expected", c->words);
		add_exchanges(row, c);
	} else if (c->verdict == CHECK_NOT_APPLICABLE) {
		cli_add_string(row, "reason", c->words);
	}
	cli_row(cli, row, columns);
	if (c->verdict == CHECK_NOT_APPLICABLE)
		cli_text(cli, "        because: %s\n", c->words);
	if (c->verdict != CHECK_FAILED)
		return;
	cli_text(cli, "        expected: %s\n        source: %s\n", c->words, check->source);
	show_exchanges(cli, c);
}

/* --- a run --- */

static int member_pattern_ok(struct cli *cli)
{
	const char *pattern = cli_string(cli, "member-socket");
	const char *at = pattern ? strstr(pattern, "%d") : NULL;

	if (pattern && (!at || strstr(at + 2, "%d")))
		return cli_usage(
			cli, "--member-socket %s: %%d must stand in it once, for the VF's number",
			pattern);
	return CLI_DONE;
}

static int catch_signals(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, before))
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Between two checks only: each has its deadlines, and leaves the VF as it should be. */
static int signal_came(int fd)
{
	struct signalfd_siginfo info;

	if (fd < 0 || read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return info.ssi_signo == SIGINT ? CLI_SIGINT : CLI_SIGTERM;
}

static void summary(struct cli *cli, const struct conform_totals *totals, const char *left,
		    const char *stopped)
{
	struct json_object *row;

	if (left)
		cli_note(cli, "what could not be put back: %s", left);
	if (!cli_json(cli)) {
		cli_text(cli, "%u passed, %u failed, %u not applicable\n", totals->passed,
			 totals->failed, totals->not_applicable);
		return;
	}
	row = cli_document("vferry.conform");
	cli_add_string(row, "owner", cli_string(cli, "OWNER"));
	cli_add_uint(row, "passed", totals->passed);
	cli_add_uint(row, "failed", totals->failed);
	cli_add_uint(row, "not_applicable", totals->not_applicable);
	if (left)
		cli_add_string(row, "not_put_back", left);
	if (stopped)
		cli_add_string(row, "stopped", stopped);
	cli_row(cli, row, columns);
}

static int run_checks(struct cli *cli, struct conform *c, struct junit *junit)
{
	struct conform_totals totals = { 0 };
	const struct check *check;
	char wedged[sizeof(c->wedged_why)] = "";
	sigset_t before;
	const char *left;
	int signals = catch_signals(&before), interrupted = 0;

	for (unsigned int n = 0; (check = conform_check(n)) && !interrupted; n++) {
		if (!wanted(cli, check))
			continue;
		conform_run(c, check);
		report(cli, c, check);
		junit_add(junit, c, check);
		totals.passed += c->verdict == CHECK_PASSED;
		totals.failed += c->verdict == CHECK_FAILED;
		totals.not_applicable += c->verdict == CHECK_NOT_APPLICABLE;
		interrupted = signal_came(signals);
		/* The rest cannot be asked; what was done is in the report. */
		if (c->wedged) {
			snprintf(wedged, sizeof(wedged), "%s", c->wedged_why);
			cli_note(cli, "ended after %s: %s", check->name, c->wedged_why);
			totals.failed += !totals.failed;
			break;
		}
	}
	left = conform_close(c);
	summary(cli, &totals, left, *wedged ? wedged : NULL);
	if (signals >= 0)
		close(signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return interrupted ? interrupted : totals.failed ? CLI_FAILED : CLI_DONE;
}

static int run(struct cli *cli)
{
	const struct cli_vfs *vfs = cli_vfs(cli, "vf");
	struct conform_opts opts = {
		.address = cli_string(cli, "OWNER"),
		.spare = (uint16_t)cli_number(cli, "spare-vf", 0),
		.destructive = cli_has(cli, "destructive"),
		.direct = cli_has(cli, "direct"),
		.member_socket = cli_string(cli, "member-socket"),
		.timeout_ns = cli_timeout_ns(cli) ? cli_timeout_ns(cli) : TIMEOUT_NS,
	};
	struct junit junit = { 0 };
	struct vferry_error err = { 0 };
	struct conform *c;
	int ret;

	if (cli_has(cli, "list"))
		return list(cli);
	if (cli_has(cli, "explain"))
		return explain(cli);
	if (!opts.address)
		return cli_usage(cli, "OWNER is missing: the owner device");
	if (!vfs || vfs->count != 1)
		return cli_usage(cli, "--vf: one VF's number is wanted");
	opts.vf = vfs->vf[0];
	if (opts.spare == opts.vf)
		return cli_usage(cli, "--spare-vf %u: it is the VF that is checked", opts.vf);
	if (!count_wanted(cli))
		return cli_usage(cli, "--only: no check has such a name; --list names them");
	ret = member_pattern_ok(cli);
	if (ret)
		return ret;
	c = calloc(1, sizeof(*c));
	if (!c)
		return CLI_FAILED;
	ret = conform_open(c, &opts, &err);
	if (!ret)
		ret = junit_begin(&junit, cli_string(cli, "junit"), &err);
	if (ret) {
		conform_close(c);
		ret = cli_fail(cli, &err);
	} else {
		ret = run_checks(cli, c, &junit);
		if (junit_end(&junit, &err))
			ret = cli_fail(cli, &err);
	}
	free(c);
	return ret;
}

static bool entry(unsigned int n, const char **word, const char *words[4])
{
	const struct check *check = conform_check(n);

	if (!check)
		return false;
	*word = check->name;
	words[0] = check->title;
	words[1] = check->source;
	words[2] = check->needs & NEEDS_CHANGES ? "Destructive" : NULL;
	words[3] = NULL;
	return true;
}

static const struct cli_list checks = { "CHECKS", entry };

static const char *const about[] = {
	"Each check is a rule: from virtio 1.3, from the seed (the draft's patch \"[PATCH v3 4/8] admin: Add device migration "
	"admin commands\"), or from vferry's own device-rules.md where both are silent; those are marked as ours, and a device "
	"may have decided otherwise. A check passes, fails, or does not apply, with the reason. A failure shows what was "
	"expected, and the exact bytes sent and received.",
	"Only reading checks run unless --destructive is given. With it the VF's mode and state change, and are put back "
	"afterwards where the device lets that happen: its mode, its context as it was read at the beginning; what was staged "
	"is discarded. Whoever drives the VF meanwhile will not like it.",
	"LIST_USE is checked while nobody else has borrowed the owner; the list is put back. With --member-socket the VF itself "
	"is driven too, as a guest would, to see its memory and interrupts in each mode.",
	"A device that does not answer makes its check fail; the queue is reset and the next check runs. When the queue cannot be "
	"had back, the run ends there and says so.",
	NULL,
};

const struct cli_command cli_cmd_conform = {
	.name = "conform",
	.group = CLI_GROUP_DEVICE,
	.summary = "check a device against the rules, one named check a line",
	.about = about,
	.positionals =
		(const struct cli_option[]){
			{ .name = "OWNER",
			  .type = CLI_OWNER,
			  .flags = CLI_OPTIONAL,
			  .help = "the owner device: vfio:0000:65:00.0, vfio-user:/run/vferry/pf0.sock" },
			CLI_END,
		},
	.options =
		(const struct cli_option[]){
			{ .name = "vf", .type = CLI_VFS, .help = "the VF to check" },
			{ .name = "spare-vf",
			  .type = CLI_NUMBER,
			  .arg = "N",
			  .min = 1,
			  .max = 255,
			  .help = "a second VF, whose state is given up: for round trips" },
			{ .name = "destructive",
			  .help = "run checks that change the VF's mode and state too" },
			{ .name = "only",
			  .type = CLI_STRING,
			  .arg = "PATTERN",
			  .flags = CLI_REPEAT,
			  .help = "only checks of this name, as in 'modes.*'" },
			{ .name = "list",
			  .letter = 'l',
			  .help = "print the checks and what they need" },
			{ .name = "explain",
			  .type = CLI_STRING,
			  .arg = "NAME",
			  .help = "say what a check looks at, and where its rule stands" },
			{ .name = "member-socket",
			  .type = CLI_STRING,
			  .arg = "PATTERN",
			  .help = "the VFs' own functions, as in vfio-user:/run/vferry/vf%d.sock" },
			{ .name = "junit",
			  .type = CLI_FILE,
			  .help = "write the results as JUnit XML" },
			{ .name = "direct",
			  .help = "hold the owner in this process, without a keeper: its end resets the owner and all its VFs" },
			CLI_END,
		},
	.exits = CLI_X_OWNER | CLI_X_SIGNALS,
	.list = &checks,
	.examples =
		(const struct cli_example[]){
			{ "what can be seen without changing anything",
			  "vferry conform vfio-user:/run/vferry/pf0.sock --vf 1" },
			{ "all of it, for a CI",
			  "vferry conform vfio-user:/tmp/a/pf0.sock --vf 1 --spare-vf 2 --destructive --member-socket "
			  "vfio-user:/tmp/a/vf%d.sock --junit conform.xml" },
			{ NULL, NULL },
		},
	.see = (const char *const[]){ "admin", "ctx", NULL },
	.run = run,
};
