// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Running a check: what it needs, the VF made ready for it, the steps, and the VF put back. */
#include <errno.h>
#include <string.h>
#include "conform/conform.h"
#include "ring/ring.h"

static int open_owner(struct conform *c, struct vferry_error *err)
{
	uint16_t vfs[2] = { c->opts.vf, c->opts.spare };
	struct vferry_owner_opts opts = {
		.size = sizeof(opts),
		.flags = c->opts.direct ? VFERRY_OWNER_DIRECT : VFERRY_OWNER_ALONE,
		.vfs = vfs,
		.vfs_count = c->opts.spare ? 2 : 1,
		.arena_bytes = EX_MAX * 2ull * EX_BYTES,
		.timeout_ns =
			c->opts.timeout_ns > 5000000000ull ? c->opts.timeout_ns : 5000000000ull,
		.num_vfs = c->opts.direct ? c->num_vfs : 0,
	};
	int ret = vferry_owner_open(&c->owner, c->opts.address, &opts, err);

	c->alone = true;
	if (ret == -EBUSY && !c->opts.direct) {
		opts.flags = 0;
		c->alone = false;
		ret = vferry_owner_open(&c->owner, c->opts.address, &opts, err);
	}
	/* VFs that are enabled behind a hypervisor which hides SR-IOV are there without being asked for. */
	if (ret == -EOPNOTSUPP && opts.num_vfs) {
		opts.num_vfs = 0;
		ret = vferry_owner_open(&c->owner, c->opts.address, &opts, err);
	}
	if (ret) {
		c->owner = NULL;
		return ret;
	}
	c->num_vfs = vferry_owner_num_vfs(c->owner);
	c->list = VFERRY_LIST_BASE | VFERRY_LIST_MIGRATION;
	c->wedged = false;
	return 0;
}

static void begin(struct conform *c)
{
	c->verdict = CHECK_RUNS;
	c->words[0] = 0;
	c->vf = c->opts.vf;
	c->record_count = 0;
}

static void clean(struct conform *c)
{
	if (c->guest)
		guest_close(c);
	for (unsigned int i = 0; i < c->blob_count; i++)
		blob_free(&c->blobs[i]);
	c->blob_count = 0;
}

/* Nothing staged, nothing half read, and this mode. */
static bool make_ready(struct conform *c, unsigned int mode)
{
	/* Whether it is taken is the affair of other checks. */
	command(c, VFERRY_CMD_DEV_CTX_DISCARD, NULL, 0, 0);
	if (!mode_to(c, mode))
		return false;
	command(c, VFERRY_CMD_DEV_CTX_DISCARD, NULL, 0, 0);
	return going(c);
}

/* The state of the VF as it is, read in Freeze: some checks write it back in parts, and it is put back after them. */
static void take_image(struct conform *c)
{
	struct vferry_error err = { 0 };
	bool delta;

	blob_free(&c->image);
	c->image_why[0] = 0;
	begin(c);
	if (!make_ready(c, VFERRY_MODE_FREEZE))
		fail(c, "the VF cannot be brought into Freeze");
	read_image(c, CTX_CHUNK, &c->image);
	if (going(c) && !blob_is_image(&c->image, &delta, &err))
		fail(c, "%s", err.text);
	if (!going(c)) {
		snprintf(c->image_why, sizeof(c->image_why), "%.500s", c->words);
		blob_free(&c->image);
	}
	begin(c);
}

/* A fresh owner: all that a wrong device has left behind is gone. Only when we hold it ourselves. */
static bool revive(struct conform *c)
{
	struct vferry_error err;

	if (!c->opts.direct || !c->opts.destructive)
		return false;
	vferry_owner_close(c->owner);
	c->owner = NULL;
	for (unsigned int i = 0; i < EX_MAX; i++)
		c->exs[i].over = true;
	if (open_owner(c, &err)) {
		c->wedged = true;
		snprintf(c->wedged_why, sizeof(c->wedged_why), "%.250s", err.text);
		return false;
	}
	take_image(c);
	return true;
}

int conform_open(struct conform *c, const struct conform_opts *opts, struct vferry_error *err)
{
	const struct ex *ex;
	int ret;

	memset(c, 0, sizeof(*c));
	c->opts = *opts;
	c->mode_found = -1;
	if (exs_new(c))
		return vferry_fail(err, -ENOMEM, "no memory");
	ret = open_owner(c, err);
	if (ret)
		return ret;
	begin(c);
	ex = command(c, VFERRY_CMD_DEV_MODE_GET, NULL, 0, 8);
	if (going(c) && !ex->status && ex->result[0] <= VFERRY_MODE_FREEZE)
		c->mode_found = ex->result[0];
	c->bound = size_get(c, true);
	c->bound = !going(c) || c->bound > CTX_BOUND / 4 ? CTX_BOUND : 4 * c->bound + (1u << 20);
	if (opts->destructive)
		take_image(c);
	begin(c);
	return 0;
}

static unsigned int mode_needed(const struct check *check)
{
	return check->needs & NEEDS_FREEZE ? VFERRY_MODE_FREEZE
	       : check->needs & NEEDS_STOP ? VFERRY_MODE_STOP
					   : VFERRY_MODE_ACTIVE;
}

static void meet_needs(struct conform *c, const struct check *check)
{
	unsigned int needs = check->needs, mode = mode_needed(check);

	if (c->wedged)
		not_applicable(c, "nothing can be asked any more: %s", c->wedged_why);
	else if (needs & NEEDS_CHANGES && !c->opts.destructive)
		not_applicable(c, "it changes the VF's state; --destructive allows that");
	else if (needs & NEEDS_ALONE && !c->alone)
		not_applicable(c, "somebody else is using the owner");
	else if (needs & NEEDS_SPARE && !c->opts.spare)
		not_applicable(c, "it needs a second VF: --spare-vf");
	else if (needs & NEEDS_MEMBER && !c->opts.member_socket)
		not_applicable(c, "it needs the VF's own function: --member-socket");
	if (!going(c) || !(needs & NEEDS_CHANGES))
		return;
	if (!make_ready(c, mode)) {
		begin(c);
		if (!revive(c) || !make_ready(c, mode)) {
			begin(c);
			not_applicable(c, "the VF cannot be brought into %s with nothing staged",
				       vferry_mode_name(mode));
		}
	}
	if (needs & NEEDS_IMAGE && !c->image.count)
		not_applicable(c, "there is no whole image of the VF to begin with: %s",
			       c->image_why);
	c->record_count = 0;
}

static bool put_image(struct conform *c)
{
	begin(c);
	if (!make_ready(c, VFERRY_MODE_FREEZE))
		return false;
	write_all(c, &c->image, CTX_CHUNK);
	mode_set(c, VFERRY_MODE_STOP);
	return going(c);
}

/* The outcome stays; what happens here is no part of the check. */
static void put_back(struct conform *c, const struct check *check)
{
	enum verdict verdict = c->verdict;
	char words[sizeof(c->words)];
	unsigned int count = c->record_count;
	struct record records[RECORDS];
	bool good = true;

	memcpy(words, c->words, sizeof(words));
	memcpy(records, c->records, sizeof(records));
	begin(c);
	if (check->needs & NEEDS_ALONE) {
		uint64_t list = htole64(c->list);
		const struct ex *ex = addressed(c, VFERRY_CMD_LIST_USE, VFERRY_GROUP_SRIOV, 0,
						&list, sizeof(list), 0);

		good = going(c) && !ex->status;
	}
	if (good && check->needs & NEEDS_IMAGE)
		good = put_image(c);
	if (c->wedged || !good)
		revive(c);
	c->verdict = verdict;
	memcpy(c->words, words, sizeof(words));
	memcpy(c->records, records, sizeof(records));
	c->record_count = count;
}

void conform_run(struct conform *c, const struct check *check)
{
	bool ran;

	begin(c);
	meet_needs(c, check);
	ran = going(c);
	if (ran)
		check->run(c, check);
	if (going(c))
		c->verdict = CHECK_PASSED;
	clean(c);
	if (ran && (check->needs & (NEEDS_ALONE | NEEDS_IMAGE) || c->wedged))
		put_back(c, check);
}

const char *conform_close(struct conform *c)
{
	const char *left = NULL;

	begin(c);
	if (c->owner && c->wedged) {
		left = c->wedged_why;
	} else if (c->owner && c->opts.destructive && !c->opts.direct) {
		if (!make_ready(c, c->mode_found < 0 ? VFERRY_MODE_ACTIVE
						     : (unsigned int)c->mode_found))
			left = "the VF's mode could not be put back";
	}
	vferry_owner_close(c->owner);
	exs_free(c);
	blob_free(&c->image);
	return left;
}
