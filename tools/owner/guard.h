/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Surviving SIGBUS: a client may truncate a file that is mapped here. */
#ifndef OWNER_GUARD_H
#define OWNER_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/** guard_install() - handle SIGBUS for the whole process. */
int guard_install(void);
/** guard_add() - watch a mapping. Return: its slot; -1 when none is free. */
int guard_add(void *base, size_t size);
/** guard_remove() - before munmap. */
void guard_remove(int slot);
/** guard_broken() - a touch of this mapping raised SIGBUS; anonymous zeroes stand in its place since. */
bool guard_broken(int slot);
/** guard_hits() - mappings broken so far; a change says that somebody's must be looked for. */
unsigned int guard_hits(void);

#endif
