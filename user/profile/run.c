// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Run a command with its engines' recorders open and the kernel looked at; or follow a process that runs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "profile/ask.h"
#include "profile/run.h"

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
}

static pid_t start(char *const *command, const char *dir, const sigset_t *mask, int go[2],
		   struct vferry_error *err)
{
	pid_t pid = fork();
	char byte;

	if (pid < 0)
		vferry_fail(err, -errno, "cannot start %s: %s", command[0], strerror(errno));
	if (pid)
		return pid;
	/* Not before it is watched. */
	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(126);
	close(go[0]);
	setenv("VFERRY_PROFILE_DIR", dir, 1);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(command[0], command);
	dprintf(STDERR_FILENO, "vferry: cannot run %s: %s\n", command[0], strerror(errno));
	_exit(127);
}

/* Until the process has ended. Signals that ask us to end are for it: it knows what may be undone. */
static int follow(struct prof_run *run, struct prof_watch *watch, pid_t pid, int signals,
		  bool *ended)
{
	int64_t deadline = run->timeout_ns ? now_ns() + (int64_t)run->timeout_ns : 0;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int ret = pidfd < 0 ? -errno : 0;

	*ended = false;
	while (!ret) {
		struct pollfd fds[3] = {
			{ .fd = pidfd, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
			{ .fd = watch ? prof_watch_fd(watch) : -1, .events = POLLIN },
		};
		int wait = 100;

		if (deadline && now_ns() >= deadline)
			break;
		if (poll(fds, 3, wait) < 0 && errno != EINTR) {
			ret = -errno;
			break;
		}
		if (watch)
			prof_watch_read(watch);
		if (fds[1].revents) {
			struct signalfd_siginfo info;

			if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
				continue;
			if (!run->command)
				break;
			/* From a terminal the whole group has it already. */
			if (info.ssi_code <= 0)
				kill(pid, (int)info.ssi_signo);
		}
		if (fds[0].revents) {
			*ended = true;
			break;
		}
	}
	if (pidfd >= 0)
		close(pidfd);
	return ret;
}

/* What the engines have left there; the folder is ours, and goes. */
static void gather(struct json_object *doc, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		prof_gather(prof_get_array(doc, "sides"), fd);
	rmdir(dir);
}

/* An engine that ran before us: what it has recorded itself, or why that is not there. */
static void add_asked(struct json_object *doc, struct prof_ask *ask, const struct vferry_error *why,
		      bool running)
{
	struct json_object *not_seen = prof_get_array(doc, "not_seen");
	char words[sizeof(why->text) + 128];

	if (prof_ask_close(ask, prof_get_array(doc, "sides")))
		return;
	snprintf(
		words, sizeof(words),
		"journal, hooks, TCP, clock, passes, and why it failed if it did: %s",
		why->code ? why->text
		: running
			? "the engine still runs, and tells them at its end"
			: "the engine left no recording (killed, of another version, or its move had ended before)");
	json_object_array_add(not_seen, json_object_new_string(words));
}

static struct json_object *document(struct prof_watch *watch, const struct vferry_error *why)
{
	struct json_object *doc = json_object_new_object(), *not_seen = json_object_new_array();

	json_object_object_add(doc, "schema", json_object_new_string(PROF_SCHEMA));
	json_object_object_add(doc, "schema_version", json_object_new_int(PROF_SCHEMA_NUMBER));
	json_object_object_add(doc, "vferry_version", json_object_new_string(VFERRY_VERSION));
	json_object_object_add(doc, "sides", json_object_new_array());
	json_object_object_add(doc, "kernels", json_object_new_array());
	if (!watch) {
		char words[sizeof(why->text) + 64];

		snprintf(words, sizeof(words),
			 "the kernel (scheduler, interrupts, io_uring, TCP): %s", why->text);
		json_object_array_add(not_seen, json_object_new_string(words));
	}
	json_object_object_add(doc, "not_seen", not_seen);
	return doc;
}

struct json_object *prof_run(struct prof_run *run, struct vferry_error *err)
{
	char dir[] = "/tmp/vferry-profile-XXXXXX";
	struct prof_watch *watch = NULL;
	struct prof_ask *ask = NULL;
	struct vferry_error why = { 0 }, why_not_asked = { 0 };
	struct json_object *doc = NULL;
	int signals, status = 0, ret = 0, go[2] = { -1, -1 };
	pid_t pid = run->pid;
	sigset_t set, before;
	bool ended;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	prof_watch_open(&watch, &why);
	if (run->command) {
		if (!mkdtemp(dir) || pipe(go)) {
			vferry_fail(err, -errno, "cannot make a folder for recordings: %s",
				    strerror(errno));
			goto out;
		}
		pid = start(run->command, dir, &before, go, err);
		close(go[0]);
		if (pid < 0)
			goto out;
		if (watch)
			prof_watch_pid(watch, pid);
		ret = write(go[1], "", 1) == 1 ? 0 : -errno;
		close(go[1]);
	} else {
		prof_ask_open(&ask, pid, &why_not_asked);
		if (watch)
			ret = prof_watch_probes(watch, pid, err);
		else if (!ask)
			ret = vferry_fail(err, why.code, "%s; and %s", why.text,
					  why_not_asked.text);
		if (ret)
			goto out;
	}
	ret = follow(run, watch, pid, signals, &ended);
	if (ret)
		vferry_fail(err, ret, "cannot follow process %d: %s", pid, strerror(-ret));
	if (run->command && waitpid(pid, &status, 0) == pid)
		run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (!ret) {
		if (watch)
			prof_watch_read(watch);
		doc = document(watch, &why);
		if (run->command) {
			gather(doc, dir);
		} else {
			add_asked(doc, ask, &why_not_asked, !ended);
			ask = NULL;
		}
		if (watch)
			prof_watch_result(watch, doc);
		prof_reconcile(prof_get_array(doc, "sides"));
	}
out:
	prof_ask_close(ask, NULL);
	if (run->command)
		rmdir(dir);
	prof_watch_close(watch);
	if (signals >= 0)
		close(signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return doc;
}
