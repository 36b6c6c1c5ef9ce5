/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A driver's side of a split virtqueue. All that the driver must be able to rely on (free descriptors, chains, lengths)
 * is in memory of its own: the ring is shared with a device that may be broken or hostile, and is read once.
 */
#ifndef VF_VQ_H
#define VF_VQ_H

#include <stdbool.h>
#include <stddef.h>
#include <vferry/command.h>
#include <vferry/virtio.h>

/** struct vf_vq_layout - where the parts of a ring stand in one piece of memory, and how much they take */
struct vf_vq_layout {
	uint32_t desc;
	uint32_t avail;
	uint32_t used;
	uint32_t bytes;
};

/** struct vf_vq_chain - what the driver knows of a chain, by its head; private */
struct vf_vq_chain {
	void *token;
	uint32_t writable;
	uint16_t count; /* descriptors; 0: not with the device */
	uint16_t next;	/* link of the free list and of the chain */
};

/** struct vf_vq - the driver's side; fill in nothing, use the functions */
struct vf_vq {
	uint16_t size;
	bool event_idx;
	const char *
		broken; /* why, once the device has answered what cannot be; nothing works until vf_vq_restart() */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vf_vq_chain *chains;
	uint16_t next_avail; /* next entry of the available ring to fill in */
	uint16_t published;  /* as the device sees it */
	uint16_t last_used;  /* next entry of the used ring to look at */
	uint16_t free_head;
	uint16_t free_count;
	uint16_t inflight; /* chains added and not yet popped */
};

/** struct vf_vq_indirect - memory for an indirect table; it stays the device's as long as the chain */
struct vf_vq_indirect {
	struct vring_desc *table;
	uint64_t iova;
	uint32_t room; /* entries */
};

/** struct vf_vq_answer - a chain that the device has given back */
struct vf_vq_answer {
	void *token;
	uint32_t length; /* used length, as the device said */
	uint32_t
		writable; /* what there was to write to: a @length beyond it is the device's mistake */
};

/** vf_vq_layout() - for a ring of @size (a power of two) entries: legacy alignments are not kept, those of virtio 1.x are. */
struct vf_vq_layout vf_vq_layout(uint16_t size);

/**
 * vf_vq_open() - drive the ring at @memory, as it is found
 * @size: a power of two, at most 32768
 *
 * The ring must be at rest: nothing available that is not used. Zeroed memory is.
 *
 * Return: 0; -EINVAL; -ENOMEM; -EBUSY: not at rest.
 */
int vf_vq_open(struct vf_vq *vq, void *memory, const struct vf_vq_layout *layout, uint16_t size,
	       bool event_idx);
void vf_vq_close(struct vf_vq *vq);
/** vf_vq_restart() - after a reset of the queue: empty ring, indices zero, no chain is the device's any more. */
void vf_vq_restart(struct vf_vq *vq);

/**
 * vf_vq_add() - put a chain in the ring; the device sees it after vf_vq_publish()
 * @out: device-readable runs
 * @in: device-writable runs
 * @indirect: NULL: use the ring's own descriptors (as many as there are runs)
 * @token: comes back with the answer
 *
 * Return: 0; -ENOSPC: not now; -EINVAL: no runs, or more than the ring or the table can ever hold; -EPROTO: broken.
 */
int vf_vq_add(struct vf_vq *vq, const struct vferry_sg *out, unsigned int out_count,
	      const struct vferry_sg *in, unsigned int in_count,
	      const struct vf_vq_indirect *indirect, void *token);
/** vf_vq_publish() - show the device what was added. True: it wants the doorbell. */
bool vf_vq_publish(struct vf_vq *vq);
/** vf_vq_pop() - 1: an answer; 0: none; -EPROTO: the device answered what cannot be (vq->broken has the words). */
int vf_vq_pop(struct vf_vq *vq, struct vf_vq_answer *answer);
/**
 * vf_vq_listen() - ask for an interrupt
 * @skip: so many answers may come without one, fewer than are under way; only with event indices, otherwise each asks
 *
 * Return: true when more answers than @skip are there already.
 */
bool vf_vq_listen(struct vf_vq *vq, uint16_t skip);
/** vf_vq_quiet() - no interrupts, please: somebody is looking. */
void vf_vq_quiet(struct vf_vq *vq);

#endif
