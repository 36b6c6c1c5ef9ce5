/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of vferry doctor share. */
#ifndef VF_CLI_DOCTOR_H
#define VF_CLI_DOCTOR_H

#include <sys/types.h>
#include "cli/cli.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_WARN,	/* works, but slower, or only in part */
	DOCTOR_MISSING, /* what needs it does not work */
};

struct doctor {
	struct json_object *checks;
	const char *group;
	bool io_uring; /* usable at all */
};

/**
 * doctor_say() - one check's outcome
 * @fix: what to type, or NULL
 * @format: what was found and what it means
 */
__attribute__((format(printf, 5, 6))) void doctor_say(struct doctor *doctor, const char *name,
						      enum doctor_state state, const char *fix,
						      const char *format, ...);

/** doctor_line() - first line of a file, without its end. false: it cannot be read. */
bool doctor_line(const char *path, char *line, size_t size);
/** doctor_link() - last part of where a symbolic link leads. */
bool doctor_link(const char *path, char *name, size_t size);

void doctor_host(struct doctor *doctor); /* kernel, memory, capabilities */
void doctor_io_uring(struct doctor *doctor);
void doctor_vfio(struct doctor *doctor); /* VFIO, PFs */
void doctor_bpf(struct doctor *doctor);
void doctor_owners(struct doctor *doctor); /* keepers, journals */
void doctor_ways(struct doctor *doctor);   /* to an owner device */

#endif
