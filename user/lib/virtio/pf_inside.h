/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The inside of a PF, shared by its files. */
#ifndef VF_PF_INSIDE_H
#define VF_PF_INSIDE_H

#include "virtio/device.h"
#include "virtio/pf.h"
#include "virtio/vq.h"

/* Where the device sees what: below the interrupt window of x86, and within 39 bits. */
#define VF_PF_RINGS_IOVA  0x10000000ULL
#define VF_PF_RINGS_STEP  0x01000000ULL
#define VF_PF_ARENA_IOVA  0x1000000000ULL
#define VF_PF_ARENA_STEP  0x400000000ULL
#define VF_PF_ARENA_BYTES VF_PF_ARENA_STEP /* largest */

struct vf_pf_queue {
	struct vf_pf *pf;
	unsigned int number;
	uint16_t index; /* virtqueue index */
	uint16_t size;
	bool mapped; /* its memory is the device's to see */
	bool lent;

	int fd;
	void *memory;
	uint64_t bytes, iova;
	struct vf_vq_layout layout;
	uint32_t commands;

	int call_fd;
	int kick_fd;
	unsigned int doorbell_region;
	uint64_t doorbell_offset;
	void *notify_page;
	uint64_t notify_page_bytes;
	volatile uint16_t *notify;
	int notify_fd; /* the bus's */
	uint64_t notify_fd_offset;

	int arena_fd;
	void *arena;
	uint64_t arena_bytes, arena_iova;
};

struct vf_pf {
	struct vf_bus *bus;
	struct vf_virtio dev;
	uint64_t timeout_ns;
	uint16_t num_vfs, total_vfs;
	uint64_t list, list_used;
	struct vf_pf_kept *kept; /* NULL: nobody comes after this process */
	uint8_t epoch[16];
	unsigned int queues_count;
	struct vf_pf_queue queues[VF_PF_QUEUES];
};

/* pf_queue.c */
int vf_pf_queue_new(struct vf_pf *pf, unsigned int n, uint16_t index, uint16_t size,
		    struct vferry_error *err);
/** vf_pf_queue_start() - tell the device where the ring is, and find its doorbell. */
int vf_pf_queue_start(struct vf_pf_queue *queue, struct vferry_error *err);
/** vf_pf_queue_resume() - a queue that the device drives already: its memory and eventfd. */
int vf_pf_queue_resume(struct vf_pf *pf, unsigned int n, struct vf_kept_fds *fds,
		       struct vferry_error *err);
void vf_pf_queue_free(struct vf_pf_queue *queue);
int vf_pf_ring_doorbell(struct vf_pf_queue *queue, struct vferry_error *err);

/* pf_list.c */
/** vf_pf_lists() - LIST_QUERY and LIST_USE on queue 0, nobody else using it. @want 0: base and migration commands, which must all be there. */
int vf_pf_lists(struct vf_pf *pf, uint64_t want, struct vferry_error *err);

/* pf_memory.c */
/** vf_pf_memory_again() - map a memfd of vf_pf_memory() that another process had made; -EPROTO: it is none. */
int vf_pf_memory_again(int fd, uint64_t bytes, void **memory);
/** vf_pf_memory() - @bytes of sealed memfd; *@bytes is rounded up. @huge: in huge pages when there are any. */
int vf_pf_memory(const char *name, uint64_t *bytes, bool huge, int *fd, void **memory,
		 struct vferry_error *err);

#endif
