// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A hostile driver: the bytes are the guest's memory, with two rings in its first pages, and the requests that lie
 * in them are served. First byte: features and queue size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tools/owner/device.h"

#define GUEST 32768

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int disk(void *arg, unsigned int vf, struct vferry_error *err)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, 65536))
		abort();
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct owner owner;
	static uint8_t *mem;
	static int guest;
	struct function *vf;

	if (!owner.ring) {
		owner.opts = (struct owner_opts){
			.vfs = 1, .vfs_enabled = true, .blk_queues = 2, .admin_queues = 1
		};
		guest = memfd_create("guest", MFD_CLOEXEC);
		if (device_new(&owner, disk, NULL, NULL) || guest < 0 || ftruncate(guest, GUEST))
			abort();
		mem = mmap(NULL, GUEST, PROT_READ | PROT_WRITE, MAP_SHARED, guest, 0);
		/* The second half of it page by page, backwards. */
		dma_map(&owner.vfs[1].io->dma, 0, GUEST / 2, 0, 3, guest, NULL);
		for (unsigned int at = 0; at < GUEST / 2; at += 4096)
			dma_map(&owner.vfs[1].io->dma, GUEST / 2 + at, 4096, GUEST - 4096 - at, 3,
				guest, NULL);
	}
	if (size < 1)
		return 0;
	vf = &owner.vfs[1];
	fn_reset(vf);
	memset(mem, 0, GUEST);
	memcpy(mem, data + 1, size - 1 < GUEST ? size - 1 : GUEST);
	vf->driver_features = FN_FEATURES_REQUIRED |
			      (uint64_t)(data[0] & 1) << VIRTIO_RING_F_INDIRECT_DESC |
			      (uint64_t)(data[0] >> 1 & 1) << VIRTIO_RING_F_EVENT_IDX;
	vf->device_status = 15;
	for (unsigned int q = 0; q < 2; q++) {
		vf->queues[q].size = (uint16_t)(4 << (data[0] >> 2 & 3));
		vf->queues[q].desc = q * 1024;
		vf->queues[q].driver = q * 1024 + 512;
		vf->queues[q].device = q * 1024 + 640;
		vf->queues[q].enabled = 1;
	}
	for (unsigned int i = 0; i < 4; i++)
		fn_kick(vf, i % 2);
	while (vf->io->inflight)
		vf_ring_turn(owner.ring, UINT64_MAX);
	vf_ring_turn(owner.ring, 0);
	return 0;
}
