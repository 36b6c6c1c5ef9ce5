// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames go through links of every kind, whole and in order, whatever their sizes. */
#include "stream_ends.h"
#include <netinet/in.h>

#define MANY 3000

static uint32_t draw(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static uint32_t draw_length(uint32_t *state)
{
	switch (draw(state) % 8) {
	case 0:
		return 0;
	case 1:
		return 1 + draw(state) % 8;
	case 2:
		return draw(state) % 100000;
	default:
		return draw(state) % 3000;
	}
}

static void flow(void (*link)(struct end *a, struct end *b), bool close_after, unsigned int count,
		 unsigned int window)
{
	struct end a = { 0 }, b = { 0 };
	struct sent *sent = calloc(count, sizeof(*sent));
	struct vf_ring *ring;
	uint64_t hash = 0, bytes = 0;
	uint32_t state = 77;
	unsigned int next = 0;

	assert_int_equal(vf_ring_new(&ring, 64, NULL), 0);
	link(&a, &b);
	end_open(&a, ring);
	end_open(&b, ring);
	while (b.frames < count) {
		while (next < count && next < b.frames + window) {
			uint32_t length = draw_length(&state);

			sent_make(&sent[next], next, length,
				  draw(&state) % (VF_FRAME_PARTS_MAX + (length == 0)) + !!length);
			hash = sent_fold(hash, &sent[next], length);
			bytes += length;
			vf_stream_send(a.stream, &sent[next].tx);
			next++;
		}
		turn(ring);
		not_broken(&b);
	}
	while (!vf_stream_idle(a.stream))
		turn(ring);
	assert_int_equal(b.hash, hash);
	assert_int_equal(b.bytes, bytes);
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(sent[i].done, 1);
		assert_int_equal(sent[i].error, 0);
		free(sent[i].bytes);
	}
	assert_int_equal(vf_stream_stats(a.stream)->bytes_out, bytes + count * 48ULL);
	assert_int_equal(vf_stream_stats(b.stream)->bytes_in, bytes + count * 48ULL);
	assert_int_equal(vf_stream_stats(a.stream)->frames_out, count);
	assert_int_equal(vf_stream_stats(b.stream)->frames_in, count);
	if (close_after) {
		end_close(&a);
		while (!b.broken)
			turn(ring);
		assert_int_equal(b.code, 0);
	} else {
		end_close(&a);
	}
	end_close(&b);
	vf_ring_free(ring);
	free(sent);
}

static void over_a_socket_pair(void **state)
{
	flow(link_pair, true, MANY, 100);
	flow(link_pair, true, 300, 1);
}

static void over_tcp(void **state)
{
	flow(link_tcp, true, MANY, 100);
	flow(link_tcp, true, 300, 1);
}

static void over_a_pipe(void **state)
{
	flow(link_pipe, true, MANY, 100);
	flow(link_pipe, true, 300, 1);
}

static void link_nonblocking_pair(struct end *a, struct end *b)
{
	link_pair(a, b);
	fcntl(a->link.out, F_SETFL, O_NONBLOCK);
	fcntl(b->link.in, F_SETFL, O_NONBLOCK);
}

static void link_nonblocking_pipe(struct end *a, struct end *b)
{
	link_pipe(a, b);
	fcntl(a->link.out, F_SETFL, O_NONBLOCK);
	fcntl(b->link.in, F_SETFL, O_NONBLOCK);
}

static void over_descriptors_in_nonblocking_mode(void **state)
{
	flow(link_nonblocking_pair, true, 1000, 100);
	flow(link_nonblocking_pipe, true, 1000, 100);
}

static void link_tight(struct end *a, struct end *b)
{
	int size = 4096;

	link_pair(a, b);
	setsockopt(a->link.out, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(b->link.in, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void over_tight_buffers(void **state)
{
	flow(link_tight, true, 500, 50);
}

static void large_frames(void **state)
{
	static void (*const links[])(struct end *, struct end *) = { link_pair, link_tcp,
								     link_pipe };

	for (unsigned int i = 0; i < 3; i++) {
		struct end a = { 0 }, b = { 0 };
		struct sent sent[6];
		struct vf_ring *ring;
		uint64_t hash = 0;

		assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
		links[i](&a, &b);
		end_open(&a, ring);
		end_open(&b, ring);
		for (unsigned int n = 0; n < 6; n++) {
			uint32_t length = VF_FRAME_PAYLOAD_MAX - n % 3;

			sent_make(&sent[n], n, length, n + 1);
			hash = sent_fold(hash, &sent[n], length);
			vf_stream_send(a.stream, &sent[n].tx);
		}
		while (b.frames < 6 || !vf_stream_idle(a.stream)) {
			turn(ring);
			not_broken(&b);
		}
		assert_int_equal(b.hash, hash);
		end_close(&a);
		end_close(&b);
		for (unsigned int n = 0; n < 6; n++) {
			assert_int_equal(sent[n].done, 1);
			assert_int_equal(sent[n].error, 0);
			free(sent[n].bytes);
		}
		vf_ring_free(ring);
	}
}

static void through_a_file(void **state)
{
	struct vf_peer_opts opts = { 0 };
	struct end a = { 0 }, b = { 0 };
	struct sent sent[200];
	struct vf_peer *peer;
	struct vf_ring *ring;
	char folder[] = "/tmp/vferry-stream-XXXXXX", address[64];
	uint64_t hash = 0;
	uint32_t seed = 5;

	assert_non_null(mkdtemp(folder));
	snprintf(address, sizeof(address), "file:%s/saved", folder);
	assert_int_equal(vf_peer_parse(&peer, address, NULL), 0);
	assert_int_equal(vf_peer_connect(peer, &opts, &a.link, NULL), 0);
	assert_int_equal(vf_ring_new(&ring, 64, NULL), 0);
	end_open(&a, ring);
	for (unsigned int n = 0; n < 200; n++) {
		uint32_t length = draw_length(&seed);

		sent_make(&sent[n], n, length, 2);
		hash = sent_fold(hash, &sent[n], length);
		vf_stream_send(a.stream, &sent[n].tx);
	}
	while (!vf_stream_idle(a.stream))
		turn(ring);
	assert_int_equal(vf_link_sync(&a.link, NULL), 0);
	end_close(&a);
	assert_int_equal(vf_peer_open_in(peer, &opts, &b.link, NULL), 0);
	end_open(&b, ring);
	while (!b.broken)
		turn(ring);
	assert_int_equal(b.code, 0);
	assert_int_equal(b.frames, 200);
	assert_int_equal(b.hash, hash);
	end_close(&b);
	for (unsigned int n = 0; n < 200; n++)
		free(sent[n].bytes);
	vf_peer_discard(peer);
	vf_peer_free(peer);
	assert_int_equal(rmdir(folder), 0);
	vf_ring_free(ring);
}

/* A frame is there as soon as its last byte is, though the sender then waits for an answer. */
static void both_ways_in_turns(void **state)
{
	struct end a = { 0 }, b = { 0 };
	struct vf_ring *ring;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	link_tcp(&a, &b);
	end_open(&a, ring);
	end_open(&b, ring);
	for (unsigned int n = 0; n < 200; n++) {
		struct sent ask, answer;

		sent_make(&ask, n, n * 7, n ? 1 : 0);
		vf_stream_send(a.stream, &ask.tx);
		while (b.frames <= n)
			turn(ring);
		sent_make(&answer, n, n * 11, n ? 1 : 0);
		vf_stream_send(b.stream, &answer.tx);
		while (a.frames <= n || !ask.done || !answer.done)
			turn(ring);
		free(ask.bytes);
		free(answer.bytes);
	}
	end_close(&a);
	end_close(&b);
	vf_ring_free(ring);
}

static void no_room_pauses(void **state)
{
	static void (*const links[])(struct end *, struct end *) = { link_pair, link_tcp,
								     link_pipe };

	for (unsigned int i = 0; i < 3; i++) {
		struct end a = { 0 }, b = { .full = true };
		struct sent sent[20];
		struct vf_ring *ring;

		assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
		links[i](&a, &b);
		end_open(&a, ring);
		end_open(&b, ring);
		for (unsigned int n = 0; n < 20; n++) {
			sent_make(&sent[n], n, 5000 + n, 1);
			vf_stream_send(a.stream, &sent[n].tx);
		}
		for (unsigned int n = 0; n < 20; n++) {
			while (b.pauses < n + 1)
				turn(ring);
			/* without room nothing goes on */
			for (int more = 0; more < 3; more++)
				vf_ring_turn(ring, 0);
			assert_int_equal(b.frames, n);
			vf_stream_resume(b.stream);
			assert_int_equal(b.pauses, n + 2);
			b.full = false;
			vf_stream_resume(b.stream);
			b.full = true;
			b.pauses = n + 1;
			vf_stream_resume(b.stream);
			while (b.frames < n + 1)
				turn(ring);
		}
		end_close(&a);
		end_close(&b);
		for (unsigned int n = 0; n < 20; n++)
			free(sent[n].bytes);
		vf_ring_free(ring);
	}
}

/* Nobody reads: frames stay queued, memory does not grow, and nothing is lost when reading begins. */
static void a_reader_that_stalls(void **state)
{
	struct end a = { 0 }, b = { 0 };
	static struct sent sent[64];
	struct vf_ring *ring;
	uint64_t hash = 0;
	unsigned int done = 0;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	link_tcp(&a, &b);
	end_open(&a, ring);
	for (unsigned int n = 0; n < 64; n++) {
		sent_make(&sent[n], n, 1 << 20, 1);
		hash = sent_fold(hash, &sent[n], 1 << 20);
		vf_stream_send(a.stream, &sent[n].tx);
	}
	while (vf_ring_turn(ring, vf_now_ns() + 200000000ULL) > 0)
		;
	for (unsigned int n = 0; n < 64; n++)
		done += (unsigned int)sent[n].done;
	assert_true(done < 64);
	end_open(&b, ring);
	while (b.frames < 64 || !vf_stream_idle(a.stream)) {
		turn(ring);
		not_broken(&b);
	}
	assert_int_equal(b.hash, hash);
	end_close(&a);
	end_close(&b);
	for (unsigned int n = 0; n < 64; n++) {
		assert_int_equal(sent[n].done, 1);
		free(sent[n].bytes);
	}
	vf_ring_free(ring);
}

/* Loopback copies what SEND_ZC sends: the stream finds out and stops. */
static void zero_copy_is_given_up_where_it_copies(void **state)
{
	struct end a = { 0 }, b = { 0 };
	static struct sent sent[100];
	const struct vf_stream_stats *stats;
	struct vf_ring *ring;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	link_tcp(&a, &b);
	end_open(&a, ring);
	end_open(&b, ring);
	for (unsigned int n = 0; n < 100; n++) {
		sent_make(&sent[n], n, 300000, 1);
		vf_stream_send(a.stream, &sent[n].tx);
	}
	while (b.frames < 100 || !vf_stream_idle(a.stream)) {
		turn(ring);
		not_broken(&b);
	}
	stats = vf_stream_stats(a.stream);
	assert_true(stats->plain_sends > 50);
	if (stats->zc_sends)
		assert_true(stats->zc_sends <= 20 && stats->zc_copied <= stats->zc_sends);
	end_close(&a);
	end_close(&b);
	for (unsigned int n = 0; n < 100; n++)
		free(sent[n].bytes);
	vf_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_a_socket_pair),
		cmocka_unit_test(over_tcp),
		cmocka_unit_test(over_a_pipe),
		cmocka_unit_test(over_descriptors_in_nonblocking_mode),
		cmocka_unit_test(over_tight_buffers),
		cmocka_unit_test(large_frames),
		cmocka_unit_test(through_a_file),
		cmocka_unit_test(both_ways_in_turns),
		cmocka_unit_test(no_room_pauses),
		cmocka_unit_test(a_reader_that_stalls),
		cmocka_unit_test(zero_copy_is_given_up_where_it_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
