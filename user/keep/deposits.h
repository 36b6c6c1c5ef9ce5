/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files that engines leave with the keeper, by the migration's id: what a device whose READ clears has given, for whoever
 * takes the VF back after the engine's death. The keeper never looks into them.
 */
#ifndef VF_KEEP_DEPOSITS_H
#define VF_KEEP_DEPOSITS_H

#include <stdint.h>

struct keeper;
struct deposit;

/** deposits_put() - @fd is the keeper's from then on, also on failure. One for each VF: the last one. -EINVAL: not a file; -errno */
int deposits_put(struct keeper *keeper, uint16_t vf, const uint8_t id[16], int fd);
/** deposits_get() - the descriptor, which stays the keeper's; -ENOENT. */
int deposits_get(const struct keeper *keeper, uint16_t vf, const uint8_t id[16]);
void deposits_drop(struct keeper *keeper, uint16_t vf, const uint8_t id[16]);
/** deposits_resume() - those of the last keeper. */
void deposits_resume(struct keeper *keeper);
void deposits_end(struct keeper *keeper);

#endif
