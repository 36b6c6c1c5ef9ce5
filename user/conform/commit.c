// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of the commit: leaving Freeze with something staged, all of it or nothing. */
#include <string.h>
#include "conform/conform.h"

static const uint8_t to_modes[] = { VFERRY_MODE_STOP, VFERRY_MODE_ACTIVE };

/* Another state that every device can be in: queue_select is a guest's own. */
static struct blob *other(struct conform *c, uint16_t select)
{
	struct blob *image = blob(c);
	struct field_at field;

	blob_add(image, c->image.at, c->image.count);
	if (!blob_find(image, VFERRY_CTX_PCI_COMMON_CFG, 0, &field) || field.length < 12) {
		not_applicable(c, "its images have no pci_common_cfg of our form to change");
		return image;
	}
	select = htole16(select);
	memcpy(image->at + field.offset + 16 +
		       offsetof(struct vferry_ctx_pci_common_cfg, queue_select),
	       &select, 2);
	return image;
}

static struct blob *other_delta(struct conform *c, uint16_t select)
{
	struct blob *image = other(c, select), *delta = blob(c);
	struct field_at field;

	blob_start(delta, true);
	if (going(c) && blob_find(image, VFERRY_CTX_PCI_COMMON_CFG, 0, &field))
		blob_add(delta, image->at + field.offset, field.bytes);
	blob_end(delta);
	return delta;
}

static void freeze_again(struct conform *c)
{
	if (going(c) && !mode_to(c, VFERRY_MODE_FREEZE))
		fail(c, "Freeze can be entered again");
}

/* @a: the mode that commits */
static void takes(struct conform *c, const struct check *check)
{
	struct blob *image = other(c, 3);

	write_all(c, image, CTX_CHUNK);
	mode_set(c, (unsigned int)check->a);
	mode_is(c, (unsigned int)check->a, "behind the commit");
	freeze_again(c);
	same_state(c, image, "the state after the commit");
}

/* @a: the mode that should commit, @b: how many bytes are missing at the end of the image */
static void incomplete(struct conform *c, const struct check *check)
{
	uint8_t mode = to_modes[check->a];
	struct blob *image = other(c, 3);

	blob_cut(image, check->b < image->count ? image->count - check->b : 8);
	write_all(c, image, CTX_CHUNK);
	want_refused(c, command(c, VFERRY_CMD_DEV_MODE_SET, &mode, 1, 0), VFERRY_Q_INVALID_COMMAND,
		     check->title);
}

/* An image that must not be committed, left unfinished; what is looked at afterwards is @d. */
enum after { AFTER_MODE, AFTER_STATE, AFTER_DROPPED, AFTER_REST };

static void failed(struct conform *c, const struct check *check)
{
	uint8_t mode = to_modes[check->a];
	struct blob *image = other(c, 3), rest;
	uint64_t keep = image->count - 16;

	rest = (struct blob){ image->at + keep, 16, 0 };
	blob_cut(image, keep);
	write_all(c, image, CTX_CHUNK);
	if (!command(c, VFERRY_CMD_DEV_MODE_SET, &mode, 1, 0)->status) {
		not_applicable(c, "the device committed an image without end");
		return;
	}
	switch ((enum after)check->d) {
	case AFTER_MODE:
		mode_is(c, VFERRY_MODE_FREEZE, "after a commit that failed");
		break;
	case AFTER_STATE:
		freeze_again(c);
		same_state(c, &c->image, "after a commit that failed");
		break;
	case AFTER_DROPPED:
		freeze_again(c);
		mode_set(c, VFERRY_MODE_STOP);
		freeze_again(c);
		same_state(c, &c->image, "when Freeze is left once more");
		break;
	case AFTER_REST:
		freeze_again(c);
		want_refused(c, write_ex(c, rest.at, (uint32_t)rest.count), VFERRY_Q_INVALID_FIELD,
			     "an end marker alone, for all before it was dropped");
		break;
	}
}

static void delta_incomplete(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;
	struct blob *delta = other_delta(c, 3);

	write_all(c, &c->image, CTX_CHUNK);
	blob_cut(delta, delta->count - check->a);
	write_all(c, delta, CTX_CHUNK);
	want_refused(c, command(c, VFERRY_CMD_DEV_MODE_SET, &stop, 1, 0), VFERRY_Q_INVALID_COMMAND,
		     check->title);
	same_state(c, &c->image, "after a commit that failed");
}

static void features(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;
	struct blob *image = blob(c);
	struct field_at field;

	blob_add(image, c->image.at, c->image.count);
	if (!blob_find(image, VFERRY_CTX_DEV_FEATURES, 0, &field) || field.length < 8) {
		not_applicable(c, "its images have no device features");
		return;
	}
	image->at[field.offset + 16 + check->a / 8] ^= (uint8_t)(1u << check->a % 8);
	write_all(c, image, CTX_CHUNK);
	want_refused(c, command(c, VFERRY_CMD_DEV_MODE_SET, &stop, 1, 0), VFERRY_Q_INVALID_COMMAND,
		     check->title);
	mode_is(c, VFERRY_MODE_FREEZE, "after a commit that failed");
	same_state(c, &c->image, "after a commit that failed");
}

static void driver_features(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;
	struct field_at field, offered;
	struct blob *image = blob(c);
	bool there;

	blob_add(image, c->image.at, c->image.count);
	there = blob_find(image, VFERRY_CTX_DRV_FEATURES, 0, &field) && field.length >= 8 &&
		blob_find(image, VFERRY_CTX_DEV_FEATURES, 0, &offered) && offered.length >= 8;
	if (!there || image->at[offered.offset + 16 + 7] & 0x80) {
		not_applicable(c, "its images have no features, or bit 63 is offered");
		return;
	}
	image->at[field.offset + 16 + 7] |= 0x80;
	write_all(c, image, CTX_CHUNK);
	want_refused(c, command(c, VFERRY_CMD_DEV_MODE_SET, &stop, 1, 0), VFERRY_Q_INVALID_COMMAND,
		     check->title);
	same_state(c, &c->image, "after a commit that failed");
}

static void last_wins(struct conform *c, const struct check *check)
{
	struct blob *first = other(c, 2), *second = other(c, 3);

	write_all(c, first, CTX_CHUNK);
	write_all(c, second, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	same_state(c, second, check->title);
}

static void delta_wins(struct conform *c, const struct check *check)
{
	struct blob *delta = other_delta(c, 3), *want = other(c, 3);

	write_all(c, &c->image, CTX_CHUNK);
	write_all(c, delta, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	same_state(c, want, check->title);
}

static void empty_delta(struct conform *c, const struct check *check)
{
	struct blob *image = other(c, 3), *delta = blob(c);

	blob_start(delta, true);
	blob_end(delta);
	write_all(c, image, CTX_CHUNK);
	write_all(c, delta, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	same_state(c, image, check->title);
}

static void same_mode_keeps(struct conform *c, const struct check *check)
{
	struct blob *image = other(c, 3), head, tail;
	uint64_t half = image->count / 16 * 8;

	head = (struct blob){ image->at, half, 0 };
	tail = (struct blob){ image->at + half, image->count - half, 0 };
	write_all(c, &head, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_FREEZE);
	write_all(c, &tail, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	same_state(c, image, check->title);
}

/* @a: the mode it resumes to, @b: read in full first */
static void nothing_staged(struct conform *c, const struct check *check)
{
	if (check->b) {
		read_image(c, CTX_CHUNK, blob(c));
		read_end(c);
	}
	mode_set(c, (unsigned int)check->a);
	freeze_again(c);
	same_state(c, &c->image, check->title);
}

static void discard_keeps(struct conform *c, const struct check *check)
{
	struct blob *image = other(c, 3);

	write_all(c, image, CTX_CHUNK);
	mode_set(c, (unsigned int)check->a);
	discard(c);
	freeze_again(c);
	discard(c);
	same_state(c, image, check->title);
}

static void once(struct conform *c, const struct check *check)
{
	struct blob *image = other(c, 3), *back = other(c, 2);

	write_all(c, image, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	write_all(c, back, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	same_state(c, back, check->title);
}

static void full_due(struct conform *c, const struct check *check)
{
	struct blob *image = other(c, 3), *now = blob(c);
	struct vferry_error err = { 0 };
	bool delta = false;

	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	write_all(c, image, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	freeze_again(c);
	read_image(c, CTX_CHUNK, now);
	want(c, blob_is_image(now, &delta, &err), "an image after a commit: %s", err.text);
	want(c, !delta, "a full image after a commit, for the state is another, and it says delta");
}

#define MODE OURS "Modes"
#define W    SEED "Device Context Write Command"
#define IN_F (NEEDS_CHANGES | NEEDS_FREEZE | NEEDS_IMAGE)
#define S    VFERRY_MODE_STOP
#define A    VFERRY_MODE_ACTIVE

const struct check conform_commit[] = {
	CHECK("commit.freeze_stop", "Freeze to Stop commits", W, IN_F, takes, S),
	CHECK("commit.freeze_active", "Freeze to Active commits", W, IN_F, takes, A),
	CHECK("commit.no_end_stop", "an image without end is no commit, to Stop", MODE, IN_F,
	      incomplete, 0, 16),
	CHECK("commit.no_end_active", "an image without end is no commit, to Active", MODE, IN_F,
	      incomplete, 1, 16),
	CHECK("commit.half_end", "an image with half of its end is no commit", MODE, IN_F,
	      incomplete, 0, 8),
	CHECK("commit.half_value", "an image cut inside a value is no commit", MODE, IN_F,
	      incomplete, 0, 24),
	CHECK("commit.half_image", "a cut image is no commit", MODE, IN_F, incomplete, 1, 400),
	CHECK("commit.start_only", "half of a start is no commit", MODE, IN_F, incomplete, 0,
	      UINT64_MAX),
	CHECK("commit.delta_no_end", "a full image and a delta without end are no commit", MODE,
	      IN_F, delta_incomplete, 16),
	CHECK("commit.delta_half", "a full image and half of a delta are no commit", MODE, IN_F,
	      delta_incomplete, 40),
	CHECK("commit.failed_keeps_freeze", "after a failed commit to Stop the mode is Freeze",
	      SEED "Device Mode Set Command", IN_F, failed, 0, 0, AFTER_MODE),
	CHECK("commit.failed_keeps_freeze_active",
	      "after a failed commit to Active the mode is Freeze", SEED "Device Mode Set Command",
	      IN_F, failed, 1, 0, AFTER_MODE),
	CHECK("commit.failed_keeps_state", "a failed commit changes nothing of the state", MODE,
	      IN_F, failed, 0, 0, AFTER_STATE),
	CHECK("commit.failed_keeps_state_active",
	      "a failed commit to Active changes nothing of the state", MODE, IN_F, failed, 1, 0,
	      AFTER_STATE),
	CHECK("commit.failed_drops", "after a failed commit nothing is staged", MODE, IN_F, failed,
	      0, 0, AFTER_DROPPED),
	CHECK("commit.failed_drops_rest", "after a failed commit a write begins anew", MODE, IN_F,
	      failed, 0, 0, AFTER_REST),
	CHECK("commit.device_features", "device features are compared, never set",
	      OURS "The container", IN_F, features, 36),
	CHECK("commit.device_features_low", "device features are compared in their low word too",
	      OURS "The container", IN_F, features, 0),
	CHECK("commit.driver_features", "driver features that were never offered are refused",
	      OURS "The container", IN_F, driver_features),
	CHECK("commit.last_wins", "of two full images the last wins", OURS "The container", IN_F,
	      last_wins),
	CHECK("commit.delta_wins", "a delta behind a full image wins by key", OURS "The container",
	      IN_F, delta_wins),
	CHECK("commit.delta_empty", "a delta without keys changes nothing", OURS "The container",
	      IN_F, empty_delta),
	CHECK("commit.same_mode", "Freeze to Freeze commits nothing and drops nothing", MODE, IN_F,
	      same_mode_keeps),
	CHECK("commit.nothing_stop", "Freeze to Stop with nothing staged keeps the state", MODE,
	      IN_F, nothing_staged, S, 0),
	CHECK("commit.nothing_active", "Freeze to Active with nothing staged keeps the state", MODE,
	      IN_F, nothing_staged, A, 0),
	CHECK("commit.nothing_read", "a VF that was read in full resumes its own state", MODE, IN_F,
	      nothing_staged, A, 1),
	CHECK("commit.discard_keeps", "discard in Stop does not undo a commit", OURS "Reading 6",
	      IN_F, discard_keeps, S),
	CHECK("commit.discard_keeps_active", "discard in Active does not undo a commit",
	      OURS "Reading 6", IN_F, discard_keeps, A),
	CHECK("commit.once", "what was committed is not committed again", MODE, IN_F, once),
	CHECK("commit.full_due", "a full image is due after a commit", OURS "Reading 4", IN_F,
	      full_due),
	CHECKS_END,
};
