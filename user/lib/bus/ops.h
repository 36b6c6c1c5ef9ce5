/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a kind of bus implements; bus.c has the table of kinds. Each kind embeds struct vf_bus first. */
#ifndef VF_BUS_OPS_H
#define VF_BUS_OPS_H

#include "bus/bus.h"

#define VF_BUS_TIMEOUT_NS 5000000000ULL

struct vf_bus_ops {
	const char *prefix; /* of the address, colon included */
	/* @where: the address behind the prefix. bus.c fills in struct vf_bus of what comes back. */
	int (*open)(struct vf_bus **bus, const char *where, const struct vf_bus_opts *opts,
		    struct vferry_error *err);
	/* as vf_bus_keep(), vf_bus_resume() */
	int (*keep)(struct vf_bus *bus, struct vf_bus_kept *kept, struct vf_kept_fds *fds,
		    struct vferry_error *err);
	int (*resume)(struct vf_bus **bus, const char *where, const struct vf_bus_opts *opts,
		      struct vf_bus_kept *kept, struct vf_kept_fds *fds, struct vferry_error *err);
	void (*close)(struct vf_bus *bus);
	int (*region)(struct vf_bus *bus, unsigned int region, struct vf_region *info);
	/* Range already checked against the region's size. */
	int (*read)(struct vf_bus *bus, unsigned int region, uint64_t offset, void *bytes,
		    uint32_t count, struct vferry_error *err);
	int (*write)(struct vf_bus *bus, unsigned int region, uint64_t offset, const void *bytes,
		     uint32_t count, struct vferry_error *err);
	int (*map)(struct vf_bus *bus, unsigned int region, uint64_t offset, uint64_t size,
		   void **memory, int *fd, uint64_t *fd_offset);
	int (*ioeventfd)(struct vf_bus *bus, unsigned int region, uint64_t offset, uint32_t width,
			 int *fd); /* NULL: none */
	int (*dma_map)(struct vf_bus *bus, uint64_t iova, int fd, uint64_t offset, uint64_t size,
		       void *memory, bool writable, struct vferry_error *err);
	int (*dma_unmap)(struct vf_bus *bus, uint64_t iova, uint64_t size,
			 struct vferry_error *err);
	int (*irqs)(struct vf_bus *bus);
	int (*set_irqs)(struct vf_bus *bus, const int *eventfds, unsigned int count,
			struct vferry_error *err);
	int (*reset)(struct vf_bus *bus, struct vferry_error *err);
	const char *(*token)(const struct vf_bus *bus); /* NULL: there is no such thing */
	int (*fd)(const struct vf_bus *bus);
	bool (*gone)(struct vf_bus *bus);
	/* VFs by the kernel's hand (sysfs); NULL: the SR-IOV capability in configuration space is the way. */
	int (*vfs)(struct vf_bus *bus, uint16_t *total, uint16_t *enabled,
		   struct vferry_error *err);
	int (*set_vfs)(struct vf_bus *bus, uint16_t count, struct vferry_error *err);
};

struct vf_bus {
	const struct vf_bus_ops *ops;
	char address[256];
};

extern const struct vf_bus_ops vf_bus_vfio;
extern const struct vf_bus_ops vf_bus_vfio_user;

#endif
