// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What happens at a named point; only in a build with VFERRY_FAULTS=1. */
#include "migrate/fault_point.h"

#if defined(VFERRY_FAULTS) && VFERRY_FAULTS
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS 1024

extern const char *const __start_vf_fault_points[];
extern const char *const __stop_vf_fault_points[];

static unsigned int passed;
static bool err_due, refuse_due;

__attribute__((constructor)) static void list(void)
{
	const char *want = getenv("VFERRY_FAULT");

	if (!want || strcmp(want, "list"))
		return;
	for (const char *const *point = __start_vf_fault_points; point < __stop_vf_fault_points;
	     point++)
		puts(*point);
	fflush(stdout);
	_exit(0);
}

static void stall(void)
{
	const char *given = getenv("VFERRY_FAULT_MS");
	long ms = given ? strtol(given, NULL, 10) : 300;
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&left, &left))
		;
}

static void disconnect(void)
{
	for (int fd = 3; fd < DESCRIPTORS; fd++) {
		struct sockaddr_storage address;
		socklen_t length = sizeof(address);

		if (!getpeername(fd, (struct sockaddr *)&address, &length) &&
		    (address.ss_family == AF_INET || address.ss_family == AF_INET6))
			shutdown(fd, SHUT_RDWR);
	}
}

static void mark(void)
{
	const char *path = getenv("VFERRY_FAULT_MARK");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd >= 0)
		close(fd);
}

void vf_fault_point(const char *name)
{
	const char *want = getenv("VFERRY_FAULT"), *kind;
	size_t length = strlen(name);
	unsigned int at = 1;

	if (!want || strncmp(want, name, length) || want[length] != ':')
		return;
	kind = want + length + 1;
	if (strchr(kind, ':'))
		at = (unsigned int)strtoul(strchr(kind, ':') + 1, NULL, 10);
	if (++passed != at)
		return;
	mark();
	length = strcspn(kind, ":");
	if (!strncmp(kind, "kill", length))
		raise(SIGKILL);
	else if (!strncmp(kind, "stop", length))
		raise(SIGSTOP);
	else if (!strncmp(kind, "stall", length))
		stall();
	else if (!strncmp(kind, "err", length))
		err_due = true;
	else if (!strncmp(kind, "refuse", length))
		refuse_due = true;
	else if (!strncmp(kind, "disconnect", length))
		disconnect();
}

bool vf_fault_err(void)
{
	bool due = err_due;

	err_due = false;
	return due;
}

bool vf_fault_refuse(void)
{
	bool due = refuse_due;

	refuse_due = false;
	return due;
}
#endif
