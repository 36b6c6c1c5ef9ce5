// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "device.h"
#include "guard.h"
#include "options.h"

/** struct program - the device, and the signals that end it */
struct program {
	struct vf_op op;
	struct owner owner;
	int signals;
	bool end;
};

static void signal_came(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct program *program = container_of(op, struct program, op);

	program->end = true;
}

static void die(struct owner *owner)
{
	_exit(70);
}

/* PF, VFs, their eventfds and interrupts: some ten descriptors a function. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int disk_in_memory(uint64_t bytes, struct vferry_error *err)
{
	int fd = memfd_create("vferry-disk", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes)) {
		int ret = -errno;

		if (fd >= 0)
			close(fd);
		return vferry_fail(err, ret, "cannot make a disk of %llu bytes in memory: %s",
				   (unsigned long long)bytes, strerror(-ret));
	}
	return fd;
}

static int disk_open(const char *path, uint64_t bytes, struct vferry_error *err)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_CREAT, 0660);
	struct stat st;
	int ret = 0;

	if (fd < 0 || fstat(fd, &st))
		ret = vferry_fail(err, -errno, "--disk %s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ret = vferry_fail(err, -EINVAL, "--disk %s: this is not a regular file", path);
	else if (!st.st_size && ftruncate(fd, (off_t)bytes))
		ret = vferry_fail(err, -errno, "--disk %s: cannot give it %llu bytes: %s", path,
				  (unsigned long long)bytes, strerror(errno));
	else if (st.st_size && st.st_size < 512)
		ret = vferry_fail(err, -EINVAL, "--disk %s: %lld bytes are less than a sector",
				  path, (long long)st.st_size);
	if (!ret)
		return fd;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int disk_of(void *arg, unsigned int vf, struct vferry_error *err)
{
	const struct options *options = arg;
	char path[PATH_MAX];

	if (vf && options_disk(options, vf, path, sizeof(path)))
		return disk_open(path, options->disk_size, err);
	return disk_in_memory(vf ? options->disk_size : DEVICE_PF_DISK_BYTES, err);
}

static void say_ready(const struct owner *owner, bool json)
{
	struct json_object *root, *vfs;

	if (!json) {
		printf("ready %s", device_socket(owner, 0));
		for (unsigned int i = 1; i <= owner->opts.vfs; i++)
			printf(" %s", device_socket(owner, i));
		printf("\n");
		fflush(stdout);
		return;
	}
	root = json_object_new_object();
	vfs = json_object_new_array();
	json_object_object_add(root, "schema", json_object_new_string("vferry.owner"));
	json_object_object_add(root, "schema_version", json_object_new_int(1));
	json_object_object_add(root, "event", json_object_new_string("ready"));
	json_object_object_add(root, "pid", json_object_new_int(getpid()));
	json_object_object_add(root, "pf", json_object_new_string(device_socket(owner, 0)));
	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		json_object_array_add(vfs, json_object_new_string(device_socket(owner, i)));
	json_object_object_add(root, "vfs", vfs);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
	json_object_put(root);
}

static int catch_signals(struct program *program, struct vferry_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) || guard_install())
		return vferry_fail(err, -errno, "signals: %s", strerror(errno));
	program->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (program->signals < 0)
		return vferry_fail(err, -errno, "signalfd: %s", strerror(errno));
	return 0;
}

static int serve(struct program *program, const struct options *options, struct vferry_error *err)
{
	struct owner *owner = &program->owner;
	int ret = 0;

	program->op.done = signal_came;
	io_uring_prep_poll_add(vf_ring_sqe(owner->ring, &program->op), program->signals, POLLIN);
	say_ready(owner, options->json);
	while (!program->end) {
		ret = vf_ring_turn(owner->ring, UINT64_MAX);
		if (ret < 0 && ret != -EINTR)
			return vferry_fail(err, ret, "io_uring: %s", strerror(-ret));
		device_turn(owner);
	}
	return 0;
}

static int run(const struct options *options, struct vferry_error *err)
{
	struct program program = { .signals = -1 };
	int ret;

	raise_limits();
	ret = catch_signals(&program, err);
	if (ret)
		return ret;
	program.owner.opts = options->owner;
	program.owner.die = die;
	for (unsigned int i = 0; i < options->fault_count && !ret; i++)
		ret = faults_add(&program.owner, options->faults[i], err);
	if (!ret)
		ret = device_new(&program.owner, disk_of, (void *)options, err);
	if (!ret)
		ret = serve(&program, options, err);
	device_free(&program.owner);
	faults_free(&program.owner);
	close(program.signals);
	return ret;
}

int main(int argc, char **argv)
{
	struct options options;
	struct vferry_error err = { 0 };
	int ret = options_parse(&options, argc, argv, &err), status = 0;

	if (ret) {
		fprintf(stderr, "vferry-owner: %s\nvferry-owner: --help says more\n", err.text);
		status = 2;
	} else if (options.help) {
		options_help(stdout);
	} else if (options.wrong_list) {
		wrongs_list();
	} else if (options.version) {
		puts("vferry-owner " VFERRY_VERSION);
	} else {
		ret = run(&options, &err);
		if (ret) {
			fprintf(stderr, "vferry-owner: %s\n", err.text);
			status = ret == -EPERM || ret == -EACCES ? 4 : ret == -ENOSYS ? 5 : 1;
		}
	}
	options_free(&options);
	return status;
}
