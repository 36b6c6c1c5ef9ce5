// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "profile/phases.h"

const struct prof_phase_def prof_phase_defs[PROF_PHASE_ALL] = {
#define X(id, begins, ends, where, text, words, in_qemu, in_criu) \
	[PROF_PHASE_##id] = {                                     \
		.name = text,                                     \
		.side = where,                                    \
		.meaning = words,                                 \
		.qemu = in_qemu,                                  \
		.criu = in_criu,                                  \
		.from = VFERRY_PHASE_##begins,                    \
		.to = VFERRY_PHASE_##ends,                        \
	},
	PROF_PHASES(X)
#undef X
#define X(id, where, text, words) \
	[PROF_PHASE_##id] = {     \
		.name = text,     \
		.side = where,    \
		.meaning = words, \
		.qemu = "none",   \
		.criu = "none",   \
	},
		PROF_OTHER_PHASES(X)
#undef X
};

const struct prof_cause_def prof_cause_defs[PROF_CAUSE_COUNT] = {
#define X(id, text, heading, needs_kernel, explained) \
	[PROF_CAUSE_##id] = {                         \
		.name = text,                         \
		.words = heading,                     \
		.meaning = explained,                 \
		.kernel = needs_kernel,               \
	},
	PROF_CAUSES(X)
#undef X
};

const enum vferry_phase prof_bounds[PROF_BOUNDS] = { VFERRY_PHASE_SRC_STOP,
#define X(id, begins, ends, ...) VFERRY_PHASE_##ends,
						     PROF_PHASES(X)
#undef X
};
