// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bus/vfio_user_msg.h"
#include "bus/vfio_user_region.h"

struct vfio_user {
	struct vf_bus bus;
	struct vf_vu vu;
	char path[256];
	uint32_t flags; /* VFIO_USER_DEVICE_F_* */
	struct vf_vu_region regions[VFIO_USER_REGIONS];
	unsigned int regions_count;
	unsigned int vectors; /* MSI-X */
	unsigned int vectors_set;
};

static struct vfio_user *of(const struct vf_bus *bus)
{
	return (struct vfio_user *)bus;
}

/* A request whose reply carries nothing that is needed, or the same structure again. */
static int plain(struct vfio_user *dev, unsigned int command, void *payload, uint32_t bytes,
		 uint32_t min, const int *fds, unsigned int fds_count, struct vferry_error *err)
{
	char reply[64];
	struct vf_vu_call call = {
		.command = (uint16_t)command,
		.out = { { payload, bytes } },
		.out_fds = fds,
		.out_fds_count = fds_count,
		.in = { { reply, sizeof(reply) } },
		.in_min = min,
	};
	int ret = vf_vu_exchange(&dev->vu, &call, err);

	if (!ret && payload)
		memcpy(payload, reply, call.in_bytes < bytes ? call.in_bytes : bytes);
	return ret;
}

static int device_info(struct vfio_user *dev, struct vferry_error *err)
{
	struct vfio_user_device_info info = { .argsz = htole32(sizeof(info)) };
	uint32_t regions;
	int ret;

	ret = plain(dev, VFIO_USER_DEVICE_GET_INFO, &info, sizeof(info), sizeof(info), NULL, 0,
		    err);
	if (ret)
		return ret;
	dev->flags = le32toh(info.flags);
	regions = le32toh(info.num_regions);
	if (!(dev->flags & VFIO_USER_DEVICE_F_PCI) || regions <= VFIO_USER_CONFIG)
		return vferry_fail(err, -EPROTO,
				   "%s: not a PCI device (flags 0x%x, %u regions), so not a virtio "
				   "owner",
				   dev->path, dev->flags, regions);
	dev->regions_count = regions < VFIO_USER_REGIONS ? regions : VFIO_USER_REGIONS;
	for (unsigned int i = 0; i < dev->regions_count && !ret; i++)
		ret = vf_vu_region_load(&dev->vu, i, &dev->regions[i], err);
	return ret;
}

static int irq_info(struct vfio_user *dev, struct vferry_error *err)
{
	struct vfio_user_irq_info info = {
		.argsz = htole32(sizeof(info)),
		.index = htole32(VFIO_USER_IRQ_MSIX),
	};
	int ret = plain(dev, VFIO_USER_DEVICE_GET_IRQ_INFO, &info, sizeof(info), sizeof(info), NULL,
			0, err);

	if (ret)
		return ret;
	if (le32toh(info.count) > 2048)
		return vferry_fail(
			err, -EPROTO,
			"%s: the answer to DEVICE_GET_IRQ_INFO: %u MSI-X vectors, PCI has at most "
			"2048",
			dev->path, le32toh(info.count));
	if (le32toh(info.flags) & VFIO_USER_IRQ_F_EVENTFD)
		dev->vectors = le32toh(info.count);
	return 0;
}

static void vu_close(struct vf_bus *bus)
{
	struct vfio_user *dev = of(bus);

	for (unsigned int i = 0; i < VFIO_USER_REGIONS; i++)
		vf_vu_region_unload(&dev->regions[i]);
	vf_vu_close(&dev->vu);
	free(dev);
}

static int adopt(struct vf_bus **bus, struct vf_vu *vu, bool anew, struct vferry_error *err)
{
	struct vfio_user *dev = calloc(1, sizeof(*dev));
	int ret = 0;

	if (!dev) {
		vf_vu_close(vu);
		return vferry_fail(err, -ENOMEM, "no memory");
	}
	for (unsigned int i = 0; i < VFIO_USER_REGIONS; i++)
		dev->regions[i].fd = -1;
	dev->vu = *vu;
	snprintf(dev->path, sizeof(dev->path), "%s", vu->name);
	dev->vu.name = dev->path;
	if (anew)
		ret = vf_vu_negotiate(&dev->vu, err);
	if (!ret)
		ret = device_info(dev, err);
	if (!ret)
		ret = irq_info(dev, err);
	if (ret) {
		vu_close(&dev->bus);
		return ret;
	}
	*bus = &dev->bus;
	(*bus)->ops = &vf_bus_vfio_user;
	return 0;
}

int vf_vfio_user_adopt(struct vf_bus **bus, struct vf_vu *vu, struct vferry_error *err)
{
	return adopt(bus, vu, true, err);
}

static int vu_keep(struct vf_bus *bus, struct vf_bus_kept *kept, struct vf_kept_fds *fds,
		   struct vferry_error *err)
{
	struct vfio_user *dev = of(bus);
	int ret = vf_vu_keep(&dev->vu, kept, err);

	if (ret)
		return ret;
	kept->vectors = dev->vectors_set;
	ret = fds->put(fds, "vfio-user", dev->vu.fd);
	return ret ? vferry_fail(err, ret, "%s: the connection cannot be kept: %s", dev->path,
				 strerror(-ret))
		   : 0;
}

static int vu_resume(struct vf_bus **bus, const char *where, const struct vf_bus_opts *opts,
		     struct vf_bus_kept *kept, struct vf_kept_fds *fds, struct vferry_error *err)
{
	struct vf_vu vu = {
		.fd = fds->take(fds, "vfio-user"),
		.next_id = (uint16_t)kept->message,
		/* The last process may have ended before the answer to its last request. */
		.stale = (uint16_t)(kept->stale + 1),
		.max_fds = kept->max_fds,
		.max_xfer = kept->max_xfer,
		.timeout_ns = opts->timeout_ns ? opts->timeout_ns : VF_BUS_TIMEOUT_NS,
		.name = where,
	};
	struct vfio_user *dev;
	int ret;

	if (vu.fd < 0)
		return vferry_fail(err, -ENOENT, "%s: the connection was not kept", where);
	if (!vu.max_fds || vu.max_fds > VFIO_USER_MAX_FDS || !vu.max_xfer ||
	    vu.max_xfer > VFIO_USER_MAX_XFER)
		ret = vferry_fail(err, -EPROTO, "%s: what was kept of the connection is damaged",
				  where);
	else
		ret = vf_vu_keep(&vu, kept, err);
	if (ret) {
		vf_vu_close(&vu);
		return ret;
	}
	ret = adopt(bus, &vu, false, err);
	if (ret)
		return ret;
	dev = of(*bus);
	dev->vectors_set = kept->vectors < dev->vectors ? kept->vectors : dev->vectors;
	return 0;
}

static int vu_open(struct vf_bus **bus, const char *where, const struct vf_bus_opts *opts,
		   struct vferry_error *err)
{
	uint64_t timeout = opts->timeout_ns ? opts->timeout_ns : VF_BUS_TIMEOUT_NS;
	struct vf_vu vu;
	int ret = vf_vu_connect(&vu, where, timeout, err);

	return ret ? ret : vf_vfio_user_adopt(bus, &vu, err);
}

static int vu_region(struct vf_bus *bus, unsigned int region, struct vf_region *info)
{
	const struct vf_vu_region *known;

	if (region >= of(bus)->regions_count)
		return -ENXIO;
	known = &of(bus)->regions[region];
	info->size = known->size;
	info->readable = known->flags & VFIO_USER_REGION_F_READ;
	info->writable = known->flags & VFIO_USER_REGION_F_WRITE;
	info->mappable = (known->flags & VFIO_USER_REGION_F_MMAP) && known->fd >= 0;
	return 0;
}

/* Register accesses keep their width; longer ones are cut where the server wants it. */
static int access_region(struct vfio_user *dev, bool write, unsigned int region, uint64_t offset,
			 char *bytes, uint32_t count, struct vferry_error *err)
{
	while (count) {
		uint32_t part = count < dev->vu.max_xfer ? count : dev->vu.max_xfer;
		struct vfio_user_region_access request = {
			.offset = htole64(offset),
			.region = htole32(region),
			.count = htole32(part),
		};
		struct vfio_user_region_access reply;
		struct vf_vu_call call = {
			.command = write ? VFIO_USER_REGION_WRITE : VFIO_USER_REGION_READ,
			.out = { { &request, sizeof(request) }, { bytes, write ? part : 0 } },
			.in = { { &reply, sizeof(reply) }, { bytes, write ? 0 : part } },
			.in_min = (uint32_t)sizeof(reply) + (write ? 0 : part),
		};
		int ret = vf_vu_exchange(&dev->vu, &call, err);

		if (ret)
			return ret;
		if (le32toh(reply.count) != part || le64toh(reply.offset) != offset ||
		    le32toh(reply.region) != region)
			return vferry_fail(err, -EPROTO,
					   "%s: the answer to %s of %u bytes at 0x%llx of region "
					   "%u is about %u bytes at 0x%llx of region %u",
					   dev->path, vf_vu_command_name(call.command), part,
					   (unsigned long long)offset, region, le32toh(reply.count),
					   (unsigned long long)le64toh(reply.offset),
					   le32toh(reply.region));
		offset += part;
		bytes += part;
		count -= part;
	}
	return 0;
}

static int vu_read(struct vf_bus *bus, unsigned int region, uint64_t offset, void *bytes,
		   uint32_t count, struct vferry_error *err)
{
	return access_region(of(bus), false, region, offset, bytes, count, err);
}

static int vu_write(struct vf_bus *bus, unsigned int region, uint64_t offset, const void *bytes,
		    uint32_t count, struct vferry_error *err)
{
	return access_region(of(bus), true, region, offset, (char *)bytes, count, err);
}

static int vu_map(struct vf_bus *bus, unsigned int region, uint64_t offset, uint64_t size,
		  void **memory, int *fd, uint64_t *fd_offset)
{
	return vf_vu_region_map(&of(bus)->regions[region], offset, size, memory, fd, fd_offset);
}

static int vu_ioeventfd(struct vf_bus *bus, unsigned int region, uint64_t offset, uint32_t width,
			int *fd)
{
	if (region >= of(bus)->regions_count)
		return -ENXIO;
	return vf_vu_region_ioeventfd(&of(bus)->vu, region, &of(bus)->regions[region], offset,
				      width, fd);
}

static int vu_dma_map(struct vf_bus *bus, uint64_t iova, int fd, uint64_t offset, uint64_t size,
		      void *memory, bool writable, struct vferry_error *err)
{
	struct vfio_user_dma_map map = {
		.argsz = htole32(sizeof(map)),
		.flags = htole32(VFIO_USER_DMA_F_READ | (writable ? VFIO_USER_DMA_F_WRITE : 0)),
		.offset = htole64(offset),
		.address = htole64(iova),
		.size = htole64(size),
	};

	return plain(of(bus), VFIO_USER_DMA_MAP, &map, sizeof(map), 0, &fd, 1, err);
}

static int vu_dma_unmap(struct vf_bus *bus, uint64_t iova, uint64_t size, struct vferry_error *err)
{
	struct vfio_user_dma_unmap unmap = {
		.argsz = htole32(sizeof(unmap)),
		.address = htole64(iova),
		.size = htole64(size),
	};

	return plain(of(bus), VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), 0, NULL, 0, err);
}

static int vu_irqs(struct vf_bus *bus)
{
	return (int)of(bus)->vectors;
}

static int set_vectors(struct vfio_user *dev, uint32_t flags, unsigned int start,
		       unsigned int count, const int *fds, unsigned int fds_count,
		       struct vferry_error *err)
{
	struct vfio_user_set_irqs set = {
		.argsz = htole32(sizeof(set)),
		.flags = htole32(flags | VFIO_USER_IRQ_ACTION_TRIGGER),
		.index = htole32(VFIO_USER_IRQ_MSIX),
		.start = htole32(start),
		.count = htole32(count),
	};

	return plain(dev, VFIO_USER_DEVICE_SET_IRQS, &set, sizeof(set), 0, fds, fds_count, err);
}

/* Kernel VFIO sets this bit by itself with SET_IRQS; a vfio-user device sees what its client writes. */
static int msix_enable(struct vfio_user *dev, bool on, struct vferry_error *err)
{
	uint8_t at = 0;
	int ret = vf_bus_read(&dev->bus, VFIO_USER_CONFIG, PCI_CAPABILITY_LIST, &at, 1, err);

	for (unsigned int i = 0; !ret && at >= 0x40 && i < 48; i++) {
		uint8_t head[4];
		uint16_t control;

		at &= 0xfc;
		ret = vf_bus_read(&dev->bus, VFIO_USER_CONFIG, at, head, 4, err);
		if (ret)
			break;
		if (head[0] != PCI_CAP_ID_MSIX) {
			at = head[1];
			continue;
		}
		control = (uint16_t)(head[2] | head[3] << 8);
		control = (uint16_t)((control & ~(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)) |
				     (on ? PCI_MSIX_FLAGS_ENABLE : 0));
		control = htole16(control);
		return vf_bus_write(&dev->bus, VFIO_USER_CONFIG, at + 2U, &control, 2, err);
	}
	return ret;
}

static int vu_set_irqs(struct vf_bus *bus, const int *eventfds, unsigned int count,
		       struct vferry_error *err)
{
	struct vfio_user *dev = of(bus);
	int ret;

	if (count > dev->vectors)
		return vferry_fail(err, -EINVAL, "%s: %u interrupts wanted, the device has %u",
				   dev->path, count, dev->vectors);
	if (!count) {
		ret = msix_enable(dev, false, err);
		if (!ret)
			ret = set_vectors(dev, VFIO_USER_IRQ_DATA_NONE, 0, 0, NULL, 0, err);
		dev->vectors_set = 0;
		return ret;
	}
	for (unsigned int start = 0; start < count;) {
		unsigned int part = count - start;

		if (part > dev->vu.max_fds)
			part = dev->vu.max_fds;
		ret = set_vectors(dev, VFIO_USER_IRQ_DATA_EVENTFD, start, part, eventfds + start,
				  part, err);
		if (ret)
			return ret;
		start += part;
	}
	dev->vectors_set = count;
	return msix_enable(dev, true, err);
}

static int vu_reset(struct vf_bus *bus, struct vferry_error *err)
{
	struct vfio_user *dev = of(bus);

	if (!(dev->flags & VFIO_USER_DEVICE_F_RESET))
		return vferry_fail(err, -EOPNOTSUPP, "%s: the device cannot be reset", dev->path);
	return plain(dev, VFIO_USER_DEVICE_RESET, NULL, 0, 0, NULL, 0, err);
}

static int vu_fd(const struct vf_bus *bus)
{
	return of(bus)->vu.fd;
}

static bool vu_gone(struct vf_bus *bus)
{
	struct pollfd pfd = { .fd = of(bus)->vu.fd, .events = POLLRDHUP };

	if (of(bus)->vu.lost)
		return true;
	return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

const struct vf_bus_ops vf_bus_vfio_user = {
	.prefix = "vfio-user:",
	.open = vu_open,
	.keep = vu_keep,
	.resume = vu_resume,
	.close = vu_close,
	.region = vu_region,
	.read = vu_read,
	.write = vu_write,
	.map = vu_map,
	.ioeventfd = vu_ioeventfd,
	.dma_map = vu_dma_map,
	.dma_unmap = vu_dma_unmap,
	.irqs = vu_irqs,
	.set_irqs = vu_set_irqs,
	.reset = vu_reset,
	.fd = vu_fd,
	.gone = vu_gone,
};
