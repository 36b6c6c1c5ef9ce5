// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Commands of a member that must take effect in order, see enum vferry_order. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include "admin/queue_inside.h"

static const char behind[] =
	"an earlier command of this member failed, and this one was to follow it";

static struct lane *lane_of(struct user_queue *queue, uint64_t member)
{
	for (struct lane *lane = queue->lanes; lane; lane = lane->next) {
		if (lane->member == member)
			return lane;
	}
	return NULL;
}

static void hold(struct cmd_list *list, struct vferry_cmd *cmd)
{
	of(cmd)->state = CMD_HELD;
	vf_cmd_append(list, cmd);
}

/* Send what may go now. */
static void pump(struct lane *lane)
{
	while (lane->pending.head && !lane->put_off.head && !lane->resting && !lane->broken) {
		struct vferry_cmd *cmd = lane->pending.head;
		bool alone = lane->serial || cmd->order == VFERRY_ORDER_STRICT;

		if (lane->out && (alone || lane->strict_out))
			break;
		vf_cmd_remove(cmd);
		lane->out++;
		lane->strict_out = alone;
		vf_queue_send(lane->queue, cmd);
	}
}

static void again(struct vf_timer *timer)
{
	struct lane *lane = (struct lane *)((char *)timer - offsetof(struct lane, timer));

	lane->resting = false;
	pump(lane);
}

static void cancel_all(struct lane *lane, struct cmd_list *list)
{
	int dead = lane->queue->base.dead;

	while (list->head) {
		struct vferry_cmd *cmd = list->head;

		vf_cmd_remove(cmd);
		of(cmd)->lane = NULL;
		if (dead)
			vf_queue_finish(lane->queue, cmd, dead, lane->queue->dead_why);
		else
			vf_queue_finish(lane->queue, cmd, -ECANCELED, behind);
	}
}

/* Nothing of the lane is with the device: go on, rest, or give up; an empty lane goes. */
static void drained(struct lane *lane)
{
	struct user_queue *queue = lane->queue;
	struct lane **at = &queue->lanes;

	if (lane->broken) {
		cancel_all(lane, &lane->put_off);
		cancel_all(lane, &lane->pending);
	}
	if (lane->put_off.head) {
		/* Those put off go first again, in their order. */
		struct cmd_list rest = lane->pending;

		lane->pending = (struct cmd_list){ 0 };
		while (lane->put_off.head) {
			struct vferry_cmd *cmd = lane->put_off.head;

			vf_cmd_remove(cmd);
			hold(&lane->pending, cmd);
		}
		while (rest.head) {
			struct vferry_cmd *cmd = rest.head;

			of(cmd)->list = &rest;
			vf_cmd_remove(cmd);
			hold(&lane->pending, cmd);
		}
		lane->resting = true;
		lane->timer.fn = again;
		vf_timer_set(queue->base.ring, &lane->timer,
			     vf_now_ns() + vf_backoff_ns(&lane->backoff_us));
		return;
	}
	if (lane->pending.head) {
		pump(lane);
		return;
	}
	vf_timer_stop(queue->base.ring, &lane->timer);
	while (*at != lane)
		at = &(*at)->next;
	*at = lane->next;
	free(lane);
}

int vf_order_submit(struct user_queue *queue, struct vferry_cmd *cmd)
{
	struct lane *lane = lane_of(queue, cmd->member);

	if (!lane) {
		lane = calloc(1, sizeof(*lane));
		if (!lane)
			return -ENOMEM;
		lane->queue = queue;
		lane->member = cmd->member;
		lane->next = queue->lanes;
		queue->lanes = lane;
	}
	of(cmd)->lane = lane;
	hold(&lane->pending, cmd);
	pump(lane);
	return 0;
}

static void one_back(struct lane *lane)
{
	if (!--lane->out)
		lane->strict_out = false;
	if (!lane->out)
		drained(lane);
	else
		pump(lane);
}

bool vf_order_answered(struct vferry_cmd *cmd, bool put_off)
{
	struct lane *lane = of(cmd)->lane;

	if (put_off && !lane->broken) {
		lane->serial = true;
		hold(&lane->put_off, cmd);
		one_back(lane);
		return true;
	}
	if (put_off) {
		cmd->error = -ECANCELED;
		cmd->why = behind;
	} else if (!cmd->error && lane->put_off.head) {
		cmd->error = -EILSEQ;
		cmd->why =
			"executed before an earlier command of this member, which the device put "
			"off: only DISCARD and writing from the start put that right";
	}
	if (cmd->error || cmd->status)
		lane->broken = true;
	else
		lane->backoff_us = 0;
	return false;
}

void vf_order_ended(struct lane *lane, enum cmd_state was, int error)
{
	if (error)
		lane->broken = true;
	if (was != CMD_HELD)
		one_back(lane);
	else if (!lane->out)
		drained(lane);
}

void vf_order_free(struct user_queue *queue)
{
	while (queue->lanes) {
		struct lane *lane = queue->lanes;

		queue->lanes = lane->next;
		vf_timer_stop(queue->base.ring, &lane->timer);
		free(lane);
	}
}
