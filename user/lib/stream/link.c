// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The end of a link, and of the command behind it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "stream/stream.h"

#define MOMENT_NS 500000000ULL
#define GRACE_NS  1000000000ULL

int vf_link_sync(const struct vf_link *link, struct vferry_error *err)
{
	struct stat st;

	if (link->out < 0 || fstat(link->out, &st) || !S_ISREG(st.st_mode))
		return 0;
	if (!fsync(link->out))
		return 0;
	return vferry_fail(err, -errno, "%s: what was written did not reach its disk: %s",
			   link->name, strerror(errno));
}

static void note_status(struct vf_link *link, int status)
{
	link->child = 0;
	link->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Return: true when the child was reaped. */
static bool reap(struct vf_link *link, int flags)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(link->child, &status, flags);
	while (pid < 0 && errno == EINTR);
	if (!pid)
		return false;
	if (pid < 0) /* someone else has reaped it */
		status = 0;
	note_status(link, status);
	return true;
}

static bool wait_for_child(struct vf_link *link, uint64_t timeout_ns)
{
	uint64_t deadline = vf_now_ns() + timeout_ns;
	struct pollfd pfd = { .fd = (int)syscall(SYS_pidfd_open, link->child, 0),
			      .events = POLLIN };
	bool gone;

	/* Without a pidfd (an old kernel, no descriptor left) poll() sleeps a while and waitpid() looks. */
	while (!(gone = reap(link, WNOHANG)) && vf_now_ns() < deadline) {
		uint64_t left_ms = (deadline - vf_now_ns()) / 1000000 + 1;
		uint64_t limit = pfd.fd < 0 ? 10 : 60000;

		poll(&pfd, pfd.fd >= 0, (int)(left_ms < limit ? left_ms : limit));
	}
	if (pfd.fd >= 0)
		close(pfd.fd);
	return gone;
}

void vf_link_explain(struct vf_link *link, struct vferry_error *err)
{
	bool was_exec = link->child > 0 || link->status;
	size_t used = strlen(err->text);

	if (!was_exec || (link->child > 0 && !wait_for_child(link, MOMENT_NS)))
		return;
	if (link->status < 0)
		snprintf(err->text + used, sizeof(err->text) - used,
			 "%sthe command of %s was killed", used ? "; " : "", link->name);
	else
		snprintf(err->text + used, sizeof(err->text) - used,
			 "%sthe command of %s ended with exit status %d", used ? "; " : "",
			 link->name, link->status);
}

int vf_link_close(struct vf_link *link, uint64_t timeout_ns)
{
	if (link->out >= 0 && link->out != link->in)
		close(link->out);
	if (link->in >= 0)
		close(link->in);
	link->in = -1;
	link->out = -1;
	if (link->child > 0 && !wait_for_child(link, timeout_ns)) {
		kill(link->child, SIGTERM);
		if (!wait_for_child(link, GRACE_NS)) {
			kill(link->child, SIGKILL);
			reap(link, 0);
		}
		link->status = -1;
	}
	return link->status;
}
