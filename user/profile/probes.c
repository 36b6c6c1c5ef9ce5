// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vferry/admin.h>
#include <vferry/phase.h>
#include "profile/ask.h"
#include "profile/probes.h"
#include "profile/profile.h"
#include "trace/attach.h"

#define VFS_MOST 1024u

/* A VF's part of a migration, as far as its probes tell. */
struct seen {
	uint64_t id, member;
	bool destination;
	struct json_object *marks, *events;
};

struct prof_probes {
	struct vft_tracer *tracer;
	struct ring_buffer *ring;
	struct seen *seen;
	unsigned int count;
	pid_t pid;
	int64_t namespace_ns;
	uint64_t from; /* on the engine's clock */
};

static void add(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

static struct seen *seen_by_id(struct prof_probes *probes, const struct vft_event *event)
{
	struct seen *grown;

	for (unsigned int i = 0; i < probes->count; i++)
		if (probes->seen[i].id == event->owner && probes->seen[i].member == event->member)
			return &probes->seen[i];
	if (probes->count == VFS_MOST)
		return NULL;
	grown = realloc(probes->seen, (probes->count + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	probes->seen = grown;
	grown = &grown[probes->count++];
	*grown = (struct seen){
		.id = event->owner,
		.member = event->member,
		.destination = event->kind == VFT_EVENT_CHUNK
				       ? event->what
				       : event->what >= VFERRY_PHASE_DST_OFFER,
		.marks = json_object_new_array(),
		.events = json_object_new_array(),
	};
	return grown;
}

/* A command belongs to the migration that its VF is in: the last one heard of. */
static struct seen *seen_by_member(struct prof_probes *probes, uint64_t member)
{
	for (unsigned int i = probes->count; i--;)
		if (probes->seen[i].member == member)
			return &probes->seen[i];
	return NULL;
}

static int on_event(void *arg, void *data, size_t size)
{
	struct prof_probes *probes = arg;
	const struct vft_event *event = data;
	struct json_object *json;
	struct seen *seen;

	if (size < sizeof(*event) || event->source != VFT_ENGINE)
		return 0;
	if (event->kind == VFT_EVENT_CHUNK) {
		seen = seen_by_id(probes, event);
		if (!seen)
			return 0;
		json = json_object_new_object();
		add_text(json, "kind", event->what ? "chunk_in" : "chunk_out");
		add(json, "begin_ns", event->begin_ns);
		add(json, "bytes", event->bytes);
		add(json, "at_ns", event->end_ns);
		json_object_array_add(seen->events, json);
	} else if (event->kind == VFT_EVENT_PHASE) {
		seen = seen_by_id(probes, event);
		if (!seen)
			return 0;
		json = json_object_new_object();
		add_text(json, "phase", vferry_phase_name(event->what));
		add(json, "at_ns", event->begin_ns);
		json_object_array_add(seen->marks, json);
	} else if (event->kind == VFT_EVENT_COMMAND) {
		seen = seen_by_member(probes, event->member);
		if (!seen)
			return 0;
		json = json_object_new_object();
		add_text(json, "kind", "command");
		add(json, "opcode", event->what & 0xffff);
		add_text(json, "name", vferry_opcode_name(event->what & 0xffff));
		add(json, "submit_ns", event->begin_ns);
		add(json, "issue_ns", event->issue_ns);
		add(json, "wake_ns", event->wake_ns);
		add(json, "bytes", event->bytes);
		add(json, "status", event->answer & 0xffff);
		add(json, "at_ns", event->end_ns);
		json_object_array_add(seen->events, json);
	}
	return 0;
}

int prof_probes_open(struct prof_probes **out, pid_t pid, struct vferry_error *err)
{
	const struct vft_filter filter = {
		.pid = pid,
		.commands = true,
		.engine = true,
	};
	struct prof_probes *probes = calloc(1, sizeof(*probes));
	int ret;

	if (!probes)
		return vferry_fail(err, -ENOMEM, "no memory");
	probes->pid = pid;
	probes->namespace_ns = prof_namespace_ns(pid);
	ret = vft_tracer_open(&probes->tracer, &filter, err);
	if (!ret) {
		ret = vft_tracer_attach(probes->tracer, err);
		ret = ret < 0 ? ret : 0;
	}
	if (!ret) {
		probes->ring = ring_buffer__new(vft_tracer_events_fd(probes->tracer), on_event,
						probes, NULL);
		if (!probes->ring)
			ret = vferry_fail(err, -errno, "cannot map the ring buffer: %s",
					  strerror(errno));
	}
	if (ret) {
		prof_probes_close(probes);
		return ret;
	}
	probes->from = (uint64_t)(prof_now_ns() + probes->namespace_ns);
	*out = probes;
	return 0;
}

int prof_probes_fd(const struct prof_probes *probes)
{
	return ring_buffer__epoll_fd(probes->ring);
}

void prof_probes_read(struct prof_probes *probes)
{
	ring_buffer__consume(probes->ring);
}

/* As the marks tell it: whether it failed, and why, only the engine knows. */
static const char *outcome(const struct seen *seen)
{
	size_t count = json_object_array_length(seen->marks);
	const char *last = "";

	for (size_t i = 0; i < count; i++) {
		const char *phase =
			prof_get_text(json_object_array_get_idx(seen->marks, i), "phase");

		if (!strcmp(phase, "source_active") || !strcmp(phase, "destination_active"))
			return "moved";
		if (!strcmp(phase, "source_back") || !strcmp(phase, "destination_refused"))
			last = phase;
	}
	return *last ? "taken_back" : "not_known";
}

static struct json_object *one_vf(const struct prof_probes *probes, const struct seen *seen,
				  uint64_t lost)
{
	struct json_object *vf = json_object_new_object();
	uint64_t number = seen->id;
	char id[20];

	/* The probe has the id's first bytes as a number of this machine's order. */
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)htobe64(number));
	add(vf, "vf", seen->member);
	add_text(vf, "id", id);
	add_text(vf, "outcome", outcome(seen));
	json_object_object_add(vf, "marks", json_object_get(seen->marks));
	add(vf, "events_lost", lost);
	add(vf, "events_from_ns", probes->from);
	json_object_object_add(vf, "events", json_object_get(seen->events));
	return vf;
}

void prof_probes_result(struct prof_probes *probes, struct json_object *sides)
{
	__u64 lost[VFT_LOSTS];
	char boot[64], host[64] = "";

	vft_tracer_lost(probes->tracer, lost);
	prof_boot_id(boot);
	gethostname(host, sizeof(host) - 1);
	for (unsigned int destination = 0; destination < 2; destination++) {
		struct json_object *vfs = json_object_new_array(), *side;

		for (unsigned int i = 0; i < probes->count; i++)
			if (probes->seen[i].destination == destination)
				json_object_array_add(vfs, one_vf(probes, &probes->seen[i],
								  lost[VFT_LOST_EVENTS]));
		if (!json_object_array_length(vfs)) {
			json_object_put(vfs);
			continue;
		}
		side = json_object_new_object();
		add_text(side, "role", destination ? "destination" : "source");
		add_text(side, "origin", "probes");
		add_text(side, "why", "asked");
		add(side, "pid", (uint64_t)prof_inside(probes->pid));
		add_text(side, "boot_id", boot);
		json_object_object_add(side, "clock_namespace_ns",
				       json_object_new_int64(probes->namespace_ns));
		add_text(side, "host", host);
		json_object_object_add(side, "vfs", vfs);
		json_object_array_add(sides, side);
	}
}

void prof_probes_close(struct prof_probes *probes)
{
	if (!probes)
		return;
	ring_buffer__free(probes->ring);
	vft_tracer_close(probes->tracer);
	for (unsigned int i = 0; i < probes->count; i++) {
		json_object_put(probes->seen[i].marks);
		json_object_put(probes->seen[i].events);
	}
	free(probes->seen);
	free(probes);
}
