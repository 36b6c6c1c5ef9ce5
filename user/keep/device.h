/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the loans need of an owner. device.c has it from a PF; tests have their own. */
#ifndef VF_KEEP_DEVICE_H
#define VF_KEEP_DEVICE_H

#include <vferry/error.h>
#include "bus/lease.h"

struct keep_device_ops {
	int (*lease)(void *device, unsigned int queue, uint64_t arena_bytes, struct vf_lease *lease,
		     struct vferry_error *err);
	int (*unlease)(void *device, struct vf_lease *lease, struct vferry_error *err);
	uint16_t (*pending)(void *device, unsigned int queue);
	void (*kick)(void *device, struct vf_lease *lease);
	/* as vf_pf_queue_reset() */
	int (*reset)(void *device, unsigned int queue, uint64_t deadline_ns,
		     struct vferry_error *err);
};

struct vf_pf;

/** keep_device_pf - over a struct vf_pf */
extern const struct keep_device_ops keep_device_pf;

#endif
