// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The stream alone: frames from memory to memory over loopback TCP, beside the plain program without its copies. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "stream/stream.h"
#include "tools/bench/bench.h"

#define FRAME_TYPE   4
#define FRAMES_AHEAD 16

struct half {
	const struct bench_opts *opts;
	int fd;
	uint8_t *memory;
	uint32_t slots;
	struct vf_ring *ring;
	struct vf_stream *stream;
	struct vf_tx *frames;
	uint64_t next;	/* bytes handed over */
	uint64_t moved; /* bytes done */
	uint64_t taken; /* frames received */
	double end;
	int error;
};

static struct half *half_of(struct vf_tx *tx);

struct tagged {
	struct vf_tx tx;
	struct half *half;
	uint32_t slot;
};

static struct half *half_of(struct vf_tx *tx)
{
	return ((struct tagged *)tx)->half;
}

static void feed(struct half *half, struct tagged *frame);

static void sent(struct vf_tx *tx, int error)
{
	struct half *half = half_of(tx);

	if (error) {
		half->error = half->error ? half->error : error;
		return;
	}
	half->moved += tx->frame.length;
	feed(half, (struct tagged *)tx);
}

static void feed(struct half *half, struct tagged *frame)
{
	uint64_t left = half->opts->bytes - half->next;
	uint32_t count = left < half->opts->chunk ? (uint32_t)left : half->opts->chunk;

	if (!count)
		return;
	frame->tx.frame = (struct vf_frame){ .type = FRAME_TYPE, .aux = half->next };
	frame->tx.parts[0] =
		(struct iovec){ half->memory + (size_t)frame->slot * half->opts->chunk, count };
	frame->tx.count = 1;
	frame->tx.done = sent;
	half->next += count;
	vf_stream_send(half->stream, &frame->tx);
}

static void *room(void *argument, const struct vf_frame *frame)
{
	struct half *half = argument;

	return half->memory + half->taken % half->slots * half->opts->chunk;
}

static void frame_in(void *argument, const struct vf_frame *frame, void *payload)
{
	struct half *half = argument;

	half->taken++;
	half->moved += frame->length;
	if (half->moved == half->opts->bytes)
		half->end = bench_seconds();
}

static void broken(void *argument, int error, const struct vferry_error *why)
{
	struct half *half = argument;

	if (half->moved != half->opts->bytes)
		half->error = error ? error : -ECONNRESET;
}

/* A ring belongs to its thread: all of a half is made, used and ended here. */
static void run(struct half *half, bool sends)
{
	const struct vf_stream_events events = { room, frame_in, broken, half };
	struct vf_link link = { .in = half->fd, .out = half->fd, .socket = true, .name = "bench" };
	struct tagged *frames = calloc(half->slots, sizeof(*frames));

	half->error = frames ? vf_ring_new(&half->ring, 256, NULL) : -ENOMEM;
	if (!half->error)
		half->error = vf_stream_new(&half->stream, half->ring, &link, &events, NULL);
	for (uint32_t i = 0; sends && !half->error && i < half->slots; i++) {
		frames[i].half = half;
		frames[i].slot = i;
		feed(half, &frames[i]);
	}
	while (!half->error && half->moved < half->opts->bytes) {
		uint64_t deadline = vf_now_ns() + 10000000000ull;
		int n = vf_ring_turn(half->ring, deadline);

		if (n < 0 && n != -EINTR)
			half->error = n;
		else if (!n && vf_now_ns() >= deadline)
			half->error = -ETIMEDOUT;
	}
	if (half->stream)
		vf_stream_free(half->stream);
	if (half->ring)
		vf_ring_free(half->ring);
	free(frames);
}

static void *send_half(void *argument)
{
	run(argument, true);
	return NULL;
}

static void *receive_half(void *argument)
{
	run(argument, false);
	return NULL;
}

static int stream_run(const struct bench_opts *opts, struct bench_side *side,
		      struct vferry_error *err)
{
	struct half out = { .opts = opts, .slots = FRAMES_AHEAD }, in = out;
	uint64_t bytes = (uint64_t)FRAMES_AHEAD * opts->chunk;
	pthread_t threads[2];
	double begin, cpu;
	int fds[2], error = bench_tcp_pair(fds, err);

	if (error)
		return error;
	out.fd = fds[0];
	in.fd = fds[1];
	out.memory = bench_memory(bytes);
	in.memory = bench_memory(bytes);
	error = out.memory && in.memory ? 0 : -ENOMEM;
	begin = bench_seconds();
	cpu = bench_cpu();
	if (!error && !pthread_create(&threads[0], NULL, receive_half, &in)) {
		if (!pthread_create(&threads[1], NULL, send_half, &out))
			pthread_join(threads[1], NULL);
		if (out.error)
			shutdown(fds[0], SHUT_RDWR);
		pthread_join(threads[0], NULL);
		error = out.error ? out.error : in.error;
	}
	*side = (struct bench_side){ in.end - begin, bench_cpu() - cpu, opts->bytes };
	bench_memory_free(out.memory, bytes);
	bench_memory_free(in.memory, bytes);
	close(fds[0]);
	close(fds[1]);
	return error ? vferry_fail(err, error, "the stream failed: %s", strerror(-error)) : 0;
}

int bench_stream(const struct bench_opts *opts, struct vferry_error *err)
{
	for (unsigned int i = 0; i < opts->pairs; i++) {
		struct bench_side ours, plain;
		int error = stream_run(opts, &ours, err);

		if (!error)
			error = plain_run(opts, false, &plain, err);
		if (error)
			return error;
		bench_row("stream", i, &ours, &plain);
	}
	return 0;
}
