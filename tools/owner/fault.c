// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* --fault: what an owner device may do wrong on request, the same under the same --seed. */
#include <stdlib.h>
#include "tools/owner/fault.h"

#define FAULTS_MAX 64

struct faults {
	unsigned int count;
	struct fault fault[FAULTS_MAX];
};

static uint64_t draw(struct fault *fault)
{
	fault->random ^= fault->random << 13;
	fault->random ^= fault->random >> 7;
	fault->random ^= fault->random << 17;
	return fault->random * 0x2545f4914f6cdd1dULL;
}

int faults_add(struct owner *owner, const char *spec, struct vferry_error *err)
{
	struct faults *faults = owner->faults;
	struct fault fault;
	int ret = fault_parse(&fault, spec, err);

	if (ret)
		return ret;
	if (!faults)
		faults = owner->faults = calloc(1, sizeof(*faults));
	if (!faults)
		return vferry_fail(err, -ENOMEM, "--fault %s: no memory", spec);
	if (faults->count == FAULTS_MAX)
		return vferry_fail(err, -E2BIG, "--fault %s: no more than %u faults", spec,
				   FAULTS_MAX);
	fault.random = (owner->opts.seed + faults->count + 1) * 0x9e3779b97f4a7c15ULL | 1;
	for (int i = 0; i < 8; i++)
		draw(&fault);
	faults->fault[faults->count++] = fault;
	return 0;
}

void faults_free(struct owner *owner)
{
	free(owner->faults);
	owner->faults = NULL;
}

/* --- meeting a command ------------------------------------------------------------------------------------------ */

static bool meets(struct fault *fault, uint16_t opcode, uint64_t member)
{
	if (!fault->any_opcode && fault->opcode != opcode)
		return false;
	if (fault->vf_first && (member < fault->vf_first || member > fault->vf_last))
		return false;
	fault->seen++;
	if (fault->seen < fault->at || fault->seen - fault->at >= fault->times)
		return false;
	return !fault->chance || (uint32_t)(draw(fault) >> 32) < fault->chance;
}

static void add_effect(struct fault_effect *sum, struct fault *fault)
{
	struct fault_effect effect = fault->effect;

	if (effect.answer_set && !sum->answer_set) {
		sum->answer_set = true;
		sum->answer = effect.answer;
	}
	if (effect.garbage) {
		uint64_t random = draw(fault);

		sum->garbage = true;
		sum->garbled = (struct answer){ (uint16_t)random, (uint16_t)(random >> 16) };
	}
	if (effect.used_set) {
		sum->used_set = true;
		sum->used = fault->garbage_used ? (uint32_t)draw(fault) : effect.used;
	}
	if (effect.context_len_set) {
		sum->context_len_set = true;
		sum->context_len =
			fault->garbage_context_len ? (uint32_t)draw(fault) : effect.context_len;
	}
	if (effect.room_set) {
		sum->room_set = true;
		sum->room = effect.room;
	}
	sum->silent |= effect.silent;
	sum->lost |= effect.lost;
	sum->die |= effect.die;
	sum->die_after |= effect.die_after;
	sum->odd |= effect.odd;
	sum->slow_ns += effect.slow_ns;
}

struct fault_effect faults_pick(struct owner *owner, uint16_t opcode, uint64_t member)
{
	struct fault_effect sum = { 0 };

	for (unsigned int i = 0; owner->faults && i < owner->faults->count; i++)
		if (meets(&owner->faults->fault[i], opcode, member))
			add_effect(&sum, &owner->faults->fault[i]);
	return sum;
}
