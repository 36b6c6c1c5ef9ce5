// SPDX-License-Identifier: GPL-2.0-only
/* A command on an admin queue: a slot, its publication, its answer, its completion. */
#include <linux/completion.h>
#include <linux/interrupt.h>
#include "compat.h"
#include "queue.h"

#define NO_SLOT U16_MAX

struct vferry_sync {
	struct completion done;
	struct vferry_answer answer;
};

/* What a request carries while it is under way, and then to its task. */
struct vferry_pdu {
	struct vferry_slot *slot;
	u64 res2;
	s32 res;
};

/* --- slots --- */

void vferry_slots_empty(struct vferry_queue *queue)
{
	u16 i;

	for (i = 0; i < queue->slots_count; i++)
		queue->slots[i].next_free = i + 1 < queue->slots_count ? i + 1 : NO_SLOT;
	queue->free_head = 0;
	queue->inflight = 0;
	queue->abandoned = 0;
}

static struct vferry_slot *take_slot(struct vferry_queue *queue)
{
	struct vferry_slot *slot;

	if (queue->free_head == NO_SLOT)
		return NULL;
	slot = &queue->slots[queue->free_head];
	queue->free_head = slot->next_free;
	slot->in_use = true;
	slot->with_device = false;
	slot->nbuffers = 0;
	return slot;
}

void vferry_slot_free(struct vferry_slot *slot)
{
	struct vferry_queue *queue = slot->queue;

	while (slot->nbuffers)
		vferry_buffer_put(slot->buffers[--slot->nbuffers]);
	slot->in_use = false;
	slot->with_device = false;
	slot->cmd = NULL;
	slot->sync = NULL;
	slot->next_free = queue->free_head;
	queue->free_head = slot - queue->slots;
}

/* --- the end of a command --- */

static void finish(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct vferry_pdu *pdu = io_uring_cmd_to_pdu(cmd, struct vferry_pdu);

	vferry_cmd_done(cmd, pdu->res, pdu->res2, issue_flags);
}

VFERRY_TASK_WORK(finish_in_task, finish)

static u64 answer_word(const struct vferry_answer *answer)
{
	return le16_to_cpu(answer->status) | (u64)le16_to_cpu(answer->qualifier) << 16 |
	       (u64)le32_to_cpu(answer->output) << 32;
}

void vferry_slot_tell(struct vferry_slot *slot, const struct vferry_answer *answer)
{
	struct io_uring_cmd *cmd = slot->cmd;

	timer_delete(&slot->timer);
	if (slot->sync) {
		slot->sync->answer = *answer;
		complete(&slot->sync->done);
		slot->sync = NULL;
	} else if (cmd) {
		struct vferry_pdu *pdu = io_uring_cmd_to_pdu(cmd, struct vferry_pdu);

		slot->cmd = NULL;
		pdu->res = answer->error ? answer->error : (s32)answer->used;
		pdu->res2 = answer->error ? 0 : answer_word(answer);
		io_uring_cmd_complete_in_task(cmd, finish_in_task);
	}
}

void vferry_queue_cancel(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct vferry_slot *slot = READ_ONCE(io_uring_cmd_to_pdu(cmd, struct vferry_pdu)->slot);
	unsigned long flags;
	bool ours;

	/* Not published yet: it will be, and io_uring asks again. */
	if (!slot)
		return;
	spin_lock_irqsave(&slot->queue->lock, flags);
	ours = slot->with_device && slot->cmd == cmd;
	if (ours) {
		slot->cmd = NULL;
		slot->queue->abandoned++;
	}
	spin_unlock_irqrestore(&slot->queue->lock, flags);
	if (ours)
		vferry_cmd_done(cmd, -ECANCELED, 0, issue_flags);
}

/* --- answers --- */

static void answered(struct vferry_slot *slot, u32 used)
{
	struct vferry_answer answer = { .used = used };
	struct vferry_queue *queue = slot->queue;

	queue->inflight--;
	if (vferry_slot_awaited(slot))
		vferry_ring_answer(slot, &answer);
	else
		queue->abandoned--;
	vferry_slot_tell(slot, &answer);
	vferry_slot_free(slot);
}

void vferry_queue_reap(struct vferry_queue *queue)
{
	unsigned int looks = 0;

	while (queue->state != VFERRY_QUEUE_GONE && !queue->broken) {
		struct vferry_slot *slot;
		const char *why;
		u32 used;

		why = vferry_ring_next(queue, &slot, &used);
		if (why)
			vferry_queue_broken(queue, why);
		if (!slot) {
			/* A device may say yes and no in turn for as long as it likes. */
			if (why || looks++ > queue->slots_count || !vferry_ring_listen(queue))
				break;
			continue;
		}
		answered(slot, used);
		/* Late, all of it, and with that in order again. */
		if (queue->state == VFERRY_QUEUE_PARKED && !queue->inflight)
			queue->state = VFERRY_QUEUE_RUNNING;
	}
}

irqreturn_t vferry_queue_irq(int irq, void *data)
{
	struct vferry_queue *queue = data;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	vferry_queue_reap(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return IRQ_HANDLED;
}

/* --- sending --- */

static void publish(struct vferry_slot *slot, struct vferry_request *req)
{
	struct vferry_queue *queue = slot->queue;

	slot->room = slot->sync ? sizeof(__le64) : req->room;
	slot->nbuffers = req->nbuffers;
	memcpy(slot->buffers, req->buffers, req->nbuffers * sizeof(req->buffers[0]));
	req->nbuffers = 0;
	slot->with_device = true;
	slot->deadline = jiffies + msecs_to_jiffies(req->timeout_ms) + 1;
	mod_timer(&slot->timer, slot->deadline);
	queue->inflight++;
	vferry_ring_publish(slot, req);
}

static int why_not(const struct vferry_queue *queue)
{
	switch (queue->state) {
	case VFERRY_QUEUE_RUNNING:
		return 0;
	case VFERRY_QUEUE_PARKED:
	case VFERRY_QUEUE_RESETTING:
		return -EIO;
	case VFERRY_QUEUE_GONE:
		break;
	}
	return -ENODEV;
}

int vferry_queue_submit(struct vferry_queue *queue, struct vferry_request *req,
			struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct vferry_pdu *pdu = io_uring_cmd_to_pdu(cmd, struct vferry_pdu);
	struct vferry_slot *slot = NULL;
	unsigned long flags;
	int ret;

	if (!vferry_ring_fits(queue, req))
		return -EOPNOTSUPP;
	pdu->slot = NULL;
	spin_lock_irqsave(&queue->lock, flags);
	ret = why_not(queue);
	if (!ret) {
		slot = take_slot(queue);
		ret = slot ? 0 : -EBUSY;
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (ret)
		return ret;
	/*
	 * Before the device has it: another thread may end it as soon as it does. From here on
	 * done() alone ends it.
	 */
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	spin_lock_irqsave(&queue->lock, flags);
	ret = why_not(queue);
	if (ret) {
		vferry_slot_free(slot);
	} else {
		slot->cmd = cmd;
		WRITE_ONCE(pdu->slot, slot);
		publish(slot, req);
		/* Of many in flight some are answered by now: no need to wait for the interrupt. */
		if (vferry_ring_answered(queue))
			vferry_queue_reap(queue);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (ret)
		vferry_cmd_done(cmd, ret, 0, issue_flags);
	return -EIOCBQUEUED;
}

/* The module's own commands, before others: bounded, and the answer is 8 bytes at most. */
int vferry_queue_exec(struct vferry_queue *queue, struct vferry_request *req,
		      struct vferry_answer *answer)
{
	struct vferry_sync sync = { .answer.error = -EIO };
	struct vferry_slot *slot;
	unsigned long flags;
	int ret;

	init_completion(&sync.done);
	spin_lock_irqsave(&queue->lock, flags);
	ret = why_not(queue);
	slot = ret ? NULL : take_slot(queue);
	if (slot) {
		slot->sync = &sync;
		publish(slot, req);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (!slot)
		return ret ? ret : -EBUSY;
	/* Its timer ends it at the latest. */
	if (wait_for_completion_killable(&sync.done)) {
		spin_lock_irqsave(&queue->lock, flags);
		if (slot->sync == &sync) {
			slot->sync = NULL;
			queue->abandoned++;
			sync.answer.error = -EINTR;
		}
		spin_unlock_irqrestore(&queue->lock, flags);
	}
	*answer = sync.answer;
	return answer->error;
}

