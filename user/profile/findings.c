// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What stands out, and what would help: rules with a threshold, each finding with the numbers that made it. */
#include <stdarg.h>
#include <string.h>
#include "profile/profile.h"

#define FINDINGS_MOST 12

struct finder {
	struct json_object *list;
	struct json_object *vf;
	uint64_t downtime;
};

static unsigned int share(const struct finder *finder, uint64_t ns)
{
	return finder->downtime
		       ? (unsigned int)((ns * 100 + finder->downtime / 2) / finder->downtime)
		       : 0;
}

__attribute__((format(printf, 5, 6))) static void found(struct finder *finder, const char *rule,
							const char *phase, uint64_t ns,
							const char *format, ...)
{
	struct json_object *one = json_object_new_object();
	char words[400];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	json_object_object_add(one, "rule", json_object_new_string(rule));
	json_object_object_add(one, "vf", json_object_new_uint64(prof_get(finder->vf, "vf")));
	json_object_object_add(one, "phase", json_object_new_string(phase));
	json_object_object_add(one, "duration_ns", json_object_new_uint64(ns));
	json_object_object_add(one, "share_percent", json_object_new_uint64(share(finder, ns)));
	json_object_object_add(one, "words", json_object_new_string(words));
	json_object_array_add(finder->list, one);
}

static uint64_t cause_ns(struct json_object *of, const char *name)
{
	struct json_object *causes = prof_get_array(of, "causes");
	uint64_t ns = 0;

	for (size_t i = 0; i < json_object_array_length(causes); i++) {
		struct json_object *one = json_object_array_get_idx(causes, i);

		if (!strcmp(prof_get_text(one, "name"), name))
			ns += prof_get(one, "duration_ns");
	}
	return ns;
}

static const char *size_text(char *text, size_t room, uint64_t bytes)
{
	if (bytes < 10240)
		snprintf(text, room, "%llu bytes", (unsigned long long)bytes);
	else if (bytes < 10u << 20)
		snprintf(text, room, "%llu KiB", (unsigned long long)(bytes >> 10));
	else
		snprintf(text, room, "%llu MiB", (unsigned long long)(bytes >> 20));
	return text;
}

static struct json_object *member(struct json_object *of, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(of, key, &value);
	return value;
}

/* The last image: would another pass have cost less outside the downtime? */
static void final_read(struct finder *finder, struct json_object *phase)
{
	uint64_t ns = prof_get(phase, "duration_ns");
	struct json_object *source = member(finder->vf, "source");
	uint64_t bytes = prof_get(source, "final_bytes");
	uint64_t pass_bytes = prof_get(source, "largest_pass_bytes");
	uint64_t pass_ns = prof_get(source, "largest_pass_ns"), passes;
	char size[32], time[32];

	if (share(finder, ns) < 30 || !bytes)
		return;
	size_text(size, sizeof(size), bytes);
	passes = prof_get(source, "pass_count");
	if (passes > 1 && pass_bytes && bytes > 65536) {
		prof_ns(time, sizeof(time),
			(int64_t)((double)bytes * (double)pass_ns / (double)pass_bytes));
		found(finder, "final_read", "final_read", ns,
		      "%u%% of the downtime is the final read: %s had changed since pre-copy; another pass for them would have "
		      "cost %s outside the downtime (a lower --downtime-limit asks for it)",
		      share(finder, ns), size, time);
	} else if (passes == 1 && bytes > 65536) {
		found(finder, "no_precopy", "final_read", ns,
		      "%u%% of the downtime is the read of the whole context, %s, without pre-copy: with it only what changes "
		      "meanwhile would be left",
		      share(finder, ns), size);
	} else {
		prof_ns(time, sizeof(time), (int64_t)cause_ns(phase, "device"));
		found(finder, "final_read_device", "final_read", ns,
		      "%u%% of the downtime is the final read of %s, of which the device had %s: its time for a READ counts, not "
		      "the bytes",
		      share(finder, ns), size, time);
	}
}

static void phase_rules(struct finder *finder, struct json_object *phase)
{
	const char *name = prof_get_text(phase, "name");
	uint64_t ns = prof_get(phase, "duration_ns"), device = cause_ns(phase, "device");
	uint64_t network = cause_ns(phase, "network"), hook = cause_ns(phase, "hook");
	struct json_object *counts = member(phase, "counts");
	uint64_t rtt = prof_get(counts, "rtt_us"), again = prof_get(counts, "retransmits");
	uint64_t punts = prof_get(counts, "io_wq_punts");
	char time[32], trip[64] = "";

	if (!strcmp(name, "final_read"))
		final_read(finder, phase);
	else if (share(finder, device) >= 20)
		found(finder, "device", name, device,
		      "%u%% of the downtime is a device in %s: it had %llu command%s for %s",
		      share(finder, device), name,
		      (unsigned long long)prof_get(counts, "admin_commands"),
		      prof_get(counts, "admin_commands") == 1 ? "" : "s",
		      prof_ns(time, sizeof(time), (int64_t)device));
	if (share(finder, hook) >= 10)
		found(finder, "hook", name, hook,
		      "%u%% of the downtime is the hook in %s: it ran for %s", share(finder, hook),
		      name, prof_ns(time, sizeof(time), (int64_t)hook));
	if (rtt)
		snprintf(trip, sizeof(trip), "; a round trip takes %llu us",
			 (unsigned long long)rtt);
	if (share(finder, network) >= 20)
		found(finder, "network", name, network,
		      "%u%% of the downtime is the network in %s: %s%s", share(finder, network),
		      name, prof_ns(time, sizeof(time), (int64_t)network), trip);
	prof_ns(time, sizeof(time), (int64_t)ns);
	if (again)
		found(finder, "retransmits", name, ns,
		      "%llu segment%s sent again until the end of %s, which took %s: lost, or their answer was late",
		      (unsigned long long)again, again == 1 ? " was" : "s were", name, time);
	if (punts)
		found(finder, "io_wq", name, ns,
		      "%llu operation%s went to io_uring's worker threads in %s (%s): a thread hop each",
		      (unsigned long long)punts, punts == 1 ? "" : "s", name, time);
}

static void whole_rules(struct finder *finder)
{
	static const struct {
		const char *cause;
		unsigned int least;
		const char *words;
	} rules[] = {
		{ "stopped", 1, "the engine was stopped by a signal or a debugger" },
		{ "preempted", 5,
		  "the engine was preempted: give it a processor of its own, or a better priority" },
		{ "runqueue", 5,
		  "the engine was woken and waited for a processor: give it one of its own, or a better priority" },
		{ "interrupt", 5,
		  "interrupts ran in the engine's time: move them to other processors" },
		{ "disk", 5, "the engine slept for a disk or a page that lies there" },
		{ "kernel_lock", 5, "the engine slept in the kernel, for memory or a lock" },
		{ "io_wq", 5,
		  "io_uring's worker threads ran, or waited for a disk, while the engine slept" },
		{ "journal", 10, "the journal was written: is its folder in memory (a tmpfs)?" },
		{ "reap", 10, "answers lay there before the engine took them" },
		{ "queue", 10,
		  "commands waited before the device got them: more admin queues, or fewer VFs at a time" },
		{ "group", 10,
		  "the VF was ready and waited for the others of its group (--together)" },
		{ "engine", 30, "the engine itself ran" },
		{ "wait", 30, "the engine slept, for what was not seen" },
	};
	char time[32];

	for (unsigned int i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		uint64_t ns = cause_ns(finder->vf, rules[i].cause);

		if (share(finder, ns) >= rules[i].least && ns >= 20000)
			found(finder, rules[i].cause, "downtime", ns,
			      "%u%% of the downtime (%s): %s", share(finder, ns),
			      prof_ns(time, sizeof(time), (int64_t)ns), rules[i].words);
	}
}

static int largest_first(const void *a, const void *b)
{
	uint64_t one = prof_get(*(struct json_object *const *)a, "duration_ns");
	uint64_t two = prof_get(*(struct json_object *const *)b, "duration_ns");

	return one > two ? -1 : one < two;
}

/* The same rule in the same phase of many VFs is one finding: its largest, and how many more. */
static void fold(struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		uint64_t more = 0;

		for (size_t k = json_object_array_length(list); --k > i;) {
			struct json_object *other = json_object_array_get_idx(list, k);

			if (strcmp(prof_get_text(one, "rule"), prof_get_text(other, "rule")) ||
			    strcmp(prof_get_text(one, "phase"), prof_get_text(other, "phase")))
				continue;
			json_object_array_del_idx(list, k, 1);
			more++;
		}
		json_object_object_add(one, "more_vfs", json_object_new_uint64(more));
	}
}

struct json_object *prof_findings(struct json_object *report)
{
	struct finder finder = { .list = json_object_new_array() };
	struct json_object *vfs = prof_get_array(report, "vfs");
	size_t count;

	for (size_t i = 0; i < json_object_array_length(vfs); i++) {
		struct json_object *phases;

		finder.vf = json_object_array_get_idx(vfs, i);
		finder.downtime = prof_get(finder.vf, "downtime_ns");
		phases = prof_get_array(finder.vf, "phases");
		if (!finder.downtime)
			continue;
		for (size_t p = 0; p < json_object_array_length(phases); p++)
			phase_rules(&finder, json_object_array_get_idx(phases, p));
		whole_rules(&finder);
	}
	json_object_array_sort(finder.list, largest_first);
	fold(finder.list);
	count = json_object_array_length(finder.list);
	if (count > FINDINGS_MOST)
		json_object_array_del_idx(finder.list, FINDINGS_MOST, count - FINDINGS_MOST);
	return finder.list;
}
