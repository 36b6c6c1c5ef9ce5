/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * vferry-bench measures one thing of vferry beside the least that any program would have to do for it, in the
 * same run, in pairs that take turns (A B A B): what else the machine does hits both. One JSON line a pair;
 * tools/bench/run makes medians and a table of them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/error.h>

/* struct bench_opts - what a measurement may be told; each uses what it needs */
struct bench_opts {
	const char *owner;
	uint16_t first_vf; /* and so many from there on: */
	uint16_t vfs;
	uint64_t bytes; /* context of one VF, or bytes to stream */
	uint32_t chunk;
	uint32_t slots; /* buffers of the plain program */
	uint64_t arena;
	uint64_t pause_ns; /* delta: how long the device changes its context */
	unsigned int pairs;
	bool copies; /* plain: memcpy on both sides too */
	bool hidden; /* the VFs are there, and a hypervisor hides that: none is to be enabled */
	unsigned int in_flight;
	bool poll; /* commands: never sleep, and have no interrupts */
};

/* struct bench_side - one half of a pair */
struct bench_side {
	double seconds;
	double cpu; /* of this process */
	uint64_t bytes;
};

int bench_read(const struct bench_opts *opts, struct vferry_error *err);
int bench_many(const struct bench_opts *opts, struct vferry_error *err);
int bench_delta(const struct bench_opts *opts, struct vferry_error *err);
int bench_commands(const struct bench_opts *opts, struct vferry_error *err);
int bench_stream(const struct bench_opts *opts, struct vferry_error *err);
int bench_plain(const struct bench_opts *opts, struct vferry_error *err);

/** bench_row() - a pair as a JSON line: A is vferry, B what it is measured against. */
void bench_row(const char *name, unsigned int pair, const struct bench_side *ours,
	       const struct bench_side *plain);
double bench_seconds(void);
double bench_cpu(void);
/** bench_tcp_pair() - two ends of a TCP connection over loopback, without delay. */
int bench_tcp_pair(int fds[2], struct vferry_error *err);
/** bench_memory() - shared memory as the arena's, every page touched. NULL without. */
void *bench_memory(uint64_t bytes);
void bench_memory_free(void *memory, uint64_t bytes);
/** plain_run() - the plain program: memcpy (with @copies), check, send; recv, check, memcpy. Two threads. */
int plain_run(const struct bench_opts *opts, bool copies, struct bench_side *side,
	      struct vferry_error *err);

#endif
