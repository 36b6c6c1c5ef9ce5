// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who is at the other end of a socket, and whether it may borrow. */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "keep/peer.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static bool in_group(int sock, gid_t gid, gid_t wanted)
{
	gid_t groups[1024];
	socklen_t length = sizeof(groups);

	if (gid == wanted)
		return true;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &length))
		return false;
	for (size_t i = 0; i < length / sizeof(gid_t); i++) {
		if (groups[i] == wanted)
			return true;
	}
	return false;
}

bool peer_may_borrow(int sock, const struct ucred *peer)
{
	struct group *group;

	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	group = getgrnam("vferry");
	return group && in_group(sock, peer->gid, group->gr_gid);
}

void peer_name(pid_t pid, char *comm, size_t room)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	memset(comm, 0, room);
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, comm, room - 1);
		close(fd);
	}
	if (n <= 0)
		snprintf(comm, room, "unknown");
	for (char *c = comm; *c; c++) {
		if (*c == '\n')
			*c = '\0';
		else if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
}

uint64_t peer_started(pid_t pid)
{
	unsigned long long started = 0;
	char path[64], text[1024], *at;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* The name, in brackets, may hold anything; starttime is the 20th word behind it. */
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1,
			  " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			  "%*s %*s %llu",
			  &started) != 1)
		return 0;
	return started;
}

int peer_pidfd(int sock, pid_t pid)
{
	socklen_t length = sizeof(int);
	int fd = -1;

	if (!getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &length))
		return fd;
	if (pid <= 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, pid, 0);
}
