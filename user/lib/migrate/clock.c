// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where the destination's clock stands against ours: a few exchanges over the migration's own connection, of which the
 * one with the least delay counts. Half of that delay is the most by which the answer can be wrong.
 */
#include <errno.h>
#include "migrate/destination.h"
#include "migrate/source.h"

#define EXCHANGES 5u
#define FRESH_NS \
	200000000ULL /* so long what another VF of this run has measured is good for this one */

static void ping(struct vf_source *source)
{
	struct vf_message message = { .pass = source->clock_number };

	source->clock_sent_ns = vf_now_ns();
	message.ns = source->clock_sent_ns;
	vf_lane_say(&source->lane, VF_FRAME_PING, &message);
}

static void take(struct vf_source *source)
{
	struct vf_lane *lane = &source->lane;

	lane->clock = lane->move->clock;
	lane->result->clock_offset_ns = lane->clock.offset_ns;
	lane->result->clock_error_ns = lane->clock.error_ns;
	lane->result->clock_exchanges = lane->clock.exchanges;
}

void vf_clock_exchange(struct vf_source *source, vf_lane_fn then)
{
	struct vf_move *move = source->lane.move;

	if (move->clock.exchanges && vf_now_ns() - move->clock.at_ns < FRESH_NS) {
		take(source);
		then(&source->lane);
		return;
	}
	if (!source->has_clock) {
		then(&source->lane);
		return;
	}
	source->after_clock = then;
	source->clock_number = 0;
	source->lane.clock = (struct vf_clock){ 0 };
	ping(source);
}

void vf_clock_answered(struct vf_source *source, const struct vf_message *message)
{
	struct vf_clock *clock = &source->lane.clock;
	uint64_t now = vf_now_ns(), sent = source->clock_sent_ns;
	uint64_t there = message->ns - message->bytes, delay;
	vf_lane_fn then = source->after_clock;

	if (message->pass != source->clock_number || message->ns < message->bytes ||
	    there > now - sent) {
		vf_lane_fail(
			&source->lane, -EPROTO,
			"the destination's answer about its clock cannot be (exchange %u of %u)",
			message->pass, source->clock_number);
		return;
	}
	delay = now - sent - there;
	if (!clock->exchanges || delay / 2 < clock->error_ns) {
		/* Halves first: the sum of two times may not fit. */
		clock->offset_ns = (int64_t)(message->bytes - sent) - (int64_t)(delay / 2);
		clock->error_ns = delay - delay / 2;
	}
	clock->exchanges++;
	clock->at_ns = now;
	source->clock_number++;
	if (clock->exchanges < EXCHANGES) {
		ping(source);
		return;
	}
	source->lane.move->clock = *clock;
	source->after_clock = NULL;
	take(source);
	then(&source->lane);
}

void vf_clock_answer(struct vf_lane *lane, const struct vf_message *ping)
{
	struct vf_message answer = { .pass = ping->pass, .bytes = vf_now_ns() };

	answer.ns = vf_now_ns();
	vf_lane_say(lane, VF_FRAME_PONG, &answer);
}
