// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/bench/bench.h"

static const struct {
	const char *name;
	int (*run)(const struct bench_opts *opts, struct vferry_error *err);
} benches[] = {
	{ "read", bench_read },		{ "many", bench_many },	    { "delta", bench_delta },
	{ "commands", bench_commands }, { "stream", bench_stream }, { "plain", bench_plain },
};

static const char help[] =
	"Usage: vferry-bench WHAT [options]        (tools/bench/run runs them all)\n"
	"\n"
	"  read    --owner A --vf N --bytes N   a context in Freeze, beside one memcpy\n"
	"  many    --owner A --vf N --vfs N     VFs all at once, beside one command at a time\n"
	"  delta   --owner A --vf N --bytes N   bytes in Freeze, beside bytes changed since the last pass\n"
	"  commands --owner A --vf N --in-flight N [--poll]   MODE_GETs a second, for --pause each time\n"
	"  stream  --bytes N                    the stream over loopback TCP, beside a plain program\n"
	"  plain   --bytes N [--copies]         the plain program alone\n"
	"\n"
	"  --pairs N (10)  --chunk BYTES (256K)  --arena BYTES (64M)  --slots N (1): buffers of the\n"
	"  plain program  --pause MS (200): delta, between pass and Stop  --hidden: VFs are enabled, in a\n"
	"  guest whose hypervisor hides SR-IOV\n"
	"\n"
	"One JSON line a pair. The owner is held by this process, and reset when it ends.\n";

static int number(const char *text, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 0);
	if (end == text)
		return -EINVAL;
	if (*end == 'K' || *end == 'M' || *end == 'G')
		*value <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 30, end++;
	return *end || !*value ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "owner", required_argument, NULL, 'o' },
		{ "vf", required_argument, NULL, 'v' },
		{ "vfs", required_argument, NULL, 'n' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "chunk", required_argument, NULL, 'c' },
		{ "arena", required_argument, NULL, 'a' },
		{ "slots", required_argument, NULL, 's' },
		{ "pairs", required_argument, NULL, 'p' },
		{ "pause", required_argument, NULL, 'w' },
		{ "copies", no_argument, NULL, 'C' },
		{ "in-flight", required_argument, NULL, 'f' },
		{ "poll", no_argument, NULL, 'P' },
		{ "hidden", no_argument, NULL, 'H' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct bench_opts opts = { .first_vf = 1,
				   .vfs = 1,
				   .bytes = 256 << 20,
				   .chunk = 256 << 10,
				   .slots = 1,
				   .arena = 64 << 20,
				   .pause_ns = 200000000,
				   .pairs = 10,
				   .in_flight = 1 };
	struct vferry_error err = { 0 };
	uint64_t value = 0;
	int option;

	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (option == '?' || (option != 'o' && option != 'C' && option != 'P' &&
				      option != 'H' && number(optarg, &value))) {
			fputs(help, stderr);
			return 2;
		}
		switch (option) {
		case 'o':
			opts.owner = optarg;
			break;
		case 'v':
			opts.first_vf = (uint16_t)value;
			break;
		case 'n':
			opts.vfs = (uint16_t)value;
			break;
		case 'b':
			opts.bytes = value;
			break;
		case 'c':
			opts.chunk = (uint32_t)value;
			break;
		case 'a':
			opts.arena = value;
			break;
		case 's':
			opts.slots = (uint32_t)value;
			break;
		case 'p':
			opts.pairs = (unsigned int)value;
			break;
		case 'w':
			opts.pause_ns = value * 1000000;
			break;
		case 'f':
			opts.in_flight = (unsigned int)value;
			break;
		case 'H':
			opts.hidden = true;
			break;
		case 'P':
			opts.poll = true;
			break;
		case 'C':
			opts.copies = true;
			break;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; optind + 1 == argc && i < sizeof(benches) / sizeof(benches[0]); i++) {
		bool needs_owner = i < 4;

		if (strcmp(argv[optind], benches[i].name))
			continue;
		if (needs_owner && !opts.owner)
			break;
		if (!benches[i].run(&opts, &err))
			return 0;
		fprintf(stderr, "vferry-bench: %s\n", err.text);
		return 1;
	}
	fputs(help, stderr);
	return 2;
}
