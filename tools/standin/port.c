// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "tools/standin/port.h"

#define CONFIG_REGION	 7
#define CONFIG_BYTES	 256
#define CAPABILITIES_MAX 48

void port_blank(struct port *port)
{
	*port = (struct port){ .bus = NULL };
	for (unsigned int i = 0; i < PORT_VECTORS_MAX; i++)
		port->irq[i] = -1;
	for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++)
		port->bell[i].fd = -1;
}

int port_open(struct port *port, const char *address, uint64_t timeout_ns, struct vferry_error *err)
{
	const struct vf_bus_opts opts = { .timeout_ns = timeout_ns };
	int error;

	port_blank(port);
	error = vf_bus_open(&port->bus, address, &opts, err);
	if (error) {
		port->bus = NULL;
		return error;
	}
	error = vf_virtio_open(&port->virtio, port->bus, err);
	if (!error && port->virtio.device != VFERRY_PCI_DEVICE_BLK)
		error = vferry_fail(err, -ENODEV,
				    "%s is %04x:%04x, not a virtio-blk function (1af4:1042)",
				    address, port->virtio.vendor, port->virtio.device);
	if (error)
		port_close(port);
	return error;
}

void port_close(struct port *port)
{
	if (port->bus)
		vf_bus_close(port->bus);
	for (unsigned int i = 0; i < PORT_VECTORS_MAX; i++)
		if (port->irq[i] >= 0)
			close(port->irq[i]);
	for (unsigned int i = 0; i < PORT_QUEUES_MAX; i++)
		if (port->bell[i].fd >= 0)
			close(port->bell[i].fd);
	port_blank(port);
}

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t get32(const uint8_t *bytes)
{
	return get16(bytes) | (uint32_t)get16(bytes + 2) << 16;
}

/* The table as a VMM leaves it that passes it through: any address, unmasked. Then the enable bit. */
static int enable_msix(struct port *port, struct vferry_error *err)
{
	uint8_t config[CONFIG_BYTES], control[2];
	unsigned int at, bar;
	uint32_t table;
	int error;

	error = vf_bus_read(port->bus, CONFIG_REGION, 0, config, sizeof(config), err);
	if (error)
		return error;
	at = config[PCI_CAPABILITY_LIST] & ~3u;
	for (unsigned int i = 0; i < CAPABILITIES_MAX; i++, at = config[at + 1] & ~3u)
		if (at < 0x40 || at + PCI_CAP_MSIX_SIZEOF > CONFIG_BYTES ||
		    config[at] == PCI_CAP_ID_MSIX)
			break;
	if (at < 0x40 || at + PCI_CAP_MSIX_SIZEOF > CONFIG_BYTES || config[at] != PCI_CAP_ID_MSIX)
		return vferry_fail(err, -ENODEV, "%s has no MSI-X capability",
				   vf_bus_address(port->bus));
	bar = config[at + PCI_MSIX_TABLE] & PCI_MSIX_TABLE_BIR;
	table = get32(config + at + PCI_MSIX_TABLE) & PCI_MSIX_TABLE_OFFSET;
	for (uint32_t i = 0; i < port->vectors; i++) {
		const uint32_t entry[4] = { htole32(0xfee00000), 0, htole32(i), 0 };

		error = vf_bus_write(port->bus, bar, table + i * sizeof(entry), entry,
				     sizeof(entry), err);
		if (error)
			return error;
	}
	control[0] = config[at + PCI_MSIX_FLAGS];
	control[1] = config[at + PCI_MSIX_FLAGS + 1] | PCI_MSIX_FLAGS_ENABLE >> 8;
	return vf_bus_write(port->bus, CONFIG_REGION, at + PCI_MSIX_FLAGS, control, 2, err);
}

int port_wire(struct port *port, const struct memory *memory, unsigned int queues,
	      struct vferry_error *err)
{
	int have = vf_bus_irqs(port->bus), error;

	if (have < (int)queues + 1 || queues > PORT_QUEUES_MAX)
		return vferry_fail(err, -ENODEV, "%s has %d MSI-X vectors; %u queues need %u",
				   vf_bus_address(port->bus), have, queues, queues + 1);
	port->vectors = queues + 1;
	for (unsigned int i = 0; i < port->vectors; i++) {
		port->irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (port->irq[i] < 0)
			return vferry_fail(err, -errno, "eventfd: %s", strerror(errno));
	}
	error = vf_bus_dma_map(port->bus, memory->iova, memory->fd, 0, memory->bytes, memory->base,
			       true, err);
	if (!error)
		error = vf_bus_set_irqs(port->bus, port->irq, port->vectors, err);
	return error ? error : enable_msix(port, err);
}

static int blk_config(struct port *port, struct port_driver *driver, struct vferry_error *err)
{
	struct virtio_blk_config config = { 0 };
	uint32_t bytes = sizeof(config);
	uint64_t features = port->virtio.features;
	uint16_t offered;
	int error;

	if (bytes > port->virtio.config.length)
		bytes = port->virtio.config.length;
	error = vf_virtio_config(&port->virtio, 0, &config, bytes, err);
	if (error)
		return error;
	driver->capacity = le64toh((__le64)config.capacity);
	driver->seg_max = features >> VIRTIO_BLK_F_SEG_MAX & 1 ? le32toh(config.seg_max) : 1;
	offered = features >> VIRTIO_BLK_F_MQ & 1 ? le16toh(config.num_queues) : 1;
	driver->queues = driver->want_queues < offered ? driver->want_queues : offered;
	if (!driver->queues || !driver->seg_max)
		return vferry_fail(err, -EIO, "%s says num_queues %u, seg_max %u",
				   vf_bus_address(port->bus), offered, driver->seg_max);
	return 0;
}

int port_negotiate(struct port *port, struct port_driver *driver, uint64_t deadline_ns,
		   struct vferry_error *err)
{
	uint64_t wanted = 1ULL << VIRTIO_F_ACCESS_PLATFORM | 1ULL << VIRTIO_F_RING_RESET |
			  1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
			  1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_MQ;
	uint16_t size = UINT16_MAX;
	int error;

	if (driver->want_event_idx)
		wanted |= 1ULL << VIRTIO_RING_F_EVENT_IDX;
	if (driver->want_indirect)
		wanted |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	error = vf_virtio_begin(&port->virtio, 1ULL << VIRTIO_F_VERSION_1, wanted, deadline_ns,
				err);
	if (!error)
		error = blk_config(port, driver, err);
	for (uint16_t i = 0; !error && i < driver->queues; i++) {
		uint16_t max = 0;

		error = vf_virtio_queue_max(&port->virtio, i, &max, err);
		if (max < size)
			size = max;
	}
	if (error)
		return error;
	driver->event_idx = port->virtio.features >> VIRTIO_RING_F_EVENT_IDX & 1;
	driver->indirect = port->virtio.features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	driver->flush = port->virtio.features >> VIRTIO_BLK_F_FLUSH & 1;
	driver->size = driver->want_size < size ? driver->want_size : size;
	while (driver->size & (driver->size - 1))
		driver->size &= driver->size - 1;
	if (driver->size < 4)
		return vferry_fail(err, -EIO, "%s has queues of %u entries; 4 are the least",
				   vf_bus_address(port->bus), size);
	return 0;
}

static int make_bell(struct port *port, uint16_t index, struct vferry_error *err)
{
	struct port_bell *bell = &port->bell[index];
	int error = vf_bus_ioeventfd(port->bus, bell->region, bell->offset, 2, &bell->fd);

	if (!error)
		return 0;
	bell->fd = -1;
	return error == -EOPNOTSUPP
		       ? 0
		       : vferry_fail(err, error, "%s: doorbell of queue %u: %s",
				     vf_bus_address(port->bus), index, strerror(-error));
}

int port_queue(struct port *port, const struct port_driver *driver, uint16_t index, uint64_t desc,
	       uint64_t avail, uint64_t used, struct vferry_error *err)
{
	const struct vf_virtio_queue queue = {
		.index = index,
		.size = driver->size,
		.vector = (uint16_t)(index + 1),
		.desc = desc,
		.driver = avail,
		.device = used,
	};
	struct port_bell *bell = &port->bell[index];
	int error = vf_virtio_queue(&port->virtio, &queue, err);

	if (!error)
		error = vf_virtio_doorbell(&port->virtio, index, &bell->region, &bell->offset, err);
	return error ? error : make_bell(port, index, err);
}

int port_start(struct port *port, struct vferry_error *err)
{
	return vf_virtio_ready(&port->virtio, err);
}

static bool same_window(const struct vf_window *a, const struct vf_window *b)
{
	return a->region == b->region && a->offset == b->offset && a->length == b->length;
}

int port_follow(struct port *port, const struct port *source, unsigned int queues,
		struct vferry_error *err)
{
	const struct vf_virtio *a = &source->virtio, *b = &port->virtio;
	const char *what = NULL;

	if (!same_window(&a->common, &b->common))
		what = "common configuration";
	else if (!same_window(&a->notify, &b->notify) ||
		 a->notify_multiplier != b->notify_multiplier)
		what = "doorbells";
	else if (!same_window(&a->config, &b->config))
		what = "device configuration";
	if (what)
		return vferry_fail(
			err, -EINVAL,
			"%s keeps its %s elsewhere than %s does: a guest cannot go on there",
			vf_bus_address(port->bus), what, vf_bus_address(source->bus));
	for (uint16_t i = 0; i < queues; i++) {
		int error;

		port->bell[i].region = source->bell[i].region;
		port->bell[i].offset = source->bell[i].offset;
		error = make_bell(port, i, err);
		if (error)
			return error;
	}
	return 0;
}

void port_ring(struct port *port, unsigned int queue)
{
	const struct port_bell *bell = &port->bell[queue];

	if (port->dead || !port->bus)
		return;
	port->kicks++;
	if (bell->fd >= 0) {
		const uint64_t one = 1;

		/* EAGAIN: the counter is full, the device has signals enough. */
		if (write(bell->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			port->dead = true;
	} else {
		const uint16_t wire = htole16((uint16_t)queue);

		if (vf_bus_write(port->bus, bell->region, bell->offset, &wire, sizeof(wire), NULL))
			port->dead = true;
	}
}

uint64_t port_drain(struct port *port, unsigned int n)
{
	uint64_t count = 0;

	if (port->irq[n] < 0 || read(port->irq[n], &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}
