// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The waterfall on a terminal. */
#include <stdlib.h>
#include <string.h>
#include "profile/profile.h"

#define VFS_SHOWN 3 /* with more, the one that was down longest stands for them */

const char *prof_ns(char *buffer, size_t room, int64_t ns)
{
	double value = (double)ns;

	if (ns < 1000 && ns > -1000)
		snprintf(buffer, room, "%lld ns", (long long)ns);
	else if (ns < 999950 && ns > -999950)
		snprintf(buffer, room, "%.1f us", value / 1e3);
	else if (ns < 999999500 && ns > -999999500)
		snprintf(buffer, room, "%.3f ms", value / 1e6);
	else
		snprintf(buffer, room, "%.3f s", value / 1e9);
	return buffer;
}

const char *prof_cause_words(const char *name)
{
	for (unsigned int i = 0; i < PROF_CAUSE_COUNT; i++)
		if (!strcmp(prof_cause_defs[i].name, name))
			return prof_cause_defs[i].words;
	return name;
}

static struct json_object *member(struct json_object *of, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(of, key, &value);
	return value;
}

/* The two causes that took most, unless they are next to nothing. */
static void causes(char *text, size_t room, struct json_object *of, uint64_t whole)
{
	struct json_object *list = prof_get_array(of, "causes"), *shown = NULL;
	size_t count = json_object_array_length(list), length = 0;

	text[0] = 0;
	for (unsigned int round = 0; round < 2; round++) {
		struct json_object *best = NULL;
		char one_cause[64];
		uint64_t ns;

		for (size_t i = 0; i < count; i++) {
			struct json_object *one = json_object_array_get_idx(list, i);

			if (one != shown &&
			    (!best || prof_get(one, "duration_ns") > prof_get(best, "duration_ns")))
				best = one;
		}
		ns = best ? prof_get(best, "duration_ns") : 0;
		if (!ns || ns * 20 < whole || length + 1 >= room)
			return;
		shown = best;
		snprintf(one_cause, sizeof(one_cause), "%s%s %llu%%", length ? ", " : "",
			 prof_cause_words(prof_get_text(best, "name")),
			 (unsigned long long)((ns * 100 + whole / 2) / whole));
		/* A second one that does not fit is left out, not cut. */
		if (length && length + strlen(one_cause) >= room)
			return;
		length += (size_t)snprintf(text + length, room - length, "%s", one_cause);
	}
}

static void bar(char *text, unsigned int width, uint64_t begin, uint64_t length, uint64_t whole)
{
	double scale = whole ? (double)width / (double)whole : 0;
	unsigned int from = (unsigned int)((double)begin * scale);
	unsigned int to = (unsigned int)((double)(begin + length) * scale);

	memset(text, ' ', width);
	text[width] = 0;
	if (from >= width)
		from = width - 1;
	if (to > width)
		to = width;
	if (length && to <= from)
		text[from] = '|';
	for (unsigned int i = from; i < to; i++)
		text[i] = '=';
}

static void heading(FILE *out, struct json_object *vf, bool colours)
{
	uint64_t error = prof_get(vf, "downtime_error_ns");
	const char *basis = prof_get_text(vf, "basis");
	const char *clock = prof_get_text(member(vf, "clock"), "kind");
	char time[32], wrong[32];

	fprintf(out, "\n%sVF %llu%s  %s, down %s", colours ? "\033[1m" : "",
		(unsigned long long)prof_get(vf, "vf"), colours ? "\033[0m" : "",
		prof_get_text(vf, "outcome"),
		prof_ns(time, sizeof(time), (int64_t)prof_get(vf, "downtime_ns")));
	if (error)
		fprintf(out, " +- %s", prof_ns(wrong, sizeof(wrong), (int64_t)error));
	if (!strcmp(basis, "stop_to_word_active"))
		fprintf(out, " until the source heard of it");
	else if (!strcmp(basis, "destination_only"))
		fprintf(out, " as far as the destination can tell");
	else if (!strcmp(basis, "stop_to_taken_back"))
		fprintf(out, " until it was taken back");
	else if (!strcmp(basis, "not_over"))
		fprintf(out, " until the last that is known");
	if (!strcmp(clock, "measured"))
		fprintf(out, " (two clocks, offset measured)");
	else if (!strcmp(clock, "order_of_events"))
		fprintf(out, " (two clocks, offset from the order of events)");
	fputc('\n', out);
}

static void one_vf(FILE *out, struct json_object *vf, unsigned int width, bool colours)
{
	struct json_object *phases = prof_get_array(vf, "phases");
	uint64_t downtime = prof_get(vf, "downtime_ns");
	unsigned int room = width > 98 ? width - 74 : 24, name_room = 12;
	char time[32], line[160], why[120];

	if (room > 80)
		room = 80;
	heading(out, vf, colours);
	for (size_t i = 0; i < json_object_array_length(phases); i++) {
		size_t length = strlen(prof_get_text(json_object_array_get_idx(phases, i), "name"));

		if (length > name_room)
			name_room = length > 26 ? 26 : (unsigned int)length;
	}
	if (name_room > 12 && room > 24 - (name_room - 12))
		room -= name_room - 12 < room - 8 ? name_room - 12 : room - 8;
	for (size_t i = 0; i < json_object_array_length(phases); i++) {
		struct json_object *phase = json_object_array_get_idx(phases, i);
		uint64_t ns = prof_get(phase, "duration_ns");
		const char *side = prof_get_text(phase, "side");
		int left = (int)width - (int)room - (int)name_room - 24;

		bar(line, room, prof_get(phase, "begin_ns"), ns, downtime);
		if (left < 8)
			left = 8;
		causes(why, (size_t)left + 1 < sizeof(why) ? (size_t)left + 1 : sizeof(why), phase,
		       ns);
		fprintf(out, "  %-*.*s %c %s%s%s %10s %3llu%%  %.*s\n", (int)name_room,
			(int)name_room, prof_get_text(phase, "name"),
			*side == 's'   ? 'S'
			: *side == 'd' ? 'D'
				       : '>',
			colours ? "\033[36m" : "", line, colours ? "\033[0m" : "",
			prof_ns(time, sizeof(time), (int64_t)ns),
			(unsigned long long)(downtime ? (ns * 100 + downtime / 2) / downtime : 0),
			left, why);
	}
}

/* "  - " and the words, broken at blanks. */
static void item(FILE *out, const char *text, unsigned int width)
{
	const size_t room = width - 5;

	fputs("  - ", out);
	while (strlen(text) > room) {
		size_t end = room;

		while (end && text[end] != ' ')
			end--;
		if (!end) /* one long word, such as a path */
			end = strcspn(text, " ");
		fprintf(out, "%.*s", (int)end, text);
		text += end;
		text += strspn(text, " ");
		if (*text)
			fputs("\n    ", out);
	}
	fprintf(out, "%s\n", text);
}

static void words(FILE *out, struct json_object *list, const char *title, unsigned int width)
{
	size_t count = list ? json_object_array_length(list) : 0;

	if (count)
		fprintf(out, "\n%s\n", title);
	for (size_t i = 0; i < count; i++)
		item(out, json_object_get_string(json_object_array_get_idx(list, i)), width);
}

static void table(FILE *out, struct json_object *rows, size_t count)
{
	char t[5][32];

	fprintf(out, "\nOver %-4zu VFs  %11s %11s %11s %11s %11s\n", count, "min", "p50", "p90",
		"p99", "max");
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		fprintf(out, "  %-13s %10s %11s %11s %11s %11s\n", prof_get_text(row, "name"),
			prof_ns(t[0], 32, (int64_t)prof_get(row, "min_ns")),
			prof_ns(t[1], 32, (int64_t)prof_get(row, "p50_ns")),
			prof_ns(t[2], 32, (int64_t)prof_get(row, "p90_ns")),
			prof_ns(t[3], 32, (int64_t)prof_get(row, "p99_ns")),
			prof_ns(t[4], 32, (int64_t)prof_get(row, "max_ns")));
	}
}

/* The VF that was down longest: what one would ask for first. */
static size_t worst(struct json_object *vfs)
{
	size_t found = 0;

	for (size_t i = 0; i < json_object_array_length(vfs); i++)
		if (prof_get(json_object_array_get_idx(vfs, i), "downtime_ns") >
		    prof_get(json_object_array_get_idx(vfs, found), "downtime_ns"))
			found = i;
	return found;
}

void prof_text(FILE *out, struct json_object *report, unsigned int width, bool colours, bool all)
{
	struct json_object *vfs = prof_get_array(report, "vfs");
	struct json_object *rows = prof_get_array(report, "percentiles");
	struct json_object *findings = prof_get_array(report, "findings");
	size_t count = json_object_array_length(vfs);
	char text[500];

	fputs(count ? "S source, D destination, > on the way; each phase begins where one ends.\n"
		    : "No migration is in these files.\n",
	      out);
	if (count > VFS_SHOWN && !all)
		one_vf(out, json_object_array_get_idx(vfs, worst(vfs)), width, colours);
	for (size_t i = 0; i < count && (count <= VFS_SHOWN || all); i++)
		one_vf(out, json_object_array_get_idx(vfs, i), width, colours);
	if (count > VFS_SHOWN && !all)
		fprintf(out, "\n%zu more VFs, none of them down for longer (-v shows each)\n",
			count - 1);
	if (count > 1 && json_object_array_length(rows))
		table(out, rows, count);
	if (json_object_array_length(findings))
		fprintf(out, "\nWhat stands out\n");
	for (size_t i = 0; i < json_object_array_length(findings); i++) {
		struct json_object *one = json_object_array_get_idx(findings, i);

		snprintf(text, sizeof(text), "VF %llu: %s", (unsigned long long)prof_get(one, "vf"),
			 prof_get_text(one, "words"));
		if (prof_get(one, "more_vfs"))
			snprintf(text + strlen(text), sizeof(text) - strlen(text),
				 " (and less in %llu other%s)",
				 (unsigned long long)prof_get(one, "more_vfs"),
				 prof_get(one, "more_vfs") == 1 ? "" : "s");
		item(out, text, width);
	}
	words(out, prof_get_array(report, "problems"), "What is wrong with the input", width);
	words(out, prof_get_array(report, "not_seen"), "What was not seen", width);
}
