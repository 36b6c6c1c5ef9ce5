// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The receiving side: each payload goes straight into the memory that the owner gives.
 *
 * On a socket a payload's receive is linked with that of the next header, both MSG_WAITALL: one system call a frame,
 * and yet a frame is handed over as soon as it is there, though nothing may follow. Files and pipes are read
 * with READV, payload and next header in one call, which gives what there is.
 */
#include <errno.h>
#include <poll.h>
#include "stream/inner.h"

static void read_on(struct vf_stream *stream);

static uint8_t *head_rest(struct vf_rx_side *rx)
{
	return (uint8_t *)&rx->head + rx->head_have;
}

static uint32_t body_left(const struct vf_rx_side *rx)
{
	return rx->body ? rx->frame.length - rx->body_have : 0;
}

static void cut(struct vf_stream *stream)
{
	const struct vf_rx_side *rx = &stream->rx;
	int code = stream->link.socket ? -ECONNRESET : -EBADMSG;
	unsigned long long at = rx->at, frame = rx->sequence;
	struct vferry_error err;

	if (rx->body)
		vferry_fail(&err, code,
			    "%s: the stream was cut at byte %llu, inside the payload of frame %llu "
			    "(%u of %u bytes came)",
			    stream->link.name, at, frame - 1, rx->body_have, rx->frame.length);
	else
		vferry_fail(&err, code,
			    "%s: the stream was cut at byte %llu, inside the header of frame %llu "
			    "(%u of %u bytes came)",
			    stream->link.name, at, frame, rx->head_have,
			    (unsigned int)VF_FRAME_HEADER_BYTES);
	vf_stream_end(stream, code, &err);
}

static void end_of_file(struct vf_stream *stream)
{
	const struct vf_rx_side *rx = &stream->rx;

	if (rx->body || rx->head_have)
		cut(stream);
	else if (stream->tx.head)
		/* It closed in order, and yet did not wait for what is under way to it. */
		vf_stream_end_errno(stream, -ECONNRESET, "sending", stream->stats.bytes_out);
	else
		vf_stream_end(stream, 0, NULL);
}

static void deliver(struct vf_stream *stream)
{
	struct vf_rx_side *rx = &stream->rx;
	struct vferry_error err;

	rx->body = false;
	if (rx->frame.length &&
	    vf_frame_verify(&rx->frame, &rx->wire, rx->payload, rx->at - rx->frame.length, &err)) {
		vf_stream_end(stream, -EBADMSG, &err);
		return;
	}
	stream->stats.frames_in++;
	stream->events.frame(stream->events.arg, &rx->frame, rx->payload);
}

static void ask_for_room(struct vf_stream *stream)
{
	struct vf_rx_side *rx = &stream->rx;
	void *room = stream->events.room(stream->events.arg, &rx->frame);

	if (stream->ending)
		return;
	rx->paused = !room;
	if (!room)
		return;
	rx->payload = room;
	rx->body = true;
	rx->body_have = 0;
}

static void header_complete(struct vf_stream *stream)
{
	struct vf_rx_side *rx = &stream->rx;
	struct vferry_error err;

	rx->wire = rx->head;
	rx->head_have = 0;
	if (vf_frame_parse(&rx->frame, &rx->wire, rx->sequence, rx->at - VF_FRAME_HEADER_BYTES,
			   &err)) {
		vf_stream_end(stream, -EBADMSG, &err);
		return;
	}
	rx->sequence++;
	rx->payload = NULL;
	if (rx->frame.length)
		ask_for_room(stream);
	else
		deliver(stream);
}

static void count(struct vf_stream *stream, uint64_t bytes)
{
	stream->rx.at += bytes;
	stream->stats.bytes_in += bytes;
}

/* Bytes of a header have come. */
static void take_head(struct vf_stream *stream, uint32_t bytes)
{
	count(stream, bytes);
	stream->rx.head_have += bytes;
	if (stream->rx.head_have == VF_FRAME_HEADER_BYTES)
		header_complete(stream);
}

static void take_body(struct vf_stream *stream, uint32_t bytes)
{
	count(stream, bytes);
	stream->rx.body_have += bytes;
	if (!body_left(&stream->rx))
		deliver(stream);
}

static void wait_until_readable(struct vf_stream *stream)
{
	if (stream->ending)
		return;
	stream->rx.polling = true;
	io_uring_prep_poll_add(vf_ring_sqe(stream->ring, &stream->rx.head_op), stream->link.in,
			       POLLIN);
}

/* What a read came to when it brought no bytes. */
static void no_bytes(struct vf_stream *stream, int32_t res)
{
	if (stream->ending)
		return;
	if (stream->tx.gone && res != -EAGAIN && res != -EINTR)
		vf_stream_end_gone(stream);
	else if (!res)
		end_of_file(stream);
	else if (res == -EAGAIN)
		wait_until_readable(stream);
	else if (res != -EINTR)
		vf_stream_end_errno(stream, res, "receiving", stream->rx.at);
}

static void take_read(struct vf_stream *stream, uint32_t bytes)
{
	uint32_t body = body_left(&stream->rx);

	if (body > bytes)
		body = bytes;
	if (body)
		take_body(stream, body);
	/* What lies behind a payload that was refused is not looked at. */
	if (bytes > body && !stream->ending)
		take_head(stream, bytes - body);
}

static void on_head(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_stream *stream = vf_container_of(op, struct vf_stream, rx.head_op);
	struct vf_rx_side *rx = &stream->rx;
	bool again = rx->polling || rx->again;
	bool wait = rx->wait;

	vf_stream_enter(stream);
	rx->polling = false;
	rx->again = false;
	rx->wait = false;
	if (wait)
		wait_until_readable(stream);
	else if (!again && res <= 0)
		no_bytes(stream, res);
	else if (!again && stream->link.socket && !stream->ending)
		take_head(stream, (uint32_t)res);
	else if (!again && !stream->ending)
		take_read(stream, (uint32_t)res);
	read_on(stream);
	vf_stream_leave(stream);
}

/* The first of a linked pair: on_head() comes behind it in any case. */
static void on_body(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_stream *stream = vf_container_of(op, struct vf_stream, rx.body_op);
	struct vf_rx_side *rx = &stream->rx;

	vf_stream_enter(stream);
	if (!stream->ending && res > 0) {
		rx->again = (uint32_t)res < body_left(rx);
		take_body(stream, (uint32_t)res);
	} else if (res == -EAGAIN || res == -EINTR) {
		rx->again = true;
		rx->wait = res == -EAGAIN;
	} else {
		no_bytes(stream, res);
	}
	vf_stream_leave(stream);
}

static void recv_pair(struct vf_stream *stream)
{
	struct vf_rx_side *rx = &stream->rx;
	struct io_uring_sqe *sqe;

	/* A link does not reach across two submissions. */
	vf_ring_reserve(stream->ring, 2);
	sqe = vf_ring_sqe(stream->ring, &rx->body_op);
	io_uring_prep_recv(sqe, stream->link.in, rx->payload + rx->body_have, body_left(rx),
			   MSG_WAITALL);
	sqe->flags |= IOSQE_IO_LINK;
	sqe = vf_ring_sqe(stream->ring, &rx->head_op);
	io_uring_prep_recv(sqe, stream->link.in, &rx->head, sizeof(rx->head), MSG_WAITALL);
}

static void recv_head(struct vf_stream *stream)
{
	struct vf_rx_side *rx = &stream->rx;

	io_uring_prep_recv(vf_ring_sqe(stream->ring, &rx->head_op), stream->link.in, head_rest(rx),
			   VF_FRAME_HEADER_BYTES - rx->head_have, MSG_WAITALL);
}

static void read_both(struct vf_stream *stream)
{
	struct vf_rx_side *rx = &stream->rx;
	unsigned int parts = 0;

	if (rx->body)
		rx->iov[parts++] = (struct iovec){ rx->payload + rx->body_have, body_left(rx) };
	rx->iov[parts++] = (struct iovec){ head_rest(rx), VF_FRAME_HEADER_BYTES - rx->head_have };
	io_uring_prep_readv(vf_ring_sqe(stream->ring, &rx->head_op), stream->link.in, rx->iov,
			    parts, (__u64)-1);
}

static void read_on(struct vf_stream *stream)
{
	struct vf_rx_side *rx = &stream->rx;

	if (stream->ending || rx->paused || rx->head_op.busy)
		return;
	if (!stream->link.socket)
		read_both(stream);
	else if (rx->body)
		recv_pair(stream);
	else
		recv_head(stream);
}

void vf_stream_resume(struct vf_stream *stream)
{
	if (!stream->rx.paused || stream->ending)
		return;
	vf_stream_enter(stream);
	ask_for_room(stream);
	read_on(stream);
	vf_stream_leave(stream);
}

void vf_rx_init(struct vf_stream *stream)
{
	stream->rx.head_op.done = on_head;
	stream->rx.body_op.done = on_body;
}

void vf_rx_start(struct vf_stream *stream)
{
	if (stream->link.in >= 0)
		read_on(stream);
}

void vf_rx_cancel(struct vf_stream *stream)
{
	vf_ring_cancel(stream->ring, &stream->rx.body_op);
	vf_ring_cancel(stream->ring, &stream->rx.head_op);
}

bool vf_rx_busy(const struct vf_stream *stream)
{
	return stream->rx.body_op.busy || stream->rx.head_op.busy;
}
