// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Trace events as Perfetto and chrome://tracing read them. Phases lie inside the downtime and a device's time inside its command
 * (async b/e of one id each); what a thread did, which never overlaps, is complete events (X) on its track; retransmissions and
 * punts are instants.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/admin.h>
#include "profile/profile.h"

#define CHROME_EVENTS_MOST 1000000u
#define THREADS_NAMED	   64u
#define THREADS		   100000u /* tracks from here on are threads, below they are VFs */

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

/* An event's beginning; microseconds with the nanoseconds behind the point. False: there are too many. */
static bool head(struct chrome *chrome, const char *kind, const char *category, const char *name,
		 unsigned int pid, unsigned int tid, int64_t at)
{
	/* What has begun also ends. */
	if ((chrome->count >= CHROME_EVENTS_MOST && *kind != 'e') || at < 0)
		return false;
	chrome->count++;
	begin(chrome);
	fprintf(chrome->file,
		"{\"ph\":\"%s\",\"cat\":\"%s\",\"name\":\"%s\",\"pid\":%u,\"tid\":%u,"
		"\"ts\":%lld.%03lld",
		kind, category, name, pid, tid, (long long)(at / 1000), (long long)(at % 1000));
	return true;
}

/* What has the same @id nests. */
static void edge(struct chrome *chrome, bool end, unsigned int pid, unsigned int tid,
		 const char *category, const char *name, uint64_t id, int64_t at)
{
	if (head(chrome, end ? "e" : "b", category, name, pid, tid, at))
		fprintf(chrome->file, ",\"id\":%llu}", (unsigned long long)id);
}

static void span(struct chrome *chrome, unsigned int pid, unsigned int tid, const char *category,
		 const char *name, int64_t from, int64_t to)
{
	if (from < 0 || to < from || chrome->count >= CHROME_EVENTS_MOST)
		return;
	chrome->id++;
	edge(chrome, false, pid, tid, category, name, chrome->id, from);
	edge(chrome, true, pid, tid, category, name, chrome->id, to);
}

static void complete(struct chrome *chrome, unsigned int pid, unsigned int tid,
		     const char *category, const char *name, int64_t from, int64_t to)
{
	if (to >= from && head(chrome, "X", category, name, pid, tid, from))
		fprintf(chrome->file, ",\"dur\":%lld.%03lld}", (long long)((to - from) / 1000),
			(long long)((to - from) % 1000));
}

static void instant(struct chrome *chrome, unsigned int pid, unsigned int tid, const char *category,
		    const char *name, int64_t at)
{
	if (head(chrome, "i", category, name, pid, tid, at))
		fputs(",\"s\":\"t\"}", chrome->file);
}

static void command(struct chrome *chrome, const struct prof_event *event, unsigned int pid,
		    unsigned int tid, int64_t shift)
{
	const char *words = vferry_opcode_name(event->opcode);
	bool device = event->issue >= event->begin && event->wake >= event->issue &&
		      event->wake <= event->end;

	if (event->begin + shift < 0 || chrome->count >= CHROME_EVENTS_MOST - 2)
		return;
	chrome->id++;
	edge(chrome, false, pid, tid, "command", words, chrome->id, event->begin + shift);
	if (device) {
		edge(chrome, false, pid, tid, "command", "device", chrome->id,
		     event->issue + shift);
		edge(chrome, true, pid, tid, "command", "device", chrome->id, event->wake + shift);
	}
	edge(chrome, true, pid, tid, "command", words, chrome->id, event->end + shift);
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
		unsigned int thread;

		switch (event->kind) {
		case PROF_COMMAND:
			command(chrome, event, pid, tid, shift);
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
		case PROF_GROUP:
			span(chrome, pid, tid, "group", "waits for its group", from, to);
			break;
		case PROF_OFF_CPU:
		case PROF_THREAD_OFF:
			thread = event->kind == PROF_OFF_CPU ? tid : tid + event->tid;
			complete(chrome, pid, thread, "off_cpu",
				 event->state == 'R'   ? "preempted"
				 : event->state == 'T' ? "stopped"
				 : event->state != 'D' ? "asleep"
				 : event->io_wait      ? "disk"
						       : "kernel lock, memory",
				 from, to);
			if (event->wake > event->begin && event->wake <= event->end &&
			    event->state != 'R')
				complete(chrome, pid, thread, "off_cpu", "wake-up latency",
					 event->wake + shift, to);
			break;
		case PROF_THREAD_RAN:
			complete(chrome, pid, tid + event->tid, "on_cpu", "on CPU", from, to);
			break;
		case PROF_IRQ:
			complete(chrome, pid, tid, "interrupt", event->a ? "softirq" : "interrupt",
				 from, to);
			break;
		case PROF_PUNT:
			instant(chrome, pid, tid, "io_uring", "given to a worker thread", to);
			break;
		case PROF_RETRANSMIT:
			instant(chrome, pid, tid, "tcp", "segment sent again", to);
			break;
		default:
			break;
		}
	}
}

static unsigned int pid_of(const struct prof_set *set, const struct prof_side *side)
{
	return 2 + (unsigned int)(side - set->sides);
}

/* One process for the phases over both sides, one for each side's engine. */
static void one_pair(struct chrome *chrome, const struct prof_set *set,
		     const struct prof_pair *pair, unsigned int tid, int64_t zero)
{
	const struct prof_vf *any = pair->vf[0] ? pair->vf[0] : pair->vf[1];
	struct prof_budget budget;
	char text[128];

	prof_budget(pair, &budget);
	snprintf(text, sizeof(text), "VF %u %.8s", any->vf, any->id);
	name(chrome, 1, (int)tid, text);
	chrome->id++;
	if (budget.count)
		edge(chrome, false, 1, tid, "downtime", "downtime", chrome->id,
		     budget.begin - zero);
	for (unsigned int i = 0; i < budget.count; i++)
		for (unsigned int end = 0; end < 2; end++)
			edge(chrome, end, 1, tid, "downtime",
			     prof_phase_defs[budget.segments[i].first].name, chrome->id,
			     (end ? budget.segments[i].end : budget.segments[i].begin) - zero);
	if (budget.count)
		edge(chrome, true, 1, tid, "downtime", "downtime", chrome->id, budget.end - zero);
	for (unsigned int at = 0; at < PROF_SIDES; at++) {
		if (!pair->vf[at])
			continue;
		snprintf(text, sizeof(text), "VF %u", pair->vf[at]->vf);
		name(chrome, pid_of(set, pair->side[at]), (int)pair->vf[at]->vf, text);
		events(chrome, &pair->vf[at]->events, pid_of(set, pair->side[at]), pair->vf[at]->vf,
		       prof_on_source(pair, (enum prof_at)at, -zero));
	}
}

/* Names of the tracks of a side's threads: each once. */
static void threads(struct chrome *chrome, const struct prof_side *side, unsigned int pid)
{
	const struct prof_events *seen = &side->kernel->events;
	char text[64];
	uint32_t known[THREADS_NAMED];
	unsigned int count = 0;

	name(chrome, pid, THREADS, "the engine's thread, off its processor");
	for (size_t i = 0; i < seen->count && count < THREADS_NAMED; i++) {
		unsigned int k = 0;

		if (seen->at[i].kind != PROF_THREAD_RAN)
			continue;
		while (k < count && known[k] != seen->at[i].tid)
			k++;
		if (k < count)
			continue;
		known[count++] = seen->at[i].tid;
		snprintf(text, sizeof(text), "%s %u",
			 seen->at[i].worker ? "io_uring worker" : "thread", seen->at[i].tid);
		name(chrome, pid, (int)(THREADS + seen->at[i].tid), text);
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
		name(&chrome, pid_of(set, side), -1, title);
	}
	for (int i = 0; i < count; i++)
		one_pair(&chrome, set, &pairs[i], (unsigned int)i + 1, zero);
	for (size_t i = 0; i < set->count; i++) {
		const struct prof_side *side = &set->sides[i];
		int64_t shift = side->namespace_ns - zero;

		if (!side->kernel)
			continue;
		for (int p = 0; p < count; p++)
			if (pairs[p].side[side->role] == side)
				shift = prof_kernel_shift(&pairs[p], side->role) - zero;
		threads(&chrome, side, pid_of(set, side));
		events(&chrome, &side->kernel->events, pid_of(set, side), THREADS, shift);
	}
	fprintf(chrome.file, "\n]}\n");
	fclose(chrome.file);
	free(pairs);
	ret = prof_put_file(path, text, length, err);
	free(text);
	return ret;
}
