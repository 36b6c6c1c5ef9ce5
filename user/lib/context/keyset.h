/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A set of 48-bit keys that is emptied often: the fields seen in one image. */
#ifndef VF_CONTEXT_KEYSET_H
#define VF_CONTEXT_KEYSET_H

#include <stdint.h>

struct vf_keyset {
	uint64_t *slots; /* generation << 48 | key; another generation than the set's: empty */
	uint32_t room;	 /* power of two, or 0 */
	uint32_t count;
	uint16_t generation;
	uint64_t seed; /* a sender cannot choose keys that collide */
};

void vf_keyset_init(struct vf_keyset *set);
void vf_keyset_free(struct vf_keyset *set);
void vf_keyset_clear(struct vf_keyset *set);
/** vf_keyset_add() - 0; -EEXIST when it is there already; -ENOMEM. The caller bounds how many it adds. */
int vf_keyset_add(struct vf_keyset *set, uint64_t key);

#endif
