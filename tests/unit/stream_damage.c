// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A stream that is cut or changed anywhere is found out, and the words name the place. */
#include "stream_ends.h"
#include <sys/mman.h>
#include <xxhash.h>
#include "stream/frame.h"

#define FRAMES 3

static const uint32_t lengths[FRAMES] = { 21, 0, 10 };

struct capture {
	uint8_t bytes[FRAMES * 48 + 31];
	uint64_t hash;
	uint64_t borders[FRAMES + 1];
};

/* The bytes of a small stream, as the stream itself writes them. */
static void capture(struct capture *c, struct vf_ring *ring)
{
	struct end a = { 0 }, b = { 0 };
	struct sent sent[FRAMES];

	memset(c, 0, sizeof(*c));
	link_pipe(&a, &b);
	end_open(&a, ring);
	for (unsigned int n = 0; n < FRAMES; n++) {
		sent_make(&sent[n], n + 40, lengths[n], lengths[n] != 0);
		c->hash = sent_fold(c->hash, &sent[n], lengths[n]);
		c->borders[n + 1] = c->borders[n] + 48 + lengths[n];
		vf_stream_send(a.stream, &sent[n].tx);
	}
	while (!vf_stream_idle(a.stream))
		turn(ring);
	assert_int_equal(read(b.link.in, c->bytes, sizeof(c->bytes)), sizeof(c->bytes));
	end_close(&a);
	vf_link_close(&b.link, 0);
	for (unsigned int n = 0; n < FRAMES; n++)
		free(sent[n].bytes);
}

enum how { SOCKET, PIPE, FILE_, HOWS };

/* Lets a stream read @count bytes and then the end. */
static void receive(struct end *b, struct vf_ring *ring, enum how how, const uint8_t *bytes,
		    uint64_t count)
{
	struct end a = { 0 };
	int fd;

	memset(b, 0, sizeof(*b));
	switch (how) {
	case SOCKET:
		link_pair(&a, b);
		break;
	case PIPE:
		link_pipe(&a, b);
		break;
	default:
		fd = memfd_create("saved", MFD_CLOEXEC);
		assert_int_equal(write(fd, bytes, count), count);
		lseek(fd, 0, SEEK_SET);
		b->link = link_of(fd, -1, false);
	}
	end_open(b, ring);
	if (how != FILE_) {
		/* in two pieces with a turn between them: the receive is resumed */
		assert_int_equal(write(a.link.out, bytes, count / 2), count / 2);
		vf_ring_turn(ring, 0);
		assert_int_equal(write(a.link.out, bytes + count / 2, count - count / 2),
				 count - count / 2);
		vf_link_close(&a.link, 0);
	}
	while (!b->broken)
		turn(ring);
}

static void expect_words(const struct end *b, const char *words)
{
	if (!strstr(b->why.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, b->why.text);
}

static void cut_at_every_byte(void **state)
{
	struct vf_ring *ring;
	struct capture c;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	capture(&c, ring);
	for (int how = 0; how < HOWS; how++) {
		for (uint64_t cut = 0; cut <= sizeof(c.bytes); cut++) {
			unsigned int whole = 0;
			struct end b;
			char words[64];

			while (whole < FRAMES && c.borders[whole + 1] <= cut)
				whole++;
			receive(&b, ring, how, c.bytes, cut);
			assert_int_equal(b.frames, whole);
			if (cut == c.borders[whole]) {
				assert_int_equal(b.code, 0);
			} else {
				snprintf(words, sizeof(words), "cut at byte %llu",
					 (unsigned long long)cut);
				assert_int_equal(b.code, how == SOCKET ? -ECONNRESET : -EBADMSG);
				expect_words(&b, words);
			}
			if (cut == sizeof(c.bytes))
				assert_int_equal(b.hash, c.hash);
			end_close(&b);
		}
	}
	vf_ring_free(ring);
}

static void each_bit_flipped(void **state)
{
	struct vf_ring *ring;
	struct capture c;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	capture(&c, ring);
	for (uint64_t bit = 0; bit < sizeof(c.bytes) * 8; bit++) {
		unsigned int whole = 0;
		struct end b;
		char words[64];

		while (c.borders[whole + 1] <= bit / 8)
			whole++;
		c.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		receive(&b, ring, (enum how)(bit % HOWS), c.bytes, sizeof(c.bytes));
		c.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(b.code, -EBADMSG);
		assert_int_equal(b.frames, whole);
		if (bit / 8 < c.borders[whole] + 48)
			snprintf(words, sizeof(words),
				 "stream byte %llu:", (unsigned long long)c.borders[whole]);
		else
			snprintf(words, sizeof(words), "stream bytes %llu to %llu: the payload of",
				 (unsigned long long)c.borders[whole] + 48,
				 (unsigned long long)c.borders[whole + 1] - 1);
		expect_words(&b, words);
		end_close(&b);
	}
	vf_ring_free(ring);
}

/* Writes a header as an evil or other peer would, its check in order. */
static void forge(struct vf_frame_wire *wire, uint16_t version, uint32_t length, uint64_t sequence,
		  uint64_t payload_check)
{
	*wire = (struct vf_frame_wire){
		.magic = htole32(VF_FRAME_MAGIC),
		.version = htole16(version),
		.length = htole32(length),
		.sequence = htole64(sequence),
		.payload_check = htole64(payload_check),
	};
	wire->header_check = htole64(XXH3_64bits(wire, 40));
}

static void headers_that_cannot_be(void **state)
{
	struct vf_frame_wire wire;
	struct vf_ring *ring;
	struct end b;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);

	forge(&wire, 7, 0, 0, 0);
	receive(&b, ring, SOCKET, (uint8_t *)&wire, sizeof(wire));
	assert_int_equal(b.code, -EBADMSG);
	expect_words(&b, "the peer speaks stream version 7, this is 1");
	end_close(&b);

	/* a later version may check its header in another way */
	wire.header_check = 0;
	receive(&b, ring, SOCKET, (uint8_t *)&wire, sizeof(wire));
	expect_words(&b, "the peer speaks stream version 7, this is 1");
	end_close(&b);

	forge(&wire, VF_STREAM_VERSION, VF_FRAME_PAYLOAD_MAX + 1, 0, 0);
	receive(&b, ring, PIPE, (uint8_t *)&wire, sizeof(wire));
	expect_words(&b, "a frame of 4194305 bytes, the longest may have 4194304");
	end_close(&b);

	forge(&wire, VF_STREAM_VERSION, 0, 5, 0);
	receive(&b, ring, SOCKET, (uint8_t *)&wire, sizeof(wire));
	expect_words(&b, "frame 5 where frame 0 is due");
	end_close(&b);

	forge(&wire, VF_STREAM_VERSION, 0, 0, 1);
	receive(&b, ring, SOCKET, (uint8_t *)&wire, sizeof(wire));
	expect_words(&b, "a check for a payload that frame 0 has not");
	end_close(&b);

	receive(&b, ring, SOCKET,
		(const uint8_t *)"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: all of it\r\n\r\n",
		54);
	expect_words(&b, "this is no vferry stream");
	end_close(&b);
	vf_ring_free(ring);
}

/* A frame that comes twice, or is left out, though each is whole. */
static void frames_lost_or_repeated(void **state)
{
	struct vf_ring *ring;
	struct capture c;
	struct end b;

	assert_int_equal(vf_ring_new(&ring, 16, NULL), 0);
	capture(&c, ring);
	receive(&b, ring, SOCKET, c.bytes + c.borders[1], sizeof(c.bytes) - c.borders[1]);
	assert_int_equal(b.code, -EBADMSG);
	expect_words(&b, "frame 1 where frame 0 is due");
	end_close(&b);
	memcpy(c.bytes + c.borders[1], c.bytes, 48);
	receive(&b, ring, FILE_, c.bytes, sizeof(c.bytes));
	expect_words(&b, "stream byte 69: frame 0 where frame 1 is due");
	end_close(&b);
	vf_ring_free(ring);
}

/*
 * Leaves a stack on which a hash state that nobody initialised looks as if it had this seed already: the seed and a
 * null pointer two words behind it, and no secret.
 */
static void __attribute__((noinline)) scribble(uint64_t seed)
{
	volatile uint64_t stack[512];

	for (unsigned int i = 0; i < 512; i++)
		stack[i] = (uintptr_t)&stack[i] / 8 % 4 == 1 ? seed : 0;
}

static void checks_do_not_depend_on_the_parts(void **state)
{
	static uint8_t bytes[5000];

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i >> 3);
	for (uint64_t round = 0; round < 4000; round++) {
		struct iovec whole = { bytes, 1 + round % sizeof(bytes) };
		struct iovec parts[3] = {
			{ bytes, whole.iov_len / 3 },
			{ bytes + whole.iov_len / 3, 0 },
			{ bytes + whole.iov_len / 3, whole.iov_len - whole.iov_len / 3 },
		};
		uint64_t sequence = round / 4; /* the same several times, as on several streams */
		uint64_t want = XXH3_64bits_withSeed(whole.iov_base, whole.iov_len, sequence);

		if (round % 2)
			scribble(sequence);
		assert_int_equal(vf_frame_check(parts, 3, sequence), want);
		assert_int_equal(vf_frame_check(&whole, 1, sequence), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(each_bit_flipped),
		cmocka_unit_test(headers_that_cannot_be),
		cmocka_unit_test(frames_lost_or_repeated),
		cmocka_unit_test(checks_do_not_depend_on_the_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
