// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands that the device does not answer, and queues as a whole: timeouts, reset of a queue,
 * its start and its end.
 */
#include "compat.h"
#include "queue.h"

/*
 * Also of a command that was cancelled: until its deadline the device is not late, and others use
 * the queue.
 */
static void timed_out(struct timer_list *timer)
{
	struct vferry_slot *slot = timer_container_of(slot, timer, timer);
	static const struct vferry_answer answer = { .error = -ETIMEDOUT };
	struct vferry_queue *queue = slot->queue;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	/* It may have been answered, and the slot used again, while this waited for the lock. */
	if (slot->with_device && !time_before(jiffies, slot->deadline)) {
		if (vferry_slot_awaited(slot)) {
			vferry_slot_tell(slot, &answer);
			queue->abandoned++;
		}
		queue_delayed_work(vferry_wq, &queue->recover, VFERRY_GRACE);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
}

void vferry_queue_broken(struct vferry_queue *queue, const char *why)
{
	dev_err_ratelimited(&queue->owner->dev, "admin queue %u: %s\n", queue->index, why);
	queue->broken = true;
	if (queue->state == VFERRY_QUEUE_RUNNING)
		queue->state = VFERRY_QUEUE_PARKED;
	mod_delayed_work(vferry_wq, &queue->recover, 0);
}

static void end_all(struct vferry_queue *queue, int error)
{
	const struct vferry_answer answer = { .error = error };
	u16 i;

	for (i = 0; i < queue->slots_count; i++) {
		struct vferry_slot *slot = &queue->slots[i];

		if (slot->with_device && vferry_slot_awaited(slot)) {
			vferry_slot_tell(slot, &answer);
			queue->abandoned++;
		}
	}
}

/* The device has let go of everything. */
static void release_all(struct vferry_queue *queue)
{
	u16 i;

	for (i = 0; i < queue->slots_count; i++) {
		struct vferry_slot *slot = &queue->slots[i];

		if (slot->with_device)
			vferry_slot_free(slot);
	}
	queue->inflight = 0;
	queue->abandoned = 0;
}

void vferry_queue_release_all(struct vferry_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	release_all(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

static bool overdue(const struct vferry_queue *queue)
{
	u16 i;

	for (i = 0; i < queue->slots_count; i++) {
		const struct vferry_slot *slot = &queue->slots[i];

		if (slot->with_device && !vferry_slot_awaited(slot) &&
		    !time_before(jiffies, slot->deadline))
			return true;
	}
	return false;
}

/* Whether there is something to put right; no new command gets in from then on. */
static bool begin_recovery(struct vferry_queue *queue)
{
	bool needed = false;

	spin_lock_irq(&queue->lock);
	/* An interrupt that was lost is no reason to take everybody's commands. */
	vferry_queue_reap(queue);
	if (queue->state != VFERRY_QUEUE_GONE && (queue->broken || overdue(queue))) {
		queue->state = VFERRY_QUEUE_RESETTING;
		needed = true;
	}
	spin_unlock_irq(&queue->lock);
	return needed;
}

/*
 * Late answers may still come to a queue that was not reset; when all are there, it is in order
 * again.
 */
static void end_recovery(struct vferry_queue *queue, int error)
{
	spin_lock_irq(&queue->lock);
	if (queue->state == VFERRY_QUEUE_RESETTING) {
		if (error && !queue->broken)
			vferry_queue_reap(queue);
		queue->state = error && (queue->inflight || queue->broken) ?
				       VFERRY_QUEUE_PARKED :
				       VFERRY_QUEUE_RUNNING;
	}
	spin_unlock_irq(&queue->lock);
}

/* A command was not answered, nor after a grace; or the ring makes no sense. */
static void recover(struct work_struct *work)
{
	struct delayed_work *delayed = to_delayed_work(work);
	struct vferry_queue *queue = container_of(delayed, struct vferry_queue, recover);
	struct vferry_owner *owner = queue->owner;
	int ret = -EOPNOTSUPP;

	if (!begin_recovery(queue))
		return;
	if (vferry_owner_has(owner, VIRTIO_F_RING_RESET))
		ret = vferry_owner_queue_reset(queue);
	spin_lock_irq(&queue->lock);
	if (queue->state == VFERRY_QUEUE_RESETTING) {
		end_all(queue, ret ? -EIO : -ECANCELED);
		if (!ret) {
			release_all(queue);
			vferry_ring_empty(queue);
		}
	}
	spin_unlock_irq(&queue->lock);
	if (!ret)
		ret = vferry_owner_queue_enable(queue);
	end_recovery(queue, ret);
	if (ret)
		dev_warn(&owner->dev,
			 "admin queue %u does not answer and cannot be reset (%d): parked\n",
			 queue->index, ret);
	else
		dev_notice(&owner->dev, "admin queue %u did not answer: reset\n", queue->index);
}

void vferry_queue_start(struct vferry_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->state = VFERRY_QUEUE_RUNNING;
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* No command gets in any more, those under way end with @error; the device keeps what it has. */
void vferry_queue_stop(struct vferry_queue *queue, int error)
{
	unsigned long flags;
	u16 i;

	spin_lock_irqsave(&queue->lock, flags);
	queue->state = VFERRY_QUEUE_GONE;
	end_all(queue, error);
	spin_unlock_irqrestore(&queue->lock, flags);
	cancel_delayed_work_sync(&queue->recover);
	for (i = 0; i < VFERRY_SLOTS; i++)
		timer_delete_sync(&queue->slots[i].timer);
}

void vferry_queue_init(struct vferry_queue *queue, struct vferry_owner *owner)
{
	u16 i;

	queue->owner = owner;
	spin_lock_init(&queue->lock);
	INIT_DELAYED_WORK(&queue->recover, recover);
	for (i = 0; i < VFERRY_SLOTS; i++) {
		queue->slots[i].queue = queue;
		timer_setup(&queue->slots[i].timer, timed_out, 0);
	}
}
