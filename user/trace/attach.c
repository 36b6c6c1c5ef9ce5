// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <unistd.h>
#include "trace/table.h"
#include "trace/tracer.h"

static bool has_cap(cap_t caps, cap_value_t cap)
{
	cap_flag_value_t value = CAP_CLEAR;

	return caps && !cap_get_flag(caps, cap, CAP_EFFECTIVE, &value) && value == CAP_SET;
}

int vft_may_trace(struct vferry_error *err)
{
	cap_t caps = cap_get_proc();
	bool all = has_cap(caps, CAP_SYS_ADMIN);
	bool bpf = all || has_cap(caps, CAP_BPF);
	bool perfmon = all || has_cap(caps, CAP_PERFMON);

	cap_free(caps);
	if (bpf && perfmon)
		return 0;
	return vferry_fail(err, -EPERM,
			   "tracing needs %s%s%s: run it with sudo, or give it the capabilities "
			   "(setcap cap_bpf,cap_perfmon+ep, or AmbientCapabilities= in a service)",
			   bpf ? "" : "CAP_BPF", bpf || perfmon ? "" : " and ",
			   perfmon ? "" : "CAP_PERFMON");
}

static int load_usdt(struct vft_tracer *tracer, struct vferry_error *err)
{
	int ret;

	tracer->usdt = usdt_trace_bpf__open();
	if (!tracer->usdt)
		return vferry_fail(err, -errno, "cannot open the BPF programs: %s",
				   strerror(errno));
	SET_FILTER(tracer->usdt, &tracer->filter);
	tracer->usdt->rodata->want_rings = tracer->filter.ring;
	tracer->irq_wanted = tracer->filter.engine && vft_kernel_has_symbol("vfio_msihandler");
	tracer->usdt->rodata->want_irqs = tracer->irq_wanted;
	if (tracer->filter.rows)
		bpf_map__set_max_entries(tracer->usdt->maps.rows, tracer->filter.rows);
	ret = usdt_trace_bpf__load(tracer->usdt);
	if (!ret)
		return 0;
	vft_kernel_lockdown(&tracer->kernel);
	if (!strcmp(tracer->kernel.lockdown, "confidentiality"))
		return vferry_fail(
			err, -EPERM,
			"the kernel is locked down (confidentiality), and lets no program look into "
			"others: boot it without lockdown=confidentiality; "
			"lockdown=integrity does not forbid tracing");
	if (ret == -EPERM)
		return vferry_fail(
			err, ret,
			"the kernel refuses BPF programs: CAP_BPF and CAP_PERFMON are there, so "
			"see lockdown (now: %s), seccomp (a container's profile may forbid bpf()) "
			"and RLIMIT_MEMLOCK (kernels before 5.11)",
			tracer->kernel.lockdown);
	if (ret == -ENOMEM)
		return vferry_fail(
			err, ret, "no memory for a table of %u rows: fewer VFs, or without --by vf",
			vft_filter_rows(&tracer->filter));
	return vferry_fail(err, ret, "cannot load the BPF programs: %s", strerror(-ret));
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return getenv("VFERRY_LIBBPF_DEBUG") ? vfprintf(stderr, format, args) : 0;
}

/*
 * Type information takes some MiB: it is read by those only who need it, and let go before libbpf reads it once more for each object. What
 * is freed goes back to the kernel.
 */
static void look_at_types(struct vft_tracer *tracer)
{
	const struct vft_filter *filter = &tracer->filter;
	struct vft_kernel *kernel = &tracer->kernel;

	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	tracer->types.complete = -1;
	if (!filter->kernel && !filter->ring && !filter->uring)
		return;
	tracer->types.btf = !vft_kernel_open(kernel);
	tracer->types.exec = vft_kernel_has_function(kernel, "vp_modern_admin_cmd_exec");
	tracer->types.done = vft_kernel_has_function(kernel, "vp_modern_avq_done");
	tracer->types.submit_req = vft_kernel_tracepoint_args(kernel, "io_uring_submit_req") >= 0;
	tracer->types.complete = vft_kernel_tracepoint_args(kernel, "io_uring_complete");
	vft_kernel_close(kernel);
}

int vft_tracer_open(struct vft_tracer **out, const struct vft_filter *filter,
		    struct vferry_error *err)
{
	struct vft_tracer *tracer;
	int ret = vft_may_trace(err);

	if (ret)
		return ret;
	if (filter->pid && !vft_own_pids())
		return vferry_fail(
			err, -EOPNOTSUPP,
			"--pid %d: in this pid namespace process ids are not the kernel's: "
			"run vferry trace outside of the container (or with --pid=host)",
			filter->pid);
	tracer = calloc(1, sizeof(*tracer));
	if (!tracer)
		return vferry_fail(err, -ENOMEM, "no memory for the tracer");
	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	tracer->filter = *filter;
	look_at_types(tracer);
	ret = load_usdt(tracer, err);
	if (ret) {
		vft_tracer_close(tracer);
		return ret;
	}
	tracer->links[0] = bpf_program__attach(tracer->usdt->progs.exec);
	if (tracer->links[0] && !libbpf_get_error(tracer->links[0]))
		tracer->link_count = 1;
	tracer->usdt_rung = vft_rung(tracer, "libvferry's probes (USDT)", VFT_RUNG_OK, "");
	vft_load_queue(tracer);
	vft_load_ring(tracer);
	vft_load_irq(tracer);
	vft_load_uring(tracer);
	malloc_trim(0);
	*out = tracer;
	return 0;
}

static int attach_target(struct vft_tracer *tracer, struct vft_target *target, char *why,
			 size_t room)
{
	const struct {
		struct bpf_program *program;
		const char *probe;
		bool wanted;
	} probes[] = {
		{ tracer->usdt->progs.admin_complete, "admin_complete", tracer->filter.engine },
		{ tracer->usdt->progs.mode, "mode", tracer->filter.engine },
		{ tracer->usdt->progs.phase, "phase", tracer->filter.engine },
		{ tracer->usdt->progs.chunk, "chunk",
		  tracer->filter.engine && tracer->filter.commands },
		{ tracer->usdt->progs.owner_command, "owner_command", tracer->filter.device },
		{ tracer->usdt->progs.owner_mode, "owner_mode", tracer->filter.device },
	};
	unsigned int attached = 0;

	for (unsigned int i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		struct bpf_link *link;

		if (!probes[i].wanted || tracer->link_count == LINKS_MAX)
			continue;
		link = bpf_program__attach_usdt(probes[i].program, -1, target->open, "vferry",
						probes[i].probe, NULL);
		if (!link || libbpf_get_error(link)) {
			int code = errno;

			/* A program has the probes of what it is: engine, software owner, or both. */
			if (code != ENOENT)
				snprintf(why, room, "%s in %s: %s", probes[i].probe, target->name,
					 strerror(code));
			continue;
		}
		tracer->links[tracer->link_count++] = link;
		attached++;
	}
	return (int)attached;
}

static int attach_found(struct vft_tracer *tracer)
{
	int attached = 0;

	for (unsigned int i = 0; i < tracer->finder.count; i++) {
		struct vft_target *target = &tracer->finder.targets[i];

		if (!target->probes || target->failed)
			continue;
		if (!target->attached) {
			int n = attach_target(tracer, target, tracer->usdt_rung->why,
					      sizeof(tracer->usdt_rung->why));

			target->attached = n > 0;
			target->failed = n <= 0;
		}
		attached += target->attached;
	}
	return attached;
}

void vft_tracer_started(struct vft_tracer *tracer, pid_t pid)
{
	if (vft_find_program(&tracer->finder, pid) > 0)
		attach_found(tracer);
}

/* What will probably run soon is attached to before it does, so that its first command is seen. */
static void find_own_files(struct vft_tracer *tracer)
{
	static const char *const names[] = { "vferry", "vferry-owner", "vferry-standin",
					     "libvferry.so.0", "../lib/libvferry.so.0" };
	char self[4096], path[4200];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (length < 0)
		return;
	self[length] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return;
	slash[1] = 0;
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", self, names[i]);
		vft_find_file(&tracer->finder, path);
	}
}

int vft_tracer_attach(struct vft_tracer *tracer, struct vferry_error *err)
{
	int found = vft_find(&tracer->finder, tracer->filter.pid);

	if (found == -ESRCH)
		return vferry_fail(err, found, "there is no process %d", tracer->filter.pid);
	if (found < 0)
		return vferry_fail(err, found, "cannot look at process %d: %s (CAP_SYS_PTRACE?)",
				   tracer->filter.pid, strerror(-found));
	if (!found && tracer->filter.pid && !tracer->probed)
		return vferry_fail(
			err, -ENOENT,
			"process %d has no vferry probes: neither it nor its libraries contain "
			"libvferry",
			tracer->filter.pid);
	tracer->probed = tracer->probed || found;
	if (!tracer->filter.pid && tracer->finder.scan == 1)
		find_own_files(tracer);
	return attach_found(tracer);
}

void vft_tracer_close(struct vft_tracer *tracer)
{
	if (!tracer)
		return;
	for (unsigned int i = 0; i < tracer->link_count; i++)
		bpf_link__destroy(tracer->links[i]);
	ring_bpf__destroy(tracer->ring);
	vfio_irq_bpf__destroy(tracer->irq);
	uring_cmd_bpf__destroy(tracer->uring);
	kernel_aq_bpf__destroy(tracer->queue);
	usdt_trace_bpf__destroy(tracer->usdt);
	vft_kernel_close(&tracer->kernel);
	free(tracer);
}

const struct vft_rung *vft_tracer_rungs(const struct vft_tracer *tracer, unsigned int *count)
{
	*count = tracer->rung_count;
	return tracer->rungs;
}

const struct vft_finder *vft_tracer_finder(const struct vft_tracer *tracer)
{
	return &tracer->finder;
}

int vft_tracer_rows_fd(const struct vft_tracer *tracer)
{
	return bpf_map__fd(tracer->usdt->maps.rows);
}

int vft_tracer_events_fd(const struct vft_tracer *tracer)
{
	return bpf_map__fd(tracer->usdt->maps.events);
}

int vft_tracer_rings_fd(const struct vft_tracer *tracer)
{
	return tracer->ring ? bpf_map__fd(tracer->usdt->maps.rings) : -1;
}

void vft_tracer_forget(const struct vft_tracer *tracer, const struct vft_key *key,
		       struct vft_ring *ring)
{
	int rings = bpf_map__fd(tracer->usdt->maps.rings);
	struct vft_ring own;

	bpf_map_delete_elem(vft_tracer_rows_fd(tracer), key);
	bpf_map_delete_elem(bpf_map__fd(tracer->usdt->maps.shares), &key->tgid);
	if (bpf_map_lookup_elem(rings, &key->tgid, &own))
		return;
	bpf_map_delete_elem(rings, &key->tgid);
	vft_ring_add(ring, &own);
}

bool vft_tracer_interrupts(const struct vft_tracer *tracer, __u64 *count)
{
	const __u32 zero = 0;
	struct vft_irqs seen;

	if (!tracer->irq || bpf_map_lookup_elem(bpf_map__fd(tracer->usdt->maps.irqs), &zero, &seen))
		return false;
	*count = seen.count;
	return true;
}

void vft_tracer_lost(const struct vft_tracer *tracer, __u64 *lost)
{
	int processors = libbpf_num_possible_cpus();
	__u64 *each = calloc((size_t)processors, sizeof(*each));

	memset(lost, 0, VFT_LOSTS * sizeof(*lost));
	for (__u32 i = 0; each && i < VFT_LOSTS; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(tracer->usdt->maps.lost), &i, each))
			continue;
		for (int cpu = 0; cpu < processors; cpu++)
			lost[i] += each[cpu];
	}
	free(each);
}

static void add_cost(struct bpf_object *object, __u64 *run_ns, __u64 *run_count)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		struct bpf_prog_info info = { 0 };
		__u32 size = sizeof(info);

		if (bpf_program__fd(program) < 0 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			continue;
		*run_ns += info.run_time_ns;
		*run_count += info.run_cnt;
	}
}

void vft_tracer_cost(const struct vft_tracer *tracer, __u64 *run_ns, __u64 *run_count)
{
	*run_ns = 0;
	*run_count = 0;
	add_cost(tracer->usdt->obj, run_ns, run_count);
	if (tracer->queue)
		add_cost(tracer->queue->obj, run_ns, run_count);
	if (tracer->ring)
		add_cost(tracer->ring->obj, run_ns, run_count);
	if (tracer->irq)
		add_cost(tracer->irq->obj, run_ns, run_count);
	if (tracer->uring)
		add_cost(tracer->uring->obj, run_ns, run_count);
}
