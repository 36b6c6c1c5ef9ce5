// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The page's table of what the hosts did in each phase; columns in which nothing happened are left out. */
#include <string.h>
#include "profile/profile.h"

struct column {
	const char *key, *heading, *explained;
	bool time;
};

static const struct column columns[] = {
	{ "on_cpu_ns", "On CPU", "the engine's thread ran", true },
	{ "preempted_ns", "Preempted", "it had work, another task had its processor", true },
	{ "runqueue_ns", "Wake-up", "it was woken and waited for a processor", true },
	{ "asleep_ns", "Asleep", "it slept", true },
	{ "io_wait_ns", "Disk", "it slept for input or output", true },
	{ "uninterruptible_ns", "Locks", "it slept in the kernel, for memory or a lock", true },
	{ "stopped_ns", "Stopped", "by a signal or a debugger", true },
	{ "interrupt_ns", "Interrupts", "hard interrupts in its time", true },
	{ "softirq_ns", "Softirqs", "soft interrupts in its time", true },
	{ "worker_ns", "Workers", "io_uring's worker threads ran", true },
	{ "switches", "Switches", "times it left its processor", false },
	{ "io_wq_punts", "Punts", "operations given to worker threads", false },
	{ "retransmits", "Sent again", "TCP segments of its connection", false },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* For each row of the table: a phase and one of its hosts. */
static bool next(struct json_object *phases, size_t *phase, size_t *host, struct json_object **of,
		 struct json_object **at)
{
	for (; *phase < json_object_array_length(phases); (*phase)++, *host = 0) {
		struct json_object *one = json_object_array_get_idx(phases, *phase);
		struct json_object *hosts = prof_get_array(one, "hosts");

		if (!hosts || *host >= json_object_array_length(hosts))
			continue;
		*of = one;
		*at = json_object_array_get_idx(hosts, (*host)++);
		return true;
	}
	return false;
}

static void cell(FILE *out, const struct column *column, struct json_object *host)
{
	struct json_object *value;
	char time[32];

	if (!json_object_object_get_ex(host, column->key, &value)) {
		fputs("<td class=\"dim\">not seen</td>", out);
		return;
	}
	fprintf(out, "<td data-host=\"%s\" data-value=\"%llu\">", column->key,
		(unsigned long long)json_object_get_uint64(value));
	if (!json_object_get_uint64(value))
		fputs("<span class=\"dim\">0</span></td>", out);
	else if (column->time)
		fprintf(out, "%s</td>",
			prof_ns(time, sizeof(time), (int64_t)json_object_get_uint64(value)));
	else
		fprintf(out, "%llu</td>", (unsigned long long)json_object_get_uint64(value));
}

void prof_html_hosts(FILE *out, struct json_object *vf)
{
	struct json_object *phases = prof_get_array(vf, "phases"), *of, *at;
	bool shown[COLUMNS] = { false }, any = false;

	for (size_t phase = 0, host = 0; next(phases, &phase, &host, &of, &at);) {
		any = true;
		for (unsigned int c = 0; c < COLUMNS; c++)
			shown[c] |= prof_get(at, columns[c].key) > 0;
	}
	if (!any)
		return;
	fprintf(out,
		"<details><summary>What the hosts did meanwhile</summary><p class=\"dim\">The engine's thread, whatever is blamed "
		"above, and what went on around it. Its states, from on CPU to stopped, add up to the phase; a phase on the way "
		"stands for both hosts.</p><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Hosts of VF %llu\">"
		"<table><thead><tr><th scope=\"col\">Phase</th><th scope=\"col\" class=\"l\">Host</th>",
		(unsigned long long)prof_get(vf, "vf"));
	for (unsigned int c = 0; c < COLUMNS; c++)
		if (shown[c])
			fprintf(out, "<th scope=\"col\"><abbr title=\"%s\">%s</abbr></th>",
				columns[c].explained, columns[c].heading);
	fputs("</tr></thead><tbody>", out);
	for (size_t phase = 0, host = 0; next(phases, &phase, &host, &of, &at);) {
		/* Names and sides come from tables, not from files. */
		fprintf(out, "<tr><td>%s</td><td class=\"l\">%s</td>", prof_get_text(of, "name"),
			prof_get_text(at, "side"));
		for (unsigned int c = 0; c < COLUMNS; c++)
			if (shown[c])
				cell(out, &columns[c], at);
		fputs("</tr>", out);
	}
	fputs("</tbody></table></div></details>", out);
}
