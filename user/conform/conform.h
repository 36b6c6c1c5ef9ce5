/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Named checks of a device against the rules. One table (table.c, a file of checks a subject), one runner (run.c). A
 * check is a straight list of steps: once a step has failed, or found that the check does not apply, those behind it do nothing.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <vferry/context.h>
#include "admin/owner.h"

struct conform;
struct guest;

/* What a check needs, or else it does not apply. */
#define NEEDS_CHANGES 0x01u /* changes the VF's mode or state: only with --destructive */
#define NEEDS_STOP    0x02u /* begins in Stop; without: in Active */
#define NEEDS_FREEZE  0x04u /* begins in Freeze */
#define NEEDS_IMAGE   0x08u /* a whole image of the VF as it was at first; put back after the check */
#define NEEDS_ALONE   0x10u /* nobody else uses the owner (LIST_USE) */
#define NEEDS_SPARE   0x20u /* a second VF */
#define NEEDS_MEMBER  0x40u /* the VF's own function, to be its driver */

/**
 * struct check - a check
 * @name: subject.rule
 * @title: the rule, one sentence in lower case
 * @source: where the rule stands
 * @needs: NEEDS_*
 * @run: the steps
 * @a: the function's own, as are @b and @d
 */
struct check {
	const char *name;
	const char *title;
	const char *source;
	unsigned int needs;
	void (*run)(struct conform *c, const struct check *check);
	union {
		struct {
			uint64_t a;
			uint64_t b;
			uint64_t d;
		};
		uint64_t arguments[3];
	};
};

#define CHECK(name_, title_, source_, needs_, run_, ...)                                         \
	{                                                                                        \
		.name = name_, .title = title_, .source = source_, .needs = needs_, .run = run_, \
		.arguments = {                                                                   \
			__VA_ARGS__                                                              \
		}                                                                                \
	}

#define BASE  "virtio 1.3, Group administration commands"
#define QUEUE "virtio 1.3, Administration virtqueues"
#define SRIOV "virtio 1.3, SR-IOV group type"
#define SEED  "seed (PATCH v3 4/8), "
#define OURS  "device-rules.md (ours), "
#define CHECKS_END           \
	{                    \
		.name = NULL \
	}

enum verdict { CHECK_RUNS = 0, CHECK_PASSED, CHECK_FAILED, CHECK_NOT_APPLICABLE };

/* An exchange as it is kept for the report: the first bytes of both parts. */
#define RECORD_BYTES 512
#define RECORDS	     16
struct record {
	uint32_t sent_bytes;
	uint32_t room_bytes;
	uint32_t used;
	int error;
	uint8_t sent[RECORD_BYTES];
	uint8_t answer[RECORD_BYTES];
};

/** struct ex - one command: a descriptor chain of exact bytes, and what came back */
struct ex {
	struct conform *c;
	struct vferry_cmd cmd;
	struct vferry_sg out[VFERRY_CMD_SG_MAX], in[VFERRY_CMD_SG_MAX];
	uint8_t *sent;	 /* copy of the readable part */
	uint8_t *answer; /* copy of the writable part, FILL where nothing was written */
	uint32_t sent_bytes;
	uint32_t room_bytes;
	bool over;
	unsigned int turn; /* the how manieth answer it was */
	int error;	   /* 0: answered */
	uint32_t used;
	uint16_t status;
	uint16_t qualifier;
	uint32_t output;
	const uint8_t *result; /* behind the answer's header */
};

#define FILL	  0xa5
#define EX_MAX	  32 /* commands at a time */
#define EX_BYTES  (128u << 10)
#define BEYOND	  64u		     /* bytes behind the writable part that are watched */
#define EX_DATA	  (EX_BYTES - 4096u) /* data or result that surely fits */
#define CTX_CHUNK (64u << 10)
#define CTX_BOUND (512ull << 20)

struct blob {
	uint8_t *at;
	uint64_t count;
	uint64_t room;
};

#define BLOBS 8

struct conform_opts {
	const char *address;
	uint16_t vf;
	uint16_t spare; /* 0: none */
	bool destructive;
	bool direct;
	const char *member_socket; /* pattern with %d, or NULL */
	uint64_t timeout_ns;
};

struct conform {
	struct conform_opts opts;
	struct vferry_owner *owner;
	bool alone;
	uint16_t num_vfs;
	uint64_t bound; /* of an image: more is a device that never ends */
	uint64_t list;	/* as found: put back after LIST_USE */
	struct ex *exs;
	unsigned int turns;
	bool wedged; /* the queue does not come back: nothing more can be asked */
	char wedged_why[256];
	int mode_found;	   /* of the VF, -1 not known */
	struct blob image; /* of the VF as found, read in Freeze; empty: none */
	char image_why[512];
	unsigned int
		unserved; /* how often a driver was not served in Active: each costs a deadline */

	/* the check that runs */
	uint16_t vf;
	enum verdict verdict;
	char words[768]; /* why it failed, or does not apply */
	struct record records[RECORDS];
	unsigned int record_count; /* all of them */
	struct blob blobs[BLOBS];
	unsigned int blob_count;
	struct guest *guest;
};

/* --- run.c --- */
int conform_open(struct conform *c, const struct conform_opts *opts, struct vferry_error *err);
/** conform_run() - one check; c->verdict, c->words and c->records have the outcome. */
void conform_run(struct conform *c, const struct check *check);
/** conform_close() - puts the VF back as it was found. Return: what could not be put back, or NULL. */
const char *conform_close(struct conform *c);

/* --- table.c --- */
/** conform_check() - check number @n over all subjects, NULL beyond the last. */
const struct check *conform_check(unsigned int n);
extern const struct check conform_layer[], conform_lists[], conform_lengths[], conform_order[],
	conform_modes[], conform_reading[], conform_writing[], conform_commit[], conform_resets[],
	conform_trips[], conform_guest[];

/* --- exchange.c: commands --- */
static inline bool going(const struct conform *c)
{
	return c->verdict == CHECK_RUNS;
}

/** fail() - the check has failed, unless it has ended already. */
__attribute__((format(printf, 2, 3))) void fail(struct conform *c, const char *format, ...);
__attribute__((format(printf, 2, 3))) void not_applicable(struct conform *c, const char *format,
							  ...);

int exs_new(struct conform *c);
void exs_free(struct conform *c);
/** raw_begin() - a chain of @bytes readable and @room writable bytes in runs of @cut (0: one run each). */
struct ex *raw_begin(struct conform *c, unsigned int n, const void *bytes, uint32_t count,
		     uint32_t room, uint32_t cut);
/** exs_wait() - until all that were begun are answered, or given up: then the check fails. */
void exs_wait(struct conform *c);
struct ex *raw(struct conform *c, const void *bytes, uint32_t count, uint32_t room, uint32_t cut);

/** header() - a command's readable header. */
struct vferry_admin_hdr header(uint16_t opcode, uint16_t group, uint64_t member);
/** command_begin() - to c->vf: header and data, padded to 8 with zeros. */
struct ex *command_begin(struct conform *c, unsigned int n, uint16_t opcode, const void *data,
			 uint32_t count, uint32_t result_room);
/** command() - and wait for it. EAGAIN is tried again. */
struct ex *command(struct conform *c, uint16_t opcode, const void *data, uint32_t count,
		   uint32_t result_room);
/** addressed() - as command(), with group and member of any value. */
struct ex *addressed(struct conform *c, uint16_t opcode, uint16_t group, uint64_t member,
		     const void *data, uint32_t count, uint32_t result_room);

void want_ok(struct conform *c, const struct ex *ex, const char *what);
/** want_refused() - EINVAL with this qualifier. */
void want_refused(struct conform *c, const struct ex *ex, uint16_t qualifier, const char *what);
/** want_untouched() - what lies behind byte @from of the writable part, and behind its end. */
void want_untouched(struct conform *c, const struct ex *ex, uint32_t from);
void want_used(struct conform *c, const struct ex *ex, uint32_t used, const char *what);
/** want() - @good, or the check fails with the words. */
#define want(c, good, ...)                    \
	do {                                  \
		if (going(c) && !(good))      \
			fail(c, __VA_ARGS__); \
	} while (0)

/* --- steps.c: exact lengths, and the commands of a member --- */
unsigned int mode_get(struct conform *c);
void mode_set(struct conform *c, unsigned int mode);
void mode_is(struct conform *c, unsigned int mode, const char *when);
/** mode_to() - by the shortest sure way; false (and no failure) when it does not work. */
bool mode_to(struct conform *c, unsigned int mode);
uint64_t size_get(struct conform *c, bool freeze);
void discard(struct conform *c);
/** read_chunk() - one READ with @room; its bytes go to @to (may be NULL). Return: context_len. */
uint32_t read_chunk(struct conform *c, uint32_t room, struct blob *to);
/** read_image() - READs until an image is complete; fails on one that is malformed or ends early. */
void read_image(struct conform *c, uint32_t chunk, struct blob *to);
/** read_rest() - READs until one answers 0. */
void read_rest(struct conform *c, struct blob *to);
/** read_end() - the READ behind the last byte. */
void read_end(struct conform *c);
struct ex *write_ex(struct conform *c, const void *bytes, uint32_t count);
/** write_all() - in WRITEs of @chunk bytes, each of which must be taken. */
void write_all(struct conform *c, const struct blob *from, uint32_t chunk);
/** same_state() - in Freeze: the state is that of @image. */
void same_state(struct conform *c, const struct blob *image, const char *when);
void same_bytes(struct conform *c, const struct blob *a, const struct blob *b, const char *what);

/* --- blob.c: bytes, and images --- */
struct blob *blob(struct conform *c); /* the check's own, freed with it */
void blob_add(struct blob *b, const void *bytes, uint64_t count);
void blob_cut(struct blob *b, uint64_t count);
void blob_free(struct blob *b);
void blob_insert(struct blob *b, uint64_t at, const void *bytes, uint64_t count);
void blob_field(struct blob *b, uint16_t type, uint8_t flags, uint32_t index, const void *value,
		uint64_t length);
void blob_start(struct blob *b, bool delta);
void blob_end(struct blob *b);
struct field_at {
	uint64_t offset; /* of the header */
	uint64_t bytes;	 /* header, value, padding */
	uint16_t type;
	uint8_t flags;
	uint32_t index;
	uint64_t length;
};
/** blob_next() - the field at *@at, and *@at behind it. */
bool blob_next(const struct blob *b, uint64_t *at, struct field_at *field);
bool blob_find(const struct blob *b, uint16_t type, uint32_t index, struct field_at *field);
/** blob_is_image() - exactly one whole image; its words when not. */
bool blob_is_image(const struct blob *b, bool *delta, struct vferry_error *err);
/** blob_image_end() - bytes of the first whole image in @b, 0 when it is not complete; negative: malformed. */
int64_t blob_image_end(const struct blob *b, struct vferry_error *err);

/* --- guest.c, member.c: the VF's own driver --- */
void guest_open(struct conform *c);  /* the function, memory, interrupts */
void guest_start(struct conform *c); /* and a driver with one queue */
void guest_close(struct conform *c);
void guest_request(struct conform *c); /* a read of sector 0 lies in the ring */
void guest_ring(struct conform *c);
uint16_t guest_used(struct conform *c); /* used index */
bool guest_touched(struct conform *c);	/* data or status of a request was written */
/** guest_wait_used() - until the used index is @index, or the deadline. */
bool guest_wait_used(struct conform *c, uint16_t index);
uint64_t guest_interrupts(struct conform *c); /* since asked last, all vectors */
bool guest_wait_interrupt(struct conform *c);
void guest_pause(struct conform *c); /* long enough for what must not happen */
void guest_flr(struct conform *c);
void guest_reset(struct conform *c);		      /* virtio reset */
void guest_select(struct conform *c, uint16_t queue); /* writes queue_select: a change of state */
uint16_t guest_selected(struct conform *c);
uint8_t guest_status(struct conform *c);
uint32_t guest_pci_id(struct conform *c);

#endif
