// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A source in RELEASED asks what became of its VF. */
#include <errno.h>
#include <string.h>
#include "migrate/group.h"
#include "migrate/host_id.h"
#include "migrate/recv.h"
#include "migrate/settle_group.h"
#include "migrate/settled.h"

static struct vf_lane *running(struct vf_move *move, const uint8_t id[VF_ID_BYTES])
{
	for (uint32_t i = 0; i < move->count; i++)
		if (vf_destination_of(move->lanes[i])->offered &&
		    !memcmp(move->lanes[i]->id, id, VF_ID_BYTES))
			return move->lanes[i];
	return NULL;
}

static void answer(struct vf_connection *connection, const uint8_t id[VF_ID_BYTES],
		   enum vferry_state state, uint32_t flags)
{
	struct vf_control *frame = &connection->answer;
	struct vf_message message = { .state = state, .flags = flags };

	if (frame->busy) /* one question at a time */
		return;
	memset(&frame->tx, 0, sizeof(frame->tx));
	memcpy(message.id, id, VF_ID_BYTES);
	memcpy(message.host, connection->recv->move.host, VF_ID_BYTES);
	vf_message_pack(frame->body, &message);
	frame->busy = true;
	frame->tx.frame.type = VF_FRAME_STATE;
	frame->tx.frame.lane = VF_LANE_ALL;
	frame->tx.parts[0] = (struct iovec){ frame->body, VF_MESSAGE_BYTES };
	frame->tx.count = 1;
	frame->tx.done = vf_control_sent;
	frame->move = &connection->recv->move;
	vf_stream_send(connection->stream, &frame->tx);
}

/*
 * No open journal: kept behind a settled migration, or never heard of, or refused and forgotten. In either of the last
 * two it must not become Active later, which is written down before it is said. An offer of this id writes its journal
 * first and then looks here, so one of the two sees the other.
 */
static enum vferry_state from_settled(const struct vf_message *query, uint32_t *flags)
{
	bool heard = query->state == VFERRY_STATE_GONE;
	enum vferry_state state;
	struct vf_journal journal;
	int ret = vf_settled_find(&journal, query->id, VF_ROLE_DESTINATION, NULL);

	if (!ret) {
		state = journal.record.state;
		/* Its source knows: what was kept for its question is not needed any more. */
		if (heard && state == VFERRY_STATE_ACTIVE &&
		    !(journal.record.flags & VF_JOURNAL_HAND_OVER))
			vf_journal_remove(&journal, NULL);
		vf_journal_close(&journal);
		return state;
	}
	if (ret != -ENOENT)
		return VFERRY_STATE_NONE;
	if (heard) /* nothing is left to be settled here */
		return VFERRY_STATE_ACTIVE;
	if (vf_host_id_none(query->host)) {
		*flags = VF_STATE_UNKNOWN;
		return VFERRY_STATE_NONE;
	}
	if (vf_settled_refuse(query->id, NULL))
		return VFERRY_STATE_NONE;
	VF_FAULT_POINT("query-refused");
	ret = vf_journal_find(&journal, query->id, VF_ROLE_DESTINATION, NULL);
	vf_journal_close(&journal);
	return ret == -ENOENT ? VFERRY_STATE_REFUSED : VFERRY_STATE_NONE;
}

/*
 * A journal that is not of this run: settled under the VF's loan, then answered. An engine that still has the VF is
 * left to settle it itself: the source asks again.
 */
static enum vferry_state from_group(const uint8_t group_id[VF_ID_BYTES],
				    const struct vferry_recover_opts *opts)
{
	struct vf_settling_group group;
	enum vferry_state state;
	struct vferry_error why;
	int ret = vf_settle_group_open(&group, group_id, VF_ROLE_DESTINATION, opts, &why);

	if (ret)
		return VFERRY_STATE_NONE; /* also when it was settled just now: it is asked for again */
	ret = vf_settle_group(&group, &why);
	state = vf_settle_group_state(&group);
	/* What was refused stays so, though it could not all be given back. */
	if (!ret && !group.leader)
		state = VFERRY_STATE_REFUSED;
	else if (ret && state != VFERRY_STATE_REFUSED)
		state = VFERRY_STATE_NONE;
	vf_settle_group_close(&group);
	return state;
}

/* Whatever member is asked for, the leader's journal has the answer. */
static int find(struct vf_journal *journal, const uint8_t id[VF_ID_BYTES], struct vferry_error *err)
{
	uint8_t group[VF_ID_BYTES];
	int ret = vf_journal_find(journal, id, VF_ROLE_DESTINATION, err);

	if (ret || !(journal->record.flags & VF_JOURNAL_TOGETHER) ||
	    !memcmp(journal->record.group, id, VF_ID_BYTES))
		return ret;
	memcpy(group, journal->record.group, VF_ID_BYTES);
	vf_journal_close(journal);
	return vf_journal_find(journal, group, VF_ROLE_DESTINATION, err);
}

static int drop_member(void *arg, const char *path, const struct vf_journal_record *record,
		       const struct vferry_error *why)
{
	const struct vf_journal_record *leader = arg;
	struct vf_journal journal;

	if (record && record->role == VF_ROLE_DESTINATION && record->flags & VF_JOURNAL_TOGETHER &&
	    !memcmp(record->group, leader->group, VF_ID_BYTES) &&
	    memcmp(record->id, leader->id, VF_ID_BYTES) && !vf_journal_open(&journal, path, NULL))
		vf_journal_remove(&journal, NULL);
	return 0;
}

static void drop(struct vf_journal *journal)
{
	/* The one that decides goes last. */
	if (journal->record.flags & VF_JOURNAL_TOGETHER)
		vf_journal_each(drop_member, &journal->record, NULL);
	vf_journal_remove(journal, NULL);
}

static enum vferry_state from_journal(struct vf_recv *recv, const struct vf_message *query,
				      uint32_t *flags)
{
	const struct vferry_recover_opts opts = {
		.size = sizeof(opts),
		.timeout_ns = 2000000000ULL,
		.interrupt_fd = -1,
	};
	enum vferry_state state = VFERRY_STATE_NONE;
	struct vf_settling settling;
	struct vf_journal journal;
	struct vferry_error why;
	char path[512];
	uint8_t group[VF_ID_BYTES];
	bool together;
	int ret = find(&journal, query->id, &why);

	if (ret == -ENOENT)
		return from_settled(query, flags);
	if (ret)
		return VFERRY_STATE_NONE;
	state = journal.record.state;
	snprintf(path, sizeof(path), "%s", journal.path);
	if (state == VFERRY_STATE_ACTIVE) {
		if (query->state == VFERRY_STATE_GONE)
			drop(&journal);
		else
			vf_journal_close(&journal);
		return state;
	}
	together = journal.record.flags & VF_JOURNAL_TOGETHER;
	memcpy(group, journal.record.group, VF_ID_BYTES);
	vf_journal_close(&journal);
	/* Borrowing waits for the keeper; not while VFs of a run may be down. */
	if (recv->source)
		return VFERRY_STATE_NONE;
	if (together)
		return from_group(group, &opts);
	ret = vf_settle_open(&settling, path, &opts, &why);
	if (ret)
		return ret == -ENOENT ? from_settled(query, flags) : VFERRY_STATE_NONE;
	ret = vf_settle_destination(&settling, &why);
	if (ret)
		state = VFERRY_STATE_NONE;
	else
		state = settling.journal.record.state;
	vf_settle_close(&settling);
	return state;
}

void vf_recv_query(struct vf_connection *connection, const void *payload, uint32_t length)
{
	struct vf_move *move = &connection->recv->move;
	struct vf_message query;
	struct vf_lane *lane;
	uint32_t flags = 0;
	enum vferry_state state;

	if (vf_message_parse(&query, payload, length, NULL)) {
		connection->over = true;
		return;
	}
	/* Somebody else is meant: nothing is said about the id, and nothing done. */
	if (!vf_host_id_none(query.host) && memcmp(query.host, move->host, VF_ID_BYTES)) {
		answer(connection, query.id, VFERRY_STATE_NONE, VF_STATE_UNKNOWN);
		return;
	}
	lane = running(move, query.id);
	if (!lane) {
		state = from_journal(connection->recv, &query, &flags);
		answer(connection, query.id, state, flags);
		return;
	}
	/* Who asks for one of a group is answered for all. */
	lane = vf_group_leader(lane);
	/* While the device has not answered there is no answer; the source asks again. */
	if (lane->state == VFERRY_STATE_ACTIVE && query.state == VFERRY_STATE_GONE &&
	    !vf_destination_of(lane)->confirmed)
		vf_destination_done(vf_destination_of(lane));
	/* Whoever asks has lost the connection: what is loaded here will not be released any more. */
	if (lane->state == VFERRY_STATE_LOADING || lane->state == VFERRY_STATE_LOADED)
		vf_lane_fail(lane, -ECONNABORTED, "the source asks what became of it: refused");
	for (uint32_t i = 0; i < move->count; i++)
		if (vf_group_leader(move->lanes[i]) == lane)
			vf_destination_of(move->lanes[i])->asked |=
				lane->state == VFERRY_STATE_REFUSED;
	answer(connection, query.id, lane->state, 0);
}
