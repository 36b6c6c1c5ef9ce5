// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A hostile vfio-user client: bytes become a stream of messages for VF 1 and the PF, without sockets. The
 * descriptors beside a message are memfds, eventfds and what is neither; doorbells really ring, rings are really
 * served from memory that the bytes have filled.
 *
 *   message := u8 kind (bit 0: to the PF; bits 1-3: descriptors), u8 command, le16 length, body
 *   command 200: body goes into the guest's memory at le32; 201: turn the ring; 202: the next byte is VF 1's mode
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tools/owner/device.h"
#include "tools/owner/guard.h"
#include "tools/owner/server.h"

#define GUEST 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct owner owner;
	int guest;
	uint8_t *mem;
	struct reply reply;
};

static int disk(void *arg, unsigned int vf, struct vferry_error *err)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, 65536))
		abort();
	return fd;
}

static void settle(struct run *run)
{
	while (run->owner.pf.io->inflight || run->owner.vfs[1].io->inflight)
		vf_ring_turn(run->owner.ring, UINT64_MAX);
	for (unsigned int i = 0; i < 4 && vf_ring_turn(run->owner.ring, 0) > 0; i++)
		;
}

static void deliver(struct run *run, uint8_t kind, uint8_t command, const uint8_t *body,
		    size_t count)
{
	struct function *fn = kind & 1 ? &run->owner.pf : &run->owner.vfs[1];
	int fds[VFIO_USER_MAX_FDS];
	unsigned int fd_count = kind >> 1 & 7;
	uint8_t *copy = malloc(count + !count); /* its exact size, for the sanitizer */
	struct version_caps caps;
	struct message message = {
		.command = command,
		.body = copy,
		.count = count,
		.fds = fds,
		.fd_count = fd_count,
		.max_fds = kind >> 4,
	};

	memcpy(copy, body, count);
	for (unsigned int i = 0; i < fd_count; i++)
		fds[i] = command == VFIO_USER_DEVICE_SET_IRQS
				 ? eventfd(0, kind & 0x80 ? EFD_NONBLOCK : 0)
				 : dup(run->guest);
	run->reply.count = run->reply.fd_count = 0;
	if (command == VFIO_USER_VERSION) {
		message_version(&message, &caps, &run->reply);
	} else {
		if (message_reach(fn, &message) != MESSAGE_PLAIN)
			settle(run);
		message_handle(fn, &message, &run->reply);
	}
	for (unsigned int i = 0; i < fd_count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(copy);
}

static void stopped(void *arg)
{
}

static void mode(struct run *run, uint8_t mode)
{
	struct function *vf = &run->owner.vfs[1];

	/* As the administration goes about it. */
	if (mode % 3 == VFERRY_MODE_ACTIVE) {
		vf->mode = VFERRY_MODE_ACTIVE;
		fn_resume(vf);
		return;
	}
	if (vf->mode == VFERRY_MODE_ACTIVE) {
		fn_stop(vf, stopped, NULL);
		settle(run);
	}
	if (mode % 3 == VFERRY_MODE_FREEZE)
		fn_freeze(vf);
	vf->mode = mode % 3;
}

static void start(struct run *run)
{
	run->owner.opts = (struct owner_opts){ .vfs = 1,
					       .vfs_enabled = true,
					       .vf_enable_sticky = true,
					       .blk_queues = 2,
					       .admin_queues = 2 };
	if (device_new(&run->owner, disk, NULL, NULL))
		abort();
	run->guest = memfd_create("guest", MFD_CLOEXEC);
	if (run->guest < 0 || ftruncate(run->guest, GUEST))
		abort();
	run->mem = mmap(NULL, GUEST, PROT_READ | PROT_WRITE, MAP_SHARED, run->guest, 0);
	if (run->mem == MAP_FAILED)
		abort();
	dma_map(&run->owner.vfs[1].io->dma, 0, GUEST, 0, 3, run->guest, NULL);
	dma_map(&run->owner.pf.io->dma, 0, GUEST, 0, 3, run->guest, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = { 0 };

	start(&run);
	while (size >= 4) {
		uint8_t kind = data[0], command = data[1];
		size_t count = (size_t)(data[2] | data[3] << 8);
		uint32_t at;

		data += 4;
		size -= 4;
		if (count > size)
			count = size;
		if (command == 200 && count > 4) {
			memcpy(&at, data, 4);
			at %= GUEST;
			memcpy(run.mem + at, data + 4,
			       count - 4 < GUEST - at ? count - 4 : GUEST - at);
		} else if (command == 201) {
			vf_ring_turn(run.owner.ring, 0);
		} else if (command == 202 && count) {
			mode(&run, data[0]);
		} else {
			deliver(&run, kind, command, data, count);
		}
		data += count;
		size -= count;
	}
	settle(&run);
	reply_free(&run.reply);
	device_free(&run.owner);
	munmap(run.mem, GUEST);
	close(run.guest);
	return 0;
}
