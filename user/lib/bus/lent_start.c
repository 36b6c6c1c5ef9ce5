// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Starting a keeper: a program of its own, so that nothing of the caller (descriptors, an io_uring, threads) goes with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bus/keeper.h"
#include "bus/lent.h"

extern char **environ;

static int find_program(char *path, size_t room, struct vferry_error *err)
{
	const char *named = secure_getenv("VFERRY_PROGRAM");
	const char *search = secure_getenv("PATH");
	char *slash;
	ssize_t n;

	if (named && *named) {
		snprintf(path, room, "%s", named);
		return 0;
	}
	n = readlink("/proc/self/exe", path, room - sizeof("vferry"));
	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash) {
			if (!strcmp(slash, "/vferry"))
				return 0;
			strcpy(slash, "/vferry");
			if (!access(path, X_OK))
				return 0;
		}
	}
	while (search && *search) {
		size_t length = strcspn(search, ":");

		if (length &&
		    (size_t)snprintf(path, room, "%.*s/vferry", (int)length, search) < room &&
		    !access(path, X_OK))
			return 0;
		search += length + (search[length] == ':');
	}
	return vferry_fail(err, -ENOENT,
			   "cannot start a keeper: no program vferry in PATH (VFERRY_PROGRAM names "
			   "another)");
}

/* Between fork and exec: nothing but system calls. Never returns. */
static void become_keeper(const char *path, char *const argv[], char *const envp[], int ready)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;
	int null;
	pid_t pid;

	setsid();
	pid = fork();
	if (pid)
		_exit(pid < 0 ? 1 : 0);
	sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &plain, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
	}
	if (dup2(ready, 3) < 0)
		_exit(1);
	close_range(4, ~0U, 0);
	if (chdir("/"))
		_exit(1);
	execve(path, argv, envp);
	dprintf(3, "%d cannot run %s\n", errno, path);
	_exit(1);
}

/* The caller's environment with the pipe's number; the strings stay the environment's. */
static char **environment(char *ready)
{
	size_t count = 0, out = 0;
	char **copy;

	while (environ && environ[count])
		count++;
	copy = calloc(count + 2, sizeof(*copy));
	if (!copy)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (strncmp(environ[i], VF_KEEPER_READY_ENV "=", sizeof(VF_KEEPER_READY_ENV)) &&
		    strncmp(environ[i], "NOTIFY_SOCKET=", 14))
			copy[out++] = environ[i];
	}
	copy[out] = ready;
	return copy;
}

static int read_verdict(int pipe_fd, const char *address, struct vferry_error *err)
{
	char words[600], *rest;
	size_t have = 0;
	ssize_t n;
	long code;

	while (have < sizeof(words) - 1) {
		n = read(pipe_fd, words + have, sizeof(words) - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
		if (memchr(words, '\n', have))
			break;
	}
	words[have] = '\0';
	if (!have)
		return vferry_fail(err, -ECHILD,
				   "the keeper of %s ended before it was ready and said nothing; "
				   "try: vferry keep %s --foreground",
				   address, address);
	words[strcspn(words, "\n")] = '\0';
	code = strtol(words, &rest, 10);
	if (!code)
		return 0;
	if (code < 0 || code > 4095)
		code = EPROTO;
	return vferry_fail(err, -(int)code, "%s", *rest == ' ' ? rest + 1 : rest);
}

int vf_keeper_start(const char *address, const struct vf_keeper_start *how,
		    struct vferry_error *err)
{
	char program[PATH_MAX], real[256], ready[] = VF_KEEPER_READY_ENV "=3";
	char vfs[8], timeout[32];
	char *argv[12], **envp;
	int pipe_fds[2], argc = 0, ret;
	pid_t pid;

	ret = vf_owner_address(address, real, sizeof(real), err);
	if (!ret)
		ret = find_program(program, sizeof(program), err);
	if (ret)
		return ret;
	argv[argc++] = program;
	argv[argc++] = (char *)"keep";
	argv[argc++] = real;
	argv[argc++] = (char *)"--foreground";
	if (how->num_vfs) {
		snprintf(vfs, sizeof(vfs), "%u", how->num_vfs);
		argv[argc++] = (char *)"--vfs";
		argv[argc++] = vfs;
	}
	if (how->vf_token) {
		argv[argc++] = (char *)"--vf-token";
		argv[argc++] = (char *)how->vf_token;
	}
	if (how->timeout_ns) {
		snprintf(timeout, sizeof(timeout), "%lluns", (unsigned long long)how->timeout_ns);
		argv[argc++] = (char *)"--timeout";
		argv[argc++] = timeout;
	}
	argv[argc] = NULL;
	envp = environment(ready);
	if (!envp)
		return vferry_fail(err, -ENOMEM, "no memory to start a keeper");
	if (pipe2(pipe_fds, O_CLOEXEC)) {
		ret = vferry_fail(err, -errno, "cannot start a keeper: pipe: %s", strerror(errno));
		free(envp);
		return ret;
	}
	pid = fork();
	if (!pid)
		become_keeper(program, argv, envp, pipe_fds[1]);
	free(envp);
	close(pipe_fds[1]);
	if (pid < 0)
		ret = vferry_fail(err, -errno, "cannot start a keeper: fork: %s", strerror(errno));
	else
		ret = read_verdict(pipe_fds[0], real, err);
	close(pipe_fds[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ret;
}
