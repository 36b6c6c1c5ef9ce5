// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks with several commands under way in one admin queue: it is processed in order. */
#include <string.h>
#include "conform/conform.h"

static void in_order(struct conform *c, unsigned int count)
{
	exs_wait(c);
	for (unsigned int i = 1; i < count && going(c); i++)
		want(c, c->exs[i].turn > c->exs[i - 1].turn,
		     "answers in the order of the queue, and command %u was answered before command %u",
		     i, i - 1);
}

static void many(struct conform *c, const struct check *check)
{
	unsigned int count = (unsigned int)check->a;

	for (unsigned int i = 0; i < count; i++)
		command_begin(c, i, i % 2 ? VFERRY_CMD_DEV_MODE_GET : VFERRY_CMD_DEV_CTX_SIZE_GET,
			      NULL, 0, 8);
	in_order(c, count);
	for (unsigned int i = 0; i < count; i++)
		want_ok(c, &c->exs[i], "each of several commands");
}

static void mixed(struct conform *c, const struct check *check)
{
	static const uint16_t opcodes[] = {
		VFERRY_CMD_DEV_CTX_SIZE_GET, 0x7fff,
		VFERRY_CMD_DEV_MODE_GET,     0x8000,
		VFERRY_CMD_DEV_CTX_SIZE_GET, VFERRY_CMD_DEV_CTX_FIELDS_QUERY,
		VFERRY_CMD_DEV_CTX_SIZE_GET, VFERRY_CMD_DEV_MODE_GET
	};

	for (unsigned int i = 0; i < 8; i++)
		command_begin(c, i, opcodes[i], NULL, 0, 64);
	in_order(c, 8);
	for (unsigned int i = 0; i < 8; i++) {
		if (opcodes[i] > 63)
			want_refused(c, &c->exs[i], VFERRY_Q_INVALID_OPCODE,
				     "an unknown opcode among others");
		else
			want_ok(c, &c->exs[i], "a command among refused ones");
	}
}

static void members(struct conform *c, const struct check *check)
{
	for (unsigned int i = 0; i < 8; i++) {
		c->vf = i % 2 ? c->opts.spare : c->opts.vf;
		command_begin(c, i, i % 2 ? VFERRY_CMD_DEV_MODE_GET : VFERRY_CMD_DEV_CTX_SIZE_GET,
			      NULL, 0, 8);
	}
	c->vf = c->opts.vf;
	in_order(c, 8);
}

static void modes(struct conform *c, const struct check *check)
{
	static const uint8_t to[] = { VFERRY_MODE_STOP, VFERRY_MODE_FREEZE, VFERRY_MODE_STOP,
				      VFERRY_MODE_ACTIVE };

	for (unsigned int i = 0; i < 4; i++) {
		command_begin(c, 2 * i, VFERRY_CMD_DEV_MODE_SET, &to[i], 1, 0);
		command_begin(c, 2 * i + 1, VFERRY_CMD_DEV_MODE_GET, NULL, 0, 8);
	}
	in_order(c, 8);
	for (unsigned int i = 0; i < 4; i++) {
		want_ok(c, &c->exs[2 * i], "mode_set");
		want(c, c->exs[2 * i + 1].result[0] == to[i],
		     "the mode that the command before it set, %u, and it is %u", to[i],
		     c->exs[2 * i + 1].result[0]);
	}
}

static void reads(struct conform *c, const struct check *check)
{
	struct blob *whole = blob(c), *parts = blob(c);
	uint32_t room = (uint32_t)check->a;

	read_image(c, CTX_CHUNK, whole);
	discard(c);
	for (unsigned int i = 0; i < 8; i++)
		command_begin(c, i, VFERRY_CMD_DEV_CTX_READ, NULL, 0, room);
	in_order(c, 8);
	for (unsigned int i = 0; i < 8; i++) {
		want_ok(c, &c->exs[i], "read");
		want(c, c->exs[i].output <= room, "context_len of %u at most, and it is %u", room,
		     c->exs[i].output);
		if (going(c))
			blob_add(parts, c->exs[i].result, c->exs[i].output);
	}
	want(c, parts->count, "bytes");
	blob_cut(whole, parts->count);
	same_bytes(c, whole, parts, "reads side by side in Freeze, against one after the other");
}

static void reads_past_end(struct conform *c, const struct check *check)
{
	struct blob *whole = blob(c);
	uint32_t rest;

	read_image(c, CTX_CHUNK, whole);
	discard(c);
	rest = (uint32_t)(whole->count % CTX_CHUNK ? whole->count % CTX_CHUNK : CTX_CHUNK);
	blob_cut(whole, whole->count - rest);
	for (uint64_t got = 0; got < whole->count && going(c);)
		got += read_chunk(c, CTX_CHUNK, NULL);
	for (unsigned int i = 0; i < 4; i++)
		command_begin(c, i, VFERRY_CMD_DEV_CTX_READ, NULL, 0, CTX_CHUNK);
	in_order(c, 4);
	for (unsigned int i = 0; i < 4; i++)
		want_ok(c, &c->exs[i], "read");
	want(c, c->exs[0].output == rest, "the last %u bytes, and there are %u", rest,
	     c->exs[0].output);
	for (unsigned int i = 1; i < 4; i++)
		want(c, !c->exs[i].output,
		     "in Freeze nothing behind the last byte, and read %u behind it gives %u bytes",
		     i, c->exs[i].output);
}

static void discard_between(struct conform *c, const struct check *check)
{
	command_begin(c, 0, VFERRY_CMD_DEV_CTX_READ, NULL, 0, 64);
	command_begin(c, 1, VFERRY_CMD_DEV_CTX_DISCARD, NULL, 0, 0);
	command_begin(c, 2, VFERRY_CMD_DEV_CTX_READ, NULL, 0, 64);
	in_order(c, 3);
	for (unsigned int i = 0; i < 3; i++)
		want_ok(c, &c->exs[i], "read, discard, read");
	want(c,
	     c->exs[0].output == c->exs[2].output && c->exs[0].output &&
		     !memcmp(c->exs[0].result, c->exs[2].result, c->exs[0].output),
	     "the same first bytes before and behind discard");
}

static void writes(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;
	uint32_t chunk = (uint32_t)check->a;
	unsigned int n = 0;

	for (uint64_t at = 0; at < c->image.count && going(c);) {
		uint64_t left = c->image.count - at;
		uint32_t count = left < chunk ? (uint32_t)left : chunk;

		command_begin(c, n++, VFERRY_CMD_DEV_CTX_WRITE, c->image.at + at, count, 0);
		at += count;
		if (n < 16 && at < c->image.count)
			continue;
		if (at == c->image.count)
			command_begin(c, n++, VFERRY_CMD_DEV_MODE_SET, &stop, 1, 0);
		in_order(c, n);
		for (unsigned int i = 0; i < n; i++)
			want_ok(c, &c->exs[i], "writes side by side, and the commit behind them");
		n = 0;
	}
	mode_is(c, VFERRY_MODE_STOP, "behind the commit");
	mode_set(c, VFERRY_MODE_FREEZE);
	same_state(c, &c->image, "after writes side by side");
}

#define MANY(n)                                                                                \
	CHECK("order.commands_" #n, #n " commands under way are answered, in order", QUEUE, 0, \
	      many, n)

const struct check conform_order[] = {
	MANY(2),
	MANY(8),
	MANY(32),
	CHECK("order.refused_between", "refused commands among others are answered in their place",
	      QUEUE, 0, mixed),
	CHECK("order.members", "commands of two members in one queue are answered in order", QUEUE,
	      NEEDS_SPARE, members),
	CHECK("order.modes", "mode_set and mode_get in turns take effect in order", QUEUE,
	      NEEDS_CHANGES, modes),
	CHECK("order.reads_16", "reads of 16 bytes side by side give what reads one by one give",
	      QUEUE, NEEDS_CHANGES | NEEDS_FREEZE, reads, 16),
	CHECK("order.reads_65536", "reads of 64 KiB side by side give what reads one by one give",
	      QUEUE, NEEDS_CHANGES | NEEDS_FREEZE, reads, CTX_CHUNK),
	CHECK("order.reads_past_end", "reads under way behind the last byte answer 0 in Freeze",
	      OURS "Reading 3", NEEDS_CHANGES | NEEDS_FREEZE, reads_past_end),
	CHECK("order.discard_between", "a discard between two reads stands between them", QUEUE,
	      NEEDS_CHANGES | NEEDS_FREEZE, discard_between),
	CHECK("order.writes_small", "writes side by side and a commit behind them", QUEUE,
	      NEEDS_CHANGES | NEEDS_FREEZE | NEEDS_IMAGE, writes, 104),
	CHECK("order.writes_large", "large writes side by side and a commit behind them", QUEUE,
	      NEEDS_CHANGES | NEEDS_FREEZE | NEEDS_IMAGE, writes, CTX_CHUNK),
	CHECKS_END,
};
