// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * vfio_bus ADDRESS WORD...: a device through the bus, without virtio. The words, done in this order of writing:
 *
 *   token=UUID   of what follows: open with it (first)
 *   info         regions, interrupts, VFs
 *   ids          vendor and device out of configuration space
 *   map          map the first page of the first region that can be mapped, and compare it with what read() says
 *   dma=BYTES    map that much memory for the device, and unmap it
 *   irqs=N       install N eventfds; irqs=0 takes them away
 *   vfs=N        enable N VFs
 *   reset
 *   measure      what a register read costs by pread and by io_uring, inline and by a worker
 *   hold         say "held", wait until standard input ends or the kernel wants the device back
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bus/bus.h"
#include "ring/ring.h"

#define CONFIG 7
#define ROUNDS 401

static int fail(const struct vferry_error *err)
{
	fprintf(stderr, "vfio_bus: %s\n", err->text);
	return 1;
}

static int info(struct vf_bus *bus)
{
	struct vf_region region;
	uint16_t total, enabled;

	for (unsigned int i = 0; i < 9; i++) {
		if (!vf_bus_region(bus, i, &region) && region.size)
			printf("region %u: %llu bytes%s\n", i, (unsigned long long)region.size,
			       region.mappable ? ", mappable" : "");
	}
	printf("interrupts: %d\n", vf_bus_irqs(bus));
	if (vf_bus_token(bus))
		printf("token: %s\n", vf_bus_token(bus));
	if (!vf_bus_vfs(bus, &total, &enabled, NULL))
		printf("VFs: %u of %u\n", enabled, total);
	return 0;
}

static int ids(struct vf_bus *bus)
{
	struct vferry_error err;
	uint16_t id[2];

	if (vf_bus_read(bus, CONFIG, 0, id, sizeof(id), &err))
		return fail(&err);
	printf("%04x:%04x\n", le16toh(id[0]), le16toh(id[1]));
	return 0;
}

/* The first page that can be mapped: its region, or -1. */
static int first_page(struct vf_bus *bus, void **memory, int *fd, uint64_t *at)
{
	for (unsigned int i = 0; i < 6; i++) {
		if (!vf_bus_map(bus, i, 0, 4096, memory, fd, at))
			return (int)i;
	}
	return -1;
}

static int memory_space(struct vf_bus *bus, struct vferry_error *err)
{
	uint16_t command;
	int ret = vf_bus_read(bus, CONFIG, 4, &command, 2, err);

	command |= htole16(6);
	return ret ? ret : vf_bus_write(bus, CONFIG, 4, &command, 2, err);
}

static int map(struct vf_bus *bus)
{
	uint32_t word, mapped;
	struct vferry_error err;
	void *page;
	int region;

	if (memory_space(bus, &err))
		return fail(&err);
	region = first_page(bus, &page, NULL, NULL);
	if (region < 0) {
		fprintf(stderr, "vfio_bus: no region can be mapped\n");
		return 1;
	}
	mapped = *(volatile uint32_t *)page;
	munmap(page, 4096);
	if (vf_bus_read(bus, (unsigned int)region, 0, &word, 4, &err))
		return fail(&err);
	printf("region %d: 0x%x by mapping, 0x%x by read\n", region, mapped, word);
	return mapped != word;
}

static int dma(struct vf_bus *bus, uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t begin = vf_now_ns(), mapped;
	struct vferry_error err;
	int ret;

	if (memory == MAP_FAILED)
		return 1;
	ret = vf_bus_dma_map(bus, 0x10000000, -1, 0, bytes, memory, true, &err);
	mapped = vf_now_ns();
	if (!ret)
		ret = vf_bus_dma_unmap(bus, 0x10000000, bytes, &err);
	munmap(memory, bytes);
	if (ret)
		return fail(&err);
	printf("%llu bytes mapped in %llu us, unmapped in %llu us\n", (unsigned long long)bytes,
	       (unsigned long long)(mapped - begin) / 1000,
	       (unsigned long long)(vf_now_ns() - mapped) / 1000);
	return 0;
}

static int irqs(struct vf_bus *bus, unsigned int count)
{
	struct vferry_error err;
	int fds[64];
	int ret;

	for (unsigned int i = 0; i < count && i < 64; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	ret = vf_bus_set_irqs(bus, fds, count, &err);
	for (unsigned int i = 0; i < count && i < 64; i++)
		close(fds[i]);
	return ret ? fail(&err) : 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Workers of io_uring appear among the threads. */
static unsigned int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n > 3 ? n - 3 : 0;
}

static int one_read(struct io_uring *ring, int fd, uint64_t at)
{
	struct io_uring_cqe *cqe;
	uint32_t word;
	int ret;

	if (!ring)
		return pread(fd, &word, 4, (off_t)at) == 4 ? 0 : -errno;
	io_uring_prep_read(io_uring_get_sqe(ring), fd, &word, 4, at);
	ret = io_uring_submit_and_wait(ring, 1);
	if (ret < 0 || io_uring_peek_cqe(ring, &cqe))
		return -EIO;
	ret = cqe->res == 4 ? 0 : cqe->res < 0 ? cqe->res : -EIO;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static int series(const char *name, struct io_uring *ring, int fd, uint64_t at)
{
	uint64_t took[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t begin = vf_now_ns();
		int ret = one_read(ring, fd, at);

		if (ret) {
			fprintf(stderr, "vfio_bus: %s: %s\n", name, strerror(-ret));
			return 1;
		}
		took[i] = vf_now_ns() - begin;
	}
	qsort(took, ROUNDS, sizeof(took[0]), by_value);
	printf("%s: median %llu ns, 99%% %llu ns, %u io_uring workers\n", name,
	       (unsigned long long)took[ROUNDS / 2], (unsigned long long)took[ROUNDS * 99 / 100],
	       threads());
	return 0;
}

static int measure(struct vf_bus *bus)
{
	struct vferry_error err;
	struct io_uring ring;
	uint64_t at;
	void *page;
	int fd, flags, ret, region;

	if (memory_space(bus, &err))
		return fail(&err);
	region = first_page(bus, &page, &fd, &at);
	if (region < 0 || io_uring_queue_init(8, &ring, 0))
		return 1;
	munmap(page, 4096);
	flags = fcntl(fd, F_GETFL);
	ret = series("pread", NULL, fd, at);
	if (!ret)
		ret = series(flags & O_NONBLOCK ? "io_uring, O_NONBLOCK" : "io_uring, blocking",
			     &ring, fd, at);
	fcntl(fd, F_SETFL, flags ^ O_NONBLOCK);
	if (!ret)
		ret = series(flags & O_NONBLOCK ? "io_uring, blocking" : "io_uring, O_NONBLOCK",
			     &ring, fd, at);
	fcntl(fd, F_SETFL, flags);
	io_uring_queue_exit(&ring);
	return ret;
}

static int hold(struct vf_bus *bus)
{
	struct pollfd fds[2] = { { .fd = 0, .events = POLLIN },
				 { .fd = vf_bus_fd(bus), .events = POLLIN } };
	char byte;

	printf("held\n");
	fflush(stdout);
	while (poll(fds, 2, -1) >= 0) {
		if (fds[1].revents) {
			printf("wanted back%s\n", vf_bus_gone(bus) ? "" : ", but not gone");
			fflush(stdout);
			return 0;
		}
		if (fds[0].revents && read(0, &byte, 1) <= 0)
			return 0;
	}
	return 1;
}

static int word(struct vf_bus *bus, const char *text)
{
	const char *value = strchr(text, '=') ? strchr(text, '=') + 1 : "";
	struct vferry_error err;

	if (!strcmp(text, "info"))
		return info(bus);
	if (!strcmp(text, "ids"))
		return ids(bus);
	if (!strcmp(text, "map"))
		return map(bus);
	if (!strncmp(text, "dma=", 4))
		return dma(bus, strtoull(value, NULL, 0));
	if (!strncmp(text, "irqs=", 5))
		return irqs(bus, (unsigned int)strtoul(value, NULL, 0));
	if (!strncmp(text, "vfs=", 4))
		return vf_bus_set_vfs(bus, (uint16_t)strtoul(value, NULL, 0), &err) ? fail(&err)
										    : 0;
	if (!strcmp(text, "reset"))
		return vf_bus_reset(bus, &err) ? fail(&err) : 0;
	if (!strcmp(text, "measure"))
		return measure(bus);
	if (!strcmp(text, "hold"))
		return hold(bus);
	fprintf(stderr, "vfio_bus: %s?\n", text);
	return 2;
}

int main(int argc, char **argv)
{
	struct vf_bus_opts opts = { 0 };
	struct vferry_error err;
	struct vf_bus *bus;
	int at = 2, ret = 0;

	if (argc < 2)
		return 2;
	if (argc > 2 && !strncmp(argv[2], "token=", 6)) {
		opts.vf_token = argv[2] + 6;
		at = 3;
	}
	if (vf_bus_open(&bus, argv[1], &opts, &err))
		return fail(&err);
	for (; at < argc && !ret; at++)
		ret = word(bus, argv[at]);
	vf_bus_close(bus);
	return ret;
}
