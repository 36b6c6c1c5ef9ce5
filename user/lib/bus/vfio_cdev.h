/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * VFIO without groups: a device node of its own and iommufd, for kernels that have no /dev/vfio/GROUP. Where there are
 * groups they are used: every kernel with VFIO that Debian ships has them, and none of those has this.
 */
#ifndef VF_VFIO_CDEV_H
#define VF_VFIO_CDEV_H

#include "bus/vfio_group.h"

/** struct vf_vfio_kernel - the calls into the kernel; tests have their own. As open(2) and ioctl(2), errno included. */
struct vf_vfio_kernel {
	int (*open)(const char *path);
	int (*ioctl)(int fd, unsigned long request, void *arg);
};

extern const struct vf_vfio_kernel vf_vfio_kernel;

/** vf_vfio_cdev_is() - has this function a device node of its own, and its group none? @dev is "/dev" but for tests. */
bool vf_vfio_cdev_is(const struct vf_vfio_place *place, const char *dev);
/** vf_vfio_cdev_open() - as vf_vfio_group_open(). On failure nothing stays open. */
int vf_vfio_cdev_open(struct vf_vfio_group *group, const struct vf_vfio_place *place,
		      const char *token, const struct vf_vfio_kernel *kernel,
		      struct vferry_error *err);
/** vf_vfio_cdev_ranges() - which addresses the IOMMU maps, into @group. */
int vf_vfio_cdev_ranges(struct vf_vfio_group *group, const char *name,
			const struct vf_vfio_kernel *kernel, struct vferry_error *err);
int vf_vfio_cdev_map(struct vf_vfio_group *group, const char *name, uint64_t iova, void *memory,
		     uint64_t size, bool writable, const struct vf_vfio_kernel *kernel,
		     struct vferry_error *err);
int vf_vfio_cdev_unmap(struct vf_vfio_group *group, const char *name, uint64_t iova, uint64_t size,
		       const struct vf_vfio_kernel *kernel, struct vferry_error *err);

#endif
