// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "ring/ring.h"
#include "ring/timer.h"

struct vf_ring {
	struct io_uring uring;
	struct vf_timers timers;
	struct vf_ring_stats stats;
	struct vf_hook *hooks;
	struct vf_hook *next_hook; /* where run_hooks() goes on; vf_ring_unhook() keeps it valid */
	int event_fd;		   /* vf_ring_fd(), -1 before it is asked for */
	uint32_t under_way;	   /* operations with completions due */
};

uint64_t vf_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static int setup(struct vf_ring *ring, unsigned int entries)
{
	/* From the newest kernels' set to what every io_uring has. */
	static const unsigned int tries[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int ret = -EINVAL;

	for (unsigned int i = 0; i < sizeof(tries) / sizeof(tries[0]) && ret == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | tries[i],
			.cq_entries = entries * 4,
		};

		ret = io_uring_queue_init_params(entries, &ring->uring, &params);
	}
	return ret;
}

int vf_ring_new(struct vf_ring **out, unsigned int entries, struct vferry_error *err)
{
	struct vf_ring *ring = calloc(1, sizeof(*ring));
	int ret;

	if (!ring)
		return vferry_fail(err, -ENOMEM, "no memory for an io_uring");
	ring->event_fd = -1;
	ret = setup(ring, entries);
	if (ret) {
		free(ring);
		if (ret == -ENOSYS)
			return vferry_fail(err, ret,
					   "this kernel has no io_uring (CONFIG_IO_URING)");
		if (ret == -EPERM || ret == -EACCES)
			return vferry_fail(
				err, -EPERM,
				"io_uring is forbidden here: see sysctl kernel.io_uring_disabled "
				"and the container's seccomp profile");
		if (ret == -ENOMEM)
			return vferry_fail(
				err, ret,
				"no memory for an io_uring of %u entries: raise RLIMIT_MEMLOCK",
				entries);
		return vferry_fail(err, ret, "cannot make an io_uring of %u entries: %s", entries,
				   strerror(-ret));
	}
	*out = ring;
	return 0;
}

void vf_ring_free(struct vf_ring *ring)
{
	if (!ring)
		return;
	vf_timers_free(&ring->timers);
	if (ring->under_way) {
		struct io_uring_sqe *sqe = vf_ring_sqe(ring, NULL);
		uint64_t deadline = vf_now_ns() + 2000000000ULL;

		io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
		while (ring->under_way && vf_now_ns() < deadline) {
			int ret = vf_ring_turn(ring, deadline);

			if (ret < 0 && ret != -EINTR)
				break;
		}
	}
	io_uring_queue_exit(&ring->uring);
	if (ring->event_fd >= 0)
		close(ring->event_fd);
	free(ring);
}

unsigned int vf_ring_flags(const struct vf_ring *ring)
{
	return ring->uring.flags;
}

int vf_ring_fd(struct vf_ring *ring)
{
	int ret;

	if (ring->event_fd >= 0)
		return ring->event_fd;
	ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->event_fd < 0)
		return -errno;
	ret = io_uring_register_eventfd(&ring->uring, ring->event_fd);
	if (ret) {
		close(ring->event_fd);
		ring->event_fd = -1;
		return ret;
	}
	/* What came before the first call counts too. */
	eventfd_write(ring->event_fd, 1);
	return ring->event_fd;
}

uint64_t vf_ring_next_timer(const struct vf_ring *ring)
{
	return vf_timers_next(&ring->timers);
}

const struct vf_ring_stats *vf_ring_stats(const struct vf_ring *ring)
{
	return &ring->stats;
}

struct io_uring_sqe *vf_ring_sqe(struct vf_ring *ring, struct vf_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	while (!sqe) {
		vf_ring_flush(ring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	io_uring_sqe_set_data(sqe, op);
	if (op) {
		if (!op->busy)
			ring->under_way++;
		op->busy = true;
	}
	return sqe;
}

void vf_ring_reserve(struct vf_ring *ring, unsigned int count)
{
	while (io_uring_sq_space_left(&ring->uring) < count)
		vf_ring_flush(ring);
}

void vf_ring_quiet(struct vf_ring *ring, struct io_uring_sqe *sqe)
{
	if (ring->uring.features & IORING_FEAT_CQE_SKIP)
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

int vf_ring_flush(struct vf_ring *ring)
{
	int ret = io_uring_submit(&ring->uring);

	ring->stats.enters++;
	if (ret < 0)
		return ret;
	ring->stats.submitted += (uint64_t)ret;
	return 0;
}

void vf_ring_cancel(struct vf_ring *ring, struct vf_op *op)
{
	struct io_uring_sqe *sqe;

	if (!op->busy)
		return;
	sqe = vf_ring_sqe(ring, NULL);
	io_uring_prep_cancel(sqe, op, 0);
}

static int reap(struct vf_ring *ring)
{
	struct io_uring_cqe *cqe;
	int calls = 0;

	/* One entry at a time: a callback may submit, and even turn the ring itself. */
	while (!io_uring_peek_cqe(&ring->uring, &cqe) && cqe) {
		struct vf_op *op = io_uring_cqe_get_data(cqe);
		int32_t res = cqe->res;
		uint32_t flags = cqe->flags;

		io_uring_cqe_seen(&ring->uring, cqe);
		ring->stats.completed++;
		if (!op)
			continue;
		if (!(flags & IORING_CQE_F_MORE)) {
			op->busy = false;
			ring->under_way--;
		}
		op->done(op, res, flags);
		calls++;
	}
	return calls;
}

static int run_timers(struct vf_ring *ring)
{
	uint64_t now = vf_now_ns();
	struct vf_timer *timer;
	int calls = 0;

	while ((timer = vf_timers_due(&ring->timers, now))) {
		timer->fn(timer);
		calls++;
	}
	return calls;
}

void vf_ring_hook(struct vf_ring *ring, struct vf_hook *hook)
{
	hook->next = ring->hooks;
	ring->hooks = hook;
}

void vf_ring_unhook(struct vf_ring *ring, struct vf_hook *hook)
{
	for (struct vf_hook **at = &ring->hooks; *at; at = &(*at)->next) {
		if (*at != hook)
			continue;
		*at = hook->next;
		if (ring->next_hook == hook)
			ring->next_hook = hook->next;
		return;
	}
}

static int run_hooks(struct vf_ring *ring)
{
	struct vf_hook *hook = ring->hooks;
	int calls = 0;

	while (hook) {
		ring->next_hook = hook->next;
		calls += hook->fn(hook);
		hook = ring->next_hook;
	}
	return calls;
}

static int wait_for_one(struct vf_ring *ring, uint64_t until_ns)
{
	struct io_uring_cqe *cqe = NULL;
	uint64_t now = vf_now_ns();
	struct __kernel_timespec ts;
	int ret;

	ring->stats.enters++;
	ring->stats.submitted += io_uring_sq_ready(&ring->uring);
	if (until_ns == UINT64_MAX)
		return io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, NULL, NULL);
	if (until_ns <= now) {
		/* Deferred task work runs only inside io_uring_enter() with GETEVENTS. */
		ret = io_uring_submit_and_get_events(&ring->uring);
		return ret < 0 ? ret : 0;
	}
	ts.tv_sec = (long long)((until_ns - now) / 1000000000ULL);
	ts.tv_nsec = (long long)((until_ns - now) % 1000000000ULL);
	return io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &ts, NULL);
}

int vf_ring_turn(struct vf_ring *ring, uint64_t deadline_ns)
{
	int calls;
	uint64_t until;
	int ret;

	/* Before anything is looked at: what comes later raises it again. */
	if (ring->event_fd >= 0) {
		eventfd_t signals;

		eventfd_read(ring->event_fd, &signals);
	}
	calls = run_hooks(ring);
	until = vf_timers_next(&ring->timers);
	if (deadline_ns < until)
		until = deadline_ns;
	if (calls || io_uring_cq_ready(&ring->uring))
		until = 0;
	ret = wait_for_one(ring, until);
	if (ret < 0 && ret != -ETIME && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	calls += reap(ring);
	calls += run_timers(ring);
	if (!calls && ret == -EINTR)
		return -EINTR;
	return calls;
}

void vf_timer_set(struct vf_ring *ring, struct vf_timer *timer, uint64_t at_ns)
{
	vf_timers_set(&ring->timers, timer, at_ns);
}

void vf_timer_stop(struct vf_ring *ring, struct vf_timer *timer)
{
	vf_timers_stop(&ring->timers, timer);
}
