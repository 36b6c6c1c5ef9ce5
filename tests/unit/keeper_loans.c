// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "keep/loans.c"
#include "keep/rest.c"

/* --- a device whose queues answer when told to --- */

static struct {
	uint16_t pending[16];
	bool leased[16];
	int resets, reset_result, kicks;
	int lease_result;
} dev;

static int fake_lease(void *device, unsigned int queue, uint64_t arena_bytes,
		      struct vf_lease *lease, struct vferry_error *err)
{
	if (dev.lease_result)
		return dev.lease_result;
	assert_false(dev.leased[queue]);
	/* The next engine finds the queue at rest. */
	assert_int_equal(dev.pending[queue], 0);
	dev.leased[queue] = true;
	*lease = (struct vf_lease){ .queue = (uint16_t)queue,
				    .call_fd = -1,
				    .can_reset = dev.reset_result != -EOPNOTSUPP };
	return 0;
}

static int fake_unlease(void *device, struct vf_lease *lease, struct vferry_error *err)
{
	dev.leased[lease->queue] = false;
	return 0;
}

static uint16_t fake_pending(void *device, unsigned int queue)
{
	return dev.pending[queue];
}

static void fake_kick(void *device, struct vf_lease *lease)
{
	dev.kicks++;
}

static int fake_reset(void *device, unsigned int queue, uint64_t deadline_ns,
		      struct vferry_error *err)
{
	dev.resets++;
	if (!dev.reset_result)
		dev.pending[queue] = 0;
	return dev.reset_result;
}

static const struct keep_device_ops fake = {
	.lease = fake_lease,
	.unlease = fake_unlease,
	.pending = fake_pending,
	.kick = fake_kick,
	.reset = fake_reset,
};

/* --- somebody who wants --- */

struct who {
	struct want want;
	bool granted, refused, is_dead;
	struct vferry_error err;
	struct loans *loans;
};

static void granted(struct want *want, struct loan *loan)
{
	assert_ptr_equal(want->loan, loan);
	((struct who *)want)->granted = true;
}

static void refused(struct want *want, const struct vferry_error *err)
{
	struct who *who = (struct who *)want;

	who->refused = true;
	who->err = *err;
}

static bool dead(struct want *want)
{
	struct who *who = (struct who *)want;

	if (!who->is_dead)
		return false;
	who->is_dead = false;
	loans_withdraw(who->loans, want);
	return true;
}

static struct loans loans;

static void ask(struct who *who, uint64_t vfs, bool wait, bool alone)
{
	*who = (struct who){ .want = { .vfs.bits[0] = vfs,
				       .wait = wait,
				       .alone = alone,
				       .pid = 4242,
				       .comm = "engine",
				       .granted = granted,
				       .refused = refused,
				       .dead = dead },
			     .loans = &loans };
	loans_ask(&loans, &who->want);
}

static void turn_until_quiet(void)
{
	for (int i = 0; i < 10000 && vf_ring_next_timer(loans.ring) != UINT64_MAX; i++)
		vf_ring_turn(loans.ring, UINT64_MAX);
}

static void begin(unsigned int queues)
{
	memset(&dev, 0, sizeof(dev));
	memset(&loans, 0, sizeof(loans));
	loans.ops = &fake;
	loans.num_vfs = 8;
	loans.rest_ns = 3000000;
	assert_int_equal(vf_ring_new(&loans.ring, 8, NULL), 0);
	assert_int_equal(loans_init(&loans, queues, NULL), 0);
}

static void end(void)
{
	loans_free(&loans);
	vf_ring_free(loans.ring);
}

static void the_vf_is_the_unit_of_exclusion(void **state)
{
	struct who a, b, c, d;

	begin(4);
	ask(&a, 1 << 1, false, false);
	ask(&b, 1 << 2 | 1 << 3, false, false);
	assert_true(a.granted && b.granted);
	assert_int_not_equal(a.want.loan->queue, b.want.loan->queue);
	assert_int_not_equal(a.want.loan->queue, 0);
	ask(&c, 1 << 3 | 1 << 4, false, false);
	assert_true(c.refused);
	assert_int_equal(c.err.code, -EBUSY);
	assert_non_null(strstr(c.err.text, "VF 3"));
	assert_non_null(strstr(c.err.text, "pid 4242 (engine)"));
	ask(&c, 1 << 4, false, false);
	assert_true(c.granted);
	/* The last queue is in use. */
	ask(&d, 1 << 5, false, false);
	assert_int_equal(d.err.code, -EBUSY);
	assert_non_null(strstr(d.err.text, "admin queues"));
	loans_withdraw(&loans, &b.want);
	turn_until_quiet();
	ask(&d, 1 << 2, false, false);
	assert_true(d.granted);
	ask(&b, 1 << 9, false, false);
	assert_int_equal(b.err.code, -ENXIO);
	end();
}

static void who_waits_is_served_in_order(void **state)
{
	struct who a, b, c, d;

	begin(4);
	ask(&a, 1 << 1, true, false);
	ask(&b, 1 << 1 | 1 << 2, true, false);
	ask(&c, 1 << 2, true, false);
	ask(&d, 1 << 3, true, false);
	assert_true(a.granted && d.granted);
	/* c could have VF 2 now, but b came first. */
	assert_false(b.granted || c.granted);
	assert_int_equal(loans_waiting(&loans), 2);
	loans_withdraw(&loans, &a.want);
	turn_until_quiet();
	assert_true(b.granted);
	assert_false(c.granted);
	loans_withdraw(&loans, &b.want);
	turn_until_quiet();
	assert_true(c.granted);
	assert_int_equal(loans_waiting(&loans), 0);
	end();
}

static void who_gives_up_waiting_holds_nobody(void **state)
{
	struct who a, b, c;

	begin(4);
	ask(&a, 1 << 1, true, false);
	ask(&b, 1 << 1 | 1 << 2, true, false);
	ask(&c, 1 << 2, true, false);
	assert_false(c.granted);
	loans_withdraw(&loans, &b.want);
	assert_true(c.granted);
	end();
}

static void alone_means_alone(void **state)
{
	struct who a, b, c;

	begin(4);
	ask(&a, 1 << 1, false, false);
	ask(&b, 0, false, true);
	assert_int_equal(b.err.code, -EBUSY);
	ask(&b, 0, true, true);
	assert_false(b.granted);
	loans_withdraw(&loans, &a.want);
	turn_until_quiet();
	assert_true(b.granted);
	ask(&c, 1 << 5, false, false);
	assert_int_equal(c.err.code, -EBUSY);
	assert_non_null(strstr(c.err.text, "to itself"));
	ask(&c, 1 << 5, true, false);
	loans_withdraw(&loans, &b.want);
	turn_until_quiet();
	assert_true(c.granted);
	end();
}

static void an_owner_with_one_queue_lends_it(void **state)
{
	struct who a, b;
	struct loan *own;

	begin(1);
	own = loans_own(&loans);
	assert_non_null(own);
	/* It does not ask to wait, and is not refused: the keeper is done in a moment. */
	ask(&a, 1 << 1, false, false);
	assert_false(a.granted || a.refused);
	loans_disown(own);
	assert_true(a.granted);
	assert_null(loans_own(&loans));
	ask(&b, 1 << 2, false, false);
	assert_int_equal(b.err.code, -EBUSY);
	end();
}

static void what_is_unanswered_is_waited_for(void **state)
{
	struct who a, b;

	begin(2);
	loans.rest_ns = 60000000000ULL;
	ask(&a, 1 << 1, false, false);
	dev.pending[1] = 5;
	loans_withdraw(&loans, &a.want);
	/* It may have died before the doorbell. */
	assert_int_equal(dev.kicks, 1);
	ask(&b, 1 << 1, false, false);
	for (int i = 0; i < 5; i++)
		vf_ring_turn(loans.ring, UINT64_MAX);
	assert_int_equal(dev.resets, 0);
	assert_false(b.granted || b.refused);
	dev.pending[1] = 0;
	turn_until_quiet();
	assert_true(b.granted);
	/* The rings are emptied for the next one all the same. */
	assert_int_equal(dev.resets, 1);
	end();
}

static void silence_is_ended_by_a_queue_reset(void **state)
{
	struct who a, b;

	begin(2);
	ask(&a, 1 << 1, false, false);
	dev.pending[1] = 5;
	loans_withdraw(&loans, &a.want);
	ask(&b, 1 << 1, false, false);
	turn_until_quiet();
	assert_int_equal(dev.resets, 1);
	assert_true(b.granted);
	end();
}

static void without_a_reset_the_owner_is_wedged(void **state)
{
	struct who a, b, c;

	begin(3);
	dev.reset_result = -EOPNOTSUPP;
	ask(&a, 1 << 1, false, false);
	ask(&c, 1 << 2, false, false);
	dev.pending[1] = 5;
	loans_withdraw(&loans, &a.want);
	ask(&b, 1 << 1, true, false);
	turn_until_quiet();
	assert_int_equal(loans_wedged(&loans), 1);
	assert_true(b.refused);
	assert_non_null(strstr(b.err.text, "wedged"));
	/* Its memory is the device's. */
	assert_true(dev.leased[1]);
	/* Who has a loan keeps it; nobody gets a new one. */
	assert_non_null(c.want.loan);
	ask(&b, 1 << 3, false, false);
	assert_true(b.refused);
	/* The device answers after all. */
	dev.pending[1] = 0;
	ask(&b, 1 << 1, false, false);
	assert_false(b.refused);
	turn_until_quiet();
	assert_true(b.granted);
	assert_int_equal(loans_wedged(&loans), 0);
	end();
}

static void a_reset_that_fails_wedges(void **state)
{
	struct who a, b;

	begin(2);
	dev.reset_result = -ETIMEDOUT;
	ask(&a, 1 << 1, false, false);
	loans_withdraw(&loans, &a.want);
	turn_until_quiet();
	assert_int_equal(loans_wedged(&loans), 1);
	dev.reset_result = 0;
	ask(&b, 1 << 1, false, false);
	turn_until_quiet();
	assert_true(b.granted);
	end();
}

static void a_death_that_nobody_saw_yet_is_seen(void **state)
{
	struct who a, b;

	begin(2);
	ask(&a, 1 << 1, false, false);
	a.is_dead = true;
	ask(&b, 1 << 1, false, false);
	assert_false(b.refused);
	turn_until_quiet();
	assert_true(b.granted);
	end();
}

static void a_lease_that_fails_is_told(void **state)
{
	struct who a, b;

	begin(2);
	dev.lease_result = -ENOMEM;
	ask(&a, 1 << 1, false, false);
	assert_int_equal(a.err.code, -ENOMEM);
	dev.lease_result = 0;
	ask(&b, 1 << 1, false, false);
	assert_true(b.granted);
	end();
}

static void random_comings_and_goings_keep_the_rules(void **state)
{
	struct who who[40] = { 0 };
	unsigned int vf;

	begin(5);
	srand(11);
	for (int round = 0; round < 20000; round++) {
		struct who *w = &who[rand() % 40];

		if (w->want.loan || w->want.waiting) {
			if (w->want.loan)
				dev.pending[w->want.loan->queue] = (uint16_t)(rand() % 3);
			loans_withdraw(&loans, &w->want);
		} else {
			ask(w, (uint64_t)rand() & 0x1fe, rand() % 3, !(rand() % 9));
			assert_int_equal(w->granted + w->refused + w->want.waiting, 1);
		}
		if (!(rand() % 4))
			turn_until_quiet();
		for (int i = 0; i < 40; i++) {
			for (int j = 0; j < i; j++) {
				if (!who[i].want.loan || !who[j].want.loan)
					continue;
				assert_false(who[i].want.alone || who[j].want.alone);
				assert_false(overlap(&who[i].want.vfs, &who[j].want.vfs, &vf));
				assert_ptr_not_equal(who[i].want.loan, who[j].want.loan);
			}
		}
	}
	for (int i = 0; i < 40; i++) {
		for (int j = 0; j < 40; j++) {
			if (who[j].want.loan)
				loans_withdraw(&loans, &who[j].want);
		}
		turn_until_quiet();
	}
	/* Nobody waits for ever. */
	assert_int_equal(loans_waiting(&loans), 0);
	assert_int_equal(loans_free_queues(&loans), 4);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vf_is_the_unit_of_exclusion),
		cmocka_unit_test(who_waits_is_served_in_order),
		cmocka_unit_test(who_gives_up_waiting_holds_nobody),
		cmocka_unit_test(alone_means_alone),
		cmocka_unit_test(an_owner_with_one_queue_lends_it),
		cmocka_unit_test(what_is_unanswered_is_waited_for),
		cmocka_unit_test(silence_is_ended_by_a_queue_reset),
		cmocka_unit_test(without_a_reset_the_owner_is_wedged),
		cmocka_unit_test(a_reset_that_fails_wedges),
		cmocka_unit_test(a_death_that_nobody_saw_yet_is_seen),
		cmocka_unit_test(a_lease_that_fails_is_told),
		cmocka_unit_test(random_comings_and_goings_keep_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
