/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames between hosts and files. A stream carries frames of several VFs (each with a number, "lane") over one
 * connection. Context bytes go from the arena to the descriptor and from the descriptor into the arena; nothing
 * here copies them.
 */
#ifndef VF_STREAM_H
#define VF_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include <sys/uio.h>
#include <vferry/error.h>
#include "ring/ring.h"

/* --- what stands on the wire: frame header, little endian, then length bytes of payload --- */
#define VF_FRAME_MAGIC	     0x59524656u /* "VFRY" */
#define VF_STREAM_VERSION    1
#define VF_FRAME_PAYLOAD_MAX (4u << 20)
#define VF_FRAME_PARTS_MAX   8

struct vf_frame_wire {
	__le32 magic;
	__le16 version;
	__le16 type; /* enum vf_frame_type, in migrate/messages.h; the stream does not look */
	__le32 lane;
	__le32 length; /* of the payload, at most VF_FRAME_PAYLOAD_MAX */
	__le64 sequence; /* counts the frames of this direction from 0: a lost or repeated one is seen */
	__le64 aux;	 /* the type's own: offset in the image, for CONTEXT */
	__le64 payload_check; /* XXH3-64 of the payload, seeded with the sequence; 0 when there is none */
	__le64 header_check; /* XXH3-64 of the 40 bytes before it */
};

struct vf_frame {
	uint16_t type;
	uint32_t lane;
	uint32_t length;
	uint64_t sequence;
	uint64_t aux;
};

/* --- where a stream leads --- */
struct vf_peer; /* tcp:host:port unix:path exec:command fd:N file:path - */

struct vf_peer_opts {
	bool insecure;	     /* a tcp listener may bind to more than loopback */
	uint64_t timeout_ns; /* for connecting, name lookup included */
};

/**
 * struct vf_link - an open way to a peer
 * @in: descriptor to read from, -1 when the way leads out only
 * @out: descriptor to write to, -1 when it leads in only
 * @socket: recv/send may be used (and then SEND_ZC where it pays)
 * @one_way: a file or a pipe: nobody answers
 * @child: pid of an exec: peer until it was reaped, 0 otherwise
 * @status: its exit status once it was reaped, -1 when a signal ended it; 0 otherwise
 * @name: for messages
 *
 * in and out may be the same descriptor, and are then closed once.
 */
struct vf_link {
	int in;
	int out;
	bool socket;
	bool one_way;
	int child;
	int status;
	char name[128];
};

/*
 * "-" is standard output for the sender and standard input for the receiver, and both together when each is a socket
 * or a pipe, as ssh gives them (in and out are set then, and one_way is false). Who pipes a one-way stream out of a
 * program whose input is a pipe too gives it </dev/null. After vf_peer_connect() descriptor 1 is /dev/null.
 */
int vf_peer_parse(struct vf_peer **peer, const char *address, struct vferry_error *err);
void vf_peer_free(struct vf_peer *peer);
const char *vf_peer_name(const struct vf_peer *peer);
/** vf_peer_connect() - the sender's side: connect, start the command, create the file (0600, refused when it exists). Blocks up to the timeout. */
int vf_peer_connect(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		    struct vferry_error *err);
/** vf_peer_listens() - tcp: and unix: are listened on by the receiver; the others are opened once. */
bool vf_peer_listens(const struct vf_peer *peer);
/** vf_peer_listen() - the receiver's side of tcp: and unix:; a listening descriptor, or -errno. tcp: binds to loopback unless @opts->insecure. */
int vf_peer_listen(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vferry_error *err);
/** vf_peer_accept_link() - make a link of an accepted connection. */
void vf_peer_accept_link(struct vf_peer *peer, int fd, struct vf_link *link);
/** vf_peer_open_in() - the receiver's side of exec:, fd:, file: and -. */
int vf_peer_open_in(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		    struct vferry_error *err);
/** vf_peer_discard() - unlink the file that vf_peer_connect() created, after a failure. */
void vf_peer_discard(struct vf_peer *peer);
/** vf_link_sync() - a file: what was written is on its disk. Nothing for other links. */
int vf_link_sync(const struct vf_link *link, struct vferry_error *err);
/** vf_link_explain() - after an end or error: when an exec: child has gone (it gets a moment for it), add its exit status to the words. */
void vf_link_explain(struct vf_link *link, struct vferry_error *err);
/**
 * vf_link_close() - closes; for exec: waits up to @timeout_ns for the child, then ends it
 *
 * Return: the child's exit status; -1 when a signal ended it; 0 when there is none.
 */
int vf_link_close(struct vf_link *link, uint64_t timeout_ns);

/* --- the stream on a link --- */
struct vf_stream;

/**
 * struct vf_tx - a frame to send; embedded in its owner, who keeps it and the payload until @done
 * @frame: type, lane, aux are the caller's; length and sequence are filled in
 * @parts: the payload, at most VF_FRAME_PARTS_MAX runs of memory; not touched, not copied
 * @done: from vf_ring_turn(): the payload's memory is free again (with SEND_ZC: after the kernel's notification).
 *	  0, or -errno when the stream broke
 */
struct vf_tx {
	struct vf_frame frame;
	struct iovec parts[VF_FRAME_PARTS_MAX];
	unsigned int count;
	void (*done)(struct vf_tx *tx, int error);
	/* the stream's own: */
	struct vf_tx *next;
	struct vf_frame_wire wire;
	unsigned int holds; /* sends under way that still read its memory */
	bool checked;	    /* wire is filled in */
	bool sent;	    /* every byte was handed to the kernel */
	int error;
};

/**
 * struct vf_stream_events - what a stream tells its owner; all called from vf_ring_turn(), @room from vf_stream_resume() too
 * @room: memory for the payload of @frame, @frame->length bytes (never called for 0). Return it, or NULL: the stream
 *	  pauses until vf_stream_resume() and asks again
 * @frame: a frame is complete and its checks agree; @payload is what @room gave (NULL for a length of 0)
 * @broken: the stream ended: 0 at an orderly end between frames with nothing left to send, -EBADMSG for a frame that is wrong (the words say what and at
 *	    which byte), -ECONNRESET, -EIO, … Called once, when no memory given by @room or vf_stream_send() is in use any
 *	    more; frames still queued were done before, with the same error
 *
 * Each of them, and @done of a frame, may call any function of the stream, vf_stream_free() too. Frames may be done in
 * another order than they were sent in: a later one by copy may overtake an earlier one by SEND_ZC.
 */
struct vf_stream_events {
	void *(*room)(void *arg, const struct vf_frame *frame);
	void (*frame)(void *arg, const struct vf_frame *frame, void *payload);
	void (*broken)(void *arg, int error, const struct vferry_error *why);
	void *arg;
};

/** struct vf_stream_stats - where the bytes went */
struct vf_stream_stats {
	uint64_t frames_out, frames_in;
	uint64_t bytes_out, bytes_in; /* payload and headers */
	uint64_t zc_sends;	      /* sends by SEND_ZC */
	uint64_t zc_copied;	      /* of these, reported as copied by the kernel */
	uint64_t plain_sends;
};

/**
 * vf_stream_new() - begin to receive (when the link leads in) and be ready to send
 *
 * A write to a pipe that nobody reads any more raises SIGPIPE: the program ignores it, as every program with pipes.
 */
int vf_stream_new(struct vf_stream **stream, struct vf_ring *ring, const struct vf_link *link,
		  const struct vf_stream_events *events, struct vferry_error *err);
/**
 * vf_stream_free() - cancels what is under way; every queued frame's @done has run when it returns (with -ECANCELED), no event
 * comes after the call. It turns the ring until the kernel has let go of all memory, so callbacks of others may run inside.
 * A connection on which SEND_ZC is under way is reset. Does not close the link.
 */
void vf_stream_free(struct vf_stream *stream);
/** vf_stream_send() - queue a frame. On a stream that is broken, @tx->done comes at the next vf_ring_turn(). */
void vf_stream_send(struct vf_stream *stream, struct vf_tx *tx);
/** vf_stream_resume() - @room may have an answer now. */
void vf_stream_resume(struct vf_stream *stream);
/** vf_stream_idle() - nothing queued or under way in the sending direction. */
bool vf_stream_idle(const struct vf_stream *stream);
/** vf_stream_sends_zc() - large frames go out without the kernel's copy, or that is being tried. */
bool vf_stream_sends_zc(const struct vf_stream *stream);
const struct vf_stream_stats *vf_stream_stats(const struct vf_stream *stream);

#endif
