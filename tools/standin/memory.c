// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tools/standin/memory.h"

#define PAGE	   4096ULL
#define GUEST_BASE 0x40000000ULL

int memory_new(struct memory *memory, uint64_t bytes)
{
	int error;

	*memory = (struct memory){ .fd = -1, .iova = GUEST_BASE };
	memory->bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
	memory->fd = memfd_create("vferry-standin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory->fd < 0)
		return -errno;
	if (ftruncate(memory->fd, (off_t)memory->bytes) ||
	    fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto fail;
	memory->base = mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	if (memory->base == MAP_FAILED) {
		memory->base = NULL;
		goto fail;
	}
	return 0;
fail:
	error = -errno;
	close(memory->fd);
	memory->fd = -1;
	return error;
}

void memory_free(struct memory *memory)
{
	if (memory->base)
		munmap(memory->base, memory->bytes);
	if (memory->fd >= 0)
		close(memory->fd);
	memory->base = NULL;
	memory->fd = -1;
}

void *memory_take(struct memory *memory, uint64_t bytes, uint64_t *iova)
{
	void *at;

	bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
	if (bytes > memory->bytes - memory->taken)
		return NULL;
	at = memory->base + memory->taken;
	*iova = memory->iova + memory->taken;
	memory->taken += bytes;
	return at;
}
