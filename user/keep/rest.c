// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A queue whose engine is gone. What it had made available the device finishes; then queue_reset empties the rings, so that
 * the next engine finds nothing of the last one. Each step is a look at the rings, which are in memory, and returns to the loop: other
 * borrowers' kicks and requests go on meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "keep/loans.h"

#define FIRST_STEP_NS 100000ULL
#define LAST_STEP_NS  20000000ULL
#define RESET_NS      1000000000ULL

/* What the last engine heard must not wake the next; nor may it find the eventfd with other flags than it was made with. */
static void drain(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t value;

	if (fd < 0)
		return;
	if (poll(&poll_fd, 1, 0) > 0 && read(fd, &value, sizeof(value)) < 0)
		return;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void at_rest(struct loan *loan)
{
	struct loans *loans = loan->loans;
	struct vferry_error err = { 0 };

	drain(loan->lease.call_fd);
	if (loans->ops->unlease(loans->device, &loan->lease, &err)) {
		/* Its arena is still mapped for the device, at an address that may not be used again. */
		loan->state = VF_LOAN_WEDGED;
		loans_trouble(loans, -EIO, "admin queue %u: the arena cannot be unmapped: %s",
			      loan->queue, err.text);
	} else {
		loan->state = 0;
	}
	if (loans->ended)
		loans->ended(loans, loan);
	if (!loan->state) {
		loan->alone = false;
		loan->vfs = (struct vf_vfset){ 0 };
		loan->pid = 0;
	}
	loans_serve(loans);
}

static void wedged(struct loan *loan, uint16_t pending)
{
	struct loans *loans = loan->loans;

	loan->state = VF_LOAN_WEDGED;
	loans_trouble(loans, -EIO,
		      "this owner is wedged: %u commands of pid %u (%s) on admin queue %u stay "
		      "unanswered%s. Nothing is lent until they are answered; vferry keep OWNER "
		      "--stop gives it up, and all its VFs lose their state",
		      pending, loan->pid, loan->comm, loan->queue,
		      loan->lease.can_reset ? " and the queue does not reset"
					    : ", and the device has no queue reset");
	if (loans->ended)
		loans->ended(loans, loan);
}

static void step(struct vf_timer *timer)
{
	struct loan *loan = (struct loan *)((char *)timer - offsetof(struct loan, timer));
	struct loans *loans = loan->loans;
	uint16_t pending = loans->ops->pending(loans->device, loan->queue);
	uint64_t now = vf_now_ns();
	int ret;

	if (pending && now < loan->rest_until_ns) {
		loan->rest_step_ns *= 2;
		if (loan->rest_step_ns > LAST_STEP_NS)
			loan->rest_step_ns = LAST_STEP_NS;
		vf_timer_set(loans->ring, timer, now + loan->rest_step_ns);
		return;
	}
	ret = -EOPNOTSUPP;
	if (loan->lease.can_reset)
		ret = loans->ops->reset(loans->device, loan->queue, now + RESET_NS, NULL);
	/* Without a reset, rings that have caught up are at rest as they are; a reset that failed half way is not. */
	if (!ret || (ret == -EOPNOTSUPP && !pending))
		at_rest(loan);
	else
		wedged(loan, pending);
}

void rest_begin(struct loan *loan)
{
	struct loans *loans = loan->loans;

	loan->state = VF_LOAN_RESTING;
	loan->timer.fn = step;
	loan->rest_step_ns = FIRST_STEP_NS;
	/* Who has a reset to fall back on need not wait the whole time; a borrower may be waiting for this. */
	loan->rest_until_ns =
		vf_now_ns() + (loan->lease.can_reset ? loans->rest_ns / 2 : loans->rest_ns);
	/* It may have died between its last available entry and the doorbell. */
	if (loans->ops->pending(loans->device, loan->queue))
		loans->ops->kick(loans->device, &loan->lease);
	vf_timer_set(loans->ring, &loan->timer, 0);
}

bool rest_again(struct loan *loan)
{
	struct loans *loans = loan->loans;

	if (loans->ops->pending(loans->device, loan->queue))
		return false;
	loan->state = VF_LOAN_RESTING;
	if (!loans_wedged(loans) && loans->trouble_code == -EIO)
		loans_trouble(loans, 0, " ");
	loan->rest_until_ns = 0;
	loan->rest_step_ns = FIRST_STEP_NS;
	vf_timer_set(loans->ring, &loan->timer, 0);
	return true;
}
