// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of whole ways: read here, written there, read again: equal. */
#include "conform/conform.h"

static void spare_ready(struct conform *c)
{
	c->vf = c->opts.spare;
	discard(c);
	if (!mode_to(c, VFERRY_MODE_FREEZE))
		not_applicable(c, "the second VF cannot be brought into Freeze");
	discard(c);
}

static void spare_back(struct conform *c)
{
	c->vf = c->opts.spare;
	discard(c);
	if (going(c) && !mode_to(c, VFERRY_MODE_ACTIVE))
		fail(c, "the second VF can be brought back into Active");
	c->vf = c->opts.vf;
}

/* @a: room of a read, @b: bytes of a write, @d: the mode that commits */
static void there(struct conform *c, const struct check *check)
{
	struct blob *from = blob(c), *to = blob(c);

	read_image(c, (uint32_t)check->a, from);
	spare_ready(c);
	write_all(c, from, (uint32_t)check->b);
	mode_set(c, (unsigned int)check->d);
	mode_set(c, VFERRY_MODE_FREEZE);
	read_image(c, CTX_CHUNK, to);
	same_bytes(c, from, to, "read, written to another VF, and read there");
	spare_back(c);
}

static void there_and_back(struct conform *c, const struct check *check)
{
	struct blob *from = blob(c), *to = blob(c);

	read_image(c, CTX_CHUNK, from);
	spare_ready(c);
	write_all(c, from, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	read_image(c, CTX_CHUNK, to);
	spare_back(c);
	discard(c);
	write_all(c, to, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	same_state(c, from, check->title);
}

/* Read once while Active, once in Freeze; both are written. */
static void two_passes(struct conform *c, const struct check *check)
{
	struct blob *stream = blob(c), *whole = blob(c), *to = blob(c);

	read_image(c, CTX_CHUNK, stream);
	read_end(c);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	read_rest(c, stream);
	discard(c);
	read_image(c, CTX_CHUNK, whole);
	spare_ready(c);
	write_all(c, stream, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_ACTIVE);
	mode_set(c, VFERRY_MODE_STOP);
	mode_set(c, VFERRY_MODE_FREEZE);
	read_image(c, CTX_CHUNK, to);
	/* What is exact in Freeze may have changed where the other VF was Active. */
	want(c, to->count == whole->count,
	     "as many bytes as the source has, %llu, and there are %llu",
	     (unsigned long long)whole->count, (unsigned long long)to->count);
	spare_back(c);
}

static void aborted(struct conform *c, const struct check *check)
{
	read_chunk(c, 64, NULL);
	discard(c);
	mode_set(c, VFERRY_MODE_ACTIVE);
	mode_is(c, VFERRY_MODE_ACTIVE, "after a move that was given up");
	if (going(c) && !mode_to(c, VFERRY_MODE_FREEZE))
		fail(c, "Freeze can be entered again");
	same_state(c, &c->image, check->title);
}

#define T    SEED "Device Migration"
#define IN_F (NEEDS_CHANGES | NEEDS_FREEZE)
#define S    VFERRY_MODE_STOP
#define A    VFERRY_MODE_ACTIVE

const struct check conform_trips[] = {
	CHECK("trips.stop", "read, write to another VF, commit to Stop, read: equal", T,
	      IN_F | NEEDS_SPARE, there, CTX_CHUNK, CTX_CHUNK, S),
	CHECK("trips.cuts", "borders of reads and writes are independent", OURS "Writing",
	      IN_F | NEEDS_SPARE, there, 4095, 1000, S),
	CHECK("trips.small", "small reads and larger writes", OURS "Writing", IN_F | NEEDS_SPARE,
	      there, 600, 4096, S),
	CHECK("trips.back", "to another VF and back: equal", T, IN_F | NEEDS_SPARE | NEEDS_IMAGE,
	      there_and_back),
	CHECK("trips.two_passes", "read in Active and in Freeze, both written to another VF", T,
	      NEEDS_CHANGES | NEEDS_SPARE, two_passes),
	CHECK("trips.aborted", "a move that was given up leaves the source as it was", T,
	      IN_F | NEEDS_IMAGE, aborted),
	CHECKS_END,
};
