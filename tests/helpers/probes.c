// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* probes: what a probe costs when nobody is attached: a loop with one and a loop without, nanoseconds a round. */
#include <stdio.h>
#include <vferry/probes.h>
#include "ring/ring.h"

#define ROUNDS 50000000u

static uint64_t with_probe(uint64_t x)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		x = x * 6364136223846793005ULL + i;
		__asm__ volatile("" : "+r"(x));
		VFERRY_PROBE6(mode, x, x, 0u, 1u, x, x);
	}
	return x;
}

static uint64_t without(uint64_t x)
{
	for (unsigned int i = 0; i < ROUNDS; i++) {
		x = x * 6364136223846793005ULL + i;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

int main(void)
{
	uint64_t begin = vf_now_ns(), middle, end, x;

	x = with_probe(1);
	middle = vf_now_ns();
	x = without(x);
	end = vf_now_ns();
	printf("{\"with_probe_ns\":%.4f,\"without_ns\":%.4f,\"x\":%u}\n",
	       (double)(middle - begin) / ROUNDS, (double)(end - middle) / ROUNDS,
	       (unsigned int)(x & 1));
	return 0;
}
