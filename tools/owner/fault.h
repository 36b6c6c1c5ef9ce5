/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One --fault, between the file that reads its words and the file that lets it meet commands. */
#ifndef OWNER_FAULT_H
#define OWNER_FAULT_H

#include "tools/owner/admin.h"

#define FAULT_FOREVER UINT64_MAX

struct fault {
	struct fault_effect effect;
	bool any_opcode;
	uint16_t opcode;
	uint64_t vf_first; /* 0: any */
	uint64_t vf_last;
	uint64_t at;	/* the first match that counts, from 1 */
	uint64_t times; /* how many count then */
	bool times_set;
	bool garbage_used;
	bool garbage_context_len;
	uint32_t chance; /* of 2^32; 0: always */
	uint64_t seen;
	uint64_t random;
};

/** fault_parse() - read @spec into @fault. */
int fault_parse(struct fault *fault, const char *spec, struct vferry_error *err);

#endif
