// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A source in RELEASED asks what became of its VF. */
#include <errno.h>
#include <string.h>
#include "migrate/recv.h"

static struct vf_lane *running(struct vf_move *move, const uint8_t id[VF_ID_BYTES])
{
	for (uint32_t i = 0; i < move->count; i++)
		if (vf_destination_of(move->lanes[i])->offered &&
		    !memcmp(move->lanes[i]->id, id, VF_ID_BYTES))
			return move->lanes[i];
	return NULL;
}

static void answer(struct vf_connection *connection, const uint8_t id[VF_ID_BYTES],
		   enum vferry_state state)
{
	struct vf_control *frame = &connection->answer;
	struct vf_message message = { .state = state };

	if (frame->busy) /* one question at a time */
		return;
	memset(&frame->tx, 0, sizeof(frame->tx));
	memcpy(message.id, id, VF_ID_BYTES);
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

/* A journal that no engine holds now. */
static enum vferry_state from_journal(const struct vf_message *query)
{
	enum vferry_state state;
	struct vf_journal journal;
	struct vferry_error why;
	int ret = vf_journal_find(&journal, query->id, VF_ROLE_DESTINATION, &why);

	if (ret ==
	    -ENOENT) /* never heard of, or settled as refused: it will never become Active here */
		return VFERRY_STATE_REFUSED;
	if (ret)
		return VFERRY_STATE_NONE;
	state = journal.record.state;
	if (state == VFERRY_STATE_LOADING || state == VFERRY_STATE_LOADED) {
		/* Its engine is dead or it would answer itself; written down before it is said. */
		state = vf_journal_write(&journal, VFERRY_STATE_REFUSED, &why)
				? VFERRY_STATE_NONE
				: VFERRY_STATE_REFUSED;
	}
	if (state == VFERRY_STATE_ACTIVE && query->state == VFERRY_STATE_GONE)
		vf_journal_remove(&journal, NULL);
	else
		vf_journal_close(&journal);
	return state;
}

void vf_recv_query(struct vf_connection *connection, const void *payload, uint32_t length)
{
	struct vf_move *move = &connection->recv->move;
	struct vf_message query;
	struct vf_lane *lane;

	if (vf_message_parse(&query, payload, length, NULL)) {
		connection->over = true;
		return;
	}
	lane = running(move, query.id);
	if (!lane) {
		answer(connection, query.id, from_journal(&query));
		return;
	}
	/* While the device has not answered there is no answer; the source asks again. */
	if (lane->state == VFERRY_STATE_ACTIVE && query.state == VFERRY_STATE_GONE &&
	    !vf_destination_of(lane)->confirmed)
		vf_destination_done(vf_destination_of(lane));
	answer(connection, query.id,
	       lane->state == VFERRY_STATE_NONE ? VFERRY_STATE_REFUSED : lane->state);
}
