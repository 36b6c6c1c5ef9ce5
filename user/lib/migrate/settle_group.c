// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vferry/context.h>
#include <vferry/owner.h>
#include "bus/vf_reset.h"
#include "migrate/ask.h"
#include "migrate/fault_point.h"
#include "migrate/settle_group.h"

#define ASK_NS	   10000000000ULL
#define LOOK_BYTES (64ull << 20) /* read of a context until it has told its device_status */

/* --- opening --- */

struct gathering {
	const struct vf_settling_group *group;
	struct {
		char path[512];
		struct vf_journal_record record;
	} found[VF_LANES_MAX];
	uint32_t count;
};

static int gather_one(void *arg, const char *path, const struct vf_journal_record *record,
		      const struct vferry_error *why)
{
	struct gathering *gathering = arg;

	if (!record || record->role != gathering->group->role ||
	    !(record->flags & VF_JOURNAL_TOGETHER) ||
	    memcmp(record->group, gathering->group->id, VF_ID_BYTES) ||
	    gathering->count == VF_LANES_MAX)
		return 0;
	snprintf(gathering->found[gathering->count].path, sizeof(gathering->found[0].path), "%s",
		 path);
	gathering->found[gathering->count++].record = *record;
	return 0;
}

static int gather(struct gathering *gathering, const struct vf_settling_group *group,
		  struct vferry_error *err)
{
	int ret;

	memset(gathering, 0, sizeof(*gathering));
	gathering->group = group;
	ret = vf_journal_each(gather_one, gathering, err);
	for (uint32_t i = 1; !ret && i < gathering->count; i++)
		if (strcmp(gathering->found[i].record.owner, gathering->found[0].record.owner))
			ret = vferry_fail(
				err, -EBADMSG,
				"%s and %s are of one group, but of two owners: left alone",
				gathering->found[0].path, gathering->found[i].path);
	return ret;
}

static int borrow(struct vf_settling_group *group, const struct gathering *gathering,
		  struct vferry_error *err)
{
	uint16_t vfs[VF_LANES_MAX];
	struct vferry_owner_opts owner = {
		.size = sizeof(owner),
		.vfs = vfs,
		.vfs_count = gathering->count,
		.arena_bytes = 2 * VF_RESTORE_BYTES,
		.timeout_ns = group->opts->timeout_ns,
	};
	int ret;

	for (uint32_t i = 0; i < gathering->count; i++)
		vfs[i] = gathering->found[i].record.vf;
	ret = vferry_owner_open(&group->owner, gathering->found[0].record.owner, &owner, err);
	/* -ENOENT is for journals that have gone. */
	return ret == -ENOENT ? -ENODEV : ret;
}

/* What the journals said before the VFs were ours may be old; none may have come that is of another VF. */
static int read_again(struct vf_settling_group *group, struct gathering *gathering,
		      const struct gathering *before, struct vferry_error *err)
{
	int ret = gather(gathering, group, err);

	if (ret)
		return ret;
	for (uint32_t i = 0; i < gathering->count; i++) {
		struct vf_settling *settling = &group->of[group->count];
		bool known = false;

		for (uint32_t n = 0; n < before->count; n++)
			known |= gathering->found[i].record.vf == before->found[n].record.vf;
		if (!known)
			return vferry_fail(err, -EBUSY, "%s: its group is at work just now",
					   gathering->found[i].path);
		ret = vf_journal_open(&settling->journal, gathering->found[i].path, err);
		if (ret == -ENOENT)
			continue;
		if (ret)
			return ret;
		settling->kept_fd = -1;
		settling->opts = group->opts;
		settling->owner = group->owner;
		settling->stale = vf_journal_valid_here(&settling->journal.record,
							vferry_owner_epoch(group->owner),
							&settling->stale_why);
		group->count++;
	}
	return group->count ? 0 : -ENOENT;
}

static void find_leader(struct vf_settling_group *group)
{
	for (uint32_t i = 0; i < group->count; i++) {
		struct vf_settling leader = group->of[i];

		if (memcmp(leader.journal.record.id, group->id, VF_ID_BYTES))
			continue;
		group->of[i] = group->of[0];
		group->of[0] = leader;
		group->leader = &group->of[0];
		return;
	}
}

int vf_settle_group_open(struct vf_settling_group *group, const uint8_t id[VF_ID_BYTES],
			 enum vf_role role, const struct vferry_recover_opts *opts,
			 struct vferry_error *err)
{
	struct gathering *gathering = calloc(2, sizeof(*gathering));
	int ret;

	memset(group, 0, sizeof(*group));
	memcpy(group->id, id, VF_ID_BYTES);
	group->role = role;
	group->opts = opts;
	group->of = calloc(VF_LANES_MAX, sizeof(*group->of));
	ret = group->of && gathering ? gather(&gathering[0], group, err)
				     : vferry_fail(err, -ENOMEM, "no memory");
	if (!ret && !gathering[0].count)
		ret = -ENOENT;
	if (!ret)
		ret = borrow(group, &gathering[0], err);
	if (!ret)
		ret = read_again(group, &gathering[1], &gathering[0], err);
	free(gathering);
	if (ret) {
		vf_settle_group_close(group);
		return ret;
	}
	find_leader(group);
	VF_FAULT_POINT("recover-group-open");
	return 0;
}

void vf_settle_group_close(struct vf_settling_group *group)
{
	for (uint32_t i = 0; i < group->count; i++) {
		vf_journal_close(&group->of[i].journal);
		if (group->of[i].kept_fd >= 0)
			close(group->of[i].kept_fd);
	}
	vferry_owner_close(group->owner);
	free(group->of);
	memset(group, 0, sizeof(*group));
}

enum vferry_state vf_settle_group_state(const struct vf_settling_group *group)
{
	enum vferry_state state =
		group->role == VF_ROLE_SOURCE ? VFERRY_STATE_PRECOPY : VFERRY_STATE_LOADING;

	if (group->leader)
		return group->leader->journal.record.state;
	/* It was never written: then no member can be beyond what each does for itself. */
	for (uint32_t i = 0; i < group->count; i++) {
		switch (group->of[i].journal.record.state) {
		case VFERRY_STATE_PRECOPY:
		case VFERRY_STATE_STOPPED:
		case VFERRY_STATE_FROZEN:
		case VFERRY_STATE_LOADING:
		case VFERRY_STATE_LOADED:
		case VFERRY_STATE_REFUSED:
			break;
		default:
			return VFERRY_STATE_NONE;
		}
	}
	return state;
}

/* --- steps of both sides --- */

/* What one came to; the first error is the group's, doubt comes before it. */
static int note(struct vf_settling *settling, int ret, int so_far, const struct vferry_error *why)
{
	settling->result = ret;
	if (ret && ret != -EINPROGRESS && why)
		vf_settle_say(settling, why->text);
	return so_far == -EINPROGRESS || !ret ? so_far : ret;
}

static int doubt_all(struct vf_settling_group *group, const char *what, const char *words)
{
	for (uint32_t i = 0; i < group->count; i++) {
		if (what)
			vf_settle_say(&group->of[i], what);
		group->of[i].result = vf_settle_doubt(&group->of[i], words);
	}
	return -EINPROGRESS;
}

/* The leader's word, then the others' notes. */
static int journal_all(struct vf_settling_group *group, enum vferry_state state,
		       struct vferry_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; !ret && i < group->count; i++) {
		struct vf_journal *journal = &group->of[i].journal;

		if (journal->record.state != state)
			ret = vf_journal_write(journal, state, err);
		if (!i)
			VF_FAULT_POINT("recover-group-decided");
	}
	return ret;
}

/* @from the last to the first, so that the journal that decides goes last; it stays while another has to. */
static int remove_one(struct vf_settling_group *group, uint32_t i, int so_far,
		      struct vferry_error *err)
{
	if (!i && group->leader && so_far)
		return vf_settle_doubt(&group->of[i],
				       "its journal decides for its group, and is kept");
	return group->of[i].keep ? vf_settle_keep(&group->of[i], err)
				 : vf_settle_remove(&group->of[i], err);
}

/* Moved, and remembered. */
static int keep_all(struct vf_settling_group *group, const char *words, struct vferry_error *err)
{
	int worst = 0;

	for (uint32_t i = group->count; i-- > 0;) {
		group->of[i].keep = true;
		vf_settle_say(&group->of[i], words);
		worst = note(&group->of[i], remove_one(group, i, worst, err), worst, err);
	}
	return worst;
}

static bool stale(const struct vf_settling_group *group)
{
	for (uint32_t i = 0; i < group->count; i++)
		if (group->of[i].stale)
			return true;
	return false;
}

/* --- the source --- */

static int back_all(struct vf_settling_group *group, const char *why, struct vferry_error *err)
{
	int worst = 0;

	for (uint32_t i = group->count; i-- > 0;) {
		struct vf_settling *settling = &group->of[i];
		int ret = 0;

		if (settling->journal.record.state >= VFERRY_STATE_FROZEN)
			ret = vf_settle_find_kept(settling, err);
		if (!ret)
			ret = vf_settle_return(settling, why, err);
		if (!ret)
			ret = remove_one(group, i, worst, err);
		worst = note(settling, ret, worst, err);
	}
	return worst;
}

static int gone(struct vf_settling_group *group, const char *peer, struct vferry_error *err)
{
	const struct vferry_recover_opts *opts = group->opts;
	enum vferry_state answer;
	struct vferry_error why;
	int ret = journal_all(group, VFERRY_STATE_GONE, err);

	if (ret)
		return ret;
	VF_FAULT_POINT("recover-group-gone");
	for (uint32_t i = 0; i < group->count; i++)
		group->of[i].outcome = VFERRY_OUTCOME_MOVED;
	ret = vf_ask(peer, &group->leader->journal.record, VFERRY_STATE_GONE,
		     opts->timeout_ns ? opts->timeout_ns : ASK_NS, opts->interrupt_fd, &answer,
		     &why);
	if (ret && !(opts->flags & VFERRY_RECOVER_FINISH))
		return doubt_all(
			group, why.text,
			"its group is Active at the destination, which has not heard that this is "
			"known; start vferry recv there and repeat, or use --finish");
	return keep_all(
		group,
		"asked once for its group: the destination has all VFs of it: settled; the old copy here must not live again",
		err);
}

static int released(struct vf_settling_group *group, const char *peer, struct vferry_error *err)
{
	const struct vferry_recover_opts *opts = group->opts;
	enum vferry_state answer;
	struct vferry_error why;
	int ret;

	if (opts->flags & VFERRY_RECOVER_DESTINATION_IS_DEAD)
		return back_all(
			group,
			"taken back with its group because the destination is said to be dead: if it "
			"is not, there are two live copies now",
			err);
	ret = vf_ask(peer, &group->leader->journal.record, VFERRY_STATE_RELEASED,
		     opts->timeout_ns ? opts->timeout_ns : ASK_NS, opts->interrupt_fd, &answer,
		     &why);
	if (!ret && answer == VFERRY_STATE_ACTIVE)
		return gone(group, peer, err);
	if (!ret)
		return back_all(group, "asked once for its group: the destination refused it", err);
	return doubt_all(
		group, why.text,
		"its group stays frozen until the destination answers: start vferry recv there and "
		"repeat; only if that host is dead for certain: --destination-is-dead");
}

static int settle_source(struct vf_settling_group *group, struct vferry_error *err)
{
	const char *peer = group->opts->peer ? group->opts->peer : group->of[0].journal.record.peer;
	int worst = 0;

	if (stale(group)) {
		for (uint32_t i = group->count; i-- > 0;)
			worst = note(&group->of[i], vf_settle_stale_source(&group->of[i], err),
				     worst, err);
		return worst;
	}
	switch (vf_settle_group_state(group)) {
	case VFERRY_STATE_PRECOPY:
	case VFERRY_STATE_STOPPED:
	case VFERRY_STATE_FROZEN:
		return back_all(group, "its engine died before its group was released", err);
	case VFERRY_STATE_RELEASED:
		return released(group, peer, err);
	case VFERRY_STATE_GONE:
		return gone(group, peer, err);
	default:
		return doubt_all(group, NULL,
				 "the journal that decides for its group is not here: was it "
				 "deleted by hand?");
	}
}

/* --- the destination --- */

static int on_event(void *arg, const struct vferry_ctx_event *event)
{
	int *status = arg;

	if (event->kind == VFERRY_CTX_VALUE && event->type == VFERRY_CTX_DEVICE_STATUS &&
	    event->count)
		*status = *(const uint8_t *)event->bytes;
	return 0;
}

/* Has a VF that may have been committed its guest's context? What cannot be looked at is not taken for blank. */
static bool holds_copy(struct vf_settling *settling)
{
	int status = -1;
	const struct vferry_ctx_walk_opts opts = {
		.image_bound = 1ULL << 40,
		.fields_max = 1u << 24,
		.event = on_event,
		.arg = &status,
	};
	struct vferry_ctx_walker *walker = vferry_ctx_walker_new(&opts);
	uint16_t vf = settling->journal.record.vf;
	uint64_t bytes = 0;
	const void *chunk;
	uint32_t count;

	while (walker && status < 0 && bytes < LOOK_BYTES) {
		if (vferry_ctx_read(settling->owner, vf, &chunk, &count, NULL, NULL) || !count ||
		    vferry_ctx_walk(walker, chunk, count, NULL))
			break;
		bytes += count;
	}
	vferry_ctx_walker_free(walker);
	if (vferry_ctx_discard(settling->owner, vf, NULL, NULL))
		return true;
	return status != 0;
}

/* The group is refused: as the VF was found, or, with a copy of the context in it, in Freeze. */
static int give_back(struct vf_settling *settling, bool moved, const char *why,
		     struct vferry_error *err)
{
	const struct vf_journal_record *record = &settling->journal.record;
	enum vferry_mode mode = VFERRY_MODE_FREEZE;
	char words[240];
	int ret = vferry_ctx_discard(settling->owner, record->vf, NULL, err);

	if (!ret && moved)
		ret = vferry_mode_get(settling->owner, record->vf, &mode, NULL, err);
	if (ret)
		return ret;
	/* Not Freeze: an earlier attempt has looked, and gave it back. */
	if (!moved || mode != VFERRY_MODE_FREEZE || !holds_copy(settling) ||
	    (!vf_vf_reset("/sys", record->owner, record->vf, NULL) && !holds_copy(settling)))
		return vf_settle_return(settling, why, err);
	snprintf(
		words, sizeof(words),
		"%s: VF %u had taken over the context, and stays in freeze with a copy that must not "
		"serve; reset the VF before it is used again",
		why, record->vf);
	vf_settle_say(settling, words);
	settling->outcome = VFERRY_OUTCOME_DISCARDED;
	settling->keep = true;
	return 0;
}

static int refuse_all(struct vf_settling_group *group, const char *why, struct vferry_error *err)
{
	enum vferry_state before = vf_settle_group_state(group);
	bool moved = before != VFERRY_STATE_LOADING && before != VFERRY_STATE_LOADED;
	int ret, worst = 0;

	ret = journal_all(group, VFERRY_STATE_REFUSED, err);
	if (ret)
		return ret;
	VF_FAULT_POINT("recover-group-refused");
	for (uint32_t i = group->count; i-- > 0;) {
		struct vf_settling *settling = &group->of[i];

		if (settling->stale)
			vf_settle_say(settling, settling->stale_why.text);
		else
			ret = give_back(settling, moved, why, err);
		if (!ret)
			ret = remove_one(group, i, worst, err);
		worst = note(settling, ret, worst, err);
		ret = 0;
	}
	return worst;
}

static int active_all(struct vf_settling_group *group, const char *what, struct vferry_error *err)
{
	int ret = journal_all(group, VFERRY_STATE_ACTIVE, err);

	if (ret)
		return ret;
	for (uint32_t i = 0; i < group->count; i++) {
		group->of[i].outcome = VFERRY_OUTCOME_MOVED;
		if (what)
			vf_settle_say(&group->of[i], what);
	}
	if (group->opts->flags & VFERRY_RECOVER_FINISH)
		return keep_all(
			group,
			"its group is Active here, and its source is said to know or to be dead: "
			"settled",
			err);
	for (uint32_t i = 0; i < group->count; i++)
		vf_settle_say(
			&group->of[i],
			"its group is Active here; the journal waits for the source's word (vferry recv "
			"here, vferry recover there)");
	return 0;
}

static int granted(struct vf_settling_group *group, struct vferry_error *err)
{
	uint32_t active = 0;
	int ret = 0;

	if (stale(group))
		return refuse_all(group, "", err);
	if (group->count < group->of[0].journal.record.members)
		return doubt_all(group, NULL,
				 "a journal of its group is not here, and what became of that VF "
				 "cannot be known: was it deleted by hand?");
	for (uint32_t i = 0; !ret && i < group->count; i++) {
		enum vferry_mode mode;

		ret = vferry_mode_get(group->owner, group->of[i].journal.record.vf, &mode, NULL,
				      err);
		active += !ret && mode == VFERRY_MODE_ACTIVE;
	}
	if (!ret && active == group->count)
		return active_all(group, "the device says that all VFs of its group are Active",
				  err);
	/* None may serve from here on; then it may be said that none ever will. */
	for (uint32_t i = 0; !ret && i < group->count; i++) {
		ret = vferry_mode_set(group->owner, group->of[i].journal.record.vf,
				      VFERRY_MODE_FREEZE, NULL, err);
		VF_FAULT_POINT("recover-group-frozen");
	}
	if (ret)
		return ret;
	return refuse_all(group, "not all VFs of its group had become Active: refused", err);
}

static int settle_destination(struct vf_settling_group *group, struct vferry_error *err)
{
	switch (vf_settle_group_state(group)) {
	case VFERRY_STATE_LOADING:
	case VFERRY_STATE_LOADED:
		return refuse_all(group, "its engine died before its group was granted: refused",
				  err);
	case VFERRY_STATE_REFUSED:
		return refuse_all(group, "its group was refused", err);
	case VFERRY_STATE_GRANTED:
	case VFERRY_STATE_COMMITTED:
		return granted(group, err);
	case VFERRY_STATE_ACTIVE:
		return active_all(group, NULL, err);
	default:
		return doubt_all(group, NULL,
				 "the journal that decides for its group is not here: was it "
				 "deleted by hand?");
	}
}

int vf_settle_group(struct vf_settling_group *group, struct vferry_error *err)
{
	struct vferry_error why = { 0 };
	int ret = group->role == VF_ROLE_SOURCE ? settle_source(group, &why)
						: settle_destination(group, &why);

	for (uint32_t i = 0; ret && ret != -EINPROGRESS && i < group->count; i++)
		if (!group->of[i].result && !group->of[i].removed) {
			group->of[i].result = ret;
			vf_settle_say(&group->of[i], why.text);
		}
	if (ret && err)
		*err = why;
	return ret;
}
