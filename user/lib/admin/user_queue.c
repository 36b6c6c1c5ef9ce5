// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An admin queue of an owner, driven from user space. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/probes.h>
#include "admin/queue_inside.h"

/* Answers that come faster than this are taken several at a time; none waits longer than that for it. */
#define LOOK_EVERY_NS	 200000ULL
#define LOOK_AT_LEAST_NS 1000000ULL

static struct user_queue *queue_of(struct vf_admin *admin)
{
	return (struct user_queue *)admin;
}

static int reap(struct user_queue *queue);

/* Whoever was stopped for a while finds deadlines passed and answers waiting: the answers count. */
static bool answered_meanwhile(struct user_queue *queue, struct vferry_cmd *cmd)
{
	const struct command_slot *slot = &queue->slots[of(cmd)->slot];

	reap(queue);
	/* The command's memory may be its caller's again, or carry another command. */
	return slot->cmd != cmd || of(cmd)->deadline_ns > vf_now_ns();
}

static void due(struct vf_timer *timer)
{
	struct cmd_state_of *state =
		(struct cmd_state_of *)((char *)timer - offsetof(struct cmd_state_of, timer));
	struct vferry_cmd *cmd =
		(struct vferry_cmd *)((char *)state - offsetof(struct vferry_cmd, private_));
	struct user_queue *queue = state->queue;

	if (state->state == CMD_RETRY && vf_now_ns() < state->deadline_ns) {
		vf_cmd_remove(cmd);
		vf_timer_set(queue->base.ring, &state->timer, state->deadline_ns);
		vf_queue_send(queue, cmd);
		return;
	}
	if (state->state == CMD_ISSUED && answered_meanwhile(queue, cmd)) {
		vf_queue_deliver(queue);
		return;
	}
	vf_queue_end(queue, cmd, -ETIMEDOUT,
		     state->state == CMD_ISSUED ? "no answer before the deadline"
		     : cmd->retries		? "the device answered EAGAIN until the deadline"
				    : "not sent before the deadline: the admin queue was full");
	vf_queue_deliver(queue);
}

/* --- answers --- */

static void put_off(struct user_queue *queue, struct vferry_cmd *cmd)
{
	struct cmd_state_of *state = of(cmd);
	uint64_t at = vf_now_ns() + vf_backoff_ns(&state->backoff_us);

	state->state = CMD_RETRY;
	vf_cmd_append(&queue->retrying, cmd);
	vf_timer_set(queue->base.ring, &state->timer,
		     at < state->deadline_ns ? at : state->deadline_ns);
}

static void answered(struct user_queue *queue, const struct vf_vq_answer *answer)
{
	struct command_slot *slot = answer->token;
	struct vferry_cmd *cmd = slot->cmd;
	struct lane *lane;
	bool later;

	if (!cmd) {
		queue->base.abandoned--;
		vf_slot_free(queue, slot);
		return;
	}
	queue->answers++;
	vf_cmd_remove(cmd);
	queue->base.queued++;
	cmd->wake_ns = queue->wake_ns > cmd->issue_ns ? queue->wake_ns : vf_now_ns();
	cmd->error = queue->way->take(queue, cmd, (uint16_t)(slot - queue->slots), answer->length);
	vf_slot_free(queue, slot);
	later = !cmd->error && cmd->status == VFERRY_STATUS_EAGAIN && !cmd->no_retry;
	if (later) {
		cmd->retries++;
		queue->base.stats.retried++;
	}
	lane = of(cmd)->lane;
	if (lane && vf_order_answered(cmd, later))
		return;
	if (!lane && later) {
		put_off(queue, cmd);
		return;
	}
	of(cmd)->lane = NULL;
	vf_queue_finish(queue, cmd, cmd->error, cmd->why);
	if (lane)
		vf_order_ended(lane, CMD_ISSUED, 0);
}

static int reap(struct user_queue *queue)
{
	struct vf_vq_answer answer;
	int calls = 0, ret;

	if (queue->base.dead)
		return vf_queue_deliver(queue);
	while ((ret = queue->way->pop(queue, &answer)) > 0) {
		answered(queue, &answer);
		/* One at a time: there is one buffer for answers. */
		calls += vf_queue_deliver(queue);
	}
	if (ret < 0)
		vf_queue_die(queue, -EPROTO, queue->vq.broken);
	return calls + vf_queue_deliver(queue);
}

/* --- sending --- */

void vf_queue_send(struct user_queue *queue, struct vferry_cmd *cmd)
{
	of(cmd)->state = CMD_WAITING;
	queue->base.wants_turn = true;
	vf_cmd_append(&queue->waiting, cmd);
}

static void issue(struct user_queue *queue)
{
	struct vferry_cmd *first = NULL;
	uint64_t now = 0;

	queue->base.wants_turn = false;
	while (queue->waiting.head && queue->free_slot != NO_SLOT && !queue->base.dead) {
		struct vferry_cmd *cmd = queue->waiting.head;
		struct command_slot *slot = &queue->slots[queue->free_slot];

		if (queue->way->add(queue, cmd, queue->free_slot))
			break;
		of(cmd)->slot = queue->free_slot;
		queue->free_slot = slot->next_free;
		slot->in_use = true;
		slot->cmd = cmd;
		queue->base.inflight++;
		queue->base.queued--;
		vf_cmd_remove(cmd);
		of(cmd)->state = CMD_ISSUED;
		vf_cmd_append(&queue->issued, cmd);
		if (!first)
			first = cmd;
	}
	if (!first)
		return;
	if (queue->base.inflight > queue->base.stats.inflight_max)
		queue->base.stats.inflight_max = queue->base.inflight;
	now = vf_now_ns();
	for (struct vferry_cmd *cmd = first; cmd; cmd = of(cmd)->next)
		cmd->issue_ns = now;
	queue->way->publish(queue);
}

/*
 * How many answers may come before one interrupts. A device that copies a chunk in ten microseconds would spend as long on
 * interrupting: where all that is under way is relaxed, and answers come fast, several are taken at a time. The device
 * has half of the commands left to work on, so that it does not run dry while we come.
 */
static uint16_t may_wait(const struct user_queue *queue)
{
	uint64_t most = queue->issued.count / 2;

	if (!most || !queue->gap_ns || queue->gap_ns > LOOK_EVERY_NS / 2)
		return 0;
	for (struct vferry_cmd *cmd = queue->issued.head; cmd; cmd = of(cmd)->next)
		if (!cmd->relaxed)
			return 0;
	return (uint16_t)(LOOK_EVERY_NS / queue->gap_ns < most ? LOOK_EVERY_NS / queue->gap_ns
							       : most);
}

static void look(struct vf_timer *timer)
{
	struct user_queue *queue =
		(struct user_queue *)((char *)timer - offsetof(struct user_queue, look));

	queue->gap_ns = 0;
	reap(queue);
}

static bool listen_for_answers(struct user_queue *queue)
{
	uint16_t skip = may_wait(queue);

	if (skip)
		vf_timer_set(queue->base.ring, &queue->look, vf_now_ns() + LOOK_AT_LEAST_NS);
	else
		vf_timer_stop(queue->base.ring, &queue->look);
	return queue->way->listen(queue, skip);
}

static int before_wait(struct vf_hook *hook)
{
	struct user_queue *queue =
		(struct user_queue *)((char *)hook - offsetof(struct user_queue, hook));
	int calls = 0;

	/* A device that answers faster than we look is looked at again, but the turn must go on some time. */
	for (unsigned int round = 0; round < 8; round++) {
		calls += reap(queue);
		issue(queue);
		if (queue->base.dead)
			return calls + vf_queue_deliver(queue);
		if (queue->base.polled) {
			queue->way->quiet(queue);
			return calls;
		}
		if (!listen_for_answers(queue))
			return calls;
	}
	return calls ? calls : 1;
}

/* --- events --- */

static void listen_for_call(struct user_queue *queue)
{
	/* Edge by edge: the count is never read, each signal is one completion. */
	io_uring_prep_poll_multishot(vf_ring_sqe(queue->base.ring, &queue->call),
				     queue->lease->call_fd, POLLIN);
}

static void called(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct user_queue *queue =
		(struct user_queue *)((char *)op - offsetof(struct user_queue, call));

	if (queue->closing)
		return;
	if (res > 0) {
		uint64_t now = vf_now_ns();

		queue->gap_ns = queue->answers ? (now - queue->wake_ns) / queue->answers : 0;
		queue->answers = 0;
		queue->wake_ns = now;
		queue->base.stats.interrupts++;
		queue->way->quiet(queue);
		reap(queue);
	}
	if (flags & IORING_CQE_F_MORE)
		return;
	if (res >= 0)
		listen_for_call(queue);
	else
		vf_queue_die(queue, -EIO, "the interrupt's eventfd cannot be polled");
	if (queue->base.dead)
		vf_queue_deliver_soon(queue);
}

static void listen_for_end(struct user_queue *queue, int fd)
{
	io_uring_prep_poll_multishot(vf_ring_sqe(queue->base.ring, &queue->end), fd,
				     POLLIN | POLLRDHUP);
}

static void ended(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct user_queue *queue =
		(struct user_queue *)((char *)op - offsetof(struct user_queue, end));
	int ret;

	if (queue->closing || res < 0)
		return;
	ret = queue->lease->ops->alive(queue->lease);
	if (ret == -ECANCELED)
		queue->base.recalled = true;
	if (ret && ret != -ECANCELED) {
		/* What was answered before the end still counts. */
		reap(queue);
		vf_queue_die(queue, -ENODEV,
			     "the owner or its keeper is gone, or the owner was reset");
		vf_queue_deliver(queue);
	} else if (!(flags & IORING_CQE_F_MORE)) {
		listen_for_end(queue, queue->lease->ops->fd(queue->lease));
	}
}

/* --- the admin interface --- */

static void submit(struct vf_admin *admin, struct vferry_cmd *cmd)
{
	struct user_queue *queue = queue_of(admin);
	struct cmd_state_of *state = of(cmd);
	const char *why = queue->way->check(queue, cmd);

	admin->queued++;
	state->queue = queue;
	state->deadline_ns =
		cmd->deadline_ns ? cmd->deadline_ns : cmd->submit_ns + admin->timeout_ns;
	state->timer.fn = due;
	if (why || admin->dead) {
		vf_queue_finish(queue, cmd, why ? -EINVAL : admin->dead,
				why ? why : queue->dead_why);
		vf_queue_deliver_soon(queue);
		return;
	}
	vf_timer_set(admin->ring, &state->timer, state->deadline_ns);
	if (cmd->order == VFERRY_ORDER_FREE || cmd->order == VF_ORDER_RAW) {
		vf_queue_send(queue, cmd);
	} else if (vf_order_submit(queue, cmd)) {
		vf_queue_finish(queue, cmd, -ENOMEM, "no memory");
		vf_queue_deliver_soon(queue);
	}
}

static void cancel(struct vf_admin *admin, struct vferry_cmd *cmd)
{
	struct user_queue *queue = queue_of(admin);

	vf_queue_end(queue, cmd, -ECANCELED, "cancelled");
	vf_queue_deliver_soon(queue);
}

static int settle(struct vf_admin *admin, uint64_t deadline_ns)
{
	struct user_queue *queue = queue_of(admin);
	uint64_t now = vf_now_ns(), until = deadline_ns;
	int ret;

	if (queue->lease->can_reset && now < deadline_ns)
		until = now + (deadline_ns - now) / 2;
	while (admin->abandoned && !admin->dead && vf_now_ns() < until) {
		ret = vf_ring_turn(admin->ring, until);
		if (ret < 0 && ret != -EINTR)
			return ret;
	}
	if (admin->dead && admin->dead != -EPROTO)
		return -ENODEV;
	if (!admin->abandoned && !admin->dead)
		return 0;
	ret = queue->lease->can_reset ? queue->lease->ops->reset(queue->lease, deadline_ns)
				      : -EOPNOTSUPP;
	if (ret)
		return ret == -ENODEV ? ret : -EBUSY;
	vf_queue_end_all(queue, -ECANCELED, "the admin queue was reset");
	queue->way->restart(queue);
	vf_slots_free(queue);
	admin->dead = 0;
	queue->dead_why = NULL;
	vf_queue_deliver_soon(queue);
	return 0;
}

static void close_queue(struct vf_admin *admin)
{
	struct user_queue *queue = queue_of(admin);
	uint64_t deadline = vf_now_ns() + 2000000000ULL;

	queue->closing = true;
	vf_ring_unhook(admin->ring, &queue->hook);
	vf_queue_end_all(queue, -ECANCELED, "the owner was closed");
	vf_queue_deliver(queue);
	vf_ring_cancel(admin->ring, &queue->call);
	vf_ring_cancel(admin->ring, &queue->end);
	while ((queue->call.busy || queue->end.busy) && vf_now_ns() < deadline) {
		int ret = vf_ring_turn(admin->ring, deadline);

		if (ret < 0 && ret != -EINTR)
			break;
	}
	vf_timer_stop(admin->ring, &queue->soon);
	vf_timer_stop(admin->ring, &queue->look);
	vf_order_free(queue);
	queue->way->close(queue);
	free(queue->slots);
	free(queue);
}

static const struct vf_admin_ops ops = {
	.submit = submit,
	.cancel = cancel,
	.settle = settle,
	.close = close_queue,
};

int vf_queue_open(struct user_queue **out, struct vf_ring *ring, struct vf_lease *lease,
		  const struct vf_queue_way *way, void *carrier, unsigned int slots,
		  struct vferry_error *err)
{
	struct user_queue *queue = calloc(1, sizeof(*queue));
	int fd;

	if (queue)
		queue->slots = calloc(slots, sizeof(*queue->slots));
	if (!queue || !queue->slots) {
		free(queue);
		return vferry_fail(err, -ENOMEM, "no memory");
	}
	queue->slots_count = slots;
	queue->way = way;
	queue->carrier = carrier;
	queue->base.ops = &ops;
	queue->base.ring = ring;
	queue->base.timeout_ns = 5000000000ULL;
	queue->base.room = queue->slots_count;
	queue->base.owner_hash = vferry_probe_hash(lease->address);
	queue->lease = lease;
	queue->call.done = called;
	queue->end.done = ended;
	queue->soon.fn = vf_queue_deliver_now;
	queue->look.fn = look;
	queue->hook.fn = before_wait;
	vf_slots_free(queue);
	listen_for_call(queue);
	fd = lease->ops->fd(lease);
	if (fd >= 0)
		listen_for_end(queue, fd);
	vf_ring_hook(ring, &queue->hook);
	*out = queue;
	return 0;
}

/* --- the virtqueue that carries them --- */

static void ring_doorbell(struct user_queue *queue)
{
	static const uint64_t one = 1; /* outlives the queue, as a write on its way may */
	struct io_uring_sqe *sqe;

	queue->base.stats.doorbells++;
	switch (queue->lease->doorbell) {
	case VF_DOORBELL_STORE:
		*queue->lease->notify = htole16(queue->lease->queue);
		break;
	case VF_DOORBELL_EVENTFD:
		/* Goes out with the system call that waits, and cannot block it. */
		sqe = vf_ring_sqe(queue->base.ring, NULL);
		io_uring_prep_write(sqe, queue->lease->kick_fd, &one, sizeof(one), 0);
		vf_ring_quiet(queue->base.ring, sqe);
		break;
	case VF_DOORBELL_RELAY:
		if (queue->lease->ops->kick(queue->lease) == -ENODEV)
			vf_queue_die(queue, -ENODEV, "the owner or its keeper is gone");
		break;
	}
}

static void publish(struct user_queue *queue)
{
	if (vf_vq_publish(&queue->vq))
		ring_doorbell(queue);
}

static int pop(struct user_queue *queue, struct vf_vq_answer *answer)
{
	return vf_vq_pop(&queue->vq, answer);
}

static bool listen_to_vq(struct user_queue *queue, uint16_t skip)
{
	return vf_vq_listen(&queue->vq, skip);
}

static void quiet(struct user_queue *queue)
{
	vf_vq_quiet(&queue->vq);
}

static void restart(struct user_queue *queue)
{
	vf_vq_restart(&queue->vq);
}

static void close_vq(struct user_queue *queue)
{
	vf_vq_close(&queue->vq);
}

static const struct vf_queue_way virtqueue = {
	.check = vf_chain_check,
	.add = vf_chain_add,
	.publish = publish,
	.pop = pop,
	.take = vf_chain_take,
	.listen = listen_to_vq,
	.quiet = quiet,
	.restart = restart,
	.close = close_vq,
};

/* A lease may come from another process: its offsets are checked before they are followed. */
static const char *check_lease(const struct vf_lease *lease, struct vf_vq_layout *layout)
{
	struct vf_vq_layout size = { 0 };

	if (!lease->queue_size || lease->queue_size > 32768 ||
	    (lease->queue_size & (lease->queue_size - 1)))
		return "its size is no power of two";
	size = vf_vq_layout(lease->queue_size);
	if (lease->desc_offset % 16 || lease->avail_offset % 2 || lease->used_offset % 4 ||
	    lease->commands_offset % 64 || lease->commands_offset > lease->rings_bytes ||
	    lease->desc_offset > lease->commands_offset ||
	    size.avail > lease->commands_offset - lease->desc_offset ||
	    lease->avail_offset > lease->commands_offset ||
	    6U + 2U * lease->queue_size > lease->commands_offset - lease->avail_offset ||
	    lease->used_offset > lease->commands_offset ||
	    6U + 8U * lease->queue_size > lease->commands_offset - lease->used_offset)
		return "its parts do not fit in its memory";
	layout->desc = lease->desc_offset;
	layout->avail = lease->avail_offset;
	layout->used = lease->used_offset;
	layout->bytes = lease->commands_offset;
	if (lease->rings_bytes - lease->commands_offset < VF_COMMAND_BYTES)
		return "it has no memory for commands";
	return NULL;
}

int vf_user_queue_open(struct vf_admin **admin, struct vf_ring *ring, struct vf_lease *lease,
		       struct vferry_error *err)
{
	struct user_queue *queue;
	struct vf_vq_layout layout;
	const char *why = check_lease(lease, &layout);
	struct vf_vq vq;
	uint64_t slots;
	int ret;

	if (why)
		return vferry_fail(err, -EINVAL, "%s: admin queue %u as lent: %s", lease->address,
				   lease->queue, why);
	slots = (lease->rings_bytes - lease->commands_offset) / VF_COMMAND_BYTES;
	if (slots > lease->queue_size)
		slots = lease->queue_size;
	ret = vf_vq_open(&vq, lease->rings, &layout, lease->queue_size, lease->event_idx);
	if (ret)
		return vferry_fail(err, ret, "%s: admin queue %u: %s", lease->address, lease->queue,
				   ret == -EBUSY ? "it is not at rest: commands of an earlier "
						   "borrower have no answer"
						 : strerror(-ret));
	ret = vf_queue_open(&queue, ring, lease, &virtqueue, NULL, (unsigned int)slots, err);
	if (ret) {
		vf_vq_close(&vq);
		return ret;
	}
	queue->vq = vq;
	*admin = &queue->base;
	return 0;
}
