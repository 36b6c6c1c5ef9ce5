// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * guest_io DEVICE THREADS: writes and reads blocks of DEVICE, each thread in a part of its own, and checks each block that it
 * reads against what was written last, until SIGTERM. Then all blocks are read once more. Ends with one line of JSON: requests, errors,
 * stale blocks, and the requests that took longest.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK	4096U
#define BLOCKS	128U /* of a thread */
#define THREADS 8U
#define SLOW_NS 20000000ULL
#define SLOW	1024U

static volatile sig_atomic_t over;

struct worker {
	pthread_t thread;
	unsigned int number;
	int fd;
	uint64_t random;
	uint32_t generation[BLOCKS];
	unsigned long requests, errors, stale;
	uint64_t slow[SLOW];
	unsigned int slow_count;
	uint64_t longest;
};

static void stop(int signal_number)
{
	over = 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill(const struct worker *worker, unsigned int block, uint64_t *words)
{
	uint64_t state =
		(uint64_t)worker->number << 48 | (uint64_t)block << 32 | worker->generation[block];

	for (unsigned int i = 0; i < BLOCK / 8; i++)
		words[i] = i ? next(&state) : state;
}

static void one(struct worker *worker, unsigned int block, int write, uint64_t *words,
		uint64_t *expected)
{
	off_t at = ((off_t)worker->number * BLOCKS + block) * BLOCK;
	uint64_t begin, took;
	ssize_t n;

	if (write) {
		worker->generation[block]++;
		fill(worker, block, words);
	}
	begin = now_ns();
	n = write ? pwrite(worker->fd, words, BLOCK, at) : pread(worker->fd, words, BLOCK, at);
	took = now_ns() - begin;
	worker->requests++;
	if (took > worker->longest)
		worker->longest = took;
	if (took > SLOW_NS && worker->slow_count < SLOW)
		worker->slow[worker->slow_count++] = took;
	if (n != BLOCK) {
		worker->errors++;
		fprintf(stderr, "guest_io: block %u of thread %u: %s\n", block, worker->number,
			n < 0 ? strerror(errno) : "cut off");
	} else if (!write) {
		fill(worker, block, expected);
		if (memcmp(words, expected, BLOCK)) {
			worker->stale++;
			fprintf(stderr, "guest_io: block %u of thread %u is not generation %u\n",
				block, worker->number, worker->generation[block]);
		}
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	uint64_t *words, expected[BLOCK / 8];

	if (posix_memalign((void **)&words, BLOCK, BLOCK))
		return NULL;
	for (unsigned int block = 0; block < BLOCKS; block++)
		one(worker, block, 1, words, expected);
	while (!over) {
		uint64_t random = next(&worker->random);

		one(worker, (unsigned int)(random >> 32) % BLOCKS, (random & 7) < 5, words,
		    expected);
	}
	for (unsigned int block = 0; block < BLOCKS; block++)
		one(worker, block, 0, words, expected);
	free(words);
	return NULL;
}

static void report(const struct worker *workers, unsigned int count)
{
	unsigned long requests = 0, errors = 0, stale = 0;
	const char *comma = "";
	uint64_t longest = 0;

	for (unsigned int i = 0; i < count; i++) {
		requests += workers[i].requests;
		errors += workers[i].errors;
		stale += workers[i].stale;
		if (workers[i].longest > longest)
			longest = workers[i].longest;
	}
	printf("{\"requests\":%lu,\"errors\":%lu,\"stale\":%lu,\"longest_ns\":%llu,\"slow_ns\":[",
	       requests, errors, stale, (unsigned long long)longest);
	/* One thread's view: each has at most one request inside during a pause. */
	for (unsigned int i = 0; i < workers[0].slow_count; i++, comma = ",")
		printf("%s%llu", comma, (unsigned long long)workers[0].slow[i]);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS];
	unsigned int count = argc == 3 ? (unsigned int)strtoul(argv[2], NULL, 10) : 0;
	struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESTART };
	int bad = 0;

	if (!count || count > THREADS)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	for (unsigned int i = 0; i < count; i++) {
		workers[i].number = i;
		workers[i].random = 88172645463325252ULL + i;
		workers[i].fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
		if (workers[i].fd < 0) {
			fprintf(stderr, "guest_io: %s: %s\n", argv[1], strerror(errno));
			return 1;
		}
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (unsigned int i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		bad |= workers[i].errors || workers[i].stale;
	}
	report(workers, count);
	return bad;
}
