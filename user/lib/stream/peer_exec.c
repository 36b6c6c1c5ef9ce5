// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* exec:COMMAND: a shell command whose standard input and output are the stream; its standard error is ours. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "stream/peer.h"

static int parse(struct vf_peer *peer, struct vferry_error *err)
{
	if (!peer->rest[strspn(peer->rest, " \t")])
		return vferry_fail(
			err, -EINVAL,
			"%s: the command is missing: exec:'ssh HOST vferry recv OWNER --vf N --from -'",
			peer->name);
	return 0;
}

/* Between fork and exec: async-signal-safe calls only. */
static void child(int fd, const char *command)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/*
	 * Ctrl-C goes to the whole terminal group, and vferry decides when to heed it: behind RELEASED it
	 * must not lose its peer to it. The command stays in the group, so that ssh can ask for a password.
	 */
	action.sa_handler = SIG_IGN;
	sigaction(SIGINT, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		_exit(126);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static int exec_start(struct vf_peer *peer, const struct vf_peer_opts *opts, struct vf_link *link,
		      struct vferry_error *err)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return vferry_fail(err, -errno, "cannot make a socket pair for %s: %s", peer->name,
				   strerror(errno));
	pid = fork();
	if (!pid)
		child(ends[1], peer->rest);
	close(ends[1]);
	if (pid < 0) {
		int ret = -errno;

		close(ends[0]);
		return vferry_fail(err, ret, "cannot start %s: %s", peer->name, strerror(-ret));
	}
	link->in = ends[0];
	link->out = ends[0];
	link->socket = true;
	link->child = pid;
	return 0;
}

const struct vf_peer_kind vf_peer_exec = {
	.prefix = "exec:",
	.parse = parse,
	.connect = exec_start,
	.open_in = exec_start,
};
