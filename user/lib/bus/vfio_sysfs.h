/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What sysfs says about a PCI function that is to be opened through VFIO, and the words for what is in the way.
 * @sysfs is "/sys" but for tests.
 */
#ifndef VF_VFIO_SYSFS_H
#define VF_VFIO_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/error.h>

struct vf_vfio_place {
	const char *sysfs;
	char bdf[16];	  /* 0000:65:00.0 */
	char folder[224]; /* of the device in sysfs */
	unsigned int group;
};

/** vf_vfio_find() - the device's folder and group. The words: no such device, wrong driver bound (and the commands that mend it), no IOMMU. */
int vf_vfio_find(struct vf_vfio_place *place, const char *sysfs, const char *bdf,
		 struct vferry_error *err);
/** vf_vfio_not_viable() - always fails: names the members of the group whose drivers are in the way. */
int vf_vfio_not_viable(const struct vf_vfio_place *place, struct vferry_error *err);
/** vf_vfio_attribute() - a number of the device's folder; negative: -ENOENT and the like. */
int64_t vf_vfio_attribute(const struct vf_vfio_place *place, const char *name);
/** vf_vfio_set_vfs() - sriov_numvfs, by way of 0. */
int vf_vfio_set_vfs(const struct vf_vfio_place *place, unsigned int count,
		    struct vferry_error *err);
/** vf_vfio_vfs_in_use() - does a process have a VF of it open? */
bool vf_vfio_vfs_in_use(const struct vf_vfio_place *place);
/** vf_vfio_token_make() - a random one (UUID version 4). */
int vf_vfio_token_make(char token[37], struct vferry_error *err);
/** vf_vfio_token_valid() - 36 characters of a UUID: anything else would be another option of the kernel's. */
bool vf_vfio_token_valid(const char *token);

#endif
