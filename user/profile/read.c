// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files of profiles and flight recorders. What is wrong with them is named; what is left of them counts. */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/admin.h>
#include "profile/profile.h"

static void say(struct json_object *array, const char *format, va_list args)
{
	char words[600];

	vsnprintf(words, sizeof(words), format, args);
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (!strcmp(json_object_get_string(json_object_array_get_idx(array, i)), words))
			return;
	json_object_array_add(array, json_object_new_string(words));
}

void prof_problem(struct prof_set *set, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(set->problems, format, args);
	va_end(args);
}

void prof_unseen(struct prof_set *set, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(set->not_seen, format, args);
	va_end(args);
}

void prof_set_init(struct prof_set *set)
{
	memset(set, 0, sizeof(*set));
	set->files = json_object_new_array();
	set->problems = json_object_new_array();
	set->not_seen = json_object_new_array();
	set->raw_sides = json_object_new_array();
	set->raw_kernels = json_object_new_array();
}

void prof_set_free(struct prof_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		for (size_t v = 0; v < set->sides[i].count; v++)
			free(set->sides[i].vfs[v].events.at);
		free(set->sides[i].vfs);
	}
	for (size_t i = 0; i < set->kernel_count; i++) {
		free(set->kernels[i].events.at);
		free(set->kernels[i].off.at);
	}
	free(set->sides);
	free(set->kernels);
	json_object_put(set->files);
	json_object_put(set->problems);
	json_object_put(set->not_seen);
	json_object_put(set->raw_sides);
	json_object_put(set->raw_kernels);
	memset(set, 0, sizeof(*set));
}

/* --- members of a document that may be anything --- */

static struct json_object *member(struct json_object *from, const char *key, enum json_type type)
{
	struct json_object *value;

	if (!json_object_is_type(from, json_type_object) ||
	    !json_object_object_get_ex(from, key, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

uint64_t prof_get(struct json_object *from, const char *key)
{
	struct json_object *value = member(from, key, json_type_int);

	return value ? json_object_get_uint64(value) : 0;
}

static int64_t get_int(struct json_object *from, const char *key)
{
	struct json_object *value = member(from, key, json_type_int);

	return value ? json_object_get_int64(value) : 0;
}

/* A time: beyond 146 years it is no monotonic clock's, and sums could overflow. */
static int64_t get_time(struct json_object *from, const char *key)
{
	int64_t value = get_int(from, key);

	return value < 0 || value > INT64_MAX / 2 ? 0 : value;
}

static unsigned int get_small(struct json_object *from, const char *key, unsigned int most)
{
	int64_t value = get_int(from, key);

	return value < 0 || value > (int64_t)most ? 0 : (unsigned int)value;
}

const char *prof_get_text(struct json_object *from, const char *key)
{
	struct json_object *value = member(from, key, json_type_string);

	return value ? json_object_get_string(value) : "";
}

struct json_object *prof_get_array(struct json_object *from, const char *key)
{
	return member(from, key, json_type_array);
}

static size_t length_of(struct json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

/* Control characters of a hostile file do not reach a terminal. */
static void get_words(char *to, size_t room, struct json_object *from, const char *key)
{
	snprintf(to, room, "%s", prof_get_text(from, key));
	for (char *c = to; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

/* --- events --- */

static int phase_number(const char *name)
{
	for (unsigned int i = 1; i < VFERRY_PHASES_SHOWN; i++)
		if (!strcmp(vferry_phase_name(i), name))
			return (int)i;
	return 0;
}

static struct prof_event *add_event(struct prof_events *events)
{
	if (events->count == events->room) {
		size_t room = events->room ? events->room * 2 : 64;
		struct prof_event *grown = realloc(events->at, room * sizeof(*grown));

		if (!grown)
			return NULL;
		events->at = grown;
		events->room = room;
	}
	memset(&events->at[events->count], 0, sizeof(*events->at));
	return &events->at[events->count++];
}

static bool read_event(struct prof_events *events, struct json_object *from)
{
	static const char *const kinds[] = {
#define X(name, text) text,
		PROF_KINDS(X)
#undef X
	};
	const char *name = prof_get_text(from, "kind"), *state;
	struct prof_event event = { 0 }, *place;
	unsigned int kind = 0;

	while (kind < PROF_KIND_COUNT && strcmp(kinds[kind], name))
		kind++;
	if (kind == PROF_KIND_COUNT)
		return false;
	event.kind = (enum prof_kind)kind;
	event.end = get_time(from, "at_ns");
	event.begin = get_time(from, kind == PROF_COMMAND ? "submit_ns" : "begin_ns");
	event.issue = get_time(from, "issue_ns");
	event.wake = get_time(from, "wake_ns");
	event.bytes = get_small(from, "bytes", UINT32_MAX);
	event.opcode = (uint16_t)get_small(from, "opcode", 0xffff);
	event.status = (uint16_t)get_small(from, "status", 0xffff);
	event.error = (int)get_int(from, "error");
	switch (event.kind) {
	case PROF_TCP:
		event.a = prof_get(from, "rtt_us");
		event.b = prof_get(from, "retransmits");
		break;
	case PROF_RETRANSMIT:
		event.a = prof_get(from, "local_port");
		event.b = prof_get(from, "peer_port");
		break;
	case PROF_PUNT:
		event.a = get_small(from, "opcode", 0xff);
		break;
	case PROF_IRQ:
		event.a =
			member(from, "softirq", json_type_int) ? 1 + prof_get(from, "softirq") : 0;
		break;
	case PROF_OFF_CPU:
	case PROF_THREAD_OFF:
	case PROF_THREAD_RAN:
		state = prof_get_text(from, "state");
		event.state = *state;
		event.io_wait = prof_get(from, "io_wait");
		event.worker = prof_get(from, "worker");
		event.tid = get_small(from, "tid", INT_MAX);
		break;
	default:
		break;
	}
	if (!event.begin)
		event.begin = event.end;
	if (!event.end || event.begin > event.end)
		return false;
	place = add_event(events);
	if (place)
		*place = event;
	return place;
}

static uint64_t read_events(struct prof_events *events, struct json_object *array)
{
	uint64_t bad = 0;

	for (size_t i = 0; i < length_of(array); i++)
		bad += !read_event(events, json_object_array_get_idx(array, i));
	return bad;
}

static void read_marks(struct prof_vf *vf, struct json_object *array)
{
	for (size_t i = 0; i < length_of(array); i++) {
		struct json_object *mark = json_object_array_get_idx(array, i);
		int phase = phase_number(prof_get_text(mark, "phase"));
		int64_t at = get_time(mark, "at_ns");

		if (phase) {
			vf->at[phase] = at;
		} else if (member(mark, "failed", json_type_int) && !vf->failed_at) {
			vf->failed_at = at;
			vf->failed_code = (int)get_int(mark, "failed");
		}
	}
}

static void read_vf(struct prof_set *set, struct prof_vf *vf, struct json_object *from,
		    const char *file)
{
	struct json_object *passes = prof_get_array(from, "passes"), *clock;
	uint64_t bad;

	vf->vf = get_small(from, "vf", 0xffff);
	get_words(vf->id, sizeof(vf->id), from, "id");
	get_words(vf->outcome, sizeof(vf->outcome), from, "outcome");
	get_words(vf->error, sizeof(vf->error), from, "error");
	vf->context_bytes = prof_get(from, "context_bytes");
	vf->final_bytes = prof_get(from, "final_bytes");
	for (size_t i = 0; i < length_of(passes) && i < PROF_PASSES; i++) {
		struct json_object *pass = json_object_array_get_idx(passes, i);

		vf->pass_bytes[i] = prof_get(pass, "bytes");
		vf->pass_ns[i] = prof_get(pass, "duration_ns");
		vf->passes++;
	}
	clock = member(from, "clock", json_type_object);
	vf->clock.exchanges = get_small(clock, "exchanges", 1000);
	vf->clock.offset_ns = get_int(clock, "offset_ns");
	vf->clock.error_ns = prof_get(clock, "error_ns");
	if (vf->clock.error_ns > INT64_MAX / 4 || vf->clock.offset_ns > INT64_MAX / 4 ||
	    vf->clock.offset_ns < -(INT64_MAX / 4))
		vf->clock.exchanges = 0;
	read_marks(vf, prof_get_array(from, "marks"));
	vf->marks_lost = prof_get(from, "marks_lost");
	vf->events_lost = prof_get(from, "events_lost");
	vf->lost_until = get_time(from, "events_lost_until_ns");
	vf->local_port = get_small(from, "local_port", 0xffff);
	vf->peer_port = get_small(from, "peer_port", 0xffff);
	bad = read_events(&vf->events, prof_get_array(from, "events"));
	if (bad)
		prof_problem(set, "%s: VF %u: %llu events make no sense and are left out", file,
			     vf->vf, (unsigned long long)bad);
}

static void read_side(struct prof_set *set, struct json_object *from, const char *file)
{
	struct json_object *vfs = prof_get_array(from, "vfs");
	const char *role = prof_get_text(from, "role");
	size_t count = length_of(vfs);
	struct prof_side *grown, *side;

	if (strcmp(role, "source") && strcmp(role, "destination")) {
		prof_problem(set, "%s: a side that is neither source nor destination is left out",
			     file);
		return;
	}
	if (count > PROF_VFS_MOST) {
		prof_problem(set, "%s: %zu VFs, the first %u count", file, count, PROF_VFS_MOST);
		count = PROF_VFS_MOST;
	}
	grown = realloc(set->sides, (set->count + 1) * sizeof(*grown));
	if (!grown)
		return;
	set->sides = grown;
	side = &grown[set->count++];
	memset(side, 0, sizeof(*side));
	side->role = role[0] == 's' ? PROF_SOURCE : PROF_DESTINATION;
	side->pid = (int)get_small(from, "pid", INT_MAX);
	get_words(side->origin, sizeof(side->origin), from, "origin");
	get_words(side->why, sizeof(side->why), from, "why");
	get_words(side->host, sizeof(side->host), from, "host");
	get_words(side->boot_id, sizeof(side->boot_id), from, "boot_id");
	get_words(side->owner, sizeof(side->owner), from, "owner");
	get_words(side->peer, sizeof(side->peer), from, "peer");
	snprintf(side->file, sizeof(side->file), "%s", file);
	side->namespace_ns = get_int(from, "clock_namespace_ns");
	if (side->namespace_ns > INT64_MAX / 4 || side->namespace_ns < -(INT64_MAX / 4))
		side->namespace_ns = 0;
	side->vfs = calloc(count ? count : 1, sizeof(*side->vfs));
	for (size_t i = 0; side->vfs && i < count; i++) {
		read_vf(set, &side->vfs[i], json_object_array_get_idx(vfs, i), file);
		side->count++;
	}
	json_object_array_add(set->raw_sides, json_object_get(from));
}

static int by_end(const void *a, const void *b)
{
	const struct prof_event *one = a, *two = b;

	return one->end < two->end ? -1 : one->end > two->end;
}

static void pick_off(struct prof_kernel *kernel)
{
	for (size_t i = 0; i < kernel->events.count; i++) {
		struct prof_event *place =
			kernel->events.at[i].kind == PROF_OFF_CPU ? add_event(&kernel->off) : NULL;

		if (place)
			*place = kernel->events.at[i];
	}
	qsort(kernel->off.at, kernel->off.count, sizeof(*kernel->off.at), by_end);
}

static void read_kernel(struct prof_set *set, struct json_object *from, const char *file)
{
	struct json_object *probes = prof_get_array(from, "probes");
	struct prof_kernel *grown, *kernel;
	uint64_t bad;
	const struct {
		const char *name;
		size_t seen;
	} known[] = {
		{ "scheduler", offsetof(struct prof_kernel, scheduler) },
		{ "interrupts", offsetof(struct prof_kernel, interrupts) },
		{ "io_uring worker threads", offsetof(struct prof_kernel, workers) },
		{ "TCP retransmissions", offsetof(struct prof_kernel, segments) },
	};

	grown = realloc(set->kernels, (set->kernel_count + 1) * sizeof(*grown));
	if (!grown)
		return;
	set->kernels = grown;
	kernel = &grown[set->kernel_count++];
	memset(kernel, 0, sizeof(*kernel));
	get_words(kernel->boot_id, sizeof(kernel->boot_id), from, "boot_id");
	kernel->pid = (int)get_small(from, "pid", INT_MAX);
	kernel->from = get_time(from, "from_ns");
	kernel->to = get_time(from, "to_ns");
	kernel->lost = prof_get(from, "events_lost");
	for (size_t i = 0; i < length_of(probes); i++) {
		struct json_object *probe = json_object_array_get_idx(probes, i);
		char name[64], state[24], why[200];

		get_words(name, sizeof(name), probe, "name");
		get_words(state, sizeof(state), probe, "state");
		get_words(why, sizeof(why), probe, "why");
		for (unsigned int k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (!strcmp(name, known[k].name))
				*(bool *)((char *)kernel + known[k].seen) = !strcmp(state, "ok");
		if (strcmp(state, "ok"))
			prof_unseen(set, "%s: %s%s%s (%s)", name, state, why[0] ? ": " : "", why,
				    file);
	}
	bad = read_events(&kernel->events, prof_get_array(from, "events"));
	pick_off(kernel);
	if (bad)
		prof_problem(set, "%s: %llu kernel events make no sense and are left out", file,
			     (unsigned long long)bad);
	if (kernel->lost)
		prof_problem(set,
			     "%s: %llu kernel events were lost: what is said about CPUs is "
			     "incomplete",
			     file, (unsigned long long)kernel->lost);
	json_object_array_add(set->raw_kernels, json_object_get(from));
}

void prof_read_json(struct prof_set *set, struct json_object *doc, const char *name)
{
	struct json_object *sides = prof_get_array(doc, "sides"),
			   *kernels = prof_get_array(doc, "kernels"),
			   *not_seen = prof_get_array(doc, "not_seen");
	int64_t version = get_int(doc, "schema_version");

	json_object_array_add(set->files, json_object_new_string(name));
	if (strcmp(prof_get_text(doc, "schema"), PROF_SCHEMA)) {
		prof_problem(set, "%s: not a profile (its schema is \"%.40s\")", name,
			     prof_get_text(doc, "schema"));
		return;
	}
	if (version != PROF_SCHEMA_NUMBER)
		prof_problem(set,
			     "%s: of another version (%lld, this vferry reads %d): what is "
			     "named alike counts",
			     name, (long long)version, PROF_SCHEMA_NUMBER);
	for (size_t i = 0; i < length_of(not_seen); i++)
		prof_unseen(set, "%.300s",
			    json_object_get_string(json_object_array_get_idx(not_seen, i)));
	for (size_t i = 0; i < length_of(sides); i++)
		read_side(set, json_object_array_get_idx(sides, i), name);
	for (size_t i = 0; i < length_of(kernels); i++)
		read_kernel(set, json_object_array_get_idx(kernels, i), name);
	if (!length_of(sides))
		prof_problem(set, "%s: no side of a migration in it", name);
}
