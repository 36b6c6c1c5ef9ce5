// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <string.h>
#include "bus/ops.h"

static const struct vf_bus_ops *const kinds[] = {
	&vf_bus_vfio,
	&vf_bus_vfio_user,
};

static int kind_of(const char *address, const struct vf_bus_ops **kind, struct vferry_error *err)
{
	if (strlen(address) >= sizeof(((struct vf_bus *)0)->address))
		return vferry_fail(err, -EINVAL, "%.40s...: the address is longer than %zu bytes",
				   address, sizeof(((struct vf_bus *)0)->address) - 1);
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*kind = kinds[i];
		if (!strncmp(address, kinds[i]->prefix, strlen(kinds[i]->prefix)))
			return 0;
	}
	return vferry_fail(err, -EPROTONOSUPPORT,
			   "%s: not an address that this build reaches an owner by; it begins with "
			   "vfio-user: (a socket) or vfio: (a PCI address)",
			   address);
}

static int opened(struct vf_bus *bus, const struct vf_bus_ops *kind, const char *address)
{
	bus->ops = kind;
	strcpy(bus->address, address);
	return 0;
}

int vf_bus_open(struct vf_bus **bus, const char *address, const struct vf_bus_opts *opts,
		struct vferry_error *err)
{
	static const struct vf_bus_opts defaults;
	const struct vf_bus_ops *kind;
	int ret = kind_of(address, &kind, err);

	if (!ret)
		ret = kind->open(bus, address + strlen(kind->prefix), opts ? opts : &defaults, err);
	return ret ? ret : opened(*bus, kind, address);
}

int vf_bus_keep(struct vf_bus *bus, struct vf_bus_kept *kept, struct vf_kept_fds *fds,
		struct vferry_error *err)
{
	*kept = (struct vf_bus_kept){ .vfs_found = -1 };
	return bus->ops->keep(bus, kept, fds, err);
}

int vf_bus_resume(struct vf_bus **bus, const char *address, const struct vf_bus_opts *opts,
		  struct vf_bus_kept *kept, struct vf_kept_fds *fds, struct vferry_error *err)
{
	const struct vf_bus_ops *kind;
	int ret = kind_of(address, &kind, err);

	if (!ret)
		ret = kind->resume(bus, address + strlen(kind->prefix), opts, kept, fds, err);
	return ret ? ret : opened(*bus, kind, address);
}

void vf_bus_close(struct vf_bus *bus)
{
	if (bus)
		bus->ops->close(bus);
}

const char *vf_bus_address(const struct vf_bus *bus)
{
	return bus->address;
}

int vf_bus_region(struct vf_bus *bus, unsigned int region, struct vf_region *info)
{
	return bus->ops->region(bus, region, info);
}

/* One check for all kinds: what lies outside of a region is never asked for. */
static int in_region(struct vf_bus *bus, unsigned int region, uint64_t offset, uint64_t count,
		     const char *what, struct vferry_error *err)
{
	struct vf_region info;

	if (bus->ops->region(bus, region, &info))
		return vferry_fail(err, -ENXIO, "%s: no region %u", bus->address, region);
	if (offset > info.size || count > info.size - offset)
		return vferry_fail(err, -ERANGE,
				   "%s: %s of %llu bytes at 0x%llx is outside of region %u, which "
				   "has 0x%llx bytes",
				   bus->address, what, (unsigned long long)count,
				   (unsigned long long)offset, region,
				   (unsigned long long)info.size);
	return 0;
}

int vf_bus_read(struct vf_bus *bus, unsigned int region, uint64_t offset, void *bytes,
		uint32_t count, struct vferry_error *err)
{
	int ret = in_region(bus, region, offset, count, "a read", err);

	return ret ? ret : bus->ops->read(bus, region, offset, bytes, count, err);
}

int vf_bus_write(struct vf_bus *bus, unsigned int region, uint64_t offset, const void *bytes,
		 uint32_t count, struct vferry_error *err)
{
	int ret = in_region(bus, region, offset, count, "a write", err);

	return ret ? ret : bus->ops->write(bus, region, offset, bytes, count, err);
}

int vf_bus_map(struct vf_bus *bus, unsigned int region, uint64_t offset, uint64_t size,
	       void **memory, int *fd, uint64_t *fd_offset)
{
	int ret = in_region(bus, region, offset, size, "a mapping", NULL);

	return ret ? ret : bus->ops->map(bus, region, offset, size, memory, fd, fd_offset);
}

int vf_bus_ioeventfd(struct vf_bus *bus, unsigned int region, uint64_t offset, uint32_t width,
		     int *fd)
{
	if (!bus->ops->ioeventfd)
		return -EOPNOTSUPP;
	return bus->ops->ioeventfd(bus, region, offset, width, fd);
}

int vf_bus_dma_map(struct vf_bus *bus, uint64_t iova, int fd, uint64_t offset, uint64_t size,
		   void *memory, bool writable, struct vferry_error *err)
{
	return bus->ops->dma_map(bus, iova, fd, offset, size, memory, writable, err);
}

int vf_bus_dma_unmap(struct vf_bus *bus, uint64_t iova, uint64_t size, struct vferry_error *err)
{
	return bus->ops->dma_unmap(bus, iova, size, err);
}

int vf_bus_irqs(struct vf_bus *bus)
{
	return bus->ops->irqs(bus);
}

int vf_bus_set_irqs(struct vf_bus *bus, const int *eventfds, unsigned int count,
		    struct vferry_error *err)
{
	return bus->ops->set_irqs(bus, eventfds, count, err);
}

int vf_bus_reset(struct vf_bus *bus, struct vferry_error *err)
{
	return bus->ops->reset(bus, err);
}

const char *vf_bus_token(const struct vf_bus *bus)
{
	return bus->ops->token ? bus->ops->token(bus) : NULL;
}

int vf_bus_fd(const struct vf_bus *bus)
{
	return bus->ops->fd(bus);
}

bool vf_bus_gone(struct vf_bus *bus)
{
	return bus->ops->gone(bus);
}

int vf_bus_vfs(struct vf_bus *bus, uint16_t *total, uint16_t *enabled, struct vferry_error *err)
{
	return bus->ops->vfs ? bus->ops->vfs(bus, total, enabled, err) : -EOPNOTSUPP;
}

int vf_bus_set_vfs(struct vf_bus *bus, uint16_t count, struct vferry_error *err)
{
	return bus->ops->set_vfs ? bus->ops->set_vfs(bus, count, err) : -EOPNOTSUPP;
}
