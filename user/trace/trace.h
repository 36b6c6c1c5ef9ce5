/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live tracer: attach, show an interval after the other, sum up. */
#ifndef VFT_TRACE_H
#define VFT_TRACE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "trace/attach.h"
#include "trace/modes.h"
#include "trace/table.h"

struct vft_trace_opts {
	struct vft_filter filter;
	uint64_t interval_ns;
	uint64_t count;	     /* intervals; 0: until interrupted */
	bool hist;	     /* a histogram under each row */
	bool split;	     /* where the time went: waiting, device, reaping */
	const char *metrics; /* Prometheus text file; NULL: none */
	bool json;
	unsigned int width; /* of the terminal */
	FILE *out;
};

/** vft_trace() - run until @opts->count intervals are over or SIGINT, SIGTERM (blocked by the caller, read from @signals, a signalfd). */
int vft_trace(const struct vft_trace_opts *opts, int signals, struct vferry_error *err);

/* --- one interval or the whole, for the renderers --- */
struct vft_report {
	const char *type; /* "interval" or "summary" */
	uint64_t time_ns; /* CLOCK_REALTIME */
	double seconds;
	const struct vft_table *table;
	const struct vft_modes *modes; /* summary only */
	const struct vft_tracer *tracer;
	__u64 lost[VFT_LOSTS];
	struct vft_ring ring; /* sum over the traced processes */
	bool has_ring;
	__u64 interrupts; /* of VFIO, of the whole machine */
	bool has_interrupts;
	bool hist, split, by_member;
	unsigned int width;
};

void vft_text_start(FILE *out, const struct vft_tracer *tracer, unsigned int width);
void vft_text_event(FILE *out, const struct vft_event *event, uint64_t time_ns, uint64_t stay_ns,
		    unsigned int width);
void vft_text_report(FILE *out, const struct vft_report *report);
/** vft_text_ns() - a duration in at most 6 characters: 840ns, 43.2us, 1.50ms, 12.0s, >27h. */
const char *vft_text_ns(char *buffer, size_t size, uint64_t ns);
/** vft_text_count() - a number in at most @width characters, shortened with k, M, G, T, P, E when it must be. */
const char *vft_text_count(char *buffer, size_t size, uint64_t value, int width);
/** vft_event_comm() - the process's name, cleaned, in @comm of VFT_COMM bytes. */
static inline const char *vft_event_comm(const struct vft_event *event, char *comm)
{
	memcpy(comm, event->comm, VFT_COMM);
	comm[VFT_COMM - 1] = 0;
	vft_clean(comm);
	return comm;
}
/** vft_event_took() - a duration of an event; its times come from a process that may lie: an impossible one is nothing. */
static inline uint64_t vft_event_took(uint64_t begin_ns, uint64_t end_ns)
{
	return (int64_t)(end_ns - begin_ns) > 0 ? end_ns - begin_ns : 0;
}

void vft_json_start(FILE *out, const struct vft_tracer *tracer);
void vft_json_event(FILE *out, const struct vft_event *event, uint64_t time_ns, uint64_t stay_ns);
void vft_json_report(FILE *out, const struct vft_report *report);

/** vft_metrics_write() - the Prometheus text of all since the start, to @path by way of a temporary file beside it. */
int vft_metrics_write(const char *path, const struct vft_table *table,
		      const struct vft_modes *modes, const __u64 *lost, struct vferry_error *err);

#endif
