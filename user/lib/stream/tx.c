// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The sending side. One send is with the kernel at a time, so that bytes keep their order; sends that went without
 * a copy stay out until the kernel has notified, and the next ones go on meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "stream/inner.h"

static uint64_t frame_bytes(const struct vf_tx *tx)
{
	return VF_FRAME_HEADER_BYTES + tx->frame.length;
}

static void due(struct vf_stream *stream, struct vf_tx *tx, int error)
{
	struct vf_tx_side *side = &stream->tx;

	tx->error = error;
	tx->next = NULL;
	if (side->done)
		side->done_tail->next = tx;
	else
		side->done = tx;
	side->done_tail = tx;
}

void vf_tx_run_done(struct vf_stream *stream)
{
	struct vf_tx *tx;

	/* The owner may send, and even free the stream, from inside. */
	while ((tx = stream->tx.done)) {
		stream->tx.done = tx->next;
		tx->next = NULL;
		tx->done(tx, tx->error);
	}
}

void vf_tx_fail_all(struct vf_stream *stream, int error)
{
	struct vf_tx *tx = stream->tx.head;

	stream->tx.head = NULL;
	stream->tx.head_at = 0;
	while (tx) {
		struct vf_tx *next = tx->next;

		due(stream, tx, error);
		tx = next;
	}
}

bool vf_tx_busy(const struct vf_stream *stream)
{
	for (unsigned int i = 0; i < VF_BATCHES; i++)
		if (stream->tx.batches[i].op.busy)
			return true;
	return false;
}

bool vf_tx_holds_memory(const struct vf_stream *stream)
{
	for (unsigned int i = 0; i < VF_BATCHES; i++)
		if (stream->tx.batches[i].op.busy && stream->tx.batches[i].zc)
			return true;
	return false;
}

void vf_tx_cancel(struct vf_stream *stream)
{
	if (stream->tx.sending)
		vf_ring_cancel(stream->ring, &stream->tx.sending->op);
}

static void add(struct vf_batch *batch, void *bytes, uint64_t count, uint64_t *skip)
{
	uint64_t leave_out = *skip < count ? *skip : count;

	*skip -= leave_out;
	if (leave_out == count)
		return;
	batch->iov[batch->msg.msg_iovlen++] = (struct iovec){
		.iov_base = (char *)bytes + leave_out,
		.iov_len = count - leave_out,
	};
	batch->bytes += count - leave_out;
}

static void add_frame(struct vf_batch *batch, struct vf_tx *tx, uint64_t *skip)
{
	if (!tx->checked) {
		/* As late as this: what the check reads is still in the cache when the kernel copies it. */
		uint64_t check = tx->frame.length
					 ? vf_frame_check(tx->parts, tx->count, tx->frame.sequence)
					 : 0;

		vf_frame_pack(&tx->wire, &tx->frame, check);
		tx->checked = true;
	}
	add(batch, &tx->wire, sizeof(tx->wire), skip);
	for (unsigned int i = 0; i < tx->count; i++)
		add(batch, tx->parts[i].iov_base, tx->parts[i].iov_len, skip);
	tx->holds++;
	batch->frames[batch->count++] = tx;
}

static void fill(struct vf_stream *stream, struct vf_batch *batch)
{
	uint64_t skip = stream->tx.head_at;

	batch->count = 0;
	batch->bytes = 0;
	batch->msg = (struct msghdr){ .msg_iov = batch->iov };
	for (struct vf_tx *tx = stream->tx.head; tx; tx = tx->next) {
		if (batch->count == VF_BATCH_FRAMES || batch->bytes >= VF_BATCH_BYTES ||
		    batch->msg.msg_iovlen + 1 + tx->count > VF_BATCH_IOV)
			break;
		add_frame(batch, tx, &skip);
	}
}

static struct vf_batch *free_batch(struct vf_stream *stream)
{
	for (unsigned int i = 0; i < VF_BATCHES; i++)
		if (!stream->tx.batches[i].op.busy)
			return &stream->tx.batches[i];
	return NULL;
}

/*
 * Where in a file the next bytes go. Said each time: when a write ends short for want of space, the kernel does not move
 * the file's own position, and the next one would overwrite what was written, and seem to succeed.
 */
static __u64 place(const struct vf_stream *stream)
{
	return stream->tx.seeks ? stream->tx.place + stream->stats.bytes_out : (__u64)-1;
}

void vf_tx_start(struct vf_stream *stream)
{
	struct vf_batch *batch;
	struct io_uring_sqe *sqe;
	int fd = stream->link.out;

	if (stream->ending || stream->tx.gone || stream->tx.sending || !stream->tx.head)
		return;
	batch = free_batch(stream);
	if (!batch)
		return;
	fill(stream, batch);
	batch->polling = false;
	batch->zc = vf_zc_wanted(&stream->tx.zc, batch->bytes);
	stream->tx.sending = batch;
	sqe = vf_ring_sqe(stream->ring, &batch->op);
	if (batch->zc) {
		io_uring_prep_sendmsg_zc(sqe, fd, &batch->msg, MSG_WAITALL | MSG_NOSIGNAL);
		sqe->ioprio |= IORING_SEND_ZC_REPORT_USAGE;
		stream->stats.zc_sends++;
	} else if (stream->link.socket) {
		io_uring_prep_sendmsg(sqe, fd, &batch->msg, MSG_WAITALL | MSG_NOSIGNAL);
		stream->stats.plain_sends++;
	} else {
		io_uring_prep_writev(sqe, fd, batch->iov, (unsigned int)batch->msg.msg_iovlen,
				     place(stream));
		stream->stats.plain_sends++;
	}
}

/* The kernel took @count bytes from the head of the queue. */
static void took(struct vf_stream *stream, uint64_t count)
{
	struct vf_tx_side *side = &stream->tx;

	stream->stats.bytes_out += count;
	side->head_at += count;
	while (side->head && side->head_at >= frame_bytes(side->head)) {
		struct vf_tx *tx = side->head;

		side->head_at -= frame_bytes(tx);
		side->head = tx->next;
		tx->sent = true;
		stream->stats.frames_out++;
	}
}

/* The kernel has let go of the batch's memory. */
static void release(struct vf_stream *stream, struct vf_batch *batch)
{
	for (unsigned int i = 0; i < batch->count; i++) {
		struct vf_tx *tx = batch->frames[i];

		if (!--tx->holds && tx->sent)
			due(stream, tx, 0);
	}
	batch->count = 0;
}

static void wait_until_writable(struct vf_stream *stream, struct vf_batch *batch)
{
	/* Without a free batch the next notification starts the sending again. */
	if (stream->ending || !batch)
		return;
	batch->polling = true;
	batch->zc = false;
	stream->tx.sending = batch;
	io_uring_prep_poll_add(vf_ring_sqe(stream->ring, &batch->op), stream->link.out, POLLOUT);
}

static void answer(struct vf_stream *stream, struct vf_batch *batch, int32_t res, bool more)
{
	stream->tx.sending = NULL;
	if (batch->polling)
		res = res < 0 && res != -ECANCELED ? res : -EINTR;
	else if (res > 0)
		took(stream, (uint64_t)res);
	if (!more)
		release(stream, batch);
	if (res > 0 || res == -EINTR || stream->ending)
		return;
	if (res == -EAGAIN)
		wait_until_writable(stream, more ? free_batch(stream) : batch);
	else if (stream->link.socket && (res == -EPIPE || res == -ECONNRESET))
		vf_stream_peer_gone(stream, res);
	else if (!batch->zc || !vf_zc_failed(&stream->tx.zc, res))
		vf_stream_end_errno(stream, res ? res : -EIO, "sending", stream->stats.bytes_out);
}

static void on_batch(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_batch *batch = vf_container_of(op, struct vf_batch, op);
	struct vf_stream *stream = batch->stream;

	vf_stream_enter(stream);
	if (flags & IORING_CQE_F_NOTIF) {
		bool copied = (uint32_t)res & IORING_NOTIF_USAGE_ZC_COPIED;

		stream->stats.zc_copied += copied;
		vf_zc_report(&stream->tx.zc, copied);
		release(stream, batch);
	} else {
		answer(stream, batch, res, flags & IORING_CQE_F_MORE);
	}
	vf_tx_start(stream);
	vf_stream_leave(stream);
}

void vf_tx_init(struct vf_stream *stream)
{
	for (unsigned int i = 0; i < VF_BATCHES; i++) {
		stream->tx.batches[i].stream = stream;
		stream->tx.batches[i].op.done = on_batch;
	}
	if (!stream->link.socket && stream->link.out >= 0) {
		off_t at = lseek(stream->link.out, 0, SEEK_CUR);

		stream->tx.seeks = at >= 0;
		stream->tx.place = at >= 0 ? (uint64_t)at : 0;
	}
	vf_zc_init(&stream->tx.zc, &stream->link);
}

static int payload_bytes(const struct vf_tx *tx, uint32_t *length)
{
	uint64_t sum = 0;

	if (tx->count > VF_FRAME_PARTS_MAX)
		return -EMSGSIZE;
	for (unsigned int i = 0; i < tx->count; i++) {
		if (tx->parts[i].iov_len > VF_FRAME_PAYLOAD_MAX)
			return -EMSGSIZE;
		sum += tx->parts[i].iov_len;
	}
	if (sum > VF_FRAME_PAYLOAD_MAX)
		return -EMSGSIZE;
	*length = (uint32_t)sum;
	return 0;
}

void vf_stream_send(struct vf_stream *stream, struct vf_tx *tx)
{
	struct vf_tx_side *side = &stream->tx;
	int ret = payload_bytes(tx, &tx->frame.length);

	tx->next = NULL;
	tx->holds = 0;
	tx->checked = false;
	tx->sent = false;
	if (stream->ending || stream->link.out < 0)
		ret = stream->code ? stream->code : -ECONNRESET;
	if (ret) {
		due(stream, tx, ret);
		vf_stream_later(stream, 0);
		return;
	}
	tx->frame.sequence = side->sequence++;
	if (side->head)
		side->tail->next = tx;
	else
		side->head = tx;
	side->tail = tx;
	vf_tx_start(stream);
}

/* Whoever writes to the same file next goes on behind us. */
void vf_tx_end(struct vf_stream *stream)
{
	if (stream->tx.seeks)
		(void)!lseek(stream->link.out, (off_t)place(stream), SEEK_SET);
}

bool vf_stream_idle(const struct vf_stream *stream)
{
	return !stream->tx.head && !stream->tx.done && !vf_tx_busy(stream);
}

bool vf_stream_sends_zc(const struct vf_stream *stream)
{
	return stream->tx.zc.possible && !stream->tx.zc.wait;
}
