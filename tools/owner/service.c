// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When a command starts and when its answer goes out. --service-time is latency: commands of different
 * members overlap, those of one member follow each other, answers leave a queue in the order in which it
 * was filled. LIST_* concerns all members: it waits for what is before it in its queue, and what is behind waits for it.
 */
#include <stdlib.h>
#include <string.h>
#include <vferry/probes.h>
#include "tools/owner/admin.h"

#define HEADER_BYTES sizeof(struct vferry_admin_hdr)
#define ANSWER_BYTES sizeof(struct vferry_admin_answer_hdr)
#define LONG_COPY    (32U << 10)

static bool concerns_all(const struct admin_command *command)
{
	return command->opcode == VFERRY_CMD_LIST_QUERY || command->opcode == VFERRY_CMD_LIST_USE;
}

/* --- answers ---------------------------------------------------------------------------------------------- */

static struct answer garble(struct admin_command *command, struct answer answer)
{
	const struct fault_effect *effect = &command->effect;
	uint64_t room = command->writable > ANSWER_BYTES ? command->writable - ANSWER_BYTES : 0;

	if (effect->context_len_set)
		command->output =
			(uint32_t)(effect->context_len == UINT64_MAX ? room + 1
								     : effect->context_len);
	return effect->garbage ? effect->garbled : answer;
}

/* Bytes beyond the writable part are dropped; the used length says what was written. */
static void write_answer(struct admin_command *command, struct answer answer)
{
	struct admin_request *request = command->request;
	struct segments at = segments_at(request->in, request->in_count, 0);
	struct vferry_admin_answer_hdr header;
	uint32_t output;
	uint64_t written;

	answer = garble(command, answer);
	wrong_status(command, &answer.status, &answer.qualifier);
	if (WRONG(command->owner, OUTPUT_DIRTY) && command->opcode != VFERRY_CMD_DEV_CTX_READ)
		command->output = command->writable < UINT32_MAX ? (uint32_t)command->writable : 8;
	command->answered = (uint32_t)answer.status | (uint32_t)answer.qualifier << 16;
	output = htole32(command->output);
	header.status = htole16(answer.status);
	header.status_qualifier = htole16(answer.qualifier);
	memcpy(header.output, &output, sizeof(header.output));
	written = segments_put(&at, &header, sizeof(header)) + command->result_bytes;
	command->used = command->effect.used_set ? command->effect.used
						 : wrong_used(command, (uint32_t)written);
}

/* --- lines ------------------------------------------------------------------------------------------------- */

static void line_enter(struct admin_command *command)
{
	struct owner *owner = command->owner;

	if (concerns_all(command) || !command->member || command->member > owner->opts.vfs)
		return;
	command->fn = &owner->vfs[command->member];
	*command->fn->admin->line_end = command;
	command->fn->admin->line_end = &command->line_next;
}

static void line_leave(struct admin_command *command)
{
	struct fn_admin *adm = command->fn ? command->fn->admin : NULL;
	struct admin_command **at;

	if (!adm)
		return;
	for (at = &adm->line; *at != command; at = &(*at)->line_next)
		;
	*at = command->line_next;
	if (!*at)
		adm->line_end = at;
	command->fn = NULL;
}

static struct admin_command *queue_pop(struct admin_queue *queue)
{
	struct admin_command *command = queue->first;

	queue->first = command->queue_next;
	if (!queue->first)
		queue->end = &queue->first;
	return command;
}

/* --- starting and ending -------------------------------------------------------------------------------------- */

static void turn(struct owner *owner);

/* What is answered already is told before a copy that takes longer than telling: the driver goes on in the meantime. */
static void tell(const struct admin_command *command)
{
	if (command->owner->ring && command->writable + command->readable >= LONG_COPY)
		vf_ring_flush(command->owner->ring);
}

static void served(struct vf_timer *timer)
{
	struct admin_command *command =
		(struct admin_command *)((char *)timer - offsetof(struct admin_command, timer));

	command->state = COMMAND_EXECUTING;
	tell(command);
	admin_execute(command);
}

static void start(struct admin_command *command)
{
	struct owner *owner = command->owner;
	uint64_t latency = owner->opts.service_time_ns + command->effect.slow_ns;

	command->begin_ns = vf_now_ns();
	if (!latency || !owner->ring) {
		served(&command->timer);
		return;
	}
	command->state = COMMAND_IN_SERVICE;
	command->timer.fn = served;
	vf_timer_set(owner->ring, &command->timer, command->begin_ns + latency);
}

/* The first command of @queue that may start now. */
static struct admin_command *startable(const struct admin_queue *queue)
{
	bool earlier = false; /* something before it is not executed */

	for (struct admin_command *c = queue->first; c; c = c->queue_next) {
		if (c->state == COMMAND_WAITS) {
			if (concerns_all(c) ? !earlier
					    : !c->fn || c->fn->admin->line == c ||
						      WRONG(c->owner, ORDER_BROKEN))
				return c;
		}
		if (c->state != COMMAND_EXECUTED) {
			if (concerns_all(c))
				return NULL;
			earlier = true;
		}
	}
	return NULL;
}

static void probe_end(const struct admin_command *command)
{
	uint64_t now;

	if (!VFERRY_PROBE_ON(owner_command) && !VFERRY_PROBE_ON(owner_mode))
		return;
	now = vf_now_ns();
	VFERRY_PROBE6(owner_command, 0ULL,
		      (uint32_t)command->opcode | (uint32_t)command->group << 16, command->member,
		      command->answered, command->begin_ns, now);
	if (command->mode_asked && !command->answered)
		VFERRY_PROBE6(owner_mode, 0ULL, command->member, (uint32_t)command->mode_from,
			      (uint32_t)command->mode_to, command->begin_ns, now);
}

static void complete(struct admin_command *command)
{
	struct admin_request *request = command->request;
	bool silent = command->effect.silent || command->effect.lost;

	if (command->effect.die_after)
		command->owner->die(command->owner);
	if (request) {
		request->command = NULL;
		if (!silent) {
			request->complete(request, command->used);
			probe_end(command);
		}
	}
	free(command);
}

static void flush(struct admin_queue *queue)
{
	struct admin_command **at = &queue->first;

	while (queue->first && queue->first->state == COMMAND_EXECUTED)
		complete(queue_pop(queue));
	/* One that waits is overtaken. */
	while (*at && WRONG((*at)->owner, ORDER_BROKEN)) {
		struct admin_command *command = *at;

		if (command->state != COMMAND_EXECUTED) {
			at = &command->queue_next;
			continue;
		}
		*at = command->queue_next;
		if (!*at)
			queue->end = at;
		complete(command);
	}
}

static void turn_queue(struct admin_queue *queue)
{
	struct admin_command *command;

	do {
		flush(queue);
		command = startable(queue);
		if (command)
			start(command);
	} while (command);
	flush(queue);
}

/* A command that ends may let another queue's begin: until nothing moves. Never nested, however it was called. */
static void turn(struct owner *owner)
{
	struct admin *admin = owner->admin;

	admin->turn_again = true;
	if (admin->turning)
		return;
	admin->turning = true;
	while (admin->turn_again) {
		admin->turn_again = false;
		for (unsigned int i = 0; i < admin->queues_used; i++)
			if (admin->queues[i].first)
				turn_queue(&admin->queues[i]);
	}
	admin->turning = false;
}

void service_executed(struct admin_command *command, struct answer answer)
{
	struct owner *owner = command->owner;

	if (command->request && !command->effect.silent && !command->effect.lost)
		write_answer(command, answer);
	line_leave(command);
	command->state = COMMAND_EXECUTED;
	if (!command->request)
		free(command); /* in no queue any more */
	turn(owner);
}

/* --- taking and forgetting requests ------------------------------------------------------------------------------ */

static void refuse_without_memory(struct owner *owner, struct admin_request *request)
{
	struct admin_command command = { .owner = owner, .request = request };

	write_answer(&command, ANSWER(ENOMEM, NORESOURCE));
	request->complete(request, command.used);
}

void admin_request_begin(struct owner *owner, struct admin_request *request)
{
	struct vferry_admin_hdr header = { 0 };
	unsigned int number = request->queue % OWNER_MAX_QUEUES;
	struct admin_queue *queue = &owner->admin->queues[number];
	struct admin_command *command = calloc(1, sizeof(*command));

	if (!command) {
		refuse_without_memory(owner, request);
		return;
	}
	if (number >= owner->admin->queues_used)
		owner->admin->queues_used = number + 1;
	command->owner = owner;
	command->request = request;
	request->command = command;
	command->data = segments_at(request->out, request->out_count, 0);
	segments_get(&command->data, &header, HEADER_BYTES);
	command->opcode = le16toh(header.opcode);
	command->group = le16toh(header.group_type);
	command->member = le64toh(header.group_member_id);
	command->writable = segments_bytes(request->in, request->in_count);
	command->result = segments_at(request->in, request->in_count, ANSWER_BYTES);
	command->effect = faults_pick(owner, command->opcode, command->member);
	wrong_form(command, &header, segments_bytes(request->out, request->out_count));
	*queue->end = command;
	queue->end = &command->queue_next;
	line_enter(command);
	turn(owner);
}

/* What is being executed goes on without its memory, so that the member's line stays in order. */
static void forget(struct admin_command *command)
{
	struct owner *owner = command->owner;

	command->request->command = NULL;
	command->request = NULL;
	if (command->state == COMMAND_EXECUTING)
		return;
	if (owner->ring)
		vf_timer_stop(owner->ring, &command->timer);
	line_leave(command);
	free(command);
}

/* All of them before the next command begins: those of other queues may go on, those of these may not. */
void service_forget(struct owner *owner, unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count && i < OWNER_MAX_QUEUES; i++)
		while (owner->admin->queues[i].first)
			forget(queue_pop(&owner->admin->queues[i]));
	turn(owner);
}

void service_free(struct owner *owner)
{
	service_forget(owner, 0, OWNER_MAX_QUEUES);
	/* Commands whose Active -> Stop never ended stand in their member's line only. */
	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		while (owner->vfs[i].admin && owner->vfs[i].admin->line) {
			struct admin_command *command = owner->vfs[i].admin->line;

			line_leave(command);
			free(command);
		}
}
