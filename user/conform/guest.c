// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checks of what a VF does in its modes, seen by a driver: memory and interrupts are watched. */
#include <string.h>
#include <vferry/virtio.h>
#include "conform/conform.h"

/* A driver that has had one request answered. */
static void running(struct conform *c)
{
	if (c->unserved > 1)
		not_applicable(c, "the VF did not serve its driver in Active, more than once");
	guest_start(c);
	guest_request(c);
	guest_ring(c);
	if (going(c) && (!guest_wait_used(c, 1) || !guest_wait_interrupt(c))) {
		c->unserved++;
		not_applicable(c, "the VF does not serve its driver in Active");
	}
	guest_pause(c);
	guest_interrupts(c);
}

static void to(struct conform *c, unsigned int mode)
{
	if (going(c) && !mode_to(c, mode))
		fail(c, "the VF can be brought into %s", vferry_mode_name(mode));
}

static void serves(struct conform *c, const struct check *check)
{
	guest_start(c);
	guest_request(c);
	guest_ring(c);
	want(c, guest_wait_used(c, 1), "a request is answered in Active");
	want(c, guest_touched(c), "the request's data and status are written");
	want(c, guest_wait_interrupt(c), "an interrupt for it");
}

/* @a: the mode, @b: how often the doorbell is rung */
static void no_dma(struct conform *c, const struct check *check)
{
	running(c);
	to(c, (unsigned int)check->a);
	guest_request(c);
	for (uint64_t i = 0; i < check->b; i++)
		guest_ring(c);
	guest_pause(c);
	want(c, guest_used(c) == 1, "no used entry in %s, and the used index is %u, not 1",
	     vferry_mode_name((unsigned int)check->a), guest_used(c));
	want(c, !guest_touched(c), "no write to memory in %s",
	     vferry_mode_name((unsigned int)check->a));
	want(c, !guest_interrupts(c), "no interrupt in %s",
	     vferry_mode_name((unsigned int)check->a));
}

static void stop_waits(struct conform *c, const struct check *check)
{
	static const uint8_t stop = VFERRY_MODE_STOP;
	uint16_t used, later;

	running(c);
	for (unsigned int i = 0; i < 4; i++)
		guest_request(c);
	guest_ring(c);
	want_ok(c, command(c, VFERRY_CMD_DEV_MODE_SET, &stop, 1, 0), "mode_set stop");
	used = guest_used(c);
	guest_pause(c);
	later = guest_used(c);
	want(c, used == later,
	     "no used entry after the answer to stop, and the used index goes from %u to %u", used,
	     later);
	to(c, VFERRY_MODE_ACTIVE);
	want(c, guest_wait_used(c, 5), "all five requests answered in the end, and it is %u",
	     guest_used(c));
}

/* @a: the mode it waits in, @b: rung or not */
static void resume_serves(struct conform *c, const struct check *check)
{
	running(c);
	to(c, (unsigned int)check->a);
	guest_request(c);
	if (check->b)
		guest_ring(c);
	to(c, VFERRY_MODE_ACTIVE);
	want(c, guest_wait_used(c, 2), "in Active the request that waited is answered");
	want(c, guest_wait_interrupt(c), "an interrupt for it");
}

static void many_modes(struct conform *c, const struct check *check)
{
	running(c);
	for (uint16_t i = 0; i < 3; i++) {
		to(c, VFERRY_MODE_STOP);
		to(c, VFERRY_MODE_FREEZE);
		to(c, VFERRY_MODE_STOP);
		to(c, VFERRY_MODE_ACTIVE);
		guest_request(c);
		guest_ring(c);
		want(c, guest_wait_used(c, (uint16_t)(i + 2)),
		     "requests are answered after Freeze and back");
	}
}

static bool split_of(struct conform *c, const struct blob *image,
		     struct vferry_ctx_vq_split_state *split, uint64_t *at)
{
	struct field_at field;

	if (!going(c))
		return false;
	if (!blob_find(image, VFERRY_CTX_VQ_SPLIT_STATE, 0, &field) ||
	    field.length < sizeof(*split)) {
		not_applicable(c, "its images have no split queue state of our form");
		return false;
	}
	memcpy(split, image->at + field.offset + 16, sizeof(*split));
	*at = field.offset + 16;
	return true;
}

static void frozen_image(struct conform *c, struct blob *image)
{
	to(c, VFERRY_MODE_FREEZE);
	discard(c);
	read_image(c, CTX_CHUNK, image);
}

static void indices(struct conform *c, const struct check *check)
{
	struct vferry_ctx_vq_split_state split;
	struct blob *image = blob(c);
	uint64_t at;

	running(c);
	frozen_image(c, image);
	if (split_of(c, image, &split, &at))
		want(c, le16toh(split.next_avail) == 1 && le16toh(split.used) == 1,
		     "queue 0 at indices 1 and 1 after one request, and the context says %u and %u",
		     le16toh(split.next_avail), le16toh(split.used));
}

static void kicked(struct conform *c, const struct check *check)
{
	struct vferry_ctx_vq_split_state split;
	struct blob *image = blob(c);
	uint64_t at;

	running(c);
	to(c, VFERRY_MODE_STOP);
	if (check->a)
		guest_ring(c);
	frozen_image(c, image);
	if (split_of(c, image, &split, &at))
		want(c, (le16toh(split.flags) & VFERRY_CTX_VQ_KICKED) == check->a,
		     "kicked bit %llu of queue 0, and the flags are 0x%x",
		     (unsigned long long)check->a, le16toh(split.flags));
}

static void freeze_ignores(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c);

	running(c);
	frozen_image(c, image);
	if (check->a)
		guest_select(c, 3);
	else
		guest_ring(c);
	guest_pause(c);
	same_state(c, image, check->title);
}

static void config_taken(struct conform *c, const struct check *check)
{
	guest_open(c);
	guest_select(c, 3);
	want(c, guest_selected(c) == 3, "queue_select 3, as written, and it is %u",
	     guest_selected(c));
}

static void config_ignored(struct conform *c, const struct check *check)
{
	uint16_t before;

	guest_open(c);
	before = guest_selected(c);
	guest_select(c, (uint16_t)(before + 1));
	want(c, guest_selected(c) == before,
	     "queue_select %u as before the write in Freeze, and it is %u", before,
	     guest_selected(c));
}

static void pci_readable(struct conform *c, const struct check *check)
{
	guest_open(c);
	to(c, (unsigned int)check->a);
	want(c, (guest_pci_id(c) & 0xffff) == VFERRY_PCI_VENDOR_VIRTIO,
	     "vendor 0x1af4 in PCI configuration, and it is 0x%04x", guest_pci_id(c) & 0xffff);
	want(c, guest_status(c) != 0xff, "a device status that can be read");
}

/* The image of a running VF, with something owed put in, written back: Active raises it. @a: the queue's, or the configuration's */
static void owed(struct conform *c, const struct check *check)
{
	struct vferry_ctx_vq_split_state split;
	struct blob *image = blob(c);
	uint64_t at;

	running(c);
	frozen_image(c, image);
	if (!split_of(c, image, &split, &at))
		return;
	if (check->a)
		split.config_owed = 1;
	else
		split.flags |= htole16(VFERRY_CTX_VQ_OWED);
	memcpy(image->at + at, &split, sizeof(split));
	write_all(c, image, CTX_CHUNK);
	mode_set(c, check->b ? VFERRY_MODE_STOP : VFERRY_MODE_ACTIVE);
	if (check->b) {
		guest_pause(c);
		want(c, !guest_interrupts(c), "no interrupt in Stop");
		mode_set(c, VFERRY_MODE_ACTIVE);
	}
	want(c, guest_wait_interrupt(c), "in Active the interrupt that is owed");
}

static void goes_on(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c);

	running(c);
	frozen_image(c, image);
	guest_request(c);
	write_all(c, image, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_ACTIVE);
	want(c, guest_wait_used(c, 2),
	     "requests are answered after the VF's own context was written back");
}

static void delta(struct conform *c, const struct check *check)
{
	struct vferry_error err = { 0 };
	struct blob *image = blob(c);
	struct field_at field;
	bool is_delta = false;

	guest_open(c);
	discard(c);
	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	guest_select(c, 3);
	read_rest(c, image);
	want(c, image->count,
	     "an image, for queue_select has changed, and there is nothing to read");
	want(c, blob_is_image(image, &is_delta, &err), "one whole image: %s", err.text);
	want(c,
	     blob_find(image, VFERRY_CTX_PCI_COMMON_CFG, 0, &field) && field.length >= 12 &&
		     image->at[field.offset + 16 + 10] == 3,
	     "pci_common_cfg with queue_select 3 in it");
	if (check->a && going(c) && !is_delta)
		not_applicable(c, "this device gives full images only");
	if (check->a)
		want(c, image->count < 600,
		     "the keys that have changed only, and there are %llu bytes",
		     (unsigned long long)image->count);
}

static void full_has_all(struct conform *c, const struct check *check)
{
	struct vferry_error err = { 0 };
	struct blob *first = blob(c), *image = blob(c);
	bool is_delta = false;

	guest_open(c);
	discard(c);
	read_image(c, CTX_CHUNK, first);
	read_end(c);
	guest_select(c, 3);
	read_image(c, CTX_CHUNK, image);
	want(c, blob_is_image(image, &is_delta, &err), "one whole image: %s", err.text);
	want(c, is_delta || image->count >= first->count,
	     "all keys in an image that does not say delta, and it has %llu bytes of %llu",
	     (unsigned long long)image->count, (unsigned long long)first->count);
}

static void size_of_delta(struct conform *c, const struct check *check)
{
	struct blob *image = blob(c);
	uint64_t size;

	guest_open(c);
	discard(c);
	read_image(c, CTX_CHUNK, blob(c));
	read_end(c);
	guest_select(c, 3);
	size = size_get(c, false);
	read_image(c, CTX_CHUNK, image);
	want(c, size == image->count, "%llu bytes that are then read, and it is %llu",
	     (unsigned long long)image->count, (unsigned long long)size);
}

static void failed_commit_resumes(struct conform *c, const struct check *check)
{
	static const uint8_t active = VFERRY_MODE_ACTIVE;
	struct blob *image = blob(c);

	running(c);
	frozen_image(c, image);
	guest_request(c);
	blob_cut(image, image->count - 16);
	write_all(c, image, CTX_CHUNK);
	if (!command(c, VFERRY_CMD_DEV_MODE_SET, &active, 1, 0)->status) {
		not_applicable(c, "the device committed an image without end");
		return;
	}
	guest_pause(c);
	want(c, guest_used(c) == 1, "nothing is served after a commit that failed");
	to(c, VFERRY_MODE_FREEZE);
	discard(c);
	to(c, VFERRY_MODE_ACTIVE);
	want(c, guest_wait_used(c, 2), "after discard the VF resumes where it was");
}

#define MODE OURS "Modes"
#define IN_A (NEEDS_CHANGES | NEEDS_MEMBER)
#define IN_S (IN_A | NEEDS_STOP)
#define IN_F (IN_A | NEEDS_FREEZE)
#define S    VFERRY_MODE_STOP
#define F    VFERRY_MODE_FREEZE

const struct check conform_guest[] = {
	CHECK("guest.active_serves", "in Active requests are served", MODE, IN_A, serves),
	CHECK("guest.stop_no_dma", "in Stop no request is taken and nothing is written or raised",
	      MODE, IN_A, no_dma, S, 1),
	CHECK("guest.stop_no_dma_silent", "in Stop a request that nobody rang for lies in the ring",
	      MODE, IN_A, no_dma, S, 0),
	CHECK("guest.freeze_no_dma",
	      "in Freeze no request is taken and nothing is written or raised", MODE, IN_A, no_dma,
	      F, 1),
	CHECK("guest.freeze_no_dma_many", "in Freeze no doorbell is served, however often", MODE,
	      IN_A, no_dma, F, 5),
	CHECK("guest.stop_waits", "Stop finishes what was taken, then answers", MODE, IN_A,
	      stop_waits),
	CHECK("guest.stop_rung", "a doorbell in Stop is served in Active", MODE, IN_A,
	      resume_serves, S, 1),
	CHECK("guest.stop_unrung", "Active looks at every queue as if notified", MODE, IN_A,
	      resume_serves, S, 0),
	CHECK("guest.freeze_unrung", "after Freeze, Active looks at every queue as if notified",
	      MODE, IN_A, resume_serves, F, 0),
	CHECK("guest.back_and_forth", "a driver goes on after Freeze and back", MODE, IN_A,
	      many_modes),
	CHECK("guest.indices", "the context holds the queue's indices", OURS "The container", IN_A,
	      indices),
	CHECK("guest.kicked", "a doorbell in Stop is in the context", MODE, IN_A, kicked, 1),
	CHECK("guest.not_kicked", "without a doorbell in Stop no kicked bit", MODE, IN_A, kicked,
	      0),
	CHECK("guest.freeze_ring", "a doorbell in Freeze changes nothing of the context", MODE,
	      IN_A, freeze_ignores, 0),
	CHECK("guest.freeze_write",
	      "a configuration write in Freeze changes nothing of the context", MODE, IN_A,
	      freeze_ignores, 1),
	CHECK("guest.active_config", "in Active configuration writes are taken", MODE, IN_A,
	      config_taken),
	CHECK("guest.stop_config", "in Stop configuration writes are taken", MODE, IN_S,
	      config_taken),
	CHECK("guest.freeze_config", "in Freeze configuration writes are ignored", MODE, IN_F,
	      config_ignored),
	CHECK("guest.active_pci", "in Active PCI configuration can be read", MODE, IN_A,
	      pci_readable, VFERRY_MODE_ACTIVE),
	CHECK("guest.stop_pci", "in Stop PCI configuration can be read", MODE, IN_A, pci_readable,
	      S),
	CHECK("guest.freeze_pci", "in Freeze PCI configuration can be read", MODE, IN_A,
	      pci_readable, F),
	CHECK("guest.owed", "an interrupt that a context owes is raised in Active", MODE, IN_A,
	      owed, 0, 0),
	CHECK("guest.owed_stop", "an interrupt that a context owes waits in Stop", MODE, IN_A, owed,
	      0, 1),
	CHECK("guest.config_owed", "an owed configuration interrupt is raised in Active", MODE,
	      IN_A, owed, 1, 0),
	CHECK("guest.written_back", "a driver goes on when its VF's context is written back", MODE,
	      IN_A, goes_on),
	CHECK("guest.delta", "what changes after a whole read is in the next image",
	      OURS "Reading 1", IN_A, delta, 0),
	CHECK("guest.delta_only", "a delta has what changed and no more", OURS "Reading 4", IN_A,
	      delta, 1),
	CHECK("guest.delta_marked", "an image without all keys says that it is a delta",
	      OURS "The container", IN_A, full_has_all),
	CHECK("guest.delta_size", "size_get says the size of the next delta", OURS "Reading 5",
	      IN_A, size_of_delta),
	CHECK("guest.failed_commit",
	      "after a failed commit and discard the VF resumes its own state", MODE, IN_A,
	      failed_commit_resumes),
	CHECKS_END,
};
