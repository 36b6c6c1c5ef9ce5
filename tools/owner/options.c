// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "options.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "tools/owner/fault.h"

enum {
	OPT_SOCKET_DIR = 256,
	OPT_VFS,
	OPT_VFS_ENABLED,
	OPT_DISK,
	OPT_DISK_SIZE,
	OPT_BLK_QUEUES,
	OPT_CONTEXT_BYTES,
	OPT_CHANGE_RATE,
	OPT_SERVICE_TIME,
	OPT_ADMIN_QUEUES,
	OPT_SEED,
	OPT_FAULT,
	OPT_FULL_IMAGES,
	OPT_READ_CLEARS,
	OPT_RETAIN,
	OPT_STICKY,
	OPT_NO_IOEVENTFD,
	OPT_NO_RING_RESET,
	OPT_WRONG,
	OPT_TAKE_OVER,
	OPT_VERSION,
};

static const struct option longs[] = {
	{ "socket-dir", required_argument, NULL, OPT_SOCKET_DIR },
	{ "vfs", required_argument, NULL, OPT_VFS },
	{ "vfs-enabled", no_argument, NULL, OPT_VFS_ENABLED },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "disk-size", required_argument, NULL, OPT_DISK_SIZE },
	{ "blk-queues", required_argument, NULL, OPT_BLK_QUEUES },
	{ "context-bytes", required_argument, NULL, OPT_CONTEXT_BYTES },
	{ "change-rate", required_argument, NULL, OPT_CHANGE_RATE },
	{ "service-time", required_argument, NULL, OPT_SERVICE_TIME },
	{ "admin-queues", required_argument, NULL, OPT_ADMIN_QUEUES },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "full-images", no_argument, NULL, OPT_FULL_IMAGES },
	{ "read-clears", no_argument, NULL, OPT_READ_CLEARS },
	{ "retain", no_argument, NULL, OPT_RETAIN },
	{ "vf-enable-sticky", no_argument, NULL, OPT_STICKY },
	{ "no-ioeventfd", no_argument, NULL, OPT_NO_IOEVENTFD },
	{ "no-ring-reset", no_argument, NULL, OPT_NO_RING_RESET },
	{ "wrong", required_argument, NULL, OPT_WRONG },
	{ "take-over", no_argument, NULL, OPT_TAKE_OVER },
	{ "output", required_argument, NULL, 'o' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

void options_help(FILE *out)
{
	fputs("vferry-owner --socket-dir DIR [--vfs N] [--disk FILE]...\n"
	      "\n"
	      "A software owner device: one PF with admin queues and N VFs, each a virtio-blk device, served\n"
	      "over vfio-user sockets DIR/pf0.sock, DIR/vf1.sock ... It prints \"ready\" and their paths.\n"
	      "\n"
	      "  --socket-dir DIR     where the sockets are made\n"
	      "  --vfs N              VFs, 0 to 250 (8)\n"
	      "  --vfs-enabled        VF Enable is set from the start\n"
	      "  --vf-enable-sticky   VFs come back, blank, after an FLR of the PF; implies --vfs-enabled\n"
	      "  --disk [N=]FILE      backing file of VF N, or of every VF; %d in FILE becomes the VF's\n"
	      "                       number. Made when missing. Without: a disk in memory\n"
	      "  --disk-size SIZE     of files that are made (64M)\n"
	      "  --blk-queues N       request queues of a VF, 1 to 16 (4)\n"
	      "  --admin-queues N     1 to 64 (16)\n"
	      "  --context-bytes SIZE extra context of each VF, up to 1G (0)\n"
	      "  --change-rate SIZE   bytes of it that change each second while Active (0)\n"
	      "  --service-time TIME  latency of each admin command, as 100us (0)\n"
	      "  --seed N             for all that is drawn by chance (1)\n"
	      "  --full-images        never deltas\n"
	      "  --read-clears        what was read cannot be read again\n"
	      "  --retain             keep the state when a connection closes\n"
	      "  --no-ioeventfd       doorbells by message only\n"
	      "  --no-ring-reset      do not offer VIRTIO_F_RING_RESET\n"
	      "  --take-over          a client's connection may go to another vferry-owner\n"
	      "  --wrong NAME         break a rule on purpose, for vferry conform; list: print the names\n"
	      "  --fault SPEC         see below\n"
	      "  -o, --output FORMAT  text or json\n"
	      "  -v, --verbose        say what is refused, and why\n"
	      "  -h, --help           this\n"
	      "  --version\n"
	      "\n"
	      "SIZE: a number with K, M or G. TIME: a number with ns, us, ms or s.\n"
	      "\n",
	      out);
	fputs(faults_help(), out);
}

static int bad(struct vferry_error *err, const char *option, const char *value, const char *want)
{
	return vferry_fail(err, -EINVAL, "--%s %s: %s", option, value, want);
}

/* Digits and a suffix out of @units; each unit's factor in @factors. */
static bool number(const char *text, const char *const *units, const uint64_t *factors,
		   uint64_t *value)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno)
		return false;
	for (unsigned int i = 0; units[i]; i++)
		if (!strcmp(end, units[i]))
			return !__builtin_mul_overflow(n, factors[i], value);
	return false;
}

static bool size_value(const char *text, uint64_t *value)
{
	static const char *const units[] = { "", "K", "M", "G", "T", NULL };
	static const uint64_t factors[] = { 1, 1ULL << 10, 1ULL << 20, 1ULL << 30, 1ULL << 40 };

	return number(text, units, factors, value);
}

static bool time_value(const char *text, uint64_t *value)
{
	static const char *const units[] = { "ns", "us", "ms", "s", NULL };
	static const uint64_t factors[] = { 1, 1000, 1000000, 1000000000 };

	if (!strcmp(text, "0")) {
		*value = 0;
		return true;
	}
	return number(text, units, factors, value);
}

static int ranged(const char *option, const char *text, uint64_t low, uint64_t high,
		  unsigned int *value, struct vferry_error *err)
{
	static const char *const units[] = { "", NULL };
	static const uint64_t factors[] = { 1 };
	char want[64];
	uint64_t n;

	if (number(text, units, factors, &n) && n >= low && n <= high) {
		*value = (unsigned int)n;
		return 0;
	}
	snprintf(want, sizeof(want), "a number from %llu to %llu is wanted",
		 (unsigned long long)low, (unsigned long long)high);
	return bad(err, option, text, want);
}

static int add_disk(struct options *options, const char *text, struct vferry_error *err)
{
	struct disk_choice *disks;
	struct disk_choice choice = { 0, text };
	size_t digits = strspn(text, "0123456789");
	const char *percent;

	if (digits && text[digits] == '=') {
		char *end;

		choice.vf = (unsigned int)strtoul(text, &end, 10);
		choice.path = end + 1;
		if (!choice.vf || choice.vf > OWNER_MAX_VFS)
			return bad(err, "disk", text, "no such VF");
	}
	if (!*choice.path)
		return bad(err, "disk", text, "a file's name is missing");
	percent = strstr(choice.path, "%d");
	if (percent && strstr(percent + 2, "%d"))
		return bad(err, "disk", text, "%d may stand in it once");
	disks = realloc(options->disks, (options->disk_count + 1) * sizeof(*disks));
	if (!disks)
		return vferry_fail(err, -ENOMEM, "no memory");
	options->disks = disks;
	disks[options->disk_count++] = choice;
	return 0;
}

static int add_fault(struct options *options, const char *text, struct vferry_error *err)
{
	const char **faults;
	struct fault fault;
	int ret = fault_parse(&fault, text, err);

	if (ret)
		return ret;
	faults = realloc(options->faults, (options->fault_count + 1) * sizeof(*faults));
	if (!faults)
		return vferry_fail(err, -ENOMEM, "no memory");
	options->faults = faults;
	faults[options->fault_count++] = text;
	return 0;
}

static int one(struct options *options, int option, const char *text, struct vferry_error *err)
{
	static const char size_wanted[] = "a size is wanted, as 65536, 64K, 16M or 1G";
	struct owner_opts *o = &options->owner;
	unsigned int n;
	int ret;

	switch (option) {
	case OPT_SOCKET_DIR:
		o->socket_dir = text;
		return *text ? 0 : bad(err, "socket-dir", "''", "a folder is wanted");
	case OPT_VFS:
		return ranged("vfs", text, 0, OWNER_MAX_VFS, &o->vfs, err);
	case OPT_VFS_ENABLED:
		o->vfs_enabled = true;
		return 0;
	case OPT_DISK:
		return add_disk(options, text, err);
	case OPT_DISK_SIZE:
		if (!size_value(text, &options->disk_size) || options->disk_size < 512 ||
		    options->disk_size % 512 || options->disk_size > 1ULL << 50)
			return bad(err, "disk-size", text,
				   "a size in sectors of 512 bytes is wanted, as 64M");
		return 0;
	case OPT_BLK_QUEUES:
		return ranged("blk-queues", text, 1, 16, &o->blk_queues, err);
	case OPT_CONTEXT_BYTES:
		if (!size_value(text, &o->context_bytes) || o->context_bytes > 1ULL << 30)
			return bad(err, "context-bytes", text, "a size up to 1G is wanted");
		return 0;
	case OPT_CHANGE_RATE:
		return size_value(text, &o->change_rate)
			       ? 0
			       : bad(err, "change-rate", text, size_wanted);
	case OPT_SERVICE_TIME:
		if (!time_value(text, &o->service_time_ns) || o->service_time_ns > 3600000000000ULL)
			return bad(
				err, "service-time", text,
				"a time up to one hour is wanted, with its unit: ns, us, ms or s");
		return 0;
	case OPT_ADMIN_QUEUES:
		return ranged("admin-queues", text, 1, 64, &o->admin_queues, err);
	case OPT_SEED:
		ret = ranged("seed", text, 0, UINT32_MAX, &n, err);
		o->seed = n;
		return ret;
	case OPT_FAULT:
		return add_fault(options, text, err);
	case OPT_FULL_IMAGES:
		o->full_images = true;
		return 0;
	case OPT_READ_CLEARS:
		o->read_clears = true;
		return 0;
	case OPT_RETAIN:
		o->retain = true;
		return 0;
	case OPT_STICKY:
		o->vf_enable_sticky = o->vfs_enabled = true;
		return 0;
	case OPT_NO_IOEVENTFD:
		o->no_ioeventfd = true;
		return 0;
	case OPT_NO_RING_RESET:
		o->no_ring_reset = true;
		return 0;
	case OPT_WRONG:
		options->wrong_list |= !strcmp(text, "list");
		if (options->wrong_list || wrongs_add(&o->wrongs, text))
			return 0;
		return bad(err, "wrong", text, "no such mistake; --wrong list names them");
	case OPT_TAKE_OVER:
		o->take_over = true;
		return 0;
	case 'o':
		options->json = !strcmp(text, "json");
		return options->json || !strcmp(text, "text")
			       ? 0
			       : bad(err, "output", text, "text or json is wanted");
	case 'v':
		o->verbose = true;
		return 0;
	case 'h':
		options->help = true;
		return 0;
	case OPT_VERSION:
		options->version = true;
		return 0;
	}
	return -EINVAL;
}

static int check(const struct options *options, struct vferry_error *err)
{
	if (!options->owner.socket_dir)
		return vferry_fail(err, -EINVAL,
				   "--socket-dir is missing: where are the sockets to be made?");
	for (unsigned int i = 0; i < options->disk_count; i++)
		if (options->disks[i].vf > options->owner.vfs)
			return vferry_fail(err, -EINVAL, "--disk %u=%s: there are only %u VFs",
					   options->disks[i].vf, options->disks[i].path,
					   options->owner.vfs);
	return 0;
}

int options_parse(struct options *options, int argc, char **argv, struct vferry_error *err)
{
	int option, ret;

	*options = (struct options){
		.owner = { .vfs = 8,
			   .blk_queues = OWNER_BLK_QUEUES,
			   .admin_queues = 16,
			   .seed = 1 },
		.disk_size = 64ULL << 20,
	};
	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:o:vh", longs, NULL)) != -1) {
		if (option == ':')
			return vferry_fail(err, -EINVAL, "%s: a value is missing",
					   argv[optind - 1]);
		if (option == '?')
			return vferry_fail(err, -EINVAL, "%s: no such option", argv[optind - 1]);
		ret = one(options, option, optarg, err);
		if (ret)
			return ret;
		if (options->help || options->version || options->wrong_list)
			return 0;
	}
	if (optind < argc)
		return vferry_fail(err, -EINVAL, "%s: options only are understood", argv[optind]);
	return check(options, err);
}

void options_free(struct options *options)
{
	free(options->disks);
	free(options->faults);
	*options = (struct options){ 0 };
}

bool options_disk(const struct options *options, unsigned int vf, char *path, size_t room)
{
	const char *name = NULL, *percent;

	/* The last word stands; one's own goes before everybody's. */
	for (unsigned int i = 0; i < options->disk_count; i++)
		if (!options->disks[i].vf)
			name = options->disks[i].path;
	for (unsigned int i = 0; i < options->disk_count; i++)
		if (options->disks[i].vf == vf)
			name = options->disks[i].path;
	if (!name)
		return false;
	percent = strstr(name, "%d");
	if (percent)
		snprintf(path, room, "%.*s%u%s", (int)(percent - name), name, vf, percent + 2);
	else
		snprintf(path, room, "%s", name);
	return true;
}
