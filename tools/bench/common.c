// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "tools/bench/bench.h"

double bench_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double bench_cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

void bench_row(const char *name, unsigned int pair, const struct bench_side *ours,
	       const struct bench_side *plain)
{
	printf("{\"schema\":\"vferry.bench.pair\",\"schema_version\":1,\"name\":\"%s\",\"pair\":%u,"
	       "\"ours_seconds\":%.6f,\"ours_cpu_seconds\":%.6f,\"ours_bytes\":%llu,"
	       "\"plain_seconds\":%.6f,\"plain_cpu_seconds\":%.6f,\"plain_bytes\":%llu}\n",
	       name, pair, ours->seconds, ours->cpu, (unsigned long long)ours->bytes,
	       plain->seconds, plain->cpu, (unsigned long long)plain->bytes);
	fflush(stdout);
}

int bench_tcp_pair(int fds[2], struct vferry_error *err)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, error = 0;

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fds[1] = -1;
	if (listening < 0 || fds[0] < 0 ||
	    bind(listening, (struct sockaddr *)&address, sizeof(address)) || listen(listening, 1) ||
	    getsockname(listening, (struct sockaddr *)&address, &length) ||
	    connect(fds[0], (struct sockaddr *)&address, sizeof(address)) ||
	    (fds[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) < 0 ||
	    setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))) {
		error = vferry_fail(err, -errno, "a TCP connection over loopback: %s",
				    strerror(errno));
		if (fds[0] >= 0)
			close(fds[0]);
		if (fds[1] >= 0)
			close(fds[1]);
	}
	if (listening >= 0)
		close(listening);
	return error;
}

void *bench_memory(uint64_t bytes)
{
	int fd = memfd_create("vferry-bench", MFD_CLOEXEC);
	void *memory = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!ftruncate(fd, (off_t)bytes))
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED)
		return NULL;
	memset(memory, 0x5a, bytes);
	return memory;
}

void bench_memory_free(void *memory, uint64_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
