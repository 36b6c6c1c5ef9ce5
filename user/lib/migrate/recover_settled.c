// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is kept behind settled migrations: shown, forgotten when told to, and retired when it is not needed any more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "migrate/settled.h"

struct kept {
	char path[512];
	struct vf_journal_record record;
	struct kept *next;
};

struct search {
	const struct vferry_recover_opts *opts;
	const char *address;
	struct kept *first, **last;
	unsigned int matched;
};

static void tell(const struct search *search, const struct kept *kept, bool removed,
		 const char *words)
{
	const struct vf_journal_record *record = &kept->record;
	struct vferry_recovered told = {
		.vf = record->vf,
		.before = record->state,
		.after = removed ? VFERRY_STATE_NONE : record->state,
		.settled = true,
		.kept = !removed,
		.was_kept = removed,
		.readable = true,
		.written_ns = record->written_ns,
	};

	if (!search->opts->each)
		return;
	snprintf(told.path, sizeof(told.path), "%s", kept->path);
	vf_id_text(told.id, record->id);
	snprintf(told.role, sizeof(told.role), "%s", vf_role_name(record->role));
	snprintf(told.owner, sizeof(told.owner), "%s", record->owner);
	snprintf(told.peer, sizeof(told.peer), "%s", record->peer);
	snprintf(told.words, sizeof(told.words), "%s", words);
	search->opts->each(search->opts->arg, &told);
}

static void tell_unreadable(const struct search *search, const char *path,
			    const struct vferry_error *why)
{
	struct vferry_recovered told = { .error = why->code, .kept = true };

	if (!search->opts->each)
		return;
	snprintf(told.path, sizeof(told.path), "%s", path);
	snprintf(told.words, sizeof(told.words), "%s", why->text);
	search->opts->each(search->opts->arg, &told);
}

static int one(void *arg, const char *path, const struct vf_journal_record *record,
	       const struct vferry_error *why)
{
	struct search *search = arg;
	char id[VF_ID_TEXT];
	struct kept *kept;

	if (!record) {
		tell_unreadable(search, path, why);
		return 0;
	}
	vf_id_text(id, record->id);
	if (search->opts->id && strncmp(id, search->opts->id, strlen(search->opts->id)))
		return 0;
	if (search->address[0] && strcmp(search->address, record->owner))
		return 0;
	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	snprintf(kept->path, sizeof(kept->path), "%s", path);
	kept->record = *record;
	*search->last = kept;
	search->last = &kept->next;
	search->matched++;
	return 0;
}

static const char *what_it_is(const struct vf_journal_record *record)
{
	if (record->role == VF_ROLE_SOURCE)
		return "moved away: the VF keeps an old copy, which must not live again, until it "
		       "is reset";
	if (vf_gone_is(record))
		return "refused with its group: the VF keeps a copy, which must not serve, until it is "
		       "reset";
	if (record->state == VFERRY_STATE_REFUSED)
		return "a source asked for it, and nobody here knew it: it will not be taken in";
	return "taken in: it will not be taken in once more";
}

/*
 * Without a keeper nothing is asked, and nothing deleted: a keeper that is started opens the owner, which resets it.
 * A VF that an engine has on loan is that engine's to look at.
 */
static const char *why_not_needed(const struct vferry_recover_opts *opts, const struct kept *kept,
				  struct vferry_error *why)
{
	const struct vf_journal_record *record = &kept->record;
	uint16_t vf = record->vf;
	struct vferry_owner_opts how = {
		.size = sizeof(how),
		.flags = VFERRY_OWNER_NO_START,
		.vfs = &vf,
		.vfs_count = vf_gone_is(record),
		.arena_bytes = 1u << 20,
		.timeout_ns = opts->timeout_ns,
	};
	struct vferry_owner *owner;
	const char *words = NULL;

	if (vf_journal_valid_here(record, record->epoch, why) == -ESTALE)
		return why->text;
	if (record->flags & VF_JOURNAL_NO_VF)
		return NULL;
	if (vferry_owner_open(&owner, record->owner, &how, NULL))
		return NULL;
	if (vf_journal_valid_here(record, vferry_owner_epoch(owner), why) == -ESTALE)
		words = why->text;
	else if (vf_gone_is(record) && !vf_gone_check_device(owner, record->owner, vf, NULL))
		words = "the VF was reset: its old copy is gone";
	vferry_owner_close(owner);
	return words;
}

static void settle(const struct search *search, const struct kept *kept)
{
	const struct vferry_recover_opts *opts = search->opts;
	struct vf_journal journal;
	struct vferry_error why;
	const char *words;

	if (opts->flags & VFERRY_RECOVER_LIST) {
		tell(search, kept, false, what_it_is(&kept->record));
		return;
	}
	words = opts->flags & VFERRY_RECOVER_FORGET ? "forgotten, as told"
						    : why_not_needed(opts, kept, &why);
	if (!words) {
		if (opts->id)
			tell(search, kept, false, what_it_is(&kept->record));
		return;
	}
	if (!vf_journal_open(&journal, kept->path, NULL))
		vf_journal_remove(&journal, NULL);
	tell(search, kept, true, words);
}

static bool two_ids(const struct search *search)
{
	for (const struct kept *kept = search->first; kept; kept = kept->next)
		if (memcmp(kept->record.id, search->first->record.id, VF_ID_BYTES))
			return true;
	return false;
}

int vf_recover_settled(const struct vferry_recover_opts *opts, const char *address,
		       unsigned int *matched, struct vferry_error *err)
{
	struct search search = { .opts = opts, .address = address };
	int ret;

	search.last = &search.first;
	ret = vf_journal_each_in(VF_PLACE_SETTLED, one, &search, err);
	*matched = search.matched;
	if (!ret && opts->flags & VFERRY_RECOVER_FORGET && two_ids(&search))
		ret = vferry_fail(
			err, -EINVAL,
			"%s is the beginning of more than one migration's id: give more of "
			"it",
			opts->id);
	while (search.first) {
		struct kept *kept = search.first;

		search.first = kept->next;
		if (!ret)
			settle(&search, kept);
		free(kept);
	}
	return ret;
}
