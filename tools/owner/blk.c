// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* virtio-blk: requests become io_uring operations on the backing file, whatever their descriptors look like. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fn.h"

#define SECTOR	       512U
#define SEG_MAX	       126U
#define SIZE_MAX_BYTES 65536U
#define IOV_MAX_ONCE   1024U /* of one readv or writev */

struct blk_request {
	struct vf_op op;
	struct function *fn;
	uint16_t index;
	uint16_t head;
	uint32_t epoch;
	uint32_t type;
	uint8_t *status; /* in shared memory */
	uint64_t offset; /* in the file, of what is left */
	uint64_t left;
	uint32_t written; /* into device-writable memory, without the status byte */
	struct iovec *at;
	unsigned int count;
	struct iovec iov[];
};

static void blk_done(struct vf_op *op, int32_t res, uint32_t flags);

void blk_config(struct function *fn, unsigned int queues)
{
	struct virtio_blk_config *config = (void *)fn->device_cfg;

	_Static_assert(offsetof(struct virtio_blk_config, max_discard_sectors) <=
			       sizeof(((struct function *)0)->device_cfg),
		       "room");
	memset(fn->device_cfg, 0, sizeof(fn->device_cfg));
	config->capacity = htole64(fn->io->capacity);
	config->size_max = htole32(SIZE_MAX_BYTES);
	config->seg_max = htole32(SEG_MAX);
	config->blk_size = htole32(SECTOR);
	config->num_queues = htole16((uint16_t)queues);
	fn->device_cfg_len = offsetof(struct virtio_blk_config, max_discard_sectors);
	fn->device_features |= 1ULL << VIRTIO_BLK_F_SIZE_MAX | 1ULL << VIRTIO_BLK_F_SEG_MAX |
			       1ULL << VIRTIO_BLK_F_BLK_SIZE | 1ULL << VIRTIO_BLK_F_FLUSH;
	if (queues > 1)
		fn->device_features |= 1ULL << VIRTIO_BLK_F_MQ;
	if (fn->io->read_only)
		fn->device_features |= 1ULL << VIRTIO_BLK_F_RO;
}

static void finish(struct blk_request *request, uint8_t status)
{
	struct function *fn = request->fn;
	unsigned int index = request->index;

	/* A queue that was reset meanwhile has forgotten this request. */
	if (request->epoch == fn->io->queues[index].epoch) {
		__atomic_store_n(request->status, status, __ATOMIC_RELAXED);
		if (queue_push(fn, index, request->head, request->written + 1))
			transport_needs_reset(fn);
		else
			fn_interrupt(fn, index);
	}
	free(request);
	fn_request_done(fn, index);
}

/* Drops @bytes from the front of the request's memory. */
static void skip(struct blk_request *request, uint64_t bytes)
{
	while (bytes && request->count) {
		size_t n = bytes < request->at->iov_len ? bytes : request->at->iov_len;

		request->at->iov_base = (uint8_t *)request->at->iov_base + n;
		request->at->iov_len -= n;
		bytes -= n;
		if (!request->at->iov_len) {
			request->at++;
			request->count--;
		}
	}
}

static void submit(struct blk_request *request)
{
	struct io_uring_sqe *sqe = vf_ring_sqe(request->fn->owner->ring, &request->op);
	unsigned int count = request->count < IOV_MAX_ONCE ? request->count : IOV_MAX_ONCE;

	request->op.done = blk_done;
	if (request->type == VIRTIO_BLK_T_FLUSH)
		io_uring_prep_fsync(sqe, request->fn->io->disk, IORING_FSYNC_DATASYNC);
	else if (request->type == VIRTIO_BLK_T_IN)
		io_uring_prep_readv(sqe, request->fn->io->disk, request->at, count,
				    request->offset);
	else
		io_uring_prep_writev(sqe, request->fn->io->disk, request->at, count,
				     request->offset);
}

static void blk_done(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct blk_request *request = container_of(op, struct blk_request, op);

	if (res == -EAGAIN || res == -EINTR) {
		submit(request);
		return;
	}
	if (res < 0 || (!res && request->left)) {
		finish(request, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (request->left) {
		if (request->type == VIRTIO_BLK_T_IN)
			request->written += (uint32_t)res;
		request->offset += (uint32_t)res;
		request->left -= (uint32_t)res;
		skip(request, (uint32_t)res);
		if (request->left) {
			submit(request);
			return;
		}
	}
	finish(request, VIRTIO_BLK_S_OK);
}

/* Copies the first @bytes of the readable part: read once. False when there are fewer. */
static bool gather(const struct chain *chain, void *to, size_t bytes)
{
	uint8_t *out = to;

	for (unsigned int i = 0; i < chain->out_count && bytes; i++) {
		size_t n = bytes < chain->iov[i].iov_len ? bytes : chain->iov[i].iov_len;

		memcpy(out, chain->iov[i].iov_base, n);
		out += n;
		bytes -= n;
	}
	return !bytes;
}

static uint8_t get_id(struct blk_request *request)
{
	uint8_t id[VIRTIO_BLK_ID_BYTES] = { 0 };

	if (request->left < sizeof(id))
		return VIRTIO_BLK_S_IOERR;
	memcpy(id, request->fn->io->serial, sizeof(id));
	for (unsigned int at = 0; at < sizeof(id); request->at++) {
		size_t n = sizeof(id) - at < request->at->iov_len ? sizeof(id) - at
								  : request->at->iov_len;

		memcpy(request->at->iov_base, id + at, n);
		at += (unsigned int)n;
	}
	request->written = sizeof(id);
	return VIRTIO_BLK_S_OK;
}

static bool in_range(const struct function *fn, uint64_t sector, uint64_t bytes)
{
	return !(bytes % SECTOR) && sector <= fn->io->capacity &&
	       bytes / SECTOR <= fn->io->capacity - sector;
}

/* Returns true when the request is on its way; false with the status when it is over. */
static bool start(struct blk_request *request, uint64_t sector, uint8_t *status)
{
	struct function *fn = request->fn;

	switch (request->type) {
	case VIRTIO_BLK_T_FLUSH:
		request->left = 0;
		submit(request);
		return true;
	case VIRTIO_BLK_T_GET_ID:
		*status = get_id(request);
		return false;
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		break;
	default:
		*status = VIRTIO_BLK_S_UNSUPP;
		return false;
	}
	*status = VIRTIO_BLK_S_IOERR;
	if (!in_range(fn, sector, request->left) ||
	    (request->type == VIRTIO_BLK_T_OUT && fn->io->read_only))
		return false;
	if (!request->left) {
		*status = VIRTIO_BLK_S_OK;
		return false;
	}
	request->offset = sector * SECTOR;
	submit(request);
	return true;
}

void blk_begin(struct function *fn, unsigned int index, const struct chain *chain)
{
	unsigned int pieces = chain->out_count + chain->in_count;
	struct virtio_blk_outhdr header;
	struct blk_request *request;
	const struct iovec *last;
	uint8_t status;

	/* Neither header nor a place for the status: there is no way to answer this. */
	if (!chain->in_bytes || !gather(chain, &header, sizeof(header))) {
		transport_needs_reset(fn);
		return;
	}
	request = calloc(1, sizeof(*request) + pieces * sizeof(struct iovec));
	if (!request) {
		transport_needs_reset(fn);
		return;
	}
	fn->queues[index].inflight++;
	fn->io->inflight++;
	request->fn = fn;
	request->index = (uint16_t)index;
	request->head = chain->head;
	request->epoch = fn->io->queues[index].epoch;
	request->type = le32toh(header.type);
	last = &chain->iov[pieces - 1];
	request->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	request->at = request->iov;
	if (request->type == VIRTIO_BLK_T_OUT) {
		request->count = chain->out_count;
		request->left = chain->out_bytes;
		memcpy(request->iov, chain->iov, chain->out_count * sizeof(*chain->iov));
		skip(request, sizeof(header));
		request->left -= sizeof(header);
	} else {
		request->count = chain->in_count;
		request->left = chain->in_bytes - 1;
		memcpy(request->iov, chain->iov + chain->out_count,
		       chain->in_count * sizeof(*chain->iov));
		if (!--request->iov[chain->in_count - 1].iov_len)
			request->count--;
	}
	if (!start(request, le64toh(header.sector), &status))
		finish(request, status);
}
