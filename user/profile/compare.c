// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What got worse? Medians of each phase over the VFs of two profiles. A difference counts when it is beyond noise: twice the
 * standard error of the difference of two medians, taken from the spread on both sides; with few VFs never less than a
 * tenth of the old value, the clocks' error, or 20 us.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "profile/profile.h"

#define LEAST_NS   20000.0
#define LEAST_PART 0.10
#define FEW	   5u

struct sample {
	uint64_t *values;
	size_t count;
	uint64_t median;
	double error; /* of the median */
};

static int by_size(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;

	return one < two ? -1 : one > two;
}

static void measure(struct sample *sample, struct json_object *report, const char *name)
{
	size_t room = json_object_array_length(prof_get_array(report, "vfs"));
	double mad;

	memset(sample, 0, sizeof(*sample));
	sample->values = calloc(room ? room : 1, sizeof(*sample->values));
	if (!sample->values)
		return;
	sample->count = prof_values(report, name, sample->values, room);
	qsort(sample->values, sample->count, sizeof(*sample->values), by_size);
	sample->median = prof_percentile(sample->values, sample->count, 50);
	for (size_t i = 0; i < sample->count; i++)
		sample->values[i] = sample->values[i] > sample->median
					    ? sample->values[i] - sample->median
					    : sample->median - sample->values[i];
	qsort(sample->values, sample->count, sizeof(*sample->values), by_size);
	/* The median deviation of a normal spread is 0.67 of its standard deviation. */
	mad = 1.4826 * (double)prof_percentile(sample->values, sample->count, 50);
	if (sample->count)
		sample->error = 1.2533 * mad / sqrt((double)sample->count);
	free(sample->values);
	sample->values = NULL;
}

static uint64_t clock_error(struct json_object *report)
{
	struct json_object *vfs = prof_get_array(report, "vfs");
	uint64_t worst = 0;

	for (size_t i = 0; i < json_object_array_length(vfs); i++) {
		uint64_t error = prof_get(json_object_array_get_idx(vfs, i), "downtime_error_ns");

		if (error > worst)
			worst = error;
	}
	return worst;
}

static struct json_object *row(const char *name, const struct sample *before,
			       const struct sample *now, double clocks, unsigned int threshold,
			       bool *worse)
{
	struct json_object *json = json_object_new_object();
	double change = (double)now->median - (double)before->median;
	double noise = 2 * sqrt(before->error * before->error + now->error * now->error);
	const char *verdict = "same";
	bool beyond;

	if ((before->count < FEW || now->count < FEW) &&
	    noise < LEAST_PART * (double)before->median)
		noise = LEAST_PART * (double)before->median;
	if (noise < clocks)
		noise = clocks;
	if (noise < LEAST_NS)
		noise = LEAST_NS;
	beyond = change > noise;
	if (beyond)
		verdict = "worse";
	else if (-change > noise)
		verdict = "better";
	*worse = beyond && change * 100 > (double)before->median * threshold;
	json_object_object_add(json, "name", json_object_new_string(name));
	json_object_object_add(json, "old_count", json_object_new_uint64(before->count));
	json_object_object_add(json, "new_count", json_object_new_uint64(now->count));
	json_object_object_add(json, "old_p50_ns", json_object_new_uint64(before->median));
	json_object_object_add(json, "new_p50_ns", json_object_new_uint64(now->median));
	json_object_object_add(json, "change_ns", json_object_new_int64((int64_t)change));
	json_object_object_add(json, "noise_ns", json_object_new_uint64((uint64_t)noise));
	json_object_object_add(json, "verdict", json_object_new_string(verdict));
	json_object_object_add(json, "past_threshold", json_object_new_boolean(*worse));
	return json;
}

struct json_object *prof_compare(struct json_object *before, struct json_object *now,
				 unsigned int threshold)
{
	struct json_object *compared = json_object_new_object(), *rows = json_object_new_array(),
			   *problems = json_object_new_array();
	uint64_t clocks = clock_error(before) + clock_error(now);
	bool worse = false, comparable = false;

	for (int phase = -1; phase < PROF_PHASE_COUNT; phase++) {
		const char *name = phase < 0 ? "downtime" : prof_phase_defs[phase].name;
		bool crosses = phase < 0 || !strcmp(prof_phase_defs[phase].side, "both"), past;
		struct sample one, two;

		measure(&one, before, name);
		measure(&two, now, name);
		if (!one.count || !two.count) {
			if (one.count || two.count || phase < 0) {
				char words[128];

				snprintf(words, sizeof(words), "%s: only in the %s file", name,
					 one.count   ? "old"
					 : two.count ? "new"
						     : "neither");
				if (!one.count && !two.count)
					snprintf(
						words, sizeof(words),
						"no migration that came to its end in either file");
				json_object_array_add(problems, json_object_new_string(words));
			}
			continue;
		}
		json_object_array_add(rows, row(name, &one, &two, crosses ? (double)clocks : 0,
						threshold, &past));
		/* The downtime decides; a phase that grew while another shrank is told, no more. */
		if (phase < 0) {
			worse = past;
			comparable = true;
		}
	}
	json_object_object_add(compared, "schema",
			       json_object_new_string("vferry.profile_comparison"));
	json_object_object_add(compared, "schema_version", json_object_new_int(1));
	json_object_object_add(compared, "threshold_percent", json_object_new_uint64(threshold));
	json_object_object_add(compared, "comparable", json_object_new_boolean(comparable));
	/* A gate that saw nothing is not open. */
	json_object_object_add(compared, "worse", json_object_new_boolean(worse || !comparable));
	json_object_object_add(compared, "rows", rows);
	json_object_object_add(compared, "problems", problems);
	return compared;
}

void prof_compare_text(FILE *out, struct json_object *compared)
{
	struct json_object *rows = prof_get_array(compared, "rows"),
			   *problems = prof_get_array(compared, "problems");
	char t[4][32];

	fprintf(out, "%-13s %11s %11s %11s %11s  (p50)\n", "PHASE", "OLD", "NEW", "CHANGE",
		"NOISE");
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *one = json_object_array_get_idx(rows, i);
		int64_t change =
			(int64_t)prof_get(one, "new_p50_ns") - (int64_t)prof_get(one, "old_p50_ns");

		fprintf(out, "%-13s %11s %11s %11s %11s  %s\n", prof_get_text(one, "name"),
			prof_ns(t[0], 32, (int64_t)prof_get(one, "old_p50_ns")),
			prof_ns(t[1], 32, (int64_t)prof_get(one, "new_p50_ns")),
			prof_ns(t[2], 32, change),
			prof_ns(t[3], 32, (int64_t)prof_get(one, "noise_ns")),
			prof_get_text(one, "verdict"));
	}
	for (size_t i = 0; i < json_object_array_length(problems); i++)
		fprintf(out, "- %s\n",
			json_object_get_string(json_object_array_get_idx(problems, i)));
	fprintf(out, "%s (threshold %llu%%)\n",
		json_object_get_boolean(json_object_object_get(compared, "worse"))
			? "past the threshold"
			: "within the threshold",
		(unsigned long long)prof_get(compared, "threshold_percent"));
}
