// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Prometheus text: a histogram of each phase, and of the whole, over the VFs of the report. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "profile/profile.h"

/* 64 us to 34 s in powers of two. */
#define FIRST_BOUND 65536ULL
#define BOUNDS	    20u

static void phase(FILE *file, const char *name, const uint64_t *values, size_t count)
{
	uint64_t sum = 0;

	for (unsigned int bound = 0; bound < BOUNDS; bound++) {
		size_t below = 0;

		for (size_t i = 0; i < count; i++)
			below += values[i] <= FIRST_BOUND << bound;
		fprintf(file,
			"vferry_migration_downtime_seconds_bucket{phase=\"%s\",le=\"%.9g\"} %zu\n",
			name, (double)(FIRST_BOUND << bound) / 1e9, below);
	}
	for (size_t i = 0; i < count; i++)
		sum += values[i];
	fprintf(file,
		"vferry_migration_downtime_seconds_bucket{phase=\"%s\",le=\"+Inf\"} %zu\n"
		"vferry_migration_downtime_seconds_sum{phase=\"%s\"} %llu.%09llu\n"
		"vferry_migration_downtime_seconds_count{phase=\"%s\"} %zu\n",
		name, count, name, (unsigned long long)(sum / 1000000000),
		(unsigned long long)(sum % 1000000000), name, count);
}

int prof_metrics(const char *path, struct json_object *report, struct vferry_error *err)
{
	size_t room = json_object_array_length(prof_get_array(report, "vfs")), length = 0;
	uint64_t *values = calloc(room ? room : 1, sizeof(*values));
	size_t count;
	char *text = NULL;
	FILE *file = open_memstream(&text, &length);
	int ret;

	if (!values || !file) {
		free(values);
		if (file)
			fclose(file);
		free(text);
		return vferry_fail(err, -ENOMEM, "no memory for %s", path);
	}
	fprintf(file,
		"# HELP vferry_migration_downtime_seconds Downtime of a VF in a migration, by phase; "
		"phase total is the whole.\n"
		"# TYPE vferry_migration_downtime_seconds histogram\n");
	count = prof_values(report, "downtime", values, room);
	phase(file, "total", values, count);
	for (unsigned int i = 0; i < PROF_PHASE_COUNT; i++) {
		count = prof_values(report, prof_phase_defs[i].name, values, room);
		phase(file, prof_phase_defs[i].name, values, count);
	}
	fclose(file);
	free(values);
	ret = prof_put_file(path, text, length, err);
	free(text);
	return ret;
}
