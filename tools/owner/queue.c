// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The device's side of a split ring. All of it lies in memory that a driver may change at any time: each value
 * is read once, into a local, and checked there.
 */
#include <errno.h>
#include <string.h>
#include "fn.h"

static void *area_at(const struct ring_area *area, uint32_t offset)
{
	uint32_t at = area->skew + offset;

	return area->page[at / DMA_PAGE] + at % DMA_PAGE;
}

static uint16_t read16(const struct ring_area *area, uint32_t offset)
{
	return le16toh(__atomic_load_n((uint16_t *)area_at(area, offset), __ATOMIC_RELAXED));
}

static void write16(const struct ring_area *area, uint32_t offset, uint16_t value)
{
	__atomic_store_n((uint16_t *)area_at(area, offset), htole16(value), __ATOMIC_RELAXED);
}

static void write32(const struct ring_area *area, uint32_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)area_at(area, offset), htole32(value), __ATOMIC_RELAXED);
}

#define AVAIL_FLAGS	  0U
#define AVAIL_IDX	  2U
#define AVAIL_RING(n)	  (4U + 2U * (n))
#define USED_IDX	  2U
#define USED_RING(n)	  (4U + 8U * (n))
#define USED_EVENT(size)  AVAIL_RING(size)
#define AVAIL_EVENT(size) USED_RING(size)

static int area_map(const struct function *fn, struct ring_area *area, uint64_t iova,
		    uint32_t bytes, uint32_t align, uint32_t flags)
{
	uint64_t page = iova & ~(uint64_t)(DMA_PAGE - 1);
	struct iovec iov;

	if (iova & (align - 1) || iova + bytes < iova)
		return -EPROTO;
	area->skew = (uint32_t)(iova - page);
	/* The largest structure is a page long, so that two pages hold it wherever it begins. */
	for (unsigned int i = 0; i < 2; i++) {
		area->page[i] = NULL;
		if (i && area->skew + bytes <= DMA_PAGE)
			break;
		if (dma_translate(&fn->io->dma, page + i * DMA_PAGE, DMA_PAGE, flags, &iov, 1) != 1)
			return -EPROTO;
		area->page[i] = iov.iov_base;
	}
	return 0;
}

static int ring_ready(struct function *fn, unsigned int index)
{
	struct queue_io *qio = &fn->io->queues[index];
	const struct vqueue *q = &fn->queues[index];

	if (qio->ready && qio->generation == fn->io->dma.generation)
		return 0;
	qio->ready = false;
	/* A context may have brought any size. */
	if (!q->size || q->size > OWNER_QUEUE_SIZE || q->size & (q->size - 1))
		return -EPROTO;
	if (area_map(fn, &qio->desc, q->desc, 16U * q->size, 16, VFIO_USER_DMA_F_READ) ||
	    area_map(fn, &qio->avail, q->driver, AVAIL_RING(q->size) + 2, 2,
		     VFIO_USER_DMA_F_READ) ||
	    area_map(fn, &qio->used, q->device, USED_RING(q->size) + 2, 4,
		     VFIO_USER_DMA_F_READ | VFIO_USER_DMA_F_WRITE))
		return -EPROTO;
	qio->ready = true;
	qio->generation = fn->io->dma.generation;
	return 0;
}

void queue_forget(struct function *fn, unsigned int index)
{
	fn->io->queues[index].ready = false;
}

static void desc_read(struct vring_desc *out, const struct vring_desc *shared)
{
	out->addr = le64toh(__atomic_load_n(&shared->addr, __ATOMIC_RELAXED));
	out->len = le32toh(__atomic_load_n(&shared->len, __ATOMIC_RELAXED));
	out->flags = le16toh(__atomic_load_n(&shared->flags, __ATOMIC_RELAXED));
	out->next = le16toh(__atomic_load_n(&shared->next, __ATOMIC_RELAXED));
}

static int segment(struct function *fn, struct chain *chain, const struct vring_desc *desc)
{
	bool in = desc->flags & VRING_DESC_F_WRITE;
	unsigned int used = chain->out_count + chain->in_count;
	int pieces;

	/* Readable before writable, and 2^32 bytes at most. */
	if (!in && chain->in_count)
		return -EPROTO;
	if (chain->out_bytes + chain->in_bytes + desc->len > UINT32_MAX)
		return -EPROTO;
	pieces = dma_translate(&fn->io->dma, desc->addr, desc->len,
			       in ? VFIO_USER_DMA_F_WRITE : VFIO_USER_DMA_F_READ, &chain->iov[used],
			       CHAIN_IOV_MAX - used);
	if (pieces < 0)
		return -EPROTO;
	if (in) {
		chain->in_count += (unsigned int)pieces;
		chain->in_bytes += desc->len;
	} else {
		chain->out_count += (unsigned int)pieces;
		chain->out_bytes += desc->len;
	}
	return 0;
}

static int indirect(struct function *fn, struct chain *chain, const struct vring_desc *desc)
{
	uint8_t table[CHAIN_INDIRECT_MAX * 16];
	unsigned int count = desc->len / 16, at = 0, seen = 0;
	struct vring_desc entry;
	struct iovec iov[3];
	uint8_t *to = table;
	int pieces;

	if (!(fn->driver_features & 1ULL << VIRTIO_RING_F_INDIRECT_DESC))
		return -EPROTO;
	if (desc->flags & VRING_DESC_F_NEXT || !count || desc->len % 16 ||
	    count > CHAIN_INDIRECT_MAX)
		return -EPROTO;
	pieces = dma_translate(&fn->io->dma, desc->addr, desc->len, VFIO_USER_DMA_F_READ, iov, 3);
	if (pieces < 0)
		return -EPROTO;
	for (int i = 0; i < pieces; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	for (;;) {
		memcpy(&entry, table + at * 16, sizeof(entry));
		entry.addr = le64toh(entry.addr);
		entry.len = le32toh(entry.len);
		entry.flags = le16toh(entry.flags);
		entry.next = le16toh(entry.next);
		if (entry.flags & VRING_DESC_F_INDIRECT || ++seen > count)
			return -EPROTO;
		if (segment(fn, chain, &entry))
			return -EPROTO;
		if (!(entry.flags & VRING_DESC_F_NEXT))
			return 0;
		at = entry.next;
		if (at >= count)
			return -EPROTO;
	}
}

static int walk(struct function *fn, unsigned int index, struct chain *chain)
{
	const struct queue_io *qio = &fn->io->queues[index];
	uint16_t size = fn->queues[index].size, at = chain->head;
	struct vring_desc desc;

	chain->out_count = chain->in_count = 0;
	chain->out_bytes = chain->in_bytes = 0;
	/* A chain cannot be longer than the ring: more is a loop. */
	for (unsigned int seen = 0; seen < size; seen++) {
		if (at >= size)
			return -EPROTO;
		desc_read(&desc, area_at(&qio->desc, 16U * at));
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return indirect(fn, chain, &desc);
		if (segment(fn, chain, &desc))
			return -EPROTO;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		at = desc.next;
	}
	return -EPROTO;
}

int queue_pop(struct function *fn, unsigned int index, struct chain *chain)
{
	struct queue_io *qio = &fn->io->queues[index];
	struct vqueue *q = &fn->queues[index];
	uint16_t avail;

	if (ring_ready(fn, index))
		return -EPROTO;
	avail = read16(&qio->avail, AVAIL_IDX);
	if (avail == q->next_avail)
		return 0;
	if ((uint16_t)(avail - q->next_avail) > q->size)
		return -EPROTO;
	/* The index before the entries that it speaks of. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	chain->head = read16(&qio->avail, AVAIL_RING(q->next_avail & (q->size - 1)));
	if (walk(fn, index, chain))
		return -EPROTO;
	q->next_avail++;
	return 1;
}

int queue_push(struct function *fn, unsigned int index, uint16_t head, uint32_t length)
{
	struct queue_io *qio = &fn->io->queues[index];
	struct vqueue *q = &fn->queues[index];
	uint32_t at;

	if (ring_ready(fn, index))
		return -EPROTO;
	at = USED_RING(q->used & (q->size - 1));
	write32(&qio->used, at, head);
	write32(&qio->used, at + 4, length);
	/* Entry and data before the index that hands them over. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	write16(&qio->used, USED_IDX, ++q->used);
	return 0;
}

bool queue_interrupt_due(struct function *fn, unsigned int index)
{
	struct queue_io *qio = &fn->io->queues[index];
	struct vqueue *q = &fn->queues[index];
	uint16_t old = q->signalled;

	q->signalled = q->used;
	if (old == q->used || ring_ready(fn, index))
		return false;
	/* The used index before the driver's wish. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fn->driver_features & 1ULL << VIRTIO_RING_F_EVENT_IDX)
		return vring_need_event(read16(&qio->avail, USED_EVENT(q->size)), q->used, old);
	return !(read16(&qio->avail, AVAIL_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
}

bool queue_arm(struct function *fn, unsigned int index)
{
	struct queue_io *qio = &fn->io->queues[index];
	struct vqueue *q = &fn->queues[index];

	if (ring_ready(fn, index))
		return false;
	if (fn->driver_features & 1ULL << VIRTIO_RING_F_EVENT_IDX)
		write16(&qio->used, AVAIL_EVENT(q->size), q->next_avail);
	/* The wish before the last look. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return read16(&qio->avail, AVAIL_IDX) != q->next_avail;
}
