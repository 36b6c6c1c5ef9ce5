// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the modes as the owner sees them. What a VF does in them is in guest.c's checks. */
#include <string.h>
#include "conform/conform.h"

/* @a: from, @b: to */
static void pair(struct conform *c, const struct check *check)
{
	mode_is(c, (unsigned int)check->a, "before");
	mode_set(c, (unsigned int)check->b);
	mode_is(c, (unsigned int)check->b, "behind it");
}

static void refuse_mode(struct conform *c, const struct check *check)
{
	uint8_t mode = (uint8_t)check->a;

	want_refused(c, command(c, VFERRY_CMD_DEV_MODE_SET, &mode, 1, 0), VFERRY_Q_INVALID_FIELD,
		     check->title);
}

/* @a: the mode it is in */
static void refusal_keeps(struct conform *c, const struct check *check)
{
	static const uint8_t unknown[] = { 3, 0xff };

	for (unsigned int i = 0; i < 2; i++) {
		command(c, VFERRY_CMD_DEV_MODE_SET, &unknown[i], 1, 0);
		mode_is(c, (unsigned int)check->a, "after a mode_set of a mode that there is not");
	}
}

static void size_flag(struct conform *c, const struct check *check)
{
	uint8_t flag = (uint8_t)check->a;

	want_refused(c, command(c, VFERRY_CMD_DEV_CTX_SIZE_GET, &flag, 1, 8),
		     VFERRY_Q_INVALID_FIELD, check->title);
}

/* @a: opcode, @b: the mode it is in */
static void legal(struct conform *c, const struct check *check)
{
	want_ok(c, command(c, (uint16_t)check->a, NULL, 0, 4096), check->title);
	mode_is(c, (unsigned int)check->b, check->title);
}

static void write_refused(struct conform *c, const struct check *check)
{
	struct blob *start = blob(c);

	blob_start(start, false);
	want_refused(c, write_ex(c, start->at, (uint32_t)start->count), VFERRY_Q_INVALID_COMMAND,
		     check->title);
}

/* A START alone is staged, if it is: then leaving Freeze would find an incomplete image. */
static void refused_write_stages_nothing(struct conform *c, const struct check *check)
{
	struct blob *start = blob(c);

	blob_start(start, false);
	write_ex(c, start->at, (uint32_t)start->count);
	if (!mode_to(c, VFERRY_MODE_FREEZE))
		fail(c, "Freeze can be entered");
	mode_set(c, VFERRY_MODE_STOP);
	mode_is(c, VFERRY_MODE_STOP, "after a refused write, Freeze and Stop");
}

static void other_member(struct conform *c, const struct check *check)
{
	unsigned int before;

	c->vf = c->opts.spare;
	if (going(c) && !mode_to(c, VFERRY_MODE_ACTIVE))
		not_applicable(c, "the second VF cannot be brought into Active");
	before = mode_get(c);
	c->vf = c->opts.vf;
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	c->vf = c->opts.spare;
	mode_is(c, before, "the other VF, whose mode nobody set");
}

static void repeated(struct conform *c, const struct check *check)
{
	static const uint8_t walk[] = { 1, 2, 1, 0, 2, 0, 1, 0, 2, 1, 2, 0 };

	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < sizeof(walk); i++)
			mode_set(c, walk[i]);
		mode_is(c, VFERRY_MODE_ACTIVE, "after many changes");
	}
}

#define MODE			 OURS "Modes"
#define IN_A			 NEEDS_CHANGES
#define IN_S			 (NEEDS_CHANGES | NEEDS_STOP)
#define IN_F			 (NEEDS_CHANGES | NEEDS_FREEZE)
#define A			 VFERRY_MODE_ACTIVE
#define S			 VFERRY_MODE_STOP
#define F			 VFERRY_MODE_FREEZE
#define PAIR(text, in, from, to) CHECK("modes." text, "mode_set: " text, MODE, in, pair, from, to)
#define UNKNOWN(n)		 CHECK("modes.unknown_" #n, "mode " #n " is refused", MODE, IN_A, refuse_mode, n)
#define LEGAL(name, op)                                                                            \
	CHECK("modes." name "_in_active", name " is legal in Active and keeps the mode", MODE,     \
	      IN_A, legal, VFERRY_CMD_##op, A),                                                    \
		CHECK("modes." name "_in_stop", name " is legal in Stop and keeps the mode", MODE, \
		      IN_S, legal, VFERRY_CMD_##op, S),                                            \
		CHECK("modes." name "_in_freeze", name " is legal in Freeze and keeps the mode",   \
		      MODE, IN_F, legal, VFERRY_CMD_##op, F)

const struct check conform_modes[] = {
	PAIR("active_active", IN_A, A, A),
	PAIR("active_stop", IN_A, A, S),
	PAIR("active_freeze", IN_A, A, F),
	PAIR("stop_active", IN_S, S, A),
	PAIR("stop_stop", IN_S, S, S),
	PAIR("stop_freeze", IN_S, S, F),
	PAIR("freeze_active", IN_F, F, A),
	PAIR("freeze_stop", IN_F, F, S),
	PAIR("freeze_freeze", IN_F, F, F),
	CHECK("modes.many", "any number of changes", MODE, IN_A, repeated),
	UNKNOWN(3),
	UNKNOWN(4),
	UNKNOWN(127),
	UNKNOWN(128),
	UNKNOWN(255),
	CHECK("modes.refused_keeps_active", "a refused mode_set keeps Active",
	      SEED "Device Mode Set Command", IN_A, refusal_keeps, A),
	CHECK("modes.refused_keeps_stop", "a refused mode_set keeps Stop",
	      SEED "Device Mode Set Command", IN_S, refusal_keeps, S),
	CHECK("modes.refused_keeps_freeze", "a refused mode_set keeps Freeze",
	      SEED "Device Mode Set Command", IN_F, refusal_keeps, F),
	CHECK("modes.size_flag_2", "freeze_mode 2 is refused", OURS "List of commands, errors", 0,
	      size_flag, 2),
	CHECK("modes.size_flag_255", "freeze_mode 255 is refused", OURS "List of commands, errors",
	      0, size_flag, 255),
	LEGAL("read", DEV_CTX_READ),
	LEGAL("discard", DEV_CTX_DISCARD),
	LEGAL("size", DEV_CTX_SIZE_GET),
	LEGAL("fields", DEV_CTX_FIELDS_QUERY),
	CHECK("modes.write_in_active", "write is refused in Active",
	      SEED "Device Context Write Command", IN_A, write_refused),
	CHECK("modes.write_in_stop", "write is refused in Stop",
	      SEED "Device Context Write Command", IN_S, write_refused),
	CHECK("modes.write_in_active_stages", "a write that is refused in Active stages nothing",
	      SEED "Device Context Write Command", IN_A, refused_write_stages_nothing),
	CHECK("modes.write_in_stop_stages", "a write that is refused in Stop stages nothing",
	      SEED "Device Context Write Command", IN_S, refused_write_stages_nothing),
	CHECK("modes.other_member", "mode_set of one VF leaves the others' modes", MODE,
	      IN_A | NEEDS_SPARE, other_member),
	CHECKS_END,
};
