/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of vferry conform share. */
#ifndef VF_CLI_CONFORM_H
#define VF_CLI_CONFORM_H

#include "cli/cli.h"
#include "conform/conform.h"

struct conform_totals {
	unsigned int passed;
	unsigned int failed;
	unsigned int not_applicable;
};

/** struct junit - results as JUnit XML: kept, and written at the end under another name, then renamed */
struct junit {
	const char *path; /* NULL: none is wanted */
	struct conform_totals totals;
	char *cases;
	size_t bytes;
	FILE *stream;
};

int junit_begin(struct junit *junit, const char *path, struct vferry_error *err);
void junit_add(struct junit *junit, const struct conform *c, const struct check *check);
int junit_end(struct junit *junit, struct vferry_error *err);

#endif
