/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A vfio-user server of a few lines in a thread: a virtio PCI function whose registers hold what is written to them. It answers
 * correctly, until a test spoils one answer.
 */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vferry/vfio_user.h>
#include <vferry/virtio.h>

#define SERVER_BAR 8192

struct reply {
	struct vfio_user_hdr header;
	unsigned char payload[70000];
	uint32_t bytes; /* of payload */
	int fds[64];
	unsigned int fds_count; /* sent, then closed */
	bool silent;		/* say nothing */
	bool hang_up;		/* close instead */
	uint32_t send_only;	/* this many bytes, then hang up; 0: all */
	unsigned int times;	/* send it so often; 0: once */
};

struct server {
	char folder[64], path[128];
	int listener;
	pthread_t thread;
	uint16_t spoil_command; /* whose answer @spoil changes */
	unsigned int spoil_after;
	void (*spoil)(struct server *server, struct reply *reply, const unsigned char *request,
		      uint32_t bytes);
	const char *json;
	unsigned char config[4096], bar[SERVER_BAR];
	uint64_t features;
	bool refuse_features, reset_hangs;
	int bar_fd;  /* offered for mmap, -1 not */
	int ioevent; /* offered as the doorbell at 4096, -1 not */
	unsigned int vectors;
	/* seen */
	uint64_t map_iova, map_size, map_fd_size;
	unsigned int maps, unmaps, resets, irqs_calls, fds_seen;
	int irqs[64];
	uint16_t doorbell;
	/* the first memory that was mapped for DMA */
	unsigned char *dma;
	uint64_t dma_iova, dma_bytes;
};

static bool server_get(int fd, void *to, size_t bytes, int *fds, unsigned int *fds_count)
{
	while (bytes) {
		char control[CMSG_SPACE(sizeof(int) * 64)];
		struct iovec iov = { to, bytes };
		struct msghdr message = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
		struct cmsghdr *cmsg = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;

		if (got <= 0)
			return false;
		if (cmsg) {
			unsigned int count = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / 4);

			memcpy(fds + *fds_count, CMSG_DATA(cmsg), count * 4);
			*fds_count += count;
		}
		to = (char *)to + got;
		bytes -= (size_t)got;
	}
	return true;
}

static bool server_put(int fd, struct reply *reply)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] = { 0 };
	uint32_t total = 16 + reply->bytes;
	struct iovec iov[2] = { { &reply->header, 16 }, { reply->payload, reply->bytes } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t sent;

	if (reply->send_only) {
		iov[0].iov_len = reply->send_only < 16 ? reply->send_only : 16;
		iov[1].iov_len = reply->send_only < 16 ? 0 : reply->send_only - 16;
		total = reply->send_only;
	}
	if (reply->fds_count) {
		struct cmsghdr *cmsg;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * reply->fds_count);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * reply->fds_count);
		memcpy(CMSG_DATA(cmsg), reply->fds, sizeof(int) * reply->fds_count);
	}
	sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	return sent == (ssize_t)total && !reply->send_only;
}

static void server_registers(struct server *server)
{
	struct virtio_pci_common_cfg *common = (void *)server->bar;

	common->device_feature =
		htole32((uint32_t)(server->features >> 32 * (common->device_feature_select & 1)));
	if (server->refuse_features)
		common->device_status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (server->reset_hangs && !common->device_status)
		common->device_status = 0x40;
}

static void server_access(struct server *server, bool write, const unsigned char *request,
			  struct reply *reply)
{
	struct vfio_user_region_access access;
	unsigned char *memory = server->config;
	uint64_t size = sizeof(server->config);

	memcpy(&access, request, sizeof(access));
	if (le32toh(access.region) == VFIO_USER_BAR0) {
		memory = server->bar;
		size = SERVER_BAR;
	}
	if (le64toh(access.offset) + le32toh(access.count) > size)
		abort();
	memcpy(reply->payload, &access, sizeof(access));
	reply->bytes = sizeof(access);
	memory += le64toh(access.offset);
	if (write) {
		memcpy(memory, request + sizeof(access), le32toh(access.count));
		if (le32toh(access.region) == VFIO_USER_BAR0) {
			if (le64toh(access.offset) == 4096)
				memcpy(&server->doorbell, memory, 2);
			server_registers(server);
		}
		return;
	}
	memcpy(reply->payload + sizeof(access), memory, le32toh(access.count));
	reply->bytes += le32toh(access.count);
}

static void server_region_info(struct server *server, const unsigned char *request,
			       struct reply *reply)
{
	struct vfio_user_region_info info;
	uint32_t index;

	memcpy(&info, request, sizeof(info));
	index = le32toh(info.index);
	info.flags = htole32(VFIO_USER_REGION_F_READ | VFIO_USER_REGION_F_WRITE);
	if (index == VFIO_USER_BAR0)
		info.size = htole64(SERVER_BAR);
	else if (index == VFIO_USER_CONFIG)
		info.size = htole64(4096);
	if (index == VFIO_USER_BAR0 && server->bar_fd >= 0) {
		struct vfio_user_sparse_mmap sparse = {
			.header = { .id = htole16(VFIO_USER_CAP_SPARSE_MMAP),
				    .version = htole16(1) },
			.nr_areas = htole32(1),
		};
		struct vfio_user_sparse_area area = { htole64(4096), htole64(4096) };

		info.flags |= htole32(VFIO_USER_REGION_F_MMAP | VFIO_USER_REGION_F_CAPS);
		info.cap_offset = htole32(sizeof(info));
		memcpy(reply->payload + sizeof(info), &sparse, sizeof(sparse));
		memcpy(reply->payload + sizeof(info) + sizeof(sparse), &area, sizeof(area));
		reply->bytes = sizeof(sparse) + sizeof(area);
		reply->fds[reply->fds_count++] = fcntl(server->bar_fd, F_DUPFD_CLOEXEC, 0);
	}
	reply->bytes += sizeof(info);
	info.argsz = htole32(reply->bytes);
	memcpy(reply->payload, &info, sizeof(info));
}

static void server_io_fds(struct server *server, const unsigned char *request, struct reply *reply)
{
	struct vfio_user_region_io_fds head;
	struct vfio_user_ioeventfd one = { .offset = htole64(4096), .size = htole64(2) };

	memcpy(&head, request, sizeof(head));
	head.count = htole32(server->ioevent >= 0);
	memcpy(reply->payload, &head, sizeof(head));
	memcpy(reply->payload + sizeof(head), &one, sizeof(one));
	reply->bytes = sizeof(head) + (server->ioevent >= 0 ? sizeof(one) : 0);
	if (server->ioevent >= 0)
		reply->fds[reply->fds_count++] = fcntl(server->ioevent, F_DUPFD_CLOEXEC, 0);
}

static void server_answer(struct server *server, uint16_t command, const unsigned char *request,
			  const int *fds, unsigned int fds_count, struct reply *reply)
{
	struct vfio_user_device_info info = { .argsz = htole32(sizeof(info)) };
	struct vfio_user_irq_info irqs;
	struct vfio_user_set_irqs set;
	struct vfio_user_dma_map map;

	switch (command) {
	case VFIO_USER_VERSION:
		memset(reply->payload, 0, 4);
		strcpy((char *)reply->payload + 4, server->json);
		reply->bytes = 4 + (uint32_t)strlen(server->json) + 1;
		break;
	case VFIO_USER_DEVICE_GET_INFO:
		info.flags = htole32(VFIO_USER_DEVICE_F_PCI | VFIO_USER_DEVICE_F_RESET);
		info.num_regions = htole32(VFIO_USER_REGIONS);
		info.num_irqs = htole32(VFIO_USER_IRQS);
		memcpy(reply->payload, &info, sizeof(info));
		reply->bytes = sizeof(info);
		break;
	case VFIO_USER_DEVICE_GET_REGION_INFO:
		server_region_info(server, request, reply);
		break;
	case VFIO_USER_DEVICE_GET_REGION_IO_FDS:
		server_io_fds(server, request, reply);
		break;
	case VFIO_USER_DEVICE_GET_IRQ_INFO:
		memcpy(&irqs, request, sizeof(irqs));
		irqs.flags = htole32(VFIO_USER_IRQ_F_EVENTFD);
		irqs.count = htole32(server->vectors);
		memcpy(reply->payload, &irqs, sizeof(irqs));
		reply->bytes = sizeof(irqs);
		break;
	case VFIO_USER_DEVICE_SET_IRQS:
		memcpy(&set, request, sizeof(set));
		server->irqs_calls++;
		for (unsigned int i = 0; i < fds_count; i++)
			server->irqs[le32toh(set.start) + i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		break;
	case VFIO_USER_REGION_READ:
	case VFIO_USER_REGION_WRITE:
		server_access(server, command == VFIO_USER_REGION_WRITE, request, reply);
		break;
	case VFIO_USER_DMA_MAP:
		memcpy(&map, request, sizeof(map));
		server->maps++;
		server->map_iova = le64toh(map.address);
		server->map_size = le64toh(map.size);
		if (fds_count && !server->dma) {
			server->dma = mmap(NULL, server->map_size, PROT_READ | PROT_WRITE,
					   MAP_SHARED, fds[0], 0);
			server->dma_iova = server->map_iova;
			server->dma_bytes = server->map_size;
		}
		server->map_fd_size = fds_count ? (uint64_t)lseek(fds[0], 0, SEEK_END) : 0;
		break;
	case VFIO_USER_DMA_UNMAP:
		server->unmaps++;
		memcpy(reply->payload, request, sizeof(struct vfio_user_dma_unmap));
		reply->bytes = sizeof(struct vfio_user_dma_unmap);
		break;
	case VFIO_USER_DEVICE_RESET:
		server->resets++;
		break;
	}
}

static bool server_serve(struct server *server, int fd)
{
	static __thread unsigned char request[1 << 16];
	static __thread struct reply reply;
	struct vfio_user_hdr header;
	int fds[64];
	unsigned int fds_count = 0;
	uint32_t bytes;
	bool go_on = true;

	if (!server_get(fd, &header, sizeof(header), fds, &fds_count))
		return false;
	bytes = le32toh(header.size) - (uint32_t)sizeof(header);
	if (bytes > sizeof(request) || !server_get(fd, request, bytes, fds, &fds_count))
		return false;
	server->fds_seen += fds_count;
	memset(&reply, 0, sizeof(reply));
	reply.header = header;
	reply.header.flags = htole32(VFIO_USER_F_REPLY);
	server_answer(server, le16toh(header.command), request, fds, fds_count, &reply);
	reply.header.size = htole32(16 + reply.bytes);
	if (server->spoil && le16toh(header.command) == server->spoil_command &&
	    !server->spoil_after)
		server->spoil(server, &reply, request, bytes);
	else if (server->spoil && le16toh(header.command) == server->spoil_command)
		server->spoil_after--;
	for (unsigned int i = 0; go_on && !reply.silent && i < (reply.times ? reply.times : 1); i++)
		go_on = !reply.hang_up && server_put(fd, &reply);
	for (unsigned int i = 0; i < reply.fds_count; i++)
		close(reply.fds[i]);
	while (fds_count)
		close(fds[--fds_count]);
	return go_on;
}

static void *server_main(void *arg)
{
	struct server *server = arg;
	int fd;

	while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		while (server_serve(server, fd))
			;
		close(fd);
	}
	return NULL;
}

static void server_cap(struct server *server, uint8_t at, uint8_t next, uint8_t type,
		       uint32_t offset, uint32_t length)
{
	struct virtio_pci_notify_cap cap = {
		.cap = {
			.cap_vndr = 9,
			.cap_next = next,
			.cap_len = type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 20 : 16,
			.cfg_type = type,
			.offset = htole32(offset),
			.length = htole32(length),
		},
		.notify_off_multiplier = htole32(4),
	};

	memcpy(server->config + at, &cap, cap.cap.cap_len);
}

static void server_init(struct server *server)
{
	struct virtio_pci_common_cfg *common;

	memset(server, 0, sizeof(*server));
	server->bar_fd = server->ioevent = -1;
	server->vectors = 33;
	server->json = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}";
	memcpy(server->config, "\xf4\x1a\x42\x10", 4);
	server->config[0x34] = 0x40;
	server_cap(server, 0x40, 0x50, VIRTIO_PCI_CAP_COMMON_CFG, 0, 64);
	server_cap(server, 0x50, 0x70, VIRTIO_PCI_CAP_NOTIFY_CFG, 4096, 4096);
	server_cap(server, 0x70, 0x80, VIRTIO_PCI_CAP_DEVICE_CFG, 256, 64);
	memcpy(server->config + 0x80, "\x11\x00\x20\x00", 4);
	common = (void *)server->bar;
	common->num_queues = htole16(1);
	common->queue_size = htole16(64);
	memcpy(server->bar + VIRTIO_PCI_COMMON_ADM_Q_IDX, "\x01\x00\x04\x00", 4);
	server->features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_F_ADMIN_VQ |
			   1ULL << VIRTIO_F_RING_RESET;
}

static void server_start(struct server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(server->folder, "/tmp/vferry-unit-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->path, sizeof(server->path), "vfio-user:%s/pf.sock", server->folder);
	strcpy(address.sun_path, server->path + 10);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listener, 4), 0);
	server_registers(server);
	assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

static void server_stop(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	unlink(server->path + 10);
	rmdir(server->folder);
	if (server->dma)
		munmap(server->dma, server->dma_bytes);
	for (unsigned int i = 0; i < 64; i++) {
		if (server->irqs[i])
			close(server->irqs[i]);
	}
}

#endif
