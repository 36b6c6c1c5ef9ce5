// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include "migrate/ask.h"
#include "migrate/host_id.h"
#include "stream/stream.h"

#define AGAIN_NS 200000000ULL

struct question {
	struct vf_stream *stream;
	struct vf_inbox inbox;
	struct vf_tx tx;
	uint8_t body[VF_MESSAGE_BYTES];
	uint8_t id[VF_ID_BYTES];
	uint8_t host[VF_ID_BYTES]; /* who is meant; zero: whoever answers */
	bool sent, over;
	int error;
	struct vferry_error why;
	enum vferry_state answer;
};

static void *room(void *arg, const struct vf_frame *frame)
{
	struct question *question = arg;
	void *memory = NULL;

	if (frame->type == VF_FRAME_STATE)
		memory = vf_inbox_room(&question->inbox, frame, &question->why);
	else
		vferry_fail(&question->why, -EPROTO, "the peer answers with %s",
			    vf_frame_name(frame->type));
	if (!memory) {
		question->error = question->why.code;
		question->over = true;
	}
	return memory;
}

static void frame_came(void *arg, const struct vf_frame *frame, void *payload)
{
	struct question *question = arg;
	struct vf_message message;

	question->over = true;
	question->error = vf_message_parse(&message, payload, frame->length, &question->why);
	if (!question->error &&
	    (frame->type != VF_FRAME_STATE || memcmp(message.id, question->id, VF_ID_BYTES)))
		question->error = vferry_fail(&question->why, -EPROTO,
					      "the peer answers for another migration");
	if (!question->error && !vf_host_id_none(question->host) &&
	    memcmp(message.host, question->host, VF_ID_BYTES))
		question->error = vferry_fail(
			&question->why, -EREMOTE,
			"this is not the host that accepted the migration, or it has lost its run "
			"folder since; what it knows says nothing");
	if (!question->error && message.flags & VF_STATE_UNKNOWN)
		question->error = vferry_fail(&question->why, -ENOENT,
					      "nothing is known there of this migration");
	if (!question->error)
		question->answer = message.state;
}

static void broken(void *arg, int error, const struct vferry_error *why)
{
	struct question *question = arg;

	if (question->over)
		return;
	question->over = true;
	question->error = error ? error : -ECONNRESET;
	if (error)
		question->why = *why;
	else
		vferry_fail(&question->why, -ECONNRESET, "the peer closed without an answer");
}

static void sent(struct vf_tx *tx, int error)
{
	struct question *question = (struct question *)((char *)tx - offsetof(struct question, tx));

	question->sent = true;
}

static int ask_once(struct question *question, const char *address, enum vferry_state state,
		    uint64_t deadline_ns, struct vferry_error *err)
{
	const struct vf_stream_events events = {
		.room = room,
		.frame = frame_came,
		.broken = broken,
		.arg = question,
	};
	struct vf_message message = { .state = state };
	struct vf_peer_opts opts = { .timeout_ns = deadline_ns - vf_now_ns() };
	struct vf_link link = { .in = -1, .out = -1 };
	struct vf_ring *ring = NULL;
	struct vf_peer *peer;
	bool linked = false;
	int ret = vf_peer_parse(&peer, address, err);

	if (ret)
		return ret;
	ret = vf_peer_listens(peer) ? 0
				    : vferry_fail(err, -EOPNOTSUPP,
						  "%s cannot be asked: only tcp: and unix: peers "
						  "listen (--peer names another way to it)",
						  address);
	if (!ret)
		ret = vf_ring_new(&ring, 16, err);
	if (!ret)
		ret = vf_peer_connect(peer, &opts, &link, err);
	linked = !ret;
	if (!ret)
		ret = vf_stream_new(&question->stream, ring, &link, &events, err);
	if (!ret) {
		memcpy(message.id, question->id, VF_ID_BYTES);
		memcpy(message.host, question->host, VF_ID_BYTES);
		vf_message_pack(question->body, &message);
		question->tx.frame.type = VF_FRAME_QUERY;
		question->tx.frame.lane = VF_LANE_ALL;
		question->tx.parts[0] = (struct iovec){ question->body, VF_MESSAGE_BYTES };
		question->tx.count = 1;
		question->tx.done = sent;
		vf_stream_send(question->stream, &question->tx);
		while (!question->over && vf_now_ns() < deadline_ns)
			vf_ring_turn(ring, deadline_ns);
		vf_stream_free(question->stream);
		if (!question->over)
			ret = vferry_fail(err, -ETIMEDOUT, "%s does not answer", address);
		else if (question->error)
			ret = vferry_fail(err, question->error, "%s: %s", address,
					  question->why.text);
	}
	vf_inbox_clear(&question->inbox);
	if (linked)
		vf_link_close(&link, 0);
	vf_ring_free(ring);
	vf_peer_free(peer);
	return ret;
}

/* True when the wait was interrupted. */
static bool rest(int interrupt_fd)
{
	struct pollfd pollfd = { .fd = interrupt_fd, .events = POLLIN };

	return poll(&pollfd, 1, (int)(AGAIN_NS / 1000000)) > 0;
}

int vf_ask(const char *peer, const struct vf_journal_record *record, enum vferry_state state,
	   uint64_t timeout_ns, int interrupt_fd, enum vferry_state *answer,
	   struct vferry_error *err)
{
	uint64_t deadline = vf_now_ns() + timeout_ns;
	int ret;

	*answer = VFERRY_STATE_NONE;
	for (;;) {
		struct question question = { 0 };

		memcpy(question.id, record->id, VF_ID_BYTES);
		memcpy(question.host, record->host, VF_ID_BYTES);
		ret = ask_once(&question, peer, state, deadline, err);
		if (ret == -EOPNOTSUPP || ret == -EINVAL || ret == -EREMOTE || ret == -ENOENT)
			return ret;
		if (!ret) {
			*answer = question.answer;
			if (*answer == VFERRY_STATE_ACTIVE || *answer == VFERRY_STATE_REFUSED)
				return 0;
			ret = vferry_fail(err, -EAGAIN, "%s is in state %s and does not know yet",
					  peer, vferry_state_name(*answer));
		}
		if (vf_now_ns() + AGAIN_NS > deadline)
			return ret;
		if (rest(interrupt_fd))
			return vferry_fail(err, -EINTR, "interrupted");
	}
}
