// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracer's JSON lines: the same structures as the text. */
#include <json-c/json.h>
#include <string.h>
#include <vferry/admin.h>
#include <vferry/phase.h>
#include "trace/trace.h"

static void add(struct json_object *to, const char *key, __u64 value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

static struct json_object *line(const char *type)
{
	struct json_object *object = json_object_new_object();

	add_text(object, "schema", "vferry.trace");
	add(object, "schema_version", 1);
	add_text(object, "type", type);
	return object;
}

static void put(FILE *out, struct json_object *object)
{
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(out);
	json_object_put(object);
}

static struct json_object *opcode_object(unsigned int source, unsigned int opcode)
{
	struct json_object *object = json_object_new_object();
	char text[24];

	add(object, "opcode", opcode);
	add_text(object, "name", vft_opcode_label(source, opcode, text, sizeof(text)));
	return object;
}

void vft_json_start(FILE *out, const struct vft_tracer *tracer)
{
	static const char *const states[] = { "off", "ok", "failed", "absent" };
	struct json_object *object = line("start"), *probes = json_object_new_array(),
			   *files = json_object_new_array();
	const struct vft_finder *finder = vft_tracer_finder(tracer);
	unsigned int count;
	const struct vft_rung *rungs = vft_tracer_rungs(tracer, &count);

	for (unsigned int i = 0; i < count; i++) {
		struct json_object *probe = json_object_new_object();

		add_text(probe, "name", rungs[i].name);
		add_text(probe, "state", states[rungs[i].state]);
		if (rungs[i].why[0])
			add_text(probe, "why", rungs[i].why);
		json_object_array_add(probes, probe);
	}
	for (unsigned int i = 0; i < finder->count; i++)
		if (finder->targets[i].attached)
			json_object_array_add(files,
					      json_object_new_string(finder->targets[i].name));
	json_object_object_add(object, "probes", probes);
	json_object_object_add(object, "traced_files", files);
	put(out, object);
}

static void add_event_common(struct json_object *object, const struct vft_event *event,
			     uint64_t time_ns)
{
	char comm[VFT_COMM];

	add(object, "time_ns", time_ns);
	add_text(object, "source", vft_source_label(event->source));
	add(object, "pid", event->tgid);
	add_text(object, "process", vft_event_comm(event, comm));
	add(object, "vf", event->member);
}

static void command_event(struct json_object *object, const struct vft_event *event)
{
	json_object_object_add(object, "opcode",
			       opcode_object(event->source, event->what & 0xffff));
	add(object, "group_type", event->what >> 16);
	add(object, "latency_ns", vft_event_took(event->begin_ns, event->end_ns));
	if (event->issue_ns && event->begin_ns <= event->issue_ns &&
	    event->issue_ns <= event->wake_ns && event->wake_ns <= event->end_ns) {
		add(object, "waiting_ns", event->issue_ns - event->begin_ns);
		add(object, "device_ns", event->wake_ns - event->issue_ns);
		add(object, "reaping_ns", event->end_ns - event->wake_ns);
	}
	add(object, "bytes", event->bytes);
	add(object, "retries", event->retries);
	if (event->error) {
		json_object_object_add(object, "errno", json_object_new_int(-event->error));
		add_text(object, "error", strerror(-event->error));
		return;
	}
	add(object, "status", event->answer & 0xffff);
	add_text(object, "status_name", vferry_status_name(event->answer & 0xffff));
	add(object, "qualifier", event->answer >> 16);
	add_text(object, "qualifier_name", vferry_qualifier_name(event->answer >> 16));
}

void vft_json_event(FILE *out, const struct vft_event *event, uint64_t time_ns, uint64_t stay_ns)
{
	struct json_object *object = line(event->kind == VFT_EVENT_COMMAND ? "command"
					  : event->kind == VFT_EVENT_MODE  ? "mode"
					  : event->kind == VFT_EVENT_CHUNK ? "chunk"
									   : "phase");
	char id[24];

	add_event_common(object, event, time_ns);
	switch (event->kind) {
	case VFT_EVENT_COMMAND:
		command_event(object, event);
		break;
	case VFT_EVENT_MODE:
		if (event->what != VFT_MODE_UNKNOWN)
			add_text(object, "from", vferry_mode_name(event->what));
		add_text(object, "to", vferry_mode_name(event->answer));
		add(object, "transition_ns", vft_event_took(event->begin_ns, event->end_ns));
		if (stay_ns)
			add(object, "stay_ns", stay_ns);
		break;
	case VFT_EVENT_PHASE:
		snprintf(id, sizeof(id), "%016llx", (unsigned long long)event->owner);
		add_text(object, "migration", id);
		add_text(object, "phase", vferry_phase_name(event->what));
		break;
	case VFT_EVENT_CHUNK:
		snprintf(id, sizeof(id), "%016llx", (unsigned long long)event->owner);
		add_text(object, "migration", id);
		add_text(object, "direction", event->what ? "in" : "out");
		add(object, "bytes", event->bytes);
		add(object, "took_ns", vft_event_took(event->begin_ns, event->end_ns));
		break;
	}
	put(out, object);
}

static struct json_object *histogram(const struct vft_row *row)
{
	struct json_object *slots = json_object_new_array();

	for (unsigned int i = 0; i < VFT_HIST_SLOTS; i++) {
		struct json_object *slot;

		if (!row->hist[i])
			continue;
		slot = json_object_new_object();
		add(slot, "low_ns", vft_hist_low(i));
		add(slot, "high_ns", vft_hist_low(i + 1));
		add(slot, "count", row->hist[i]);
		json_object_array_add(slots, slot);
	}
	return slots;
}

static struct json_object *row_object(const struct vft_report *report,
				      const struct vft_entry *entry)
{
	const struct vft_row *row = &entry->row;
	struct json_object *object = json_object_new_object(), *status = json_object_new_object();

	add_text(object, "source", vft_source_label(entry->key.source));
	add(object, "pid", entry->key.tgid);
	add_text(object, "process", entry->process);
	json_object_object_add(object, "alive", json_object_new_boolean(entry->alive));
	if (report->by_member)
		add(object, "vf", entry->key.member);
	json_object_object_add(object, "opcode",
			       opcode_object(entry->key.source, entry->key.opcode));
	add(object, "count", row->count);
	json_object_object_add(object, "rate_per_second",
			       json_object_new_double(report->seconds > 0
							      ? (double)row->count / report->seconds
							      : 0));
	add(object, "errors", vft_row_errors(row));
	for (unsigned int i = 0; i < VFT_STATUSES; i++)
		if (row->status[i])
			add(status, vft_status_label(i), row->status[i]);
	json_object_object_add(object, "status", status);
	add(object, "retries", row->retries);
	add(object, "bytes", row->bytes);
	add(object, "sum_ns", row->sum_ns);
	add(object, "p50_ns", vft_percentile(row, 50));
	add(object, "p90_ns", vft_percentile(row, 90));
	add(object, "p99_ns", vft_percentile(row, 99));
	add(object, "max_ns", row->max_ns);
	add(object, "split_count", row->split);
	add(object, "waiting_sum_ns", row->wait_ns);
	add(object, "device_sum_ns", row->device_ns);
	add(object, "reaping_sum_ns", row->reap_ns);
	if (row->irq_split) {
		add(object, "interrupt_count", row->irq_split);
		add(object, "device_to_interrupt_sum_ns", row->irq_device_ns);
		add(object, "interrupt_to_wake_sum_ns", row->irq_wake_ns);
	}
	if (report->hist)
		json_object_object_add(object, "histogram", histogram(row));
	return object;
}

static struct json_object *modes_array(const struct vft_modes *modes)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < modes->count; i++) {
		const struct vft_vf *vf = &modes->vfs[i];
		struct json_object *object = json_object_new_object();
		char owner[24], key[32];

		snprintf(owner, sizeof(owner), "%016llx", (unsigned long long)vf->owner);
		add_text(object, "source", vft_source_label(vf->source));
		add_text(object, "owner", owner);
		add(object, "vf", vf->member);
		add(object, "uid", vf->uid);
		add(object, "transitions", vf->transitions);
		for (unsigned int m = 0; m < VFT_MODES; m++) {
			snprintf(key, sizeof(key), "%s_ns", vferry_mode_name(m));
			add(object, key, vf->in_mode_ns[m]);
		}
		if (vf->mode != VFT_MODE_UNKNOWN)
			add_text(object, "mode", vferry_mode_name(vf->mode));
		json_object_array_add(array, object);
	}
	return array;
}

void vft_json_report(FILE *out, const struct vft_report *report)
{
	struct json_object *object = line(report->type), *rows = json_object_new_array(),
			   *lost = json_object_new_object();

	add(object, "time_ns", report->time_ns);
	json_object_object_add(object, "seconds", json_object_new_double(report->seconds));
	for (unsigned int i = 0; i < report->table->count; i++)
		json_object_array_add(rows, row_object(report, &report->table->entries[i]));
	json_object_object_add(object, "rows", rows);
	add(lost, "events", report->lost[VFT_LOST_EVENTS]);
	add(lost, "rows", report->lost[VFT_LOST_ROWS]);
	add(lost, "arguments", report->lost[VFT_LOST_ARGS]);
	add(lost, "pairs", report->lost[VFT_LOST_PAIRS]);
	add(lost, "modes", report->lost[VFT_LOST_MODES]);
	json_object_object_add(object, "lost", lost);
	if (report->has_ring) {
		struct json_object *ring = json_object_new_object();

		add(ring, "submitted", report->ring.submitted);
		add(ring, "completed", report->ring.completed);
		add(ring, "failed", report->ring.failed);
		add(ring, "punted", report->ring.punted);
		json_object_object_add(object, "io_uring", ring);
	}
	if (report->has_interrupts)
		add(object, "vfio_interrupts", report->interrupts);
	if (report->modes)
		json_object_object_add(object, "modes", modes_array(report->modes));
	put(out, object);
}
