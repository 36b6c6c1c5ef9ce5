// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The report: one tree of values. Text, HTML, metrics and comparison show it and compute nothing of their own. */
#include <stdlib.h>
#include <string.h>
#include "profile/profile.h"

static void add(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

static const char *clock_name(enum prof_clock_kind kind)
{
	switch (kind) {
	case PROF_CLOCK_SAME:
		return "same_clock";
	case PROF_CLOCK_MEASURED:
		return "measured";
	case PROF_CLOCK_BOUNDS:
		return "order_of_events";
	case PROF_CLOCK_NONE:
		return "not_known";
	}
	return "not_known";
}

static int longest_first(const void *a, const void *b)
{
	uint64_t one = prof_get(*(struct json_object *const *)a, "duration_ns");
	uint64_t two = prof_get(*(struct json_object *const *)b, "duration_ns");

	return one > two ? -1 : one < two;
}

static struct json_object *causes_of(uint64_t cause[PROF_CAUSE_COUNT][PROF_SIDES])
{
	static const char *const sides[PROF_SIDES] = { "source", "destination" };
	struct json_object *causes = json_object_new_array();

	for (unsigned int c = 0; c < PROF_CAUSE_COUNT; c++) {
		/* What is on its way is at neither side. */
		bool both = c == PROF_CAUSE_NETWORK;

		for (unsigned int at = 0; at < (both ? 1u : PROF_SIDES); at++) {
			uint64_t ns = both ? cause[c][0] + cause[c][1] : cause[c][at];
			struct json_object *one;

			if (!ns)
				continue;
			one = json_object_new_object();
			add_text(one, "name", prof_cause_defs[c].name);
			add_text(one, "side", both ? "both" : sides[at]);
			add(one, "duration_ns", ns);
			json_object_array_add(causes, one);
		}
	}
	json_object_array_sort(causes, longest_first);
	return causes;
}

/* "final_send" or "final_send..loaded_word" */
static void segment_name(char *name, size_t room, const struct prof_segment *segment)
{
	if (segment->first == segment->last)
		snprintf(name, room, "%s", prof_phase_defs[segment->first].name);
	else
		snprintf(name, room, "%s..%s", prof_phase_defs[segment->first].name,
			 prof_phase_defs[segment->last].name);
}

/* What a host did meanwhile, whatever was blamed: thread states add up to the phase where the scheduler was seen. */
static struct json_object *hosts_of(const struct prof_pair *pair,
				    const struct prof_segment *segment)
{
	static const char *const sides[PROF_SIDES] = { "source", "destination" };
	struct json_object *hosts = json_object_new_array();

	for (unsigned int at = 0; at < PROF_SIDES; at++) {
		const struct prof_host *host = &segment->host[at];
		const struct prof_side *side = pair->side[at];
		struct json_object *one;
		char key[32];

		if (!segment->side[at] || !side || !side->kernel)
			continue;
		one = json_object_new_object();
		add_text(one, "side", sides[at]);
		for (unsigned int state = 0; host->seen && state < PROF_THREAD_COUNT; state++) {
			snprintf(key, sizeof(key), "%s_ns", prof_thread_states[state]);
			add(one, key, host->ns[state]);
		}
		if (host->seen)
			add(one, "switches", host->switches);
		if (host->seen)
			add(one, "worker_ns", host->worker_ns);
		if (side->kernel->interrupts) {
			add(one, "interrupts", host->interrupts);
			add(one, "interrupt_ns", host->interrupt_ns);
			add(one, "softirq_ns", host->softirq_ns);
		}
		if (side->kernel->workers)
			add(one, "io_wq_punts", host->punts);
		if (side->kernel->segments && pair->vf[at]->local_port)
			add(one, "retransmits", host->retransmits);
		json_object_array_add(hosts, one);
	}
	return hosts;
}

static struct json_object *phase_of(const struct prof_pair *pair, const struct prof_budget *budget,
				    struct prof_segment *segment)
{
	struct json_object *phase = json_object_new_object(), *counts = json_object_new_object();
	char name[64];

	segment_name(name, sizeof(name), segment);
	add_text(phase, "name", name);
	add_text(phase, "side",
		 segment->crosses	      ? "both"
		 : segment->side[PROF_SOURCE] ? "source"
					      : "destination");
	add(phase, "begin_ns", (uint64_t)(segment->begin - budget->begin));
	add(phase, "duration_ns", (uint64_t)(segment->end - segment->begin));
	add(phase, "error_ns", segment->error_ns);
	json_object_object_add(phase, "causes", causes_of(segment->cause));
	add(counts, "admin_commands", segment->counts.commands);
	add(counts, "context_bytes", segment->counts.context_bytes);
	add(counts, "off_cpu", segment->counts.switches);
	add(counts, "io_wq_punts", segment->counts.punts);
	add(counts, "retransmits", segment->counts.retransmits);
	add(counts, "rtt_us", segment->counts.rtt_us);
	json_object_object_add(phase, "counts", counts);
	json_object_object_add(phase, "hosts", hosts_of(pair, segment));
	return phase;
}

static void add_side_of_pair(struct json_object *to, const struct prof_pair *pair, enum prof_at at)
{
	static const char *const keys[PROF_SIDES] = { "source", "destination" };
	const struct prof_side *side = pair->side[at];
	const struct prof_vf *vf = pair->vf[at];
	struct json_object *json;
	unsigned int largest = 0;

	if (!vf)
		return;
	json = json_object_new_object();
	add(json, "vf", vf->vf);
	add_text(json, "outcome", vf->outcome);
	if (vf->error[0])
		add_text(json, "error", vf->error);
	add_text(json, "host", side->host);
	add_text(json, "owner", side->owner);
	add_text(json, "origin", side->origin);
	json_object_object_add(json, "scheduler_seen",
			       json_object_new_boolean(side->kernel && side->kernel->scheduler));
	add(json, "context_bytes", vf->context_bytes);
	add(json, "final_bytes", vf->final_bytes);
	add(json, "pass_count", vf->passes);
	for (unsigned int i = 0; i < vf->passes; i++)
		if (vf->pass_bytes[i] > vf->pass_bytes[largest])
			largest = i;
	add(json, "largest_pass_bytes", vf->pass_bytes[largest]);
	add(json, "largest_pass_ns", vf->pass_ns[largest]);
	json_object_object_add(to, keys[at], json);
}

static void say_what_is_missing(struct prof_set *set, const struct prof_pair *pair,
				const struct prof_budget *budget)
{
	for (unsigned int at = 0; at < PROF_SIDES; at++) {
		const struct prof_vf *vf = pair->vf[at];
		const char *where = at == PROF_SOURCE ? "source" : "destination";
		int64_t first;

		if (!vf) {
			prof_unseen(set, "the %s: no profile of it", where);
			continue;
		}
		if (!pair->side[at]->kernel || !pair->side[at]->kernel->scheduler)
			prof_unseen(
				set,
				"the scheduler at the %s: whether the engine ran, waited or was preempted",
				where);
		if (pair->side[at]->kernel && pair->side[at]->kernel->segments && !vf->local_port)
			prof_unseen(
				set,
				"retransmissions at the %s: the migration had no TCP connection of its own",
				where);
		if (vf->marks_lost)
			prof_problem(set, "VF %u: %llu phases of the %s were lost", vf->vf,
				     (unsigned long long)vf->marks_lost, where);
		if (!vf->events_lost || !vf->events.count || budget->basis == PROF_BASIS_NONE)
			continue;
		first = prof_on_source(pair, (enum prof_at)at,
				       vf->lost_until ? vf->lost_until : vf->events.at[0].end);
		if (first > budget->begin)
			prof_problem(
				set,
				"VF %u: the %s's recorder was full: %llu events were overwritten, the first that is left lies "
				"%llu ns behind the beginning of the downtime",
				vf->vf, where, (unsigned long long)vf->events_lost,
				(unsigned long long)(first - budget->begin));
	}
}

static struct json_object *one_vf(struct prof_set *set, const struct prof_pair *pair)
{
	struct json_object *vf = json_object_new_object(), *phases = json_object_new_array(),
			   *clock = json_object_new_object();
	uint64_t total[PROF_CAUSE_COUNT][PROF_SIDES] = { { 0 } };
	const struct prof_vf *any = pair->vf[0] ? pair->vf[0] : pair->vf[1];
	struct prof_budget budget;

	prof_budget(pair, &budget);
	if (prof_blame(pair, &budget))
		prof_problem(set, "VF %u: no memory for its causes", any->vf);
	add(vf, "vf", any->vf);
	add_text(vf, "id", any->id);
	add_text(vf, "outcome", any->outcome);
	add_text(vf, "basis", prof_basis_name(budget.basis));
	add(vf, "downtime_ns", (uint64_t)(budget.end - budget.begin));
	add(vf, "downtime_error_ns", budget.error_ns);
	add_text(clock, "kind", clock_name(pair->clock));
	json_object_object_add(clock, "offset_ns", json_object_new_int64(pair->offset_ns));
	add(clock, "error_ns", pair->error_ns);
	json_object_object_add(vf, "clock", clock);
	for (unsigned int i = 0; i < budget.count; i++) {
		struct prof_segment *segment = &budget.segments[i];

		json_object_array_add(phases, phase_of(pair, &budget, segment));
		for (unsigned int c = 0; c < PROF_CAUSE_COUNT; c++)
			for (unsigned int at = 0; at < PROF_SIDES; at++)
				total[c][at] += segment->cause[c][at];
	}
	json_object_object_add(vf, "phases", phases);
	json_object_object_add(vf, "causes", causes_of(total));
	add_side_of_pair(vf, pair, PROF_SOURCE);
	add_side_of_pair(vf, pair, PROF_DESTINATION);
	if (budget.clamped)
		prof_problem(
			set,
			"VF %u: events had to be moved by %lld ns to keep their order: the clocks disagree by more than their "
			"error of %llu ns",
			any->vf, (long long)budget.clamped_ns, (unsigned long long)pair->error_ns);
	say_what_is_missing(set, pair, &budget);
	return vf;
}

/* --- over all VFs --- */

uint64_t prof_percentile(const uint64_t *sorted, size_t count, unsigned int percent)
{
	size_t rank = (count * percent + 99) / 100;

	return count ? sorted[rank ? rank - 1 : 0] : 0;
}

static int by_size(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;

	return one < two ? -1 : one > two;
}

static struct json_object *spread(const char *name, uint64_t *values, size_t count)
{
	struct json_object *row = json_object_new_object();
	uint64_t sum = 0;

	qsort(values, count, sizeof(*values), by_size);
	for (size_t i = 0; i < count; i++)
		sum += values[i];
	add_text(row, "name", name);
	add(row, "count", count);
	add(row, "sum_ns", sum);
	add(row, "min_ns", values[0]);
	add(row, "p50_ns", prof_percentile(values, count, 50));
	add(row, "p90_ns", prof_percentile(values, count, 90));
	add(row, "p99_ns", prof_percentile(values, count, 99));
	add(row, "max_ns", values[count - 1]);
	return row;
}

size_t prof_values(struct json_object *report, const char *name, uint64_t *values, size_t room)
{
	struct json_object *vfs = prof_get_array(report, "vfs");
	bool downtime = !strcmp(name, "downtime");
	size_t used = 0;

	for (size_t i = 0; i < json_object_array_length(vfs); i++) {
		struct json_object *vf = json_object_array_get_idx(vfs, i);
		struct json_object *phases = prof_get_array(vf, "phases");
		const char *basis = prof_get_text(vf, "basis");

		if (downtime &&
		    (!strcmp(basis, "stop_to_active") || !strcmp(basis, "stop_to_word_active")) &&
		    used < room)
			values[used++] = prof_get(vf, "downtime_ns");
		for (size_t p = 0; !downtime && p < json_object_array_length(phases); p++) {
			struct json_object *one = json_object_array_get_idx(phases, p);

			if (used < room && !strcmp(prof_get_text(one, "name"), name))
				values[used++] = prof_get(one, "duration_ns");
		}
	}
	return used;
}

static struct json_object *percentiles(struct json_object *report)
{
	struct json_object *rows = json_object_new_array();
	size_t room = json_object_array_length(prof_get_array(report, "vfs")), used;
	uint64_t *values = calloc(room ? room : 1, sizeof(*values));

	used = values ? prof_values(report, "downtime", values, room) : 0;
	if (used)
		json_object_array_add(rows, spread("downtime", values, used));
	for (unsigned int phase = 0; values && phase < PROF_PHASE_ALL; phase++) {
		used = prof_values(report, prof_phase_defs[phase].name, values, room);
		if (used)
			json_object_array_add(rows,
					      spread(prof_phase_defs[phase].name, values, used));
	}
	free(values);
	return rows;
}

static struct json_object *sides_of(const struct prof_set *set)
{
	struct json_object *sides = json_object_new_array();

	for (size_t i = 0; i < set->count; i++) {
		const struct prof_side *from = &set->sides[i];
		struct json_object *side = json_object_new_object();

		add_text(side, "role", from->role == PROF_SOURCE ? "source" : "destination");
		add_text(side, "host", from->host);
		add(side, "pid", (uint64_t)from->pid);
		add_text(side, "owner", from->owner);
		add_text(side, "peer", from->peer);
		add_text(side, "origin", from->origin);
		add_text(side, "why", from->why);
		add_text(side, "file", from->file);
		add(side, "vf_count", from->count);
		json_object_array_add(sides, side);
	}
	return sides;
}

struct json_object *prof_report(struct prof_set *set)
{
	struct json_object *report, *vfs;
	struct prof_pair *pairs;
	int count = prof_join(set, &pairs);

	if (count < 0)
		return NULL;
	report = json_object_new_object();
	vfs = json_object_new_array();
	add_text(report, "schema", "vferry.profile_report");
	add(report, "schema_version", 1);
	for (int i = 0; i < count; i++)
		json_object_array_add(vfs, one_vf(set, &pairs[i]));
	free(pairs);
	json_object_object_add(report, "files", json_object_get(set->files));
	json_object_object_add(report, "sides", sides_of(set));
	json_object_object_add(report, "problems", json_object_get(set->problems));
	json_object_object_add(report, "not_seen", json_object_get(set->not_seen));
	json_object_object_add(report, "vfs", vfs);
	json_object_object_add(report, "percentiles", percentiles(report));
	json_object_object_add(report, "findings", prof_findings(report));
	return report;
}
