// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry trace: admin-queue latency and mode transitions, live, from eBPF. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <vferry/admin.h>
#include "cli/cli.h"
#include "trace/trace.h"

static unsigned int terminal_width(void)
{
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col >= 60)
		return size.ws_col;
	return 80;
}

static int opcode_by_name(const char *name)
{
	for (unsigned int i = 0; i < 64; i++)
		if (!strcmp(vferry_opcode_name(i), name))
			return (int)i;
	return -1;
}

static int fill_filter(struct cli *cli, struct vft_filter *filter)
{
	const struct cli_vfs *vfs = cli_vfs(cli, "vf");
	const char *see = cli_string(cli, "see");

	filter->pid = (pid_t)cli_number(cli, "pid", 0);
	filter->by_member = cli_has(cli, "by");
	filter->commands = cli_has(cli, "events");
	filter->only_errors = cli_has(cli, "errors");
	filter->min_latency_ns = cli_number(cli, "min-latency", 0);
	filter->rows = (unsigned int)cli_number(cli, "rows", filter->by_member ? 4096 : VFT_ROWS);
	filter->ring = cli_has(cli, "ring");
	filter->engine = !see || !strcmp(see, "all") || !strcmp(see, "engine");
	filter->device = !see || !strcmp(see, "all") || !strcmp(see, "device");
	filter->kernel = (!see || !strcmp(see, "all") || !strcmp(see, "kernel")) && !filter->pid;
	filter->any_uring = see && !strcmp(see, "any-uring-cmd");
	filter->uring =
		!see || !strcmp(see, "all") || !strcmp(see, "uring-cmd") || filter->any_uring;
	for (unsigned int i = 0; i < cli_count(cli, "opcode"); i++) {
		const char *name = cli_string_at(cli, "opcode", i);
		int opcode = opcode_by_name(name);

		if (opcode < 0)
			return cli_usage(
				cli,
				"--opcode %s: not one of list_query, list_use, dev_mode_get, "
				"dev_mode_set, dev_ctx_size_get, dev_ctx_read, dev_ctx_write, "
				"dev_ctx_fields_query, dev_ctx_discard",
				name);
		filter->opcode_mask |= 1ULL << opcode;
	}
	if (vfs && !vfs->all) {
		filter->filter_members = true;
		for (unsigned int i = 0; i < vfs->count; i++)
			if (vfs->vf[i] < 256)
				filter->member_mask[vfs->vf[i] / 64] |= 1ULL << (vfs->vf[i] % 64);
	}
	return 0;
}

/* As in vmstat: a bare number means seconds; 250ms works as well. */
static int fill_interval(struct cli *cli, uint64_t *ns)
{
	const char *text = cli_string(cli, "INTERVAL");
	struct vferry_error err;
	char seconds[32];

	*ns = 1000000000ULL;
	if (!text)
		return 0;
	snprintf(seconds, sizeof(seconds), "%ss", text);
	if (!cli_parse_duration(strspn(text, "0123456789.") == strlen(text) ? seconds : text,
				10000000, 86400000000000ULL, ns, &err))
		return 0;
	return cli_usage(cli, "INTERVAL %s: a time between two tables, such as 1, 0.5 or 250ms",
			 text);
}

static int run(struct cli *cli)
{
	struct vft_trace_opts opts = {
		.count = cli_number(cli, "COUNT", 0),
		.hist = cli_has(cli, "hist"),
		.split = cli_verbose(cli) > 0,
		.metrics = cli_string(cli, "metrics"),
		.json = cli_json(cli),
		.width = terminal_width(),
		.out = stdout,
	};
	struct vferry_error err = { 0 };
	int signals, ret;
	sigset_t set;

	ret = fill_interval(cli, &opts.interval_ns);
	if (!ret)
		ret = fill_filter(cli, &opts.filter);
	if (ret)
		return ret;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0) {
		vferry_fail(&err, -errno, "signalfd: %s", strerror(errno));
		return cli_fail(cli, &err);
	}
	ret = vft_trace(&opts, signals, &err);
	close(signals);
	return ret ? cli_fail(cli, &err) : CLI_DONE;
}

static const char *const about[] = {
	"Attaches to every process that uses libvferry, to software owner devices and, where the kernel has one, to the kernel's own admin queue "
	"(PF on virtio_pci), and shows every interval, for each admin command: count, rate, errors by status, the 50th, 90th and 99th percentile "
	"and the largest latency; and each mode transition as it happens. Latency is from the hand-over of a command to the reaping of its answer. "
	"Ctrl-C ends it with a summary.",
	"Lines of source 'engine' are what libvferry saw, those of 'device' what a software owner device says of itself, those of 'kernel' the "
	"kernel's own admin queue, those of 'uring-cmd' each IORING_OP_URING_CMD on /dev/vferry, of whatever program, from the SQE's being taken to the CQE's "
	"being posted: the kernel's tracepoints tell it, and an engine's own commands stand in both. --see any-uring-cmd shows those of every file on the machine "
	"(NVMe, ublk, sockets) as 'other-uring-cmd', by the low half of cmd_op. Which probes work on this kernel stands in the first lines; what was lost stands in every table.",
	"Programs are found by the files that they have mapped, so that a binary without debug information, one replaced on disk or one in another "
	"mount namespace is traced as well. New ones are looked for when a program starts and once a second: the first commands of a program file never seen before can "
	"be missed, those of a known one are not.",
	"With -v latency is split: waiting for a place in the queue, the device, the reaping of the answer; and, with the PF on vfio-pci, at the interrupt: the last "
	"VFIO interrupt of the machine between doorbell and wake-up is taken for this command's, which is a guess where many VFIO devices are busy. A command whose "
	"answer was found before its interrupt came is not split there.",
	"The table of modes names an owner by the beginning of its address's hash (FNV-1a, 64 bits), a software owner device by its process.",
	"What a traced process says is its own word: one that lies can spoil its own rows, and no process gets more than 5 in 8 of the table's rows, or 4096 events in "
	"67 ms. Mode changes are kept for each user. A process that has ended gives its rows back; they are in the summary, the oldest beyond 2048 rows as 'several processes'.",
	NULL,
};

static const char *const overhead[] = {
	"Nothing attached: a probe is one test of a 16-bit counter in memory. 'make bench' measures it (probe-idle): 0.2 ns a round of a loop, between -0.6 and "
	"1.1 in ten runs, so not to be told from nothing.",
	"Attached: each admin command of a traced process costs one trap into the kernel and the BPF program's own run time. The trap takes 0.3 to 0.8 microseconds on a "
	"quiet machine; trap and program together took 1.8 to 4.8 microseconds of processor time on a busy two-core virtual machine. The program alone takes 0.3 microseconds "
	"(median of 6 runs of 50,021 commands, 0.15 to 1.8), and the tracer itself 0.34 for each command; a bpftrace script with most of the table took 1.5 and 0.86 in the same runs. A chunk of context is one command, so a move in chunks of "
	"256 KiB pays it four times a MiB. A mode change and each phase of a migration are one trap more.",
	"The traps are paid by every process that runs the same file, also with --pid and with every filter: filters are applied in the kernel, after the trap. "
	"--see engine leaves out the software owner's own probes, which would cost it one trap a command too.",
	"Memory: a row of the table takes 4.3 KiB on each possible processor, reserved when the tracer starts: 512 rows by default (2.2 MiB a processor), 4096 with "
	"--by vf (17 MiB a processor). 250 VFs with all nine commands are 2250 rows. --rows sets the number; commands that find no row are counted in the row "
	"'(all others)' and said so. The ring buffer takes 1 MiB. The tracer's own "
	"resident memory is 7 to 13 MiB, and about 16 for a moment at its start, when it reads the kernel's type information (not with --see engine or device).",
	"--events writes a line for each command, which costs more than all the rest together; what the reader cannot keep up with is lost and counted. "
	"--ring, and 'uring-cmd' where the module is loaded, put a program on io_uring's tracepoints, which every process on the machine passes: some hundred nanoseconds for each operation of a traced "
	"process, some tens for the others.",
	"Each program that starts on the machine wakes the tracer, for some ten microseconds. Looking for new files that carry probes reads /proc once a second, about a "
	"millisecond of processor time for each hundred processes.",
	NULL,
};

static const char *const capabilities[] = {
	"CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN. Libraries mapped by processes in other mount namespaces, or deleted ones, need CAP_SYS_ADMIN or "
	"CAP_CHECKPOINT_RESTORE besides. Kernel lockdown in its confidentiality mode forbids all of it, in its integrity mode nothing. What looks into the kernel needs its type "
	"information (BTF), the kernel's own admin queue fentry or kprobes besides; libvferry's probes need neither.",
	NULL,
};

static const struct cli_section sections[] = {
	{ "OVERHEAD", overhead },
	{ "CAPABILITIES", capabilities },
	{ NULL, NULL },
};

static const struct cli_option positionals[] = {
	{ .name = "INTERVAL",
	  .type = CLI_STRING,
	  .flags = CLI_OPTIONAL,
	  .help = "seconds between two tables (1), or a time such as 250ms" },
	{ .name = "COUNT",
	  .type = CLI_NUMBER,
	  .flags = CLI_OPTIONAL,
	  .help = "tables to show; then the summary" },
	CLI_END,
};

static const struct cli_option options[] = {
	{ .name = "pid",
	  .letter = 'p',
	  .type = CLI_NUMBER,
	  .arg = "PID",
	  .min = 1,
	  .max = 4194304,
	  .help = "only this process, until it ends" },
	{ .name = "by", .type = CLI_CHOICE, .choices = "vf", .help = "a row for each VF" },
	{ .name = "vf", .type = CLI_VFS, .help = "only commands to these VFs" },
	{ .name = "opcode",
	  .type = CLI_STRING,
	  .arg = "NAME",
	  .flags = CLI_REPEAT,
	  .help = "only this command; may be given more than once" },
	{ .name = "min-latency",
	  .type = CLI_DURATION,
	  .help = "only commands that took at least this long" },
	{ .name = "errors", .help = "only commands that were not answered with OK" },
	{ .name = "hist", .help = "a histogram under each row" },
	{ .name = "events", .letter = 'e', .help = "a line for each command and phase" },
	{ .name = "metrics",
	  .type = CLI_FILE,
	  .help = "keep a Prometheus text file, written atomically every interval" },
	{ .name = "see",
	  .type = CLI_CHOICE,
	  .choices = "all|engine|device|kernel|uring-cmd|any-uring-cmd",
	  .help = "whose view to take (all)" },
	{ .name = "ring",
	  .help = "count io_uring operations of traced processes, and those punted to io-wq" },
	{ .name = "rows",
	  .type = CLI_NUMBER,
	  .min = 16,
	  .max = 65536,
	  .help = "places in the table; what finds none is counted together" },
	CLI_END,
};

static const struct cli_example examples[] = {
	{ "everything, every second, until Ctrl-C", "sudo vferry trace" },
	{ "each VF of one migration, as JSON lines",
	  "sudo vferry trace --pid 4711 --by vf -o json" },
	{ "what was slow or failed, a line each", "sudo vferry trace --events --min-latency 1ms" },
	{ .line = NULL },
};

static const char *const see[] = { "doctor", "send", NULL };

const struct cli_command cli_cmd_trace = {
	.name = "trace",
	.group = CLI_GROUP_WATCH,
	.summary = "admin-queue latency and mode transitions, live",
	.about = about,
	.positionals = positionals,
	.options = options,
	.examples = examples,
	.exits = CLI_X_FAILED | CLI_X(CLI_PERMISSION) | CLI_X(CLI_UNSUPPORTED),
	.sections = sections,
	.see = see,
	.run = run,
};
