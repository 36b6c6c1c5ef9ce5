// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of LIST_QUERY and LIST_USE. */
#include <string.h>
#include "conform/conform.h"

#define ALL (VFERRY_LIST_BASE | VFERRY_LIST_MIGRATION)

static const struct ex *query(struct conform *c, uint64_t member, uint32_t room)
{
	return addressed(c, VFERRY_CMD_LIST_QUERY, VFERRY_GROUP_SRIOV, member, NULL, 0, room);
}

static uint64_t queried(struct conform *c)
{
	const struct ex *ex = query(c, 0, 8);
	uint64_t list;

	want_ok(c, ex, "list_query");
	memcpy(&list, ex->result, sizeof(list));
	return le64toh(list);
}

static const struct ex *use(struct conform *c, const uint64_t *words, unsigned int count)
{
	uint64_t wire[64] = { 0 };

	for (unsigned int i = 0; i < count && i < 64; i++)
		wire[i] = htole64(words[i]);
	return addressed(c, VFERRY_CMD_LIST_USE, VFERRY_GROUP_SRIOV, 0, wire, count * 8, 8);
}

static const struct ex *use_one(struct conform *c, uint64_t list)
{
	return use(c, &list, 1);
}

/* What LIST_USE forbids to be used again, only the owner's reset brings back. */
static bool needs_reset_after(struct conform *c)
{
	if (c->opts.direct)
		return true;
	not_applicable(
		c,
		"it forbids list_use itself, and only a reset of the owner undoes that: --direct");
	return false;
}

static void query_bits(struct conform *c, const struct check *check)
{
	uint64_t list = queried(c);

	want(c, (list & check->a) == check->a, "bits 0x%llx set, and the list is 0x%llx",
	     (unsigned long long)check->a, (unsigned long long)list);
}

static void query_again(struct conform *c, const struct check *check)
{
	uint64_t first = queried(c), second = queried(c);

	want(c, first == second, "the same list, and it was 0x%llx, then 0x%llx",
	     (unsigned long long)first, (unsigned long long)second);
}

static void query_words(struct conform *c, const struct check *check)
{
	const struct ex *ex = query(c, 0, 4096);

	want_ok(c, ex, check->title);
	want(c, ex->used > 8 && !((ex->used - 8) % 8),
	     "a used length of 8 and whole words, and it is %u", ex->used);
}

static void query_member(struct conform *c, const struct check *check)
{
	want_ok(c, query(c, check->a, 8), check->title);
}

static void use_member(struct conform *c, const struct check *check)
{
	uint64_t list = htole64(ALL);

	want_ok(c, addressed(c, VFERRY_CMD_LIST_USE, VFERRY_GROUP_SRIOV, check->a, &list, 8, 0),
		check->title);
}

static void use_again(struct conform *c, const struct check *check)
{
	for (unsigned int i = 0; i < 3; i++)
		want_ok(c, use_one(c, ALL), check->title);
	mode_get(c);
}

static void use_words(struct conform *c, const struct check *check)
{
	uint64_t words[64] = { ALL };

	want_ok(c, use(c, words, (unsigned int)check->a), check->title);
	mode_get(c);
}

/* @a: list of one word, @b: that word's place */
static void use_unsupported(struct conform *c, const struct check *check)
{
	uint64_t words[64] = { ALL };
	uint64_t bit = check->a;

	if (!check->b) {
		uint64_t list = queried(c);

		while (bit && list & bit)
			bit <<= 1;
	}
	if (!bit) {
		not_applicable(c, "the device offers every command");
		return;
	}
	words[check->b] |= bit;
	want_refused(c, use(c, words, (unsigned int)check->b + 1), VFERRY_Q_INVALID_FIELD,
		     check->title);
}

static void refused_use_keeps(struct conform *c, const struct check *check)
{
	uint64_t words[2] = { VFERRY_LIST_BASE, 1ull << 60 };
	const struct ex *ex = use(c, words, 2);

	if (!ex->status) {
		not_applicable(c, "the device took a list of what it does not offer");
		return;
	}
	want_ok(c, command(c, VFERRY_CMD_DEV_MODE_GET, NULL, 0, 8),
		"mode_get, which was in the list before");
}

static void without(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;
	uint16_t opcode = (uint16_t)check->a;

	want_ok(c, use_one(c, ALL & ~(1ull << opcode)), "list_use of all but one");
	want_refused(c, command(c, opcode, &stop, opcode == VFERRY_CMD_DEV_MODE_SET, 64),
		     VFERRY_Q_INVALID_OPCODE, check->title);
	opcode = opcode == VFERRY_CMD_DEV_MODE_GET ? VFERRY_CMD_DEV_CTX_SIZE_GET
						   : VFERRY_CMD_DEV_MODE_GET;
	want_ok(c, command(c, opcode, NULL, 0, 8), "a command that is in the list");
}

static void without_query(struct conform *c, const struct check *check)
{
	want_ok(c, use_one(c, ALL & ~(1ull << VFERRY_CMD_LIST_QUERY)),
		"list_use without list_query");
	want_refused(c, query(c, 0, 8), VFERRY_Q_INVALID_OPCODE, "list_query");
}

static void without_use(struct conform *c, const struct check *check)
{
	if (!needs_reset_after(c))
		return;
	want_ok(c, use_one(c, ALL & ~(1ull << VFERRY_CMD_LIST_USE)), "list_use without itself");
	want_refused(c, use_one(c, ALL), VFERRY_Q_INVALID_OPCODE, "list_use");
}

static void use_empty(struct conform *c, const struct check *check)
{
	uint64_t none = 0;

	if (!needs_reset_after(c))
		return;
	want_ok(c, use(c, &none, (unsigned int)check->a), check->title);
	want_refused(c, command(c, VFERRY_CMD_DEV_MODE_GET, NULL, 0, 8), VFERRY_Q_INVALID_OPCODE,
		     "mode_get, which is not in the empty list");
}

static void query_does_not_shrink(struct conform *c, const struct check *check)
{
	uint64_t before = queried(c), after;

	want_ok(c, use_one(c, VFERRY_LIST_BASE | 1ull << VFERRY_CMD_DEV_MODE_GET),
		"list_use of a part");
	after = queried(c);
	want(c, before == after, "list_query as before list_use, and it was 0x%llx and is 0x%llx",
	     (unsigned long long)before, (unsigned long long)after);
}

static void widen_again(struct conform *c, const struct check *check)
{
	want_ok(c, use_one(c, VFERRY_LIST_BASE), "list_use of 0 and 1");
	want_ok(c, use_one(c, ALL), "list_use of all, after a shorter list");
	mode_get(c);
}

static void unused_before_member(struct conform *c, const struct check *check)
{
	want_ok(c, use_one(c, VFERRY_LIST_BASE), "list_use of 0 and 1");
	want_refused(c, addressed(c, VFERRY_CMD_DEV_MODE_GET, VFERRY_GROUP_SRIOV, 0, NULL, 0, 8),
		     VFERRY_Q_INVALID_OPCODE, check->title);
}

static void unused_keeps(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;

	want_ok(c, use_one(c, ALL & ~(1ull << VFERRY_CMD_DEV_MODE_SET)),
		"list_use without mode_set");
	command(c, VFERRY_CMD_DEV_MODE_SET, &stop, 1, 0);
	mode_is(c, VFERRY_MODE_ACTIVE, "after a mode_set that is not in the list");
}

#define WITHOUT(text, op)                                                                    \
	CHECK("lists.use_without_" text, text " is refused when list_use left it out", BASE, \
	      NEEDS_ALONE | NEEDS_CHANGES, without, VFERRY_CMD_##op)
#define ALONE_CHANGES (NEEDS_ALONE | NEEDS_CHANGES)

const struct check conform_lists[] = {
	CHECK("lists.query_base", "list_query offers itself and list_use", BASE, 0, query_bits,
	      VFERRY_LIST_BASE),
	CHECK("lists.query_migration", "all seven migration commands are offered",
	      OURS "List of commands, errors", 0, query_bits, VFERRY_LIST_MIGRATION),
	CHECK("lists.query_same", "list_query answers the same each time", BASE, 0, query_again),
	CHECK("lists.query_words", "list_query answers whole words", BASE, 0, query_words),
	CHECK("lists.query_member_1", "list_query does not look at the member: 1", BASE, 0,
	      query_member, 1),
	CHECK("lists.query_member_max", "list_query does not look at the member: 2^64-1", BASE, 0,
	      query_member, UINT64_MAX),
	CHECK("lists.use_all", "list_use of all that is needed, several times", BASE, ALONE_CHANGES,
	      use_again),
	CHECK("lists.use_member", "list_use does not look at the member", BASE, ALONE_CHANGES,
	      use_member, 5),
	CHECK("lists.use_two_words", "zero words may follow in list_use: one", BASE, ALONE_CHANGES,
	      use_words, 2),
	CHECK("lists.use_many_words", "zero words may follow in list_use: 63", BASE, ALONE_CHANGES,
	      use_words, 64),
	CHECK("lists.use_superset", "list_use of a command that is not offered is refused", BASE,
	      ALONE_CHANGES, use_unsupported, 1ull << 14, 0),
	CHECK("lists.use_superset_63", "list_use of opcode 63 is refused", BASE, ALONE_CHANGES,
	      use_unsupported, 1ull << 63, 0),
	CHECK("lists.use_superset_word", "list_use of an opcode in the second word is refused",
	      BASE, ALONE_CHANGES, use_unsupported, 1, 1),
	CHECK("lists.use_superset_last", "list_use of an opcode in a far word is refused", BASE,
	      ALONE_CHANGES, use_unsupported, 1ull << 7, 63),
	CHECK("lists.use_refused_keeps", "a refused list_use leaves the list in force", BASE,
	      ALONE_CHANGES, refused_use_keeps),
	WITHOUT("mode_get", DEV_MODE_GET),
	WITHOUT("mode_set", DEV_MODE_SET),
	WITHOUT("size_get", DEV_CTX_SIZE_GET),
	WITHOUT("read", DEV_CTX_READ),
	WITHOUT("write", DEV_CTX_WRITE),
	WITHOUT("fields", DEV_CTX_FIELDS_QUERY),
	WITHOUT("discard", DEV_CTX_DISCARD),
	CHECK("lists.use_without_query", "list_use may leave list_query out", BASE, ALONE_CHANGES,
	      without_query),
	CHECK("lists.use_without_use", "list_use may leave itself out", BASE, ALONE_CHANGES,
	      without_use),
	CHECK("lists.use_empty", "list_use takes an empty list: a word of zero",
	      OURS "List of commands, errors", ALONE_CHANGES, use_empty, 1),
	CHECK("lists.use_nothing", "list_use takes an empty list: no data",
	      OURS "List of commands, errors", ALONE_CHANGES, use_empty, 0),
	CHECK("lists.query_after_use", "the list that is offered does not shrink with list_use",
	      BASE, ALONE_CHANGES, query_does_not_shrink),
	CHECK("lists.use_wider", "a longer list is taken after a shorter one", BASE, ALONE_CHANGES,
	      widen_again),
	CHECK("lists.unused_before_member", "a command out of use with member 0: invalid_opcode",
	      BASE, ALONE_CHANGES, unused_before_member),
	CHECK("lists.unused_keeps_mode", "a mode_set that is not in the list changes nothing", BASE,
	      ALONE_CHANGES, unused_keeps),
	CHECKS_END,
};
