// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fd_store COMMAND...: runs a service as systemd would with Type=notify, Restart=always and a file descriptor store
 * (sd_notify(3): READY, FDSTORE, FDSTOREREMOVE, FDNAME; sd_listen_fds(3)). It is started again, at once, with what was stored, until it
 * ends with status 0.
 *
 * FD_STORE_LOSE=NAME: that one is lost at each restart.
 *
 *   started PID COUNT    it has been given so many descriptors
 *   ready COUNT          it said READY=1; so many are stored
 *   died NUMBER          by that signal; exited STATUS: by itself
 *   ended COUNT          with status 0; so many were still stored
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 768

struct store {
	int sock, signals;
	pid_t child;
	unsigned int count;
	struct {
		int fd;
		char name[256];
	} entries[MOST];
};

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void start(struct store *store, char **command)
{
	char names[MOST * 16] = "", number[16];
	size_t used = 0;

	printf("started ");
	fflush(stdout);
	store->child = fork();
	if (store->child < 0)
		die("fork");
	if (store->child) {
		printf("%d %u\n", store->child, store->count);
		fflush(stdout);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Out of the way first: what is to be 5 may stand at 4. */
	for (unsigned int i = 0; i < store->count; i++) {
		store->entries[i].fd = fcntl(store->entries[i].fd, F_DUPFD_CLOEXEC, 3 + MOST);
		if (store->entries[i].fd < 0)
			die("dup");
	}
	for (unsigned int i = 0; i < store->count; i++) {
		dup2(store->entries[i].fd, 3 + (int)i);
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ":" : "",
					 store->entries[i].name);
	}
	if (store->count) {
		snprintf(number, sizeof(number), "%d", getpid());
		setenv("LISTEN_PID", number, 1);
		snprintf(number, sizeof(number), "%u", store->count);
		setenv("LISTEN_FDS", number, 1);
		setenv("LISTEN_FDNAMES", names, 1);
	}
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(*command, command);
	die(*command);
}

static void drop(struct store *store, const char *name)
{
	for (unsigned int i = 0; i < store->count;) {
		if (strcmp(store->entries[i].name, name)) {
			i++;
			continue;
		}
		close(store->entries[i].fd);
		store->entries[i] = store->entries[--store->count];
	}
}

/* A line's value in a message, or NULL. */
static const char *value(char *text, const char *key, char *room, size_t bytes)
{
	size_t length = strlen(key);

	for (char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		if (strncmp(line, key, length) || line[length] != '=')
			continue;
		snprintf(room, bytes, "%.*s", (int)strcspn(line + length + 1, "\n"),
			 line + length + 1);
		return room;
	}
	return NULL;
}

static int listen_to(struct store *store)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char text[4096], word[256], name[256];
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(store->sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *cmsg;
	int fd = -1;

	if (n < 0)
		return 0;
	text[n] = '\0';
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	if (!value(text, "FDNAME", name, sizeof(name)))
		strcpy(name, "stored");
	if (value(text, "FDSTOREREMOVE", word, sizeof(word)) && !strcmp(word, "1"))
		drop(store, name);
	if (value(text, "FDSTORE", word, sizeof(word)) && !strcmp(word, "1") && fd >= 0 &&
	    store->count < MOST) {
		store->entries[store->count].fd = fd;
		strcpy(store->entries[store->count++].name, name);
		fd = -1;
	}
	if (value(text, "READY", word, sizeof(word)) && !strcmp(word, "1")) {
		printf("ready %u\n", store->count);
		fflush(stdout);
	}
	if (fd >= 0)
		close(fd);
	return 1;
}

static int over(struct store *store, int status, char **command)
{
	struct timespec pause = { .tv_nsec = 100000000 };

	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		printf("ended %u\n", store->count);
		fflush(stdout);
		return 1;
	}
	if (WIFEXITED(status))
		printf("exited %d\n", WEXITSTATUS(status));
	else
		printf("died %d\n", WTERMSIG(status));
	fflush(stdout);
	if (getenv("FD_STORE_LOSE"))
		drop(store, getenv("FD_STORE_LOSE"));
	if (WIFEXITED(status))
		nanosleep(&pause, NULL);
	start(store, command);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	socklen_t length = sizeof(name);
	static struct store store;
	char path[sizeof(name.sun_path) + 2];
	sigset_t set;
	int status;

	if (argc < 2) {
		fprintf(stderr, "fd_store COMMAND...\n");
		return 2;
	}
	store.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (store.sock < 0 || bind(store.sock, (struct sockaddr *)&name, sizeof(name.sun_family)) ||
	    getsockname(store.sock, (struct sockaddr *)&name, &length))
		die("socket");
	snprintf(path, sizeof(path), "@%.*s",
		 (int)(length - offsetof(struct sockaddr_un, sun_path) - 1), name.sun_path + 1);
	setenv("NOTIFY_SOCKET", path, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	store.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (store.signals < 0)
		die("signalfd");
	start(&store, argv + 1);
	for (;;) {
		struct pollfd pfds[2] = { { .fd = store.sock, .events = POLLIN },
					  { .fd = store.signals, .events = POLLIN } };
		struct signalfd_siginfo info;

		if (poll(pfds, 2, -1) < 0 && errno != EINTR)
			die("poll");
		/* As systemd does: what it had said before it died counts. */
		while (listen_to(&store))
			;
		while (read(store.signals, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGCHLD)
				kill(store.child, (int)info.ssi_signo);
		}
		if (waitpid(store.child, &status, WNOHANG) != store.child)
			continue;
		while (listen_to(&store))
			;
		if (over(&store, status, argv + 1))
			return 0;
	}
}
