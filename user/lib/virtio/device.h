/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The driver's side of a virtio device on PCI (modern transport) through a bus: capabilities, features, status, queues.
 * Control path: each call is one or a few register accesses, blocking up to the bus's timeout.
 */
#ifndef VF_DEVICE_H
#define VF_DEVICE_H

#include <vferry/virtio.h>
#include "bus/bus.h"

/** struct vf_window - one of the structures that a virtio capability names */
struct vf_window {
	unsigned int region; /* BAR */
	uint64_t offset;
	uint32_t length; /* 0: there is none */
};

/** struct vf_virtio - a device; vf_virtio_open() fills it in */
struct vf_virtio {
	struct vf_bus *bus; /* the caller's */
	struct vf_window common, notify, isr, config;
	uint32_t notify_multiplier;
	uint16_t vendor, device;
	uint16_t num_queues;
	uint64_t offered;  /* device features, after vf_virtio_begin() */
	uint64_t features; /* negotiated */
};

/** struct vf_virtio_queue - to set up with vf_virtio_queue() */
struct vf_virtio_queue {
	uint16_t index;
	uint16_t size;
	uint16_t vector; /* VIRTIO_MSI_NO_VECTOR: none */
	uint64_t desc, driver, device;
};

/** vf_virtio_open() - find the capabilities (each checked against its BAR), switch on memory space and bus mastering. */
int vf_virtio_open(struct vf_virtio *dev, struct vf_bus *bus, struct vferry_error *err);
/** vf_virtio_reset() - write status 0 and wait until it reads 0. -ETIMEDOUT. */
int vf_virtio_reset(struct vf_virtio *dev, uint64_t deadline_ns, struct vferry_error *err);
/**
 * vf_virtio_begin() - reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK
 * @required: without these bits -EOPNOTSUPP, the words name the first that is missing
 * @wanted: taken when offered
 */
int vf_virtio_begin(struct vf_virtio *dev, uint64_t required, uint64_t wanted, uint64_t deadline_ns,
		    struct vferry_error *err);
/** vf_virtio_ready() - DRIVER_OK. */
int vf_virtio_ready(struct vf_virtio *dev, struct vferry_error *err);
int vf_virtio_status(struct vf_virtio *dev, uint8_t *status, struct vferry_error *err);
/** vf_virtio_generation() and device configuration reads: repeat until the generation is the same before and after. */
int vf_virtio_config(struct vf_virtio *dev, uint32_t offset, void *bytes, uint32_t count,
		     struct vferry_error *err);

/** vf_virtio_queue_max() - largest size of a queue, 0: the queue does not exist. */
int vf_virtio_queue_max(struct vf_virtio *dev, uint16_t index, uint16_t *max,
			struct vferry_error *err);
/** vf_virtio_queue() - set up and enable. */
int vf_virtio_queue(struct vf_virtio *dev, const struct vf_virtio_queue *queue,
		    struct vferry_error *err);
/** vf_virtio_queue_reset() - VIRTIO_F_RING_RESET: reset and wait. Afterwards vf_virtio_queue() sets it up again. */
int vf_virtio_queue_reset(struct vf_virtio *dev, uint16_t index, uint64_t deadline_ns,
			  struct vferry_error *err);
/** vf_virtio_doorbell() - where the notification of a queue goes: @bytes is written there as le16. */
int vf_virtio_doorbell(struct vf_virtio *dev, uint16_t index, unsigned int *region,
		       uint64_t *offset, struct vferry_error *err);
/** vf_virtio_admin_queues() - admin_queue_index and admin_queue_num, checked. */
int vf_virtio_admin_queues(struct vf_virtio *dev, uint16_t *first, uint16_t *count,
			   struct vferry_error *err);

/** vf_virtio_feature_name() - of a bit, for words; NULL when it has none here. */
const char *vf_virtio_feature_name(unsigned int bit);

/* SR-IOV in configuration space (sriov.c). -EOPNOTSUPP: the function has no such capability (or a hypervisor hides it). */
int vf_sriov_get(struct vf_bus *bus, uint16_t *total, uint16_t *enabled, struct vferry_error *err);
/** vf_sriov_set() - @count VFs enabled; when another number was, all go and come back blank. */
int vf_sriov_set(struct vf_bus *bus, uint16_t count, struct vferry_error *err);

#endif
