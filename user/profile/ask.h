/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Asking an engine that runs already for what it records. */
#ifndef PROF_ASK_H
#define PROF_ASK_H

#include "profile/profile.h"

struct prof_ask;

/** prof_ask_open() - from now on @pid's engine writes its flight recorder for us when a move ends. */
int prof_ask_open(struct prof_ask **ask, pid_t pid, struct vferry_error *err);
/** prof_ask_close() - what it has written goes to @sides; how many of them. Nothing is left behind. */
unsigned int prof_ask_close(struct prof_ask *ask, struct json_object *sides);

/** prof_inside() - the number of process @pid as it sees it itself, in its namespace. */
int prof_inside(pid_t pid);
/** prof_gather() - the sides in all recordings of folder @fd, which is consumed; the files go. How many sides. */
unsigned int prof_gather(struct json_object *sides, int fd);
/** prof_reconcile() - of a VF of which both the engine and its probes have told, one account remains. */
void prof_reconcile(struct json_object *sides);

#endif
