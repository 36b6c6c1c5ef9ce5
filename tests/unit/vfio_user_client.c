// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "fake_server.h"
#include <dirent.h>
#include "bus/bus.h"
#include "ring/ring.h"
#include "virtio/device.h"

static unsigned int open_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static int open_bus(struct server *server, struct vf_bus **bus, uint64_t timeout_ns,
		    struct vferry_error *err)
{
	struct vf_bus_opts opts = { .timeout_ns = timeout_ns };

	memset(err, 0, sizeof(*err));
	return vf_bus_open(bus, server->path, &opts, err);
}

static void has(const struct vferry_error *err, const char *words)
{
	if (!strstr(err->text, words))
		fail_msg("\"%s\" lacks \"%s\"", err->text, words);
}

/* --- what works --- */

static void all_of_a_good_server(void **state)
{
	int calls[20], memory = memfd_create("test", MFD_CLOEXEC), fd = -1;
	unsigned int before = open_fds();
	struct vferry_error err;
	struct vf_region region;
	struct server server;
	struct vf_bus *bus;
	uint32_t id = 0;
	uint16_t value;
	void *mapped;

	server_init(&server);
	server_start(&server);
	assert_int_equal(open_bus(&server, &bus, 0, &err), 0);
	assert_int_equal(vf_bus_region(bus, VFIO_USER_BAR0, &region), 0);
	assert_int_equal(region.size, SERVER_BAR);
	assert_false(region.mappable);
	assert_int_equal(vf_bus_region(bus, 77, &region), -ENXIO);
	assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 0, &id, 4, &err), 0);
	assert_int_equal(id, 0x10421af4);
	value = 0x1234;
	assert_int_equal(vf_bus_write(bus, VFIO_USER_BAR0, 4096, &value, 2, &err), 0);
	assert_int_equal(server.doorbell, 0x1234);
	/* Outside of a region nothing is even asked. */
	assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 4094, &id, 4, &err), -ERANGE);
	assert_int_equal(vf_bus_read(bus, VFIO_USER_BAR0, UINT64_MAX, &id, 4, &err), -ERANGE);
	assert_int_equal(vf_bus_map(bus, VFIO_USER_BAR0, 4096, 4096, &mapped, NULL, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(vf_bus_ioeventfd(bus, VFIO_USER_BAR0, 4096, 2, &fd), -EOPNOTSUPP);
	assert_int_equal(ftruncate(memory, 65536), 0);
	assert_int_equal(vf_bus_dma_map(bus, 0x1000, memory, 0, 65536, NULL, true, &err), 0);
	assert_int_equal(server.map_iova, 0x1000);
	assert_int_equal(server.map_fd_size, 65536);
	assert_int_equal(vf_bus_dma_unmap(bus, 0x1000, 65536, &err), 0);
	assert_int_equal(server.unmaps, 1);
	/* 20 eventfds where 8 fit in a message. */
	assert_int_equal(vf_bus_irqs(bus), 33);
	for (unsigned int i = 0; i < 20; i++)
		calls[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(vf_bus_set_irqs(bus, calls, 20, &err), 0);
	assert_int_equal(server.irqs_calls, 3);
	assert_int_equal(server.config[0x83], 0x80);
	for (unsigned int i = 0; i < 20; i++) {
		uint64_t count;

		assert_int_equal(eventfd_write(server.irqs[i], 1 + i), 0);
		assert_int_equal(read(calls[i], &count, 8), 8);
		assert_int_equal(count, 1 + i);
		close(calls[i]);
	}
	assert_int_equal(vf_bus_set_irqs(bus, NULL, 0, &err), 0);
	assert_int_equal(server.config[0x83], 0);
	assert_int_equal(vf_bus_set_irqs(bus, calls, 34, &err), -EINVAL);
	assert_int_equal(vf_bus_reset(bus, &err), 0);
	assert_int_equal(server.resets, 1);
	assert_false(vf_bus_gone(bus));
	vf_bus_close(bus);
	server_stop(&server);
	close(memory);
	assert_int_equal(open_fds(), before - 1);
}

static void doorbells_by_memory_and_by_eventfd(void **state)
{
	unsigned int before = open_fds();
	struct vferry_error err;
	uint64_t offset, count;
	struct server server;
	struct vf_bus *bus;
	uint32_t *mapped;
	int fd;

	server_init(&server);
	server.bar_fd = memfd_create("bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	server.ioevent = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(ftruncate(server.bar_fd, SERVER_BAR), 0);
	server_start(&server);
	assert_int_equal(open_bus(&server, &bus, 0, &err), 0);
	/* What the server could cut off under us is not mapped. */
	assert_int_equal(vf_bus_map(bus, 0, 4096, 4096, (void **)&mapped, &fd, &offset),
			 -EOPNOTSUPP);
	assert_int_equal(fcntl(server.bar_fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(vf_bus_map(bus, 0, 4096, 4096, (void **)&mapped, &fd, &offset), 0);
	assert_int_equal(offset, 4096);
	*mapped = 0x12345678;
	assert_int_equal(pread(server.bar_fd, &count, 4, 4096), 4);
	assert_int_equal((uint32_t)count, 0x12345678);
	munmap(mapped, 4096);
	/* Not in the sparse area. */
	assert_int_equal(vf_bus_map(bus, 0, 0, 4096, (void **)&mapped, &fd, &offset), -EOPNOTSUPP);
	assert_int_equal(vf_bus_map(bus, 0, 0, 8192, (void **)&mapped, &fd, &offset), -EOPNOTSUPP);
	assert_int_equal(vf_bus_map(bus, 0, 4100, 4, (void **)&mapped, &fd, &offset), -EOPNOTSUPP);
	assert_int_equal(vf_bus_ioeventfd(bus, 0, 4100, 2, &fd), -EOPNOTSUPP);
	assert_int_equal(vf_bus_ioeventfd(bus, 0, 4096, 4, &fd), -EOPNOTSUPP);
	assert_int_equal(vf_bus_ioeventfd(bus, 0, 4096, 2, &fd), 0);
	assert_int_equal(eventfd_write(fd, 5), 0);
	assert_int_equal(read(server.ioevent, &count, 8), 8);
	assert_int_equal(count, 5);
	close(fd);
	vf_bus_close(bus);
	server_stop(&server);
	close(server.bar_fd);
	close(server.ioevent);
	assert_int_equal(open_fds(), before);
}

/* --- who is not there --- */

static void nobody_there(void **state)
{
	struct vferry_error err;
	struct server server;
	struct vf_bus *bus;
	char path[200];

	assert_int_equal(vf_bus_open(&bus, "vfio-user:/nowhere/pf.sock", NULL, &err), -ENOENT);
	has(&err, "/nowhere/pf.sock");
	assert_int_equal(vf_bus_open(&bus, "vfio-user:", NULL, &err), -EINVAL);
	memset(path, 'a', sizeof(path) - 1);
	memcpy(path, "vfio-user:", 10);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(vf_bus_open(&bus, path, NULL, &err), -EINVAL);
	assert_int_equal(vf_bus_open(&bus, "pigeon:/x", NULL, &err), -EPROTONOSUPPORT);
	has(&err, "pigeon:/x");
	server_init(&server);
	server_start(&server);
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
	assert_int_equal(vf_bus_open(&bus, server.path, NULL, &err), -ECONNREFUSED);
	has(&err, "nobody listens");
	unlink(server.path + 10);
	rmdir(server.folder);
}

/* --- a server that answers wrongly, at the opening --- */

struct wrong {
	const char *name;
	uint16_t command;
	void (*spoil)(struct server *, struct reply *, const unsigned char *, uint32_t);
	int error;
	const char *words;
};

#define SPOIL(name)                                                                                \
	static void name(struct server *server, struct reply *reply, const unsigned char *request, \
			 uint32_t bytes)

SPOIL(silent)
{
	reply->silent = true;
}

SPOIL(hang_up)
{
	reply->hang_up = true;
}

SPOIL(half_a_header)
{
	reply->send_only = 7;
}

SPOIL(half_a_payload)
{
	reply->send_only = 18;
}

SPOIL(other_id)
{
	reply->header.message_id = htole16(0x7777);
}

SPOIL(other_command)
{
	reply->header.command = htole16(VFIO_USER_DMA_READ);
}

SPOIL(neither)
{
	reply->header.flags = htole32(5);
}

SPOIL(tiny)
{
	reply->header.size = htole32(3);
}

SPOIL(huge)
{
	reply->header.size = htole32(0xffffffff);
}

SPOIL(short_payload)
{
	reply->bytes = 2;
	reply->header.size = htole32(18);
}

SPOIL(long_payload)
{
	reply->bytes = 60000;
	reply->header.size = htole32(60016);
}

SPOIL(refuses)
{
	reply->header.flags = htole32(VFIO_USER_F_REPLY | VFIO_USER_F_ERROR);
	reply->header.error = htole32(EBUSY);
	reply->header.size = htole32(16);
	reply->bytes = 0;
}

SPOIL(refuses_without_reason)
{
	refuses(server, reply, request, bytes);
	reply->header.error = 0;
}

SPOIL(many_fds)
{
	for (unsigned int i = 0; i < 40; i++)
		reply->fds[reply->fds_count++] = eventfd(0, EFD_CLOEXEC);
}

SPOIL(unexpected_fd)
{
	reply->fds[reply->fds_count++] = eventfd(0, EFD_CLOEXEC);
}

SPOIL(other_version)
{
	reply->payload[0] = 1;
}

SPOIL(no_json)
{
	memcpy(reply->payload + 4, "hello", 6);
	reply->bytes = 10;
	reply->header.size = htole32(26);
}

SPOIL(endless_json)
{
	reply->bytes = 4 + 10;
	reply->header.size = htole32(16 + 14);
	memset(reply->payload + 4, '[', 10);
}

SPOIL(zero_fds)
{
	const char json[] = "{\"capabilities\":{\"max_msg_fds\":0}}";

	memcpy(reply->payload + 4, json, sizeof(json));
	reply->bytes = 4 + sizeof(json);
	reply->header.size = htole32(16 + reply->bytes);
}

SPOIL(no_pci)
{
	reply->payload[4] = 1;
}

SPOIL(many_vectors)
{
	memset(reply->payload + 12, 0xff, 4);
}

SPOIL(other_region)
{
	reply->payload[8] ^= 1;
}

/* A region info with capabilities of the test's making. */
static void caps(struct reply *reply, uint32_t first, const void *chain, uint32_t bytes)
{
	struct vfio_user_region_info info;

	memcpy(&info, reply->payload, sizeof(info));
	info.flags |= htole32(VFIO_USER_REGION_F_CAPS);
	info.cap_offset = htole32(first);
	memcpy(reply->payload, &info, sizeof(info));
	memcpy(reply->payload + sizeof(info), chain, bytes);
	reply->bytes = sizeof(info) + bytes;
	reply->header.size = htole32(16 + reply->bytes);
}

SPOIL(caps_in_a_circle)
{
	struct vfio_user_cap_hdr cap = { .id = htole16(99), .next = htole32(32) };

	caps(reply, 32, &cap, sizeof(cap));
}

SPOIL(caps_outside)
{
	struct vfio_user_cap_hdr cap = { .id = htole16(99) };

	caps(reply, 0xfffffff8, &cap, sizeof(cap));
}

SPOIL(areas_cut_off)
{
	struct vfio_user_sparse_mmap sparse = { .header.id = htole16(1),
						.nr_areas = htole32(0x10000001) };

	caps(reply, 32, &sparse, sizeof(sparse));
}

SPOIL(areas_outside)
{
	struct {
		struct vfio_user_sparse_mmap sparse;
		struct vfio_user_sparse_area area;
	} chain = {
		{ .header.id = htole16(1), .nr_areas = htole32(1) },
		{ htole64(4096), htole64(UINT64_MAX) },
	};

	caps(reply, 32, &chain, sizeof(chain));
}

static const struct wrong wrongs[] = {
	{ "silence", VFIO_USER_VERSION, silent, -ETIMEDOUT, "no answer to VERSION" },
	{ "silence later", VFIO_USER_DEVICE_GET_INFO, silent, -ETIMEDOUT, "DEVICE_GET_INFO" },
	{ "end", VFIO_USER_VERSION, hang_up, -ENODEV, "does not behave like a vfio-user server" },
	{ "end later", VFIO_USER_DEVICE_GET_IRQ_INFO, hang_up, -ENODEV, "the server closed it" },
	{ "half a header", VFIO_USER_DEVICE_GET_INFO, half_a_header, -ENODEV, "in the middle" },
	{ "half a payload", VFIO_USER_DEVICE_GET_INFO, half_a_payload, -ENODEV, "in the middle" },
	{ "another id", VFIO_USER_DEVICE_GET_INFO, other_id, -EPROTO, "message id" },
	{ "another command", VFIO_USER_DEVICE_GET_INFO, other_command, -EPROTO, "another command" },
	{ "neither", VFIO_USER_DEVICE_GET_INFO, neither, -EPROTO, "flags" },
	{ "tiny", VFIO_USER_DEVICE_GET_INFO, tiny, -EPROTO, "size" },
	{ "huge", VFIO_USER_DEVICE_GET_INFO, huge, -EPROTO, "size" },
	{ "short", VFIO_USER_DEVICE_GET_INFO, short_payload, -EPROTO, "DEVICE_GET_INFO" },
	{ "long", VFIO_USER_DEVICE_GET_INFO, long_payload, -EPROTO, "60000" },
	{ "error", VFIO_USER_DEVICE_GET_INFO, refuses, -EBUSY, "refuses DEVICE_GET_INFO" },
	{ "error 0", VFIO_USER_DEVICE_GET_INFO, refuses_without_reason, -EPROTO, "errno" },
	{ "many descriptors", VFIO_USER_DEVICE_GET_REGION_INFO, many_fds, -EPROTO, "descriptors" },
	{ "a descriptor", VFIO_USER_DEVICE_GET_INFO, unexpected_fd, -EPROTO, "descriptors" },
	{ "version", VFIO_USER_VERSION, other_version, -EPROTO, "version 1.0" },
	{ "no JSON", VFIO_USER_VERSION, no_json, -EPROTO, "JSON" },
	{ "JSON without end", VFIO_USER_VERSION, endless_json, -EPROTO, "JSON" },
	{ "no fds", VFIO_USER_VERSION, zero_fds, -EPROTO, "max_msg_fds" },
	{ "no PCI", VFIO_USER_DEVICE_GET_INFO, no_pci, -EPROTO, "not a PCI device" },
	{ "vectors", VFIO_USER_DEVICE_GET_IRQ_INFO, many_vectors, -EPROTO, "2048" },
	{ "region", VFIO_USER_DEVICE_GET_REGION_INFO, other_region, -EPROTO, "region" },
	{ "circle", VFIO_USER_DEVICE_GET_REGION_INFO, caps_in_a_circle, -EPROTO, "capability" },
	{ "far cap", VFIO_USER_DEVICE_GET_REGION_INFO, caps_outside, -EPROTO, "capability" },
	{ "areas", VFIO_USER_DEVICE_GET_REGION_INFO, areas_cut_off, -EPROTO, "areas" },
	{ "far area", VFIO_USER_DEVICE_GET_REGION_INFO, areas_outside, -EPROTO, "area" },
};

static void wrong_answers_at_the_opening(void **state)
{
	for (unsigned int i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		unsigned int before = open_fds();
		struct vferry_error err;
		struct server server;
		struct vf_bus *bus;
		int ret;

		server_init(&server);
		server.spoil_command = wrongs[i].command;
		server.spoil = wrongs[i].spoil;
		server_start(&server);
		ret = open_bus(&server, &bus, wrongs[i].spoil == silent ? 2000000000ULL : 0, &err);
		if (ret != wrongs[i].error)
			fail_msg("%s: %d, not %d: %s", wrongs[i].name, ret, wrongs[i].error,
				 err.text);
		has(&err, wrongs[i].words);
		server_stop(&server);
		assert_int_equal(open_fds(), before);
	}
}

/* --- and later --- */

SPOIL(other_place)
{
	reply->payload[0] ^= 4;
}

SPOIL(other_count)
{
	reply->payload[12] ^= 1;
}

SPOIL(server_asks_first)
{
	/* A request of the server's in front of the answer; what follows is the client's refusal, then its next request. */
	memmove(reply->payload + 32 + 16, reply->payload, reply->bytes);
	memcpy(reply->payload + 32, &reply->header, 16);
	memset(reply->payload, 0, 16);
	memset(reply->payload + 16, 0, 16);
	reply->header.message_id = htole16(4711);
	reply->header.command = htole16(VFIO_USER_DMA_WRITE);
	reply->header.flags = htole32(VFIO_USER_F_NO_REPLY);
	reply->header.size = htole32(16 + 32);
	reply->bytes += 32 + 16;
}

static void wrong_answers_to_accesses(void **state)
{
	static const struct wrong cases[] = {
		{ "place", VFIO_USER_REGION_READ, other_place, -EPROTO, "0x4" },
		{ "count", VFIO_USER_REGION_READ, other_count, -EPROTO, "REGION_READ" },
		{ "short", VFIO_USER_REGION_READ, short_payload, -EPROTO, "REGION_READ" },
		{ "asks", VFIO_USER_REGION_READ, server_asks_first, 0, "" },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vferry_error err;
		struct server server;
		struct vf_bus *bus;
		uint32_t id = 0;

		server_init(&server);
		server.spoil_command = cases[i].command;
		server.spoil = cases[i].spoil;
		server_start(&server);
		assert_int_equal(open_bus(&server, &bus, 0, &err), 0);
		assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 0, &id, 4, &err),
				 cases[i].error);
		has(&err, cases[i].words);
		/* The place in the conversation is not lost. */
		server.spoil_command = 0;
		assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 0, &id, 4, &err), 0);
		assert_int_equal(id, 0x10421af4);
		vf_bus_close(bus);
		server_stop(&server);
	}
}

static void a_late_answer_is_passed_over(void **state)
{
	struct vferry_error err;
	struct server server;
	struct vf_bus *bus;
	uint32_t id = 0;

	server_init(&server);
	server.spoil_command = VFIO_USER_REGION_READ;
	server.spoil = silent;
	server_start(&server);
	assert_int_equal(open_bus(&server, &bus, 2000000000ULL, &err), 0);
	assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 0, &id, 4, &err), -ETIMEDOUT);
	server.spoil_command = 0;
	assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 0, &id, 4, &err), 0);
	assert_int_equal(id, 0x10421af4);
	vf_bus_close(bus);
	server_stop(&server);
}

static void the_server_goes(void **state)
{
	struct vferry_error err;
	struct server server;
	struct vf_bus *bus;
	uint32_t id = 0;

	server_init(&server);
	server.spoil_command = VFIO_USER_REGION_READ;
	server.spoil = hang_up;
	server_start(&server);
	assert_int_equal(open_bus(&server, &bus, 0, &err), 0);
	assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 0, &id, 4, &err), -ENODEV);
	assert_true(vf_bus_gone(bus));
	assert_int_equal(vf_bus_read(bus, VFIO_USER_CONFIG, 0, &id, 4, &err), -ENODEV);
	assert_int_equal(vf_bus_reset(bus, &err), -ENODEV);
	vf_bus_close(bus);
	server_stop(&server);
}

/* --- the virtio transport on top --- */

static void a_device_is_negotiated(void **state)
{
	uint64_t required = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_ADMIN_VQ;
	uint16_t first, count, max;
	struct virtio_pci_common_cfg *common;
	struct vferry_error err;
	struct vf_virtio dev;
	struct server server;
	unsigned int region;
	struct vf_bus *bus;
	uint64_t offset;

	server_init(&server);
	server_start(&server);
	common = (void *)server.bar;
	assert_int_equal(open_bus(&server, &bus, 0, &err), 0);
	assert_int_equal(vf_virtio_open(&dev, bus, &err), 0);
	assert_int_equal(server.config[4], 6);
	assert_int_equal(vf_virtio_begin(&dev, required, UINT64_MAX, UINT64_MAX, &err), 0);
	assert_int_equal(dev.features, server.features);
	assert_int_equal(vf_virtio_admin_queues(&dev, &first, &count, &err), 0);
	assert_int_equal(first, 1);
	assert_int_equal(count, 4);
	assert_int_equal(vf_virtio_queue_max(&dev, 1, &max, &err), 0);
	assert_int_equal(max, 64);
	assert_int_equal(vf_virtio_doorbell(&dev, 1, &region, &offset, &err), 0);
	assert_int_equal(offset, 4096);
	assert_int_equal(vf_virtio_ready(&dev, &err), 0);
	assert_int_equal(common->device_status, 15);
	common->queue_notify_off = htole16(1024);
	assert_int_equal(vf_virtio_doorbell(&dev, 1, &region, &offset, &err), -EPROTO);
	/* Admin queues that overlap the others, or the end of the numbers. */
	common->num_queues = htole16(2);
	dev.num_queues = 2;
	assert_int_equal(vf_virtio_admin_queues(&dev, &first, &count, &err), -EPROTO);
	memcpy(server.bar + VIRTIO_PCI_COMMON_ADM_Q_IDX, "\xff\xff\x02\x00", 4);
	assert_int_equal(vf_virtio_admin_queues(&dev, &first, &count, &err), -EPROTO);
	memcpy(server.bar + VIRTIO_PCI_COMMON_ADM_Q_IDX, "\xff\xff\x01\x00", 4);
	assert_int_equal(vf_virtio_admin_queues(&dev, &first, &count, &err), 0);
	memcpy(server.bar + VIRTIO_PCI_COMMON_ADM_Q_IDX, "\xff\xff\x00\x00", 4);
	assert_int_equal(vf_virtio_admin_queues(&dev, &first, &count, &err), -EOPNOTSUPP);
	server.features &= ~(1ULL << VIRTIO_F_ADMIN_VQ);
	assert_int_equal(vf_virtio_begin(&dev, required, 0, UINT64_MAX, &err), -EOPNOTSUPP);
	has(&err, "VIRTIO_F_ADMIN_VQ");
	server.features |= 1ULL << VIRTIO_F_ADMIN_VQ;
	server.refuse_features = true;
	assert_int_equal(vf_virtio_begin(&dev, required, 0, UINT64_MAX, &err), -EOPNOTSUPP);
	server.reset_hangs = true;
	assert_int_equal(vf_virtio_begin(&dev, required, 0, vf_now_ns() + 20000000, &err),
			 -ETIMEDOUT);
	vf_bus_close(bus);
	server_stop(&server);
}

static void capabilities_that_cannot_be(void **state)
{
	struct vferry_error err;
	struct vf_virtio dev;
	struct server server;
	struct vf_bus *bus;

	server_init(&server);
	server_start(&server);
	assert_int_equal(open_bus(&server, &bus, 0, &err), 0);
	server_cap(&server, 0x40, 0x50, VIRTIO_PCI_CAP_COMMON_CFG, SERVER_BAR - 8, 64);
	assert_int_equal(vf_virtio_open(&dev, bus, &err), -EPROTO);
	server_cap(&server, 0x40, 0x50, VIRTIO_PCI_CAP_COMMON_CFG, 0xfffffff0, 64);
	assert_int_equal(vf_virtio_open(&dev, bus, &err), -EPROTO);
	server_cap(&server, 0x40, 0x50, VIRTIO_PCI_CAP_COMMON_CFG, 0, 20);
	assert_int_equal(vf_virtio_open(&dev, bus, &err), -EOPNOTSUPP);
	server_cap(&server, 0x40, 0x50, VIRTIO_PCI_CAP_COMMON_CFG, 0, 64);
	server.config[0x52] = 8;
	assert_int_equal(vf_virtio_open(&dev, bus, &err), -EPROTO);
	server.config[0x52] = 20;
	/* A list in a circle ends. */
	server.config[0x81] = 0x40;
	assert_int_equal(vf_virtio_open(&dev, bus, &err), 0);
	server.config[0x81] = 0xfc;
	memcpy(server.config + 0xfc, "\x09\x00\x10\x01", 4);
	assert_int_equal(vf_virtio_open(&dev, bus, &err), -EPROTO);
	server.config[0x81] = 0;
	server.config[0] = 0x86;
	assert_int_equal(vf_virtio_open(&dev, bus, &err), -EOPNOTSUPP);
	has(&err, "not a virtio device");
	vf_bus_close(bus);
	server_stop(&server);
}

static void vfs_are_enabled_in_configuration_space(void **state)
{
	uint16_t total, enabled;
	struct vferry_error err;
	struct server server;
	struct vf_bus *bus;

	server_init(&server);
	/* AER at 0x100, SR-IOV at 0x140: 8 VFs */
	memcpy(server.config + 0x100, "\x01\x00\x02\x14", 4);
	memcpy(server.config + 0x140, "\x10\x00\x01\x00", 4);
	server.config[0x14e] = 8;
	server_start(&server);
	assert_int_equal(open_bus(&server, &bus, 0, &err), 0);
	assert_int_equal(vf_sriov_get(bus, &total, &enabled, &err), 0);
	assert_int_equal(total, 8);
	assert_int_equal(enabled, 0);
	assert_int_equal(vf_sriov_set(bus, 9, &err), -EINVAL);
	assert_int_equal(vf_sriov_set(bus, 5, &err), 0);
	assert_int_equal(server.config[0x150], 5);
	assert_int_equal(server.config[0x148], 9);
	assert_int_equal(vf_sriov_set(bus, 3, &err), 0);
	assert_int_equal(server.config[0x150], 3);
	assert_int_equal(vf_sriov_set(bus, 0, &err), 0);
	assert_int_equal(server.config[0x148], 0);
	/* A list in a circle ends, without the capability. */
	memcpy(server.config + 0x140, "\x0b\x00\x01\x10", 4);
	assert_int_equal(vf_sriov_get(bus, &total, &enabled, &err), -EOPNOTSUPP);
	memset(server.config + 0x100, 0xff, 4);
	assert_int_equal(vf_sriov_set(bus, 1, &err), -EOPNOTSUPP);
	vf_bus_close(bus);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_good_server),
		cmocka_unit_test(doorbells_by_memory_and_by_eventfd),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(wrong_answers_at_the_opening),
		cmocka_unit_test(wrong_answers_to_accesses),
		cmocka_unit_test(a_late_answer_is_passed_over),
		cmocka_unit_test(the_server_goes),
		cmocka_unit_test(a_device_is_negotiated),
		cmocka_unit_test(capabilities_that_cannot_be),
		cmocka_unit_test(vfs_are_enabled_in_configuration_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
