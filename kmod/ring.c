// SPDX-License-Identifier: GPL-2.0-only
/* A split ring of the module's own, and the memory of its commands: what the device sees. */
#include <linux/slab.h>
#include "queue.h"

/*
 * With indirect descriptors a command takes one place in the ring, without them a fixed group of
 * four.
 */
#define DIRECT 4

/*
 * Memory of a command: header and inline data, answer and the module's own result, indirect
 * table.
 */
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

static size_t commands_at(const struct vferry_queue *queue)
{
	size_t desc = sizeof(struct vring_desc) * queue->size;
	size_t avail = sizeof(__le16) * (3 + queue->size);
	size_t used = sizeof(__le16) * 3 + sizeof(struct vring_used_elem) * queue->size;

	return ALIGN(desc, 4096) + ALIGN(avail, 4096) + ALIGN(used, 4096);
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

void vferry_ring_empty(struct vferry_queue *queue)
{
	memset(queue->memory, 0, commands_at(queue));
	queue->avail_idx = 0;
	queue->used_idx = 0;
	queue->broken = false;
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
	vferry_ring_empty(queue);
	vferry_slots_empty(queue);
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

/* --- events --- */

static bool event_idx(const struct vferry_queue *queue)
{
	return vferry_owner_has(queue->owner, VIRTIO_RING_F_EVENT_IDX);
}

static bool wants_doorbell(const struct vferry_queue *queue)
{
	const __le16 *avail_event = (const void *)&queue->used->ring[queue->size];

	if (event_idx(queue))
		return vring_need_event(le16_to_cpu(READ_ONCE(*avail_event)), queue->avail_idx,
					queue->avail_idx - 1);
	return !(READ_ONCE(queue->used->flags) &
		 (__force __virtio16)cpu_to_le16(VRING_USED_F_NO_NOTIFY));
}

bool vferry_ring_listen(struct vferry_queue *queue)
{
	if (event_idx(queue))
		WRITE_ONCE(queue->avail->ring[queue->size],
			   (__force __virtio16)cpu_to_le16(queue->used_idx));
	/* An answer from before the device could see that may come without an interrupt. */
	mb();
	return vferry_ring_answered(queue);
}

bool vferry_ring_answered(const struct vferry_queue *queue)
{
	return le16_to_cpu((__force __le16)READ_ONCE(queue->used->idx)) != queue->used_idx;
}

/* --- commands, under the queue's lock --- */

bool vferry_ring_fits(const struct vferry_queue *queue, const struct vferry_request *req)
{
	return indirect(queue) || (req->outs <= 1 && req->ins <= 1);
}

struct table {
	struct vring_desc *desc;
	u16 first; /* of it, as descriptors name each other */
	u16 n;
};

static void add(struct table *table, u64 iova, u32 length, u16 flags)
{
	struct vring_desc *desc = &table->desc[table->n++];

	desc->addr = (__force __virtio64)cpu_to_le64(iova);
	desc->len = (__force __virtio32)cpu_to_le32(length);
	desc->flags = (__force __virtio16)cpu_to_le16(flags | VRING_DESC_F_NEXT);
	desc->next = (__force __virtio16)cpu_to_le16(table->first + table->n);
}

static void end(struct table *table)
{
	struct vring_desc *desc = &table->desc[table->n - 1];

	desc->flags &= ~(__force __virtio16)cpu_to_le16(VRING_DESC_F_NEXT);
	desc->next = 0;
}

static void lay_out(struct vferry_slot *slot, const struct vferry_request *req)
{
	struct vferry_queue *queue = slot->queue;
	struct wire_header *header = slot_memory(slot);
	u16 place = slot - queue->slots, i;
	u64 iova = slot_iova(slot);
	struct table table = { .desc = (void *)header + SLOT_TABLE };
	struct table ring = { .desc = &queue->desc[place], .first = place };

	memset(header, 0, SLOT_TABLE);
	header->opcode = cpu_to_le16(req->opcode);
	header->group_type = cpu_to_le16(req->group_type);
	header->member = cpu_to_le64(req->member);
	memcpy(header + 1, req->inline_data, req->inline_length);
	if (!indirect(queue)) {
		table.first = place * DIRECT;
		table.desc = queue->desc + table.first;
	}
	add(&table, iova, sizeof(*header) + req->inline_length, 0);
	for (i = 0; i < req->outs; i++)
		add(&table, req->out[i].iova, req->out[i].length, 0);
	add(&table, iova + SLOT_ANSWER, slot->sync ? sizeof(struct wire_answer) : ANSWER_BYTES,
	    VRING_DESC_F_WRITE);
	for (i = 0; i < req->ins; i++)
		add(&table, req->in[i].iova, req->in[i].length, VRING_DESC_F_WRITE);
	end(&table);
	if (indirect(queue)) {
		add(&ring, iova + SLOT_TABLE, table.n * sizeof(*table.desc), VRING_DESC_F_INDIRECT);
		end(&ring);
		table.first = place;
	}
	queue->avail->ring[queue->avail_idx % queue->size] =
		(__force __virtio16)cpu_to_le16(table.first);
}

void vferry_ring_publish(struct vferry_slot *slot, const struct vferry_request *req)
{
	struct vferry_queue *queue = slot->queue;

	lay_out(slot, req);
	/* The device sees the index after what it stands for, */
	dma_wmb();
	WRITE_ONCE(queue->avail->idx, (__force __virtio16)cpu_to_le16(++queue->avail_idx));
	/* and we see its wish after it can see the index. */
	mb();
	if (wants_doorbell(queue))
		iowrite16(queue->index, queue->notify);
}

const char *vferry_ring_next(struct vferry_queue *queue, struct vferry_slot **slot, u32 *used)
{
	u16 idx = le16_to_cpu((__force __le16)READ_ONCE(queue->used->idx));
	u16 per_slot = indirect(queue) ? 1 : DIRECT;
	struct vring_used_elem *elem;
	u32 id;

	*slot = NULL;
	if (idx == queue->used_idx)
		return NULL;
	if ((u16)(idx - queue->used_idx) > queue->inflight)
		return "more answers than commands";
	dma_rmb();
	elem = &queue->used->ring[queue->used_idx % queue->size];
	id = le32_to_cpu((__force __le32)READ_ONCE(elem->id));
	*used = le32_to_cpu((__force __le32)READ_ONCE(elem->len));
	if (id % per_slot || id / per_slot >= queue->slots_count ||
	    !queue->slots[id / per_slot].with_device)
		return "an answer to what was not asked";
	*slot = &queue->slots[id / per_slot];
	queue->used_idx++;
	return NULL;
}

void vferry_ring_answer(const struct vferry_slot *slot, struct vferry_answer *answer)
{
	const struct wire_answer *wire = slot_memory(slot) + SLOT_ANSWER;

	if (answer->used < 2 * sizeof(__le16) || answer->used > ANSWER_BYTES + slot->room) {
		answer->error = -EPROTO;
		return;
	}
	answer->status = READ_ONCE(wire->status);
	answer->qualifier = READ_ONCE(wire->qualifier);
	answer->output = READ_ONCE(wire->output);
	answer->result = READ_ONCE(wire->result);
}
