// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracer's histogram: its stated error, and that slots cover everything without a gap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "bpf/hist.h"

static void slots_meet_without_gap(void **state)
{
	for (unsigned int slot = 0; slot + 1 < VFT_HIST_SLOTS; slot++) {
		unsigned long long low = vft_hist_low(slot), next = vft_hist_low(slot + 1);

		assert_true(next > low);
		assert_int_equal(vft_hist_slot(low), slot);
		assert_int_equal(vft_hist_slot(next - 1), slot);
		assert_int_equal(vft_hist_slot(next), slot + 1);
	}
	assert_int_equal(vft_hist_slot(UINT64_MAX), VFT_HIST_SLOTS - 1);
	assert_int_equal(vft_hist_slot(0), 0);
}

static void error_is_below_two_percent_from_100ns_to_100s(void **state)
{
	srand(23);
	for (unsigned int i = 0; i < 200003; i++) {
		unsigned long long value = 100;
		double middle, error;

		/* evenly over the octaves */
		value <<= rand() % 30;
		value += (unsigned long long)rand() % value;
		if (value > 100000000000ULL)
			continue;
		middle = (double)vft_hist_middle(vft_hist_slot(value));
		error = middle > (double)value ? middle / (double)value - 1
					       : 1 - middle / (double)value;
		assert_true(error < 0.017);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_meet_without_gap),
		cmocka_unit_test(error_is_below_two_percent_from_100ns_to_100s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
