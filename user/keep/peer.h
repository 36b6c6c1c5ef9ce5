/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef VF_KEEP_PEER_H
#define VF_KEEP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/** peer_may_borrow() - root, the keeper's own user, and who is in group vferry. */
bool peer_may_borrow(int sock, const struct ucred *peer);
/** peer_name() - the command's name, fit for a terminal. */
void peer_name(pid_t pid, char *comm, size_t room);
/** peer_started() - when a process was started, in the kernel's ticks; 0: there is none. With its number that names it. */
uint64_t peer_started(pid_t pid);
/** peer_pidfd() - of the very process that connected, where the kernel can say so; by its number otherwise. Negative: none. */
int peer_pidfd(int sock, pid_t pid);

#endif
