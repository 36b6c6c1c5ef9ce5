/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A client's memory: IOVA ranges over shared memory objects, each mapped once whatever the number of ranges. */
#ifndef OWNER_DMA_H
#define OWNER_DMA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <vferry/error.h>
#include <vferry/vfio_user.h>

#define DMA_PAGE	4096U
#define DMA_RANGES_MAX	65535U
#define DMA_OBJECTS_MAX 256U
#define DMA_MAPPED_MAX	(1ULL << 39) /* address space that one client may occupy here */

struct dma_object {
	struct dma_object *next;
	dev_t dev;
	ino_t ino;
	int prot;
	uint8_t *base;
	uint64_t size;
	uint32_t ranges;
	int guard; /* slot of the SIGBUS guard */
	int fd;	   /* of one's own with keep_fds, else -1 */
};

struct dma_range {
	uint64_t iova;
	uint64_t size;
	uint8_t *host; /* NULL: the client gave no descriptor, the device cannot reach it */
	uint32_t flags;
	struct dma_object *object;
};

struct dma {
	struct dma_range *ranges; /* sorted, disjoint */
	unsigned int count;
	unsigned int room;
	struct dma_object *objects;
	unsigned int object_count;
	struct dma_object *retired; /* without ranges; requests may still point into them */
	uint64_t mapped;
	bool keep_fds;	     /* so that another process can map the same */
	uint64_t generation; /* changes with each map and unmap; never 0 after the first */
};

/**
 * dma_map() - a DMA_MAP message
 * @fd: the memory, borrowed; -1: a range that the device cannot reach (vfio-user would use DMA_READ and
 *	DMA_WRITE messages, which this device does not)
 *
 * Only shmem, memfd and hugetlbfs: memory that can neither block a fault for ever nor change its size
 * without the SIGBUS guard catching it.
 *
 * Return: 0; -EINVAL; -EEXIST over an existing range; -ENOSPC beyond a limit; -errno of mmap.
 */
int dma_map(struct dma *dma, uint64_t iova, uint64_t size, uint64_t offset, uint32_t flags, int fd,
	    struct vferry_error *err);

/**
 * dma_unmap() - a DMA_UNMAP message
 *
 * As VFIO does, and as QEMU's IOMMUs rely on: every range inside goes, which may be none; -EINVAL and nothing is done
 * when one is only partly inside. Memory is retired with the last range of its object.
 */
int dma_unmap(struct dma *dma, uint64_t iova, uint64_t size);
void dma_unmap_all(struct dma *dma);
/** dma_reap() - unmap what is retired: no request is inside any more. */
void dma_reap(struct dma *dma);
void dma_free(struct dma *dma);

/**
 * dma_translate() - IOVA to host memory
 * @flags: VFIO_USER_DMA_F_READ: the device reads; VFIO_USER_DMA_F_WRITE: it writes
 * @out: room for @room pieces; neighbours are merged
 *
 * Return: number of pieces; -EFAULT for a byte that is not mapped so; -E2BIG for too many pieces.
 */
int dma_translate(const struct dma *dma, uint64_t iova, uint64_t length, uint32_t flags,
		  struct iovec *out, unsigned int room);

/** dma_broken() - a client truncated memory that it had lent: it is not to be trusted any more. */
bool dma_broken(const struct dma *dma);

#endif
