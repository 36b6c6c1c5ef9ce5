// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "keep/manager.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

static struct manager *of_fds(struct vf_kept_fds *fds)
{
	return (struct manager *)((char *)fds - offsetof(struct manager, fds));
}

static int find(const struct manager *manager, const char *name)
{
	for (unsigned int i = 0; i < manager->count; i++) {
		if (!strcmp(manager->entries[i].name, name))
			return (int)i;
	}
	return -1;
}

static int add(struct manager *manager, const char *name, size_t length)
{
	unsigned int at = manager->count;

	if (at == MANAGER_FDS || length >= sizeof(manager->entries[at].name))
		return -ENOSPC;
	memcpy(manager->entries[at].name, name, length);
	manager->entries[at].name[length] = '\0';
	manager->entries[at].fd = -1;
	manager->entries[at].stored = true;
	manager->count++;
	return (int)at;
}

int manager_tell(const struct manager *manager, const char *state, int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)state, .iov_len = strlen(state) };
	struct msghdr message = { .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1 };
	size_t length;
	int sock, ret;

	if (!manager->there)
		return -ENOTCONN;
	length = strlen(path);
	memcpy(to.sun_path, path, length);
	if (*path == '@')
		to.sun_path[0] = '\0';
	message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (fd >= 0) {
		struct cmsghdr *cmsg;

		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	ret = sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
	close(sock);
	return ret;
}

static int put(struct vf_kept_fds *fds, const char *name, int fd)
{
	struct manager *manager = of_fds(fds);
	int at = find(manager, name), ret;
	char state[96];

	/* Not watched for a hang-up: what ends is for the keeper to find. */
	snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	ret = manager_tell(manager, state, fd);
	if (!ret && at < 0)
		ret = add(manager, name, strlen(name));
	else if (!ret)
		manager->entries[at].stored = true;
	return ret < 0 ? ret : 0;
}

static int take(struct vf_kept_fds *fds, const char *name)
{
	struct manager *manager = of_fds(fds);
	int at = find(manager, name), fd;

	if (at < 0 || manager->entries[at].fd < 0)
		return -ENOENT;
	fd = manager->entries[at].fd;
	manager->entries[at].fd = -1;
	return fd;
}

bool manager_has(const struct manager *manager, const char *name)
{
	int at = find(manager, name);

	return at >= 0 && manager->entries[at].fd >= 0;
}

bool manager_next(const struct manager *manager, const char *prefix, char *name, size_t room)
{
	for (unsigned int i = 0; i < manager->count; i++) {
		if (manager->entries[i].fd >= 0 &&
		    !strncmp(manager->entries[i].name, prefix, strlen(prefix)) &&
		    strlen(manager->entries[i].name) < room) {
			strcpy(name, manager->entries[i].name);
			return true;
		}
	}
	return false;
}

void manager_drop(struct manager *manager, const char *name)
{
	char state[96];
	int at = find(manager, name);

	if (at < 0)
		return;
	if (manager->entries[at].fd >= 0)
		close(manager->entries[at].fd);
	snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	manager_tell(manager, state, -1);
	manager->entries[at] = manager->entries[--manager->count];
}

void manager_drop_all(struct manager *manager)
{
	char name[sizeof(manager->entries[0].name)];

	while (manager->count) {
		strcpy(name, manager->entries[manager->count - 1].name);
		manager_drop(manager, name);
	}
}

static long number(const char *name, long most)
{
	const char *text = getenv(name);
	char *end;
	long value;

	if (!text || !*text)
		return -1;
	value = strtol(text, &end, 10);
	return *end || value < 0 || value > most ? -1 : value;
}

void manager_begin(struct manager *manager)
{
	const char *path = getenv("NOTIFY_SOCKET"), *names = getenv("LISTEN_FDNAMES");
	long pid = number("LISTEN_PID", 1L << 30), count = number("LISTEN_FDS", 4096);

	*manager = (struct manager){ .fds = { .put = put, .take = take } };
	manager->there = path && (*path == '/' || *path == '@') &&
			 strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
	if (pid != getpid())
		count = 0;
	for (long i = 0; i < count; i++) {
		int fd = FIRST_FD + (int)i, at = -1;
		size_t length = names ? strcspn(names, ":") : 0;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC))
			continue;
		/* The first of a name: two of one name are nothing of ours. */
		if (length) {
			at = add(manager, names, length);
			if (at >= 0 && find(manager, manager->entries[at].name) != at) {
				manager->count--;
				at = -1;
			}
		}
		if (at >= 0)
			manager->entries[at].fd = fd;
		else
			close(fd);
		if (names)
			names += length + (names[length] == ':');
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}
