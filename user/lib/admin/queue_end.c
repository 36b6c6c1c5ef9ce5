// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The end of a user queue's commands: places, who is told when, and what becomes of the device's memory. */
#include <errno.h>
#include <stddef.h>
#include "admin/queue_inside.h"

/* --- lists of commands --- */

void vf_cmd_append(struct cmd_list *list, struct vferry_cmd *cmd)
{
	struct cmd_state_of *state = of(cmd);

	state->list = list;
	state->next = NULL;
	state->prev = list->tail;
	if (list->tail)
		of(list->tail)->next = cmd;
	else
		list->head = cmd;
	list->tail = cmd;
	list->count++;
}

void vf_cmd_remove(struct vferry_cmd *cmd)
{
	struct cmd_state_of *state = of(cmd);
	struct cmd_list *list = state->list;

	if (state->prev)
		of(state->prev)->next = state->next;
	else
		list->head = state->next;
	if (state->next)
		of(state->next)->prev = state->prev;
	else
		list->tail = state->prev;
	list->count--;
	state->list = NULL;
	state->next = state->prev = NULL;
}

/* --- command memory --- */

void vf_slots_free(struct user_queue *queue)
{
	for (unsigned int i = 0; i < queue->slots_count; i++)
		queue->slots[i] = (struct command_slot){
			.next_free = i + 1 < queue->slots_count ? (uint16_t)(i + 1) : NO_SLOT,
		};
	queue->free_slot = 0;
	queue->base.inflight = queue->base.abandoned = 0;
}

void vf_slot_free(struct user_queue *queue, struct command_slot *slot)
{
	slot->in_use = false;
	slot->cmd = NULL;
	slot->next_free = queue->free_slot;
	queue->free_slot = (uint16_t)(slot - queue->slots);
	queue->base.inflight--;
}

/* The device has it and will not be asked again: whatever it does, it does it in memory that nobody else gets. */
static void abandon(struct user_queue *queue, struct vferry_cmd *cmd)
{
	queue->slots[of(cmd)->slot].cmd = NULL;
	cmd->abandoned = true;
	queue->base.abandoned++;
}

/* --- the end of a command --- */

void vf_queue_finish(struct user_queue *queue, struct vferry_cmd *cmd, int error, const char *why)
{
	struct cmd_state_of *state = of(cmd);

	vf_timer_stop(queue->base.ring, &state->timer);
	if (error) {
		cmd->error = error;
		cmd->why = why;
	}
	cmd->done_ns = vf_now_ns();
	state->state = CMD_FINISHED;
	vf_cmd_append(&queue->finished, cmd);
}

int vf_queue_deliver(struct user_queue *queue)
{
	struct vf_admin *admin = &queue->base;
	int calls = 0;

	while (queue->finished.head) {
		struct vferry_cmd *cmd = queue->finished.head;

		vf_cmd_remove(cmd);
		of(cmd)->state = CMD_IDLE;
		admin->queued--;
		if (cmd->error == -ETIMEDOUT)
			admin->stats.timed_out++;
		else if (!cmd->error)
			admin->stats.completed++;
		if (!cmd->error && cmd->status)
			admin->stats.failed++;
		vf_admin_probe_end(admin, cmd);
		if (cmd->done)
			cmd->done(cmd);
		calls++;
	}
	return calls;
}

void vf_queue_deliver_soon(struct user_queue *queue)
{
	vf_timer_set(queue->base.ring, &queue->soon, 0);
}

void vf_queue_deliver_now(struct vf_timer *timer)
{
	vf_queue_deliver((struct user_queue *)((char *)timer - offsetof(struct user_queue, soon)));
}

/* Takes a command out of wherever it is and ends it. */
void vf_queue_end(struct user_queue *queue, struct vferry_cmd *cmd, int error, const char *why)
{
	enum cmd_state was = of(cmd)->state;
	struct lane *lane = of(cmd)->lane;

	if (was == CMD_IDLE || was == CMD_FINISHED)
		return;
	if (was == CMD_ISSUED) {
		abandon(queue, cmd);
		queue->base.queued++;
	}
	vf_cmd_remove(cmd);
	of(cmd)->lane = NULL;
	vf_queue_finish(queue, cmd, error, why);
	if (lane)
		vf_order_ended(lane, was, error);
}

void vf_queue_end_all(struct user_queue *queue, int error, const char *why)
{
	while (queue->issued.head)
		vf_queue_end(queue, queue->issued.head, error, why);
	while (queue->waiting.head)
		vf_queue_end(queue, queue->waiting.head, error, why);
	while (queue->retrying.head)
		vf_queue_end(queue, queue->retrying.head, error, why);
	/* With nothing sent, the end of its first command ends a lane. */
	while (queue->lanes) {
		struct lane *lane = queue->lanes;

		vf_queue_end(queue, lane->put_off.head ? lane->put_off.head : lane->pending.head,
			     error, why);
	}
}

/* Nothing works from here on. */
void vf_queue_die(struct user_queue *queue, int error, const char *why)
{
	if (queue->base.dead)
		return;
	queue->base.dead = error;
	queue->dead_why = why;
	vf_queue_end_all(queue, error, why);
}
