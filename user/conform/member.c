// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The VF's own function, and a driver with one queue on it: what a guest would see of modes. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "conform/conform.h"
#include "virtio/device.h"
#include "virtio/vq.h"

#define MEMORY_BYTES  (64u << 10)
#define MEMORY_IOVA   0x40000000ull
#define QUEUE_SIZE    16
#define REQUESTS_AT   0x4000u
#define REQUEST_BYTES 0x800u
#define VECTORS	      2 /* configuration, queue 0 */
#define CONFIG	      7
#define CONFIG_BYTES  256
#define PAUSE_NS      6000000L

struct guest {
	struct vf_bus *bus;
	struct vf_virtio virtio;
	struct vf_vq vq;
	uint8_t *memory;
	int memory_fd;
	int irq[VECTORS];
	bool driver;
	unsigned int requests;
	unsigned int bell_region;
	uint64_t bell_offset;
};

void guest_pause(struct conform *c)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	/* A register's answer comes behind what was written before; then the rest of the device has its time. */
	guest_status(c);
	nanosleep(&pause, NULL);
}

static uint64_t deadline(const struct conform *c)
{
	return vf_now_ns() + c->opts.timeout_ns;
}

void guest_close(struct conform *c)
{
	struct guest *g = c->guest;

	if (g->bus)
		vf_bus_close(g->bus);
	vf_vq_close(&g->vq);
	if (g->memory)
		munmap(g->memory, MEMORY_BYTES);
	if (g->memory_fd >= 0)
		close(g->memory_fd);
	for (unsigned int i = 0; i < VECTORS; i++)
		if (g->irq[i] >= 0)
			close(g->irq[i]);
	free(g);
	c->guest = NULL;
}

/* The pattern's %d, once; nothing else of it is a format. */
static void address_of(const struct conform *c, char *address, size_t room)
{
	const char *pattern = c->opts.member_socket, *at = strstr(pattern, "%d");

	if (at)
		snprintf(address, room, "%.*s%u%s", (int)(at - pattern), pattern, c->vf, at + 2);
	else
		snprintf(address, room, "%s", pattern);
}

static int wire(struct guest *g, struct vferry_error *err)
{
	int ret;

	g->memory_fd = memfd_create("vferry-conform", MFD_CLOEXEC);
	if (g->memory_fd < 0 || ftruncate(g->memory_fd, MEMORY_BYTES))
		return vferry_fail(err, -errno, "memory: %s", strerror(errno));
	g->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, g->memory_fd, 0);
	if (g->memory == MAP_FAILED) {
		g->memory = NULL;
		return vferry_fail(err, -errno, "memory: %s", strerror(errno));
	}
	for (unsigned int i = 0; i < VECTORS; i++) {
		g->irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (g->irq[i] < 0)
			return vferry_fail(err, -errno, "eventfd: %s", strerror(errno));
	}
	ret = vf_bus_dma_map(g->bus, MEMORY_IOVA, g->memory_fd, 0, MEMORY_BYTES, g->memory, true,
			     err);
	return ret ? ret : vf_bus_set_irqs(g->bus, g->irq, VECTORS, err);
}

/* The enable bit; the table's entries are not needed where vectors are eventfds, but unmasked by it. */
static int enable_msix(struct guest *g, struct vferry_error *err)
{
	static const uint32_t unmasked[4] = { 0xfee00000 };
	uint8_t config[CONFIG_BYTES];
	unsigned int at, left = 48;
	uint32_t table;
	int ret = vf_bus_read(g->bus, CONFIG, 0, config, sizeof(config), err);

	if (ret)
		return ret;
	for (at = config[PCI_CAPABILITY_LIST] & ~3u;
	     at >= 0x40 && at <= CONFIG_BYTES - 12 && left--; at = config[at + 1] & ~3u)
		if (config[at] == PCI_CAP_ID_MSIX)
			break;
	if (at < 0x40 || at > CONFIG_BYTES - 12 || config[at] != PCI_CAP_ID_MSIX)
		return vferry_fail(err, -ENODEV, "the VF has no MSI-X capability");
	memcpy(&table, config + at + PCI_MSIX_TABLE, sizeof(table));
	table = le32toh(table);
	for (unsigned int i = 0; i < VECTORS && !ret; i++)
		ret = vf_bus_write(g->bus, table & PCI_MSIX_TABLE_BIR,
				   (table & PCI_MSIX_TABLE_OFFSET) + i * sizeof(unmasked), unmasked,
				   sizeof(unmasked), err);
	config[at + 3] |= PCI_MSIX_FLAGS_ENABLE >> 8;
	return ret ? ret
		   : vf_bus_write(g->bus, CONFIG, at + PCI_MSIX_FLAGS, config + at + 2, 2, err);
}

void guest_open(struct conform *c)
{
	const struct vf_bus_opts opts = { .timeout_ns = c->opts.timeout_ns };
	struct vferry_error err = { 0 };
	char address[256];
	struct guest *g;
	int ret;

	if (!going(c) || c->guest)
		return;
	g = calloc(1, sizeof(*g));
	if (!g)
		abort();
	g->memory_fd = g->irq[0] = g->irq[1] = -1;
	c->guest = g;
	address_of(c, address, sizeof(address));
	ret = vf_bus_open(&g->bus, address, &opts, &err);
	if (ret)
		g->bus = NULL;
	else
		ret = vf_virtio_open(&g->virtio, g->bus, &err);
	if (!ret)
		ret = wire(g, &err);
	if (ret)
		not_applicable(c, "the VF's function cannot be driven: %s", err.text);
}

void guest_start(struct conform *c)
{
	const struct vf_vq_layout layout = vf_vq_layout(QUEUE_SIZE);
	struct vf_virtio_queue queue = {
		.size = QUEUE_SIZE,
		.vector = 1,
		.desc = MEMORY_IOVA + layout.desc,
		.driver = MEMORY_IOVA + layout.avail,
		.device = MEMORY_IOVA + layout.used,
	};
	struct vferry_error err = { 0 };
	struct guest *g;
	uint16_t vector = 0;
	int ret;

	guest_open(c);
	g = c->guest;
	if (!going(c))
		return;
	if (g->virtio.device != VFERRY_PCI_DEVICE_BLK) {
		not_applicable(c, "this check drives virtio-blk only");
		return;
	}
	ret = enable_msix(g, &err);
	if (!ret)
		ret = vf_virtio_begin(&g->virtio, 1ull << VIRTIO_F_VERSION_1,
				      1ull << VIRTIO_F_ACCESS_PLATFORM, deadline(c), &err);
	if (!ret)
		ret = vf_bus_write(g->bus, g->virtio.common.region,
				   g->virtio.common.offset + VIRTIO_PCI_COMMON_MSIX, &vector, 2,
				   &err);
	if (!ret)
		ret = vf_vq_open(&g->vq, g->memory, &layout, QUEUE_SIZE, false);
	if (!ret)
		ret = vf_virtio_queue(&g->virtio, &queue, &err);
	if (!ret)
		ret = vf_virtio_doorbell(&g->virtio, 0, &g->bell_region, &g->bell_offset, &err);
	if (!ret)
		ret = vf_virtio_ready(&g->virtio, &err);
	if (ret)
		not_applicable(c, "the VF's driver does not start: %s", err.text);
	g->driver = !ret;
}

static bool driven(struct conform *c)
{
	return going(c) && c->guest && c->guest->driver;
}

static uint32_t request_at(unsigned int n)
{
	return REQUESTS_AT + n % 8 * REQUEST_BYTES;
}

void guest_request(struct conform *c)
{
	struct guest *g = c->guest;
	struct virtio_blk_outhdr head = { .type = htole32(VIRTIO_BLK_T_IN) };
	uint32_t at;
	struct vferry_sg out, in[2];

	if (!driven(c))
		return;
	at = request_at(g->requests++);
	memcpy(g->memory + at, &head, sizeof(head));
	memset(g->memory + at + 512, FILL, 1024);
	out = (struct vferry_sg){ MEMORY_IOVA + at, sizeof(head) };
	in[0] = (struct vferry_sg){ MEMORY_IOVA + at + 512, 512 };
	in[1] = (struct vferry_sg){ MEMORY_IOVA + at + 1024, 1 };
	if (vf_vq_add(&g->vq, &out, 1, in, 2, NULL, g))
		not_applicable(c, "the check's own ring is full");
	vf_vq_publish(&g->vq);
}

void guest_ring(struct conform *c)
{
	const uint16_t queue = 0;
	struct vferry_error err = { 0 };

	if (driven(c) && vf_bus_write(c->guest->bus, c->guest->bell_region, c->guest->bell_offset,
				      &queue, sizeof(queue), &err))
		fail(c, "the doorbell's write is answered, and: %s", err.text);
}

uint16_t guest_used(struct conform *c)
{
	const struct vf_vq_layout layout = vf_vq_layout(QUEUE_SIZE);

	if (!driven(c))
		return 0;
	return le16toh(__atomic_load_n((uint16_t *)(void *)(c->guest->memory + layout.used + 2),
				       __ATOMIC_ACQUIRE));
}

bool guest_touched(struct conform *c)
{
	if (!driven(c) || !c->guest->requests)
		return false;
	for (uint32_t at = request_at(c->guest->requests - 1) + 512, i = 0; i < 513; i++)
		if (c->guest->memory[at + i] != FILL)
			return true;
	return false;
}

bool guest_wait_used(struct conform *c, uint16_t index)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	uint64_t until = deadline(c);

	while (driven(c) && guest_used(c) != index) {
		if (vf_now_ns() >= until)
			return false;
		nanosleep(&pause, NULL);
	}
	return going(c);
}

uint64_t guest_interrupts(struct conform *c)
{
	uint64_t sum = 0, count;

	for (unsigned int i = 0; c->guest && i < VECTORS; i++)
		if (c->guest->irq[i] >= 0 &&
		    read(c->guest->irq[i], &count, sizeof(count)) == sizeof(count))
			sum += count;
	return sum;
}

bool guest_wait_interrupt(struct conform *c)
{
	struct pollfd fds[VECTORS];

	if (!going(c) || !c->guest)
		return false;
	for (unsigned int i = 0; i < VECTORS; i++)
		fds[i] = (struct pollfd){ .fd = c->guest->irq[i], .events = POLLIN };
	return poll(fds, VECTORS, (int)(c->opts.timeout_ns / 1000000) + 1) > 0;
}

void guest_flr(struct conform *c)
{
	struct vferry_error err = { 0 };

	if (going(c) && c->guest && vf_bus_reset(c->guest->bus, &err))
		not_applicable(c, "the VF cannot be reset: %s", err.text);
}

void guest_reset(struct conform *c)
{
	struct vferry_error err = { 0 };

	if (going(c) && c->guest && vf_virtio_reset(&c->guest->virtio, deadline(c), &err))
		fail(c, "device status 0 after a write of 0, and: %s", err.text);
}

static void common(struct conform *c, uint32_t at, void *value, uint32_t count, bool write)
{
	const struct vf_window *window;
	struct vferry_error err = { 0 };
	int ret;

	if (!going(c) || !c->guest)
		return;
	window = &c->guest->virtio.common;
	ret = write ? vf_bus_write(c->guest->bus, window->region, window->offset + at, value, count,
				   &err)
		    : vf_bus_read(c->guest->bus, window->region, window->offset + at, value, count,
				  &err);
	if (ret)
		fail(c, "the VF's registers can be %s, and: %s", write ? "written" : "read",
		     err.text);
}

void guest_select(struct conform *c, uint16_t queue)
{
	queue = htole16(queue);
	common(c, VIRTIO_PCI_COMMON_Q_SELECT, &queue, sizeof(queue), true);
}

uint16_t guest_selected(struct conform *c)
{
	uint16_t queue = 0;

	common(c, VIRTIO_PCI_COMMON_Q_SELECT, &queue, sizeof(queue), false);
	return le16toh(queue);
}

uint8_t guest_status(struct conform *c)
{
	uint8_t status = 0;

	common(c, VIRTIO_PCI_COMMON_STATUS, &status, sizeof(status), false);
	return status;
}

uint32_t guest_pci_id(struct conform *c)
{
	struct vferry_error err = { 0 };
	uint32_t id = 0;

	if (going(c) && c->guest && vf_bus_read(c->guest->bus, CONFIG, 0, &id, sizeof(id), &err))
		fail(c, "PCI configuration can be read in every mode, and: %s", err.text);
	return le32toh(id);
}
