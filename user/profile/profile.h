/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Profiles of migrations: read from files (what engines and the kernel said of one side each), paired by migration id,
 * brought onto one clock, cut into phases, each instant blamed on one cause. All sums are exact integers.
 *
 * read.c -> merge.c (pairs, clocks) -> budget.c (phases) -> blame.c (causes) -> report.c (the one tree that text.c,
 * html.c, metrics.c and compare.c show) -> findings.c; chrome.c shows the events themselves.
 */
#ifndef PROF_PROFILE_H
#define PROF_PROFILE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <vferry/error.h>
#include <vferry/migrate.h>
#include "profile/phases.h"

#define PROF_SCHEMA	   "vferry.profile"
#define PROF_SCHEMA_NUMBER 1
#define PROF_FILE_MOST	   (256u << 20)
#define PROF_VFS_MOST	   4096u
#define PROF_PASSES	   VFERRY_PASSES_SHOWN

/* X(NAME, "kind in the file") */
#define PROF_KINDS(X)                   \
	X(COMMAND, "command")           \
	X(CHUNK_OUT, "chunk_out")       \
	X(CHUNK_IN, "chunk_in")         \
	X(JOURNAL, "journal")           \
	X(GATE, "gate")                 \
	X(GROUP, "group")               \
	X(TCP, "tcp")                   \
	X(OFF_CPU, "off_cpu")           \
	X(THREAD_OFF, "thread_off_cpu") \
	X(THREAD_RAN, "thread_ran")     \
	X(IRQ, "irq")                   \
	X(PUNT, "io_wq_punt")           \
	X(RETRANSMIT, "retransmit")

enum prof_kind {
#define X(name, text) PROF_##name,
	PROF_KINDS(X)
#undef X
		PROF_KIND_COUNT,
};

/** struct prof_event - an engine's or a kernel's; times on the clock of its side */
struct prof_event {
	enum prof_kind kind;
	int64_t begin, end;
	int64_t issue, wake; /* COMMAND; OFF_CPU: wake, 0: it was never asleep */
	uint64_t a,
		b; /* TCP: rtt us, retransmits; RETRANSMIT: ports; PUNT: opcode; IRQ: 1 + vector of a softirq */
	uint32_t bytes;
	uint32_t tid; /* THREAD_OFF, THREAD_RAN */
	int32_t error;
	uint16_t opcode, status;
	char state;	   /* OFF_CPU: R preempted, S asleep, D uninterruptible, T stopped */
	bool io_wait;	   /* OFF_CPU: for input or output */
	bool worker;	   /* THREAD_OFF, THREAD_RAN: of io_uring */
	const char *phase; /* TCP */
};

struct prof_events {
	struct prof_event *at;
	size_t count, room;
};

struct prof_clock {
	int64_t offset_ns;
	uint64_t error_ns;
	unsigned int exchanges;
};

/** struct prof_vf - one side's part of one migration */
struct prof_vf {
	unsigned int vf;
	char id[33];
	char outcome[24];
	char error[320];
	uint64_t context_bytes, final_bytes;
	unsigned int passes;
	uint64_t pass_bytes[PROF_PASSES], pass_ns[PROF_PASSES];
	struct prof_clock clock;
	int64_t at[VFERRY_PHASES_SHOWN]; /* when each phase was last entered; 0: never */
	int64_t failed_at;
	int failed_code;
	uint64_t events_lost, marks_lost;
	int64_t lost_until; /* what was lost lies before; 0: not known */
	unsigned int local_port, peer_port;
	struct prof_events events;
};

/** struct prof_kernel - what one kernel said of one process: its main thread runs the engine. Times are the kernel's own */
struct prof_kernel {
	char boot_id[40];
	int pid;
	bool scheduler;			    /* off-CPU times were seen */
	bool interrupts, workers, segments; /* likewise */
	int64_t from, to;
	struct prof_events events;
	struct prof_events off; /* OFF_CPU once more, by their ends */
	uint64_t lost;
};

struct prof_side {
	enum prof_at role;
	int pid;
	char origin[24], why[24], host[72], boot_id[40], owner[256], peer[256], file[256];
	int64_t namespace_ns; /* what a time namespace adds to the monotonic clock */
	struct prof_vf *vfs;
	size_t count;
	const struct prof_kernel *kernel; /* prof_join() */
};

/** struct prof_set - all that was read */
struct prof_set {
	struct prof_side *sides;
	size_t count;
	struct prof_kernel *kernels;
	size_t kernel_count;
	struct json_object *files;    /* array of names */
	struct json_object *problems; /* array of words: what is wrong with the input */
	struct json_object *not_seen; /* array of words: what could not be watched */
	struct json_object *raw_sides, *raw_kernels; /* as read, for writing them out merged */
};

void prof_set_init(struct prof_set *set);
void prof_set_free(struct prof_set *set);
__attribute__((format(printf, 2, 3))) void prof_problem(struct prof_set *set, const char *format,
							...);
__attribute__((format(printf, 2, 3))) void prof_unseen(struct prof_set *set, const char *format,
						       ...);

/* --- read.c --- */
/** prof_read_file() - add a file; one that is damaged or of another version is named in @set->problems and gives what it can. Only what cannot be opened at all fails. */
int prof_read_file(struct prof_set *set, const char *path, struct vferry_error *err);
/** prof_read_json() - add a document; not consumed. */
void prof_read_json(struct prof_set *set, struct json_object *doc, const char *name);
/** prof_salvage() - the longest well-formed beginning of a JSON text that was cut off; NULL when there is none. */
struct json_object *prof_salvage(const char *text, size_t length);

/* --- merge.c: one migration, both sides on the source's clock --- */
enum prof_clock_kind {
	PROF_CLOCK_SAME,     /* one host, one clock */
	PROF_CLOCK_MEASURED, /* exchanges over the connection */
	PROF_CLOCK_BOUNDS,   /* only from the order of the words that crossed */
	PROF_CLOCK_NONE,     /* one side only, or nothing to go by */
};

struct prof_pair {
	const struct prof_side *side[PROF_SIDES]; /* NULL: no profile of it */
	const struct prof_vf *vf[PROF_SIDES];
	enum prof_clock_kind clock;
	int64_t offset_ns; /* destination's clock - source's */
	uint64_t error_ns;
	bool jumped; /* what was measured contradicts the order of events */
};

/** prof_join() - kernels to sides; pairs out of sides. Number of pairs (the caller's to free), or -ENOMEM. */
int prof_join(struct prof_set *set, struct prof_pair **pairs);
/** prof_clock_settle() - decide on @pair's offset. */
void prof_clock_settle(struct prof_pair *pair);
/** prof_on_source() - a time of @at's clock on the source's. */
static inline int64_t prof_on_source(const struct prof_pair *pair, enum prof_at at, int64_t ns)
{
	return at == PROF_DESTINATION && pair->side[PROF_SOURCE] ? ns - pair->offset_ns : ns;
}

/* --- budget.c: phases --- */
struct prof_counts {
	uint64_t commands, context_bytes, switches, punts, retransmits;
	uint64_t rtt_us; /* the last known; 0: not */
};

/* What a thread does at an instant. X(NAME, "name") */
#define PROF_THREAD_STATES(X)        \
	X(ON_CPU, "on_cpu")          \
	X(PREEMPTED, "preempted")    \
	X(RUNQUEUE, "runqueue")      \
	X(ASLEEP, "asleep")          \
	X(IO_WAIT, "io_wait")        \
	X(LOCKED, "uninterruptible") \
	X(STOPPED, "stopped")

enum prof_thread_state {
#define X(name, text) PROF_THREAD_##name,
	PROF_THREAD_STATES(X)
#undef X
		PROF_THREAD_COUNT,
};

/** struct prof_host - what one host did in a segment: the engine's thread, whatever it was blamed on, and around it */
struct prof_host {
	bool seen;			/* the scheduler: otherwise @ns is 0 */
	uint64_t ns[PROF_THREAD_COUNT]; /* add up to the segment */
	uint64_t interrupt_ns, softirq_ns, worker_ns;
	uint64_t switches, interrupts, punts, retransmits;
};

struct prof_segment {
	enum prof_phase first, last; /* more than one: the events between were not seen */
	int64_t begin, end;	     /* on the source's clock */
	uint64_t error_ns;
	bool crosses;
	bool side[PROF_SIDES]; /* on which sides this time was spent */
	uint64_t cause[PROF_CAUSE_COUNT][PROF_SIDES];
	struct prof_counts counts;
	struct prof_host host[PROF_SIDES];
};

enum prof_basis {
	PROF_BASIS_WHOLE,	/* Stop to Active */
	PROF_BASIS_SOURCE,	/* Stop to the word ACTIVE: no profile of the destination */
	PROF_BASIS_DESTINATION, /* the destination's part only */
	PROF_BASIS_BACK,	/* Stop until the source was active again */
	PROF_BASIS_OPEN,	/* not over: to the last that is known */
	PROF_BASIS_NONE,	/* never stopped */
};

struct prof_budget {
	enum prof_basis basis;
	int64_t begin, end;
	uint64_t error_ns;
	struct prof_segment segments[PROF_PHASE_ALL];
	unsigned int count;
	bool clamped; /* an event was moved to keep the order: the clocks disagree by more than their error */
	int64_t clamped_ns;
};

const char *prof_basis_name(enum prof_basis basis);
/** prof_budget() - cut into phases. The segments' lengths add up to end - begin. */
void prof_budget(const struct prof_pair *pair, struct prof_budget *budget);

/* --- blame.c: causes --- */
struct prof_span {
	int64_t begin, end;
	unsigned int rank; /* the lowest that holds counts */
};
/* First of all the device while it is certain that it has not answered, then the causes in their order. */
#define PROF_RANK(cause, at) (((unsigned int)(cause) + 1) * PROF_SIDES + (at))
#define PROF_RANKS	     PROF_RANK(PROF_CAUSE_COUNT, 0)
/** prof_partition() - share [begin, end) among ranks; what no span covers goes to @fill. The sums add up to end - begin. Sorts @spans. */
void prof_partition(struct prof_span *spans, size_t count, int64_t begin, int64_t end,
		    unsigned int fill, uint64_t sums[PROF_RANKS]);
/** prof_blame() - fill in causes and counts of all segments. 0 or -ENOMEM. */
int prof_blame(const struct prof_pair *pair, struct prof_budget *budget);

/* --- host.c --- */
/** prof_hosts() - fill in what the hosts did in @segment. 0 or -ENOMEM. */
int prof_hosts(const struct prof_pair *pair, struct prof_segment *segment);
extern const char *const prof_thread_states[PROF_THREAD_COUNT];
/** prof_kernel_shift() - brings a time of the kernel below @at's side to the source's clock. */
static inline int64_t prof_kernel_shift(const struct prof_pair *pair, enum prof_at at)
{
	return prof_on_source(pair, at, 0) + pair->side[at]->namespace_ns;
}

/** prof_scheduler_seen() - all the time of @segment, at @at. */
static inline bool prof_scheduler_seen(const struct prof_pair *pair, enum prof_at at,
				       const struct prof_segment *segment)
{
	const struct prof_side *side = pair->side[at];
	int64_t shift;

	if (!side || !side->kernel || !side->kernel->scheduler)
		return false;
	shift = prof_kernel_shift(pair, at);
	return side->kernel->from + shift <= segment->begin &&
	       side->kernel->to + shift >= segment->end;
}

/* --- report.c --- */
/** prof_report() - the tree that every renderer shows; NULL: no memory. */
struct json_object *prof_report(struct prof_set *set);
/** prof_percentile() - of @count sorted values, nearest rank. */
uint64_t prof_percentile(const uint64_t *sorted, size_t count, unsigned int percent);
/** prof_values() - a phase's durations (or "downtime"), one a VF; how many of at most @room. */
size_t prof_values(struct json_object *report, const char *name, uint64_t *values, size_t room);
/** prof_findings() - what stands out in @report, and what would help, each with its number. */
struct json_object *prof_findings(struct json_object *report);

/* --- renderers --- */
/** prof_text() - @all: a waterfall for each VF, however many. */
void prof_text(FILE *out, struct json_object *report, unsigned int width, bool colours, bool all);
int prof_html(const char *path, struct json_object *report, struct vferry_error *err);
/** prof_html_hosts() - html_host.c: the page's part about what the hosts did */
void prof_html_hosts(FILE *out, struct json_object *vf);
int prof_chrome(const char *path, struct prof_set *set, struct vferry_error *err);
int prof_metrics(const char *path, struct json_object *report, struct vferry_error *err);
/** prof_compare() - a tree of what changed; "worse" is true past @threshold percent and noise. */
struct json_object *prof_compare(struct json_object *before, struct json_object *now,
				 unsigned int threshold);
void prof_compare_text(FILE *out, struct json_object *compared);
/** prof_ns() - 1.234 ms; in at most 10 characters. */
const char *prof_cause_words(const char *name);
const char *prof_ns(char *buffer, size_t room, int64_t ns);

/* reading a report's tree */
uint64_t prof_get(struct json_object *from, const char *key);
const char *prof_get_text(struct json_object *from, const char *key);
struct json_object *prof_get_array(struct json_object *from, const char *key);

/** prof_may_put() - could @path be written? Asked before something is done that cannot be done again. */
int prof_may_put(const char *path, struct vferry_error *err);
/** prof_put_file() - write a file whole or not at all. */
int prof_put_file(const char *path, const char *text, size_t length, struct vferry_error *err);

#endif
