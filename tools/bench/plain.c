// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The plain program: what moving bytes between two devices costs anyone. From the device's memory into a buffer, check,
 * send; receive into a buffer, check, into the other device's memory. One thread a side, blocking calls, no protocol.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
/* The same check as ours, by the same instructions. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif
#include "tools/bench/bench.h"

struct plain {
	const struct bench_opts *opts;
	bool copies;
	int fd;
	uint8_t *device; /* opts->bytes, NULL without copies */
	uint8_t *buffers;
	double end;
	int error;
};

static uint8_t *buffer(const struct plain *plain, uint64_t chunk)
{
	return plain->buffers + chunk % plain->opts->slots * plain->opts->chunk;
}

static int send_all(int fd, uint64_t check, const uint8_t *bytes, size_t count)
{
	struct iovec parts[2] = { { &check, sizeof(check) }, { (void *)bytes, count } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	size_t left = sizeof(check) + count;

	while (left) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		left -= (size_t)n;
		for (size_t k = (size_t)n; k;) {
			size_t part = message.msg_iov->iov_len < k ? message.msg_iov->iov_len : k;

			message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + part;
			message.msg_iov->iov_len -= part;
			k -= part;
			if (!message.msg_iov->iov_len && message.msg_iovlen > 1) {
				message.msg_iov++;
				message.msg_iovlen--;
			}
		}
	}
	return 0;
}

static int recv_all(int fd, void *bytes, size_t count)
{
	while (count) {
		ssize_t n = recv(fd, bytes, count, MSG_WAITALL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		bytes = (uint8_t *)bytes + n;
		count -= (size_t)n;
	}
	return 0;
}

static void *sender(void *argument)
{
	struct plain *plain = argument;
	uint64_t left = plain->opts->bytes;

	for (uint64_t i = 0; left && !plain->error; i++) {
		uint32_t count = left < plain->opts->chunk ? (uint32_t)left : plain->opts->chunk;
		uint8_t *at = buffer(plain, i);

		if (plain->copies)
			memcpy(at, plain->device + i * plain->opts->chunk, count);
		plain->error = send_all(plain->fd, XXH3_64bits(at, count), at, count);
		left -= count;
	}
	shutdown(plain->fd, SHUT_WR);
	return NULL;
}

static void *receiver(void *argument)
{
	struct plain *plain = argument;
	uint64_t left = plain->opts->bytes;

	for (uint64_t i = 0; left && !plain->error; i++) {
		uint32_t count = left < plain->opts->chunk ? (uint32_t)left : plain->opts->chunk;
		uint8_t *at = buffer(plain, i);
		uint64_t check;

		plain->error = recv_all(plain->fd, &check, sizeof(check));
		if (!plain->error)
			plain->error = recv_all(plain->fd, at, count);
		if (!plain->error && check != XXH3_64bits(at, count))
			plain->error = -EBADMSG;
		if (!plain->error && plain->copies)
			memcpy(plain->device + i * plain->opts->chunk, at, count);
		left -= count;
	}
	plain->end = bench_seconds();
	return NULL;
}

static int make(struct plain *plain, const struct bench_opts *opts, bool copies, int fd)
{
	*plain = (struct plain){ .opts = opts, .copies = copies, .fd = fd };
	plain->buffers = bench_memory((uint64_t)opts->slots * opts->chunk);
	if (copies)
		plain->device = bench_memory(opts->bytes);
	return plain->buffers && (!copies || plain->device) ? 0 : -ENOMEM;
}

static void unmake(struct plain *plain)
{
	bench_memory_free(plain->buffers, (uint64_t)plain->opts->slots * plain->opts->chunk);
	bench_memory_free(plain->device, plain->opts->bytes);
}

int plain_run(const struct bench_opts *opts, bool copies, struct bench_side *side,
	      struct vferry_error *err)
{
	struct plain out, in;
	pthread_t threads[2];
	double begin, cpu;
	int fds[2], error = bench_tcp_pair(fds, err);

	if (error)
		return error;
	error = make(&out, opts, copies, fds[0]) | make(&in, opts, copies, fds[1]);
	begin = bench_seconds();
	cpu = bench_cpu();
	if (!error && !pthread_create(&threads[0], NULL, receiver, &in)) {
		if (!pthread_create(&threads[1], NULL, sender, &out))
			pthread_join(threads[1], NULL);
		else
			shutdown(fds[0], SHUT_RDWR);
		pthread_join(threads[0], NULL);
		error = out.error ? out.error : in.error;
	}
	*side = (struct bench_side){ in.end - begin, bench_cpu() - cpu, opts->bytes };
	unmake(&out);
	unmake(&in);
	close(fds[0]);
	close(fds[1]);
	return error ? vferry_fail(err, error, "the plain program failed: %s", strerror(-error))
		     : 0;
}

int bench_plain(const struct bench_opts *opts, struct vferry_error *err)
{
	const struct bench_side none = { 0 };

	for (unsigned int i = 0; i < opts->pairs; i++) {
		struct bench_side side;
		int error = plain_run(opts, opts->copies, &side, err);

		if (error)
			return error;
		bench_row("plain", i, &none, &side);
	}
	return 0;
}
