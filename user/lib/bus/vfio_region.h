/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A region of a VFIO device, and the parts of it that may be mapped. */
#ifndef VF_VFIO_REGION_H
#define VF_VFIO_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VF_VFIO_AREAS 16

struct vf_vfio_region {
	uint64_t size, offset; /* offset: on the device's descriptor */
	uint32_t flags;
	unsigned int areas_count;
	struct {
		uint64_t offset, size;
	} areas[VF_VFIO_AREAS]; /* that may be mapped */
};

/** vf_vfio_region_load() - ask the kernel. A region that the device does not have gets size 0. */
int vf_vfio_region_load(struct vf_vfio_region *region, int device, unsigned int index);
/** vf_vfio_region_areas() - the mappable areas out of the kernel's answer of @bytes bytes, each offset in it checked. */
void vf_vfio_region_areas(struct vf_vfio_region *region, const void *info, size_t bytes);
/** vf_vfio_region_map() - -EOPNOTSUPP: no mappable area holds all of that. The mapping is not inherited by children. */
int vf_vfio_region_map(const struct vf_vfio_region *region, int device, uint64_t offset,
		       uint64_t size, void **memory);

#endif
