/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One side of a VF: its function on the source or on the destination owner, as a VMM and its guest reach it.
 * Three steps, because a move needs the first two on the destination and never the third:
 *
 *   port_open()   connect, find the virtio structures
 *   port_wire()   the VMM's: memory, interrupts, MSI-X (and the PCI command register, by port_open())
 *   port_negotiate(), port_start()   the guest driver's initialisation of a device
 */
#ifndef STANDIN_PORT_H
#define STANDIN_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include "bus/bus.h"
#include "tools/standin/memory.h"
#include "virtio/device.h"

#define PORT_QUEUES_MAX	 16
#define PORT_VECTORS_MAX (PORT_QUEUES_MAX + 1) /* vector 0: configuration */

struct port_bell {
	unsigned int region;
	uint64_t offset;
	int fd; /* ioeventfd, or -1: by message */
};

struct port {
	struct vf_bus *bus;
	struct vf_virtio virtio;
	unsigned int vectors;
	int irq[PORT_VECTORS_MAX]; /* eventfds, vector by vector */
	struct port_bell bell[PORT_QUEUES_MAX];
	bool dead; /* a doorbell by message failed: the other end is gone */
	uint64_t kicks;
};

/* What the driver asks of the device and what it got. */
struct port_driver {
	uint16_t want_queues;
	uint16_t want_size;
	bool want_event_idx, want_indirect;

	bool event_idx, indirect, flush;
	uint64_t capacity; /* sectors */
	uint32_t seg_max;  /* data segments of one request */
	uint16_t queues;
	uint16_t size;
};

void port_blank(struct port *port);
int port_open(struct port *port, const char *address, uint64_t timeout_ns,
	      struct vferry_error *err);
void port_close(struct port *port);

/** port_wire() - @queues interrupts besides the configuration's, and all of @memory. */
int port_wire(struct port *port, const struct memory *memory, unsigned int queues,
	      struct vferry_error *err);
/** port_negotiate() - reset, features, configuration; nothing of the queues yet. */
int port_negotiate(struct port *port, struct port_driver *driver, uint64_t deadline_ns,
		   struct vferry_error *err);
/** port_queue() - set up a queue of @driver->size entries and its doorbell. */
int port_queue(struct port *port, const struct port_driver *driver, uint16_t index, uint64_t desc,
	       uint64_t avail, uint64_t used, struct vferry_error *err);
/** port_start() - DRIVER_OK. */
int port_start(struct port *port, struct vferry_error *err);
/** port_follow() - a destination's doorbells, where a guest that drove @source will ring. The words name what stands elsewhere. */
int port_follow(struct port *port, const struct port *source, unsigned int queues,
		struct vferry_error *err);
void port_ring(struct port *port, unsigned int queue);
/** port_drain() - read vector @n's eventfd: how many signals, 0 when none. */
uint64_t port_drain(struct port *port, unsigned int n);

#endif
