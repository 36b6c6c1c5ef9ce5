// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "ring/ring.h"
#include "ring/timer.h"

struct seen {
	struct vf_op op;
	int calls;
	int32_t res;
};

static void note(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct seen *seen = (struct seen *)op;

	seen->calls++;
	seen->res = res;
}

static void nops_complete_once_each(void **state)
{
	struct seen seen[37] = { 0 };
	struct vf_ring *ring;
	int calls = 0;

	/* More operations than submission slots: a full queue is submitted, not lost. */
	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	for (int i = 0; i < 37; i++) {
		seen[i].op.done = note;
		io_uring_prep_nop(vf_ring_sqe(ring, &seen[i].op));
	}
	while (calls < 37) {
		int ret = vf_ring_turn(ring, vf_now_ns() + 1000000000ULL);

		assert_true(ret > 0);
		calls += ret;
	}
	for (int i = 0; i < 37; i++) {
		assert_int_equal(seen[i].calls, 1);
		assert_false(seen[i].op.busy);
	}
	vf_ring_free(ring);
}

static int fired;
static uint64_t last_at;

static void fire(struct vf_timer *timer)
{
	assert_true(timer->at_ns >= last_at);
	last_at = timer->at_ns;
	fired++;
}

static void timers_fire_in_order(void **state)
{
	struct vf_timer timers[101] = { 0 };
	struct vf_ring *ring;
	uint64_t now = vf_now_ns();

	fired = 0;
	last_at = 0;
	srand(7);
	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	for (int i = 0; i < 101; i++) {
		timers[i].fn = fire;
		vf_timer_set(ring, &timers[i], now + (uint64_t)(rand() % 3000000));
	}
	for (int i = 0; i < 101; i += 3)
		vf_timer_stop(ring, &timers[i]);
	for (int i = 1; i < 101; i += 3)
		vf_timer_set(ring, &timers[i], now + (uint64_t)(rand() % 3000000));
	while (vf_ring_next_timer(ring) != UINT64_MAX)
		assert_true(vf_ring_turn(ring, UINT64_MAX) >= 0);
	assert_int_equal(fired, 101 - 34);
	vf_ring_free(ring);
}

static void a_deadline_ends_the_wait(void **state)
{
	struct vf_ring *ring;
	uint64_t begin = vf_now_ns();

	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	assert_int_equal(vf_ring_turn(ring, begin + 2000000), 0);
	assert_true(vf_now_ns() - begin >= 2000000);
	assert_int_equal(vf_ring_turn(ring, 0), 0);
	vf_ring_free(ring);
}

static void cancel_completes_the_operation(void **state)
{
	struct seen seen = { .op.done = note };
	struct vf_ring *ring;
	uint64_t value;
	int fd = eventfd(0, 0);

	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	io_uring_prep_read(vf_ring_sqe(ring, &seen.op), fd, &value, sizeof(value), 0);
	assert_int_equal(vf_ring_turn(ring, 0), 0);
	vf_ring_cancel(ring, &seen.op);
	while (!seen.calls)
		assert_true(vf_ring_turn(ring, vf_now_ns() + 1000000000ULL) >= 0);
	assert_int_equal(seen.res, -ECANCELED);
	vf_ring_free(ring);
	close(fd);
}

static void free_waits_for_what_is_under_way(void **state)
{
	struct seen seen = { .op.done = note };
	struct vf_ring *ring;
	uint64_t value;
	int fd = eventfd(0, 0);

	assert_int_equal(vf_ring_new(&ring, 8, NULL), 0);
	io_uring_prep_read(vf_ring_sqe(ring, &seen.op), fd, &value, sizeof(value), 0);
	vf_ring_turn(ring, 0);
	vf_ring_free(ring);
	assert_int_equal(seen.calls, 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nops_complete_once_each),
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(a_deadline_ends_the_wait),
		cmocka_unit_test(cancel_completes_the_operation),
		cmocka_unit_test(free_waits_for_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
