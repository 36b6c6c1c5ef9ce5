/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two ends of a stream for tests: links of every kind, a sender of known frames, a receiver that keeps what came. */
#ifndef STREAM_ENDS_H
#define STREAM_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "stream/stream.h"

#define LONG_NS 60000000000ULL /* only a hang takes as long */

struct end {
	struct vf_stream *stream;
	struct vf_link link;
	/* what came */
	unsigned int frames;
	uint64_t bytes;
	uint64_t hash; /* of all frames in their order */
	uint8_t *room;
	bool full; /* room() answers NULL */
	unsigned int pauses;
	unsigned int
		free_at_frame; /* vf_stream_free() inside the callback of this frame, counted from 1 */
	bool broken;
	int code;
	struct vferry_error why;
	unsigned int calls_after_free;
	bool freed;
};

static inline uint64_t fold(uint64_t hash, const void *bytes, uint64_t count)
{
	const uint8_t *at = bytes;

	for (uint64_t i = 0; i < count; i++)
		hash = (hash ^ at[i]) * 0x100000001b3ULL;
	return hash;
}

static inline uint64_t fold_frame(uint64_t hash, const struct vf_frame *frame, const void *payload)
{
	hash = fold(hash, &frame->type, sizeof(frame->type));
	hash = fold(hash, &frame->lane, sizeof(frame->lane));
	hash = fold(hash, &frame->aux, sizeof(frame->aux));
	return fold(hash, payload, frame->length);
}

static void *end_room(void *arg, const struct vf_frame *frame)
{
	struct end *end = arg;

	end->calls_after_free += end->freed;
	assert_true(frame->length > 0 && frame->length <= VF_FRAME_PAYLOAD_MAX);
	if (end->full) {
		end->pauses++;
		return NULL;
	}
	/* As exact as can be: a byte too many is found by the sanitizer. */
	free(end->room);
	end->room = malloc(frame->length);
	return end->room;
}

static void end_frame(void *arg, const struct vf_frame *frame, void *payload)
{
	struct end *end = arg;

	end->calls_after_free += end->freed;
	assert_ptr_equal(payload, frame->length ? end->room : NULL);
	assert_int_equal(frame->sequence, end->frames);
	end->frames++;
	end->bytes += frame->length;
	end->hash = fold_frame(end->hash, frame, payload);
	if (end->frames == end->free_at_frame) {
		vf_stream_free(end->stream);
		end->stream = NULL;
		end->freed = true;
	}
}

static void end_broken(void *arg, int error, const struct vferry_error *why)
{
	struct end *end = arg;

	end->calls_after_free += end->freed;
	assert_false(end->broken);
	end->broken = true;
	end->code = error;
	end->why = *why;
	if (error)
		assert_true(strlen(why->text) > 10);
}

static inline void end_open(struct end *end, struct vf_ring *ring)
{
	struct vf_stream_events events = { end_room, end_frame, end_broken, end };

	assert_int_equal(vf_stream_new(&end->stream, ring, &end->link, &events, NULL), 0);
}

static inline void end_close(struct end *end)
{
	vf_stream_free(end->stream);
	end->stream = NULL;
	end->freed = true;
	vf_link_close(&end->link, LONG_NS);
	free(end->room);
	end->room = NULL;
}

static inline struct vf_link link_of(int in, int out, bool socket)
{
	struct vf_link link = { .in = in, .out = out, .socket = socket, .one_way = !socket };

	strcpy(link.name, "test");
	return link;
}

static inline void link_pair(struct end *a, struct end *b)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	a->link = link_of(fds[0], fds[0], true);
	b->link = link_of(fds[1], fds[1], true);
}

static inline void link_pipe(struct end *a, struct end *b)
{
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	a->link = link_of(-1, fds[1], false);
	b->link = link_of(fds[0], -1, false);
}

static inline void link_tcp(struct end *a, struct end *b)
{
	struct vf_peer_opts opts = { .timeout_ns = LONG_NS };
	struct vf_peer *listener, *peer;
	int fd, accepted;

	assert_int_equal(vf_peer_parse(&listener, "tcp:127.0.0.1:0", NULL), 0);
	fd = vf_peer_listen(listener, &opts, NULL);
	assert_true(fd >= 0);
	assert_int_equal(vf_peer_parse(&peer, vf_peer_name(listener), NULL), 0);
	assert_int_equal(vf_peer_connect(peer, &opts, &a->link, NULL), 0);
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	vf_peer_accept_link(listener, accepted, &b->link);
	close(fd);
	vf_peer_free(listener);
	vf_peer_free(peer);
}

static inline void not_broken(const struct end *end)
{
	if (end->broken)
		fail_msg("broken: %d, %s", end->code, end->why.text);
}

/* --- frames of a known content --- */
struct sent {
	struct vf_tx tx;
	int done;
	int error;
	uint8_t *bytes;
};

static void sent_done(struct vf_tx *tx, int error)
{
	struct sent *sent = (struct sent *)tx;

	sent->done++;
	sent->error = error;
}

/* A frame of @length bytes in up to @parts runs, its content made from @seed. Its payload is poisoned by free() when done. */
static inline void sent_make(struct sent *sent, uint32_t seed, uint32_t length, unsigned int parts)
{
	uint32_t at = 0;

	memset(sent, 0, sizeof(*sent));
	sent->bytes = malloc(length ? length : 1);
	for (uint32_t i = 0; i < length; i++)
		sent->bytes[i] = (uint8_t)((seed + i) * 2654435761u >> 13);
	sent->tx.frame = (struct vf_frame){
		.type = (uint16_t)seed,
		.lane = seed * 3,
		.aux = (uint64_t)seed << 33,
	};
	for (unsigned int i = 0; i < parts; i++) {
		uint32_t run = i + 1 == parts ? length - at : length / parts;

		sent->tx.parts[i] = (struct iovec){ sent->bytes + at, run };
		at += run;
	}
	sent->tx.count = parts;
	sent->tx.done = sent_done;
}

static inline uint64_t sent_fold(uint64_t hash, const struct sent *sent, uint32_t length)
{
	struct vf_frame frame = sent->tx.frame;

	frame.length = length;
	return fold_frame(hash, &frame, sent->bytes);
}

static inline void turn(struct vf_ring *ring)
{
	uint64_t deadline = vf_now_ns() + LONG_NS;
	int ret = vf_ring_turn(ring, deadline);

	if ((ret < 0 && ret != -EINTR) || (!ret && vf_now_ns() >= deadline))
		fail_msg("vf_ring_turn() gave %d", ret);
}

#endif
