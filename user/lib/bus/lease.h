/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All that an engine needs to drive one admin queue of an owner and to own a set of its VFs for a while. It
 * comes from the keeper over a socket (lent.c) or from a PF opened in the same process (virtio/pf.c), and holds descriptors
 * and mappings only: an engine never holds the bus.
 */
#ifndef VF_LEASE_H
#define VF_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <vferry/admin.h>

#define VF_MAX_VFS 256 /* VF numbers 1..255 fit; bit n of a set is VF n */

struct vf_vfset {
	uint64_t bits[VF_MAX_VFS / 64];
};

static inline bool vf_vfset_has(const struct vf_vfset *set, unsigned int vf)
{
	return vf < VF_MAX_VFS && (set->bits[vf / 64] >> (vf % 64) & 1);
}

static inline void vf_vfset_add(struct vf_vfset *set, unsigned int vf)
{
	if (vf < VF_MAX_VFS)
		set->bits[vf / 64] |= 1ULL << (vf % 64);
}

static inline unsigned int vf_vfset_count(const struct vf_vfset *set)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < VF_MAX_VFS / 64; i++)
		n += (unsigned int)__builtin_popcountll(set->bits[i]);
	return n;
}

/* How the doorbell of the lent queue is rung, best first. */
enum vf_doorbell {
	VF_DOORBELL_STORE,   /* a 16-bit store to @notify */
	VF_DOORBELL_EVENTFD, /* 8 bytes to @kick_fd */
	VF_DOORBELL_RELAY,   /* a message to the keeper (@relay) */
};

/*
 * Command memory of one command, from lease->commands_offset on: device-readable header and small data, device-writable
 * header and small result, indirect table.
 */
#define VF_COMMAND_BYTES    5120
#define VF_COMMAND_WRITABLE 128
#define VF_COMMAND_TABLE    4352
#define VF_COMMAND_RUNS	    48 /* entries of the table */

/*
 * Queue memory, one memfd for each admin queue, made and mapped for DMA by whoever holds the bus:
 * desc table, avail ring, used ring and then command memory for headers, small data and small results.
 * The offsets are within this memory.
 */
struct vf_lease {
	char address[256];
	uint16_t queue;	     /* virtqueue index on the PF */
	uint16_t queue_size; /* a power of two */
	bool event_idx;	     /* VIRTIO_F_RING_EVENT_IDX was negotiated */
	bool indirect;	     /* VIRTIO_F_INDIRECT_DESC was negotiated */
	bool can_reset;	     /* VIRTIO_F_RING_RESET was negotiated: vf_lease_ops.reset works */

	int rings_fd;
	void *rings;
	uint64_t rings_bytes, rings_iova;
	uint32_t desc_offset, avail_offset, used_offset, commands_offset;

	enum vf_doorbell doorbell;
	volatile uint16_t *notify;
	int notify_fd;		   /* to map the doorbell's page in another process; -1 without */
	uint64_t notify_fd_offset; /* of the doorbell itself, not of its page */
	int kick_fd;		   /* -1 without */
	int call_fd;		   /* eventfd of the queue's interrupt */

	int arena_fd; /* memfd, sealed against resizing; -1 when none was asked for */
	void *arena;
	uint64_t arena_bytes, arena_iova;

	struct vf_vfset vfs; /* lent */
	uint16_t num_vfs;
	uint8_t epoch[16]; /* the keeper's */
	uint64_t list;	   /* LIST_USE in force for group 1, first word */
	uint64_t generation;

	const struct vf_lease_ops *ops;
	void *holder; /* the ops' own: keeper connection or PF */
};

struct vf_lease_ops {
	/* ring the doorbell when it is VF_DOORBELL_RELAY */
	int (*kick)(struct vf_lease *lease);
	/* queue_reset and set up again, ring empty: every buffer is the driver's again. -EOPNOTSUPP without can_reset */
	int (*reset)(struct vf_lease *lease, uint64_t deadline_ns);
	/*
	 * -ENODEV once the owner or the keeper is gone or the owner was reset (epoch changed); -ECANCELED when the keeper wants
	 * everything back soon (vferry keep --stop): take back, then release
	 */
	int (*alive)(struct vf_lease *lease);
	/* a descriptor to poll for the end of the lease, -1 without */
	int (*fd)(struct vf_lease *lease);
	/*
	 * What has to outlive this engine, by a migration's id: a file for the holder of the lease; NULL: there is nobody who
	 * could hold it. fetch: a descriptor of the caller's, -ENOENT
	 */
	int (*deposit)(struct vf_lease *lease, uint16_t vf, const uint8_t id[16], int fd,
		       struct vferry_error *err);
	int (*fetch)(struct vf_lease *lease, uint16_t vf, const uint8_t id[16],
		     struct vferry_error *err);
	int (*forget)(struct vf_lease *lease, uint16_t vf, const uint8_t id[16]);
	/* the queue is at rest (or not: then the keeper brings it to rest); gives everything back, unmaps, closes */
	void (*release)(struct vf_lease *lease);
};

#endif
