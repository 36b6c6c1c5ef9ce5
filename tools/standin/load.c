// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The guest's requests: chosen, laid out in its memory, and checked when they come back. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/virtio.h>
#include "tools/standin/guest.h"

#define STATUS_UNWRITTEN 0xff
#define FLUSH_ONE_IN	 64
#define DIRECT_ONE_IN	 4 /* chains in the ring although indirect tables are there */
#define PICK_ATTEMPTS	 16
#define SLOT_HEAD	 4096 /* header, status and indirect table of a request */
#define SEGMENTS_MAX	 32   /* of data */

static uint64_t draw(struct guest *guest, uint64_t below)
{
	uint64_t x = guest->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	guest->random = x;
	return (x >> 11) % below;
}

static int request_memory(struct guest *guest, struct request *request)
{
	uint64_t iova;
	uint8_t *at = memory_take(&guest->memory,
				  SLOT_HEAD + (uint64_t)guest->max_blocks * BLOCK_BYTES, &iova);

	if (!at)
		return -ENOMEM;
	request->header = (void *)at;
	request->header_iova = iova;
	request->status = at + 64;
	request->status_iova = iova + 64;
	request->table = (void *)(at + 128);
	request->table_iova = iova + 128;
	request->data = at + SLOT_HEAD;
	request->data_iova = iova + SLOT_HEAD;
	return 0;
}

int load_new(struct guest *guest, struct vferry_error *err)
{
	const struct port_driver *driver = &guest->driver;
	const struct vf_vq_layout layout = vf_vq_layout(driver->size);
	uint64_t blocks = driver->capacity / BLOCK_SECTORS;
	unsigned int count = guest->opts.depth * (unsigned int)driver->queues;
	uint64_t bytes;
	int error;

	guest->max_blocks = guest->opts.max_request_bytes / BLOCK_BYTES;
	if (blocks > guest->opts.span_bytes / BLOCK_BYTES)
		blocks = guest->opts.span_bytes / BLOCK_BYTES;
	if (blocks < guest->max_blocks)
		return vferry_fail(
			err, -EINVAL,
			"%s: %llu blocks of %u bytes are there (a disk of %llu sectors, --span "
			"%llu); the smallest number that will do is a largest request's, %u",
			guest->opts.source, (unsigned long long)blocks, BLOCK_BYTES,
			(unsigned long long)driver->capacity,
			(unsigned long long)guest->opts.span_bytes, guest->max_blocks);
	bytes = (uint64_t)count * (SLOT_HEAD + (uint64_t)guest->max_blocks * BLOCK_BYTES) +
		(uint64_t)driver->queues * ((layout.bytes + 4095u) & ~4095u);
	error = memory_new(&guest->memory, bytes);
	if (error)
		return vferry_fail(err, error, "guest memory of %llu bytes: %s",
				   (unsigned long long)bytes, strerror(-error));
	guest->requests = calloc(count, sizeof(*guest->requests));
	error = guest->requests ? blocks_new(&guest->blocks, (uint32_t)blocks, guest->opts.vf,
					     guest->opts.seed)
				: -ENOMEM;
	for (unsigned int i = 0; !error && i < driver->queues; i++) {
		void *at = memory_take(&guest->memory, layout.bytes, &guest->ring_iova[i]);

		error = !at ? -ENOMEM
			    : vf_vq_open(&guest->queues[i], at, &layout, driver->size,
					 driver->event_idx);
		if (!error)
			guest->queue_count++;
	}
	for (unsigned int i = 0; !error && i < count; i++) {
		struct request *request = &guest->requests[i];

		request->queue = (uint16_t)(i % driver->queues);
		error = request_memory(guest, request);
		request->next = guest->idle[request->queue];
		guest->idle[request->queue] = request;
	}
	return error ? vferry_fail(err, error, "out of memory for the guest's requests") : 0;
}

void load_free(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->queue_count; i++)
		vf_vq_close(&guest->queues[i]);
	guest->queue_count = 0;
	free(guest->requests);
	guest->requests = NULL;
	blocks_free(&guest->blocks);
	memory_free(&guest->memory);
}

/* --- choosing --- */
static bool pick_random(struct guest *guest, struct request *request)
{
	bool read = draw(guest, 100) < guest->opts.read_percent;

	if (guest->driver.flush && !draw(guest, FLUSH_ONE_IN)) {
		request->type = VIRTIO_BLK_T_FLUSH;
		request->first = request->count = 0;
		return true;
	}
	request->type = read ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	for (unsigned int i = 0; i < PICK_ATTEMPTS; i++) {
		request->count = 1 + (uint32_t)draw(guest, guest->max_blocks);
		request->first = (uint32_t)draw(guest, guest->blocks.count - request->count + 1);
		if (read ? blocks_may_read(&guest->blocks, request->first, request->count)
			 : blocks_may_write(&guest->blocks, request->first, request->count))
			return true;
	}
	return false;
}

static bool pick(struct guest *guest, struct request *request)
{
	uint32_t left = guest->blocks.count - guest->cursor;

	if (guest->state == GUEST_RUNNING)
		return pick_random(guest, request);
	if (!left)
		return false;
	request->type = guest->state == GUEST_FILLING ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	request->first = guest->cursor;
	request->count = left < guest->max_blocks ? left : guest->max_blocks;
	return true;
}

/* Data in one piece, in blocks, or in pieces that fit nothing: a device has to take all of them. */
static unsigned int cut_data(struct guest *guest, const struct request *request,
			     struct vferry_sg *segments)
{
	uint32_t bytes = request->count * BLOCK_BYTES, at = 0;
	unsigned int most = guest->driver.seg_max, count = 0;
	uint64_t style = draw(guest, 3);

	if (most > SEGMENTS_MAX)
		most = SEGMENTS_MAX;
	while (at < bytes) {
		uint32_t piece = bytes - at;

		if (count + 1 < most && style == 1 && piece > BLOCK_BYTES)
			piece = BLOCK_BYTES;
		else if (count + 1 < most && style == 2)
			piece = 1 + (uint32_t)draw(guest, piece);
		segments[count++] = (struct vferry_sg){ request->data_iova + at, piece };
		at += piece;
	}
	return count;
}

static void lay_out(struct guest *guest, struct request *request)
{
	*request->header = (struct virtio_blk_outhdr){
		.type = htole32(request->type),
		.sector = htole64((uint64_t)request->first * BLOCK_SECTORS),
	};
	*request->status = STATUS_UNWRITTEN;
	if (request->type == VIRTIO_BLK_T_OUT) {
		blocks_begin_write(&guest->blocks, request->first, request->count, request->data);
	} else if (request->type == VIRTIO_BLK_T_IN) {
		blocks_begin_read(&guest->blocks, request->first, request->count);
		/* A sector that the device does not write must not look sound. */
		for (uint32_t at = 0; at < request->count * BLOCK_BYTES; at += 512)
			memset(request->data + at, 0xa5, 16);
	}
}

/* false: nothing can be made available now */
static bool submit_one(struct guest *guest, unsigned int n, uint64_t now_ns)
{
	struct vf_vq *queue = &guest->queues[n];
	struct request *request = guest->idle[n];
	struct vf_vq_indirect indirect;
	struct vferry_sg out[SEGMENTS_MAX + 1], in[SEGMENTS_MAX + 1];
	unsigned int outs = 1, ins = 0;
	bool direct;

	if (!request || !pick(guest, request))
		return false;
	out[0] = (struct vferry_sg){ request->header_iova, sizeof(*request->header) };
	if (request->type == VIRTIO_BLK_T_OUT)
		outs += cut_data(guest, request, out + 1);
	else if (request->type == VIRTIO_BLK_T_IN)
		ins = cut_data(guest, request, in);
	in[ins++] = (struct vferry_sg){ request->status_iova, 1 };
	direct = !guest->driver.indirect ||
		 (!draw(guest, DIRECT_ONE_IN) && outs + ins <= queue->free_count);
	if (queue->free_count < (direct ? outs + ins : 1))
		return false;
	guest->idle[n] = request->next;
	request->busy = true;
	lay_out(guest, request);
	request->submit_ns = now_ns;
	indirect = (struct vf_vq_indirect){ request->table, request->table_iova, SEGMENTS_MAX + 2 };
	/* There is room: looked at above. A ring that the device broke ends the guest when it is reaped. */
	(void)vf_vq_add(queue, out, outs, in, ins, direct ? NULL : &indirect, request);
	if (direct)
		guest->tally.direct_chains++;
	else
		guest->tally.indirect_chains++;
	if (guest->state != GUEST_RUNNING)
		guest->cursor += request->count;
	if (!guest->inflight++)
		guest->waiting_since_ns = now_ns;
	return true;
}

uint64_t load_submit(struct guest *guest, uint64_t now_ns)
{
	uint64_t allowed = UINT64_MAX, next = UINT64_MAX;
	bool paced = guest->state == GUEST_RUNNING && guest->opts.iops, more = true;

	if (guest->state != GUEST_FILLING && guest->state != GUEST_RUNNING &&
	    guest->state != GUEST_READBACK)
		return UINT64_MAX;
	if (paced) {
		uint64_t due = (uint64_t)((double)(now_ns - guest->pace_ns) * 1e-9 *
					  (double)guest->opts.iops);
		uint64_t depth = (uint64_t)guest->opts.depth * guest->queue_count;

		/* What could not be sent while the device slept is not made up for. */
		if (due > guest->pace_sent + depth) {
			guest->pace_ns = now_ns - depth * 1000000000 / guest->opts.iops;
			guest->pace_sent = 0;
			due = depth;
		}
		allowed = due > guest->pace_sent ? due - guest->pace_sent : 0;
	}
	while (more && allowed) {
		more = false;
		for (unsigned int i = 0; i < guest->queue_count && allowed; i++) {
			if (!submit_one(guest, i, now_ns))
				continue;
			more = true;
			allowed--;
			guest->pace_sent++;
		}
	}
	for (unsigned int i = 0; i < guest->queue_count; i++)
		if (vf_vq_publish(&guest->queues[i]))
			guest_ring(guest, i);
	if (paced && !allowed)
		next = guest->pace_ns +
		       (uint64_t)((double)(guest->pace_sent + 1) * 1e9 / (double)guest->opts.iops);
	return next;
}

/* --- checking --- */
static void check_read(struct guest *guest, const struct request *request)
{
	bool back = guest->state == GUEST_READBACK;
	uint64_t *stale = back ? &guest->tally.lost_blocks : &guest->tally.stale_reads;
	uint64_t *corrupt = back ? &guest->tally.corrupt_blocks : &guest->tally.corrupt_reads;

	for (uint32_t i = 0; i < request->count; i++) {
		switch (blocks_check(&guest->blocks, request->first + i,
				     request->data + (size_t)i * BLOCK_BYTES)) {
		case BLOCK_STALE:
			++*stale;
			break;
		case BLOCK_CORRUPT:
			++*corrupt;
			break;
		case BLOCK_GOOD:
			break;
		}
	}
	if (back)
		guest->tally.read_back += request->count;
}

static int finish(struct guest *guest, struct request *request, uint32_t length, uint64_t now_ns)
{
	uint8_t status = __atomic_load_n(request->status, __ATOMIC_RELAXED);
	bool good = status == VIRTIO_BLK_S_OK;
	uint32_t writes = 1;

	if (status == STATUS_UNWRITTEN)
		return vferry_fail(
			&guest->error, -EPROTO,
			"queue %u: a request came back before the device wrote its status",
			request->queue);
	if (request->type == VIRTIO_BLK_T_IN)
		writes += request->count * BLOCK_BYTES;
	if (good && length != writes)
		guest->tally.wrong_lengths++;
	if (!good)
		guest->tally.failed++;
	switch (request->type) {
	case VIRTIO_BLK_T_IN:
		if (good)
			check_read(guest, request);
		else if (guest->state == GUEST_READBACK)
			guest->tally.lost_blocks += request->count;
		blocks_end_read(&guest->blocks, request->first, request->count);
		guest->tally.reads++;
		break;
	case VIRTIO_BLK_T_OUT:
		blocks_end_write(&guest->blocks, request->first, request->count, good);
		guest->tally.writes++;
		break;
	default:
		guest->tally.flushes++;
	}
	if (guest->state == GUEST_FILLING)
		guest->tally.filled += request->count;
	else if (guest->state != GUEST_READBACK)
		guest->tally.io[guest->phase]++;
	if (now_ns - request->submit_ns > guest->tally.latency_max_ns)
		guest->tally.latency_max_ns = now_ns - request->submit_ns;
	request->busy = false;
	request->next = guest->idle[request->queue];
	guest->idle[request->queue] = request;
	guest->inflight--;
	return 0;
}

static void close_gap(struct guest *guest, uint64_t now_ns)
{
	uint64_t gap = now_ns - guest->waiting_since_ns;

	if (guest->state == GUEST_RUNNING || guest->state == GUEST_DRAINING) {
		if (gap > guest->tally.gap_ns)
			guest->tally.gap_ns = gap;
		if (guest->phase != PHASE_BEFORE && gap > guest->tally.gap_during_ns)
			guest->tally.gap_during_ns = gap;
	}
	guest->waiting_since_ns = now_ns;
}

int load_reap(struct guest *guest, unsigned int n, uint64_t now_ns)
{
	struct vf_vq *queue = &guest->queues[n];
	struct vf_vq_answer answer;
	int count = 0, got, error;

	do {
		while ((got = vf_vq_pop(queue, &answer)) > 0) {
			if (!count++)
				close_gap(guest, now_ns);
			error = finish(guest, answer.token, answer.length, now_ns);
			if (error) {
				guest->tally.ring_errors++;
				return error;
			}
		}
		if (got < 0) {
			guest->tally.ring_errors++;
			return vferry_fail(&guest->error, got, "queue %u: %s", n, queue->broken);
		}
	} while (vf_vq_listen(queue, 0));
	return count;
}

bool load_has_used(const struct guest *guest, unsigned int n)
{
	const struct vf_vq *queue = &guest->queues[n];

	return le16toh(__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE)) != queue->last_used;
}

const struct request *load_late(const struct guest *guest, uint64_t before_ns)
{
	const struct request *late = NULL;
	unsigned int count = guest->opts.depth * (unsigned int)guest->driver.queues;

	for (unsigned int i = 0; i < count; i++) {
		const struct request *request = &guest->requests[i];

		if (request->busy && request->submit_ns < before_ns &&
		    (!late || request->submit_ns < late->submit_ns))
			late = request;
	}
	return late;
}
