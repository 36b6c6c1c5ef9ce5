// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Ends of all kinds: the peer dies, the disk is full, the owner frees the stream in the middle of something. */
#include "stream_ends.h"
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>

static void fill_up(struct end *a, struct sent *sent, unsigned int count, uint32_t length)
{
	for (unsigned int n = 0; n < count; n++) {
		sent_make(&sent[n], n, length, 1);
		vf_stream_send(a->stream, &sent[n].tx);
	}
}

static void all_done_once(struct sent *sent, unsigned int count)
{
	for (unsigned int n = 0; n < count; n++) {
		assert_int_equal(sent[n].done, 1);
		free(sent[n].bytes);
		sent[n].bytes = NULL;
	}
}

static void the_peer_dies(void **state)
{
	static void (*const links[])(struct end *, struct end *) = { link_pair, link_tcp,
								     link_pipe };

	for (unsigned int i = 0; i < 3; i++) {
		struct end a = { 0 }, b = { 0 };
		struct sent sent[40];
		struct vf_ring *ring;

		assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
		links[i](&a, &b);
		end_open(&a, ring);
		fill_up(&a, sent, 40, 1 << 20);
		for (int n = 0; n < 5; n++)
			vf_ring_turn(ring, 0);
		vf_link_close(&b.link, 0);
		while (!a.broken)
			turn(ring);
		assert_true(a.code == -EPIPE || a.code == -ECONNRESET);
		assert_non_null(strstr(a.why.text, "the peer has gone"));
		assert_true(vf_stream_idle(a.stream));
		assert_int_equal(sent[39].error, a.code);
		all_done_once(sent, 40);
		/* a frame that comes too late is done too, from the ring and not from the call */
		sent_make(&sent[0], 0, 10, 1);
		vf_stream_send(a.stream, &sent[0].tx);
		assert_int_equal(sent[0].done, 0);
		while (!sent[0].done)
			turn(ring);
		assert_int_equal(sent[0].error, a.code);
		free(sent[0].bytes);
		end_close(&a);
		vf_ring_free(ring);
	}
}

/* It says why, and closes with much unread: a send fails, and yet what it said is delivered first. */
static void the_last_words_are_heard(void **state)
{
	static void (*const links[])(struct end *, struct end *) = { link_pair, link_tcp };

	for (unsigned int i = 0; i < 2; i++) {
		struct end a = { 0 }, b = { 0 };
		struct sent sent[40], words;
		struct vf_ring *ring, *other;

		assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
		assert_int_equal(vf_ring_new(&other, 16, NULL), 0);
		links[i](&a, &b);
		/* b is never read: its ring turns only to send. */
		b.full = true;
		end_open(&b, other);
		sent_make(&words, 7, 100, 1);
		vf_stream_send(b.stream, &words.tx);
		end_open(&a, ring);
		fill_up(&a, sent, 40, 1 << 20);
		while (!words.done)
			turn(other);
		vf_stream_free(b.stream);
		b.stream = NULL;
		vf_link_close(&b.link, 0);
		while (!a.broken)
			turn(ring);
		assert_int_equal(a.frames, 1);
		assert_true(a.code == -EPIPE || a.code == -ECONNRESET);
		assert_non_null(strstr(a.why.text, "the peer has gone"));
		all_done_once(sent, 40);
		free(words.bytes);
		end_close(&a);
		vf_ring_free(ring);
		vf_ring_free(other);
	}
}

static void the_peer_ends_in_order(void **state)
{
	struct end a = { 0 }, b = { 0 };
	struct vf_ring *ring;
	struct sent sent;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	link_tcp(&a, &b);
	end_open(&a, ring);
	vf_link_close(&b.link, 0);
	while (!a.broken)
		turn(ring);
	assert_int_equal(a.code, 0);
	sent_make(&sent, 0, 10, 1);
	vf_stream_send(a.stream, &sent.tx);
	while (!sent.done)
		turn(ring);
	assert_int_equal(sent.error, -ECONNRESET);
	free(sent.bytes);
	end_close(&a);
	vf_ring_free(ring);
}

/* The reader stalls and the owner gives up: all memory comes back, though nothing is acknowledged. */
static void freed_while_sending(void **state)
{
	static void (*const links[])(struct end *, struct end *) = { link_pair, link_tcp,
								     link_pipe };

	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int turns = 0; turns < 12; turns++) {
			struct end a = { 0 }, b = { 0 };
			struct sent sent[20];
			struct vf_ring *ring;

			assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
			links[i](&a, &b);
			end_open(&a, ring);
			fill_up(&a, sent, 20, 700000);
			for (unsigned int n = 0; n < turns; n++)
				vf_ring_turn(ring, 0);
			end_close(&a);
			assert_int_equal(sent[19].error, -ECANCELED);
			all_done_once(sent, 20);
			vf_link_close(&b.link, 0);
			vf_ring_turn(ring, 0);
			assert_int_equal(a.calls_after_free, 0);
			vf_ring_free(ring);
		}
	}
}

static void freed_while_receiving(void **state)
{
	static void (*const links[])(struct end *, struct end *) = { link_pair, link_tcp,
								     link_pipe };

	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int turns = 0; turns < 12; turns++) {
			struct end a = { 0 }, b = { 0 };
			struct sent sent[20];
			struct vf_ring *ring;

			assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
			links[i](&a, &b);
			end_open(&a, ring);
			end_open(&b, ring);
			fill_up(&a, sent, 20, 700000);
			for (unsigned int n = 0; n < turns; n++)
				vf_ring_turn(ring, 0);
			end_close(&b);
			while (!a.broken && !vf_stream_idle(a.stream))
				turn(ring);
			end_close(&a);
			all_done_once(sent, 20);
			assert_int_equal(b.calls_after_free, 0);
			vf_ring_free(ring);
		}
	}
}

static void freed_inside_its_own_callback(void **state)
{
	static void (*const links[])(struct end *, struct end *) = { link_pair, link_tcp,
								     link_pipe };

	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int at = 1; at < 6; at++) {
			struct end a = { 0 }, b = { .free_at_frame = at };
			struct sent sent[20];
			struct vf_ring *ring;

			assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
			links[i](&a, &b);
			end_open(&a, ring);
			end_open(&b, ring);
			for (unsigned int n = 0; n < 20; n++) {
				sent_make(&sent[n], n, n % 3 * 1000, 1);
				vf_stream_send(a.stream, &sent[n].tx);
			}
			while (!b.freed)
				turn(ring);
			for (int n = 0; n < 10; n++)
				vf_ring_turn(ring, 0);
			assert_int_equal(b.frames, at);
			assert_int_equal(b.calls_after_free, 0);
			vf_link_close(&b.link, 0);
			free(b.room);
			end_close(&a);
			all_done_once(sent, 20);
			vf_ring_free(ring);
		}
	}
}

struct chain {
	struct sent sent;
	struct end *end;
	unsigned int left;
	bool frees;
};

static void send_again_or_free(struct vf_tx *tx, int error)
{
	struct chain *chain = (struct chain *)tx;

	sent_done(tx, error);
	if (error)
		return;
	if (--chain->left) {
		vf_stream_send(chain->end->stream, tx);
	} else if (chain->frees) {
		vf_stream_free(chain->end->stream);
		chain->end->stream = NULL;
		chain->end->freed = true;
	}
}

/* @done may send the same frame again, and free the stream. */
static void reused_and_freed_in_done(void **state)
{
	for (int frees = 0; frees < 2; frees++) {
		struct end a = { 0 }, b = { 0 };
		struct chain chains[3] = { 0 };
		struct vf_ring *ring;

		assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
		link_tcp(&a, &b);
		end_open(&a, ring);
		end_open(&b, ring);
		for (int i = 0; i < 3; i++) {
			sent_make(&chains[i].sent, (uint32_t)i, 20000, 2);
			chains[i].sent.tx.done = send_again_or_free;
			chains[i].end = &a;
			chains[i].left = 50;
			chains[i].frees = frees && i == 1;
			vf_stream_send(a.stream, &chains[i].sent.tx);
		}
		while (frees ? !a.freed : b.frames < 150)
			turn(ring);
		for (int n = 0; n < 10; n++)
			vf_ring_turn(ring, 0);
		assert_int_equal(a.calls_after_free, 0);
		if (frees)
			assert_int_equal(chains[1].sent.done, 50);
		if (!a.freed)
			vf_stream_free(a.stream);
		vf_link_close(&a.link, 0);
		end_close(&b);
		for (int i = 0; i < 3; i++)
			free(chains[i].sent.bytes);
		vf_ring_free(ring);
	}
}

static void a_disk_that_is_full(void **state)
{
	struct end a = { 0 };
	struct sent sent[4];
	struct vf_ring *ring;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	a.link = link_of(-1, fd, false);
	end_open(&a, ring);
	fill_up(&a, sent, 4, 100000);
	while (!a.broken)
		turn(ring);
	assert_int_equal(a.code, -ENOSPC);
	assert_non_null(strstr(a.why.text, "make room and begin again"));
	all_done_once(sent, 4);
	end_close(&a);
	vf_ring_free(ring);
}

static void frames_that_are_too_long(void **state)
{
	struct end a = { 0 }, b = { 0 };
	struct sent sent;
	struct vf_ring *ring;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	link_pair(&a, &b);
	end_open(&a, ring);
	sent_make(&sent, 0, VF_FRAME_PAYLOAD_MAX + 1, 2);
	vf_stream_send(a.stream, &sent.tx);
	while (!sent.done)
		turn(ring);
	assert_int_equal(sent.error, -EMSGSIZE);
	assert_false(a.broken);
	free(sent.bytes);
	end_close(&a);
	vf_link_close(&b.link, 0);
	vf_ring_free(ring);
}

/* A frame whose check disagrees while much is queued the other way: everything comes back, then the reason is told. */
static void broken_while_sending(void **state)
{
	struct end a = { 0 }, b = { 0 };
	struct sent sent[20];
	struct vf_ring *ring;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	link_tcp(&a, &b);
	end_open(&a, ring);
	fill_up(&a, sent, 20, 700000);
	for (int n = 0; n < 5; n++)
		vf_ring_turn(ring, 0);
	assert_int_equal(write(b.link.out, "nonsense that is as long as a header, and longer", 48),
			 48);
	while (!a.broken)
		turn(ring);
	assert_int_equal(a.code, -EBADMSG);
	all_done_once(sent, 20);
	end_close(&a);
	vf_link_close(&b.link, 0);
	vf_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_peer_dies),
		cmocka_unit_test(the_last_words_are_heard),
		cmocka_unit_test(the_peer_ends_in_order),
		cmocka_unit_test(freed_while_sending),
		cmocka_unit_test(freed_while_receiving),
		cmocka_unit_test(freed_inside_its_own_callback),
		cmocka_unit_test(reused_and_freed_in_done),
		cmocka_unit_test(a_disk_that_is_full),
		cmocka_unit_test(frames_that_are_too_long),
		cmocka_unit_test(broken_while_sending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
