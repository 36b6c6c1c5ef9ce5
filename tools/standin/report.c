// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One tree, two renderings: what stands in the text stands in the JSON. */
#include <stdio.h>
#include <string.h>
#include "tools/standin/report.h"

#define NOTE \
	"a stand-in for a VMM and its guests; the device is a software owner device, not hardware"

static void put(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static struct json_object *errors_of(const struct tally *tally)
{
	struct json_object *object = json_object_new_object();

	put(object, "failed_requests", tally->failed);
	put(object, "ring_errors", tally->ring_errors);
	put(object, "wrong_used_lengths", tally->wrong_lengths);
	put(object, "lost_completions", tally->lost_completions);
	put(object, "lost_interrupts", tally->lost_interrupts);
	put(object, "stray_source_interrupts", tally->stray_interrupts);
	put(object, "stale_reads", tally->stale_reads);
	put(object, "corrupt_reads", tally->corrupt_reads);
	return object;
}

/* Looked at through @guest->seen: the thread may be at work. */
static struct json_object *one(const struct guest *guest)
{
	const struct tally *tally = &guest->seen;
	struct json_object *object = json_object_new_object();
	bool ended = guest->seen_state == GUEST_DONE || guest->seen_state == GUEST_FAILED;

	put(object, "vf", guest->opts.vf);
	json_object_object_add(object, "state",
			       json_object_new_string(guest_state_name(guest->seen_state)));
	json_object_object_add(object, "verified",
			       json_object_new_boolean(ended && guest_verified(guest)));
	json_object_object_add(object, "switched", json_object_new_boolean(tally->switch_ns != 0));
	put(object, "io_before", tally->io[PHASE_BEFORE]);
	put(object, "io_during", tally->io[PHASE_DURING]);
	put(object, "io_after", tally->io[PHASE_AFTER]);
	put(object, "io_errors", guest_errors(tally));
	json_object_object_add(object, "errors", errors_of(tally));
	put(object, "lost_blocks", tally->lost_blocks);
	put(object, "corrupt_blocks", tally->corrupt_blocks);
	put(object, "blocks_read_back", tally->read_back);
	put(object, "reads", tally->reads);
	put(object, "writes", tally->writes);
	put(object, "flushes", tally->flushes);
	put(object, "direct_chains", tally->direct_chains);
	put(object, "indirect_chains", tally->indirect_chains);
	put(object, "longest_gap_ns", tally->gap_ns);
	put(object, "longest_gap_since_mark_ns", tally->gap_during_ns);
	put(object, "switch_gap_ns", tally->switch_gap_ns);
	put(object, "requests_in_rings_at_switch", tally->ring_at_switch);
	put(object, "latency_max_ns", tally->latency_max_ns);
	put(object, "source_interrupts", tally->source_interrupts);
	put(object, "destination_interrupts", tally->destination_interrupts);
	if (ended) {
		put(object, "blocks", guest->blocks.count);
		put(object, "source_doorbells", guest->source.kicks);
		put(object, "destination_doorbells", guest->destination.kicks);
		put(object, "queues", guest->queue_count);
		put(object, "queue_size", guest->driver.size);
		json_object_object_add(object, "event_idx",
				       json_object_new_boolean(guest->driver.event_idx));
		json_object_object_add(object, "indirect",
				       json_object_new_boolean(guest->driver.indirect));
	}
	if (guest->seen_state == GUEST_FAILED)
		json_object_object_add(object, "error", json_object_new_string(guest->error.text));
	return object;
}

struct json_object *report_json(struct guest *const *guests, unsigned int count)
{
	struct json_object *report = json_object_new_object(), *vfs = json_object_new_array();
	bool verified = true;

	json_object_object_add(report, "schema", json_object_new_string("vferry.standin"));
	json_object_object_add(report, "schema_version", json_object_new_int(1));
	for (unsigned int i = 0; i < count; i++) {
		struct json_object *vf = one(guests[i]), *good;

		if (!json_object_object_get_ex(vf, "verified", &good) ||
		    !json_object_get_boolean(good))
			verified = false;
		json_object_array_add(vfs, vf);
	}
	json_object_object_add(report, "verified", json_object_new_boolean(verified));
	json_object_object_add(report, "device", json_object_new_string("software"));
	json_object_object_add(report, "note", json_object_new_string(NOTE));
	json_object_object_add(report, "vfs", vfs);
	return report;
}

struct json_object *report_status(struct guest *const *guests, unsigned int count)
{
	struct json_object *status = json_object_new_array();

	for (unsigned int i = 0; i < count; i++) {
		struct json_object *vf = json_object_new_object();

		put(vf, "vf", guests[i]->opts.vf);
		json_object_object_add(
			vf, "state",
			json_object_new_string(guest_state_name(guests[i]->seen_state)));
		json_object_object_add(vf, "switched",
				       json_object_new_boolean(guests[i]->seen.switch_ns != 0));
		put(vf, "io",
		    guests[i]->seen.io[PHASE_BEFORE] + guests[i]->seen.io[PHASE_DURING] +
			    guests[i]->seen.io[PHASE_AFTER]);
		put(vf, "io_errors", guest_errors(&guests[i]->seen));
		json_object_array_add(status, vf);
	}
	return status;
}

static uint64_t get(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_uint64(value) : 0;
}

static const char *get_text(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_string(value) : "";
}

static bool get_bool(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value) && json_object_get_boolean(value);
}

void report_text(struct json_object *report)
{
	struct json_object *vfs = NULL;

	json_object_object_get_ex(report, "vfs", &vfs);
	printf("%4s %9s %9s %9s %7s %10s %10s  %s\n", "VF", "before", "during", "after", "errors",
	       "gap", "switch gap", "blocks");
	for (size_t i = 0; vfs && i < json_object_array_length(vfs); i++) {
		struct json_object *vf = json_object_array_get_idx(vfs, i);
		uint64_t bad = get(vf, "lost_blocks") + get(vf, "corrupt_blocks");

		printf("%4llu %9llu %9llu %9llu %7llu %7.2f ms %7.2f ms  ",
		       (unsigned long long)get(vf, "vf"), (unsigned long long)get(vf, "io_before"),
		       (unsigned long long)get(vf, "io_during"),
		       (unsigned long long)get(vf, "io_after"),
		       (unsigned long long)get(vf, "io_errors"),
		       (double)get(vf, "longest_gap_ns") / 1e6,
		       (double)get(vf, "switch_gap_ns") / 1e6);
		if (bad)
			printf("%llu LOST, %llu CORRUPT of ",
			       (unsigned long long)get(vf, "lost_blocks"),
			       (unsigned long long)get(vf, "corrupt_blocks"));
		printf("%llu%s\n", (unsigned long long)get(vf, "blocks_read_back"),
		       get_bool(vf, "verified") ? " verified" : "");
		if (!strcmp(get_text(vf, "state"), "failed"))
			printf("     failed: %s\n", get_text(vf, "error"));
	}
	printf("%s (%s)\n", get_bool(report, "verified") ? "verified" : "NOT VERIFIED",
	       get_text(report, "note"));
}
