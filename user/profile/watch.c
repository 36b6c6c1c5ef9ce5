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
#include "profile/probes.h"
#include "profile/run.h"
#include "trace/attach.h"
#include "trace/ladder.h"

#define EVENTS_MOST (1u << 22) /* kept; beyond that they are counted as lost */

struct rung {
	const char *name;
	const char *state;
	char why[160];
};
enum { SCHEDULER, INTERRUPTS, URING, RUNGS };

struct prof_watch {
	struct profile_bpf *skeleton;
	struct ring_buffer *ring;
	struct prof_bpf_event *events;
	size_t count, room;
	uint64_t dropped;
	uint64_t from;
	struct rung rungs[RUNGS];
	struct prof_probes *probes;
	pid_t pid;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
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

/* Each group of programs is tried on its own: one that this kernel lacks does not take the others down. */
static void choose(struct prof_watch *watch)
{
	struct profile_bpf *skeleton = watch->skeleton;
	const struct {
		struct bpf_program *program;
		const char *tracepoint;
		unsigned int rung;
	} programs[] = {
		{ skeleton->progs.on_switch, "sched_switch", SCHEDULER },
		{ skeleton->progs.on_wakeup, "sched_wakeup", SCHEDULER },
		{ skeleton->progs.on_fork, "sched_process_fork", SCHEDULER },
		{ skeleton->progs.on_irq, "irq_handler_entry", INTERRUPTS },
		{ skeleton->progs.on_irq_end, "irq_handler_exit", INTERRUPTS },
		{ skeleton->progs.on_softirq, "softirq_entry", INTERRUPTS },
		{ skeleton->progs.on_softirq_end, "softirq_exit", INTERRUPTS },
		{ skeleton->progs.on_punt, "io_uring_queue_async_work", URING },
	};
	static const char *const names[RUNGS] = { "scheduler", "interrupts",
						  "io_uring worker threads" };
	struct vft_kernel kernel;

	vft_kernel_open(&kernel);
	for (unsigned int i = 0; i < RUNGS; i++)
		watch->rungs[i] = (struct rung){ .name = names[i], .state = "ok" };
	for (unsigned int i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (vft_kernel_tracepoint_args(&kernel, programs[i].tracepoint) >= 0)
			continue;
		bpf_program__set_autoload(programs[i].program, false);
		watch->rungs[programs[i].rung].state = "absent";
		snprintf(watch->rungs[programs[i].rung].why,
			 sizeof(watch->rungs[programs[i].rung].why),
			 "no type information (BTF) for %s", programs[i].tracepoint);
	}
	vft_kernel_close(&kernel);
}

int prof_watch_open(struct prof_watch **out, struct vferry_error *err)
{
	struct prof_watch *watch;
	int ret = vft_may_trace(err);

	if (ret)
		return ret;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return vferry_fail(err, -ENOMEM, "no memory");
	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	watch->skeleton = profile_bpf__open();
	if (!watch->skeleton) {
		ret = vferry_fail(err, -errno, "cannot open the BPF programs: %s", strerror(errno));
		goto fail;
	}
	choose(watch);
	ret = profile_bpf__load(watch->skeleton);
	if (!ret)
		ret = profile_bpf__attach(watch->skeleton);
	if (ret) {
		vferry_fail(err, ret, "the kernel refuses the BPF programs: %s", strerror(-ret));
		goto fail;
	}
	watch->ring =
		ring_buffer__new(bpf_map__fd(watch->skeleton->maps.events), on_event, watch, NULL);
	if (!watch->ring) {
		ret = vferry_fail(err, -errno, "cannot map the ring buffer: %s", strerror(errno));
		goto fail;
	}
	watch->from = now_ns();
	*out = watch;
	return 0;
fail:
	prof_watch_close(watch);
	return ret;
}

int prof_watch_pid(struct prof_watch *watch, pid_t pid)
{
	/* As in struct process of the program: four times and two words. */
	const __u64 fresh[5] = { 0 };
	__u32 key = (__u32)pid;

	watch->pid = pid;
	return bpf_map_update_elem(bpf_map__fd(watch->skeleton->maps.watched), &key, fresh,
				   BPF_ANY);
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

static struct json_object *event_json(const struct prof_bpf_event *event)
{
	struct json_object *json = json_object_new_object();

	switch (event->kind) {
	case PROF_BPF_OFF_CPU:
		add_text(json, "kind", "off_cpu");
		add_text(json, "state",
			 !(event->state & 0xff) ? "R"
			 : event->state & 0x0c	? "T"
			 : event->state & 0x02	? "D"
						: "S");
		add(json, "begin_ns", event->begin);
		if (event->wake)
			add(json, "wake_ns", event->wake);
		break;
	case PROF_BPF_IRQ:
		add_text(json, "kind", "irq");
		add(json, "begin_ns", event->begin);
		break;
	default:
		add_text(json, "kind", "io_wq_punt");
	}
	add(json, "at_ns", event->end);
	return json;
}

static struct json_object *one_kernel(struct prof_watch *watch, uint32_t pid, uint64_t from,
				      const char *boot)
{
	struct json_object *kernel = json_object_new_object(), *probes = json_object_new_array(),
			   *events = json_object_new_array();

	add_text(kernel, "boot_id", boot);
	add(kernel, "pid", pid);
	add(kernel, "from_ns", from);
	add(kernel, "to_ns", now_ns());
	add(kernel, "events_lost", watch->skeleton->bss->lost + watch->dropped);
	for (unsigned int i = 0; i < RUNGS; i++) {
		struct json_object *probe = json_object_new_object();

		add_text(probe, "name", watch->rungs[i].name);
		add_text(probe, "state", watch->rungs[i].state);
		if (watch->rungs[i].why[0])
			add_text(probe, "why", watch->rungs[i].why);
		json_object_array_add(probes, probe);
	}
	json_object_object_add(kernel, "probes", probes);
	for (size_t i = 0; i < watch->count; i++)
		if (watch->events[i].pid == pid && watch->events[i].kind != PROF_BPF_CHILD)
			json_object_array_add(events, event_json(&watch->events[i]));
	json_object_object_add(kernel, "events", events);
	return kernel;
}

/* Of all that ran only engines count: the other processes' events are nobody's business. */
static bool is_engine(struct json_object *sides, uint32_t pid)
{
	for (size_t i = 0; i < json_object_array_length(sides); i++)
		if (prof_get(json_object_array_get_idx(sides, i), "pid") == pid)
			return true;
	return false;
}

void prof_watch_result(struct prof_watch *watch, struct json_object *doc)
{
	struct json_object *sides = prof_get_array(doc, "sides");
	struct json_object *kernels = prof_get_array(doc, "kernels");
	char boot[64];

	prof_boot_id(boot);
	if (watch->probes)
		prof_probes_result(watch->probes, sides);
	if (is_engine(sides, (uint32_t)watch->pid))
		json_object_array_add(kernels,
				      one_kernel(watch, (uint32_t)watch->pid, watch->from, boot));
	for (size_t i = 0; i < watch->count; i++) {
		const struct prof_bpf_event *event = &watch->events[i];

		if (event->kind == PROF_BPF_CHILD && event->pid != (uint32_t)watch->pid &&
		    is_engine(sides, event->pid))
			json_object_array_add(kernels,
					      one_kernel(watch, event->pid, event->begin, boot));
	}
}

void prof_watch_close(struct prof_watch *watch)
{
	if (!watch)
		return;
	prof_probes_close(watch->probes);
	ring_buffer__free(watch->ring);
	profile_bpf__destroy(watch->skeleton);
	free(watch->events);
	free(watch);
}
