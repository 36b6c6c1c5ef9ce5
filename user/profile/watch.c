// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel's side of a profile: bpf/profile.bpf.c, rung by rung. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bpf/profile.h"
#include "bpf/profile.skel.h"
#include "profile/ask.h"
#include "profile/probes.h"
#include "profile/run.h"
#include "trace/attach.h"
#include "trace/ladder.h"

#define EVENTS_MOST (1u << 22) /* kept; beyond that they are counted as lost */
#define LINKS_MOST  16

/* Groups of programs: one that this kernel lacks does not take the others down. */
enum { SCHEDULER, INTERRUPTS, URING, SEGMENTS, RUNGS };

static const char *const rung_names[RUNGS] = { "scheduler", "interrupts", "io_uring worker threads",
					       "TCP retransmissions" };

struct rung {
	const char *state;
	char why[160];
};

struct prof_watch {
	struct profile_bpf *skeleton;
	struct bpf_link *links[LINKS_MOST];
	unsigned int link_count;
	struct ring_buffer *ring;
	struct prof_bpf_event *events;
	size_t count, room;
	uint64_t dropped;
	int64_t from;
	struct rung rungs[RUNGS];
	struct prof_probes *probes;
	pid_t pid, inside; /* its number in its own namespace */
};

int64_t prof_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec - prof_namespace_ns(getpid());
}

static int on_event(void *arg, void *data, size_t size)
{
	struct prof_watch *watch = arg;

	if (size < sizeof(struct prof_bpf_event))
		return 0;
	if (watch->count == watch->room) {
		size_t room = watch->room ? watch->room * 2 : 1024;
		struct prof_bpf_event *grown =
			room > EVENTS_MOST ? NULL : realloc(watch->events, room * sizeof(*grown));

		if (!grown) {
			watch->dropped++;
			return 0;
		}
		watch->events = grown;
		watch->room = room;
	}
	memcpy(&watch->events[watch->count++], data, sizeof(*watch->events));
	return 0;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return getenv("VFERRY_LIBBPF_DEBUG") ? vfprintf(stderr, format, args) : 0;
}

/* A program of the skeleton, and what it needs of the kernel. */
struct part {
	struct bpf_program *program;
	const char *tracepoint;
	int least; /* arguments that it reads */
	unsigned int rung;
};
#define PARTS 9

static void parts_of(const struct profile_bpf *skeleton, struct part parts[PARTS])
{
	const struct part all[PARTS] = {
		{ skeleton->progs.on_switch, "sched_switch", 4, SCHEDULER },
		{ skeleton->progs.on_wakeup, "sched_wakeup", 1, SCHEDULER },
		{ skeleton->progs.on_fork, "sched_process_fork", 2, SCHEDULER },
		{ skeleton->progs.on_irq, "irq_handler_entry", 0, INTERRUPTS },
		{ skeleton->progs.on_irq_end, "irq_handler_exit", 0, INTERRUPTS },
		{ skeleton->progs.on_softirq, "softirq_entry", 0, INTERRUPTS },
		{ skeleton->progs.on_softirq_end, "softirq_exit", 1, INTERRUPTS },
		{ skeleton->progs.on_punt, "io_uring_queue_async_work", 1, URING },
		{ skeleton->progs.on_retransmit, "tcp_retransmit_skb", 1, SEGMENTS },
	};

	memcpy(parts, all, sizeof(all));
}

static void rung_lacks(struct prof_watch *watch, unsigned int rung, const char *state,
		       const char *what, const char *why)
{
	watch->rungs[rung].state = state;
	snprintf(watch->rungs[rung].why, sizeof(watch->rungs[rung].why), "%s%s", what, why);
}

/* What this kernel has, by its type information. */
static void choose(struct prof_watch *watch, bool *punt_has_request)
{
	struct profile_bpf *skeleton = profile_bpf__open();
	struct part parts[PARTS] = { 0 };
	struct vft_kernel kernel;

	for (unsigned int i = 0; i < RUNGS; i++)
		watch->rungs[i] = (struct rung){ .state = "ok" };
	vft_kernel_open(&kernel);
	*punt_has_request = vft_kernel_tracepoint_args(&kernel, "io_uring_queue_async_work") == 2;
	if (skeleton)
		parts_of(skeleton, parts);
	for (unsigned int i = 0; i < PARTS && parts[i].program; i++)
		if (vft_kernel_tracepoint_args(&kernel, parts[i].tracepoint) < parts[i].least)
			rung_lacks(watch, parts[i].rung, "absent", "no type information (BTF) for ",
				   parts[i].tracepoint);
	vft_kernel_close(&kernel);
	profile_bpf__destroy(skeleton);
}

/* Those of @rungs that are there; the skeleton is watch->skeleton when that went well. */
static int load(struct prof_watch *watch, unsigned int rungs, bool punt_has_request)
{
	struct profile_bpf *skeleton = profile_bpf__open();
	struct part parts[PARTS] = { 0 };
	int ret;

	if (!skeleton)
		return -errno;
	skeleton->rodata->punt_has_request = punt_has_request;
	parts_of(skeleton, parts);
	for (unsigned int i = 0; i < PARTS && parts[i].program; i++)
		if (!(rungs >> parts[i].rung & 1) ||
		    strcmp(watch->rungs[parts[i].rung].state, "ok"))
			bpf_program__set_autoload(parts[i].program, false);
	ret = profile_bpf__load(skeleton);
	if (ret) {
		profile_bpf__destroy(skeleton);
		return ret;
	}
	profile_bpf__destroy(watch->skeleton);
	watch->skeleton = skeleton;
	return 0;
}

/* All at once; where the kernel refuses that, each for itself, and then those that it took. */
static int load_what_can_be(struct prof_watch *watch)
{
	const unsigned int all = (1u << RUNGS) - 1;
	bool punt_has_request;
	unsigned int good = 0;
	int ret;

	choose(watch, &punt_has_request);
	ret = load(watch, all, punt_has_request);
	if (!ret)
		return 0;
	for (unsigned int rung = 0; rung < RUNGS; rung++) {
		int error = load(watch, 1u << rung, punt_has_request);

		if (!error)
			good |= 1u << rung;
		else if (!strcmp(watch->rungs[rung].state, "ok"))
			rung_lacks(watch, rung, "failed",
				   "the kernel refuses the program: ", strerror(-error));
	}
	return good ? load(watch, good, punt_has_request) : ret;
}

static unsigned int attach(struct prof_watch *watch)
{
	struct part parts[PARTS] = { 0 };
	unsigned int attached = 0;

	parts_of(watch->skeleton, parts);
	for (unsigned int i = 0; i < PARTS && parts[i].program; i++) {
		struct bpf_link *link;

		if (bpf_program__fd(parts[i].program) < 0)
			continue;
		link = bpf_program__attach(parts[i].program);
		if (!link || libbpf_get_error(link)) {
			rung_lacks(watch, parts[i].rung, "failed", parts[i].tracepoint,
				   " cannot be attached to");
			continue;
		}
		watch->links[watch->link_count++] = link;
		attached++;
	}
	return attached;
}

/* Programs of the kernel know processes by their numbers in its first namespace only. */
static bool first_pid_namespace(void)
{
	char name[64] = "";
	ssize_t length = readlink("/proc/self/ns/pid", name, sizeof(name) - 1);

	return length <= 0 || !strcmp(name, "pid:[4026531836]");
}

int prof_watch_open(struct prof_watch **out, struct vferry_error *err)
{
	struct prof_watch *watch;
	int ret = vft_may_trace(err);

	if (ret)
		return ret;
	if (!first_pid_namespace())
		return vferry_fail(
			err, -EOPNOTSUPP,
			"not from inside a PID namespace: run vferry profile outside of it");
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return vferry_fail(err, -ENOMEM, "no memory");
	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	ret = load_what_can_be(watch);
	if (!ret && !attach(watch))
		ret = -ENOENT;
	if (ret) {
		vferry_fail(err, ret, "the kernel refuses the BPF programs: %s", strerror(-ret));
		goto fail;
	}
	watch->ring =
		ring_buffer__new(bpf_map__fd(watch->skeleton->maps.events), on_event, watch, NULL);
	if (!watch->ring ||
	    ring_buffer__add(watch->ring, bpf_map__fd(watch->skeleton->maps.segments), on_event,
			     watch)) {
		ret = vferry_fail(err, -errno, "cannot map the ring buffer: %s", strerror(errno));
		goto fail;
	}
	watch->from = prof_now_ns();
	*out = watch;
	return 0;
fail:
	prof_watch_close(watch);
	return ret;
}

int prof_watch_pid(struct prof_watch *watch, pid_t pid)
{
	__u32 key = (__u32)pid, yes = 1;

	watch->pid = pid;
	watch->inside = prof_inside(pid);
	return bpf_map_update_elem(bpf_map__fd(watch->skeleton->maps.watched), &key, &yes, BPF_ANY);
}

int prof_watch_probes(struct prof_watch *watch, pid_t pid, struct vferry_error *err)
{
	prof_watch_pid(watch, pid);
	return prof_probes_open(&watch->probes, pid, err);
}

int prof_watch_fd(const struct prof_watch *watch)
{
	return watch->probes ? prof_probes_fd(watch->probes) : -1;
}

void prof_watch_read(struct prof_watch *watch)
{
	ring_buffer__consume(watch->ring);
	if (watch->probes)
		prof_probes_read(watch->probes);
}

static void add(struct json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(struct json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

void prof_boot_id(char text[64])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	text[0] = 0;
	if (file && fgets(text, 64, file))
		text[strcspn(text, "\n")] = 0;
	if (file)
		fclose(file);
}

int64_t prof_namespace_ns(pid_t pid)
{
	long long seconds = 0, rest = 0;
	char path[64], text[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/timens_offsets", pid);
	file = fopen(path, "re");
	while (file && fgets(text, sizeof(text), file))
		if (sscanf(text, "monotonic %lld %lld", &seconds, &rest) == 2)
			break;
	if (file)
		fclose(file);
	return seconds * 1000000000LL + rest;
}

static struct json_object *event_json(const struct prof_bpf_event *event)
{
	struct json_object *json = json_object_new_object();
	bool main_thread = event->tid == event->pid;

	switch (event->kind) {
	case PROF_BPF_OFF_CPU:
		add_text(json, "kind", main_thread ? "off_cpu" : "thread_off_cpu");
		add_text(json, "state",
			 !(event->state & 0xff) ? "R"
			 : event->state & 0x0c	? "T"
			 : event->state & 0x02	? "D"
						: "S");
		if (event->state & PROF_BPF_IOWAIT)
			add(json, "io_wait", 1);
		add(json, "begin_ns", event->begin);
		if (event->wake)
			add(json, "wake_ns", event->wake);
		break;
	case PROF_BPF_RAN:
		add_text(json, "kind", "thread_ran");
		add(json, "begin_ns", event->begin);
		break;
	case PROF_BPF_IRQ:
	case PROF_BPF_SOFTIRQ:
		add_text(json, "kind", "irq");
		add(json, "begin_ns", event->begin);
		if (event->kind == PROF_BPF_SOFTIRQ)
			add(json, "softirq", event->what);
		break;
	case PROF_BPF_RETRANSMIT:
		add_text(json, "kind", "retransmit");
		add(json, "local_port", event->what & 0xffff);
		add(json, "peer_port", event->what >> 16);
		break;
	default:
		add_text(json, "kind", "io_wq_punt");
		if (event->what != 0xffff)
			add(json, "opcode", event->what);
	}
	if (!main_thread)
		add(json, "tid", event->tid);
	if (!main_thread && event->state & PROF_BPF_WORKER)
		add(json, "worker", 1);
	add(json, "at_ns", event->end);
	return json;
}

/* Of all that ran only engines count: the other processes' events, and connections, are nobody's business. */
static struct json_object *side_of(struct json_object *sides, uint32_t pid)
{
	for (size_t i = 0; i < json_object_array_length(sides); i++)
		if (prof_get(json_object_array_get_idx(sides, i), "pid") == pid)
			return json_object_array_get_idx(sides, i);
	return NULL;
}

static bool has_connection(struct json_object *side, uint32_t ports)
{
	struct json_object *vfs = prof_get_array(side, "vfs");

	for (size_t i = 0; vfs && i < json_object_array_length(vfs); i++) {
		struct json_object *vf = json_object_array_get_idx(vfs, i);
		uint64_t local = prof_get(vf, "local_port"), peer = prof_get(vf, "peer_port");

		if (local && (local | peer << 16) == ports)
			return true;
	}
	return false;
}

static bool belongs(const struct prof_bpf_event *event, uint32_t pid, struct json_object *side)
{
	if (event->kind == PROF_BPF_CHILD)
		return false;
	return event->kind == PROF_BPF_RETRANSMIT ? has_connection(side, event->what)
						  : event->pid == pid;
}

/* @pid is the kernel's number of the process, @side's own may be one of a namespace. */
static struct json_object *one_kernel(struct prof_watch *watch, struct json_object *side,
				      uint32_t pid, int64_t from)
{
	struct json_object *kernel = json_object_new_object(), *probes = json_object_new_array(),
			   *events = json_object_new_array();
	struct profile_bpf__bss *counters = watch->skeleton->bss;

	add_text(kernel, "boot_id", prof_get_text(side, "boot_id"));
	add(kernel, "pid", prof_get(side, "pid"));
	/* Times are the kernel's, without what a time namespace adds for the engine. */
	add(kernel, "from_ns", (uint64_t)from);
	add(kernel, "to_ns", (uint64_t)prof_now_ns());
	add(kernel, "events_lost", counters->lost + counters->segments_lost + watch->dropped);
	for (unsigned int i = 0; i < RUNGS; i++) {
		struct json_object *probe = json_object_new_object();

		add_text(probe, "name", rung_names[i]);
		add_text(probe, "state", watch->rungs[i].state);
		if (watch->rungs[i].why[0])
			add_text(probe, "why", watch->rungs[i].why);
		json_object_array_add(probes, probe);
	}
	json_object_object_add(kernel, "probes", probes);
	for (size_t i = 0; i < watch->count; i++)
		if (belongs(&watch->events[i], pid, side))
			json_object_array_add(events, event_json(&watch->events[i]));
	json_object_object_add(kernel, "events", events);
	return kernel;
}

void prof_watch_result(struct prof_watch *watch, struct json_object *doc)
{
	struct json_object *sides = prof_get_array(doc, "sides");
	struct json_object *kernels = prof_get_array(doc, "kernels"), *side;

	if (watch->probes)
		prof_probes_result(watch->probes, sides);
	side = side_of(sides, (uint32_t)watch->inside);
	if (side)
		json_object_array_add(kernels,
				      one_kernel(watch, side, (uint32_t)watch->pid, watch->from));
	for (size_t i = 0; i < watch->count; i++) {
		const struct prof_bpf_event *event = &watch->events[i];

		if (event->kind != PROF_BPF_CHILD || event->pid == (uint32_t)watch->pid)
			continue;
		side = side_of(sides, event->what);
		if (side)
			json_object_array_add(kernels, one_kernel(watch, side, event->pid,
								  (int64_t)event->begin));
	}
}

void prof_watch_close(struct prof_watch *watch)
{
	if (!watch)
		return;
	prof_probes_close(watch->probes);
	for (unsigned int i = 0; i < watch->link_count; i++)
		bpf_link__destroy(watch->links[i]);
	ring_buffer__free(watch->ring);
	profile_bpf__destroy(watch->skeleton);
	free(watch->events);
	free(watch);
}
