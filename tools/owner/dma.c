// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dma.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guard.h"

/* First range that ends beyond @iova. */
static unsigned int find(const struct dma *dma, uint64_t iova)
{
	unsigned int low = 0, high = dma->count;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;
		const struct dma_range *range = &dma->ranges[middle];

		if (range->iova + (range->size - 1) < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void object_unmap(struct dma *dma, struct dma_object *object)
{
	dma->mapped -= object->size;
	dma->object_count--;
	guard_remove(object->guard);
	munmap(object->base, object->size);
	if (object->fd >= 0)
		close(object->fd);
	free(object);
}

static int object_new(struct dma *dma, int fd, const struct stat *st, int prot,
		      struct dma_object **out, struct vferry_error *err)
{
	uint64_t size = (uint64_t)st->st_size;
	struct dma_object *object;
	void *base;

	if (dma->object_count >= DMA_OBJECTS_MAX)
		return vferry_fail(err, -ENOSPC, "more than %u memory objects", DMA_OBJECTS_MAX);
	if (size > DMA_MAPPED_MAX - dma->mapped)
		return vferry_fail(err, -ENOSPC,
				   "memory object of %llu bytes: a client may map %llu in all",
				   (unsigned long long)size, (unsigned long long)DMA_MAPPED_MAX);
	object = calloc(1, sizeof(*object));
	if (!object)
		return vferry_fail(err, -ENOMEM, "no memory");
	base = mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED) {
		int ret = -errno;

		free(object);
		return vferry_fail(err, ret, "cannot map a memory object of %llu bytes: %s",
				   (unsigned long long)size, strerror(-ret));
	}
	object->guard = guard_add(base, size);
	if (object->guard < 0) {
		munmap(base, size);
		free(object);
		return vferry_fail(err, -ENOSPC, "too many memory objects in this process");
	}
	/* A child of this process must not keep a guest's memory. */
	madvise(base, size, MADV_DONTFORK);
	object->fd = dma->keep_fds ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	object->dev = st->st_dev;
	object->ino = st->st_ino;
	object->prot = prot;
	object->base = base;
	object->size = size;
	object->next = dma->objects;
	dma->objects = object;
	dma->object_count++;
	dma->mapped += size;
	*out = object;
	return 0;
}

static int object_get(struct dma *dma, int fd, uint64_t end, uint32_t flags,
		      struct dma_object **out, struct vferry_error *err)
{
	int prot = PROT_READ | (flags & VFIO_USER_DMA_F_WRITE ? PROT_WRITE : 0);
	struct stat st;

	/* Seals exist on shmem and hugetlbfs only, and asking for them cannot block. */
	if (fcntl(fd, F_GET_SEALS) < 0)
		return vferry_fail(err, -EINVAL,
				   "this descriptor is not shared memory: memfd, /dev/shm or "
				   "hugetlbfs is needed");
	if (fstat(fd, &st))
		return vferry_fail(err, -errno, "fstat: %s", strerror(errno));
	if (st.st_size <= 0 || end > (uint64_t)st.st_size)
		return vferry_fail(err, -EINVAL,
				   "the range ends at %llu, the memory object at %lld",
				   (unsigned long long)end, (long long)st.st_size);
	for (struct dma_object *object = dma->objects; object; object = object->next) {
		if (object->dev != st.st_dev || object->ino != st.st_ino || object->prot != prot ||
		    object->size < end)
			continue;
		*out = object;
		return 0;
	}
	return object_new(dma, fd, &st, prot, out, err);
}

int dma_map(struct dma *dma, uint64_t iova, uint64_t size, uint64_t offset, uint32_t flags, int fd,
	    struct vferry_error *err)
{
	struct dma_object *object = NULL;
	unsigned int at;
	int ret;

	if (!size || iova + (size - 1) < iova || offset + size < offset)
		return vferry_fail(err, -EINVAL, "range 0x%llx+0x%llx at offset 0x%llx",
				   (unsigned long long)iova, (unsigned long long)size,
				   (unsigned long long)offset);
	if ((iova | size | offset) & (DMA_PAGE - 1))
		return vferry_fail(err, -EINVAL, "range 0x%llx+0x%llx is not made of 4 KiB pages",
				   (unsigned long long)iova, (unsigned long long)size);
	if (!flags || flags & ~(VFIO_USER_DMA_F_READ | VFIO_USER_DMA_F_WRITE))
		return vferry_fail(err, -EINVAL, "flags 0x%x", flags);
	at = find(dma, iova);
	if (at < dma->count && dma->ranges[at].iova <= iova + (size - 1))
		return vferry_fail(err, -EEXIST, "range 0x%llx+0x%llx overlaps 0x%llx+0x%llx",
				   (unsigned long long)iova, (unsigned long long)size,
				   (unsigned long long)dma->ranges[at].iova,
				   (unsigned long long)dma->ranges[at].size);
	if (dma->count >= DMA_RANGES_MAX)
		return vferry_fail(err, -ENOSPC, "more than %u ranges", DMA_RANGES_MAX);
	if (dma->count == dma->room) {
		unsigned int room = dma->room ? dma->room * 2 : 16;
		struct dma_range *ranges = realloc(dma->ranges, room * sizeof(*ranges));

		if (!ranges)
			return vferry_fail(err, -ENOMEM, "no memory");
		dma->ranges = ranges;
		dma->room = room;
	}
	if (fd >= 0) {
		ret = object_get(dma, fd, offset + size, flags, &object, err);
		if (ret)
			return ret;
		object->ranges++;
	}
	memmove(&dma->ranges[at + 1], &dma->ranges[at], (dma->count - at) * sizeof(*dma->ranges));
	dma->ranges[at] = (struct dma_range){
		.iova = iova,
		.size = size,
		.host = object ? object->base + offset : NULL,
		.flags = flags,
		.object = object,
	};
	dma->count++;
	dma->generation++;
	return 0;
}

static void range_drop(struct dma *dma, struct dma_range *range)
{
	struct dma_object *object = range->object;
	struct dma_object **link = &dma->objects;

	if (!object || --object->ranges)
		return;
	while (*link != object)
		link = &(*link)->next;
	*link = object->next;
	object->next = dma->retired;
	dma->retired = object;
}

int dma_unmap(struct dma *dma, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1);
	unsigned int from, to;

	if (!size || last < iova)
		return -EINVAL;
	from = find(dma, iova);
	for (to = from; to < dma->count && dma->ranges[to].iova <= last; to++) {
		const struct dma_range *range = &dma->ranges[to];

		if (range->iova < iova || range->iova + (range->size - 1) > last)
			return -EINVAL;
	}
	if (from == to)
		return 0;
	for (unsigned int i = from; i < to; i++)
		range_drop(dma, &dma->ranges[i]);
	memmove(&dma->ranges[from], &dma->ranges[to], (dma->count - to) * sizeof(*dma->ranges));
	dma->count -= to - from;
	dma->generation++;
	return 0;
}

void dma_unmap_all(struct dma *dma)
{
	for (unsigned int i = 0; i < dma->count; i++)
		range_drop(dma, &dma->ranges[i]);
	dma->count = 0;
	dma->generation++;
}

void dma_reap(struct dma *dma)
{
	while (dma->retired) {
		struct dma_object *object = dma->retired;

		dma->retired = object->next;
		object_unmap(dma, object);
	}
}

void dma_free(struct dma *dma)
{
	dma_unmap_all(dma);
	dma_reap(dma);
	free(dma->ranges);
	*dma = (struct dma){ 0 };
}

int dma_translate(const struct dma *dma, uint64_t iova, uint64_t length, uint32_t flags,
		  struct iovec *out, unsigned int room)
{
	unsigned int at, pieces = 0;

	if (!length)
		return 0;
	if (iova + (length - 1) < iova)
		return -EFAULT;
	for (at = find(dma, iova); length; at++) {
		const struct dma_range *range;
		uint64_t skip, part;

		if (at == dma->count) /* without any, there is no table either */
			return -EFAULT;
		range = &dma->ranges[at];
		if (range->iova > iova || !range->host || (range->flags & flags) != flags)
			return -EFAULT;
		skip = iova - range->iova;
		part = range->size - skip < length ? range->size - skip : length;
		if (pieces && (uint8_t *)out[pieces - 1].iov_base + out[pieces - 1].iov_len ==
				      range->host + skip) {
			out[pieces - 1].iov_len += part;
		} else {
			if (pieces == room)
				return -E2BIG;
			out[pieces++] = (struct iovec){ range->host + skip, part };
		}
		iova += part;
		length -= part;
	}
	return (int)pieces;
}

bool dma_broken(const struct dma *dma)
{
	for (const struct dma_object *object = dma->objects; object; object = object->next)
		if (guard_broken(object->guard))
			return true;
	return false;
}
