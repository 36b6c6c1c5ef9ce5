// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A stream's life: beginning, end, and freeing it at any moment. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "stream/inner.h"

#define RETRY_NS      50000000ULL
#define LAST_WORDS_NS 1000000000ULL

int vf_stream_new(struct vf_stream **out, struct vf_ring *ring, const struct vf_link *link,
		  const struct vf_stream_events *events, struct vferry_error *err)
{
	struct vf_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return vferry_fail(err, -ENOMEM, "no memory for a stream to %s", link->name);
	stream->ring = ring;
	stream->link = *link;
	stream->events = *events;
	vf_tx_init(stream);
	vf_rx_init(stream);
	vf_rx_start(stream);
	*out = stream;
	return 0;
}

const struct vf_stream_stats *vf_stream_stats(const struct vf_stream *stream)
{
	return &stream->stats;
}

static bool busy(const struct vf_stream *stream)
{
	return vf_tx_busy(stream) || vf_rx_busy(stream);
}

void vf_stream_enter(struct vf_stream *stream)
{
	stream->depth++;
}

/* Nothing is under way any more: now the owner may have back all that it lent. */
static void tell_the_end(struct vf_stream *stream)
{
	stream->told = true;
	vf_timer_stop(stream->ring, &stream->later);
	vf_tx_fail_all(stream, stream->code ? stream->code : -ECONNRESET);
	vf_tx_run_done(stream);
	if (!stream->freed)
		stream->events.broken(stream->events.arg, stream->code, &stream->why);
}

void vf_stream_leave(struct vf_stream *stream)
{
	vf_tx_run_done(stream);
	if (stream->ending && !stream->told && !busy(stream))
		tell_the_end(stream);
	if (!--stream->depth && stream->freed)
		free(stream);
}

/* The memory of sends without a copy comes back when the peer acknowledges, which a stalled one never does. */
static void reset_connection(struct vf_stream *stream)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (vf_tx_holds_memory(stream))
		connect(stream->link.out, &none, sizeof(none));
}

static void stop_all(struct vf_stream *stream)
{
	vf_tx_cancel(stream);
	vf_rx_cancel(stream);
	reset_connection(stream);
}

static void do_later(struct vf_timer *timer)
{
	struct vf_stream *stream = vf_container_of(timer, struct vf_stream, later);

	vf_stream_enter(stream);
	if (stream->tx.gone && !stream->ending) {
		if (vf_now_ns() >= stream->tx.gone_at_ns)
			vf_stream_end_gone(stream);
		else
			vf_stream_later(stream, RETRY_NS);
	}
	if (stream->ending && busy(stream)) {
		/* A cancellation can miss an operation that is just being retried. */
		stop_all(stream);
		vf_stream_later(stream, RETRY_NS);
	}
	vf_stream_leave(stream);
}

void vf_stream_later(struct vf_stream *stream, uint64_t in_ns)
{
	stream->later.fn = do_later;
	vf_timer_set(stream->ring, &stream->later, vf_now_ns() + in_ns);
}

void vf_stream_end(struct vf_stream *stream, int code, const struct vferry_error *why)
{
	if (stream->ending)
		return;
	stream->ending = true;
	stream->code = code;
	if (why)
		stream->why = *why;
	/* What was sent without a copy has until then to be acknowledged. */
	vf_tx_cancel(stream);
	vf_rx_cancel(stream);
	vf_stream_later(stream, RETRY_NS);
}

void vf_stream_end_errno(struct vf_stream *stream, int code, const char *doing, uint64_t at)
{
	const char *more = "";
	struct vferry_error err;

	if (code == -EPIPE || code == -ECONNRESET)
		more = ": the peer has gone";
	else if (code == -ENOSPC || code == -EDQUOT)
		more = ": what was written so far is no complete stream, make room and begin again";
	else if (code == -ETIMEDOUT)
		more = ": the peer does not answer any more";
	vferry_fail(&err, code, "%s: %s failed at stream byte %llu: %s%s", stream->link.name, doing,
		    (unsigned long long)at, strerror(-code), more);
	vf_stream_end(stream, code, &err);
}

void vf_stream_end_gone(struct vf_stream *stream)
{
	int code = stream->tx.gone;

	stream->tx.gone = 0;
	vf_stream_end_errno(stream, code, "sending", stream->stats.bytes_out);
}

void vf_stream_peer_gone(struct vf_stream *stream, int code)
{
	if (stream->ending || stream->tx.gone)
		return;
	stream->tx.gone = code;
	stream->tx.gone_at_ns = vf_now_ns() + LAST_WORDS_NS;
	vf_stream_later(stream, RETRY_NS);
}

void vf_stream_free(struct vf_stream *stream)
{
	unsigned int failures = 0;

	if (!stream)
		return;
	vf_stream_enter(stream);
	stream->freed = true;
	vf_stream_end(stream, -ECANCELED, NULL);
	while (busy(stream)) {
		int ret = vf_ring_turn(stream->ring, vf_now_ns() + RETRY_NS);

		/* A ring that turns no more: memory that the kernel may still write is better lost than reused. */
		if (ret < 0 && ret != -EINTR && ++failures > 100)
			return;
		stop_all(stream);
	}
	vf_timer_stop(stream->ring, &stream->later);
	vf_tx_end(stream);
	vf_stream_leave(stream);
}
