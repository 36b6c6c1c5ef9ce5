/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A container with one group and one device in it: the way to VFIO that each kernel since 3.6 has. */
#ifndef VF_VFIO_GROUP_H
#define VF_VFIO_GROUP_H

#include "bus/vfio_sysfs.h"

#define VF_VFIO_IOVA_RANGES 16

struct vf_vfio_group {
	int container, group, device;
	int iommufd;   /* in place of container and group (vfio_cdev.h); -1: those are there */
	uint32_t ioas; /* its address space */
	uint64_t page_sizes;	   /* a bit for each that the IOMMU maps */
	unsigned int ranges_count; /* 0: the kernel does not say */
	struct {
		uint64_t first, last;
	} ranges[VF_VFIO_IOVA_RANGES];
};

#define VF_VFIO_GROUP_NONE \
	((struct vf_vfio_group){ .container = -1, .group = -1, .device = -1, .iommufd = -1 })

/** vf_vfio_group_open() - @deadline_ns: how long a device that is still in use is waited for. On failure nothing stays open. */
int vf_vfio_group_open(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		       const char *token, uint64_t deadline_ns, struct vferry_error *err);
/** vf_vfio_group_resume() - the descriptors are there, open in another process before. They stay the caller's on failure. */
int vf_vfio_group_resume(struct vf_vfio_group *group, const char *name, struct vferry_error *err);
void vf_vfio_group_close(struct vf_vfio_group *group);

int vf_vfio_dma_map(struct vf_vfio_group *group, const char *name, uint64_t iova, void *memory,
		    uint64_t size, bool writable, struct vferry_error *err);
int vf_vfio_dma_unmap(struct vf_vfio_group *group, const char *name, uint64_t iova, uint64_t size,
		      struct vferry_error *err);

/** vf_vfio_memlock() - does @more fit into what this process may lock? The words name the limit and what it has to be. */
int vf_vfio_memlock(const char *name, uint64_t more, struct vferry_error *err);

#endif
