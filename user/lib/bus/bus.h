/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reaching a PCI function: kernel VFIO (vfio.c) or a vfio-user socket (vfio_user.c). Control path only: each call
 * blocks up to the bus's timeout. Regions and interrupts have the numbers of linux/vfio.h.
 */
#ifndef VF_BUS_H
#define VF_BUS_H

#include <stdbool.h>
#include <stdint.h>
#include <vferry/error.h>
#include "bus/kept.h"

struct vf_bus;

struct vf_region {
	uint64_t size;
	bool readable, writable;
	bool mappable; /* vf_bus_map() may work for at least a part */
};

struct vf_bus_opts {
	uint64_t timeout_ns;  /* for each call; 0: 5 s */
	const char *vf_token; /* kernel VFIO */
};

/** vf_bus_open() - by address: vfio-user:PATH or vfio:BDF. -EPROTONOSUPPORT names an address of another kind. */
int vf_bus_open(struct vf_bus **bus, const char *address, const struct vf_bus_opts *opts,
		struct vferry_error *err);
void vf_bus_close(struct vf_bus *bus);
/** vf_bus_keep() - put what a successor needs into @fds, and keep @kept right from now on, as long as the bus is open. */
int vf_bus_keep(struct vf_bus *bus, struct vf_bus_kept *kept, struct vf_kept_fds *fds,
		struct vferry_error *err);
/** vf_bus_resume() - the bus that another process had kept, as it is: nothing is reset, negotiated or installed anew. */
int vf_bus_resume(struct vf_bus **bus, const char *address, const struct vf_bus_opts *opts,
		  struct vf_bus_kept *kept, struct vf_kept_fds *fds, struct vferry_error *err);
const char *vf_bus_address(const struct vf_bus *bus);

int vf_bus_region(struct vf_bus *bus, unsigned int region, struct vf_region *info);
int vf_bus_read(struct vf_bus *bus, unsigned int region, uint64_t offset, void *bytes,
		uint32_t count, struct vferry_error *err);
int vf_bus_write(struct vf_bus *bus, unsigned int region, uint64_t offset, const void *bytes,
		 uint32_t count, struct vferry_error *err);
/** vf_bus_map() - map a part of a region where the device offers that; -EOPNOTSUPP where not. *@fd and *@fd_offset (may be NULL) let another process map the same. */
int vf_bus_map(struct vf_bus *bus, unsigned int region, uint64_t offset, uint64_t size,
	       void **memory, int *fd, uint64_t *fd_offset);
/** vf_bus_ioeventfd() - an eventfd (the caller's to close) whose signal is a write of @width bytes at @offset; -EOPNOTSUPP where not offered. */
int vf_bus_ioeventfd(struct vf_bus *bus, unsigned int region, uint64_t offset, uint32_t width,
		     int *fd);
/** vf_bus_dma_map() - @size bytes of @fd from @offset become visible to the device at @iova. */
int vf_bus_dma_map(struct vf_bus *bus, uint64_t iova, int fd, uint64_t offset, uint64_t size,
		   void *memory, bool writable, struct vferry_error *err);
int vf_bus_dma_unmap(struct vf_bus *bus, uint64_t iova, uint64_t size, struct vferry_error *err);
/** vf_bus_irqs() - how many MSI-X vectors; negative on error. */
int vf_bus_irqs(struct vf_bus *bus);
/** vf_bus_set_irqs() - vectors 0..@count-1 signal these eventfds; @count 0 switches MSI-X off. */
int vf_bus_set_irqs(struct vf_bus *bus, const int *eventfds, unsigned int count,
		    struct vferry_error *err);
int vf_bus_reset(struct vf_bus *bus, struct vferry_error *err);
/** vf_bus_vfs(), vf_bus_set_vfs() - VFs by the host's hand (sysfs); -EOPNOTSUPP: the SR-IOV capability in configuration space is the way. */
int vf_bus_vfs(struct vf_bus *bus, uint16_t *total, uint16_t *enabled, struct vferry_error *err);
int vf_bus_set_vfs(struct vf_bus *bus, uint16_t count, struct vferry_error *err);
/** vf_bus_token() - what whoever opens a VF through VFIO has to show: given, or made at open; NULL: nothing. */
const char *vf_bus_token(const struct vf_bus *bus);
/** vf_bus_fd() - a descriptor that becomes readable (HUP) when the device is gone; -1 when there is none. */
int vf_bus_fd(const struct vf_bus *bus);
bool vf_bus_gone(struct vf_bus *bus);

#endif
