// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of what holds for every command: who is addressed, what is refused and in which order, answers' headers. */
#include <string.h>
#include "conform/conform.h"

/* @a: group, @b: opcode, @d: member */
static void group_refused(struct conform *c, const struct check *check)
{
	want_refused(c,
		     addressed(c, (uint16_t)check->b, (uint16_t)check->a, check->d ? c->vf : 0,
			       NULL, 0, 8),
		     VFERRY_Q_INVALID_GROUP, check->title);
}

static uint64_t listed(struct conform *c)
{
	const struct ex *ex =
		addressed(c, VFERRY_CMD_LIST_QUERY, VFERRY_GROUP_SRIOV, 0, NULL, 0, 8);
	uint64_t list;

	memcpy(&list, ex->result, sizeof(list));
	return going(c) ? le64toh(list) : 0;
}

/* @a: opcode */
static void opcode_refused(struct conform *c, const struct check *check)
{
	if (check->a < 64 && listed(c) >> check->a & 1) {
		not_applicable(c, "the device offers this command");
		return;
	}
	want_refused(c, command(c, (uint16_t)check->a, NULL, 0, 64), VFERRY_Q_INVALID_OPCODE,
		     check->title);
}

/* @a: opcode, @b: added to NumVFs (negative: the number itself is @d) */
static void member_refused(struct conform *c, const struct check *check)
{
	static const uint8_t freeze = VFERRY_MODE_FREEZE;
	bool mode = check->a == VFERRY_CMD_DEV_MODE_SET;
	uint64_t member = check->b ? c->num_vfs + check->b : check->d;

	if (check->b == UINT64_MAX)
		member = check->d + c->vf;
	want_refused(
		c, addressed(c, (uint16_t)check->a, VFERRY_GROUP_SRIOV, member, &freeze, mode, 64),
		VFERRY_Q_INVALID_MEMBER, check->title);
}

static void member_before_data(struct conform *c, const struct check *check)
{
	static const uint8_t junk[8] = { 9, 0xff, 0xff };

	want_refused(c,
		     addressed(c, (uint16_t)check->a, VFERRY_GROUP_SRIOV, 0, junk, sizeof(junk), 8),
		     VFERRY_Q_INVALID_MEMBER, check->title);
}

/* @a: group, @b: opcode, @d: member; the first that is wrong is named */
static void precedence(struct conform *c, const struct check *check)
{
	uint16_t first =
		check->a != VFERRY_GROUP_SRIOV ? VFERRY_Q_INVALID_GROUP : VFERRY_Q_INVALID_OPCODE;

	want_refused(c, addressed(c, (uint16_t)check->b, (uint16_t)check->a, check->d, NULL, 0, 8),
		     first, check->title);
}

/* @a: opcode, @b: first byte of reserved1, @d: how many are set */
static void reserved_ignored(struct conform *c, const struct check *check)
{
	bool list = check->a == VFERRY_CMD_LIST_QUERY;
	struct vferry_admin_hdr head =
		header((uint16_t)check->a, VFERRY_GROUP_SRIOV, list ? 0 : c->vf);

	memset(head.reserved1 + check->b, 0xff, check->d);
	want_ok(c, raw(c, &head, sizeof(head), 8 + 8, 0), check->title);
}

/* @a: opcode */
static void header_of_ok(struct conform *c, const struct check *check)
{
	static const uint8_t active = VFERRY_MODE_ACTIVE;
	bool list = check->a == VFERRY_CMD_LIST_QUERY, read = check->a == VFERRY_CMD_DEV_CTX_READ;
	const struct ex *ex = addressed(c, (uint16_t)check->a, VFERRY_GROUP_SRIOV, list ? 0 : c->vf,
					&active, check->a == VFERRY_CMD_DEV_MODE_SET, 64);

	want_ok(c, ex, check->title);
	want(c, ex->qualifier == VFERRY_Q_OK, "qualifier 0 with status 0, and it is %u",
	     ex->qualifier);
	want(c, read || !ex->output, "bytes 4 to 7 of the answer zero, and they are 0x%08x",
	     ex->output);
}

static void header_of_refusal(struct conform *c, const struct check *check)
{
	const struct ex *ex = command(c, 0x7fff, NULL, 0, 8);

	want(c, ex->status == VFERRY_STATUS_EINVAL, "status 22 (einval), and it is %u", ex->status);
	want(c, ex->qualifier && ex->qualifier <= VFERRY_Q_TRYAGAIN,
	     "a qualifier from 1 to 7 with an error, and it is %u", ex->qualifier);
	want(c, !ex->output, "bytes 4 to 7 of the answer zero, and they are 0x%08x", ex->output);
}

static void refusal_keeps(struct conform *c, const struct check *check)
{
	unsigned int before = mode_get(c);
	static const uint8_t other = VFERRY_MODE_STOP;

	addressed(c, (uint16_t)check->b, (uint16_t)check->a, c->vf, &other, 1, 8);
	mode_is(c, before, "after a command that was refused");
}

#define GROUP(text, group, opcode, member)                                               \
	CHECK("layer.group_" text, "a group type that there is not is refused", BASE, 0, \
	      group_refused, group, opcode, member)
#define OPCODE(text, number)                                                                \
	CHECK("layer.opcode_" text, "opcode " text " is not offered, and refused", BASE, 0, \
	      opcode_refused, number)
#define MEMBER(text, op, changes)                                                                  \
	CHECK("layer.member_0_" text, text " of member 0 is refused", SRIOV, changes,              \
	      member_refused, VFERRY_CMD_##op, 0, 0),                                              \
		CHECK("layer.member_beyond_" text, text " of member NumVFs + 1 is refused", SRIOV, \
		      changes, member_refused, VFERRY_CMD_##op, 1, 0),                             \
		CHECK("layer.member_max_" text, text " of member 2^64-1 is refused", SRIOV,        \
		      changes, member_refused, VFERRY_CMD_##op, 0, UINT64_MAX)
#define WIDE(bits, op, text)                                                        \
	CHECK("layer.member_" #bits "_bits_" text,                                  \
	      "a member id is 64 bits wide: 2^" #bits " + VF is refused", SRIOV, 0, \
	      member_refused, VFERRY_CMD_##op, UINT64_MAX, 1ull << bits)
#define HEADER(text, op, needs)                                                                \
	CHECK("layer.header_" text,                                                            \
	      "status ok of " text " comes with qualifier 0 and zeros behind it", BASE, needs, \
	      header_of_ok, VFERRY_CMD_##op)
#define RESERVED(text, op, from, count)                                                        \
	CHECK("layer.reserved_" text, "reserved1 is ignored: bytes " #from " and on", BASE, 0, \
	      reserved_ignored, VFERRY_CMD_##op, from, count)

const struct check conform_layer[] = {
	GROUP("2", 2, VFERRY_CMD_DEV_MODE_GET, 1),
	GROUP("3", 3, VFERRY_CMD_DEV_MODE_GET, 1),
	GROUP("256", 256, VFERRY_CMD_DEV_MODE_GET, 1),
	GROUP("257", 257, VFERRY_CMD_DEV_MODE_GET, 1),
	GROUP("65535", 65535, VFERRY_CMD_DEV_MODE_GET, 1),
	GROUP("2_list_query", 2, VFERRY_CMD_LIST_QUERY, 0),
	GROUP("65535_list_query", 65535, VFERRY_CMD_LIST_QUERY, 0),
	GROUP("self_mode_get", VFERRY_GROUP_SELF, VFERRY_CMD_DEV_MODE_GET, 0),
	OPCODE("2", 2),
	OPCODE("6", 6),
	OPCODE("14", 14),
	OPCODE("17", 17),
	OPCODE("63", 63),
	OPCODE("64", 64),
	OPCODE("71", 71),
	OPCODE("263", 263),
	OPCODE("32767", 0x7fff),
	OPCODE("32768", 0x8000),
	OPCODE("32775", 0x8007),
	OPCODE("65535", 0xffff),
	MEMBER("mode_get", DEV_MODE_GET, 0),
	MEMBER("mode_set", DEV_MODE_SET, NEEDS_CHANGES),
	MEMBER("size_get", DEV_CTX_SIZE_GET, 0),
	MEMBER("read", DEV_CTX_READ, NEEDS_CHANGES),
	MEMBER("write", DEV_CTX_WRITE, NEEDS_CHANGES),
	MEMBER("fields", DEV_CTX_FIELDS_QUERY, 0),
	MEMBER("discard", DEV_CTX_DISCARD, NEEDS_CHANGES),
	WIDE(16, DEV_MODE_GET, "mode_get"),
	WIDE(32, DEV_MODE_GET, "mode_get"),
	WIDE(63, DEV_MODE_GET, "mode_get"),
	WIDE(32, DEV_CTX_SIZE_GET, "size_get"),
	CHECK("layer.member_before_mode", "the member is looked at before the mode that is wanted",
	      BASE, NEEDS_CHANGES, member_before_data, VFERRY_CMD_DEV_MODE_SET),
	CHECK("layer.member_before_freeze_flag", "the member is looked at before freeze_mode", BASE,
	      0, member_before_data, VFERRY_CMD_DEV_CTX_SIZE_GET),
	CHECK("layer.member_before_write",
	      "the member is looked at before the mode that write needs", BASE, NEEDS_CHANGES,
	      member_before_data, VFERRY_CMD_DEV_CTX_WRITE),
	CHECK("layer.group_before_opcode", "group type and opcode wrong: invalid_group", BASE, 0,
	      precedence, 2, 0x7fff, 1),
	CHECK("layer.group_before_member", "group type and member wrong: invalid_group", BASE, 0,
	      precedence, 2, VFERRY_CMD_DEV_MODE_GET, 0),
	CHECK("layer.group_before_all", "group type, opcode and member wrong: invalid_group", BASE,
	      0, precedence, 0xffff, 0xffff, UINT64_MAX),
	CHECK("layer.opcode_before_member", "opcode and member wrong: invalid_opcode", BASE, 0,
	      precedence, VFERRY_GROUP_SRIOV, 0x7fff, 0),
	CHECK("layer.opcode_before_member_max", "opcode and member 2^64-1 wrong: invalid_opcode",
	      BASE, 0, precedence, VFERRY_GROUP_SRIOV, 0x8000, UINT64_MAX),
	RESERVED("mode_get", DEV_MODE_GET, 0, 12),
	RESERVED("mode_get_first", DEV_MODE_GET, 0, 1),
	RESERVED("mode_get_last", DEV_MODE_GET, 11, 1),
	RESERVED("list_query", LIST_QUERY, 0, 12),
	RESERVED("size_get", DEV_CTX_SIZE_GET, 0, 12),
	HEADER("list_query", LIST_QUERY, 0),
	HEADER("mode_get", DEV_MODE_GET, 0),
	HEADER("mode_set", DEV_MODE_SET, NEEDS_CHANGES),
	HEADER("size_get", DEV_CTX_SIZE_GET, 0),
	HEADER("read", DEV_CTX_READ, NEEDS_CHANGES),
	HEADER("fields", DEV_CTX_FIELDS_QUERY, 0),
	HEADER("discard", DEV_CTX_DISCARD, NEEDS_CHANGES),
	CHECK("layer.header_refused", "a refusal says einval, why, and zeros behind it", BASE, 0,
	      header_of_refusal),
	CHECK("layer.opcode_refused_keeps_mode", "a refused opcode changes nothing", BASE,
	      NEEDS_CHANGES, refusal_keeps, VFERRY_GROUP_SRIOV, 0x8008),
	CHECK("layer.group_refused_keeps_mode", "a command to another group type changes nothing",
	      BASE, NEEDS_CHANGES, refusal_keeps, 2, VFERRY_CMD_DEV_MODE_SET),
	CHECKS_END,
};
