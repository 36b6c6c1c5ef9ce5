// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry profile: one budget of the downtime for source and destination. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "cli/cli.h"
#include "profile/run.h"

static unsigned int terminal_width(void)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col >= 80)
		return size.ws_col;
	return 80;
}

static int put_json(const char *path, struct json_object *doc, struct vferry_error *err)
{
	const char *text = json_object_to_json_string_ext(
		doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	return prof_put_file(path, text, strlen(text), err);
}

/* All that was read, as one file. */
static struct json_object *merged(const struct prof_set *set)
{
	struct json_object *doc = json_object_new_object();

	cli_add_string(doc, "schema", PROF_SCHEMA);
	cli_add_uint(doc, "schema_version", PROF_SCHEMA_NUMBER);
	cli_add_string(doc, "vferry_version", VFERRY_VERSION);
	cli_add(doc, "sides", json_object_get(set->raw_sides));
	cli_add(doc, "kernels", json_object_get(set->raw_kernels));
	return doc;
}

/* The files that were asked for, then the text or the JSON. */
static int show(struct cli *cli, struct prof_set *set)
{
	struct json_object *report = prof_report(set);
	struct vferry_error err = { 0 };
	int ret = report ? 0 : vferry_fail(&err, -ENOMEM, "no memory for the report"), status;

	if (!ret && cli_has(cli, "report"))
		ret = prof_html(cli_string(cli, "report"), report, &err);
	if (!ret && cli_has(cli, "trace"))
		ret = prof_chrome(cli_string(cli, "trace"), set, &err);
	if (!ret && cli_has(cli, "metrics"))
		ret = prof_metrics(cli_string(cli, "metrics"), report, &err);
	if (ret) {
		json_object_put(report);
		return cli_fail(cli, &err);
	}
	/* What is no profile at all is shown for what is wrong with it, and is no success. */
	status = json_object_array_length(prof_get_array(report, "vfs")) ? CLI_DONE : CLI_FAILED;
	if (cli_json(cli)) {
		cli_print(cli, report, NULL);
		return status;
	}
	prof_text(stdout, report, terminal_width(), isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
		  cli_verbose(cli) > 0);
	json_object_put(report);
	return status;
}

static int read_files(struct cli *cli, struct prof_set *set, unsigned int from, unsigned int to)
{
	struct vferry_error err = { 0 };

	prof_set_init(set);
	for (unsigned int i = from; i < to; i++)
		if (prof_read_file(set, cli_string_at(cli, "PROFILE", i), &err))
			return cli_fail(cli, &err);
	return CLI_DONE;
}

static int merge(struct cli *cli)
{
	struct vferry_error err = { 0 };
	struct prof_set set;
	int status = read_files(cli, &set, 0, cli_count(cli, "PROFILE"));

	if (!status && cli_has(cli, "out")) {
		struct json_object *doc = merged(&set);

		if (put_json(cli_string(cli, "out"), doc, &err))
			status = cli_fail(cli, &err);
		json_object_put(doc);
	}
	if (!status)
		status = show(cli, &set);
	prof_set_free(&set);
	return status;
}

static int compare(struct cli *cli)
{
	struct prof_set before, now;
	struct json_object *old_report, *new_report, *compared;
	int status;

	if (cli_count(cli, "PROFILE") != 2)
		return cli_usage(
			cli,
			"--compare wants two files: OLD.json NEW.json (vferry profile FILES --out ONE.json "
			"makes one of many)");
	status = read_files(cli, &before, 0, 1);
	if (!status)
		status = read_files(cli, &now, 1, 2);
	else
		prof_set_init(&now);
	if (!status) {
		old_report = prof_report(&before);
		new_report = prof_report(&now);
		compared = prof_compare(old_report, new_report,
					(unsigned int)cli_number(cli, "threshold", 10));
		json_object_put(old_report);
		json_object_put(new_report);
		status = json_object_get_boolean(json_object_object_get(compared, "worse"))
				 ? CLI_FAILED
				 : CLI_DONE;
		if (cli_json(cli)) {
			cli_print(cli, compared, NULL);
		} else {
			prof_compare_text(stdout, compared);
			json_object_put(compared);
		}
	}
	prof_set_free(&before);
	prof_set_free(&now);
	return status;
}

/* "source-769c810b….json", after the first VF of the first side. */
static void default_name(char *name, size_t room, struct json_object *doc)
{
	struct json_object *sides = prof_get_array(doc, "sides"), *side, *vfs;

	snprintf(name, room, "profile.json");
	if (!json_object_array_length(sides))
		return;
	side = json_object_array_get_idx(sides, 0);
	vfs = prof_get_array(side, "vfs");
	if (vfs && json_object_array_length(vfs))
		snprintf(name, room, "%s-%.8s.json",
			 json_object_array_length(sides) > 1 ? "profile"
							     : prof_get_text(side, "role"),
			 prof_get_text(json_object_array_get_idx(vfs, 0), "id"));
}

static int watch(struct cli *cli)
{
	static const char *const files[] = { "out", "report", "trace", "metrics" };
	struct prof_run run = {
		.command = cli_rest(cli, "COMMAND"),
		.pid = (pid_t)cli_number(cli, "pid", 0),
		.timeout_ns = cli_timeout_ns(cli),
	};
	struct vferry_error err = { 0 };
	struct json_object *doc;
	struct prof_set set;
	char name[128];
	const char *out;
	int status = CLI_DONE;

	/* A migration is not made twice for its profile. */
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (cli_has(cli, files[i]) && prof_may_put(cli_string(cli, files[i]), &err))
			return cli_fail(cli, &err);
	if (!cli_has(cli, "out") && prof_may_put("profile.json", &err))
		return cli_fail(cli, &err);
	fflush(stdout);
	doc = prof_run(&run, &err);
	if (!doc)
		return cli_fail(cli, &err);
	default_name(name, sizeof(name), doc);
	out = cli_string(cli, "out");
	prof_set_init(&set);
	if (!json_object_array_length(prof_get_array(doc, "sides"))) {
		vferry_fail(&err, -ENODATA,
			    run.command ? "%s moved no VF that could be profiled (it ended with %d)"
					: "process %s moved no VF",
			    run.command ? run.command[0] : cli_string(cli, "pid"), run.status);
		status = cli_fail(cli, &err);
	} else if (put_json(out ? out : name, doc, &err)) {
		status = cli_fail(cli, &err);
	} else {
		prof_read_json(&set, doc, out ? out : name);
		/* The command's own output goes where it goes; what we say of it must not be mixed into a stream. */
		if (cli_has(cli, "quiet"))
			status = CLI_DONE;
		else
			status = show(cli, &set);
		cli_note(cli, "profile: %s", out ? out : name);
	}
	prof_set_free(&set);
	json_object_put(doc);
	return run.status ? run.status : status;
}

static int run(struct cli *cli)
{
	bool files = cli_count(cli, "PROFILE"), command = cli_rest(cli, "COMMAND");

	if (files + command + cli_has(cli, "pid") != 1)
		return cli_usage(cli,
				 "one of these: PROFILE files, --pid P, or a command behind --");
	if (cli_has(cli, "threshold") && !cli_has(cli, "compare"))
		return cli_usage(cli, "--threshold goes with --compare");
	if (cli_timeout_ns(cli) && !cli_has(cli, "pid"))
		return cli_usage(cli, "--timeout goes with --pid: a command ends by itself");
	if (cli_has(cli, "compare"))
		return files ? compare(cli)
			     : cli_usage(cli, "--compare wants two files: OLD.json NEW.json");
	return files ? merge(cli) : watch(cli);
}

static const char *const about[] = {
	"Says how long each VF was down in a migration and where each nanosecond of it went: in phases from the source's Stop to the destination's "
	"Active that add up exactly, and inside each phase by cause: device, queueing, network, hook, the engine on and off its processor.",
	"Run around vferry send on the source and around vferry recv on the destination it leaves a file on each side; given both files it makes "
	"one budget of them. One side alone, a migration that failed, or a file of the flight recorder (see --slow of vferry send) gives what can "
	"be known. Everything runs without privilege from what the engines record; with CAP_BPF and CAP_PERFMON the kernel's scheduler, interrupts, "
	"io_uring worker threads and TCP retransmissions are seen as well. What was not seen is named at the end.",
	"--pid follows an engine that runs already. It is asked for its flight recorder, by a folder profile-PID in its run folder, and writes it when its "
	"move is over: commands, chunks, journal, hooks, TCP, clock and passes are then the same as in a profile from the start. Its recorder "
	"holds the last 512 events of a VF; with CAP_BPF and CAP_PERFMON its probes give those that were overwritten, and are all there is of an engine that was killed.",
	"With two hosts the destination's clock is measured over the migration's connection right before Stop (five exchanges, the one with the "
	"least delay counts) and narrowed by the order of the words that crossed. Its error stands next to each figure that crosses hosts; the "
	"phases still add up to the downtime exactly.",
	"Between two hosts of different releases one may not know how to measure clocks: then it is not asked, and the offset is taken from the order of the words "
	"that crossed alone. A time namespace's share is known and taken off; from inside a PID namespace the kernel is not seen.",
	"An instant is blamed on one cause, so that nothing is counted twice: the first that holds (CAUSES). What the engine's thread did in a phase, whatever is blamed, "
	"stands beside it in the page and the JSON (hosts): on its processor, preempted, woken and waiting, asleep, waiting for input or output, "
	"for a lock, stopped; these add up to the phase as well.",
	"TCP is told by what TCP_INFO says at the ends of phases and by the kernel's tcp_retransmit_skb for the connection's ports. An exec: peer's connection "
	"belongs to another process (ssh): its retransmissions are not seen, and that is said.",
	NULL,
};

static const struct cli_option positionals[] = {
	{ .name = "PROFILE",
	  .type = CLI_FILE,
	  .flags = CLI_OPTIONAL | CLI_REPEAT,
	  .help = "profiles or flight recordings, of source and destination, of one or many migrations" },
	{ .name = "COMMAND",
	  .type = CLI_STRING,
	  .flags = CLI_OPTIONAL | CLI_REST,
	  .help = "behind --: what to run and profile" },
	CLI_END,
};

static const struct cli_option options[] = {
	{ .name = "out",
	  .type = CLI_FILE,
	  .help = "where the profile is written (SIDE-ID.json); with files: all of them as one" },
	{ .name = "pid",
	  .letter = 'p',
	  .type = CLI_NUMBER,
	  .arg = "PID",
	  .min = 1,
	  .max = 4194304,
	  .help = "profile an engine that runs already, by its probes, until it ends (or --timeout)" },
	{ .name = "report", .type = CLI_FILE, .help = "write one self-contained HTML page" },
	{ .name = "trace",
	  .type = CLI_FILE,
	  .help = "write trace events that Perfetto and chrome://tracing open" },
	{ .name = "metrics",
	  .type = CLI_FILE,
	  .help = "write a Prometheus text file: vferry_migration_downtime_seconds{phase}" },
	{ .name = "compare",
	  .help = "say what got worse from the first file to the second, beyond noise" },
	{ .name = "threshold",
	  .type = CLI_NUMBER,
	  .arg = "PERCENT",
	  .max = 100000,
	  .help = "with --compare: exit 1 when the downtime grew by more than this (10)" },
	{ .name = "quiet",
	  .letter = 'q',
	  .help = "with a command or --pid: only write the profile" },
	CLI_END,
};

static const struct cli_example examples[] = {
	{ "on the source",
	  "sudo vferry profile --out src.json -- vferry send $PF --vf 1 --to $PEER" },
	{ "both sides as one page",
	  "vferry profile source.json destination.json --report out.html" },
	{ "in a CI", "vferry profile --compare yesterday.json today.json --threshold 10" },
	{ .line = NULL },
};

static const char *const see[] = { "send", "recv", "trace", NULL };

/* The table of phases and causes, one line each (user/profile/phases.h). */
static const char *const phase_words[] = {
	"A phase begins with the event that ends the one before; together they are the downtime.",
#define X(id, begins, ends, where, text, words, qemu, criu)                                \
	text ": " words ". From " #begins " to " #ends ", side: " where ". In QEMU: " qemu \
	     ". In CRIU: " criu ".",
	PROF_PHASES(X)
#undef X
#define X(id, where, text, words) text ": " words ". Side: " where ".",
		PROF_OTHER_PHASES(X)
#undef X
			NULL,
};

static const char *const cause_words[] = {
	"Of those that hold at an instant the first in this list is blamed.",
#define X(id, text, heading, kernel, words) text ": " words ".",
	PROF_CAUSES(X)
#undef X
		NULL,
};

static const char *const overhead[] = {
	"The flight recorder is always on. An event takes one cache line: 2 ns for a command, whose times are known anyway, 23 ns for an event that reads the clock "
	"(tests/unit/recorder says so for the machine at hand). A VF has 560 places, 35 KiB; with vferry profile up to 16384. Nothing is written before the move is over.",
	"With CAP_BPF the kernel's tracepoints are passed by every process of the machine while the profile runs: a context switch pays 0.2 microseconds, a wake-up 0.12, "
	"an interrupt 0.35, a softirq 0.27, an operation given to an io_uring worker 0.16, a retransmission 2.5 (the programs' own run time in a virtual machine, mostly for "
	"processes that are not profiled). --pid adds a trap for each command and chunk of whoever runs the same program file, as vferry trace does.",
	"What that does to a move is measured by 'make bench' in pairs that take turns, with BPF (profiled) and without (recorded): on a busy machine of two processors no "
	"difference was to be told from noise (ratio of speeds 1.00 and 1.15, of 10 pairs each, between 0.27 and 4.3).",
	"Lost events are counted and named. A kernel's ring buffer of 4 MiB holds some 80 000 events between two looks, ten times a second.",
	NULL,
};

static const struct cli_section sections[] = {
	{ "OVERHEAD", overhead },
	{ "PHASES", phase_words },
	{ "CAUSES", cause_words },
	{ NULL, NULL },
};

const struct cli_command cli_cmd_profile = {
	.name = "profile",
	.group = CLI_GROUP_WATCH,
	.summary = "where a migration's downtime went, on both sides",
	.about = about,
	.positionals = positionals,
	.options = options,
	.examples = examples,
	.sections = sections,
	.exits = CLI_X_FAILED | CLI_X(CLI_PERMISSION) | CLI_X(CLI_UNSUPPORTED) | CLI_X_SIGNALS,
	.see = see,
	.run = run,
};
