// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Kernel VFIO: a function bound to vfio-pci, named vfio:0000:65:00.0. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bus/ops.h"
#include "bus/vfio_group.h"
#include "bus/vfio_region.h"
#include "ring/ring.h"

#define BUSY_NS	     1000000000ULL /* how long a holder that is ending is waited for */
#define MSIX_VECTORS 2048

struct vfio {
	struct vf_bus bus;
	struct vf_vfio_place place;
	struct vf_vfio_group group;
	struct vf_vfio_region regions[VFIO_PCI_NUM_REGIONS];
	bool can_reset;
	unsigned int vectors; /* MSI-X */
	unsigned int vectors_set;
	char token[37];
	int wanted_fd; /* the kernel wants the device back: unbound, or pulled out */
	int vfs_found; /* sriov_numvfs before it was changed here; -1: it was not */
	struct vf_bus_kept *kept;
};

static struct vfio *of(const struct vf_bus *bus)
{
	return (struct vfio *)bus;
}

/* --- interrupts --- */

static int set_irqs(struct vfio *dev, unsigned int index, uint32_t data, const int *fds,
		    unsigned int count)
{
	size_t bytes = sizeof(struct vfio_irq_set) +
		       (data == VFIO_IRQ_SET_DATA_EVENTFD ? count * sizeof(*fds) : 0);
	struct vfio_irq_set *set = calloc(1, bytes);
	int ret;

	if (!set)
		return -ENOMEM;
	*set = (struct vfio_irq_set){
		.argsz = (uint32_t)bytes,
		.flags = data | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.count = count,
	};
	if (data == VFIO_IRQ_SET_DATA_EVENTFD)
		memcpy(set->data, fds, count * sizeof(*fds));
	ret = ioctl(dev->group.device, VFIO_DEVICE_SET_IRQS, set) ? -errno : 0;
	free(set);
	return ret;
}

static unsigned int count_irqs(struct vfio *dev, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(dev->group.device, VFIO_DEVICE_GET_IRQ_INFO, &info) ||
	    !(info.flags & VFIO_IRQ_INFO_EVENTFD))
		return 0;
	return info.count < MSIX_VECTORS ? info.count : MSIX_VECTORS;
}

/* An eventfd by which the kernel asks for the device back. Without it nothing is lost but the asking. */
static void watch_request(struct vfio *dev, unsigned int irqs)
{
	if (irqs <= VFIO_PCI_REQ_IRQ_INDEX || !count_irqs(dev, VFIO_PCI_REQ_IRQ_INDEX))
		return;
	dev->wanted_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dev->wanted_fd < 0)
		return;
	if (set_irqs(dev, VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD, &dev->wanted_fd, 1)) {
		close(dev->wanted_fd);
		dev->wanted_fd = -1;
	}
}

static int vfio_irqs(struct vf_bus *bus)
{
	return (int)of(bus)->vectors;
}

static int vfio_set_irqs(struct vf_bus *bus, const int *eventfds, unsigned int count,
			 struct vferry_error *err)
{
	struct vfio *dev = of(bus);
	int ret = 0;

	if (count > dev->vectors)
		return vferry_fail(err, -EINVAL, "vfio:%s: %u interrupts wanted, the device has %u",
				   dev->place.bdf, count, dev->vectors);
	/* Older kernels cannot add vectors to those that are on: all go, then all come. */
	if (dev->vectors_set)
		ret = set_irqs(dev, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE, NULL, 0);
	dev->vectors_set = 0;
	if (!ret && count)
		ret = set_irqs(dev, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD, eventfds,
			       count);
	if (ret)
		return vferry_fail(err, ret, "vfio:%s: %u MSI-X interrupts: %s", dev->place.bdf,
				   count, strerror(-ret));
	dev->vectors_set = count;
	return 0;
}

/* --- opening and closing --- */

static int device_info(struct vfio *dev, struct vferry_error *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int ret;

	if (ioctl(dev->group.device, VFIO_DEVICE_GET_INFO, &info))
		return vferry_fail(err, -errno, "vfio:%s: the device's properties: %s",
				   dev->place.bdf, strerror(errno));
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) ||
	    info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return vferry_fail(err, -ENODEV,
				   "vfio:%s: not a PCI device (flags 0x%x, %u regions)",
				   dev->place.bdf, info.flags, info.num_regions);
	dev->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	for (unsigned int i = 0; i < VFIO_PCI_NUM_REGIONS && i < info.num_regions; i++) {
		ret = vf_vfio_region_load(&dev->regions[i], dev->group.device, i);
		if (ret)
			return vferry_fail(err, ret, "vfio:%s: region %u: %s", dev->place.bdf, i,
					   strerror(-ret));
	}
	if (info.num_irqs > VFIO_PCI_MSIX_IRQ_INDEX)
		dev->vectors = count_irqs(dev, VFIO_PCI_MSIX_IRQ_INDEX);
	watch_request(dev, info.num_irqs);
	return 0;
}

static void vfio_close(struct vf_bus *bus)
{
	struct vfio *dev = of(bus);

	/*
	 * VFs live as long as the one who asked for them: as found, so back. A VF that somebody holds would make the kernel wait for
	 * that one, without an end.
	 */
	if (dev->vfs_found >= 0 && !vf_vfio_vfs_in_use(&dev->place))
		vf_vfio_set_vfs(&dev->place, (unsigned int)dev->vfs_found, NULL);
	vf_vfio_group_close(&dev->group);
	if (dev->wanted_fd >= 0)
		close(dev->wanted_fd);
	free(dev);
}

/* Without one of ours the kernel makes a token that nobody knows, and a PF's VFs could not be opened through VFIO. */
static int choose_token(struct vfio *dev, const char *given, struct vferry_error *err)
{
	if (given && !vf_vfio_token_valid(given))
		return vferry_fail(err, -EINVAL, "VF token %.60s: not a UUID as uuidgen makes them",
				   given);
	if (given)
		strcpy(dev->token, given);
	else if (vf_vfio_attribute(&dev->place, "sriov_totalvfs") > 0)
		return vf_vfio_token_make(dev->token, err);
	return 0;
}

static struct vfio *new_device(struct vferry_error *err)
{
	struct vfio *dev = calloc(1, sizeof(*dev));

	if (!dev) {
		vferry_fail(err, -ENOMEM, "no memory");
		return NULL;
	}
	dev->wanted_fd = -1;
	dev->vfs_found = -1;
	dev->group = VF_VFIO_GROUP_NONE;
	return dev;
}

static int vfio_open(struct vf_bus **bus, const char *where, const struct vf_bus_opts *opts,
		     struct vferry_error *err)
{
	struct vfio *dev = new_device(err);
	int ret;

	if (!dev)
		return -ENOMEM;
	ret = vf_vfio_find(&dev->place, "/sys", where, err);
	if (!ret)
		ret = choose_token(dev, opts->vf_token, err);
	if (!ret)
		ret = vf_vfio_group_open(&dev->group, &dev->place, *dev->token ? dev->token : NULL,
					 vf_now_ns() + BUSY_NS, err);
	if (!ret)
		ret = device_info(dev, err);
	if (ret) {
		vfio_close(&dev->bus);
		return ret;
	}
	*bus = &dev->bus;
	return 0;
}

/* --- outliving the process --- */

static int vfio_keep(struct vf_bus *bus, struct vf_bus_kept *kept, struct vf_kept_fds *fds,
		     struct vferry_error *err)
{
	struct vfio *dev = of(bus);
	int ret;

	snprintf(kept->token, sizeof(kept->token), "%s", dev->token);
	kept->vfs_found = dev->vfs_found;
	kept->vectors = dev->vectors_set;
	dev->kept = kept;
	kept->ioas = dev->group.ioas;
	if (dev->group.iommufd >= 0) {
		ret = fds->put(fds, "vfio-iommufd", dev->group.iommufd);
	} else {
		ret = fds->put(fds, "vfio-container", dev->group.container);
		if (!ret)
			ret = fds->put(fds, "vfio-group", dev->group.group);
	}
	if (!ret)
		ret = fds->put(fds, "vfio-device", dev->group.device);
	return ret ? vferry_fail(err, ret, "vfio:%s: its descriptors cannot be kept: %s",
				 dev->place.bdf, strerror(-ret))
		   : 0;
}

static int vfio_resume(struct vf_bus **bus, const char *where, const struct vf_bus_opts *opts,
		       struct vf_bus_kept *kept, struct vf_kept_fds *fds, struct vferry_error *err)
{
	struct vfio *dev = new_device(err);
	int ret;

	if (!dev)
		return -ENOMEM;
	dev->group.container = fds->take(fds, "vfio-container");
	dev->group.group = fds->take(fds, "vfio-group");
	dev->group.iommufd = fds->take(fds, "vfio-iommufd");
	dev->group.device = fds->take(fds, "vfio-device");
	dev->group.ioas = kept->ioas;
	if (dev->group.device < 0 ||
	    (dev->group.iommufd < 0 && (dev->group.container < 0 || dev->group.group < 0)))
		ret = vferry_fail(err, -ENOENT, "vfio:%s: not all of its descriptors were kept",
				  where);
	else
		ret = vf_vfio_find(&dev->place, "/sys", where, err);
	if (!ret)
		ret = vf_vfio_group_resume(&dev->group, dev->place.bdf, err);
	if (!ret)
		ret = device_info(dev, err);
	if (ret) {
		vfio_close(&dev->bus);
		return ret;
	}
	snprintf(dev->token, sizeof(dev->token), "%.36s", kept->token);
	dev->vfs_found = kept->vfs_found;
	dev->vectors_set = kept->vectors < dev->vectors ? kept->vectors : dev->vectors;
	dev->kept = kept;
	*bus = &dev->bus;
	return 0;
}

/* --- regions --- */

static int vfio_region(struct vf_bus *bus, unsigned int region, struct vf_region *info)
{
	const struct vf_vfio_region *known;

	if (region >= VFIO_PCI_NUM_REGIONS)
		return -ENXIO;
	known = &of(bus)->regions[region];
	info->size = known->size;
	info->readable = known->flags & VFIO_REGION_INFO_FLAG_READ;
	info->writable = known->flags & VFIO_REGION_INFO_FLAG_WRITE;
	info->mappable = known->areas_count;
	return 0;
}

static int failed(struct vfio *dev, const char *what, unsigned int region, uint64_t offset,
		  uint32_t count, ssize_t got, struct vferry_error *err)
{
	int code = got < 0 ? errno : EIO;

	return vferry_fail(err, -code, "vfio:%s: %s of %u bytes at 0x%llx of region %u: %s",
			   dev->place.bdf, what, count, (unsigned long long)offset, region,
			   code == EIO ? "the device does not answer (memory space off, or gone)"
				       : strerror(code));
}

static int vfio_read(struct vf_bus *bus, unsigned int region, uint64_t offset, void *bytes,
		     uint32_t count, struct vferry_error *err)
{
	struct vfio *dev = of(bus);
	ssize_t got = pread(dev->group.device, bytes, count,
			    (off_t)(dev->regions[region].offset + offset));

	return got == (ssize_t)count ? 0 : failed(dev, "a read", region, offset, count, got, err);
}

static int vfio_write(struct vf_bus *bus, unsigned int region, uint64_t offset, const void *bytes,
		      uint32_t count, struct vferry_error *err)
{
	struct vfio *dev = of(bus);
	ssize_t got = pwrite(dev->group.device, bytes, count,
			     (off_t)(dev->regions[region].offset + offset));

	return got == (ssize_t)count ? 0 : failed(dev, "a write", region, offset, count, got, err);
}

static int vfio_map(struct vf_bus *bus, unsigned int region, uint64_t offset, uint64_t size,
		    void **memory, int *fd, uint64_t *fd_offset)
{
	struct vfio *dev = of(bus);
	int ret =
		vf_vfio_region_map(&dev->regions[region], dev->group.device, offset, size, memory);

	if (ret)
		return ret;
	if (fd)
		*fd = dev->group.device;
	if (fd_offset)
		*fd_offset = dev->regions[region].offset + offset;
	return 0;
}

/* --- memory --- */

static int dma_map(struct vf_bus *bus, uint64_t iova, int fd, uint64_t offset, uint64_t size,
		   void *memory, bool writable, struct vferry_error *err)
{
	return vf_vfio_dma_map(&of(bus)->group, of(bus)->place.bdf, iova, memory, size, writable,
			       err);
}

static int dma_unmap(struct vf_bus *bus, uint64_t iova, uint64_t size, struct vferry_error *err)
{
	return vf_vfio_dma_unmap(&of(bus)->group, of(bus)->place.bdf, iova, size, err);
}

/* --- the whole device --- */

static int vfio_reset(struct vf_bus *bus, struct vferry_error *err)
{
	struct vfio *dev = of(bus);

	if (!dev->can_reset)
		return vferry_fail(err, -EOPNOTSUPP, "vfio:%s: the device cannot be reset",
				   dev->place.bdf);
	if (ioctl(dev->group.device, VFIO_DEVICE_RESET))
		return vferry_fail(err, -errno, "vfio:%s: reset: %s", dev->place.bdf,
				   strerror(errno));
	return 0;
}

static const char *vfio_token(const struct vf_bus *bus)
{
	return *of(bus)->token ? of(bus)->token : NULL;
}

static int vfio_fd(const struct vf_bus *bus)
{
	return of(bus)->wanted_fd;
}

static bool vfio_gone(struct vf_bus *bus)
{
	struct vfio *dev = of(bus);
	struct pollfd pfd = { .fd = dev->wanted_fd, .events = POLLIN };
	uint16_t vendor;

	if (dev->wanted_fd >= 0 && poll(&pfd, 1, 0) > 0)
		return true;
	/* A function that has left the bus reads as ones. */
	return vfio_read(bus, VFIO_PCI_CONFIG_REGION_INDEX, 0, &vendor, sizeof(vendor), NULL) ||
	       vendor == UINT16_MAX;
}

static int vfio_vfs(struct vf_bus *bus, uint16_t *total, uint16_t *enabled,
		    struct vferry_error *err)
{
	struct vfio *dev = of(bus);
	int64_t all = vf_vfio_attribute(&dev->place, "sriov_totalvfs");
	int64_t now = vf_vfio_attribute(&dev->place, "sriov_numvfs");

	if (all < 0 || now < 0)
		return vferry_fail(
			err, -EOPNOTSUPP,
			"vfio:%s: the host sees no SR-IOV: this function has no VFs (or a "
			"hypervisor hides it)",
			dev->place.bdf);
	*total = (uint16_t)all;
	*enabled = (uint16_t)now;
	return 0;
}

static int vfio_set_vfs(struct vf_bus *bus, uint16_t count, struct vferry_error *err)
{
	struct vfio *dev = of(bus);
	int64_t now = vf_vfio_attribute(&dev->place, "sriov_numvfs");
	int ret = vf_vfio_set_vfs(&dev->place, count, err);

	if (!ret && dev->vfs_found < 0)
		dev->vfs_found = (int)now;
	if (dev->kept)
		dev->kept->vfs_found = dev->vfs_found;
	return ret;
}

const struct vf_bus_ops vf_bus_vfio = {
	.prefix = "vfio:",
	.open = vfio_open,
	.keep = vfio_keep,
	.resume = vfio_resume,
	.close = vfio_close,
	.region = vfio_region,
	.read = vfio_read,
	.write = vfio_write,
	.map = vfio_map,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
	.irqs = vfio_irqs,
	.set_irqs = vfio_set_irqs,
	.reset = vfio_reset,
	.token = vfio_token,
	.fd = vfio_fd,
	.gone = vfio_gone,
	.vfs = vfio_vfs,
	.set_vfs = vfio_set_vfs,
};
