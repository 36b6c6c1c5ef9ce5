// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracer's text: 80 columns, a line an event, a table an interval. */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <vferry/admin.h>
#include <vferry/phase.h>
#include "trace/trace.h"

const char *vft_text_ns(char *buffer, size_t size, uint64_t ns)
{
	static const struct {
		uint64_t unit;
		const char *name;
	} units[] = { { 1000000000ULL, "s" }, { 1000000ULL, "ms" }, { 1000ULL, "us" } };

	for (unsigned int i = 0; i < 3; i++) {
		double value = (double)ns / (double)units[i].unit;

		if (ns < units[i].unit)
			continue;
		snprintf(buffer, size, "%.*f%s",
			 value < 9.995	 ? 2
			 : value < 99.95 ? 1
					 : 0,
			 value, units[i].name);
		return buffer;
	}
	snprintf(buffer, size, "%" PRIu64 "ns", ns);
	return buffer;
}

static void clock_text(char *buffer, size_t size, uint64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000ULL);
	struct tm parts;
	size_t n;

	localtime_r(&seconds, &parts);
	n = strftime(buffer, size, "%H:%M:%S", &parts);
	snprintf(buffer + n, size - n, ".%06u", (unsigned int)(time_ns % 1000000000ULL / 1000));
}

void vft_text_start(FILE *out, const struct vft_tracer *tracer)
{
	static const char *const states[] = { "off", "ok", "failed", "absent" };
	const struct vft_finder *finder = vft_tracer_finder(tracer);
	unsigned int count, files = 0;
	const struct vft_rung *rungs = vft_tracer_rungs(tracer, &count);

	for (unsigned int i = 0; i < count; i++)
		fprintf(out, "probe  %-32s %s%s%s\n", rungs[i].name, states[rungs[i].state],
			rungs[i].why[0] ? ": " : "", rungs[i].why);
	for (unsigned int i = 0; i < finder->count; i++) {
		if (!finder->targets[i].attached)
			continue;
		fprintf(out, "traced %s\n", finder->targets[i].name);
		files++;
	}
	if (!files)
		fprintf(out, "traced nothing yet: waiting for a process that uses libvferry\n");
	fflush(out);
}

static void command_event(FILE *out, const char *when, const struct vft_event *event)
{
	char latency[16], number[24];
	uint32_t opcode = event->what & 0xffff;

	fprintf(out, "%s %-6s %7u vf %-3llu %-20s %7s %8u B  ", when,
		vft_source_label(event->source), event->tgid, (unsigned long long)event->member,
		vft_opcode_label(event->source, opcode, number, sizeof(number)),
		vft_text_ns(latency, sizeof(latency), event->end_ns - event->begin_ns),
		event->bytes);
	if (event->error)
		fprintf(out, "%s\n", strerror(-event->error));
	else if (event->answer)
		fprintf(out, "%s/%s\n", vferry_status_name(event->answer & 0xffff),
			vferry_qualifier_name(event->answer >> 16));
	else
		fprintf(out, "ok\n");
}

void vft_text_event(FILE *out, const struct vft_event *event, uint64_t time_ns, uint64_t stay_ns)
{
	char when[32], took[16], stay[16];

	clock_text(when, sizeof(when), time_ns);
	switch (event->kind) {
	case VFT_EVENT_COMMAND:
		command_event(out, when, event);
		break;
	case VFT_EVENT_MODE:
		fprintf(out, "%s %-6s %7u vf %-3llu %s -> %s in %s", when,
			vft_source_label(event->source), event->tgid,
			(unsigned long long)event->member,
			event->what == VFT_MODE_UNKNOWN ? "?" : vferry_mode_name(event->what),
			vferry_mode_name(event->answer),
			vft_text_ns(took, sizeof(took), event->end_ns - event->begin_ns));
		if (stay_ns)
			fprintf(out, ", after %s", vft_text_ns(stay, sizeof(stay), stay_ns));
		fputc('\n', out);
		break;
	case VFT_EVENT_PHASE:
		fprintf(out, "%s %-6s %7u vf %-3llu phase %s (%016llx)\n", when,
			vft_source_label(event->source), event->tgid,
			(unsigned long long)event->member, vferry_phase_name(event->what),
			(unsigned long long)event->owner);
		break;
	}
}

static void histogram(FILE *out, const struct vft_row *row, unsigned int width)
{
	__u64 octaves[VFT_HIST_OCTAVES + 1] = { 0 }, largest = 0;
	unsigned int first = VFT_HIST_OCTAVES, last = 0, bar = width > 50 ? width - 42 : 20;

	for (unsigned int i = 0; i < VFT_HIST_SLOTS; i++)
		octaves[i / VFT_HIST_SUB] += row->hist[i];
	for (unsigned int i = 0; i <= VFT_HIST_OCTAVES; i++) {
		if (!octaves[i])
			continue;
		first = i < first ? i : first;
		last = i;
		largest = octaves[i] > largest ? octaves[i] : largest;
	}
	for (unsigned int i = first; largest && i <= last; i++) {
		char low[16], high[16];
		unsigned int n = (unsigned int)((octaves[i] * bar + largest - 1) / largest);

		fprintf(out, "     %7s ..%7s %9llu |",
			vft_text_ns(low, sizeof(low), vft_hist_low(i * VFT_HIST_SUB)),
			vft_text_ns(high, sizeof(high), vft_hist_low((i + 1) * VFT_HIST_SUB)),
			(unsigned long long)octaves[i]);
		for (unsigned int k = 0; k < bar; k++)
			fputc(k < n ? '#' : ' ', out);
		fprintf(out, "|\n");
	}
}

static void statuses(FILE *out, const struct vft_row *row)
{
	bool any = false;

	for (unsigned int i = VFT_OK + 1; i < VFT_STATUSES; i++) {
		if (!row->status[i])
			continue;
		fprintf(out, "%s%llu %s",
			any ? ", " : "       errors: ", (unsigned long long)row->status[i],
			vft_status_label(i));
		any = true;
	}
	if (row->retries)
		fprintf(out, "%s%llu retries after eagain", any ? ", " : "       ",
			(unsigned long long)row->retries);
	if (any || row->retries)
		fputc('\n', out);
}

static void table_row(FILE *out, const struct vft_report *report, const struct vft_entry *entry)
{
	const struct vft_row *row = &entry->row;
	char number[24], member[24], p50[16], p90[16], p99[16], max[16];

	snprintf(member, sizeof(member), "%u", entry->key.member);
	fprintf(out, "  %3s %-20s %8llu %8.0f %5llu %6s %6s %6s %6s\n",
		report->by_member && entry->key.opcode > VFERRY_CMD_LIST_USE ? member : "",
		vft_opcode_label(entry->key.source, entry->key.opcode, number, sizeof(number)),
		(unsigned long long)row->count,
		report->seconds > 0 ? (double)row->count / report->seconds : 0,
		(unsigned long long)vft_row_errors(row),
		vft_text_ns(p50, sizeof(p50), vft_percentile(row, 50)),
		vft_text_ns(p90, sizeof(p90), vft_percentile(row, 90)),
		vft_text_ns(p99, sizeof(p99), vft_percentile(row, 99)),
		vft_text_ns(max, sizeof(max), row->max_ns));
	statuses(out, row);
	if (report->split && row->split)
		fprintf(out, "       mean: waiting %s, device %s, reaping %s (of %llu)\n",
			vft_text_ns(p50, sizeof(p50), row->wait_ns / row->split),
			vft_text_ns(p90, sizeof(p90), row->device_ns / row->split),
			vft_text_ns(p99, sizeof(p99), row->reap_ns / row->split),
			(unsigned long long)row->split);
	if (report->split && row->irq_split)
		fprintf(out,
			"       mean: device to interrupt %s, interrupt to wake-up %s (of %llu)\n",
			vft_text_ns(p50, sizeof(p50), row->irq_device_ns / row->irq_split),
			vft_text_ns(p90, sizeof(p90), row->irq_wake_ns / row->irq_split),
			(unsigned long long)row->irq_split);
	if (report->hist)
		histogram(out, row, report->width);
}

static void modes_table(FILE *out, const struct vft_modes *modes)
{
	if (!modes->count)
		return;
	fprintf(out, "\n  %-6s %4s %8s %12s %12s %12s  %s\n", "SEEN", "VF", "CHANGES", "ACTIVE",
		"STOP", "FREEZE", "NOW");
	for (unsigned int i = 0; i < modes->count; i++) {
		const struct vft_vf *vf = &modes->vfs[i];
		char text[VFT_MODES][16];

		for (unsigned int m = 0; m < VFT_MODES; m++) {
			if (vf->in_mode_ns[m])
				vft_text_ns(text[m], sizeof(text[m]), vf->in_mode_ns[m]);
			else
				snprintf(text[m], sizeof(text[m]), "-");
		}
		fprintf(out, "  %-6s %4llu %8llu %12s %12s %12s  %s\n",
			vft_source_label(vf->source), (unsigned long long)vf->member,
			(unsigned long long)vf->transitions, text[0], text[1], text[2],
			vf->mode == VFT_MODE_UNKNOWN ? "?" : vferry_mode_name(vf->mode));
	}
}

static void losses(FILE *out, const struct vft_report *report)
{
	static const char *const names[VFT_LOSTS] = {
		[VFT_LOST_EVENTS] = "events lost (ring buffer full)",
		[VFT_LOST_ROWS] = "commands without a row of their own (table full)",
		[VFT_LOST_ARGS] = "probes with unreadable arguments",
		[VFT_LOST_PAIRS] = "kernel commands whose begin was not seen",
	};

	for (unsigned int i = 0; i < VFT_LOSTS; i++)
		if (report->lost[i])
			fprintf(out, "  NOT SEEN: %llu %s\n", (unsigned long long)report->lost[i],
				names[i]);
}

void vft_text_report(FILE *out, const struct vft_report *report)
{
	const struct vft_table *table = report->table;
	char when[32];
	unsigned int i;

	clock_text(when, sizeof(when), report->time_ns);
	when[8] = 0;
	__u64 lost = 0;

	for (i = 0; i < VFT_LOSTS; i++)
		lost += report->lost[i];
	fprintf(out, "\n%s %s of %.1f s, lost %llu", when,
		strcmp(report->type, "summary") ? "interval" : "summary", report->seconds,
		(unsigned long long)lost);
	if (report->has_ring)
		fprintf(out, ", io_uring: %llu operations, %llu punted, %llu failed",
			(unsigned long long)report->ring.submitted,
			(unsigned long long)report->ring.punted,
			(unsigned long long)report->ring.failed);
	fputc('\n', out);
	if (table->count)
		fprintf(out, "  %3s %-20s %8s %8s %5s %6s %6s %6s %6s\n",
			report->by_member ? "VF" : "", "COMMAND", "COUNT", "RATE/s", "ERR", "P50",
			"P90", "P99", "MAX");
	else
		fprintf(out, "  no command\n");
	for (i = 0; i < table->count; i++) {
		const struct vft_entry *entry = &table->entries[i];

		if (!i || entry->key.tgid != table->entries[i - 1].key.tgid ||
		    entry->key.source != table->entries[i - 1].key.source)
			fprintf(out, "%s %u %s%s\n", vft_source_label(entry->key.source),
				entry->key.tgid, entry->process, entry->alive ? "" : " (ended)");
		table_row(out, report, entry);
	}
	losses(out, report);
	if (report->modes)
		modes_table(out, report->modes);
	fflush(out);
}
