/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The vfio-user protocol, version 0.0, on the wire (source: QEMU's docs/interop/vfio-user.rst). Both the
 * engine's client and the software owner's server are written against this header.
 */
#ifndef VFERRY_VFIO_USER_H
#define VFERRY_VFIO_USER_H

#include <vferry/admin.h>

#define VFIO_USER_MAJOR	      0
#define VFIO_USER_MINOR	      0
#define VFIO_USER_MAX_FDS     16
#define VFIO_USER_MAX_XFER    (1U << 20) /* default max_data_xfer_size */
#define VFIO_USER_MAX_MESSAGE (VFIO_USER_MAX_XFER + 4096U)

enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_DEVICE_GET_INFO = 4,
	VFIO_USER_DEVICE_GET_REGION_INFO = 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
	VFIO_USER_DEVICE_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,
	VFIO_USER_DMA_WRITE = 12,
	VFIO_USER_DEVICE_RESET = 13,
	VFIO_USER_REGION_WRITE_MULTI = 15,
};

#define VFIO_USER_F_TYPE_MASK 0xfU
#define VFIO_USER_F_COMMAND   0x0U
#define VFIO_USER_F_REPLY     0x1U
#define VFIO_USER_F_NO_REPLY  0x10U
#define VFIO_USER_F_ERROR     0x20U

struct vfio_user_hdr {
	__le16 message_id;
	__le16 command;
	__le32 size; /* of the whole message, header included */
	__le32 flags;
	__le32 error; /* errno, when F_ERROR */
};

struct vfio_user_version {
	__le16 major;
	__le16 minor;
	/* then JSON, NUL-terminated */
};

#define VFIO_USER_DMA_F_READ  0x1U
#define VFIO_USER_DMA_F_WRITE 0x2U

struct vfio_user_dma_map {
	__le32 argsz;
	__le32 flags;
	__le64 offset; /* in the descriptor passed along */
	__le64 address;
	__le64 size;
};

struct vfio_user_dma_unmap {
	__le32 argsz;
	__le32 flags;
	__le64 address;
	__le64 size;
};

#define VFIO_USER_DEVICE_F_RESET 0x1U
#define VFIO_USER_DEVICE_F_PCI	 0x2U

struct vfio_user_device_info {
	__le32 argsz;
	__le32 flags;
	__le32 num_regions;
	__le32 num_irqs;
};

#define VFIO_USER_REGION_F_READ	 0x1U
#define VFIO_USER_REGION_F_WRITE 0x2U
#define VFIO_USER_REGION_F_MMAP	 0x4U
#define VFIO_USER_REGION_F_CAPS	 0x8U

struct vfio_user_region_info {
	__le32 argsz;
	__le32 flags;
	__le32 index;
	__le32 cap_offset;
	__le64 size;
	__le64 offset; /* for mmap of the descriptor passed along */
};

#define VFIO_USER_CAP_SPARSE_MMAP 1

struct vfio_user_cap_hdr {
	__le16 id;
	__le16 version;
	__le32 next;
};

struct vfio_user_sparse_mmap {
	struct vfio_user_cap_hdr header;
	__le32 nr_areas;
	__le32 reserved;
	/* then nr_areas of vfio_user_sparse_area */
};

struct vfio_user_sparse_area {
	__le64 offset;
	__le64 size;
};

#define VFIO_USER_IO_FD_IOEVENTFD 0

struct vfio_user_region_io_fds {
	__le32 argsz;
	__le32 flags;
	__le32 index;
	__le32 count;
	/* in a reply: then count of vfio_user_ioeventfd */
};

#define VFIO_USER_IOEVENTFD_F_DATAMATCH 0x1U

struct vfio_user_ioeventfd {
	__le64 offset;
	__le64 size;
	__le32 fd_index;
	__le32 type;
	__le32 flags;
	__le32 padding;
	__le64 datamatch;
};

#define VFIO_USER_IRQ_F_EVENTFD	 0x1U
#define VFIO_USER_IRQ_F_MASKABLE 0x2U
#define VFIO_USER_IRQ_F_NORESIZE 0x8U

struct vfio_user_irq_info {
	__le32 argsz;
	__le32 flags;
	__le32 index;
	__le32 count;
};

#define VFIO_USER_IRQ_DATA_NONE	     0x01U
#define VFIO_USER_IRQ_DATA_BOOL	     0x02U
#define VFIO_USER_IRQ_DATA_EVENTFD   0x04U
#define VFIO_USER_IRQ_ACTION_MASK    0x08U
#define VFIO_USER_IRQ_ACTION_UNMASK  0x10U
#define VFIO_USER_IRQ_ACTION_TRIGGER 0x20U

struct vfio_user_set_irqs {
	__le32 argsz;
	__le32 flags;
	__le32 index;
	__le32 start;
	__le32 count;
	/* DATA_BOOL: then count bytes; DATA_EVENTFD: the descriptors travel beside */
};

struct vfio_user_region_access { /* REGION_READ, REGION_WRITE: then the data */
	__le64 offset;
	__le32 region;
	__le32 count;
};

struct vfio_user_dma_access { /* DMA_READ, DMA_WRITE: then the data */
	__le64 address;
	__le64 count;
};

struct vfio_user_write_multi {
	__le64 count;
	/* then count of: region_access with data[8] */
};

/* PCI region and interrupt indices, as in linux/vfio.h. */
enum {
	VFIO_USER_BAR0 = 0,
	VFIO_USER_BAR5 = 5,
	VFIO_USER_ROM = 6,
	VFIO_USER_CONFIG = 7,
	VFIO_USER_VGA = 8,
	VFIO_USER_REGIONS = 9,
	VFIO_USER_IRQ_INTX = 0,
	VFIO_USER_IRQ_MSI = 1,
	VFIO_USER_IRQ_MSIX = 2,
	VFIO_USER_IRQ_ERR = 3,
	VFIO_USER_IRQ_REQ = 4,
	VFIO_USER_IRQS = 5,
};

VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_hdr) == 16, "header");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_version) == 4, "version");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_dma_map) == 32, "dma map");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_dma_unmap) == 24, "dma unmap");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_device_info) == 16, "device info");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_region_info) == 32, "region info");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_sparse_mmap) == 16, "sparse mmap");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_region_io_fds) == 16, "region io fds");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_ioeventfd) == 40, "ioeventfd");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_irq_info) == 16, "irq info");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_set_irqs) == 20, "set irqs");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_region_access) == 16, "region access");
VFERRY_STATIC_ASSERT(sizeof(struct vfio_user_dma_access) == 16, "dma access");

#endif
