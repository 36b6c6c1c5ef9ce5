/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The function room's own: what stands behind struct function's io. The administration does not look in here. */
#ifndef FN_H
#define FN_H

#include <sys/types.h>
#include "dma.h"
#include "owner.h"

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Required of a driver before FEATURES_OK. */
#define FN_FEATURES_REQUIRED ((1ULL << VIRTIO_F_VERSION_1) | (1ULL << VIRTIO_F_ACCESS_PLATFORM))

/* BAR 0: one structure a page. BAR 2: MSI-X. */
#define BAR_VIRTIO	  0
#define BAR_VIRTIO_BYTES  0x8000U
#define BAR_COMMON	  0x0000U
#define BAR_ISR		  0x1000U
#define BAR_DEVICE	  0x2000U
#define BAR_NOTIFY	  0x4000U
#define BAR_NOTIFY_BYTES  0x1000U
#define NOTIFY_MULTIPLIER 4U
#define BAR_MSIX	  2
#define BAR_MSIX_BYTES	  0x2000U
#define MSIX_PBA	  0x1000U
#define MSIX_VECTORS_MAX  (OWNER_MAX_QUEUES + 1)

#define PCI_CONFIG_BYTES 4096U

/* --- msix.c --- */
struct msix_vector {
	struct vf_op op; /* the write of an eventfd that is under way */
	struct function *fn;
	int fd;		 /* from DEVICE_SET_IRQS, -1 without */
	bool blocking;	 /* the client's eventfd lacks O_NONBLOCK: never written from this thread */
	bool again;	 /* raised once more while the write was under way */
	uint64_t enters; /* of the ring, when the last write was prepared */
	unsigned int beside; /* writes without a completion since op was */
	int closing;	     /* descriptor to close when the write is over, or -1 */
	bool masked;	     /* by DEVICE_SET_IRQS */
	bool table_written; /* the client uses the table's mask bit; before, it does not hold back */
	bool pending;
	uint8_t table[16];
};

struct msix {
	unsigned int count;
	bool function_mask;
	struct msix_vector *vectors;
	int other[2]; /* eventfds of the ERR and REQ indices, -1 without */
};

int msix_init(struct function *fn, unsigned int vectors);
void msix_free(struct function *fn);
/** msix_reset() - masks, table and pending bits as after a FLR; the eventfds stay, as VFIO has it. */
void msix_reset(struct function *fn);
/** msix_drop() - the client is gone: its eventfds too. */
void msix_drop(struct function *fn);
void msix_raise(struct function *fn, unsigned int vector);
/** msix_deliver() - raise what is pending and no longer held back. */
void msix_deliver(struct function *fn);
void msix_bar_read(struct function *fn, uint64_t offset, uint8_t *data, size_t count);
void msix_bar_write(struct function *fn, uint64_t offset, const uint8_t *data, size_t count);
void msix_control(struct function *fn, bool function_mask);

/**
 * msix_set_irqs() - DEVICE_SET_IRQS
 * @set: header of the message, bounded by the caller
 * @data: the booleans of DATA_BOOL
 * @fds: descriptors that came along; those that are kept become -1
 *
 * Return: 0 or -errno for the reply.
 */
int msix_set_irqs(struct function *fn, const struct vfio_user_set_irqs *set, const uint8_t *data,
		  size_t data_count, int *fds, unsigned int fd_count);

/* --- pci.c --- */
struct pci {
	uint8_t config[PCI_CONFIG_BYTES];
	uint8_t writable[PCI_CONFIG_BYTES];
	uint16_t msix_cap;
	uint16_t pcie_cap;
	uint16_t access_cap; /* VIRTIO_PCI_CAP_PCI_CFG */
	uint16_t sriov_cap;  /* 0 on a VF */
};

void pci_init(struct function *fn);
/** pci_reset() - configuration space as after a FLR. */
void pci_reset(struct function *fn);
void pci_read(struct function *fn, uint64_t offset, uint8_t *data, size_t count);
void pci_write(struct function *fn, uint64_t offset, const uint8_t *data, size_t count);
/** pci_set_vfs() - VF Enable and NumVFs as they stand in the PF's SR-IOV capability, without effects. */
void pci_set_vfs(struct function *fn, uint16_t num);

/* --- transport.c --- */
void transport_init(struct function *fn);
void transport_read(struct function *fn, uint64_t offset, uint8_t *data, size_t count);
void transport_write(struct function *fn, uint64_t offset, const uint8_t *data, size_t count);
/** transport_blank() - virtio state as after power-on. */
void transport_blank(struct function *fn);
/** transport_queue_blank() - one queue. */
void transport_queue_blank(struct function *fn, unsigned int index);
/** transport_needs_reset() - the driver broke a ring: say so, serve nothing until it resets. */
void transport_needs_reset(struct function *fn);

/* --- queue.c: the device's side of a split ring --- */
#define CHAIN_IOV_MAX	   4096 /* segments of one chain once translated */
#define CHAIN_INDIRECT_MAX OWNER_QUEUE_SIZE

/** struct ring_area - one of a queue's three structures, in memory that need not be contiguous here */
struct ring_area {
	uint32_t skew; /* offset in the first page */
	uint8_t *page[2];
};

struct chain {
	uint16_t head;
	unsigned int out_count; /* iov[0..out_count) is device-readable */
	unsigned int in_count;	/* and the next in_count are device-writable */
	uint64_t out_bytes;
	uint64_t in_bytes;
	struct iovec iov[CHAIN_IOV_MAX];
};

struct admin_pending;
struct doorbell;

struct queue_io {
	struct function *fn;
	uint16_t index;
	struct ring_area desc, avail, used;
	bool ready;	     /* the areas are translated ... */
	uint64_t generation; /* ... as of this state of the DMA table */
	struct vf_timer again;
	struct admin_pending *admin; /* in service, for an admin queue */
	bool starved;	/* as many requests inside as the queue is long: go on when one leaves */
	uint32_t epoch; /* counts resets: a request of an older epoch is forgotten */
};

/** queue_pop() - the next chain: 1 with @chain filled in, 0 none, -EPROTO the ring is broken. */
int queue_pop(struct function *fn, unsigned int index, struct chain *chain);
/** queue_push() - a used entry. -EPROTO: the ring is gone or broken. */
int queue_push(struct function *fn, unsigned int index, uint16_t head, uint32_t length);
/** queue_interrupt_due() - does the driver want an interrupt for what was used since the last decision? Makes the decision. */
bool queue_interrupt_due(struct function *fn, unsigned int index);
/** queue_arm() - ask for doorbells from here on. Return: true when more came in the meantime. */
bool queue_arm(struct function *fn, unsigned int index);
/** queue_forget() - the ring's addresses changed. */
void queue_forget(struct function *fn, unsigned int index);

/* --- blk.c --- */
struct blk_request;
void blk_config(struct function *fn, unsigned int queues);
void blk_begin(struct function *fn, unsigned int index, const struct chain *chain);

/* --- doorbell.c --- */
struct doorbells {
	struct doorbell *bells; /* list; NULL until a client asks for them */
	unsigned int count;
};

/** doorbells_make() - eventfds for @fn's queues: queue q rings on number q % @count. */
int doorbells_make(struct function *fn, unsigned int count);
void doorbells_drop(struct function *fn);
/** doorbells_fold() - turn what was rung and not yet seen into kicked bits, whatever the mode. */
void doorbells_fold(struct function *fn);
int doorbell_fd(const struct function *fn, unsigned int n);

/* --- function.c, quiet.c, reset.c --- */
struct quiesce {
	struct quiesce *next;
	struct function *only; /* NULL: all functions */
	bool waiting;
	void (*done)(void *arg);
	void *arg;
};

struct stop_waiter {
	struct stop_waiter *next;
	void (*done)(void *arg);
	void *arg;
};

struct server;

struct fn_io {
	struct dma dma;
	struct pci pci;
	struct msix msix;
	struct doorbells doorbells;
	struct queue_io *queues;
	unsigned int total_queues;
	unsigned int admin_first; /* admin_queue_index; total_queues on a VF */
	uint8_t isr;

	int disk;
	uint64_t capacity; /* sectors */
	bool read_only;
	char serial[20];

	bool draining;		 /* fn_stop() was called, no resume since */
	unsigned int holds;	 /* quiesces that want this function still */
	unsigned int inflight;	 /* block requests inside */
	unsigned int in_service; /* admin requests inside */
	struct stop_waiter *stops;

	struct server *server; /* NULL without a socket */
};

struct take_over;

struct owner_io {
	struct chain chain; /* scratch: one chain at a time is taken apart */
	struct quiesce *quiesces;
	unsigned int guard_hits;     /* seen so far */
	int dir;		     /* --socket-dir, locked; -1 without */
	struct take_over *take_over; /* NULL without --take-over */
};

/** function_new() - PF (0) or VF @number of @owner; @disk is taken over. */
int function_new(struct owner *owner, struct function *fn, uint16_t number, int disk,
		 struct vferry_error *err);
/** function_end() - let go of all that the ring knows; function_free() after the ring's end. */
void function_end(struct function *fn);
void function_free(struct function *fn);

static inline unsigned int fn_total_queues(const struct function *fn)
{
	return fn->io->total_queues;
}

/** fn_kick() - queue @index was notified. */
void fn_kick(struct function *fn, unsigned int index);
void fn_kick_all(struct function *fn);
/** fn_forget_admin() - free the admin requests of queue @index that are in service; the administration has let go. */
void fn_forget_admin(struct function *fn, unsigned int index);
/** fn_interrupt() - used entries of queue @index: raise, or owe. */
void fn_interrupt(struct function *fn, unsigned int index);
/** fn_config_interrupt() - the configuration changed: raise, or owe. */
void fn_config_interrupt(struct function *fn);
/** fn_request_done() - a block request has left the device. */
void fn_request_done(struct function *fn, unsigned int index);
/** fn_queue_reset() - queue @index back to blank (VIRTIO_F_RING_RESET). */
void fn_queue_reset(struct function *fn, unsigned int index);
/** fn_flr() - function level reset; on the PF the VFs go too, unless sticky. */
void fn_flr(struct function *fn);
/** fn_set_vfs() - the PF's VF Enable or NumVFs was written. */
void fn_set_vfs(struct function *pf, bool enable, uint16_t num);
/** fn_changed() - admin_changed() for a VF. */
void fn_changed(struct function *fn, uint16_t type, uint32_t index);
/** fn_exists() - false for a VF while VF Enable is clear or its number is beyond NumVFs. */
bool fn_exists(const struct function *fn);

/**
 * fn_quiesce() - call @q->done once no block request is inside
 * @fn: which function; NULL: all
 *
 * They take nothing in the meantime. Return: true when that is so now: @q is not used.
 */
bool fn_quiesce(struct owner *owner, struct function *fn, struct quiesce *q);

/** owner_close() - close a descriptor that a client sent: by io_uring, for a close may block in a hostile file system. */
void owner_close(struct owner *owner, int fd);

#endif
