// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Each instant of a segment is blamed on one cause: the first that holds, in the order of PROF_CAUSES. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/admin.h>
#include "profile/profile.h"

struct edge {
	int64_t at;
	unsigned int rank;
	int step;
};

static int by_time(const void *a, const void *b)
{
	const struct edge *one = a, *two = b;

	return one->at < two->at ? -1 : one->at > two->at;
}

void prof_partition(struct prof_span *spans, size_t count, int64_t begin, int64_t end,
		    unsigned int fill, uint64_t sums[PROF_RANKS])
{
	struct edge *edges = malloc((2 * count + 1) * sizeof(*edges));
	int64_t depth[PROF_RANKS] = { 0 }, now = begin;
	size_t used = 0;

	memset(sums, 0, PROF_RANKS * sizeof(*sums));
	if (!edges) { /* without causes, but the sum still holds */
		sums[fill] += (uint64_t)(end - begin);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		int64_t from = spans[i].begin > begin ? spans[i].begin : begin;
		int64_t to = spans[i].end < end ? spans[i].end : end;

		if (from >= to || spans[i].rank >= PROF_RANKS)
			continue;
		edges[used++] = (struct edge){ from, spans[i].rank, 1 };
		edges[used++] = (struct edge){ to, spans[i].rank, -1 };
	}
	qsort(edges, used, sizeof(*edges), by_time);
	edges[used] = (struct edge){ end, 0, 0 };
	for (size_t i = 0; i <= used; i++) {
		unsigned int rank = 0;

		if (edges[i].at > now) {
			while (rank < PROF_RANKS && depth[rank] <= 0)
				rank++;
			sums[rank < PROF_RANKS ? rank : fill] += (uint64_t)(edges[i].at - now);
			now = edges[i].at;
		}
		depth[edges[i].rank] += edges[i].step;
	}
	free(edges);
}

struct spans {
	struct prof_span *at;
	size_t count, room;
	int error;
};

static void add_rank(struct spans *spans, int64_t begin, int64_t end, unsigned int rank)
{
	if (begin >= end)
		return;
	if (spans->count == spans->room) {
		size_t room = spans->room ? spans->room * 2 : 256;
		struct prof_span *grown = realloc(spans->at, room * sizeof(*grown));

		if (!grown) {
			spans->error = -ENOMEM;
			return;
		}
		spans->at = grown;
		spans->room = room;
	}
	spans->at[spans->count++] = (struct prof_span){ begin, end, rank };
}

static void add(struct spans *spans, int64_t begin, int64_t end, enum prof_cause cause,
		enum prof_at at)
{
	add_rank(spans, begin, end, PROF_RANK(cause, at));
}

/*
 * Until when is it certain that a command was not answered, whatever woke the engine meanwhile? The loop looks before it sleeps: until it
 * fell asleep for the last time before it saw the interrupt, or was woken from that. Times are the kernel's.
 */
static int64_t certain_until(const struct prof_kernel *seen, int64_t issue, int64_t wake)
{
	size_t low = 0, high = seen->off.count;
	const struct prof_event *last;

	while (low < high) { /* the first that ends behind the wake */
		size_t middle = low + (high - low) / 2;

		if (seen->off.at[middle].end <= wake)
			low = middle + 1;
		else
			high = middle;
	}
	last = low ? &seen->off.at[low - 1] : NULL;
	if (!last || last->begin < issue)
		return issue;
	return last->state != 'R' && last->wake >= last->begin && last->wake <= last->end
		       ? last->wake
		       : last->begin;
}

/* What the engine said of itself; @shift brings its clock to the source's, @seen is what the scheduler said, or NULL. */
static void engine(struct spans *spans, const struct prof_vf *vf, enum prof_at at, int64_t shift,
		   const struct prof_kernel *seen, int64_t kernel_shift)
{
	for (size_t i = 0; i < vf->events.count; i++) {
		const struct prof_event *event = &vf->events.at[i];
		int64_t begin = event->begin + shift, end = event->end + shift;
		int64_t issue = event->issue ? event->issue + shift : 0;
		int64_t wake = event->wake ? event->wake + shift : 0;

		switch (event->kind) {
		case PROF_COMMAND:
			if (!issue) { /* it never came to the device */
				add(spans, begin, end, PROF_CAUSE_QUEUE, at);
				break;
			}
			if (issue < begin || issue > end)
				break;
			if (wake < issue || wake > end)
				wake = end;
			add(spans, begin, issue, PROF_CAUSE_QUEUE, at);
			add(spans, issue, wake, PROF_CAUSE_DEVICE, at);
			if (seen)
				add_rank(spans, issue,
					 certain_until(seen, issue - kernel_shift,
						       wake - kernel_shift) +
						 kernel_shift,
					 at);
			add(spans, wake, end, PROF_CAUSE_REAP, at);
			break;
		case PROF_JOURNAL:
			add(spans, begin, end, PROF_CAUSE_JOURNAL, at);
			break;
		case PROF_GATE:
			add(spans, begin, end, PROF_CAUSE_HOOK, at);
			break;
		case PROF_GROUP:
			add(spans, begin, end, PROF_CAUSE_GROUP, at);
			break;
		case PROF_CHUNK_OUT:
			add(spans, begin, end, PROF_CAUSE_NETWORK, at);
			break;
		default:
			break;
		}
	}
}

/* What the scheduler said: on a processor is what is left between the times off it. */
static void kernel(struct spans *spans, const struct prof_kernel *seen, enum prof_at at,
		   int64_t shift, int64_t begin, int64_t end)
{
	int64_t on = seen->from + shift;

	if (on < begin)
		on = begin;
	for (size_t i = 0; i < seen->events.count; i++) {
		const struct prof_event *event = &seen->events.at[i];
		int64_t from = event->begin + shift, to = event->end + shift;
		int64_t wake = event->wake ? event->wake + shift : 0;

		if (event->kind == PROF_IRQ)
			add(spans, from, to, PROF_CAUSE_INTERRUPT, at);
		if ((event->kind == PROF_THREAD_RAN ||
		     (event->kind == PROF_THREAD_OFF && event->state == 'D')) &&
		    event->worker)
			add(spans, from, to, PROF_CAUSE_WORKER, at);
		if (event->kind != PROF_OFF_CPU || to <= begin || from >= end)
			continue;
		add(spans, on, from, PROF_CAUSE_ENGINE, at);
		if (to > on)
			on = to;
		if (event->state == 'R') {
			add(spans, from, to, PROF_CAUSE_PREEMPTED, at);
			continue;
		}
		if (wake < from || wake > to)
			wake = to;
		if (event->state == 'T')
			add(spans, from, wake, PROF_CAUSE_STOPPED, at);
		else if (event->state == 'D')
			add(spans, from, wake, event->io_wait ? PROF_CAUSE_DISK : PROF_CAUSE_LOCK,
			    at);
		add(spans, wake, to, PROF_CAUSE_RUNQUEUE, at);
	}
	add(spans, on, end, PROF_CAUSE_ENGINE, at);
}

/* The first look at a connection is made at Stop: what was sent again before is none of the downtime's. */
static uint64_t retransmits_at_first(const struct prof_events *events)
{
	for (size_t i = 0; i < events->count; i++)
		if (events->at[i].kind == PROF_TCP)
			return events->at[i].b;
	return 0;
}

/* @segments: the kernel tells each segment that was sent again; TCP_INFO's sums are for where it does not. */
static void count(struct prof_counts *counts, const struct prof_events *events, int64_t begin,
		  int64_t end, bool segments, uint64_t *retransmits_before)
{
	for (size_t i = 0; i < events->count; i++) {
		const struct prof_event *event = &events->at[i];

		if (event->kind == PROF_TCP && event->end <= begin)
			*retransmits_before = event->b;
		if (event->end <= begin || event->end > end)
			continue;
		switch (event->kind) {
		case PROF_COMMAND:
			counts->commands++;
			break;
		case PROF_CHUNK_OUT:
		case PROF_CHUNK_IN:
			counts->context_bytes += event->bytes;
			break;
		case PROF_OFF_CPU:
			counts->switches++;
			break;
		case PROF_PUNT:
			counts->punts++;
			break;
		case PROF_TCP:
			counts->rtt_us = event->a;
			if (!segments && event->b > *retransmits_before)
				counts->retransmits += event->b - *retransmits_before;
			*retransmits_before = event->b;
			break;
		default:
			break;
		}
	}
}

static int blame(const struct prof_pair *pair, struct prof_segment *segment)
{
	struct spans spans = { 0 };
	uint64_t sums[PROF_RANKS];
	unsigned int fill = PROF_RANK(PROF_CAUSE_NETWORK, 0);

	for (unsigned int at = 0; at < PROF_SIDES; at++) {
		const struct prof_side *side = pair->side[at];
		int64_t shift = prof_on_source(pair, (enum prof_at)at, 0);
		int64_t kernel_shift;
		uint64_t before;
		bool scheduler, segments;

		if (!segment->side[at])
			continue;
		if (!pair->vf[at]) {
			fill = PROF_RANK(PROF_CAUSE_UNSEEN, at);
			continue;
		}
		kernel_shift = prof_kernel_shift(pair, (enum prof_at)at);
		segments = side->kernel && side->kernel->segments;
		before = retransmits_at_first(&pair->vf[at]->events);
		scheduler = prof_scheduler_seen(pair, (enum prof_at)at, segment);
		engine(&spans, pair->vf[at], (enum prof_at)at, shift,
		       scheduler ? side->kernel : NULL, kernel_shift);
		count(&segment->counts, &pair->vf[at]->events, segment->begin - shift,
		      segment->end - shift, segments, &before);
		if (scheduler)
			kernel(&spans, side->kernel, (enum prof_at)at, kernel_shift, segment->begin,
			       segment->end);
		if (side->kernel)
			count(&segment->counts, &side->kernel->events,
			      segment->begin - kernel_shift, segment->end - kernel_shift, segments,
			      &before);
		if (!segment->crosses)
			fill = PROF_RANK(scheduler ? PROF_CAUSE_WAIT : PROF_CAUSE_REST, at);
	}
	prof_partition(spans.at, spans.count, segment->begin, segment->end, fill, sums);
	for (unsigned int at = 0; at < PROF_SIDES; at++) {
		for (unsigned int cause = 0; cause < PROF_CAUSE_COUNT; cause++)
			segment->cause[cause][at] = sums[PROF_RANK(cause, at)];
		segment->cause[PROF_CAUSE_DEVICE][at] += sums[at];
	}
	free(spans.at);
	if (spans.error || prof_hosts(pair, segment))
		return -ENOMEM;
	for (unsigned int at = 0; at < PROF_SIDES; at++)
		segment->counts.retransmits += segment->host[at].retransmits;
	return 0;
}

int prof_blame(const struct prof_pair *pair, struct prof_budget *budget)
{
	int ret = 0;

	for (unsigned int i = 0; i < budget->count && !ret; i++)
		ret = blame(pair, &budget->segments[i]);
	return ret;
}
