// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The epoch: 128 random bits for as long as this owner's state is what it was. A journal with another epoch speaks of
 * a state that is gone.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include "keep/keeper.h"
#include "virtio/pf.h"

#define HEALTH_NS 1000000000ULL

static int draw(struct keeper *keeper)
{
	size_t have = 0;

	while (have < sizeof(keeper->epoch)) {
		ssize_t n = getrandom(keeper->epoch + have, sizeof(keeper->epoch) - have, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			have += (size_t)n;
	}
	memcpy(keeper->loans.epoch, keeper->epoch, sizeof(keeper->epoch));
	successor_epoch(keeper);
	return 0;
}

static void tell_all(struct keeper *keeper, const char *words)
{
	keep_log("%s", words);
	for (struct session *s = keeper->sessions; s; s = s->next) {
		if (s->want.loan)
			session_gone(s, -ENODEV, words);
	}
}

static void owner_has_gone(struct keeper *keeper)
{
	char words[500];

	if (keeper->owner_gone)
		return;
	keeper->owner_gone = true;
	draw(keeper);
	snprintf(words, sizeof(words),
		 "the owner %s has gone (its connection ended); this keeper ends too",
		 keeper->address);
	loans_trouble(&keeper->loans, -ENODEV, "%s", words);
	tell_all(keeper, words);
	keeper->ended = true;
}

bool epoch_check(struct keeper *keeper)
{
	char words[500];

	if (keeper->owner_gone || keeper->needs_reset)
		return false;
	if (vf_bus_gone(vf_pf_bus(keeper->pf))) {
		owner_has_gone(keeper);
		return false;
	}
	if (!vf_pf_needs_reset(keeper->pf))
		return true;
	if (vf_bus_gone(vf_pf_bus(keeper->pf))) {
		owner_has_gone(keeper);
		return false;
	}
	/* Not ended by itself: that would reset the owner, and with it VFs that may still live. */
	keeper->needs_reset = true;
	draw(keeper);
	snprintf(words, sizeof(words),
		 "the owner was reset behind its keeper, or needs a reset (device_status); nothing "
		 "is lent. vferry keep %s --stop gives it up, and all its VFs lose their state",
		 keeper->address);
	loans_trouble(&keeper->loans, -EIO, "%s", words);
	tell_all(keeper, words);
	return false;
}

/* Readable says nothing on a socket, where answers come; on kernel VFIO it says that the kernel wants the device back. */
static void watch_owner(struct keeper *keeper)
{
	int fd = vf_bus_fd(vf_pf_bus(keeper->pf));

	if (fd >= 0)
		io_uring_prep_poll_add(vf_ring_sqe(keeper->ring, &keeper->hangup), fd,
				       POLLIN | POLLRDHUP);
}

static void hung_up(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct keeper *keeper = (struct keeper *)((char *)op - offsetof(struct keeper, hangup));

	if (res <= 0 || keeper->ended)
		return;
	if (vf_bus_gone(vf_pf_bus(keeper->pf)))
		owner_has_gone(keeper);
	else
		watch_owner(keeper);
}

static void look(struct vf_timer *timer)
{
	struct keeper *keeper = (struct keeper *)((char *)timer - offsetof(struct keeper, health));

	if (loans_lent(&keeper->loans) && !epoch_check(keeper))
		return;
	vf_timer_set(keeper->ring, timer, vf_now_ns() + HEALTH_NS);
}

int epoch_begin(struct keeper *keeper, struct vferry_error *err)
{
	int ret = keeper->resumed ? 0 : draw(keeper);

	memcpy(keeper->loans.epoch, keeper->epoch, sizeof(keeper->epoch));
	if (ret)
		return vferry_fail(err, ret, "getrandom: %s", strerror(-ret));
	keeper->hangup.done = hung_up;
	watch_owner(keeper);
	keeper->health.fn = look;
	vf_timer_set(keeper->ring, &keeper->health, vf_now_ns() + HEALTH_NS);
	return 0;
}
