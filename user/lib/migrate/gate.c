// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "migrate/gate.h"

#define ENVIRONMENT_MAX 512
#define WORD_BYTES	(VF_GATE_VFS + 64)

static void exited(struct vf_op *op, int32_t res, uint32_t flags)
{
	struct vf_gate *gate = (struct vf_gate *)((char *)op - offsetof(struct vf_gate, op));
	struct vferry_error why = { 0 };
	int status = 0, error = 0;

	vf_timer_stop(gate->ring, &gate->deadline);
	if (res < 0) /* the ring ends: so does the gate */
		kill(-gate->pid, SIGKILL);
	while (waitpid(gate->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(gate->pidfd);
	gate->running = false;
	if (gate->late)
		error = vferry_fail(&why, -ETIMEDOUT, "the hook did not end in time at gate %s",
				    gate->event);
	else if (WIFSIGNALED(status))
		error = vferry_fail(&why, -ECANCELED, "the hook was killed by signal %d at gate %s",
				    WTERMSIG(status), gate->event);
	else if (WEXITSTATUS(status))
		error = vferry_fail(&why, -ECANCELED,
				    "the hook said no at gate %s (exit status %d)", gate->event,
				    WEXITSTATUS(status));
	gate->done(gate, error, &why);
}

static void too_late(struct vf_timer *timer)
{
	struct vf_gate *gate =
		(struct vf_gate *)((char *)timer - offsetof(struct vf_gate, deadline));

	gate->late = true;
	kill(-gate->pid, SIGKILL);
}

void vf_gate_kill(struct vf_gate *gate)
{
	if (gate->running)
		kill(-gate->pid, SIGKILL);
}

/* The environment with our four words in front: the first one of a name counts. */
static void environment(char *envp[ENVIRONMENT_MAX], char words[4][WORD_BYTES], const char *event,
			const char *vfs, const char *id, const char *owner)
{
	unsigned int count = 0;

	snprintf(words[0], WORD_BYTES, "VFERRY_EVENT=%s", event);
	snprintf(words[1], WORD_BYTES, "VFERRY_VF=%s", vfs);
	snprintf(words[2], WORD_BYTES, "VFERRY_ID=%s", id);
	snprintf(words[3], WORD_BYTES, "VFERRY_OWNER=%s", owner);
	for (; count < 4; count++)
		envp[count] = words[count];
	for (char **word = environ; *word && count < ENVIRONMENT_MAX - 1; word++) {
		if (!strncmp(*word, "VFERRY_EVENT=", 13) || !strncmp(*word, "VFERRY_VF=", 10) ||
		    !strncmp(*word, "VFERRY_ID=", 10) || !strncmp(*word, "VFERRY_OWNER=", 13))
			continue;
		envp[count++] = *word;
	}
	envp[count] = NULL;
}

int vf_gate_start(struct vf_gate *gate, struct vf_ring *ring, const char *command,
		  const char *event, const char *vfs, const char *id, const char *owner,
		  uint64_t timeout_ns,
		  void (*done)(struct vf_gate *gate, int error, const struct vferry_error *why),
		  struct vferry_error *err)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	char words[4][WORD_BYTES], *envp[ENVIRONMENT_MAX];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, ours;
	int ret;

	environment(envp, words, event, vfs, id, owner);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, 2, 1);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	sigemptyset(&ours);
	sigaddset(&ours, SIGPIPE);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &ours);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	ret = -posix_spawn(&gate->pid, "/bin/sh", &files, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (ret)
		return vferry_fail(err, ret, "cannot run the hook at gate %s: %s", event,
				   strerror(-ret));
	gate->pidfd = (int)syscall(SYS_pidfd_open, gate->pid, 0);
	if (gate->pidfd < 0) {
		ret = -errno;
		kill(-gate->pid, SIGKILL);
		waitpid(gate->pid, NULL, 0);
		return vferry_fail(err, ret, "pidfd_open: %s", strerror(-ret));
	}
	fcntl(gate->pidfd, F_SETFD, FD_CLOEXEC);
	snprintf(gate->event, sizeof(gate->event), "%s", event);
	gate->ring = ring;
	gate->late = false;
	gate->running = true;
	gate->done = done;
	gate->op.done = exited;
	io_uring_prep_poll_add(vf_ring_sqe(ring, &gate->op), gate->pidfd, POLLIN);
	gate->deadline.fn = too_late;
	vf_timer_set(ring, &gate->deadline, vf_now_ns() + timeout_ns);
	return 0;
}
