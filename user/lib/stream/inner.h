/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stream.c, tx.c, rx.c and zc.c share of a stream. */
#ifndef VF_STREAM_INNER_H
#define VF_STREAM_INNER_H

#include <stddef.h>
#include <sys/socket.h>
#include "stream/frame.h"

#define VF_BATCHES	16 /* sends whose memory the kernel may hold at once */
#define VF_BATCH_FRAMES 32
#define VF_BATCH_IOV	128
#define VF_BATCH_BYTES	(256u << 10) /* a batch takes no further frame once it has as much */

/** struct vf_batch - one send: many frames, or the rest of one */
struct vf_batch {
	struct vf_op op;
	struct vf_stream *stream;
	struct msghdr msg;
	struct iovec iov[VF_BATCH_IOV];
	struct vf_tx *frames[VF_BATCH_FRAMES];
	unsigned int count;
	uint64_t bytes;
	bool zc;
	bool answered; /* the kernel has said how many bytes it took */
	bool polling;  /* waiting for a descriptor in non-blocking mode */
};

/** struct vf_zc - shall the next send go without a copy? */
struct vf_zc {
	bool possible;
	uint32_t sends, copied; /* in the current trial */
	uint64_t wait;		/* plain sends until the next trial */
	uint64_t pause;		/* length of the last such wait */
};

struct vf_tx_side {
	bool seeks;		   /* out is a file */
	uint64_t place;		   /* in it, of the stream's first byte */
	struct vf_tx *head, *tail; /* not yet sent in full */
	uint64_t head_at;	   /* bytes of head that were sent, its header included */
	uint64_t sequence;
	struct vf_tx *done, *done_tail; /* their callbacks are due */
	struct vf_batch *sending;	/* the one that the kernel has not yet answered */
	struct vf_batch batches[VF_BATCHES];
	struct vf_zc zc;
	int gone;	     /* the peer takes no more: what it said before that is read first */
	uint64_t gone_at_ns; /* when that ends the stream, whatever was read */
};

struct vf_rx_side {
	struct vf_op head_op, body_op;
	struct vf_frame_wire head; /* being read */
	unsigned int head_have;
	struct vf_frame_wire wire; /* of the frame under way */
	struct vf_frame frame;
	uint8_t *payload;
	uint32_t body_have;
	struct iovec iov[2];
	uint64_t at; /* bytes received */
	uint64_t sequence;
	bool body;    /* a payload is under way */
	bool paused;  /* the owner had no room for it */
	bool polling; /* waiting for a descriptor in non-blocking mode */
	bool again;   /* the body came short: read on when head_op is back */
	bool wait;    /* ... and wait until there is something */
};

struct vf_stream {
	struct vf_ring *ring;
	struct vf_link link;
	struct vf_stream_events events;
	struct vf_stream_stats stats;
	struct vf_tx_side tx;
	struct vf_rx_side rx;
	struct vf_timer later;
	unsigned int depth; /* callbacks of this stream that are running */
	bool ending;	    /* cancelled, waiting for the kernel to let go */
	bool told;	    /* events.broken has run */
	bool freed;
	int code; /* why it ended */
	struct vferry_error why;
};

/* stream.c. Each callback of an operation begins with enter and ends with leave, which may free the stream. */
void vf_stream_enter(struct vf_stream *stream);
void vf_stream_leave(struct vf_stream *stream);
/** vf_stream_end() - the stream is over; @why may be NULL for 0. Only the first reason counts. */
void vf_stream_end(struct vf_stream *stream, int code, const struct vferry_error *why);
/** vf_stream_end_errno() - over because of a failed read or write. */
void vf_stream_end_errno(struct vf_stream *stream, int code, const char *doing, uint64_t at);
/**
 * vf_stream_peer_gone() - a send failed because the peer has closed. Why it did may still wait to be read, so that the
 * stream ends, for this reason, when all of that has been, or after a second.
 */
void vf_stream_peer_gone(struct vf_stream *stream, int code);
/** vf_stream_end_gone() - all that a peer which has gone said was read. */
void vf_stream_end_gone(struct vf_stream *stream);
/** vf_stream_later() - come back in @in_ns: for what is due outside of a completion, or must be cancelled once more. */
void vf_stream_later(struct vf_stream *stream, uint64_t in_ns);

/* tx.c */
void vf_tx_start(struct vf_stream *stream);
void vf_tx_cancel(struct vf_stream *stream);
bool vf_tx_busy(const struct vf_stream *stream);
/** vf_tx_holds_memory() - sends without a copy are out: the kernel may read the memory until it is acknowledged. */
bool vf_tx_holds_memory(const struct vf_stream *stream);
/** vf_tx_fail_all() - all frames that are queued are due to be done with @error. */
void vf_tx_fail_all(struct vf_stream *stream, int error);
void vf_tx_run_done(struct vf_stream *stream);
void vf_tx_end(struct vf_stream *stream);
void vf_tx_init(struct vf_stream *stream);

/* rx.c */
void vf_rx_init(struct vf_stream *stream);
void vf_rx_start(struct vf_stream *stream);
void vf_rx_cancel(struct vf_stream *stream);
bool vf_rx_busy(const struct vf_stream *stream);

/* zc.c */
void vf_zc_init(struct vf_zc *zc, const struct vf_link *link);
/** vf_zc_wanted() - for a send of @bytes. */
bool vf_zc_wanted(struct vf_zc *zc, uint64_t bytes);
/** vf_zc_report() - the kernel's notification for one send. */
void vf_zc_report(struct vf_zc *zc, bool copied);
/** vf_zc_failed() - a send without a copy was refused with @error. Return: true when it shall be tried with one. */
bool vf_zc_failed(struct vf_zc *zc, int error);

#define vf_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
