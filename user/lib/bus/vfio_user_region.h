/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A region of a vfio-user device: what may be mapped of it, and its ioeventfds. Private to the bus room. */
#ifndef VF_VFIO_USER_REGION_H
#define VF_VFIO_USER_REGION_H

#include "bus/vfio_user_msg.h"

#define VF_VU_AREAS 64

struct vf_vu_area {
	uint64_t offset;
	uint64_t size;
};

struct vf_vu_ioeventfd {
	uint64_t offset;
	uint64_t size;
	int fd;
};

struct vf_vu_region {
	uint32_t flags; /* VFIO_USER_REGION_F_* */
	uint64_t size;
	int fd; /* to map, -1 without */
	uint64_t fd_offset;
	unsigned int areas_count;
	struct vf_vu_area areas[VF_VU_AREAS];
	bool ioeventfds_known;
	unsigned int ioeventfds_count;
	struct vf_vu_ioeventfd ioeventfds[VFIO_USER_MAX_FDS];
};

int vf_vu_region_load(struct vf_vu *vu, unsigned int index, struct vf_vu_region *region,
		      struct vferry_error *err);
void vf_vu_region_unload(struct vf_vu_region *region);
int vf_vu_region_map(struct vf_vu_region *region, uint64_t offset, uint64_t size, void **memory,
		     int *fd, uint64_t *fd_offset);
/** vf_vu_region_ioeventfd() - *@fd is a duplicate, the caller's to close. */
int vf_vu_region_ioeventfd(struct vf_vu *vu, unsigned int index, struct vf_vu_region *region,
			   uint64_t offset, uint32_t width, int *fd);

#endif
