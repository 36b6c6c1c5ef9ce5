// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The probes' semaphores: one copy in each program or library that carries probes. */
#include <vferry/probes.h>

#define X(name) unsigned short vferry_##name##_semaphore __attribute__((section(".probes")));
VFERRY_PROBES(X)
#undef X
