/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The part of the kernel's interface that Debian 12's headers (6.1) lack, in one place: VFIO's device node of its own and
 * iommufd, under names of ours. Numbers and layouts are the kernel's ABI.
 */
#ifndef VF_VFIO_UAPI_H
#define VF_VFIO_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <vferry/admin.h>

#define VF_VFIO_BIND	   _IO(';', 118) /* VFIO_DEVICE_BIND_IOMMUFD, from 6.6 on */
#define VF_VFIO_BIND_TOKEN 0x1u		 /* from 6.17 on */
#define VF_VFIO_ATTACH	   _IO(';', 119) /* VFIO_DEVICE_ATTACH_IOMMUFD_PT */
#define VF_IOAS_ALLOC	   _IO(';', 0x81)
#define VF_IOAS_RANGES	   _IO(';', 0x84)
#define VF_IOAS_MAP	   _IO(';', 0x85)
#define VF_IOAS_UNMAP	   _IO(';', 0x86)
#define VF_IOAS_FIXED	   0x1u
#define VF_IOAS_WRITEABLE  0x2u
#define VF_IOAS_READABLE   0x4u

struct vf_uapi_bind {
	__u32 argsz, flags;
	__s32 iommufd;
	__u32 out_devid;
	__aligned_u64 token; /* of 16 bytes */
};

struct vf_uapi_attach {
	__u32 argsz, flags, pt_id;
};

struct vf_uapi_ioas_alloc {
	__u32 size, flags, out_ioas;
};

struct vf_uapi_range {
	__aligned_u64 first, last;
};

struct vf_uapi_ioas_ranges {
	__u32 size, ioas, count, reserved;
	__aligned_u64 ranges, out_alignment;
};

struct vf_uapi_ioas_map {
	__u32 size, flags, ioas, reserved;
	__aligned_u64 memory, length, iova;
};

struct vf_uapi_ioas_unmap {
	__u32 size, ioas;
	__aligned_u64 iova, length;
};

VFERRY_STATIC_ASSERT(sizeof(struct vf_uapi_bind) == 24, "VFIO_DEVICE_BIND_IOMMUFD");
VFERRY_STATIC_ASSERT(sizeof(struct vf_uapi_attach) == 12, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
VFERRY_STATIC_ASSERT(sizeof(struct vf_uapi_ioas_alloc) == 12, "IOMMU_IOAS_ALLOC");
VFERRY_STATIC_ASSERT(sizeof(struct vf_uapi_ioas_ranges) == 32, "IOMMU_IOAS_IOVA_RANGES");
VFERRY_STATIC_ASSERT(sizeof(struct vf_uapi_ioas_map) == 40, "IOMMU_IOAS_MAP");
VFERRY_STATIC_ASSERT(sizeof(struct vf_uapi_ioas_unmap) == 24, "IOMMU_IOAS_UNMAP");

#endif
