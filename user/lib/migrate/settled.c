// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/owner.h"
#include "migrate/fault_point.h"
#include "migrate/probe.h"
#include "migrate/settled.h"

int vf_settled_keep(struct vf_journal *journal, struct vferry_error *err)
{
	char path[512], dir[256];
	int ret;

	if (journal->fd < 0)
		return 0;
	/* The folder is there since the journal was made, unless an older vferry made it. */
	ret = vf_journal_dir(VF_PLACE_SETTLED, dir, sizeof(dir), true, err);
	if (!ret)
		ret = vf_journal_path(VF_PLACE_SETTLED, journal->record.id, journal->record.role,
				      path, sizeof(path), err);
	VF_FAULT_POINT("journal-settle");
	if (!ret && rename(journal->path, path))
		ret = vferry_fail(err, -errno, "cannot keep the journal %s as %s: %s",
				  journal->path, path, strerror(errno));
	vf_journal_close(journal);
	return ret;
}

int vf_settled_find(struct vf_journal *journal, const uint8_t id[VF_ID_BYTES], enum vf_role role,
		    struct vferry_error *err)
{
	char path[512];
	int ret = vf_journal_path(VF_PLACE_SETTLED, id, role, path, sizeof(path), err);

	journal->fd = -1;
	return ret ? ret : vf_journal_open(journal, path, err);
}

/* --- ids --- */

static int count_refused(void *arg, const char *path, const struct vf_journal_record *record,
			 const struct vferry_error *why)
{
	unsigned int *count = arg;

	*count += record && record->flags & VF_JOURNAL_NO_VF;
	return 0;
}

int vf_settled_refuse(const uint8_t id[VF_ID_BYTES], struct vferry_error *err)
{
	struct vf_journal_record record = {
		.role = VF_ROLE_DESTINATION,
		.state = VFERRY_STATE_REFUSED,
		.flags = VF_JOURNAL_NO_VF,
	};
	struct vf_journal journal;
	unsigned int count = 0;
	int ret;

	ret = vf_journal_each_in(VF_PLACE_SETTLED, count_refused, &count, err);
	if (ret)
		return ret;
	if (count >= VF_SETTLED_REFUSED_MAX)
		return vferry_fail(err, -ENOSPC,
				   "%u unknown migrations were asked for and refused since this "
				   "host's start; no more are answered (vferry recover --list)",
				   count);
	memcpy(record.id, id, VF_ID_BYTES);
	ret = vf_journal_create_in(VF_PLACE_SETTLED, &journal, &record, err);
	vf_journal_close(&journal);
	return ret == -EEXIST ? 0 : ret;
}

/* Is the copy that this one speaks of gone with another boot, or with a reset of @owner? */
static bool outlived(const struct vf_journal_record *record, const char *owner,
		     const uint8_t epoch[16])
{
	bool same = owner && epoch && !strcmp(owner, record->owner);

	return vf_journal_valid_here(record, same ? epoch : record->epoch, NULL) == -ESTALE;
}

int vf_settled_check_offer(const uint8_t id[VF_ID_BYTES], const char *owner,
			   const uint8_t epoch[16], struct vferry_error *err)
{
	const struct vf_journal_record *record;
	struct vf_journal journal;
	struct vferry_error why;
	char text[VF_ID_TEXT];
	int ret = vf_settled_find(&journal, id, VF_ROLE_DESTINATION, &why);

	if (ret == -ENOENT)
		return 0;
	if (ret)
		return vferry_fail(err, -EBUSY,
				   "whether this migration was taken in before cannot be told: %s",
				   why.text);
	record = &journal.record;
	if (outlived(record, owner, epoch))
		return vf_journal_remove(&journal, err);
	vf_id_text(text, id);
	if (record->state == VFERRY_STATE_REFUSED)
		ret = vferry_fail(err, -ECANCELED,
				  "migration %s was refused here when its source asked for it: it "
				  "may live there",
				  text);
	else
		ret = vferry_fail(
			err, -EALREADY,
			"migration %s was taken in already, by VF %u of %s: taken in once more "
			"there would be two live copies. If that copy is gone for certain: "
			"vferry recover %s --forget",
			text, record->vf, record->owner, text);
	vf_journal_close(&journal);
	return ret;
}

/* --- VFs --- */

struct search {
	const char *owner;
	uint16_t vf;
	const uint8_t *epoch;
	char path[512];
	struct vferry_error *err;
};

bool vf_gone_is(const struct vf_journal_record *record)
{
	return record->vf &&
	       (record->role == VF_ROLE_SOURCE || record->state == VFERRY_STATE_REFUSED);
}

static int is_tombstone(void *arg, const char *path, const struct vf_journal_record *record,
			const struct vferry_error *why)
{
	struct search *search = arg;

	if (!record) /* it may be of this VF: say so, do not guess */
		return vferry_fail(search->err, -EBUSY,
				   "whether VF %u of %s was moved away cannot be told: %s",
				   search->vf, search->owner, why->text);
	if (!vf_gone_is(record) || record->vf != search->vf || strcmp(record->owner, search->owner))
		return 0;
	if (search->epoch && outlived(record, search->owner, search->epoch)) {
		unlink(path);
		return 0;
	}
	snprintf(search->path, sizeof(search->path), "%s", path);
	return 1;
}

int vf_gone_find(struct vf_journal *journal, const char *owner, uint16_t vf,
		 const uint8_t epoch[16], struct vferry_error *err)
{
	struct search search = { .owner = owner, .vf = vf, .epoch = epoch, .err = err };
	int ret = vf_journal_each_in(VF_PLACE_SETTLED, is_tombstone, &search, err);

	journal->fd = -1;
	if (ret == 1)
		return vf_journal_open(journal, search.path, err);
	return ret ? ret : -ENOENT;
}

static int refused(const struct vf_journal_record *record, struct vferry_error *err)
{
	char id[VF_ID_TEXT], what[140] = "took over a context that was then refused";

	vf_id_text(id, record->id);
	if (record->role == VF_ROLE_SOURCE)
		snprintf(what, sizeof(what), "was moved away to %.100s", record->peer);
	return vferry_fail(
		err, -EBUSY,
		"VF %u %s (migration %s), and holds an old copy that must not live twice. Reset the VF "
		"(the end of the program that has it open does that), or, only if the other copy is "
		"gone for certain: vferry recover %.8s --forget",
		record->vf, what, id, id);
}

static int decide(struct vf_journal *journal, bool blank, struct vferry_error *err)
{
	int ret;

	if (blank)
		return vf_journal_remove(journal, err);
	ret = refused(&journal->record, err);
	vf_journal_close(journal);
	return ret;
}

int vf_gone_check(const char *owner, uint16_t vf, const uint8_t epoch[16], bool blank,
		  struct vferry_error *err)
{
	struct vf_journal journal;
	int ret = vf_gone_find(&journal, owner, vf, epoch, err);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	return decide(&journal, blank, err);
}

struct look {
	struct vf_probe probe;
	struct vf_description about;
	bool over;
	int error;
};

static void looked(void *arg, int error, const struct vferry_error *why)
{
	struct look *look = arg;

	look->over = true;
	look->error = error;
}

/* Does the VF's own context say that no driver has it? A probe's commands have deadlines, so this ends. */
static bool is_blank(struct vferry_owner *owner, uint16_t vf)
{
	struct look *look = owner->arena ? calloc(1, sizeof(*look)) : NULL;
	bool blank;

	if (!look)
		return false;
	vf_probe_start(&look->probe, owner->admin, owner->arena, vf, false, &look->about, looked,
		       look);
	while (!look->over) {
		int ret = vf_ring_turn(owner->ring, vf_now_ns() + owner->timeout_ns);

		if (ret < 0 && ret != -EINTR)
			break;
	}
	blank = look->over && !look->error && look->about.has_status && !look->about.device_status;
	/* A ring that fails has not given it back: better lost than written to when it is not ours. */
	if (look->over)
		free(look);
	return blank;
}

int vf_gone_check_device(struct vferry_owner *owner, const char *address, uint16_t vf,
			 struct vferry_error *err)
{
	struct vf_journal journal;
	int ret = vf_gone_find(&journal, address, vf, vferry_owner_epoch(owner), err);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	return decide(&journal, is_blank(owner, vf), err);
}

bool vf_gone_forget(const char *owner, uint16_t vf)
{
	struct vf_journal journal;
	bool any = false;

	while (!vf_gone_find(&journal, owner, vf, NULL, NULL) && !vf_journal_remove(&journal, NULL))
		any = true;
	return any;
}
