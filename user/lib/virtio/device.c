// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/pci_regs.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <vferry/vfio_user.h>
#include "ring/ring.h"
#include "virtio/device.h"

const char *vf_virtio_feature_name(unsigned int bit)
{
	switch (bit) {
	case VIRTIO_RING_F_INDIRECT_DESC:
		return "VIRTIO_F_INDIRECT_DESC";
	case VIRTIO_RING_F_EVENT_IDX:
		return "VIRTIO_F_EVENT_IDX";
	case VIRTIO_F_VERSION_1:
		return "VIRTIO_F_VERSION_1";
	case VIRTIO_F_ACCESS_PLATFORM:
		return "VIRTIO_F_ACCESS_PLATFORM";
	case VIRTIO_F_SR_IOV:
		return "VIRTIO_F_SR_IOV";
	case VIRTIO_F_RING_RESET:
		return "VIRTIO_F_RING_RESET";
	case VIRTIO_F_ADMIN_VQ:
		return "VIRTIO_F_ADMIN_VQ";
	}
	return NULL;
}

/* --- registers of the common configuration, each with its own width --- */

static int common_read(struct vf_virtio *dev, uint32_t at, void *value, uint32_t width,
		       struct vferry_error *err)
{
	if (at + width > dev->common.length)
		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: the common configuration has %u bytes, none at %u",
				   vf_bus_address(dev->bus), dev->common.length, at);
	return vf_bus_read(dev->bus, dev->common.region, dev->common.offset + at, value, width,
			   err);
}

static int common_write(struct vf_virtio *dev, uint32_t at, uint64_t value, uint32_t width,
			struct vferry_error *err)
{
	uint64_t wire = htole64(value);

	if (at + width > dev->common.length)
		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: the common configuration has %u bytes, none at %u",
				   vf_bus_address(dev->bus), dev->common.length, at);
	return vf_bus_write(dev->bus, dev->common.region, dev->common.offset + at, &wire, width,
			    err);
}

static int read16(struct vf_virtio *dev, uint32_t at, uint16_t *value, struct vferry_error *err)
{
	uint16_t wire = 0;
	int ret = common_read(dev, at, &wire, 2, err);

	*value = le16toh(wire);
	return ret;
}

static int read32(struct vf_virtio *dev, uint32_t at, uint32_t *value, struct vferry_error *err)
{
	uint32_t wire = 0;
	int ret = common_read(dev, at, &wire, 4, err);

	*value = le32toh(wire);
	return ret;
}

/* 64-bit registers are two of 32 (virtio 1.3, 4.1.3.1). */
static int write64(struct vf_virtio *dev, uint32_t at, uint64_t value, struct vferry_error *err)
{
	int ret = common_write(dev, at, (uint32_t)value, 4, err);

	return ret ? ret : common_write(dev, at + 4, value >> 32, 4, err);
}

/* Polling a register: short at first, then once a millisecond. */
static void rest(unsigned int *round)
{
	struct timespec pause = { .tv_nsec = *round < 10 ? 20000 << *round / 2 : 1000000 };

	(*round)++;
	nanosleep(&pause, NULL);
}

/* --- capabilities --- */

static struct vf_window *window_of(struct vf_virtio *dev, unsigned int type)
{
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		return &dev->common;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		return &dev->notify;
	case VIRTIO_PCI_CAP_ISR_CFG:
		return &dev->isr;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		return &dev->config;
	}
	return NULL;
}

static int one_capability(struct vf_virtio *dev, unsigned int at, struct vferry_error *err)
{
	const char *who = vf_bus_address(dev->bus);
	struct virtio_pci_notify_cap cap = { 0 };
	struct vf_window *window;
	struct vf_region region;
	uint32_t offset, length;
	int ret;

	if (at + sizeof(cap.cap) > 256)
		return vferry_fail(err, -EPROTO,
				   "%s: a virtio capability at 0x%x is cut off by the end of the "
				   "configuration space",
				   who, at);
	ret = vf_bus_read(dev->bus, VFIO_USER_CONFIG, at, &cap.cap, sizeof(cap.cap), err);
	if (ret)
		return ret;
	window = window_of(dev, cap.cap.cfg_type);
	/* The first of a type is the device's preference; types and BARs that are not known are to be ignored. */
	if (!window || window->length || cap.cap.bar > 5)
		return 0;
	if (cap.cap.cap_len < sizeof(cap.cap))
		return vferry_fail(err, -EPROTO,
				   "%s: the virtio capability at 0x%x says that it has %u bytes",
				   who, at, cap.cap.cap_len);
	offset = le32toh(cap.cap.offset);
	length = le32toh(cap.cap.length);
	ret = vf_bus_region(dev->bus, cap.cap.bar, &region);
	if (ret || offset > region.size || length > region.size - offset)
		return vferry_fail(err, -EPROTO,
				   "%s: the virtio capability at 0x%x names 0x%x bytes at 0x%x of "
				   "BAR %u, which has 0x%llx",
				   who, at, length, offset, cap.cap.bar,
				   ret ? 0ULL : (unsigned long long)region.size);
	if (cap.cap.cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
		if (cap.cap.cap_len < sizeof(cap) || at + sizeof(cap) > 256)
			return vferry_fail(err, -EPROTO,
					   "%s: the notification capability at 0x%x has no "
					   "multiplier",
					   who, at);
		ret = vf_bus_read(
			dev->bus, VFIO_USER_CONFIG,
			at + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier),
			&cap.notify_off_multiplier, 4, err);
		if (ret)
			return ret;
		dev->notify_multiplier = le32toh(cap.notify_off_multiplier);
	}
	*window = (struct vf_window){ .region = cap.cap.bar, .offset = offset, .length = length };
	return 0;
}

static int capabilities(struct vf_virtio *dev, struct vferry_error *err)
{
	uint8_t head[2];
	uint8_t at = 0;
	int ret = vf_bus_read(dev->bus, VFIO_USER_CONFIG, PCI_CAPABILITY_LIST, &at, 1, err);

	/* 48 fit; a list that is longer runs in a circle. */
	for (unsigned int i = 0; !ret && at >= 0x40 && i < 48; i++) {
		at &= 0xfc;
		ret = vf_bus_read(dev->bus, VFIO_USER_CONFIG, at, head, 2, err);
		if (!ret && head[0] == PCI_CAP_ID_VNDR)
			ret = one_capability(dev, at, err);
		at = head[1];
	}
	return ret;
}

int vf_virtio_open(struct vf_virtio *dev, struct vf_bus *bus, struct vferry_error *err)
{
	const char *who = vf_bus_address(bus);
	uint16_t id[2], command;
	int ret;

	*dev = (struct vf_virtio){ .bus = bus };
	ret = vf_bus_read(bus, VFIO_USER_CONFIG, 0, id, 4, err);
	if (ret)
		return ret;
	dev->vendor = le16toh(id[0]);
	dev->device = le16toh(id[1]);
	if (dev->vendor != VFERRY_PCI_VENDOR_VIRTIO)
		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: %04x:%04x is not a virtio device (vendor %04x)", who,
				   dev->vendor, dev->device, VFERRY_PCI_VENDOR_VIRTIO);
	ret = capabilities(dev, err);
	if (ret)
		return ret;
	/* Up to queue_device; the newer registers are checked where they are used. */
	if (dev->common.length < VIRTIO_PCI_COMMON_Q_NDATA || dev->notify.length < 2)
		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: %04x:%04x has no modern virtio transport (common "
				   "configuration of %u bytes, notifications of %u)",
				   who, dev->vendor, dev->device, dev->common.length,
				   dev->notify.length);
	ret = vf_bus_read(bus, VFIO_USER_CONFIG, PCI_COMMAND, &command, 2, err);
	if (ret)
		return ret;
	command = htole16((uint16_t)(le16toh(command) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	return vf_bus_write(bus, VFIO_USER_CONFIG, PCI_COMMAND, &command, 2, err);
}

/* --- status and features --- */

int vf_virtio_status(struct vf_virtio *dev, uint8_t *status, struct vferry_error *err)
{
	return common_read(dev, VIRTIO_PCI_COMMON_STATUS, status, 1, err);
}

static int add_status(struct vf_virtio *dev, uint8_t bits, struct vferry_error *err)
{
	uint8_t status;
	int ret = vf_virtio_status(dev, &status, err);

	if (ret)
		return ret;
	return common_write(dev, VIRTIO_PCI_COMMON_STATUS, status | bits, 1, err);
}

int vf_virtio_reset(struct vf_virtio *dev, uint64_t deadline_ns, struct vferry_error *err)
{
	unsigned int round = 0;
	uint8_t status;
	int ret = common_write(dev, VIRTIO_PCI_COMMON_STATUS, 0, 1, err);

	while (!ret) {
		ret = vf_virtio_status(dev, &status, err);
		if (ret || !status)
			break;
		if (vf_now_ns() >= deadline_ns)
			return vferry_fail(err, -ETIMEDOUT,
					   "%s: the device does not finish its reset (status 0x%x)",
					   vf_bus_address(dev->bus), status);
		rest(&round);
	}
	return ret;
}

static int offered(struct vf_virtio *dev, struct vferry_error *err)
{
	dev->offered = 0;
	for (uint32_t half = 0; half < 2; half++) {
		uint32_t bits;
		int ret = common_write(dev, VIRTIO_PCI_COMMON_DFSELECT, half, 4, err);

		if (!ret)
			ret = read32(dev, VIRTIO_PCI_COMMON_DF, &bits, err);
		if (ret)
			return ret;
		dev->offered |= (uint64_t)bits << 32 * half;
	}
	return 0;
}

int vf_virtio_begin(struct vf_virtio *dev, uint64_t required, uint64_t wanted, uint64_t deadline_ns,
		    struct vferry_error *err)
{
	const char *who = vf_bus_address(dev->bus);
	uint8_t status;
	int ret = vf_virtio_reset(dev, deadline_ns, err);

	if (!ret)
		ret = add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE, err);
	if (!ret)
		ret = add_status(dev, VIRTIO_CONFIG_S_DRIVER, err);
	if (!ret)
		ret = offered(dev, err);
	if (ret)
		return ret;
	if (required & ~dev->offered) {
		unsigned int bit = (unsigned int)__builtin_ctzll(required & ~dev->offered);
		const char *name = vf_virtio_feature_name(bit);

		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: %04x:%04x does not offer %s (feature bit %u; it offers "
				   "0x%llx)",
				   who, dev->vendor, dev->device, name ? name : "a feature", bit,
				   (unsigned long long)dev->offered);
	}
	dev->features = dev->offered & (required | wanted);
	for (uint32_t half = 0; half < 2 && !ret; half++) {
		ret = common_write(dev, VIRTIO_PCI_COMMON_GFSELECT, half, 4, err);
		if (!ret)
			ret = common_write(dev, VIRTIO_PCI_COMMON_GF,
					   (uint32_t)(dev->features >> 32 * half), 4, err);
	}
	if (!ret)
		ret = add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK, err);
	if (!ret)
		ret = vf_virtio_status(dev, &status, err);
	if (ret)
		return ret;
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK))
		return vferry_fail(err, -EOPNOTSUPP, "%s: the device refuses the features 0x%llx",
				   who, (unsigned long long)dev->features);
	return read16(dev, VIRTIO_PCI_COMMON_NUMQ, &dev->num_queues, err);
}

int vf_virtio_ready(struct vf_virtio *dev, struct vferry_error *err)
{
	return add_status(dev, VIRTIO_CONFIG_S_DRIVER_OK, err);
}

int vf_virtio_config(struct vf_virtio *dev, uint32_t offset, void *bytes, uint32_t count,
		     struct vferry_error *err)
{
	const char *who = vf_bus_address(dev->bus);

	if (offset > dev->config.length || count > dev->config.length - offset)
		return vferry_fail(err, -ERANGE,
				   "%s: the device configuration has %u bytes, not %u at %u", who,
				   dev->config.length, count, offset);
	for (unsigned int i = 0; i < 100; i++) {
		uint8_t before, after;
		int ret = common_read(dev, VIRTIO_PCI_COMMON_CFGGENERATION, &before, 1, err);

		if (!ret)
			ret = vf_bus_read(dev->bus, dev->config.region, dev->config.offset + offset,
					  bytes, count, err);
		if (!ret)
			ret = common_read(dev, VIRTIO_PCI_COMMON_CFGGENERATION, &after, 1, err);
		if (ret || before == after)
			return ret;
	}
	return vferry_fail(err, -EPROTO, "%s: the device configuration changes at each read", who);
}

/* --- queues --- */

static int choose(struct vf_virtio *dev, uint16_t index, struct vferry_error *err)
{
	return common_write(dev, VIRTIO_PCI_COMMON_Q_SELECT, index, 2, err);
}

int vf_virtio_queue_max(struct vf_virtio *dev, uint16_t index, uint16_t *max,
			struct vferry_error *err)
{
	int ret = choose(dev, index, err);

	return ret ? ret : read16(dev, VIRTIO_PCI_COMMON_Q_SIZE, max, err);
}

int vf_virtio_queue(struct vf_virtio *dev, const struct vf_virtio_queue *queue,
		    struct vferry_error *err)
{
	const char *who = vf_bus_address(dev->bus);
	uint16_t vector;
	int ret = choose(dev, queue->index, err);

	if (!ret)
		ret = common_write(dev, VIRTIO_PCI_COMMON_Q_SIZE, queue->size, 2, err);
	if (!ret)
		ret = common_write(dev, VIRTIO_PCI_COMMON_Q_MSIX, queue->vector, 2, err);
	if (!ret)
		ret = read16(dev, VIRTIO_PCI_COMMON_Q_MSIX, &vector, err);
	if (!ret && vector != queue->vector)
		return vferry_fail(err, -ENOSPC,
				   "%s: the device gives queue %u no interrupt vector %u", who,
				   queue->index, queue->vector);
	if (!ret)
		ret = write64(dev, VIRTIO_PCI_COMMON_Q_DESCLO, queue->desc, err);
	if (!ret)
		ret = write64(dev, VIRTIO_PCI_COMMON_Q_AVAILLO, queue->driver, err);
	if (!ret)
		ret = write64(dev, VIRTIO_PCI_COMMON_Q_USEDLO, queue->device, err);
	if (!ret)
		ret = common_write(dev, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2, err);
	return ret;
}

int vf_virtio_queue_reset(struct vf_virtio *dev, uint16_t index, uint64_t deadline_ns,
			  struct vferry_error *err)
{
	const char *who = vf_bus_address(dev->bus);
	unsigned int round = 0;
	uint16_t value;
	int ret;

	if (!(dev->features & 1ULL << VIRTIO_F_RING_RESET))
		return vferry_fail(err, -EOPNOTSUPP, "%s: VIRTIO_F_RING_RESET was not negotiated",
				   who);
	ret = choose(dev, index, err);
	if (!ret)
		ret = common_write(dev, VIRTIO_PCI_COMMON_Q_RESET, 1, 2, err);
	while (!ret) {
		ret = read16(dev, VIRTIO_PCI_COMMON_Q_RESET, &value, err);
		if (ret || !value)
			break;
		if (vf_now_ns() >= deadline_ns)
			return vferry_fail(err, -ETIMEDOUT,
					   "%s: the device does not finish the reset of queue %u",
					   who, index);
		rest(&round);
	}
	return ret;
}

int vf_virtio_doorbell(struct vf_virtio *dev, uint16_t index, unsigned int *region,
		       uint64_t *offset, struct vferry_error *err)
{
	uint16_t notify_off;
	uint64_t at;
	int ret = choose(dev, index, err);

	if (!ret)
		ret = read16(dev, VIRTIO_PCI_COMMON_Q_NOFF, &notify_off, err);
	if (ret)
		return ret;
	at = (uint64_t)notify_off * dev->notify_multiplier;
	if (at > dev->notify.length - 2)
		return vferry_fail(err, -EPROTO,
				   "%s: queue %u: queue_notify_off %u times the multiplier %u is "
				   "outside of the notification structure's %u bytes",
				   vf_bus_address(dev->bus), index, notify_off,
				   dev->notify_multiplier, dev->notify.length);
	*region = dev->notify.region;
	*offset = dev->notify.offset + at;
	return 0;
}

int vf_virtio_admin_queues(struct vf_virtio *dev, uint16_t *first, uint16_t *count,
			   struct vferry_error *err)
{
	const char *who = vf_bus_address(dev->bus);
	int ret = read16(dev, VIRTIO_PCI_COMMON_ADM_Q_IDX, first, err);

	if (!ret)
		ret = read16(dev, VIRTIO_PCI_COMMON_ADM_Q_NUM, count, err);
	if (ret)
		return ret;
	if (!*count)
		return vferry_fail(err, -EOPNOTSUPP,
				   "%s: the device offers VIRTIO_F_ADMIN_VQ and has no admin queue "
				   "(admin_queue_num 0)",
				   who);
	if (*first < dev->num_queues || *count > 0x10000 - *first)
		return vferry_fail(err, -EPROTO,
				   "%s: admin queues %u to %u cannot be: the other queues are 0 to "
				   "%d (admin_queue_index %u, admin_queue_num %u, num_queues %u)",
				   who, *first, *first + *count - 1, dev->num_queues - 1, *first,
				   *count, dev->num_queues);
	return 0;
}
