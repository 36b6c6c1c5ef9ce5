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

	if (ns >= 99999500000000ULL) {
		snprintf(buffer, size, ">27h");
		return buffer;
	}
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

const char *vft_text_count(char *buffer, size_t size, uint64_t value, int width)
{
	static const char suffixes[] = " kMGTPE";
	unsigned int at = 0;

	snprintf(buffer, size, "%" PRIu64, value);
	while ((int)strlen(buffer) > width && at + 2 < sizeof(suffixes)) {
		value /= 1000;
		snprintf(buffer, size, "%" PRIu64 "%c", value, suffixes[++at]);
	}
	return buffer;
}

/* A line of words, broken at a space before it is wider than the terminal; what follows stands under the first line's words. */
static void wrapped(FILE *out, const char *text, unsigned int width, unsigned int indent)
{
	unsigned int column = 0;

	while (*text) {
		unsigned int word = (unsigned int)strcspn(text + 1, " ") + 1;

		if (column && column + word > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
			if (*text == ' ')
				text++, word--;
		}
		fprintf(out, "%.*s", (int)word, text);
		column += word;
		text += word;
	}
	fputc('\n', out);
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

/* The end of a path says more than its beginning. */
static void traced(FILE *out, const char *name, unsigned int width)
{
	size_t length = strlen(name), room = width > 20 ? width - 10 : 10;

	if (length > room)
		fprintf(out, "traced ...%s\n", name + length - room);
	else
		fprintf(out, "traced %s\n", name);
}

void vft_text_start(FILE *out, const struct vft_tracer *tracer, unsigned int width)
{
	static const char *const states[] = { "off", "ok", "failed", "absent" };
	const struct vft_finder *finder = vft_tracer_finder(tracer);
	unsigned int count, files = 0;
	const struct vft_rung *rungs = vft_tracer_rungs(tracer, &count);
	char line[320];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "probe  %-29s %s%s%s", rungs[i].name,
			 states[rungs[i].state], rungs[i].why[0] ? ": " : "", rungs[i].why);
		wrapped(out, line, width, 12);
	}
	for (unsigned int i = 0; i < finder->count; i++) {
		if (!finder->targets[i].attached)
			continue;
		traced(out, finder->targets[i].name, width);
		files++;
	}
	if (!files)
		fprintf(out, "traced nothing yet: waiting for a process that uses libvferry\n");
	fflush(out);
}

static void command_line(char *line, size_t room, const struct vft_event *event)
{
	char latency[16], number[24], bytes[24];

	snprintf(line, room, "%-20s %6s %8s B  ",
		 vft_opcode_label(event->source, event->what & 0xffff, number, sizeof(number)),
		 vft_text_ns(latency, sizeof(latency),
			     vft_event_took(event->begin_ns, event->end_ns)),
		 vft_text_count(bytes, sizeof(bytes), event->bytes, 8));
	room -= strlen(line);
	line += strlen(line);
	if (event->error)
		snprintf(line, room, "%s", strerror(-event->error));
	else if (event->answer)
		snprintf(line, room, "%s / %s", vferry_status_name(event->answer & 0xffff),
			 vferry_qualifier_name(event->answer >> 16));
	else
		snprintf(line, room, "ok");
}

static void mode_line(char *line, size_t room, const struct vft_event *event, uint64_t stay_ns)
{
	char took[16], stay[16] = "";

	if (stay_ns)
		vft_text_ns(stay, sizeof(stay), stay_ns);
	snprintf(line, room, "%s -> %s in %s%s%s",
		 event->what == VFT_MODE_UNKNOWN ? "?" : vferry_mode_name(event->what),
		 vferry_mode_name(event->answer),
		 vft_text_ns(took, sizeof(took), vft_event_took(event->begin_ns, event->end_ns)),
		 stay_ns ? ", after " : "", stay);
}

void vft_text_event(FILE *out, const struct vft_event *event, uint64_t time_ns, uint64_t stay_ns,
		    unsigned int width)
{
	char line[320], when[32], took[16], bytes[24], vf[24];
	size_t n;

	clock_text(when, sizeof(when), time_ns);
	snprintf(line, sizeof(line), "%s %-6s %7u vf %-3s ", when, vft_source_label(event->source),
		 event->tgid, vft_text_count(vf, sizeof(vf), event->member, 5));
	n = strlen(line);
	switch (event->kind) {
	case VFT_EVENT_COMMAND:
		command_line(line + n, sizeof(line) - n, event);
		break;
	case VFT_EVENT_MODE:
		mode_line(line + n, sizeof(line) - n, event, stay_ns);
		break;
	case VFT_EVENT_PHASE:
		snprintf(line + n, sizeof(line) - n, "phase %s (%016llx)",
			 vferry_phase_name(event->what), (unsigned long long)event->owner);
		break;
	case VFT_EVENT_CHUNK:
		snprintf(line + n, sizeof(line) - n, "chunk %s %s B in %s",
			 event->what ? "in" : "out",
			 vft_text_count(bytes, sizeof(bytes), event->bytes, 8),
			 vft_text_ns(took, sizeof(took),
				     vft_event_took(event->begin_ns, event->end_ns)));
		break;
	default:
		return;
	}
	wrapped(out, line, width, 16);
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
		char low[16], high[16], number[24];
		unsigned int n = (unsigned int)((double)octaves[i] * bar / (double)largest);

		if (!n && octaves[i])
			n = 1;

		fprintf(out, "     %7s ..%7s %9s |",
			vft_text_ns(low, sizeof(low), vft_hist_low(i * VFT_HIST_SUB)),
			vft_text_ns(high, sizeof(high), vft_hist_low((i + 1) * VFT_HIST_SUB)),
			vft_text_count(number, sizeof(number), octaves[i], 9));
		for (unsigned int k = 0; k < bar; k++)
			fputc(k < n ? '#' : ' ', out);
		fprintf(out, "|\n");
	}
}

static void statuses(FILE *out, const struct vft_row *row, unsigned int width)
{
	char line[512] = "", number[24];
	bool any = false;
	size_t n = 0;

	for (unsigned int i = VFT_OK + 1; i < VFT_STATUSES; i++) {
		if (!row->status[i])
			continue;
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s %s",
				      any ? ", " : "       errors: ",
				      vft_text_count(number, sizeof(number), row->status[i], 9),
				      vft_status_label(i));
		any = true;
	}
	if (row->retries)
		snprintf(line + n, sizeof(line) - n, "%s%s retries after eagain",
			 any ? ", " : "       ",
			 vft_text_count(number, sizeof(number), row->retries, 9));
	if (*line)
		wrapped(out, line, width, 9);
}

static void means(FILE *out, const struct vft_row *row)
{
	char a[16], b[16], c[16], of[24];

	if (row->split)
		fprintf(out, "       mean: waiting %s, device %s, reaping %s (of %s)\n",
			vft_text_ns(a, sizeof(a), row->wait_ns / row->split),
			vft_text_ns(b, sizeof(b), row->device_ns / row->split),
			vft_text_ns(c, sizeof(c), row->reap_ns / row->split),
			vft_text_count(of, sizeof(of), row->split, 9));
	if (row->irq_split)
		fprintf(out,
			"       mean: device to interrupt %s, interrupt to wake-up %s (of %s)\n",
			vft_text_ns(a, sizeof(a), row->irq_device_ns / row->irq_split),
			vft_text_ns(b, sizeof(b), row->irq_wake_ns / row->irq_split),
			vft_text_count(of, sizeof(of), row->irq_split, 9));
}

static void table_row(FILE *out, const struct vft_report *report, const struct vft_entry *entry)
{
	const struct vft_row *row = &entry->row;
	char name[24], vf[24] = "", count[24], rate[24], errors[24], p50[16], p90[16], p99[16],
		       max[16];
	bool of_vf = entry->key.opcode > VFERRY_CMD_LIST_USE && entry->key.opcode < VFT_OPCODES &&
		     entry->key.source != VFT_URING_OTHER;

	if (report->by_member && of_vf)
		vft_text_count(vf, sizeof(vf), entry->key.member, 5);
	fprintf(out, "%5s %-20.20s %8s %8s %5s %6s %6s %6s %6s\n", vf,
		vft_opcode_label(entry->key.source, entry->key.opcode, name, sizeof(name)),
		vft_text_count(count, sizeof(count), row->count, 8),
		vft_text_count(rate, sizeof(rate),
			       report->seconds > 0
				       ? (uint64_t)((double)row->count / report->seconds + 0.5)
				       : 0,
			       8),
		vft_text_count(errors, sizeof(errors), vft_row_errors(row), 5),
		vft_text_ns(p50, sizeof(p50), vft_percentile(row, 50)),
		vft_text_ns(p90, sizeof(p90), vft_percentile(row, 90)),
		vft_text_ns(p99, sizeof(p99), vft_percentile(row, 99)),
		vft_text_ns(max, sizeof(max), row->max_ns));
	statuses(out, row, report->width);
	if (report->split)
		means(out, row);
	if (report->hist)
		histogram(out, row, report->width);
}

static void modes_table(FILE *out, const struct vft_modes *modes)
{
	if (!modes->count)
		return;
	fprintf(out, "\n  %-6s %-12s %5s %8s %8s %8s %8s  %s\n", "SEEN", "OWNER", "VF", "CHANGES",
		"ACTIVE", "STOP", "FREEZE", "NOW");
	for (unsigned int i = 0; i < modes->count; i++) {
		const struct vft_vf *vf = &modes->vfs[i];
		char text[VFT_MODES][16], member[24], changes[24], owner[24];

		for (unsigned int m = 0; m < VFT_MODES; m++) {
			if (vf->in_mode_ns[m])
				vft_text_ns(text[m], sizeof(text[m]), vf->in_mode_ns[m]);
			else
				snprintf(text[m], sizeof(text[m]), "-");
		}
		/* The engine tells a hash of the owner's address; a device is its process. */
		if (vf->source == VFT_DEVICE)
			snprintf(owner, sizeof(owner), "pid %u", vf->tgid);
		else
			snprintf(owner, sizeof(owner), "%08x..", (unsigned int)(vf->owner >> 32));
		fprintf(out, "  %-6s %-12s %5s %8s %8s %8s %8s  %s\n", vft_source_label(vf->source),
			owner, vft_text_count(member, sizeof(member), vf->member, 5),
			vft_text_count(changes, sizeof(changes), vf->transitions, 8), text[0],
			text[1], text[2],
			vf->mode == VFT_MODE_UNKNOWN ? "?" : vferry_mode_name(vf->mode));
	}
}

static void losses(FILE *out, const struct vft_report *report)
{
	static const char *const names[VFT_LOSTS] = {
		[VFT_LOST_EVENTS] = "events (ring buffer full, or more than one process's share)",
		[VFT_LOST_ROWS] = "commands in a row of their own (table full: --rows)",
		[VFT_LOST_ARGS] = "probes with unreadable arguments",
		[VFT_LOST_PAIRS] = "commands whose begin was not seen",
		[VFT_LOST_MODES] = "mode changes in the table of modes (too many VFs)",
	};
	const struct vft_finder *finder = vft_tracer_finder(report->tracer);

	if (finder->left_out)
		fprintf(out, "  NOT SEEN: program files beyond %u that run at once\n",
			VFT_TARGETS_MAX);
	for (unsigned int i = 0; i < VFT_LOSTS; i++)
		if (report->lost[i])
			fprintf(out, "  NOT SEEN: %llu %s\n", (unsigned long long)report->lost[i],
				names[i]);
}

static void kernel_counts(FILE *out, const struct vft_report *report)
{
	char a[24], b[24], c[24];

	if (report->has_ring)
		fprintf(out, "  io_uring: %s operations, %s punted, %s failed\n",
			vft_text_count(a, sizeof(a), report->ring.submitted, 9),
			vft_text_count(b, sizeof(b), report->ring.punted, 9),
			vft_text_count(c, sizeof(c), report->ring.failed, 9));
	if (report->has_interrupts)
		fprintf(out, "  VFIO interrupts of this machine so far: %s\n",
			vft_text_count(a, sizeof(a), report->interrupts, 9));
}

static void heading(FILE *out, const struct vft_entry *entry)
{
	if (entry->key.tgid)
		fprintf(out, "%s %u %s%s\n", vft_source_label(entry->key.source), entry->key.tgid,
			entry->process, entry->alive ? "" : " (ended)");
	else
		fprintf(out, "%s of several processes (ended, or without a row of their own)\n",
			vft_source_label(entry->key.source));
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
	fprintf(out, "\n%s %s of %.1f s, lost %llu\n", when,
		strcmp(report->type, "summary") ? "interval" : "summary", report->seconds,
		(unsigned long long)lost);
	kernel_counts(out, report);
	if (table->count)
		fprintf(out, "%5s %-20s %8s %8s %5s %6s %6s %6s %6s\n",
			report->by_member ? "VF" : "", "COMMAND", "COUNT", "RATE/s", "ERR", "P50",
			"P90", "P99", "MAX");
	else
		fprintf(out, "  no command\n");
	for (i = 0; i < table->count; i++) {
		const struct vft_entry *entry = &table->entries[i];

		if (!i || entry->key.tgid != table->entries[i - 1].key.tgid ||
		    entry->key.source != table->entries[i - 1].key.source)
			heading(out, entry);
		table_row(out, report, entry);
	}
	losses(out, report);
	if (report->modes)
		modes_table(out, report->modes);
	fflush(out);
}
