// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a host did in a segment, whatever is blamed for it: its engine's thread in each state, interrupts, workers, the network. */
#include <errno.h>
#include <stdlib.h>
#include "profile/profile.h"

const char *const prof_thread_states[PROF_THREAD_COUNT] = {
#define X(name, text) [PROF_THREAD_##name] = text,
	PROF_THREAD_STATES(X)
#undef X
};

static enum prof_thread_state asleep(const struct prof_event *event)
{
	switch (event->state) {
	case 'T':
		return PROF_THREAD_STOPPED;
	case 'D':
		return event->io_wait ? PROF_THREAD_IO_WAIT : PROF_THREAD_LOCKED;
	default:
		return PROF_THREAD_ASLEEP;
	}
}

/* The main thread off its processor: one or two spans for each time. */
static int thread(struct prof_host *host, const struct prof_kernel *kernel, int64_t begin,
		  int64_t end)
{
	struct prof_span *spans =
		calloc(kernel->off.count ? 2 * kernel->off.count : 1, sizeof(*spans));
	uint64_t sums[PROF_RANKS];
	size_t count = 0;

	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < kernel->off.count; i++) {
		const struct prof_event *event = &kernel->off.at[i];
		int64_t wake = event->wake;

		if (event->end <= begin || event->begin >= end)
			continue;
		if (event->state == 'R') {
			spans[count++] = (struct prof_span){ event->begin, event->end,
							     PROF_THREAD_PREEMPTED };
			continue;
		}
		if (wake < event->begin || wake > event->end)
			wake = event->end;
		spans[count++] = (struct prof_span){ event->begin, wake, asleep(event) };
		spans[count++] = (struct prof_span){ wake, event->end, PROF_THREAD_RUNQUEUE };
	}
	prof_partition(spans, count, begin, end, PROF_THREAD_ON_CPU, sums);
	for (unsigned int state = 0; state < PROF_THREAD_COUNT; state++)
		host->ns[state] = sums[state];
	host->seen = true;
	free(spans);
	return 0;
}

static uint64_t inside(const struct prof_event *event, int64_t begin, int64_t end)
{
	int64_t from = event->begin > begin ? event->begin : begin;
	int64_t to = event->end < end ? event->end : end;

	return to > from ? (uint64_t)(to - from) : 0;
}

static void around(struct prof_host *host, const struct prof_kernel *kernel,
		   const struct prof_vf *vf, int64_t begin, int64_t end)
{
	for (size_t i = 0; i < kernel->events.count; i++) {
		const struct prof_event *event = &kernel->events.at[i];
		bool ends = event->end > begin && event->end <= end;

		switch (event->kind) {
		case PROF_IRQ:
			*(event->a ? &host->softirq_ns : &host->interrupt_ns) +=
				inside(event, begin, end);
			host->interrupts += ends;
			break;
		case PROF_THREAD_RAN:
			if (event->worker)
				host->worker_ns += inside(event, begin, end);
			break;
		case PROF_OFF_CPU:
			host->switches += ends;
			break;
		case PROF_PUNT:
			host->punts += ends;
			break;
		case PROF_RETRANSMIT:
			host->retransmits +=
				ends && event->a == vf->local_port && event->b == vf->peer_port;
			break;
		default:
			break;
		}
	}
}

int prof_hosts(const struct prof_pair *pair, struct prof_segment *segment)
{
	int ret = 0;

	for (unsigned int at = 0; at < PROF_SIDES && !ret; at++) {
		const struct prof_side *side = pair->side[at];
		int64_t shift;

		if (!segment->side[at] || !side || !side->kernel)
			continue;
		shift = prof_kernel_shift(pair, (enum prof_at)at);
		around(&segment->host[at], side->kernel, pair->vf[at], segment->begin - shift,
		       segment->end - shift);
		if (prof_scheduler_seen(pair, (enum prof_at)at, segment))
			ret = thread(&segment->host[at], side->kernel, segment->begin - shift,
				     segment->end - shift);
	}
	return ret;
}
