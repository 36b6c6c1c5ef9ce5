// SPDX-License-Identifier: GPL-2.0-only
/* An admin queue: a split ring of the module's own, completed from its interrupt. */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/slab.h>
#include "compat.h"
#include "vferry.h"

#define NO_SLOT	 U16_MAX
/* With indirect descriptors a command takes one place in the ring, without them a fixed group of four. */
#define DIRECT	 4

/* Memory of a command: header and inline data, answer and the module's own result, indirect table. */
#define SLOT_BYTES    1024
#define SLOT_ANSWER   64
#define SLOT_TABLE    128
#define TABLE_ENTRIES (2 + 2 * VFERRY_URING_RUNS)

struct wire_header {
	__le16 opcode;
	__le16 group_type;
	u8 reserved[12];
	__le64 member;
};

struct wire_answer {
	__le16 status;
	__le16 qualifier;
	__le32 output;
	__le64 result;
};

#define ANSWER_BYTES offsetof(struct wire_answer, result)

static_assert(sizeof(struct wire_header) + VFERRY_URING_INLINE <= SLOT_ANSWER);
static_assert(SLOT_ANSWER + sizeof(struct wire_answer) <= SLOT_TABLE);
static_assert(SLOT_TABLE + TABLE_ENTRIES * sizeof(struct vring_desc) <= SLOT_BYTES);

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

/* --- memory --- */

static size_t commands_at(const struct vferry_queue *queue)
{
	size_t rings = ALIGN(sizeof(struct vring_desc) * queue->size, 4096) +
		       ALIGN(sizeof(__le16) * (3 + queue->size), 4096) +
		       ALIGN(sizeof(__le16) * 3 + sizeof(struct vring_used_elem) * queue->size, 4096);

	return rings;
}

static void *slot_memory(const struct vferry_slot *slot)
{
	const struct vferry_queue *queue = slot->queue;

	return queue->memory + commands_at(queue) + (slot - queue->slots) * SLOT_BYTES;
}

static u64 slot_iova(const struct vferry_slot *slot)
{
	const struct vferry_queue *queue = slot->queue;

	return queue->iova + commands_at(queue) + (slot - queue->slots) * SLOT_BYTES;
}

static bool indirect(const struct vferry_queue *queue)
{
	return vferry_owner_has(queue->owner, VIRTIO_RING_F_INDIRECT_DESC);
}

static void rings_empty(struct vferry_queue *queue)
{
	memset(queue->memory, 0, commands_at(queue));
	queue->avail_idx = 0;
	queue->used_idx = 0;
	queue->broken = false;
}

static void slots_empty(struct vferry_queue *queue)
{
	u16 i;

	for (i = 0; i < queue->slots_count; i++)
		queue->slots[i].next_free = i + 1 < queue->slots_count ? i + 1 : NO_SLOT;
	queue->free_head = 0;
	queue->inflight = 0;
	queue->abandoned = 0;
}

int vferry_queue_alloc(struct vferry_queue *queue, u16 index, u16 size)
{
	struct vferry_owner *owner = queue->owner;
	int ret;

	queue->index = index;
	queue->size = size;
	queue->slots_count = min_t(u16, indirect(queue) ? size : size / DIRECT, VFERRY_SLOTS);
	if (!queue->slots_count)
		return -EOPNOTSUPP;
	queue->bytes = PAGE_ALIGN(commands_at(queue) + queue->slots_count * SLOT_BYTES);
	if (queue->bytes > VFERRY_QUEUE_STEP)
		return -EOVERFLOW;
	queue->memory = alloc_pages_exact(queue->bytes, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!queue->memory)
		return -ENOMEM;
	queue->iova = VFERRY_QUEUE_IOVA + (queue - owner->queues) * VFERRY_QUEUE_STEP;
	ret = iommu_map(owner->domain, queue->iova, virt_to_phys(queue->memory), queue->bytes,
			IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	queue->mapped = true;
	queue->desc = queue->memory;
	queue->avail = queue->memory + ALIGN(sizeof(struct vring_desc) * size, 4096);
	queue->used = (void *)queue->avail + ALIGN(sizeof(__le16) * (3 + size), 4096);
	rings_empty(queue);
	slots_empty(queue);
	return 0;
}

/* The device is out of reach of it: reset, or behind a domain without this. */
void vferry_queue_free(struct vferry_queue *queue)
{
	if (queue->mapped)
		iommu_unmap(queue->owner->domain, queue->iova, queue->bytes);
	queue->mapped = false;
	if (queue->memory)
		free_pages_exact(queue->memory, queue->bytes);
	queue->memory = NULL;
}

/* --- slots, under the lock --- */

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

static void free_slot(struct vferry_slot *slot)
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

VFERRY_TASK_WORK(finish_in_task)
{
	VFERRY_TASK_WORK_BEGIN(cmd, issue_flags);
	struct vferry_pdu *pdu = io_uring_cmd_to_pdu(cmd, struct vferry_pdu);

	vferry_cmd_done(cmd, pdu->res, pdu->res2, issue_flags);
}

static u64 answer_word(const struct vferry_answer *answer)
{
	return le16_to_cpu(answer->status) | (u64)le16_to_cpu(answer->qualifier) << 16 |
	       (u64)le32_to_cpu(answer->output) << 32;
}

/* Nobody waits for the slot after this; what the device has of it, it keeps. */
static void tell(struct vferry_slot *slot, const struct vferry_answer *answer)
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

static void abandon(struct vferry_slot *slot)
{
	slot->queue->abandoned++;
	queue_delayed_work(system_wq, &slot->queue->recover, VFERRY_GRACE);
}

static bool awaited(const struct vferry_slot *slot)
{
	return slot->cmd || slot->sync;
}

static void timed_out(struct timer_list *timer)
{
	struct vferry_slot *slot = timer_container_of(slot, timer, timer);
	static const struct vferry_answer answer = { .error = -ETIMEDOUT };
	unsigned long flags;

	spin_lock_irqsave(&slot->queue->lock, flags);
	/* It may have been answered, and the slot used again, while this waited for the lock. */
	if (slot->with_device && awaited(slot) && !time_before(jiffies, slot->deadline)) {
		tell(slot, &answer);
		abandon(slot);
	}
	spin_unlock_irqrestore(&slot->queue->lock, flags);
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
		timer_delete(&slot->timer);
		slot->cmd = NULL;
		abandon(slot);
	}
	spin_unlock_irqrestore(&slot->queue->lock, flags);
	if (ours)
		vferry_cmd_done(cmd, -ECANCELED, 0, issue_flags);
}

/* --- answers --- */

static void answered(struct vferry_slot *slot, u32 used)
{
	const struct wire_answer *wire = slot_memory(slot) + SLOT_ANSWER;
	struct vferry_queue *queue = slot->queue;
	struct vferry_answer answer = { .used = used };

	queue->inflight--;
	if (!awaited(slot)) {
		queue->abandoned--;
	} else if (used < 2 * sizeof(__le16) || used > ANSWER_BYTES + slot->room) {
		answer.error = -EPROTO;
	} else {
		answer.status = READ_ONCE(wire->status);
		answer.qualifier = READ_ONCE(wire->qualifier);
		answer.output = READ_ONCE(wire->output);
		answer.result = READ_ONCE(wire->result);
	}
	tell(slot, &answer);
	free_slot(slot);
}

static void broken(struct vferry_queue *queue, const char *why)
{
	dev_err_ratelimited(&queue->owner->dev, "admin queue %u: %s\n", queue->index, why);
	queue->broken = true;
	queue->state = VFERRY_QUEUE_PARKED;
	mod_delayed_work(system_wq, &queue->recover, 0);
}

static void reap(struct vferry_queue *queue)
{
	u16 per_slot = indirect(queue) ? 1 : DIRECT;

	while (queue->state != VFERRY_QUEUE_GONE && !queue->broken) {
		u16 idx = le16_to_cpu((__force __le16)READ_ONCE(queue->used->idx));
		struct vring_used_elem *elem;
		struct vferry_slot *slot;
		u32 id, used;

		if (idx == queue->used_idx)
			break;
		if ((u16)(idx - queue->used_idx) > queue->inflight) {
			broken(queue, "more answers than commands");
			break;
		}
		dma_rmb();
		elem = &queue->used->ring[queue->used_idx % queue->size];
		id = le32_to_cpu((__force __le32)READ_ONCE(elem->id));
		used = le32_to_cpu((__force __le32)READ_ONCE(elem->len));
		slot = id % per_slot || id / per_slot >= queue->slots_count ?
			       NULL :
			       &queue->slots[id / per_slot];
		if (!slot || !slot->with_device) {
			broken(queue, "an answer to what was not asked");
			break;
		}
		queue->used_idx++;
		answered(slot, used);
		if (queue->state == VFERRY_QUEUE_PARKED && !queue->inflight)
			queue->state = VFERRY_QUEUE_RUNNING;
	}
}

irqreturn_t vferry_queue_irq(int irq, void *data)
{
	struct vferry_queue *queue = data;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	reap(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return IRQ_HANDLED;
}

/* --- sending --- */

static void put_desc(struct vring_desc *desc, u64 iova, u32 length, u16 flags, u16 next)
{
	desc->addr = (__force __virtio64)cpu_to_le64(iova);
	desc->len = (__force __virtio32)cpu_to_le32(length);
	desc->flags = (__force __virtio16)cpu_to_le16(flags);
	desc->next = (__force __virtio16)cpu_to_le16(next);
}

static void lay_out(struct vferry_slot *slot, const struct vferry_request *req)
{
	struct vferry_queue *queue = slot->queue;
	u64 iova = slot_iova(slot);
	struct wire_header *header = slot_memory(slot);
	struct wire_answer *answer = (void *)header + SLOT_ANSWER;
	u16 n = 0, i, head = slot - queue->slots, first = 0;
	struct vring_desc *table = (void *)header + SLOT_TABLE;

	memset(header, 0, SLOT_TABLE);
	header->opcode = cpu_to_le16(req->opcode);
	header->group_type = cpu_to_le16(req->group_type);
	header->member = cpu_to_le64(req->member);
	memcpy(header + 1, req->inline_data, req->inline_length);
	if (!indirect(queue)) {
		first = head * DIRECT;
		table = queue->desc + first;
	}
#define ADD(at, bytes, flags)                                                          \
	do {                                                                           \
		put_desc(&table[n], at, bytes, (flags) | VRING_DESC_F_NEXT, first + n + 1); \
		n++;                                                                   \
	} while (0)
	ADD(iova, sizeof(*header) + req->inline_length, 0);
	for (i = 0; i < req->outs; i++)
		ADD(req->out[i].iova, req->out[i].length, 0);
	ADD(iova + SLOT_ANSWER, slot->sync ? sizeof(*answer) : ANSWER_BYTES, VRING_DESC_F_WRITE);
	for (i = 0; i < req->ins; i++)
		ADD(req->in[i].iova, req->in[i].length, VRING_DESC_F_WRITE);
#undef ADD
	table[n - 1].flags &= (__force __virtio16)~cpu_to_le16(VRING_DESC_F_NEXT);
	table[n - 1].next = 0;
	if (indirect(queue)) {
		put_desc(&queue->desc[head], iova + SLOT_TABLE, n * sizeof(*table),
			 VRING_DESC_F_INDIRECT, 0);
		first = head;
	}
	queue->avail->ring[queue->avail_idx % queue->size] =
		(__force __virtio16)cpu_to_le16(first);
}

static void publish(struct vferry_slot *slot, struct vferry_request *req)
{
	struct vferry_queue *queue = slot->queue;

	slot->room = slot->sync ? sizeof(__le64) : req->room;
	slot->nbuffers = req->nbuffers;
	memcpy(slot->buffers, req->buffers, req->nbuffers * sizeof(req->buffers[0]));
	req->nbuffers = 0;
	lay_out(slot, req);
	slot->with_device = true;
	slot->deadline = jiffies + msecs_to_jiffies(req->timeout_ms) + 1;
	mod_timer(&slot->timer, slot->deadline);
	queue->inflight++;
	/* The device sees the index after what it stands for, */
	dma_wmb();
	WRITE_ONCE(queue->avail->idx, (__force __virtio16)cpu_to_le16(++queue->avail_idx));
	/* and we see its wish after it can see the index. */
	mb();
	if (!(READ_ONCE(queue->used->flags) &
	      (__force __virtio16)cpu_to_le16(VRING_USED_F_NO_NOTIFY)))
		iowrite16(queue->index, queue->notify);
}

static int why_not(const struct vferry_queue *queue)
{
	return queue->state == VFERRY_QUEUE_RUNNING ? 0 :
	       queue->state == VFERRY_QUEUE_PARKED  ? -EIO :
						      -ENODEV;
}

int vferry_queue_submit(struct vferry_queue *queue, struct vferry_request *req,
			struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct vferry_pdu *pdu = io_uring_cmd_to_pdu(cmd, struct vferry_pdu);
	struct vferry_slot *slot = NULL;
	unsigned long flags;
	int ret;

	if (!indirect(queue) && (req->outs > 1 || req->ins > 1))
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
	/* Before the device has it: another thread may end it as soon as it does. From here on done() alone ends it. */
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
	spin_lock_irqsave(&queue->lock, flags);
	ret = why_not(queue);
	if (ret) {
		free_slot(slot);
	} else {
		slot->cmd = cmd;
		WRITE_ONCE(pdu->slot, slot);
		publish(slot, req);
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
	wait_for_completion(&sync.done);
	*answer = sync.answer;
	return answer->error;
}

/* --- the queue as a whole --- */

static void end_all(struct vferry_queue *queue, int error)
{
	const struct vferry_answer answer = { .error = error };
	u16 i;

	for (i = 0; i < queue->slots_count; i++) {
		struct vferry_slot *slot = &queue->slots[i];

		if (slot->with_device && awaited(slot)) {
			tell(slot, &answer);
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
			free_slot(slot);
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

/* A command was not answered, nor after a grace; or the ring makes no sense. */
static void recover(struct work_struct *work)
{
	struct vferry_queue *queue = container_of(to_delayed_work(work), struct vferry_queue, recover);
	struct vferry_owner *owner = queue->owner;
	unsigned long flags;
	bool needed;
	int ret = -EOPNOTSUPP;

	spin_lock_irqsave(&queue->lock, flags);
	/* An interrupt that was lost is no reason to take everybody's commands. */
	reap(queue);
	needed = queue->state != VFERRY_QUEUE_GONE && (queue->abandoned || queue->broken);
	if (needed)
		queue->state = VFERRY_QUEUE_PARKED;
	spin_unlock_irqrestore(&queue->lock, flags);
	if (!needed)
		return;
	if (vferry_owner_has(owner, VIRTIO_F_RING_RESET))
		ret = vferry_owner_queue_reset(queue);
	spin_lock_irqsave(&queue->lock, flags);
	if (queue->state == VFERRY_QUEUE_PARKED) {
		end_all(queue, ret ? -EIO : -ECANCELED);
		if (!ret) {
			release_all(queue);
			rings_empty(queue);
		}
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (!ret)
		ret = vferry_owner_queue_enable(queue);
	spin_lock_irqsave(&queue->lock, flags);
	if (!ret && queue->state == VFERRY_QUEUE_PARKED)
		queue->state = VFERRY_QUEUE_RUNNING;
	spin_unlock_irqrestore(&queue->lock, flags);
	if (ret)
		dev_warn(&owner->dev, "admin queue %u does not answer and cannot be reset (%d): parked\n",
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
