// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of resets and FLRs of a VF under the owner's commands. */
#include "conform/conform.h"

enum how { BY_FLR, BY_STATUS };

static void reset(struct conform *c, uint64_t how)
{
	if (how == BY_FLR)
		guest_flr(c);
	else
		guest_reset(c);
}

/* @a: enum how, @b: the mode it is in */
static void keeps_mode(struct conform *c, const struct check *check)
{
	guest_open(c);
	reset(c, check->a);
	mode_is(c, (unsigned int)check->b, check->title);
}

static void blank(struct conform *c, const struct check *check)
{
	guest_open(c);
	guest_select(c, 2);
	reset(c, check->a);
	want(c, !guest_selected(c), "queue_select 0 after the reset, and it is %u",
	     guest_selected(c));
	want(c, !guest_status(c), "device status 0 after the reset, and it is 0x%02x",
	     guest_status(c));
}

static void blank_frozen(struct conform *c, const struct check *check)
{
	struct field_at field;
	struct blob *now = blob(c);

	guest_open(c);
	guest_select(c, 2);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	guest_flr(c);
	discard(c);
	read_image(c, CTX_CHUNK, now);
	if (going(c) && blob_find(now, VFERRY_CTX_PCI_COMMON_CFG, 0, &field) && field.length >= 12)
		want(c, !now->at[field.offset + 16 + 10],
		     "queue_select 0 in the context after an FLR in Freeze, and it is %u",
		     now->at[field.offset + 16 + 10]);
}

static void full_due(struct conform *c, const struct check *check)
{
	struct vferry_error err = { 0 };
	struct blob *now = blob(c);
	bool delta = false;

	guest_open(c);
	discard(c);
	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	reset(c, check->a);
	read_image(c, CTX_CHUNK, now);
	want(c, blob_is_image(now, &delta, &err), "an image after a reset: %s", err.text);
	want(c, !delta, "a full image after a reset, and it says delta");
}

static void keeps_staged(struct conform *c, const struct check *check)
{
	uint64_t half = c->image.count / 16 * 8;
	struct blob head = { c->image.at, half, 0 };
	struct blob tail = { c->image.at + half, c->image.count - half, 0 };

	guest_open(c);
	write_all(c, &head, CTX_CHUNK);
	guest_flr(c);
	write_all(c, &tail, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	same_state(c, &c->image, check->title);
}

static void while_reading(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c);
	struct vferry_error err = { 0 };
	bool delta;

	guest_open(c);
	discard(c);
	read_chunk(c, 64, image);
	reset(c, check->a);
	read_rest(c, image);
	want(c, blob_is_image(image, &delta, &err),
	     "an open image goes on over a reset, with its keys and lengths: %s", err.text);
}

static void frozen_reset_ignored(struct conform *c, const struct check *check)
{
	struct blob *before = blob(c);

	guest_open(c);
	guest_select(c, 2);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	discard(c);
	read_image(c, CTX_CHUNK, before);
	guest_select(c, 0);
	same_state(c, before, check->title);
}

static void other_member(struct conform *c, const struct check *check)
{
	struct blob *before = blob(c);

	c->vf = c->opts.spare;
	if (!mode_to(c, VFERRY_MODE_FREEZE))
		not_applicable(c, "the second VF cannot be brought into Freeze");
	discard(c);
	read_image(c, CTX_CHUNK, before);
	c->vf = c->opts.vf;
	guest_open(c);
	guest_flr(c);
	c->vf = c->opts.spare;
	mode_is(c, VFERRY_MODE_FREEZE, "another VF, which was not reset");
	same_state(c, before, check->title);
	if (going(c) && !mode_to(c, VFERRY_MODE_ACTIVE))
		fail(c, "the second VF can be brought back into Active");
}

#define RES  OURS "Resets"
#define IN_A (NEEDS_CHANGES | NEEDS_MEMBER)
#define IN_S (IN_A | NEEDS_STOP)
#define IN_F (IN_A | NEEDS_FREEZE)

const struct check conform_resets[] = {
	CHECK("resets.flr_keeps_active", "an FLR of a VF keeps Active", RES, IN_A, keeps_mode,
	      BY_FLR, VFERRY_MODE_ACTIVE),
	CHECK("resets.flr_keeps_stop", "an FLR of a VF keeps Stop", RES, IN_S, keeps_mode, BY_FLR,
	      VFERRY_MODE_STOP),
	CHECK("resets.flr_keeps_freeze", "an FLR of a VF keeps Freeze", RES, IN_F, keeps_mode,
	      BY_FLR, VFERRY_MODE_FREEZE),
	CHECK("resets.reset_keeps_active", "a virtio reset of a VF keeps Active", RES, IN_A,
	      keeps_mode, BY_STATUS, VFERRY_MODE_ACTIVE),
	CHECK("resets.reset_keeps_stop", "a virtio reset of a VF keeps Stop", RES, IN_S, keeps_mode,
	      BY_STATUS, VFERRY_MODE_STOP),
	CHECK("resets.flr_blank", "an FLR of a VF makes its state blank", RES, IN_A, blank, BY_FLR),
	CHECK("resets.reset_blank", "a virtio reset of a VF makes its state blank", RES, IN_A,
	      blank, BY_STATUS),
	CHECK("resets.flr_blank_freeze", "an FLR in Freeze makes the context blank", RES, IN_A,
	      blank_frozen),
	CHECK("resets.flr_full", "a full image is due after an FLR", RES, IN_A, full_due, BY_FLR),
	CHECK("resets.reset_full", "a full image is due after a virtio reset", RES, IN_A, full_due,
	      BY_STATUS),
	CHECK("resets.flr_keeps_staged", "what is staged survives an FLR of the VF", RES,
	      IN_F | NEEDS_IMAGE, keeps_staged),
	CHECK("resets.flr_while_reading", "an open image goes on over an FLR", RES, IN_A,
	      while_reading, BY_FLR),
	CHECK("resets.reset_while_reading", "an open image goes on over a virtio reset", RES, IN_A,
	      while_reading, BY_STATUS),
	CHECK("resets.frozen_write", "in Freeze a driver's writes change nothing of the context",
	      OURS "Modes", IN_A, frozen_reset_ignored),
	CHECK("resets.other_member", "an FLR of one VF leaves another's mode and state", RES,
	      IN_A | NEEDS_SPARE, other_member),
	CHECKS_END,
};
