// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One page, nothing beside it: every figure comes from the report's tree and stands as text too, so that the page reads
 * without its pictures. data-ns attributes carry the exact numbers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "profile/html_style.h"
#include "profile/profile.h"

#define WIDTH  1100.0 /* of a waterfall's picture, in its own units */
#define NARROW 420.0
#define ROW    24.0

static const char *const colours[PROF_CAUSE_COUNT] = PROF_COLOURS;

static void text(FILE *out, const char *words)
{
	for (; *words; words++)
		switch (*words) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			fputc(*words, out);
		}
}

static struct json_object *member(struct json_object *of, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(of, key, &value);
	return value;
}

static size_t length_of(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

static struct json_object *at(struct json_object *array, size_t i)
{
	return json_object_array_get_idx(array, i);
}

static int cause_number(const char *name)
{
	for (int i = 0; i < PROF_CAUSE_COUNT; i++)
		if (!strcmp(prof_cause_defs[i].name, name))
			return i;
	return PROF_CAUSE_REST;
}

static void duration(FILE *out, const char *element, uint64_t ns)
{
	char time[32];

	fprintf(out, "<%s data-ns=\"%llu\">%s</%s>", element, (unsigned long long)ns,
		prof_ns(time, sizeof(time), (int64_t)ns), element);
}

static unsigned int percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned int)((part * 100 + whole / 2) / whole) : 0;
}

/* "device 84%, wake-up latency 9% (destination)" */
static void causes_words(FILE *out, struct json_object *of, uint64_t whole, bool all)
{
	struct json_object *causes = prof_get_array(of, "causes");
	bool any = false;

	for (size_t i = 0; i < length_of(causes); i++) {
		struct json_object *one = at(causes, i);
		uint64_t ns = prof_get(one, "duration_ns");
		const char *side = prof_get_text(one, "side");
		char time[32];

		if (!all && ns * 50 < whole)
			continue;
		fputs(any ? ", " : "", out);
		text(out, prof_cause_words(prof_get_text(one, "name")));
		/* Where both sides play, and in the whole. */
		if (*prof_get_text(of, "side") != 's' && *prof_get_text(of, "side") != 'd' &&
		    strcmp(side, "both"))
			fprintf(out, " (%s)", *side == 's' ? "source" : "destination");
		fprintf(out, " %s", prof_ns(time, sizeof(time), (int64_t)ns));
		any = true;
	}
}

/* --- the picture --- */

static void ticks(FILE *out, double left, double width, double height, uint64_t whole)
{
	unsigned int most = width < 500 ? 3 : 5;
	char time[32];

	for (unsigned int i = 0; i <= most; i++) {
		double x = left + width * i / most;

		fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"18\" x2=\"%.1f\" y2=\"%.1f\"/>",
			x, x, height);
		fprintf(out, "<text class=\"t\" x=\"%.1f\" y=\"12\" text-anchor=\"%s\">%s</text>",
			x,
			!i	    ? "start"
			: i == most ? "end"
				    : "middle",
			prof_ns(time, sizeof(time), (int64_t)(whole / most * i)));
	}
}

static void bar(FILE *out, struct json_object *phase, double left, double scale, double y)
{
	struct json_object *causes = prof_get_array(phase, "causes");
	uint64_t ns = prof_get(phase, "duration_ns");
	double x = left + (double)prof_get(phase, "begin_ns") * scale;
	double width = (double)ns * scale;

	/* What is too short to be seen still has its place. */
	if (width < 1.5) {
		fprintf(out,
			"<rect x=\"%.2f\" y=\"%.1f\" width=\"1.5\" height=\"16\" fill=\"%s\"/>", x,
			y,
			length_of(causes)
				? colours[cause_number(prof_get_text(at(causes, 0), "name"))]
				: "#8c959f");
		return;
	}
	for (size_t i = 0; i < length_of(causes); i++) {
		struct json_object *one = at(causes, i);
		double part = (double)prof_get(one, "duration_ns") * scale;

		fprintf(out,
			"<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"16\" fill=\"%s\"/>", x,
			y, part, colours[cause_number(prof_get_text(one, "name"))]);
		x += part;
	}
}

static void waterfall(FILE *out, struct json_object *vf, bool narrow)
{
	struct json_object *phases = prof_get_array(vf, "phases");
	uint64_t whole = prof_get(vf, "downtime_ns");
	double total = narrow ? NARROW : WIDTH, left = narrow ? 0 : 190, right = narrow ? 0 : 84;
	double row = narrow ? 38 : ROW, width = total - left - right;
	double height = 24 + row * (double)length_of(phases);
	char time[32];

	fprintf(out, "<div class=\"%s\"><svg viewBox=\"0 0 %.0f %.0f\" role=\"%s\"",
		narrow ? "only-narrow" : "wide-figure", total, height + 4, "group");
	fprintf(out, " aria-label=\"Waterfall of VF %llu: %zu phases over %s\">",
		(unsigned long long)prof_get(vf, "vf"), length_of(phases),
		prof_ns(time, sizeof(time), (int64_t)whole));
	ticks(out, left, width, height, whole);
	for (size_t i = 0; i < length_of(phases); i++) {
		struct json_object *phase = at(phases, i);
		const char *side = prof_get_text(phase, "side");
		uint64_t ns = prof_get(phase, "duration_ns");
		double y = 24 + row * (double)i, label = narrow ? y + 11 : y + 13;

		prof_ns(time, sizeof(time), (int64_t)ns);
		fprintf(out, "<g class=\"row\" tabindex=\"0\" role=\"img\" aria-label=\"");
		text(out, prof_get_text(phase, "name"));
		fprintf(out, ", %s, %s, %u%%: ", side, time, percent(ns, whole));
		causes_words(out, phase, ns, false);
		fprintf(out, "\"><title>");
		text(out, prof_get_text(phase, "name"));
		fprintf(out, ": %s, ", time);
		causes_words(out, phase, ns, false);
		fprintf(out, "</title>");
		fprintf(out, "<text x=\"0\" y=\"%.1f\">", label);
		text(out, prof_get_text(phase, "name"));
		fprintf(out, "</text>");
		if (!narrow)
			fprintf(out,
				"<text class=\"t\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
				left - 10, label,
				*side == 's'   ? "source"
				: *side == 'd' ? "destination"
					       : "both");
		bar(out, phase, left, whole ? width / (double)whole : 0, narrow ? y + 15 : y);
		fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text></g>", total,
			label, time);
	}
	fprintf(out, "</svg></div>");
}

static void key(FILE *out, struct json_object *vf)
{
	struct json_object *causes = prof_get_array(vf, "causes");
	bool shown[PROF_CAUSE_COUNT] = { false };

	fprintf(out, "<ul class=\"key\" aria-label=\"Colours of the causes\">");
	for (size_t i = 0; i < length_of(causes); i++) {
		int cause = cause_number(prof_get_text(at(causes, i), "name"));

		if (shown[cause])
			continue;
		shown[cause] = true;
		fprintf(out, "<li><i style=\"background:%s\"></i>", colours[cause]);
		text(out, prof_cause_defs[cause].words);
		fprintf(out, "</li>");
	}
	fprintf(out, "</ul>");
}

/* --- tables --- */

static void phases_table(FILE *out, struct json_object *vf)
{
	struct json_object *phases = prof_get_array(vf, "phases");
	uint64_t whole = prof_get(vf, "downtime_ns");
	char wrong[32];

	fprintf(out,
		"<details open><summary>Phases as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
		"aria-label=\"Phases of VF %llu\"><table><thead><tr><th scope=\"col\">Phase</th><th scope=\"col\" "
		"class=\"l\">Side</th><th scope=\"col\">Time</th><th scope=\"col\">Share</th><th scope=\"col\">Commands</th>"
		"<th scope=\"col\">Off CPU</th><th scope=\"col\">Sent again</th><th scope=\"col\" class=\"l\">Causes</th></tr>"
		"</thead><tbody>",
		(unsigned long long)prof_get(vf, "vf"));
	for (size_t i = 0; i < length_of(phases); i++) {
		struct json_object *phase = at(phases, i), *counts = member(phase, "counts");
		uint64_t ns = prof_get(phase, "duration_ns"), error = prof_get(phase, "error_ns");
		char time[32];

		fprintf(out, "<tr><td>");
		text(out, prof_get_text(phase, "name"));
		fprintf(out, "</td><td class=\"l\">%s</td><td data-phase=\"",
			prof_get_text(phase, "side"));
		text(out, prof_get_text(phase, "name"));
		fprintf(out, "\" data-ns=\"%llu\">%s", (unsigned long long)ns,
			prof_ns(time, sizeof(time), (int64_t)ns));
		if (error)
			fprintf(out, " <span class=\"dim\">&plusmn; %s</span>",
				prof_ns(wrong, sizeof(wrong), (int64_t)error));
		fprintf(out,
			"</td><td>%u%%</td><td>%llu</td><td>%llu</td><td>%llu</td><td class=\"l w\">",
			percent(ns, whole), (unsigned long long)prof_get(counts, "admin_commands"),
			(unsigned long long)prof_get(counts, "off_cpu"),
			(unsigned long long)prof_get(counts, "retransmits"));
		causes_words(out, phase, ns, true);
		fprintf(out, "</td></tr>");
	}
	fprintf(out, "</tbody><tfoot><tr><th scope=\"row\">Downtime</th><td></td>");
	duration(out, "td", whole);
	fprintf(out, "<td>100%%</td><td></td><td></td><td></td><td class=\"l w\">");
	causes_words(out, vf, whole, true);
	fprintf(out, "</td></tr></tfoot></table></div></details>");
}

static const char *basis_words(const char *basis)
{
	return !strcmp(basis, "stop_to_active")
		       ? "from the source's Stop to the destination's Active"
	       : !strcmp(basis, "stop_to_word_active")
		       ? "from Stop until the source heard of Active: the destination's profile is "
			 "missing"
	       : !strcmp(basis, "destination_only")
		       ? "as far as the destination can tell: the source's profile is missing"
	       : !strcmp(basis, "stop_to_taken_back") ? "from Stop until the VF was taken back"
	       : !strcmp(basis, "not_over")
		       ? "from Stop until the last that is known: it is not over"
		       : "it was never stopped";
}

static void side_line(FILE *out, struct json_object *vf, const char *role)
{
	struct json_object *side = member(vf, role);

	if (!side)
		return;
	fprintf(out, "<p class=\"dim\">%s: VF %llu of ", role,
		(unsigned long long)prof_get(side, "vf"));
	text(out, prof_get_text(side, "owner"));
	fprintf(out, " on ");
	text(out, prof_get_text(side, "host"));
	fprintf(out, ", ");
	text(out, prof_get_text(side, "outcome"));
	fprintf(out, "; context %llu bytes in %llu passes, %llu of them at the end",
		(unsigned long long)prof_get(side, "context_bytes"),
		(unsigned long long)prof_get(side, "pass_count"),
		(unsigned long long)prof_get(side, "final_bytes"));
	if (*prof_get_text(side, "error")) {
		fprintf(out, "<br><span class=\"warn\">");
		text(out, prof_get_text(side, "error"));
		fprintf(out, "</span>");
	}
	fprintf(out, "</p>");
}

static void one_vf(FILE *out, struct json_object *vf)
{
	unsigned long long number = (unsigned long long)prof_get(vf, "vf");
	uint64_t error = prof_get(vf, "downtime_error_ns");
	const char *kind = prof_get_text(member(vf, "clock"), "kind");
	char wrong[32];

	fprintf(out, "<section class=\"card\" aria-labelledby=\"vf-");
	text(out, prof_get_text(vf, "id"));
	fprintf(out, "\"><div class=\"head\"><h3 id=\"vf-");
	text(out, prof_get_text(vf, "id"));
	fprintf(out, "\">VF %llu</h3>", number);
	fprintf(out, "<span class=\"big\" data-vf=\"%llu\" data-ns=\"%llu\">%s</span>", number,
		(unsigned long long)prof_get(vf, "downtime_ns"),
		prof_ns(wrong, sizeof(wrong), (int64_t)prof_get(vf, "downtime_ns")));
	if (error)
		fprintf(out, "<span>&plusmn; %s (%s)</span>",
			prof_ns(wrong, sizeof(wrong), (int64_t)error),
			!strcmp(kind, "measured") ? "two clocks, offset measured"
						  : "two clocks, offset from the order of events");
	fprintf(out, "<span class=\"dim\">%s</span></div>",
		basis_words(prof_get_text(vf, "basis")));
	if (length_of(prof_get_array(vf, "phases"))) {
		waterfall(out, vf, false);
		waterfall(out, vf, true);
		key(out, vf);
		phases_table(out, vf);
		prof_html_hosts(out, vf);
	}
	side_line(out, vf, "source");
	side_line(out, vf, "destination");
	fprintf(out, "<p class=\"dim\">migration ");
	text(out, prof_get_text(vf, "id"));
	fprintf(out, "</p></section>");
}

static void percentiles(FILE *out, struct json_object *rows)
{
	static const char *const keys[] = { "min_ns", "p50_ns", "p90_ns", "p99_ns", "max_ns" };

	fprintf(out,
		"<h2>Over all VFs</h2><div class=\"card scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Percentiles\"><table>"
		"<thead><tr><th scope=\"col\">Phase</th><th scope=\"col\">VFs</th><th scope=\"col\">min</th><th scope=\"col\">p50"
		"</th><th scope=\"col\">p90</th><th scope=\"col\">p99</th><th scope=\"col\">max</th></tr></thead><tbody>");
	for (size_t i = 0; i < length_of(rows); i++) {
		struct json_object *row = at(rows, i);

		fprintf(out, "<tr><td>%s</td><td>%llu</td>", prof_get_text(row, "name"),
			(unsigned long long)prof_get(row, "count"));
		for (unsigned int k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			duration(out, "td", prof_get(row, keys[k]));
		fprintf(out, "</tr>");
	}
	fprintf(out, "</tbody></table></div>");
}

static void list(FILE *out, struct json_object *words, const char *title)
{
	if (!length_of(words))
		return;
	fprintf(out, "<h2>%s</h2><div class=\"card\"><ul class=\"plain\">", title);
	for (size_t i = 0; i < length_of(words); i++) {
		fprintf(out, "<li>");
		text(out, json_object_get_string(at(words, i)));
		fprintf(out, "</li>");
	}
	fprintf(out, "</ul></div>");
}

static void findings(FILE *out, struct json_object *found)
{
	if (!length_of(found))
		return;
	fprintf(out, "<h2>What stands out</h2><div class=\"card\"><ul class=\"plain\">");
	for (size_t i = 0; i < length_of(found); i++) {
		struct json_object *one = at(found, i);
		unsigned long long more = (unsigned long long)prof_get(one, "more_vfs");

		fprintf(out, "<li><b>VF %llu</b>: ", (unsigned long long)prof_get(one, "vf"));
		text(out, prof_get_text(one, "words"));
		if (more)
			fprintf(out, " <span class=\"dim\">(and less in %llu other%s)</span>", more,
				more == 1 ? "" : "s");
		fprintf(out, "</li>");
	}
	fprintf(out, "</ul></div>");
}

static void definitions(FILE *out)
{
	fprintf(out,
		"<h2>What the words mean</h2><div class=\"card\"><details><summary>Phases</summary><dl>");
	for (unsigned int i = 0; i < PROF_PHASE_ALL; i++) {
		fprintf(out, "<dt>%s <span class=\"dim\">(%s)</span></dt><dd>",
			prof_phase_defs[i].name, prof_phase_defs[i].side);
		text(out, prof_phase_defs[i].meaning);
		if (i < PROF_PHASE_COUNT) {
			fprintf(out, "<br><span class=\"dim\">%s to %s. In QEMU: ",
				vferry_phase_name(prof_phase_defs[i].from),
				vferry_phase_name(prof_phase_defs[i].to));
			text(out, prof_phase_defs[i].qemu);
			fprintf(out, ". In CRIU: ");
			text(out, prof_phase_defs[i].criu);
			fprintf(out, ".</span>");
		}
		fprintf(out, "</dd>");
	}
	fprintf(out,
		"</dl></details><details><summary>Causes, in the order in which they are blamed</summary><dl>");
	for (unsigned int i = 0; i < PROF_CAUSE_COUNT; i++) {
		fprintf(out, "<dt>");
		text(out, prof_cause_defs[i].words);
		fprintf(out, "</dt><dd>");
		text(out, prof_cause_defs[i].meaning);
		fprintf(out, "</dd>");
	}
	fprintf(out, "</dl></details></div>");
}

static void page(FILE *out, struct json_object *report)
{
	struct json_object *vfs = prof_get_array(report, "vfs");
	struct json_object *rows = prof_get_array(report, "percentiles");
	char time[32], worst[32];

	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
	      "content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
	      "'none'; style-src 'unsafe-inline'\"><title>Downtime of a migration</title><style>" PROF_STYLE
	      "</style></head><body><a class=\"skip\" href=\"#vfs\">To the VFs</a><main>",
	      out);
	fprintf(out, "<h1>Where the downtime went</h1>");
	if (length_of(rows)) {
		struct json_object *row = at(rows, 0);

		if (!strcmp(prof_get_text(row, "name"), "downtime") && prof_get(row, "count") > 1)
			fprintf(out, "<p>%llu VFs, down for %s (median), %s at most.</p>",
				(unsigned long long)prof_get(row, "count"),
				prof_ns(time, sizeof(time), (int64_t)prof_get(row, "p50_ns")),
				prof_ns(worst, sizeof(worst), (int64_t)prof_get(row, "max_ns")));
	}
	fprintf(out,
		"<p class=\"dim\">A phase begins where the one before ends: they add up to the downtime exactly.</p>");
	findings(out, prof_get_array(report, "findings"));
	fprintf(out, "<h2 id=\"vfs\">%s</h2>",
		length_of(vfs) ? "Each VF" : "No migration is in these files");
	for (size_t i = 0; i < length_of(vfs); i++)
		one_vf(out, at(vfs, i));
	if (length_of(vfs) > 1)
		percentiles(out, rows);
	list(out, prof_get_array(report, "problems"), "What is wrong with the input");
	list(out, prof_get_array(report, "not_seen"), "What was not seen");
	definitions(out);
	fprintf(out, "<p class=\"dim\">vferry %s</p></main></body></html>\n", VFERRY_VERSION);
}

int prof_html(const char *path, struct json_object *report, struct vferry_error *err)
{
	size_t length = 0;
	char *memory = NULL;
	FILE *out = open_memstream(&memory, &length);
	int ret;

	if (!out)
		return vferry_fail(err, -ENOMEM, "no memory for %s", path);
	page(out, report);
	fclose(out);
	ret = prof_put_file(path, memory, length, err);
	free(memory);
	return ret;
}
