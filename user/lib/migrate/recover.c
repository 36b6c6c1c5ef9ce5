// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry_recover(): every journal of this host, or some of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bus/lent.h"
#include "migrate/settle_group.h"
#include "migrate/settled.h"

struct found {
	char path[512];
	bool together; /* all of this group and role */
	uint8_t group[VF_ID_BYTES];
	uint8_t role;
	struct found *next;
};

struct search {
	const struct vferry_recover_opts *opts;
	char owner[256];
	struct found *first, **last;
	int in_doubt, error;
	struct vferry_error why;
};

static void tell(struct search *search, struct vferry_recovered *told)
{
	if (search->opts->each)
		search->opts->each(search->opts->arg, told);
}

static void fill(struct vferry_recovered *told, const char *path,
		 const struct vf_journal_record *record)
{
	snprintf(told->path, sizeof(told->path), "%s", path);
	if (!record)
		return;
	told->readable = true;
	vf_id_text(told->id, record->id);
	if (record->flags & VF_JOURNAL_TOGETHER)
		vf_id_text(told->group, record->group);
	snprintf(told->role, sizeof(told->role), "%s", vf_role_name(record->role));
	snprintf(told->owner, sizeof(told->owner), "%s", record->owner);
	snprintf(told->peer, sizeof(told->peer), "%s", record->peer);
	told->vf = record->vf;
	told->before = told->after = record->state;
	told->written_ns = record->written_ns;
}

/* One of a group stands for all of it. */
static bool is_asked_for(const struct search *search, const struct vf_journal_record *record)
{
	const char *wanted = search->opts->id;
	char id[VF_ID_TEXT], group[VF_ID_TEXT];

	if (search->owner[0] && strcmp(search->owner, record->owner))
		return false;
	vf_id_text(id, record->id);
	vf_id_text(group, record->group);
	return !wanted || !strncmp(id, wanted, strlen(wanted)) ||
	       (record->flags & VF_JOURNAL_TOGETHER && !strncmp(group, wanted, strlen(wanted)));
}

static bool is_known(const struct search *search, const struct vf_journal_record *record)
{
	for (const struct found *found = search->first; found; found = found->next)
		if (found->together && found->role == record->role &&
		    !memcmp(found->group, record->group, VF_ID_BYTES))
			return true;
	return false;
}

static int one_found(void *arg, const char *path, const struct vf_journal_record *record,
		     const struct vferry_error *why)
{
	struct search *search = arg;
	struct vferry_recovered told = { 0 };
	struct found *found;

	if (record && !is_asked_for(search, record))
		return 0;
	if (!record || search->opts->flags & VFERRY_RECOVER_LIST) {
		fill(&told, path, record);
		if (!record) {
			told.error = why->code;
			snprintf(told.words, sizeof(told.words), "%s", why->text);
			if (!search->opts->id && !search->error) {
				search->error = why->code;
				search->why = *why;
			}
		}
		tell(search, &told);
		return 0;
	}
	if (record->flags & VF_JOURNAL_TOGETHER && is_known(search, record))
		return 0;
	found = calloc(1, sizeof(*found));
	if (!found)
		return -ENOMEM;
	found->together = record->flags & VF_JOURNAL_TOGETHER;
	found->role = record->role;
	memcpy(found->group, record->group, VF_ID_BYTES);
	snprintf(found->path, sizeof(found->path), "%s", path);
	*search->last = found;
	search->last = &found->next;
	return 0;
}

/* What one journal came to. */
static void conclude(struct vferry_recovered *told, const struct vf_settling *settling, int ret)
{
	told->after = settling->removed ? VFERRY_STATE_NONE : settling->journal.record.state;
	told->settled = settling->removed;
	told->outcome = settling->outcome;
	snprintf(told->words, sizeof(told->words), "%s", settling->words);
	told->error = ret;
}

static void count(struct search *search, const struct vferry_recovered *told)
{
	int ret = told->error;

	if (ret == -EINPROGRESS)
		search->in_doubt++;
	/* An engine that lives settles its own, unless it is this one that was asked for. */
	if (ret && !search->error && (ret != -EBUSY || search->opts->id)) {
		search->error = ret;
		vferry_fail(&search->why, ret, "VF %u of %s: %.300s", told->vf, told->owner,
			    told->words);
	}
}

static void settle_group(struct search *search, const struct found *found)
{
	struct vf_settling_group group;
	struct vferry_recovered first = { 0 }, *told;
	struct vferry_error why = { 0 };
	struct vf_journal journal;
	int ret = vf_journal_open(&journal, found->path, &why);

	if (!ret) {
		fill(&first, found->path, &journal.record);
		vf_journal_close(&journal);
		ret = vf_settle_group_open(&group, found->group, found->role, search->opts, &why);
	}
	if (ret == -ENOENT)
		return;
	if (ret) {
		first.error = ret;
		snprintf(first.words, sizeof(first.words), "%s", why.text);
		count(search, &first);
		tell(search, &first);
		return;
	}
	/* As they were before anything is done. */
	told = calloc(group.count, sizeof(*told));
	for (uint32_t i = 0; told && i < group.count; i++)
		fill(&told[i], group.of[i].journal.path, &group.of[i].journal.record);
	if (told)
		vf_settle_group(&group, &why);
	for (uint32_t i = 0; told && i < group.count; i++) {
		conclude(&told[i], &group.of[i], group.of[i].result);
		count(search, &told[i]);
		tell(search, &told[i]);
	}
	if (!told && !search->error)
		search->error = vferry_fail(&search->why, -ENOMEM, "no memory");
	vf_settle_group_close(&group);
	free(told);
}

static void settle(struct search *search, const char *path)
{
	struct vferry_recovered told = { 0 };
	struct vferry_error why = { 0 };
	struct vf_settling settling;
	struct vf_journal journal;
	int ret = vf_journal_open(&journal, path, &why);

	if (!ret) {
		fill(&told, path, &journal.record);
		vf_journal_close(&journal);
		ret = vf_settle_open(&settling, path, search->opts, &why);
	}
	if (ret == -ENOENT)
		return;
	if (!ret) {
		ret = settling.journal.record.role == VF_ROLE_SOURCE
			      ? vf_settle_source(&settling, &why)
			      : vf_settle_destination(&settling, &why);
		conclude(&told, &settling, ret);
		vf_settle_close(&settling);
	}
	if (ret && ret != -EINPROGRESS)
		snprintf(told.words, sizeof(told.words), "%s", why.text);
	told.error = ret;
	count(search, &told);
	tell(search, &told);
}

int vferry_recover(const struct vferry_recover_opts *given, struct vferry_error *err)
{
	struct vferry_recover_opts opts = { .interrupt_fd = -1 };
	struct search search = { .opts = &opts };
	unsigned int kept = 0;
	int ret = 0;

	memcpy(&opts, given, given->size < sizeof(opts) ? given->size : sizeof(opts));
	search.last = &search.first;
	if (opts.owner)
		ret = vf_owner_address(opts.owner, search.owner, sizeof(search.owner), err);
	if (!ret && opts.flags & VFERRY_RECOVER_FORGET && !opts.id)
		ret = vferry_fail(err, -EINVAL,
				  "which migration is to be forgotten? Its id, as --list shows it");
	if (!ret && !(opts.flags & VFERRY_RECOVER_FORGET))
		ret = vf_journal_each(one_found, &search, err);
	if (!ret)
		ret = vf_recover_settled(&opts, search.owner, &kept, err);
	if (!ret && opts.id && !search.first && !kept && !(opts.flags & VFERRY_RECOVER_LIST))
		ret = vferry_fail(err, -ENOENT, "there is no journal of migration %s here",
				  opts.id);
	while (search.first) {
		struct found *found = search.first;

		search.first = found->next;
		if (!ret && found->together)
			settle_group(&search, found);
		else if (!ret)
			settle(&search, found->path);
		free(found);
	}
	if (ret || !search.error || opts.flags & VFERRY_RECOVER_LIST)
		return ret;
	return vferry_fail(err, search.in_doubt ? -EINPROGRESS : search.error, "%s",
			   search.why.text);
}
