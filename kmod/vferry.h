/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vferry_vfio_pci: the owner device (PF) of a virtio SR-IOV group stays a VFIO device; beside it
 * stands a character device whose .uring_cmd carries group administration commands.
 *
 * Locks, outermost first:
 *   owner->mutex      up and down, open files; may sleep for as long as a device may take to reset
 *   owner->cfg_mutex  queue_select and what follows it
 *   owner->map_mutex  the IOMMU domain and what is mapped in it
 *   owner->buffers_lock, queue->lock   spinlocks, never both; queue->lock is taken in interrupts
 */
#ifndef VFERRY_H
#define VFERRY_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/io_uring/cmd.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci_modern.h>
#include <linux/virtio_ring.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <vferry/uring_cmd.h>

#define VFERRY_QUEUES	      4
#define VFERRY_SLOTS	      128
#define VFERRY_BUFFERS	      64
#define VFERRY_BUFFER_BYTES   BIT_ULL(30)
#define VFERRY_TIMEOUT_MS     5000
#define VFERRY_MOST_TIMEOUT_MS (3600 * 1000)
#define VFERRY_GRACE	      (2 * HZ) /* for a late answer, before a queue is reset */
#define VFERRY_RESET_WAIT_MS  1000
#define VFERRY_MOST_VFS	      65535

/*
 * The device's addresses: clear of the low 4 GiB, where reserved regions are, and within 39 bits.
 */
#define VFERRY_QUEUE_IOVA     (4ULL << 30)
#define VFERRY_QUEUE_STEP     BIT_ULL(20)
#define VFERRY_BUFFER_IOVA    (8ULL << 30)
#define VFERRY_LAST_IOVA      (VFERRY_BUFFER_IOVA + VFERRY_BUFFERS * VFERRY_BUFFER_BYTES - 1)

struct vferry_owner;
struct vferry_queue;

/* Registered memory. Belongs to a file and to every command that names it. */
struct vferry_buffer {
	struct kref ref;
	struct vferry_owner *owner;
	struct vferry_file *file; /* NULL: no new commands */
	struct mm_struct *mm;	  /* whose locked memory it counts as */
	struct page **pages;
	unsigned long npages;
	unsigned long mapped; /* bytes, from the start */
	u64 iova;
	u64 length;
	u32 id;
	struct work_struct free;
};

struct vferry_segment {
	u64 iova;
	u32 length;
};

/* A command as the device will see it. */
struct vferry_request {
	u16 opcode;
	u16 group_type;
	u64 member;
	const void *inline_data;
	unsigned int inline_length;
	struct vferry_segment out[VFERRY_URING_RUNS];
	struct vferry_segment in[VFERRY_URING_RUNS];
	struct vferry_buffer *buffers[2 * VFERRY_URING_RUNS];
	unsigned int outs, ins, nbuffers;
	u32 room; /* for the result */
	u32 timeout_ms;
};

struct vferry_answer {
	int error;
	u32 used;
	__le16 status;
	__le16 qualifier;
	__le32 output;
	__le64 result; /* of the module's own commands */
};

struct vferry_sync;

/*
 * A place for a command: with the device from its publication until it is answered or the queue
 * is reset.
 */
struct vferry_slot {
	struct vferry_queue *queue;
	struct io_uring_cmd *cmd; /* NULL: free, or nobody waits any more */
	struct vferry_sync *sync; /* the module's own */
	struct timer_list timer;
	unsigned long deadline;
	struct vferry_buffer *buffers[2 * VFERRY_URING_RUNS];
	unsigned int nbuffers;
	u32 room;
	u16 next_free;
	bool in_use;
	bool with_device;
};

enum vferry_queue_state {
	VFERRY_QUEUE_GONE, /* not set up, or the device is gone: -ENODEV */
	VFERRY_QUEUE_RUNNING,
	VFERRY_QUEUE_PARKED, /* the device keeps what it has; -EIO */
	VFERRY_QUEUE_RESETTING, /* likewise, not for long */
};

struct vferry_queue {
	struct vferry_owner *owner;
	spinlock_t lock; /* all of this and of its slots; taken in interrupts */
	enum vferry_queue_state state;
	bool broken; /* the device wrote what cannot be */
	u16 index;
	u16 size;
	u16 slots_count;
	u16 free_head;
	u16 avail_idx;
	u16 used_idx;
	unsigned int inflight;
	unsigned int abandoned;
	int irq; /* 0: not requested */
	char name[32];
	void __iomem *notify;
	bool notify_own;
	void *memory;
	size_t bytes;
	bool mapped;
	u64 iova;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vferry_slot *slots; /* VFERRY_SLOTS of them, as long as the owner lives */
	struct delayed_work recover;
};

struct vferry_owner {
	struct device dev; /* the character device; its release frees this */
	struct cdev cdev;
	struct pci_dev *pdev;
	struct mutex mutex; /* up and down, users */
	unsigned int users;
	unsigned int next_queue;
	bool removed;
	bool up;
	bool reset; /* by somebody else while up: of no use until it was down */
	bool asleep;
	struct notifier_block pm;
	u8 epoch[16];
	unsigned int vfs; /* enabled; they keep the module */
	bool keeps; /* enabled beside the companion: the owner stays up for them */

	struct mutex cfg_mutex; /* queue_select and what follows it */
	struct virtio_pci_modern_device mdev;
	bool probed;
	bool enabled;
	u64 features;
	u64 list, list_used;

	struct mutex map_mutex; /* domain, and what is mapped in it */
	struct iommu_domain *domain;
	bool claimed;
	spinlock_t buffers_lock; /* buffers[], and whose they are */
	struct vferry_buffer *buffers[VFERRY_BUFFERS];

	struct xarray claims; /* VF number to file */
	unsigned int queues_count;
	struct vferry_queue queues[VFERRY_QUEUES];
};

struct vferry_file {
	struct vferry_owner *owner;
	struct vferry_queue *queue;
};

/* owner.c */
struct vferry_owner *vferry_owner_new(struct pci_dev *pdev);
void vferry_owner_remove(struct vferry_owner *owner);
int vferry_owner_up(struct vferry_owner *owner);
void vferry_owner_down(struct vferry_owner *owner);
void vferry_owner_was_reset(struct vferry_owner *owner);

/* device.c */
int vferry_device_up(struct vferry_owner *owner);
void vferry_device_down(struct vferry_owner *owner);
int vferry_device_reset(struct vferry_owner *owner);
int vferry_owner_queue_enable(struct vferry_queue *queue);
int vferry_owner_queue_reset(struct vferry_queue *queue);
bool vferry_owner_has(const struct vferry_owner *owner, unsigned int feature);

/* ring.c, queue.c, recover.c */
void vferry_queue_init(struct vferry_queue *queue, struct vferry_owner *owner);
int vferry_queue_alloc(struct vferry_queue *queue, u16 index, u16 size);
void vferry_queue_free(struct vferry_queue *queue);
void vferry_queue_start(struct vferry_queue *queue);
void vferry_queue_stop(struct vferry_queue *queue, int error);
void vferry_queue_release_all(struct vferry_queue *queue);
irqreturn_t vferry_queue_irq(int irq, void *data);
int vferry_queue_submit(struct vferry_queue *queue, struct vferry_request *req,
			struct io_uring_cmd *cmd, unsigned int issue_flags);
int vferry_queue_exec(struct vferry_queue *queue, struct vferry_request *req,
		      struct vferry_answer *answer);
void vferry_queue_cancel(struct io_uring_cmd *cmd, unsigned int issue_flags);

/* buffer.c */
int vferry_buffer_register(struct vferry_file *file, const struct vferry_uring_register *reg);
int vferry_buffer_unregister(struct vferry_file *file, u32 id);
void vferry_buffer_drop_file(struct vferry_file *file);
int vferry_buffer_get(struct vferry_file *file, const struct vferry_uring_run *run,
		      struct vferry_buffer **buffer, struct vferry_segment *segment);
void vferry_buffer_put(struct vferry_buffer *buffer);
void vferry_buffer_unmap_all(struct vferry_owner *owner);

/* admin.c */
int vferry_admin(struct vferry_file *file, const struct vferry_uring_admin *admin,
		 struct io_uring_cmd *cmd, unsigned int issue_flags);

/* file.c */
extern const struct file_operations vferry_fops;

/* main.c */
dev_t vferry_devt(unsigned int minor);
extern const struct class vferry_class;
extern struct workqueue_struct *vferry_wq;

#endif
