// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "bus/vfio_region.h"

#define INFO_MAX 65536

static void add_area(struct vf_vfio_region *region, uint64_t offset, uint64_t size)
{
	if (!size || offset > region->size || size > region->size - offset ||
	    region->areas_count == VF_VFIO_AREAS)
		return;
	region->areas[region->areas_count].offset = offset;
	region->areas[region->areas_count].size = size;
	region->areas_count++;
}

static void sparse(struct vf_vfio_region *region, const char *info, size_t bytes, size_t at)
{
	struct vfio_region_info_cap_sparse_mmap head;

	if (bytes - at < sizeof(head))
		return;
	memcpy(&head, info + at, sizeof(head));
	at += sizeof(head);
	for (unsigned int i = 0; i < head.nr_areas && i < VF_VFIO_AREAS; i++) {
		struct vfio_region_sparse_mmap_area area;

		if (bytes - at < sizeof(area))
			return;
		memcpy(&area, info + at, sizeof(area));
		add_area(region, area.offset, area.size);
		at += sizeof(area);
	}
}

void vf_vfio_region_areas(struct vf_vfio_region *region, const void *answer, size_t bytes)
{
	struct vfio_region_info info;
	const char *base = answer;
	size_t at;

	region->areas_count = 0;
	if (bytes < sizeof(info))
		return;
	memcpy(&info, answer, sizeof(info));
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return;
	at = info.flags & VFIO_REGION_INFO_FLAG_CAPS ? info.cap_offset : 0;
	/* More capabilities than this are a circle. */
	for (unsigned int i = 0; i < 16 && at; i++) {
		struct vfio_info_cap_header head;

		if (at < sizeof(info) || at > bytes || bytes - at < sizeof(head))
			return;
		memcpy(&head, base + at, sizeof(head));
		if (head.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
			sparse(region, base, bytes, at);
			return;
		}
		at = head.next;
	}
	add_area(region, 0, region->size);
}

int vf_vfio_region_load(struct vf_vfio_region *region, int device, unsigned int index)
{
	struct vfio_region_info first = { .argsz = sizeof(first), .index = index }, *info = &first;
	size_t bytes;
	int ret = 0;

	*region = (struct vf_vfio_region){ 0 };
	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &first))
		/* A device has no legacy VGA region, say. */
		return errno == EINVAL ? 0 : -errno;
	bytes = first.argsz;
	if (bytes > sizeof(first) && bytes <= INFO_MAX) {
		info = calloc(1, bytes);
		if (!info)
			return -ENOMEM;
		info->argsz = (uint32_t)bytes;
		info->index = index;
		if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info))
			ret = -errno;
	} else {
		bytes = sizeof(first);
	}
	if (!ret) {
		region->size = info->size;
		region->offset = info->offset;
		region->flags = info->flags;
		vf_vfio_region_areas(region, info, bytes);
	}
	if (info != &first)
		free(info);
	return ret;
}

int vf_vfio_region_map(const struct vf_vfio_region *region, int device, uint64_t offset,
		       uint64_t size, void **memory)
{
	for (unsigned int i = 0; i < region->areas_count; i++) {
		uint64_t begin = region->areas[i].offset, length = region->areas[i].size;
		void *where;

		if (offset < begin || offset - begin > length || size > length - (offset - begin))
			continue;
		where = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
			     (off_t)(region->offset + offset));
		if (where == MAP_FAILED)
			return -errno;
		madvise(where, size, MADV_DONTFORK);
		*memory = where;
		return 0;
	}
	return -EOPNOTSUPP;
}
