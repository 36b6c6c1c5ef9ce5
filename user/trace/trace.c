// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "trace/ladder.h"
#include "trace/trace.h"

/*
 * A program that starts is looked at on the spot; one that maps the library later is found by this. Those of a file already seen
 * are caught from their first command.
 */
#define SCAN_NS 1000000000ULL

/* Events lie in the ring buffer for at most so long. */
#define LOOK_NS 50000000ULL

struct session {
	const struct vft_trace_opts *opts;
	struct vft_tracer *tracer;
	struct ring_buffer *events;
	struct vft_modes modes;
	struct vft_table before, now, shown;
	struct vft_table
		ended; /* rows of processes that have ended, no longer in the kernel's table */
	struct vft_ring ended_ring;
	bool own_pids; /* process ids are the kernel's: who has ended can be told */
	uint64_t began_ns;
	uint64_t interval_began_ns;
	bool scan_now;	    /* a program was started */
	int64_t to_real_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static int on_event(void *arg, void *data, size_t size)
{
	struct session *session = arg;
	const struct vft_event *event = data;
	uint64_t stay_ns = 0, when;

	if (size < sizeof(*event))
		return 0;
	if (event->kind == VFT_EVENT_EXEC) {
		vft_tracer_started(session->tracer, (pid_t)event->tgid);
		return 0;
	}
	when = event->end_ns + (uint64_t)session->to_real_ns;
	if (event->kind == VFT_EVENT_MODE)
		vft_modes_note(&session->modes, event, &stay_ns);
	/* Phases belong to --events: transitions are the live picture. */
	if (event->kind == VFT_EVENT_PHASE && !session->opts->filter.commands)
		return 0;
	if (session->opts->json)
		vft_json_event(session->opts->out, event, when, stay_ns);
	else
		vft_text_event(session->opts->out, event, when, stay_ns, session->opts->width);
	return 0;
}

static void ring_sum(struct session *session, struct vft_report *report)
{
	int fd = vft_tracer_rings_fd(session->tracer);
	__u32 key, next, *at = NULL;
	struct vft_ring ring;

	report->has_ring = fd >= 0;
	report->ring = session->ended_ring;
	while (fd >= 0 && !bpf_map_get_next_key(fd, at, &next)) {
		key = next;
		at = &key;
		if (bpf_map_lookup_elem(fd, &key, &ring))
			continue;
		vft_ring_add(&report->ring, &ring);
	}
}

static void losses(const struct session *session, __u64 *lost)
{
	vft_tracer_lost(session->tracer, lost);
	lost[VFT_LOST_MODES] = session->modes.left_out;
}

static void show(struct session *session, const char *type, const struct vft_table *table,
		 uint64_t since_ns, const struct vft_modes *modes)
{
	const struct vft_trace_opts *opts = session->opts;
	struct vft_report report = {
		.type = type,
		.time_ns = clock_ns(CLOCK_REALTIME),
		.seconds = (double)(clock_ns(CLOCK_MONOTONIC) - since_ns) / 1e9,
		.table = table,
		.modes = modes,
		.tracer = session->tracer,
		.hist = opts->hist,
		.split = opts->split,
		.by_member = opts->filter.by_member,
		.width = opts->width,
	};

	losses(session, report.lost);
	report.has_interrupts = vft_tracer_interrupts(session->tracer, &report.interrupts);
	ring_sum(session, &report);
	if (opts->json)
		vft_json_report(opts->out, &report);
	else
		vft_text_report(opts->out, &report);
}

static int metrics(struct session *session, struct vferry_error *err)
{
	struct vft_table all = { 0 };
	__u64 lost[VFT_LOSTS];
	int ret;

	if (!session->opts->metrics)
		return 0;
	losses(session, lost);
	ret = vft_table_add(&all, &session->now);
	if (!ret)
		ret = vft_table_add(&all, &session->ended);
	if (ret)
		ret = vferry_fail(err, ret, "no memory for the metrics");
	else
		ret = vft_metrics_write(session->opts->metrics, &all, &session->modes, lost, err);
	vft_table_free(&all);
	return ret;
}

static void forget(void *arg, const struct vft_key *key)
{
	struct session *session = arg;

	vft_tracer_forget(session->tracer, key, &session->ended_ring);
}

static int interval(struct session *session, struct vferry_error *err)
{
	struct vft_table swap;
	int ret = vft_table_read(&session->now, vft_tracer_rows_fd(session->tracer));

	if (!ret)
		ret = vft_table_diff(&session->shown, &session->now, &session->before);
	if (ret)
		return vferry_fail(err, ret, "cannot read the table of latencies: %s",
				   strerror(-ret));
	show(session, "interval", &session->shown, session->interval_began_ns, NULL);
	session->interval_began_ns = clock_ns(CLOCK_MONOTONIC);
	ret = metrics(session, err);
	/* The kernel's table is for those that live: else it would be full of the dead after a while. */
	if (!ret && session->own_pids &&
	    vft_table_take(&session->ended, &session->now, &session->before, forget, session))
		ret = vferry_fail(err, -ENOMEM, "no memory for the rows of ended processes");
	swap = session->before;
	session->before = session->now;
	session->now = swap;
	if (ferror(session->opts->out))
		return vferry_fail(err, -EPIPE, "nobody reads the output any more");
	return ret;
}

static int summary(struct session *session, struct vferry_error *err)
{
	int ret = vft_table_read(&session->now, vft_tracer_rows_fd(session->tracer));

	if (ret)
		return vferry_fail(err, ret, "cannot read the table of latencies: %s",
				   strerror(-ret));
	ring_buffer__consume(session->events);
	ret = metrics(session, err);
	if (!ret && vft_table_add(&session->now, &session->ended))
		ret = vferry_fail(err, -ENOMEM, "no memory for the summary");
	show(session, "summary", &session->now, session->began_ns, &session->modes);
	return ret;
}

static int loop(struct session *session, int signals, struct vferry_error *err)
{
	const struct vft_trace_opts *opts = session->opts;
	uint64_t next = session->began_ns + opts->interval_ns, scan = session->began_ns + SCAN_NS;
	uint64_t intervals = 0;
	struct pollfd fds[2] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = ring_buffer__epoll_fd(session->events), .events = POLLIN },
	};

	for (;;) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), until = next < scan ? next : scan;
		struct timespec wait = { 0 };
		int ret;

		if (until > now + LOOK_NS)
			until = now + LOOK_NS;
		if (until > now) {
			wait.tv_sec = (time_t)((until - now) / 1000000000ULL);
			wait.tv_nsec = (long)((until - now) % 1000000000ULL);
		}
		ret = ppoll(fds, 2, &wait, NULL);
		if (ret < 0 && errno != EINTR)
			return vferry_fail(err, -errno, "poll: %s", strerror(errno));
		if (fds[0].revents)
			return 0;
		ret = ring_buffer__consume(session->events);
		if (ret < 0 && ret != -EINTR)
			return vferry_fail(err, ret, "cannot read events: %s", strerror(-ret));
		if (opts->filter.commands)
			fflush(opts->out);
		now = clock_ns(CLOCK_MONOTONIC);
		if (now >= scan) {
			struct vferry_error gone;

			ret = vft_tracer_attach(session->tracer, &gone);
			if (ret == -ESRCH) /* the one process that was asked for has ended */
				return 0;
			scan = now + SCAN_NS;
		}
		if (now >= next) {
			ret = interval(session, err);
			if (ret)
				return ret;
			next += opts->interval_ns;
			if (next <= now)
				next = now + opts->interval_ns;
			if (opts->count && ++intervals == opts->count)
				return 0;
		}
	}
}

int vft_trace(const struct vft_trace_opts *opts, int signals, struct vferry_error *err)
{
	struct session session = { .opts = opts };
	int ret = vft_tracer_open(&session.tracer, &opts->filter, err);

	if (ret)
		return ret;
	session.own_pids = vft_own_pids();
	session.to_real_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
	session.events =
		ring_buffer__new(vft_tracer_events_fd(session.tracer), on_event, &session, NULL);
	if (!session.events) {
		ret = vferry_fail(err, -errno, "cannot map the ring buffer of events: %s",
				  strerror(errno));
		goto out;
	}
	ret = vft_tracer_attach(session.tracer, err);
	if (ret < 0)
		goto out;
	session.began_ns = clock_ns(CLOCK_MONOTONIC);
	session.interval_began_ns = session.began_ns;
	if (opts->json)
		vft_json_start(opts->out, session.tracer);
	else
		vft_text_start(opts->out, session.tracer, opts->width);
	ret = loop(&session, signals, err);
	if (!ret)
		ret = summary(&session, err);
out:
	ring_buffer__free(session.events);
	vft_table_free(&session.before);
	vft_table_free(&session.now);
	vft_table_free(&session.shown);
	vft_table_free(&session.ended);
	vft_modes_free(&session.modes);
	vft_tracer_close(session.tracer);
	return ret;
}
