// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* probes [ROUNDS]: what a probe costs: a loop with one and a loop without, nanoseconds a round. Few rounds are for when somebody is attached. */
#include <stdio.h>
#include <stdlib.h>
#include <vferry/probes.h>
#include "ring/ring.h"

#define ROUNDS 50000000u

static uint64_t with_probe(uint64_t x, unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		x = x * 6364136223846793005ULL + i;
		__asm__ volatile("" : "+r"(x));
		VFERRY_PROBE6(mode, x, x, 0u, 1u, x, x);
	}
	return x;
}

static uint64_t without(uint64_t x, unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		x = x * 6364136223846793005ULL + i;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : ROUNDS;
	uint64_t begin = vf_now_ns(), middle, end, x;

	x = with_probe(1, rounds);
	middle = vf_now_ns();
	x = without(x, rounds);
	end = vf_now_ns();
	printf("{\"with_probe_ns\":%.4f,\"without_ns\":%.4f,\"x\":%u}\n",
	       (double)(middle - begin) / rounds, (double)(end - middle) / rounds,
	       (unsigned int)(x & 1));
	return 0;
}
