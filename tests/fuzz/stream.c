// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as a stream: over a socket, a pipe or a file, in pieces, with and without room. Checks are put right first in most
 * cases, so that what lies behind them is reached too.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "stream/frame.h"
#include "stream/saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 16384

struct owner {
	struct vf_stream *stream;
	uint8_t *room;
	uint32_t state;
	unsigned int frames;
	bool paused;
	bool ended;
	bool frees;
	int code;
};

static bool chance(struct owner *owner)
{
	owner->state = owner->state * 1664525u + 1013904223u;
	return owner->state >> 30 == 0;
}

static void *on_room(void *arg, const struct vf_frame *frame)
{
	struct owner *owner = arg;

	if (!frame->length || frame->length > VF_FRAME_PAYLOAD_MAX || owner->ended)
		abort();
	owner->paused = chance(owner);
	if (owner->paused)
		return NULL;
	free(owner->room);
	owner->room = malloc(frame->length);
	return owner->room;
}

static void on_frame(void *arg, const struct vf_frame *frame, void *payload)
{
	struct owner *owner = arg;

	if (owner->ended || payload != (frame->length ? owner->room : NULL) ||
	    frame->sequence != owner->frames++)
		abort();
	if (owner->frees && chance(owner)) {
		vf_stream_free(owner->stream);
		owner->stream = NULL;
		owner->ended = true;
	}
}

static void on_broken(void *arg, int error, const struct vferry_error *why)
{
	struct owner *owner = arg;

	if (owner->ended || (error && !why->text[0]))
		abort();
	owner->ended = true;
	owner->code = error;
}

/* Gives each header that lies where one is due its magic, version, sequence and checks. */
static void put_right(uint8_t *bytes, size_t size, uint8_t how)
{
	uint64_t sequence = 0;
	size_t at = 0;

	while (size - at >= VF_FRAME_HEADER_BYTES) {
		struct vf_frame_wire wire;
		struct vf_frame frame;
		struct iovec part;

		memcpy(&wire, bytes + at, sizeof(wire));
		frame = (struct vf_frame){
			.type = le16toh(wire.type),
			.lane = le32toh(wire.lane),
			.length = le32toh(wire.length) % (how & 1 ? 200 : VF_FRAME_PAYLOAD_MAX + 9),
			.sequence = sequence++,
			.aux = le64toh(wire.aux),
		};
		at += sizeof(wire);
		part = (struct iovec){ bytes + at, frame.length };
		if (frame.length > size - at)
			part.iov_len = size - at;
		vf_frame_pack(&wire, &frame,
			      part.iov_len ? vf_frame_check(&part, 1, frame.sequence) : 0);
		memcpy(bytes + at - sizeof(wire), &wire, sizeof(wire));
		at += part.iov_len;
	}
}

static struct vf_link link_of(int in, bool socket)
{
	struct vf_link link = {
		.in = in, .out = socket ? in : -1, .socket = socket, .one_way = !socket
	};

	strcpy(link.name, "fuzz");
	return link;
}

static void receive(struct vf_ring *ring, int in, int feed, bool socket, struct owner *owner,
		    const uint8_t *bytes, size_t size)
{
	struct vf_stream_events events = { on_room, on_frame, on_broken, owner };
	struct vf_link link = link_of(in, socket);
	unsigned int idle = 0;

	if (vf_stream_new(&owner->stream, ring, &link, &events, NULL))
		abort();
	while (!owner->ended) {
		size_t piece = chance(owner) ? size : owner->state >> 8 & 127;

		if (feed >= 0) {
			ssize_t wrote = write(feed, bytes, piece < size ? piece : size);

			if (wrote > 0) {
				bytes += wrote;
				size -= (size_t)wrote;
			}
			if (!size) {
				close(feed);
				feed = -1;
			}
		}
		if (owner->paused)
			vf_stream_resume(owner->stream);
		vf_ring_turn(ring, feed >= 0 || owner->paused ? 0 : vf_now_ns() + 1000000000ULL);
		if (++idle > 100000)
			abort();
	}
	if (feed >= 0)
		close(feed);
	vf_stream_free(owner->stream);
	free(owner->room);
}

static unsigned int read_saved(const uint8_t *bytes, size_t size, int *code)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct vf_saved_lane *lanes = NULL;
	struct vf_saved *saved;
	struct vferry_error err;
	struct vf_frame frame;
	const void *payload;
	unsigned int frames = 0;
	size_t count = 0;

	if (write(fd, bytes, size) != (ssize_t)size)
		abort();
	lseek(fd, 0, SEEK_SET);
	*code = vf_saved_open(&saved, fd, &err);
	if (!*code) {
		while ((*code = vf_saved_next(saved, &frame, &payload, &err)) > 0)
			frames++;
		vf_saved_free(saved);
	}
	lseek(fd, 0, SEEK_SET);
	if (!vf_saved_open(&saved, fd, &err)) {
		vf_saved_contexts(saved, 4, &lanes, &count, &err);
		vf_saved_lanes_free(lanes, count);
		vf_saved_free(saved);
	}
	close(fd);
	return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vf_ring *ring;
	struct owner owner = { 0 };
	uint8_t bytes[MOST];
	int fds[2] = { -1, -1 }, code;
	unsigned int frames;
	__le32 magic = 0;
	uint8_t how;

	if (!size || size > MOST)
		return 0;
	if (!ring && vf_ring_new(&ring, 16, NULL))
		abort();
	how = *data++;
	size--;
	memcpy(bytes, data, size);
	if (how & 14)
		put_right(bytes, size, how);
	owner.state = how * 7919u + (uint32_t)size;
	owner.frees = (how >> 4) == 15;
	switch (how >> 4 & 3) {
	case 0:
		fds[0] = memfd_create("fuzz", MFD_CLOEXEC);
		if (write(fds[0], bytes, size) != (ssize_t)size)
			abort();
		lseek(fds[0], 0, SEEK_SET);
		break;
	case 1:
		if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
			abort();
		break;
	default:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
			abort();
		if (how & 0x40)
			fcntl(fds[0], F_SETFL, 0);
	}
	receive(ring, fds[0], fds[1], (how >> 4 & 3) > 1, &owner, bytes, size);
	close(fds[0]);
	/* The reader of files agrees with the live one. */
	frames = read_saved(bytes, size, &code);
	if (size >= VF_FRAME_HEADER_BYTES)
		memcpy(&magic, bytes, sizeof(magic));
	if (!owner.frees && le32toh(magic) == VF_FRAME_MAGIC &&
	    (frames != owner.frames || !code != !owner.code))
		abort();
	return 0;
}
