// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "tools/standin/options.h"

#define GUESTS_MAX 250

static const char help[] =
	"Usage: vferry-standin --vf LIST=SOURCE[,DESTINATION] [options]\n"
	"       vferry-standin ctl SOCKET COMMAND [ARGUMENT]\n"
	"\n"
	"Stands in for a VMM and its guests: drives virtio-blk VFs of a software owner device over\n"
	"vfio-user, each with memory of its own, and checks every block. When a VF moves, its guest\n"
	"goes on at the destination with the same memory, without initialising the device.\n"
	"All blocks are read back at the end; the report says whether each is what it must be.\n"
	"\n"
	"  --vf LIST=SOURCE[,DESTINATION]  VFs (1, 1-4,7) and their vfio-user sockets; %d stands for\n"
	"                        the number, as in 1-4=src/vf%d.sock,dst/vf%d.sock. May be repeated\n"
	"  --switch HOW          both-doorbells: always ring both, only the Active one listens (default);\n"
	"                        control: change over at \"attach\", as a VMM does\n"
	"  --seconds S           stop after S seconds (default: at \"stop\" or a signal)\n"
	"  --control PATH        listen there for commands: status, pause, resume, attach, stop,\n"
	"                        mark before|during|after, report\n"
	"  --queues N            queues of each VF (default 2, at most 16)\n"
	"  --queue-size N        entries (default 128)\n"
	"  --depth N             requests kept in each queue (default 32)\n"
	"  --span BYTES          part of the disk that is used (default 16M)\n"
	"  --max-request BYTES   largest request (default 32K)\n"
	"  --reads PERCENT       of the requests that read (default 50)\n"
	"  --iops N              requests a second and VF (default: as many as go)\n"
	"  --request-timeout S   a request that takes longer is lost (default 30)\n"
	"  --no-event-idx, --no-indirect   do not negotiate them\n"
	"  --seed N              of the random choices (default: drawn)\n"
	"  --corrupt-one VF=FILE break one block of that VF's disk file before it is read back:\n"
	"                        the report must then say so\n"
	"  -o text|json          how to report (default text)\n"
	"  -v, --verbose         say on standard error what happens\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 every block and every completion is as it must be; 1 not so; 2 usage.\n";

enum {
	OPT_VF = 256,
	OPT_SWITCH,
	OPT_SECONDS,
	OPT_CONTROL,
	OPT_QUEUES,
	OPT_QUEUE_SIZE,
	OPT_DEPTH,
	OPT_SPAN,
	OPT_MAX_REQUEST,
	OPT_READS,
	OPT_IOPS,
	OPT_TIMEOUT,
	OPT_NO_EVENT_IDX,
	OPT_NO_INDIRECT,
	OPT_SEED,
	OPT_CORRUPT,
};

static const struct option longs[] = {
	{ "vf", required_argument, NULL, OPT_VF },
	{ "switch", required_argument, NULL, OPT_SWITCH },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "queue-size", required_argument, NULL, OPT_QUEUE_SIZE },
	{ "depth", required_argument, NULL, OPT_DEPTH },
	{ "span", required_argument, NULL, OPT_SPAN },
	{ "max-request", required_argument, NULL, OPT_MAX_REQUEST },
	{ "reads", required_argument, NULL, OPT_READS },
	{ "iops", required_argument, NULL, OPT_IOPS },
	{ "request-timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "no-event-idx", no_argument, NULL, OPT_NO_EVENT_IDX },
	{ "no-indirect", no_argument, NULL, OPT_NO_INDIRECT },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "corrupt-one", required_argument, NULL, OPT_CORRUPT },
	{ "output", required_argument, NULL, 'o' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int wrong(const char *format, const char *value)
{
	fprintf(stderr, "vferry-standin: ");
	fprintf(stderr, format, value); /* formats are literals of this file */
	fprintf(stderr, "; see vferry-standin --help\n");
	return -EINVAL;
}

/* A number with K, M or G, within bounds. */
static int number(const char *name, const char *text, uint64_t least, uint64_t most,
		  uint64_t *value)
{
	char *end;
	unsigned long long n;
	unsigned int shift = 0;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (*end == 'K' || *end == 'M' || *end == 'G')
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30, end++;
	if (errno || end == text || *end || *text == '-' || n > UINT64_MAX >> shift ||
	    n << shift < least || n << shift > most) {
		fprintf(stderr, "vferry-standin: --%s %s: a number from %llu to %llu is wanted\n",
			name, text, (unsigned long long)least, (unsigned long long)most);
		return -EINVAL;
	}
	*value = (uint64_t)n << shift;
	return 0;
}

/* "12.5" seconds; @most in seconds */
static int seconds(const char *name, const char *text, double most, uint64_t *ns)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0) || value > most) {
		fprintf(stderr,
			"vferry-standin: --%s %s: seconds above 0, at most %.0f, are wanted\n",
			name, text, most);
		return -EINVAL;
	}
	*ns = (uint64_t)(value * 1e9);
	return 0;
}

/* An owner address of @pattern with %d replaced; a bare path is a vfio-user socket. */
static int address(char *out, size_t room, const char *pattern, size_t length, unsigned int vf)
{
	static const char prefix[] = "vfio-user:";
	size_t at = 0;

	if (length < sizeof(prefix) - 1 || strncmp(pattern, prefix, sizeof(prefix) - 1))
		at = (size_t)snprintf(out, room, "%s", prefix);
	for (size_t i = 0; i < length; i++) {
		bool number = pattern[i] == '%' && i + 1 < length && pattern[i + 1] == 'd';
		int n = number ? snprintf(out + at, room - at, "%u", vf)
			       : snprintf(out + at, room - at, "%c", pattern[i]);

		i += number;
		at += (size_t)n;
		if (at >= room)
			return -ENAMETOOLONG;
	}
	return 0;
}

static int add_guest(struct options *options, unsigned int vf, const char *where)
{
	const char *comma = strchr(where, ',');
	size_t length = comma ? (size_t)(comma - where) : strlen(where);
	struct guest_opts *guests, *guest;

	if (options->count == GUESTS_MAX)
		return wrong("--vf %s: more than 250 VFs", where);
	guests = realloc(options->guests, (options->count + 1) * sizeof(*guests));
	if (!guests)
		return wrong("--vf %s: out of memory", where);
	options->guests = guests;
	guest = &guests[options->count++];
	*guest = (struct guest_opts){ .vf = vf };
	if (!length || address(guest->source, sizeof(guest->source), where, length, vf) ||
	    (comma && (!comma[1] || address(guest->destination, sizeof(guest->destination),
					    comma + 1, strlen(comma + 1), vf))))
		return wrong("--vf %s: not a socket's path, or one that is too long", where);
	return 0;
}

static int add_guests(struct options *options, const char *text)
{
	const char *equals = strchr(text, '='), *at = text;

	if (!equals)
		return wrong("--vf %s: LIST=SOURCE[,DESTINATION] is wanted", text);
	while (at < equals) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (end == at || *at < '0' || *at > '9')
			return wrong("--vf %s: the list is numbers and ranges, as in 1-4,7", text);
		if (*end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
			if (end == at || *at < '0' || *at > '9')
				return wrong("--vf %s: a range without an end", text);
		}
		if (!first || last < first || last > GUESTS_MAX || (*end != ',' && end != equals))
			return wrong("--vf %s: VF numbers are 1 to 250", text);
		for (unsigned long vf = first; vf <= last; vf++) {
			int error = add_guest(options, (unsigned int)vf, equals + 1);

			if (error)
				return error;
		}
		at = *end == ',' ? end + 1 : end;
	}
	return options->count ? 0 : wrong("--vf %s: no VF in the list", text);
}

static int corrupt(struct options *options, const char *text)
{
	char *end;
	unsigned long vf = strtoul(text, &end, 10);

	if (end == text || *end != '=' || !end[1])
		return wrong("--corrupt-one %s: VF=FILE is wanted", text);
	for (unsigned int i = 0; i < options->count; i++) {
		struct guest_opts *guest = &options->guests[i];

		if (guest->vf != vf)
			continue;
		if (strlen(end + 1) >= sizeof(guest->corrupt))
			return wrong("--corrupt-one %s: the path is too long", text);
		strcpy(guest->corrupt, end + 1);
		return 0;
	}
	return wrong("--corrupt-one %s: none of the VFs that --vf named", text);
}

static int one(struct options *options, struct guest_opts *common, int option, const char *value,
	       const char **corrupt_text)
{
	uint64_t n = 0;
	int error = 0;

	switch (option) {
	case OPT_VF:
		return add_guests(options, value);
	case OPT_SWITCH:
		if (!strcmp(value, "both-doorbells"))
			common->how = SWITCH_BOTH_DOORBELLS;
		else if (!strcmp(value, "control"))
			common->how = SWITCH_CONTROL;
		else
			return wrong("--switch %s: both-doorbells or control", value);
		return 0;
	case OPT_SECONDS:
		return seconds("seconds", value, 1e6, &options->run_ns);
	case OPT_CONTROL:
		options->control = value;
		return 0;
	case OPT_QUEUES:
		error = number("queues", value, 1, PORT_QUEUES_MAX, &n);
		common->queues = (uint16_t)n;
		return error;
	case OPT_QUEUE_SIZE:
		error = number("queue-size", value, 4, 32768, &n);
		common->queue_size = (uint16_t)n;
		return error;
	case OPT_DEPTH:
		error = number("depth", value, 1, 4096, &n);
		common->depth = (uint16_t)n;
		return error;
	case OPT_SPAN:
		return number("span", value, BLOCK_BYTES, 1ULL << 40, &common->span_bytes);
	case OPT_MAX_REQUEST:
		error = number("max-request", value, BLOCK_BYTES, 1U << 20, &n);
		common->max_request_bytes = (uint32_t)n / BLOCK_BYTES * BLOCK_BYTES;
		return error;
	case OPT_READS:
		error = number("reads", value, 0, 100, &n);
		common->read_percent = (unsigned int)n;
		return error;
	case OPT_IOPS:
		return number("iops", value, 1, 10000000, &common->iops);
	case OPT_TIMEOUT:
		return seconds("request-timeout", value, 3600, &common->timeout_ns);
	case OPT_NO_EVENT_IDX:
		common->event_idx = false;
		return 0;
	case OPT_NO_INDIRECT:
		common->indirect = false;
		return 0;
	case OPT_SEED:
		return number("seed", value, 0, UINT64_MAX, &common->seed);
	case OPT_CORRUPT:
		*corrupt_text = value;
		return 0;
	case 'o':
		options->json = !strcmp(value, "json");
		return options->json || !strcmp(value, "text")
			       ? 0
			       : wrong("-o %s: text or json", value);
	case 'v':
		common->verbose = true;
		return 0;
	}
	return wrong("%s", "unknown option");
}

int options_parse(struct options *options, int argc, char **argv)
{
	struct guest_opts common = {
		.queues = 2,
		.queue_size = 128,
		.depth = 32,
		.span_bytes = 16 << 20,
		.max_request_bytes = 32 << 10,
		.read_percent = 50,
		.timeout_ns = 30000000000ull,
		.event_idx = true,
		.indirect = true,
	};
	const char *corrupt_text = NULL;
	int option;

	*options = (struct options){ .count = 0 };
	if (getrandom(&common.seed, sizeof(common.seed), 0) != sizeof(common.seed))
		return wrong("%s", "getrandom failed");
	while ((option = getopt_long(argc, argv, "o:vh", longs, NULL)) != -1) {
		int error;

		if (option == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (option == '?')
			return -EINVAL;
		error = one(options, &common, option, optarg, &corrupt_text);
		if (error)
			return error;
	}
	if (optind < argc)
		return wrong("%s: not an option", argv[optind]);
	if (!options->count)
		return wrong("%s", "--vf is missing");
	for (unsigned int i = 0; i < options->count; i++) {
		struct guest_opts *guest = &options->guests[i], own = *guest;

		*guest = common;
		guest->vf = own.vf;
		memcpy(guest->source, own.source, sizeof(guest->source));
		memcpy(guest->destination, own.destination, sizeof(guest->destination));
		for (unsigned int j = 0; j < i; j++)
			if (options->guests[j].vf == guest->vf)
				return wrong("--vf: a VF is named twice: %s", guest->source);
	}
	return corrupt_text ? corrupt(options, corrupt_text) : 0;
}

void options_free(struct options *options)
{
	free(options->guests);
	options->guests = NULL;
}
