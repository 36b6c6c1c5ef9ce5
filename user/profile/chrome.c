// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Trace events as Perfetto and chrome://tracing read them: phases and commands as async b/e, what ran and waited as they were. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/admin.h>
#include "profile/profile.h"

#define CHROME_EVENTS_MOST 500000u

struct chrome {
	FILE *file;
	uint64_t count, id;
	bool any;
};

/* Names come from tables, hosts and owners from a file: those are escaped by json-c. */
static const char *quoted(struct json_object **holder, const char *text)
{
	json_object_put(*holder);
	*holder = json_object_new_string(text);
	return json_object_to_json_string_ext(*holder, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void begin(struct chrome *chrome)
{
	fputs(chrome->any ? ",\n" : "\n", chrome->file);
	chrome->any = true;
}

/* Microseconds with the nanoseconds behind the point. */
static void span(struct chrome *chrome, unsigned int pid, unsigned int tid, const char *category,
		 const char *name, int64_t from, int64_t to)
{
	if (chrome->count >= CHROME_EVENTS_MOST || from < 0 || to < from)
		return;
	chrome->count++;
	chrome->id++;
	for (unsigned int end = 0; end < 2; end++) {
		int64_t at = end ? to : from;

		begin(chrome);
		fprintf(chrome->file,
			"{\"ph\":\"%s\",\"cat\":\"%s\",\"name\":\"%s\",\"id\":%llu,\"pid\":%u,"
			"\"tid\":%u,\"ts\":%lld.%03lld}",
			end ? "e" : "b", category, name, (unsigned long long)chrome->id, pid, tid,
			(long long)(at / 1000), (long long)(at % 1000));
	}
}

static void name(struct chrome *chrome, unsigned int pid, int tid, const char *text)
{
	struct json_object *holder = NULL;

	begin(chrome);
	if (tid < 0)
		fprintf(chrome->file,
			"{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":%s}}",
			pid, quoted(&holder, text));
	else
		fprintf(chrome->file,
			"{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%u,\"tid\":%d,\"args\":{\"name\":%s}}",
			pid, tid, quoted(&holder, text));
	json_object_put(holder);
}

static void events(struct chrome *chrome, const struct prof_events *events, unsigned int pid,
		   unsigned int tid, int64_t shift)
{
	for (size_t i = 0; i < events->count; i++) {
		const struct prof_event *event = &events->at[i];
		int64_t from = event->begin + shift, to = event->end + shift;

		switch (event->kind) {
		case PROF_COMMAND:
			span(chrome, pid, tid, "command", vferry_opcode_name(event->opcode), from,
			     to);
			if (event->issue && event->wake >= event->issue)
				span(chrome, pid, tid, "device", "device", event->issue + shift,
				     event->wake + shift);
			break;
		case PROF_CHUNK_OUT:
			span(chrome, pid, tid, "chunk", "chunk out", from, to);
			break;
		case PROF_CHUNK_IN:
			span(chrome, pid, tid, "chunk", "chunk in", from, to);
			break;
		case PROF_JOURNAL:
			span(chrome, pid, tid, "journal", "journal", from, to);
			break;
		case PROF_GATE:
			span(chrome, pid, tid, "hook", "hook", from, to);
			break;
		case PROF_OFF_CPU:
			span(chrome, pid, tid, "off_cpu",
			     event->state == 'R'   ? "preempted"
			     : event->state == 'D' ? "disk, page faults"
			     : event->state == 'T' ? "stopped"
						   : "asleep",
			     from, to);
			if (event->wake && event->state != 'R')
				span(chrome, pid, tid, "off_cpu", "wake-up latency",
				     event->wake + shift, to);
			break;
		case PROF_IRQ:
			span(chrome, pid, tid, "interrupt", "interrupt", from, to);
			break;
		default:
			break;
		}
	}
}

/* One process for the two sides' phases, one for each side's engine. */
static void one_pair(struct chrome *chrome, const struct prof_pair *pair, int64_t zero)
{
	const struct prof_vf *any = pair->vf[0] ? pair->vf[0] : pair->vf[1];
	struct prof_budget budget;
	char text[128];

	prof_budget(pair, &budget);
	snprintf(text, sizeof(text), "VF %u %.8s", any->vf, any->id);
	name(chrome, 1, (int)any->vf, text);
	if (budget.count)
		span(chrome, 1, any->vf, "downtime", "downtime", budget.begin - zero,
		     budget.end - zero);
	for (unsigned int i = 0; i < budget.count; i++)
		span(chrome, 1, any->vf, "phase", prof_phase_defs[budget.segments[i].first].name,
		     budget.segments[i].begin - zero, budget.segments[i].end - zero);
	for (unsigned int at = 0; at < PROF_SIDES; at++) {
		if (!pair->vf[at])
			continue;
		snprintf(text, sizeof(text), "VF %u", pair->vf[at]->vf);
		name(chrome, 2 + at, (int)pair->vf[at]->vf, text);
		events(chrome, &pair->vf[at]->events, 2 + at, pair->vf[at]->vf,
		       prof_on_source(pair, (enum prof_at)at, -zero));
	}
}

static int64_t first_time(const struct prof_pair *pairs, int count)
{
	int64_t zero = INT64_MAX;

	for (int i = 0; i < count; i++)
		for (unsigned int at = 0; at < PROF_SIDES; at++) {
			const struct prof_vf *vf = pairs[i].vf[at];

			for (unsigned int p = 0; vf && p < VFERRY_PHASES_SHOWN; p++) {
				int64_t when = vf->at[p]
						       ? prof_on_source(&pairs[i], (enum prof_at)at,
									vf->at[p])
						       : 0;

				if (when && when < zero)
					zero = when;
			}
			for (size_t e = 0; vf && e < vf->events.count; e++) {
				int64_t when = prof_on_source(&pairs[i], (enum prof_at)at,
							      vf->events.at[e].begin);

				if (when < zero)
					zero = when;
			}
		}
	return zero == INT64_MAX ? 0 : zero;
}

int prof_chrome(const char *path, struct prof_set *set, struct vferry_error *err)
{
	struct chrome chrome = { 0 };
	struct prof_pair *pairs = NULL;
	char *text = NULL, title[400];
	size_t length = 0;
	int ret, count = prof_join(set, &pairs);
	int64_t zero;

	chrome.file = count < 0 ? NULL : open_memstream(&text, &length);
	if (!chrome.file) {
		free(pairs);
		return vferry_fail(err, -ENOMEM, "no memory for %s", path);
	}
	zero = first_time(pairs, count);
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", chrome.file);
	name(&chrome, 1, -1, "downtime, source to destination");
	for (size_t i = 0; i < set->count; i++) {
		const struct prof_side *side = &set->sides[i];

		snprintf(title, sizeof(title), "%s %s %s", side->role ? "destination" : "source",
			 side->host, side->owner);
		name(&chrome, 2 + side->role, -1, title);
	}
	for (int i = 0; i < count; i++)
		one_pair(&chrome, &pairs[i], zero);
	for (size_t i = 0; i < set->count; i++) {
		const struct prof_side *side = &set->sides[i];
		int64_t shift = -zero;

		if (!side->kernel)
			continue;
		for (int p = 0; p < count; p++)
			if (pairs[p].side[side->role] == side)
				shift = prof_on_source(&pairs[p], side->role, -zero);
		name(&chrome, 2 + side->role, 100000, "the engine off its processor");
		events(&chrome, &side->kernel->events, 2 + side->role, 100000, shift);
	}
	fprintf(chrome.file, "\n]}\n");
	fclose(chrome.file);
	free(pairs);
	ret = prof_put_file(path, text, length, err);
	free(text);
	return ret;
}
