// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When sends go without a copy: by size, by kind of link, and by what the kernel reported. */
#include "stream_ends.h"
#include "stream/inner.h"

static struct vf_zc over_tcp(void)
{
	return (struct vf_zc){ .possible = true };
}

static void never_on_unix_sockets_and_pipes(void **state)
{
	struct end a = { 0 }, b = { 0 };
	struct vf_zc zc;

	link_pair(&a, &b);
	vf_zc_init(&zc, &a.link);
	assert_false(vf_zc_wanted(&zc, 1 << 20));
	vf_link_close(&a.link, 0);
	vf_link_close(&b.link, 0);
	link_pipe(&a, &b);
	vf_zc_init(&zc, &a.link);
	assert_false(vf_zc_wanted(&zc, 1 << 20));
	vf_link_close(&a.link, 0);
	vf_link_close(&b.link, 0);
	link_tcp(&a, &b);
	vf_zc_init(&zc, &a.link);
	assert_true(vf_zc_wanted(&zc, 1 << 20));
	assert_false(vf_zc_wanted(&zc, 4096));
	vf_link_close(&a.link, 0);
	vf_link_close(&b.link, 0);
}

static void stays_where_nothing_is_copied(void **state)
{
	struct vf_zc zc = over_tcp();

	for (int i = 0; i < 10000; i++) {
		assert_true(vf_zc_wanted(&zc, 65536));
		vf_zc_report(&zc, i % 10 == 9);
	}
}

static void trials_become_rare_where_it_copies(void **state)
{
	struct vf_zc zc = over_tcp();
	unsigned int tried = 0;

	for (int i = 0; i < 1000000; i++)
		if (vf_zc_wanted(&zc, 65536)) {
			tried++;
			vf_zc_report(&zc, true);
		}
	assert_true(tried >= 40 && tried <= 120);
	/* the way has changed, say to another interface: the next trial brings it back */
	tried = 0;
	for (int i = 0; i < 200000; i++)
		if (vf_zc_wanted(&zc, 65536)) {
			tried++;
			vf_zc_report(&zc, false);
		}
	assert_true(tried > 100000);
}

static void refusals(void **state)
{
	struct vf_zc zc = over_tcp();

	/* no memory may be locked at the moment */
	assert_true(vf_zc_failed(&zc, -ENOBUFS));
	assert_false(vf_zc_wanted(&zc, 65536));
	for (int i = 0; i < 2000; i++)
		vf_zc_wanted(&zc, 65536);
	assert_true(vf_zc_wanted(&zc, 65536));
	/* the connection broke: not a matter of copies */
	assert_false(vf_zc_failed(&zc, -EPIPE));
	/* a kernel without it */
	assert_true(vf_zc_failed(&zc, -EINVAL));
	for (int i = 0; i < 100000; i++)
		assert_false(vf_zc_wanted(&zc, 65536));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_on_unix_sockets_and_pipes),
		cmocka_unit_test(stays_where_nothing_is_copied),
		cmocka_unit_test(trials_become_rare_where_it_copies),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
