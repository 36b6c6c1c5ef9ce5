/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The owner's PF, brought up by whoever holds the bus: the keeper, or one process alone. Features, admin queues in
 * memory of their own, DRIVER_OK, VF Enable. It lends admin queues.
 */
#ifndef VF_PF_H
#define VF_PF_H

#include "bus/bus.h"
#include "bus/lease.h"

struct vf_pf;

#define VF_PF_QUEUES 16

/** struct vf_pf_kept - what the next process needs to go on with a PF, beside descriptors; written as it changes */
struct vf_pf_kept {
	struct vf_bus_kept bus;
	uint64_t features, offered;
	uint64_t list, list_used;
	uint16_t num_queues, num_vfs, total_vfs;
	uint16_t queues_count;
	struct {
		uint64_t arena_bytes; /* mapped for the device; 0: none is */
		uint16_t index, size;
		uint32_t resetting; /* its reset was begun and not ended */
	} queues[VF_PF_QUEUES];
};

struct vf_pf_opts {
	struct vf_bus_opts bus;
	uint16_t num_vfs; /* enable that many; 0: as found */
	unsigned int
		queues; /* admin queues to set up at most; 0: all that the device has, up to 16 */
	uint16_t queue_size; /* 0: 128, or less where the device says so */
	uint64_t list_use;   /* bits to LIST_USE for group 1; 0: base + migration commands */
};

/** vf_pf_open() - opens the bus (for kernel VFIO that resets the PF), negotiates, sets up the admin queues, LIST_QUERY/LIST_USE. The words name a missing feature or command. */
int vf_pf_open(struct vf_pf **pf, const char *address, const struct vf_pf_opts *opts,
	       struct vferry_error *err);
void vf_pf_close(struct vf_pf *pf);

/** vf_pf_keep() - put all that a successor needs into @fds, and keep @kept right from now on until vf_pf_close(). */
int vf_pf_keep(struct vf_pf *pf, struct vf_pf_kept *kept, struct vf_kept_fds *fds,
	       struct vferry_error *err);
/**
 * vf_pf_resume() - go on with the PF of a process that has ended: the device is not reset, its interrupts and mappings stay
 *
 * Queues are as that process left them: each has to be brought to rest (vf_pf_rest()) and its lease taken
 * up (vf_pf_lease_left()) and given back, before it is lent anew.
 */
int vf_pf_resume(struct vf_pf **pf, const char *address, const struct vf_pf_opts *opts,
		 struct vf_pf_kept *kept, struct vf_kept_fds *fds, struct vferry_error *err);

uint16_t vf_pf_num_vfs(const struct vf_pf *pf);
uint16_t vf_pf_total_vfs(const struct vf_pf *pf);
unsigned int vf_pf_queues(const struct vf_pf *pf);
uint64_t vf_pf_list(const struct vf_pf *pf); /* LIST_QUERY's first word, group 1 */
struct vf_bus *vf_pf_bus(struct vf_pf *pf);
bool vf_pf_needs_reset(
	struct
	vf_pf *pf); /* device_status has DEVICE_NEEDS_RESET, lost DRIVER_OK, or the device is gone */

/**
 * vf_pf_lease() - fill in a lease for admin queue @n
 * @arena_bytes: 0: no arena. Otherwise a fresh sealed memfd (huge pages when there are any), mapped for DMA
 *
 * The lease's memory and descriptors belong to @pf until vf_pf_unlease(). lease->vfs is left to the caller. The lease's ops
 * work in this process; a keeper passes the descriptors on and puts ops of its own.
 */
int vf_pf_lease(struct vf_pf *pf, unsigned int n, uint64_t arena_bytes, struct vf_lease *lease,
		struct vferry_error *err);

/** vf_pf_lease_left() - the lease that the last process left on queue @n, whose arena may still be mapped for the device but is nobody's here. */
void vf_pf_lease_left(struct vf_pf *pf, unsigned int n, struct vf_lease *lease);

/** vf_pf_pending() - available entries of queue @n that the device has not answered (avail index - used index). */
uint16_t vf_pf_pending(struct vf_pf *pf, unsigned int n);
/** vf_pf_queue_reset() - queue_reset and set up anew; -EOPNOTSUPP, -ETIMEDOUT. */
int vf_pf_queue_reset(struct vf_pf *pf, unsigned int n, uint64_t deadline_ns,
		      struct vferry_error *err);
/**
 * vf_pf_rest() - bring queue @n to rest after its borrower has gone: wait until the device has caught up, then reset the queue where that works
 *
 * Return: 0: at rest, empty ring. -EBUSY: neither worked before @deadline_ns: the queue is wedged and its memory must stay.
 */
int vf_pf_rest(struct vf_pf *pf, unsigned int n, uint64_t deadline_ns, struct vferry_error *err);
/** vf_pf_unlease() - unmap and free the lease's arena. Only at rest. */
int vf_pf_unlease(struct vf_pf *pf, struct vf_lease *lease, struct vferry_error *err);

#endif
