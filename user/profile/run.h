/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Watching engines: a command that is run, or a process that runs already. */
#ifndef PROF_RUN_H
#define PROF_RUN_H

#include <sys/types.h>
#include "profile/profile.h"

/* --- watch.c: what the kernel saw --- */
struct prof_watch;
/** prof_watch_open() - load and attach. On failure @err says why; the profile goes on without. @pid 0: prof_watch_pid() follows. */
int prof_watch_open(struct prof_watch **watch, struct vferry_error *err);
/** prof_watch_pid() - this process and all that it starts. */
int prof_watch_pid(struct prof_watch *watch, pid_t pid);
/** prof_watch_probes() - engine @pid runs already and records nothing for us: listen to its probes. */
int prof_watch_probes(struct prof_watch *watch, pid_t pid, struct vferry_error *err);
/** prof_watch_fd() - readable when events are there, for prof_watch_read(). */
int prof_watch_fd(const struct prof_watch *watch);
void prof_watch_read(struct prof_watch *watch);
/** prof_watch_result() - "kernels" and, of probes, "sides" are added to @doc. */
void prof_watch_result(struct prof_watch *watch, struct json_object *doc);
void prof_watch_close(struct prof_watch *watch);

/* --- run.c --- */
struct prof_run {
	char *const *command;
	pid_t pid;	     /* instead of a command */
	int status;	     /* of the command, as a shell says it */
	uint64_t timeout_ns; /* for --pid: no longer than this; 0: until it ends */
};
/** prof_run() - run or follow, to the end; the profile document. NULL: @err. */
struct json_object *prof_run(struct prof_run *run, struct vferry_error *err);

#endif
