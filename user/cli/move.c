// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <vferry/owner.h>
#include "cli/move.h"
#include "stream/stream.h"

int move_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int move_signal(int fd)
{
	struct signalfd_siginfo info;
	int signal = 0;

	if (fd < 0)
		return 0;
	if (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		signal = (int)info.ssi_signo;
	close(fd);
	return signal;
}

int move_exit_status(int ret, int signal)
{
	if (ret == -EINPROGRESS)
		return CLI_IN_DOUBT;
	if (ret == -EINTR)
		return signal == SIGTERM ? CLI_SIGTERM : CLI_SIGINT;
	return cli_exit_status(ret);
}

static int all_vfs(struct move_cli *run, const char *address, struct vferry_error *err)
{
	struct vferry_owner_opts opts = { .size = sizeof(opts), .arena_bytes = 4096 };
	struct vferry_owner *owner;
	uint16_t count;
	int ret = vferry_owner_open(&owner, address, &opts, err);

	if (ret)
		return ret;
	count = vferry_owner_num_vfs(owner);
	vferry_owner_close(owner);
	return cli_vfs_all(&run->vfs, count, err);
}

/* Not on a terminal: a line a second, when asked to say more. */
static bool plain_line_due(struct move_cli *run)
{
	struct timespec now;

	if (!cli_verbose(run->cli) || cli_json(run->cli))
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec == run->line_at)
		return false;
	run->line_at = now.tv_sec;
	return true;
}

static void show(void *arg, const struct vferry_progress *progress)
{
	struct move_cli *run = arg;
	char done[32], left[32], rate[32];

	if (!run->terminal && !plain_line_due(run))
		return;
	cli_format_value(done, sizeof(done), CLI_BYTES, progress->done_bytes);
	cli_format_value(left, sizeof(left), CLI_BYTES, progress->remaining_bytes);
	cli_format_value(rate, sizeof(rate), CLI_RATE, progress->rate_bytes);
	if (!run->terminal) {
		fprintf(stderr, "VF %u  %s  pass %u  %s, %s to go, %s\n", progress->vf,
			vferry_state_name(progress->state), progress->pass + 1, done, left, rate);
		return;
	}
	fprintf(stderr, "\r\033[KVF %u  %s  pass %u  %s, %s to go, %s", progress->vf,
		vferry_state_name(progress->state), progress->pass + 1, done, left, rate);
	fflush(stderr);
	run->shown = true;
}

int move_peer(struct cli *cli, const char *option)
{
	struct vferry_error err;
	struct vf_peer *peer;

	if (vf_peer_parse(&peer, cli_string(cli, option), &err))
		return cli_usage(cli, "--%s: %s", option, err.text);
	vf_peer_free(peer);
	return 0;
}

int move_begin(struct move_cli *run, struct cli *cli)
{
	const struct cli_vfs *given = cli_vfs(cli, "vf");
	const char *owner = cli_string(cli, "OWNER");
	struct vferry_error err;

	run->cli = cli;
	run->move.size = sizeof(run->move);
	run->vfs.all = given->all;
	run->vfs.count = given->count;
	if (given->count) {
		run->vfs.vf = malloc(given->count * sizeof(*given->vf));
		if (!run->vfs.vf) {
			vferry_fail(&err, -ENOMEM, "no memory");
			return cli_fail(cli, &err);
		}
		memcpy(run->vfs.vf, given->vf, given->count * sizeof(*given->vf));
	}
	if (given->all && all_vfs(run, owner, &err))
		return cli_fail(cli, &err);
	run->signal_fd = move_signals();
	run->terminal = isatty(STDERR_FILENO) && !cli_json(cli);
	run->opts = (struct vferry_move_opts){
		.size = sizeof(run->opts),
		.owner = owner,
		.vfs = run->vfs.vf,
		.vfs_count = run->vfs.count,
		.timeout_ns = cli_timeout_ns(cli),
		.hook = cli_string(cli, "hook"),
		.hook_timeout_ns = cli_number(cli, "hook-timeout", 0),
		.arena_bytes = cli_number(cli, "arena", 0),
		.slot_bytes = (uint32_t)cli_number(cli, "chunk", 0),
		.interrupt_fd = run->signal_fd,
		.progress = show,
		.arg = run,
		.slow_ns = cli_number(cli, "slow", 0),
		/* Set by vferry profile for what it runs. */
		.record_dir = secure_getenv("VFERRY_PROFILE_DIR"),
	};
	return 0;
}

static void add_times(struct json_object *vf, const struct vferry_vf_result *result)
{
	struct json_object *phases = json_object_new_object();

	for (unsigned int phase = 0; phase < VFERRY_PHASES_SHOWN; phase++) {
		char key[48];

		if (!result->phase_ns[phase])
			continue;
		snprintf(key, sizeof(key), "%s_at_ns", vferry_phase_name(phase));
		cli_add_uint(phases, key, result->phase_ns[phase]);
	}
	cli_add(vf, "phases", phases);
	if (result->clock_exchanges) {
		struct json_object *clock = json_object_new_object();

		cli_add(clock, "peer_offset_ns", json_object_new_int64(result->clock_offset_ns));
		cli_add_uint(clock, "error_ns", result->clock_error_ns);
		cli_add_uint(clock, "exchanges", result->clock_exchanges);
		cli_add(vf, "clock", clock);
	}
}

static struct json_object *one_vf(const struct vferry_vf_result *result)
{
	struct json_object *vf = json_object_new_object();
	struct json_object *passes = json_object_new_array();
	struct json_object *modes = json_object_new_object();
	uint32_t shown =
		result->passes < VFERRY_PASSES_SHOWN ? result->passes : VFERRY_PASSES_SHOWN;

	cli_add_uint(vf, "vf", result->vf);
	cli_add_string(vf, "id", result->id);
	cli_add_string(vf, "outcome", vferry_outcome_name(result->outcome));
	cli_add_string(vf, "state", vferry_state_name(result->state));
	cli_add_uint(vf, "context_bytes", result->context_bytes);
	cli_add_uint(vf, "final_bytes", result->final_bytes);
	for (uint32_t i = 0; i < shown; i++) {
		struct json_object *pass = json_object_new_object();

		cli_add_uint(pass, "bytes", result->pass_bytes[i]);
		cli_add_uint(pass, "duration_ns", result->pass_ns[i]);
		json_object_array_add(passes, pass);
	}
	cli_add_uint(vf, "pass_count", result->passes);
	cli_add(vf, "passes", passes);
	for (unsigned int mode = 0; mode < 3; mode++) {
		char key[32];

		snprintf(key, sizeof(key), "%s_ns", vferry_mode_name(mode));
		cli_add_uint(modes, key, result->mode_ns[mode]);
	}
	cli_add(vf, "modes", modes);
	cli_add_uint(vf, "downtime_ns", result->downtime_ns);
	cli_add_uint(vf, "peer_activate_ns", result->peer_ns);
	cli_add_uint(vf, "kept_bytes", result->kept_bytes);
	add_times(vf, result);
	if (result->error) {
		cli_add_string(vf, "error", result->why.text);
		if (result->status) {
			cli_add_opcode(vf, result->opcode);
			cli_add_uint(vf, "status", result->status);
			cli_add_string(vf, "status_name", vferry_status_name(result->status));
			cli_add_uint(vf, "qualifier", result->qualifier);
			cli_add_string(vf, "qualifier_name",
				       vferry_qualifier_name(result->qualifier));
		}
	}
	if (result->undone[0])
		cli_add_string(vf, "note", result->undone);
	return vf;
}

static const struct cli_column columns[] = {
	{ .key = "vf", .title = "VF" },
	{ .key = "outcome", .title = "OUTCOME" },
	{ .key = "pass_count", .title = "PASSES" },
	{ .key = "context_bytes", .title = "CONTEXT", .format = CLI_BYTES },
	{ .key = "final_bytes", .title = "FINAL", .format = CLI_BYTES },
	{ .key = "modes.stop_ns", .title = "STOP", .format = CLI_NS },
	{ .key = "modes.freeze_ns", .title = "FREEZE", .format = CLI_NS },
	{ .key = "downtime_ns", .title = "DOWNTIME", .format = CLI_NS },
	{ .key = NULL },
};

static const struct cli_view views[] = {
	{ .key = "vfs", .columns = columns },
	{ .columns = NULL },
};

static struct json_object *document(const struct move_cli *run, const char *schema)
{
	const struct vferry_move *move = &run->move;
	struct json_object *doc = cli_document(schema);
	struct json_object *vfs = json_object_new_array();

	cli_add_string(doc, "owner", run->opts.owner);
	cli_add_string(doc, "peer", run->opts.peer);
	cli_add_bool(doc, "together", move->group[0] != 0);
	if (move->group[0])
		cli_add_string(doc, "group", move->group);
	for (uint32_t i = 0; i < move->vf_count; i++)
		json_object_array_add(vfs, one_vf(&move->vfs[i]));
	cli_add(doc, "vfs", vfs);
	cli_add_uint(doc, "total_ns", move->total_ns);
	cli_add_uint(doc, "user_copied_bytes", move->user_copied_bytes);
	cli_add_uint(doc, "zero_copy_sends", move->zc_sends);
	cli_add_uint(doc, "zero_copy_sends_copied_by_kernel", move->zc_copied);
	cli_add_uint(doc, "plain_sends", move->plain_sends);
	cli_add_uint(doc, "admin_commands", move->commands);
	cli_add_uint(doc, "admin_retries", move->retries);
	if (move->recording[0])
		cli_add_string(doc, "recording", move->recording);
	return doc;
}

/* Of several VFs that failed one stands for all in the error: it is not told of twice. */
static bool says(const struct vferry_error *err, const struct vferry_vf_result *result)
{
	return !strncmp(err->text, result->why.text, strnlen(result->why.text, 300));
}

int move_end(struct move_cli *run, const char *schema, int ret, const struct vferry_error *err)
{
	int signal = move_signal(run->signal_fd);
	struct json_object *doc = document(run, schema);
	int status = move_exit_status(ret, signal);

	if (run->shown)
		fputs("\r\033[K", stderr);
	if (run->move.recording_why.code)
		cli_note(run->cli, "the flight recorder was not written: %s",
			 run->move.recording_why.text);
	else if (run->move.recording[0] && !run->opts.record_dir)
		cli_note(run->cli, "what happened when: vferry profile %s", run->move.recording);
	if (!ret) {
		for (uint32_t i = 0; i < run->move.vf_count; i++)
			if (run->move.vfs[i].undone[0])
				cli_note(run->cli, "VF %u: %s", run->move.vfs[i].vf,
					 run->move.vfs[i].undone);
		cli_print(run->cli, doc, views);
	} else {
		bool some = false;

		for (uint32_t i = 0; i < run->move.vf_count; i++)
			some |= !run->move.vfs[i].error && run->move.vfs[i].outcome;
		/* What did move is data; why the rest did not is the error. */
		if (some)
			cli_print(run->cli, json_object_get(doc), views);
		if (!cli_json(run->cli))
			for (uint32_t i = 0; i < run->move.vf_count; i++)
				if (run->move.vfs[i].error && run->move.vf_count > 1 &&
				    !says(err, &run->move.vfs[i]))
					cli_note(run->cli, "%s; %s", run->move.vfs[i].why.text,
						 run->move.vfs[i].undone);
		cli_fail_as(run->cli, (enum cli_exit)status, err, doc);
	}
	vferry_move_free(&run->move);
	free(run->vfs.vf);
	return status;
}
