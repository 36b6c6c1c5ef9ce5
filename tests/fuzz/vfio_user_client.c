// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as a vfio-user server's answers, and any registers as a virtio device's. In half of the runs the bytes are the socket's
 * as they are; in the others they become payloads behind headers that fit, so that what reads payloads is reached. No
 * descriptor may be left open, nothing may hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bus/vfio_user_msg.h"
#include "virtio/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 32768

struct input {
	const uint8_t *at;
	size_t left;
};

static uint32_t number(struct input *input, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes-- && input->left) {
		value = value << 8 | *input->at++;
		input->left--;
	}
	return value;
}

/* --- as they come --- */

/* False: the socket is full; the client sees the end there. */
static bool put(int fd, const void *bytes, size_t count, unsigned int fds)
{
	char control[CMSG_SPACE(sizeof(int) * 20)] = { 0 };
	struct iovec iov = { (void *)bytes, count };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool sent;
	int some[20];

	for (unsigned int i = 0; i < fds; i++)
		some[i] = i % 2 ? eventfd(0, EFD_CLOEXEC) : memfd_create("fuzz", MFD_CLOEXEC);
	if (fds) {
		struct cmsghdr *cmsg;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds);
		memcpy(CMSG_DATA(cmsg), some, sizeof(int) * fds);
	}
	sent = !count || sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)count;
	while (fds)
		close(some[--fds]);
	return sent;
}

/* Answers with the ids that the client will use, and commands that it will most likely give. */
static void put_answers(int fd, struct input *input)
{
	static const uint16_t commands[] = {
		VFIO_USER_VERSION,
		VFIO_USER_DEVICE_GET_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_DEVICE_GET_IRQ_INFO,
		VFIO_USER_DEVICE_GET_REGION_IO_FDS,
		VFIO_USER_DEVICE_GET_REGION_IO_FDS,
		VFIO_USER_DEVICE_GET_REGION_IO_FDS,
	};
	const unsigned int known = sizeof(commands) / sizeof(commands[0]);
	unsigned char message[16 + 4096];
	size_t sent = 0;

	for (uint16_t id = 0; input->left && sent < MOST; id++) {
		uint32_t how = number(input, 1), fds = 0;
		uint32_t bytes = how & 0x80 ? number(input, 2) % 4096 : how & 0x3f;
		struct vfio_user_hdr header = {
			.message_id = htole16(id),
			.flags = htole32(VFIO_USER_F_REPLY),
		};

		if (bytes > input->left)
			bytes = (uint32_t)input->left;
		header.size = htole32(16 + bytes);
		if (id < known) {
			header.command = htole16(commands[id]);
			fds = how & 0x40 ? 1 + (id + bytes) % 19 : 0;
		} else {
			header.command = htole16(how & 0x40 ? VFIO_USER_REGION_WRITE
							    : VFIO_USER_REGION_READ);
		}
		memcpy(message, &header, 16);
		memcpy(message + 16, input->at, bytes);
		input->at += bytes;
		input->left -= bytes;
		if (!put(fd, message, 16 + bytes, fds))
			return;
		sent += 16 + bytes;
	}
}

static void use(struct vf_bus *bus)
{
	struct vf_virtio dev;
	uint16_t a, b;
	void *memory;
	int fd;

	for (unsigned int i = 0; i < 3; i++) {
		if (!vf_bus_ioeventfd(bus, i, 0, 2, &fd))
			close(fd);
		if (!vf_bus_map(bus, i, 0, 4096, &memory, NULL, NULL))
			munmap(memory, 4096);
	}
	if (vf_virtio_open(&dev, bus, NULL))
		return;
	vf_virtio_begin(&dev, 0, UINT64_MAX, 0, NULL);
	vf_virtio_admin_queues(&dev, &a, &b, NULL);
	vf_sriov_get(bus, &a, &b, NULL);
}

static void as_a_server(struct input *input, bool framed)
{
	struct vf_vu vu = {
		.max_fds = 1,
		.max_xfer = VFIO_USER_MAX_XFER,
		.timeout_ns = 1000000000ULL,
		.name = "fuzz",
	};
	struct vf_bus *bus;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		abort();
	if (framed)
		put_answers(pair[1], input);
	else
		put(pair[1], input->at, input->left < MOST ? input->left : MOST, 0);
	/* Then it has said all: the client reads the end instead of waiting for its deadline. */
	shutdown(pair[1], SHUT_WR);
	vu.fd = pair[0];
	if (!vf_vfio_user_adopt(&bus, &vu, NULL)) {
		use(bus);
		vf_bus_close(bus);
	}
	close(pair[1]);
}

/* --- a bus whose registers are the input --- */

struct registers {
	struct vf_bus bus;
	struct input input;
	const uint8_t *config;
	size_t config_bytes;
};

static int any_region(struct vf_bus *bus, unsigned int region, struct vf_region *info)
{
	if (region > VFIO_USER_CONFIG)
		return -ENXIO;
	*info = (struct vf_region){ .size = region == VFIO_USER_CONFIG ? 4096 : 65536 };
	return 0;
}

static int any_read(struct vf_bus *bus, unsigned int region, uint64_t offset, void *bytes,
		    uint32_t count, struct vferry_error *err)
{
	struct registers *registers = (struct registers *)bus;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t byte;

		if (region == VFIO_USER_CONFIG)
			byte = offset + i < registers->config_bytes ? registers->config[offset + i]
								    : 0;
		else
			byte = (uint8_t)number(&registers->input, 1);
		((uint8_t *)bytes)[i] = byte;
	}
	return 0;
}

static int any_write(struct vf_bus *bus, unsigned int region, uint64_t offset, const void *bytes,
		     uint32_t count, struct vferry_error *err)
{
	return 0;
}

static int any_map(struct vf_bus *bus, unsigned int region, uint64_t offset, uint64_t size,
		   void **memory, int *fd, uint64_t *fd_offset)
{
	return -EOPNOTSUPP;
}

static const struct vf_bus_ops any_ops = {
	.region = any_region,
	.read = any_read,
	.write = any_write,
	.map = any_map,
};

static void as_registers(struct input *input)
{
	struct registers registers = { .bus = { .ops = &any_ops, .address = "fuzz" } };
	struct vf_virtio_queue queue = { .index = 1, .size = 8 };
	struct vf_virtio dev;
	unsigned int region;
	uint16_t a, b;
	uint64_t offset;
	char config[16];

	registers.config = input->at;
	registers.config_bytes = input->left < 512 ? input->left : 512;
	registers.input.at = input->at + registers.config_bytes;
	registers.input.left = input->left - registers.config_bytes;
	if (!vf_virtio_open(&dev, &registers.bus, NULL)) {
		vf_virtio_begin(&dev, 1ULL << VIRTIO_F_VERSION_1, UINT64_MAX, 0, NULL);
		vf_virtio_config(&dev, number(&registers.input, 2), config, sizeof(config), NULL);
		vf_virtio_queue_max(&dev, 1, &a, NULL);
		vf_virtio_queue(&dev, &queue, NULL);
		if (!vf_virtio_doorbell(&dev, 1, &region, &offset, NULL) &&
		    (region > 5 || offset > 65534))
			abort();
		if (!vf_virtio_admin_queues(&dev, &a, &b, NULL) && a + b > 0x10000)
			abort();
		vf_virtio_queue_reset(&dev, 1, 0, NULL);
	}
	vf_sriov_get(&registers.bus, &a, &b, NULL);
	vf_sriov_set(&registers.bus, 3, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	uint32_t how = number(&input, 1);
	int before = fcntl(0, F_DUPFD_CLOEXEC, 0), after;

	close(before);
	if (how % 3 == 0)
		as_registers(&input);
	else
		as_a_server(&input, how % 3 == 1);
	/* The lowest free descriptor is the same again when none was lost. */
	after = fcntl(0, F_DUPFD_CLOEXEC, 0);
	close(after);
	if (after != before)
		abort();
	return 0;
}
