// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "admin/owner.h"
#include <vferry/owner.h>
#include "migrate/ask.h"
#include "migrate/fault_point.h"
#include "migrate/settle.h"
#include "migrate/settled.h"

#define ASK_NS 10000000000ULL

int vf_settle_open(struct vf_settling *settling, const char *path,
		   const struct vferry_recover_opts *opts, struct vferry_error *err)
{
	struct vferry_owner_opts owner = { .size = sizeof(owner), .vfs_count = 1 };
	uint16_t vf;
	int ret;

	memset(settling, 0, sizeof(*settling));
	settling->opts = opts;
	settling->kept_fd = -1;
	ret = vf_journal_open(&settling->journal, path, err);
	if (ret)
		return ret;
	vf = settling->journal.record.vf;
	owner.vfs = &vf;
	owner.arena_bytes =
		settling->journal.record.flags & VF_JOURNAL_KEEPS ? 2 * VF_RESTORE_BYTES : 4096;
	owner.timeout_ns = opts->timeout_ns;
	ret = vferry_owner_open(&settling->owner, settling->journal.record.owner, &owner, err);
	vf_journal_close(&settling->journal);
	if (ret) /* -ENOENT is for a journal that has gone; an owner that cannot be found settles nothing */
		return ret == -ENOENT ? -ENODEV : ret;
	/* What it said before the VF was ours may be old. */
	ret = vf_journal_open(&settling->journal, path, err);
	if (ret) {
		vf_settle_close(settling);
		return ret;
	}
	settling->stale =
		vf_journal_valid_here(&settling->journal.record,
				      vferry_owner_epoch(settling->owner), &settling->stale_why);
	VF_FAULT_POINT("recover-open");
	return 0;
}

void vf_settle_close(struct vf_settling *settling)
{
	if (settling->kept_fd >= 0)
		close(settling->kept_fd);
	settling->kept_fd = -1;
	vf_journal_close(&settling->journal);
	vferry_owner_close(settling->owner);
	settling->owner = NULL;
}

/* What the keeper holds for a source has done its service with the journal. */
static int over(struct vf_settling *settling, const struct vf_journal_record *record, int ret)
{
	struct vf_lease *lease = &settling->owner->lease;

	settling->removed = !ret;
	if (!ret && record->role == VF_ROLE_SOURCE && lease->ops && lease->ops->forget)
		lease->ops->forget(lease, record->vf, record->id);
	return ret;
}

int vf_settle_remove(struct vf_settling *settling, struct vferry_error *err)
{
	struct vf_journal_record record = settling->journal.record;

	return over(settling, &record, vf_journal_remove(&settling->journal, err));
}

int vf_settle_keep(struct vf_settling *settling, struct vferry_error *err)
{
	struct vf_journal_record record = settling->journal.record;

	return over(settling, &record, vf_settled_keep(&settling->journal, err));
}

/* What the device had given, and has not any more. A death in here is no harm: it begins with DISCARD again. */
static int restore(struct vf_settling *settling, struct vferry_error *err)
{
	uint16_t vf = settling->journal.record.vf;
	uint64_t left, at = 0;
	struct stat stat;
	char *bytes;
	int ret = 0;

	if (fstat(settling->kept_fd, &stat) || stat.st_size % 8)
		return vferry_fail(err, -EBADMSG, "VF %u: what was kept of it is no context", vf);
	bytes = malloc(VF_RESTORE_BYTES);
	if (!bytes)
		return vferry_fail(err, -ENOMEM, "no memory");
	for (left = (uint64_t)stat.st_size; left && !ret;) {
		uint32_t part = left < VF_RESTORE_BYTES ? (uint32_t)left : VF_RESTORE_BYTES;
		ssize_t got = pread(settling->kept_fd, bytes, part, (off_t)at);

		if (got != (ssize_t)part)
			ret = vferry_fail(err, got < 0 ? -errno : -EIO,
					  "VF %u: what was kept of it cannot be read: %s", vf,
					  got < 0 ? strerror(errno) : "its file is shorter");
		else
			ret = vferry_ctx_write(settling->owner, vf, bytes, part, NULL, err);
		at += part;
		left -= part;
	}
	free(bytes);
	VF_FAULT_POINT("recover-restored");
	return ret;
}

void vf_settle_say(struct vf_settling *settling, const char *what)
{
	size_t length = strlen(settling->words);

	snprintf(settling->words + length, sizeof(settling->words) - length, "%s%s",
		 length ? "; " : "", what);
}

int vf_settle_return(struct vf_settling *settling, const char *why, struct vferry_error *err)
{
	const struct vf_journal_record *record = &settling->journal.record;
	char words[200];
	int ret;

	ret = vferry_ctx_discard(settling->owner, record->vf, NULL, err);
	VF_FAULT_POINT("recover-discarded");
	if (!ret && settling->kept_fd >= 0)
		ret = restore(settling, err);
	if (!ret)
		ret = vferry_mode_set(settling->owner, record->vf,
				      (enum vferry_mode)record->mode_found, NULL, err);
	if (ret)
		return ret;
	VF_FAULT_POINT("recover-back");
	snprintf(words, sizeof(words), "%s: VF %u is %s again, as it was found", why, record->vf,
		 vferry_mode_name(record->mode_found));
	vf_settle_say(settling, words);
	settling->outcome = record->role == VF_ROLE_SOURCE ? VFERRY_OUTCOME_TAKEN_BACK
							   : VFERRY_OUTCOME_DISCARDED;
	return 0;
}

int vf_settle_back(struct vf_settling *settling, const char *why, struct vferry_error *err)
{
	int ret = vf_settle_return(settling, why, err);

	return ret ? ret : vf_settle_remove(settling, err);
}

/* --- the source --- */

int vf_settle_doubt(struct vf_settling *settling, const char *words)
{
	vf_settle_say(settling, words);
	return -EINPROGRESS;
}

/*
 * What a device whose READ clears had given in Freeze its engine has left with the keeper. Nothing is lost of what was read
 * before Freeze, and all was put back before another mode was set.
 */
int vf_settle_find_kept(struct vf_settling *settling, struct vferry_error *err)
{
	const struct vf_journal_record *record = &settling->journal.record;
	struct vf_lease *lease = &settling->owner->lease;
	enum vferry_mode mode;
	int ret;

	if (!(record->flags & VF_JOURNAL_KEEPS))
		return 0;
	ret = vferry_mode_get(settling->owner, record->vf, &mode, NULL, err);
	if (ret || mode != VFERRY_MODE_FREEZE)
		return ret;
	if (!(record->flags & VF_JOURNAL_KEPT))
		return vf_settle_doubt(
			settling,
			"the device's READ clears, and the engine died before all that it "
			"gave was kept: the VF cannot be taken back, it must be reset");
	ret = lease->ops && lease->ops->fetch
		      ? lease->ops->fetch(lease, record->vf, record->id, err)
		      : -ENOENT;
	if (ret < 0 && ret != -ENOENT)
		return ret;
	if (ret < 0)
		return vf_settle_doubt(
			settling, "the device's READ clears, and the keeper has not what it gave: "
				  "the VF cannot be taken back, it must be reset");
	settling->kept_fd = ret;
	return 0;
}

/* The copy here is gone with the owner's reset: nothing of this side can be made Active. */
int vf_settle_stale_source(struct vf_settling *settling, struct vferry_error *err)
{
	vf_settle_say(settling, settling->stale_why.text);
	if (settling->journal.record.state == VFERRY_STATE_GONE ||
	    settling->opts->flags & (VFERRY_RECOVER_ABORT | VFERRY_RECOVER_FINISH)) {
		vf_settle_say(settling, "the journal is deleted");
		return vf_settle_remove(settling, err);
	}
	return vf_settle_doubt(settling,
			       "nothing is left to be taken back; --abort deletes the journal");
}

static int gone(struct vf_settling *settling, const char *peer, struct vferry_error *err)
{
	const struct vf_journal_record *record = &settling->journal.record;
	enum vferry_state answer;
	struct vferry_error why;
	int ret = 0;

	if (record->state != VFERRY_STATE_GONE)
		ret = vf_journal_write(&settling->journal, VFERRY_STATE_GONE, err);
	if (ret)
		return ret;
	VF_FAULT_POINT("recover-gone");
	settling->outcome = VFERRY_OUTCOME_MOVED;
	/* So that the destination can delete its journal; ours goes last. */
	ret = vf_ask(peer, record, VFERRY_STATE_GONE,
		     settling->opts->timeout_ns ? settling->opts->timeout_ns : ASK_NS,
		     settling->opts->interrupt_fd, &answer, &why);
	if (ret && !(settling->opts->flags & VFERRY_RECOVER_FINISH) &&
	    !(record->flags & VF_JOURNAL_ONE_WAY)) {
		vf_settle_say(settling, why.text);
		return vf_settle_doubt(
			settling,
			"the VF is Active at the destination, which has not heard that this is "
			"known; start vferry recv there and repeat, or use --finish");
	}
	vf_settle_say(settling,
		      "the destination has the VF: settled; the old copy here must not live again");
	return vf_settle_keep(settling, err);
}

static int released(struct vf_settling *settling, struct vferry_error *err)
{
	const struct vferry_recover_opts *opts = settling->opts;
	const struct vf_journal_record *record = &settling->journal.record;
	const char *peer = opts->peer ? opts->peer : record->peer;
	enum vferry_state answer;
	struct vferry_error why;
	int ret;

	if (opts->flags & VFERRY_RECOVER_DESTINATION_IS_DEAD) {
		ret = vf_settle_find_kept(settling, err);
		if (ret)
			return ret;
		return vf_settle_back(
			settling,
			"taken back because the destination is said to be dead: if it is "
			"not, there are two live copies now",
			err);
	}
	ret = vf_ask(peer, record, VFERRY_STATE_RELEASED,
		     opts->timeout_ns ? opts->timeout_ns : ASK_NS, opts->interrupt_fd, &answer,
		     &why);
	if (!ret && answer == VFERRY_STATE_ACTIVE)
		return gone(settling, peer, err);
	/* One who holds the stream may refuse it, and another take it in. */
	if (!ret && !(record->flags & VF_JOURNAL_ONE_WAY)) {
		ret = vf_settle_find_kept(settling, err);
		return ret ? ret : vf_settle_back(settling, "the destination refused", err);
	}
	vf_settle_say(settling, ret ? why.text : "this receiver refused it");
	if (record->flags & VF_JOURNAL_ONE_WAY && opts->flags & VFERRY_RECOVER_FINISH) {
		ret = vf_journal_write(&settling->journal, VFERRY_STATE_GONE, err);
		if (ret)
			return ret;
		vf_settle_say(
			settling,
			"whoever holds the stream has the VF: settled; the old copy here must "
			"not live again");
		return vf_settle_keep(settling, err);
	}
	if (record->flags & VF_JOURNAL_ONE_WAY)
		return vf_settle_doubt(
			settling,
			"released to whoever holds the stream: --finish when it was taken in, "
			"--destination-is-dead when nobody ever will");
	return vf_settle_doubt(
		settling,
		"the VF stays frozen until the destination answers: start vferry recv there and "
		"repeat; only if that host is dead for certain: --destination-is-dead");
}

int vf_settle_source(struct vf_settling *settling, struct vferry_error *err)
{
	const struct vf_journal_record *record = &settling->journal.record;
	int ret;

	if (settling->stale)
		return vf_settle_stale_source(settling, err);
	switch (record->state) {
	case VFERRY_STATE_FROZEN:
		ret = vf_settle_find_kept(settling, err);
		if (ret)
			return ret;
		/* fall through */
	case VFERRY_STATE_PRECOPY:
	case VFERRY_STATE_STOPPED:
		return vf_settle_back(settling, "its engine died before it was released", err);
	case VFERRY_STATE_RELEASED:
		return released(settling, err);
	case VFERRY_STATE_GONE:
		return gone(settling, settling->opts->peer ? settling->opts->peer : record->peer,
			    err);
	}
	return vferry_fail(err, -EBADMSG, "%s: a source in state %u", settling->journal.path,
			   record->state);
}

/* --- the destination --- */

static int refuse(struct vf_settling *settling, const char *why, struct vferry_error *err)
{
	int ret = 0;

	if (settling->journal.record.state != VFERRY_STATE_REFUSED)
		ret = vf_journal_write(&settling->journal, VFERRY_STATE_REFUSED, err);
	if (ret)
		return ret;
	VF_FAULT_POINT("recover-refused");
	if (!settling->stale)
		return vf_settle_back(settling, why, err);
	vf_settle_say(settling, settling->stale_why.text);
	return vf_settle_remove(settling, err);
}

static int granted(struct vf_settling *settling, struct vferry_error *err)
{
	enum vferry_mode mode;
	int ret;

	if (settling->stale)
		return refuse(settling, "", err);
	ret = vferry_mode_get(settling->owner, settling->journal.record.vf, &mode, NULL, err);
	if (ret)
		return ret;
	if (mode != VFERRY_MODE_ACTIVE)
		return refuse(settling, "the device had not become Active: refused", err);
	ret = vf_journal_write(&settling->journal, VFERRY_STATE_ACTIVE, err);
	if (!ret) {
		settling->outcome = VFERRY_OUTCOME_MOVED;
		vf_settle_say(settling, "the device says that the VF is Active here");
	}
	return ret;
}

int vf_settle_destination(struct vf_settling *settling, struct vferry_error *err)
{
	int ret;

	switch (settling->journal.record.state) {
	case VFERRY_STATE_LOADING:
	case VFERRY_STATE_LOADED:
	case VFERRY_STATE_COMMITTED:
		return refuse(settling, "its engine died before it was granted: refused", err);
	case VFERRY_STATE_REFUSED:
		return refuse(settling, "refused", err);
	case VFERRY_STATE_GRANTED:
		ret = granted(settling, err);
		if (ret || settling->removed)
			return ret;
		/* fall through */
	case VFERRY_STATE_ACTIVE:
		if (settling->journal.record.flags & VF_JOURNAL_ONE_WAY) {
			vf_settle_say(settling,
				      "taken in from a stream: nobody else is to be told");
			return settling->journal.record.flags & VF_JOURNAL_HAND_OVER
				       ? vf_settle_keep(settling, err)
				       : vf_settle_remove(settling, err);
		}
		if (settling->opts->flags & VFERRY_RECOVER_FINISH) {
			vf_settle_say(
				settling,
				"the VF is Active here, and its source is said to know or to be dead: "
				"settled");
			return vf_settle_keep(settling, err);
		}
		vf_settle_say(
			settling,
			"the VF is Active here; the journal waits for the source's word (vferry recv here, "
			"vferry recover there)");
		return 0;
	}
	return vferry_fail(err, -EBADMSG, "%s: a destination in state %u", settling->journal.path,
			   settling->journal.record.state);
}
