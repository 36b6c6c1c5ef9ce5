/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The administration room's own: what its files share and the function room does not see.
 *
 *   segments.c  the two parts of a descriptor chain, read and written once
 *   keys.c      the keys of a VF's context, numbered; the change map
 *   blocks.c    the extra context: 64 KiB blocks and what changes them
 *   image.c     READ, SIZE_GET, FIELDS_QUERY: images as they are read out
 *   stage.c     WRITE: images as they come in
 *   commit.c    what was staged becomes the device's state, or not
 *   mode.c      MODE_SET
 *   admin.c     rules for every command, their answers
 *   service.c   when a command starts and ends
 *   fault.c, fault_spec.c   --fault
 *
 * One function a rule: a device that breaks a rule on purpose does so in one place.
 */
#ifndef OWNER_ADMIN_H
#define OWNER_ADMIN_H

#include <errno.h>
#include "tools/owner/owner.h"

/* --- segments.c --------------------------------------------------------------------------------- */

/** struct segments - a cursor over the readable or the writable part of a chain */
struct segments {
	const struct iovec *iov;
	unsigned int count;
	size_t offset; /* in iov[0] */
};

uint64_t segments_bytes(const struct iovec *iov, unsigned int count);
struct segments segments_at(const struct iovec *iov, unsigned int count, uint64_t offset);
/** segments_get() - copy up to @bytes out of the cursor and step over them; the number copied. */
uint64_t segments_get(struct segments *segments, void *to, uint64_t bytes);
/** segments_put() - copy up to @bytes into the cursor and step over them; the number copied. */
uint64_t segments_put(struct segments *segments, const void *from, uint64_t bytes);
/** segments_run() - the next contiguous run, stepped over; NULL at the end. */
const void *segments_run(struct segments *segments, size_t *bytes);

/* --- keys.c ------------------------------------------------------------------------------------- */

/* The keys of one VF are numbered in the order in which an image carries them: small ones, then blocks. */
#define KEY_NONE UINT32_MAX

struct key {
	uint16_t type;
	uint32_t index;
	uint32_t length; /* of the value; never changes */
};

struct keys {
	uint32_t queues;
	uint32_t small; /* keys that are not blocks */
	uint32_t blocks;
	uint32_t count; /* small + blocks */
	uint16_t device_cfg_len;
};

void keys_init(struct keys *keys, const struct function *fn, uint32_t blocks);
struct key keys_at(const struct keys *keys, uint32_t slot);
uint32_t keys_find(const struct keys *keys, uint16_t type, uint32_t index);
bool keys_know_type(const struct keys *keys, uint16_t type);
bool keys_length_ok(const struct keys *keys, uint32_t slot, uint64_t length);

uint64_t *bits_new(uint32_t count);
void bits_fill(uint64_t *bits, uint32_t count);
/** bits_next() - the first bit set from @from on, @count when there is none. */
uint32_t bits_next(const uint64_t *bits, uint32_t count, uint32_t from);
uint32_t bits_count(const uint64_t *bits, uint32_t from, uint32_t to);

static inline bool bit_get(const uint64_t *bits, uint32_t bit)
{
	return bits[bit / 64] >> (bit % 64) & 1;
}

static inline void bit_set(uint64_t *bits, uint32_t bit)
{
	bits[bit / 64] |= 1ULL << (bit % 64);
}

static inline void bit_clear(uint64_t *bits, uint32_t bit)
{
	bits[bit / 64] &= ~(1ULL << (bit % 64));
}

/* --- blocks.c ----------------------------------------------------------------------------------- */

/** struct block_area - memory for a VF's blocks, touched only where it is used */
struct block_area {
	uint8_t *map;
	uint64_t bytes;
	uint32_t lead; /* where the first block begins, below a page */
	uint32_t count;
	uint64_t *filled;	 /* blocks that have content; the others are still the seed's */
	uint64_t used;		 /* bytes in filled blocks */
	uint64_t freed;		 /* on the way out: bytes given back so far */
	struct block_area *next; /* on the way out */
};

struct blocks {
	struct block_area *area; /* NULL without blocks */
	uint64_t random;
	uint64_t due;	  /* bytes of change that are owed, below one block */
	uint64_t version; /* of the last block written */
};

/** block_area_new() - room for @count blocks; @lead: where the first one's value stands in a full image. */
struct block_area *block_area_new(uint32_t count, uint64_t lead);
void block_area_free(struct block_area *area);
/** block_area_take() - the spare area when it fits, otherwise a new one. */
struct block_area *block_area_take(struct owner *owner, uint32_t count, uint64_t lead);
/** block_area_retire() - keep an area as the spare, as a device keeps its staging memory, or give it back little by little, so that no command waits for it. */
void block_area_retire(struct owner *owner, struct block_area *area);
uint8_t *block_area_at(struct block_area *area, uint32_t index);
void block_area_mark(struct block_area *area, uint32_t index);

int blocks_init(struct function *fn, uint32_t count);
void blocks_exit(struct function *fn);
void blocks_blank(struct function *fn);
/** blocks_value() - the block's bytes, made now when nobody has touched it yet. */
const uint8_t *blocks_value(struct function *fn, uint32_t index);
/** blocks_change() - @bytes of change, in whole blocks drawn from the seed. */
void blocks_change(struct function *fn, uint64_t bytes);
void blocks_clock_start(struct owner *owner);
void blocks_clock_stop(struct owner *owner);

/* --- image.c ------------------------------------------------------------------------------------ */

/** struct image - the image that is being read */
struct image {
	enum { IMAGE_CLOSED, IMAGE_START, IMAGE_FIELDS, IMAGE_END, IMAGE_DRAINED } state;
	bool delta;
	uint64_t *keys;	 /* fixed when the image opens */
	uint32_t slot;	 /* IMAGE_FIELDS: the field being read */
	uint64_t offset; /* in the field: header, value, padding */
	uint64_t left;	 /* bytes not yet given */
	bool said_early; /* a wrong device has made its mistake in this image */
};

/** image_remaining() - bytes that a READ would find now: of the open image, else of the next one. */
uint64_t image_remaining(const struct function *fn);
uint64_t image_estimate_frozen(const struct function *fn);
/** image_read() - up to @room bytes into @to; opens an image when there is something to say. */
uint32_t image_read(struct function *fn, struct segments *to, uint64_t room);
/** image_close() - drop the cursor; what an incomplete image carried is due again. */
void image_close(struct function *fn);
/** image_discard() - DISCARD's reading half. */
void image_discard(struct function *fn);
/** image_forget() - a new device: nothing has been read. */
void image_forget(struct function *fn);
uint64_t image_full_bytes(const struct function *fn);
/** image_lead() - where the first block's value stands in a full image. */
uint64_t image_lead(const struct function *fn);
/** image_render() - the value of a small key as the device has it now; @value has room for 64 bytes. */
void image_render(const struct function *fn, struct key key, uint8_t *value);

/* --- stage.c, commit.c -------------------------------------------------------------------------- */

/** struct stage_mark - where the stream of WRITEs stands; put back when a WRITE fails */
struct stage_mark {
	bool any;	/* something is staged */
	bool full;	/* a complete full image is among it */
	bool started;	/* the last image's START is complete, its END is not */
	bool delta;	/* that image is one */
	uint64_t begin; /* where it begins, in the walker's stream */
	uint64_t bytes; /* accepted of it; not 0: it is not complete */
};

/** struct stage - what was written and is not yet committed */
struct stage {
	struct vferry_ctx_walker *walker; /* NULL: to be made, by replay of what follows */
	bool replaying;
	struct stage_mark now;
	uint64_t covered; /* bytes of the last image up to the last complete header and its value */
	struct vferry_ctx_field *fields; /* headers of the last image */
	uint32_t field_count;
	uint32_t field_room;
	uint32_t field_base; /* where the last image's begin, while a WRITE is walked */
	bool forgiven;	     /* a wrong device: what was malformed counts as written */
	uint32_t tail_bytes; /* of a header that is not complete */
	uint8_t tail[32];
	uint64_t *present;	   /* keys staged whole */
	uint8_t *small;		   /* values of small keys, STAGE_SMALL_BYTES each */
	struct block_area *area;   /* and of blocks */
	struct stage_copy *copies; /* what the present WRITE has to copy */
	uint32_t copy_count;
	uint32_t copy_room;
	uint64_t pending; /* bytes of blocks that it adds */
};

#define STAGE_SMALL_BYTES 64

/** stage_write() - stage the bytes of one WRITE, all or none. 0, -EBADMSG (malformed, or a field this device cannot take), -ENOMEM. */
int stage_write(struct function *fn, struct segments *from, struct vferry_error *err);
void stage_drop(struct function *fn);
/** commit() - staged data becomes state; on failure the state is as before. The caller drops the staged data either way. */
int commit(struct function *fn, struct vferry_error *err);
/** commit_half() - for a wrong device: a part of what was refused becomes state nevertheless. */
void commit_half(struct function *fn);

/* --- the administration's part of a VF ---------------------------------------------------------- */

struct fn_admin {
	struct keys keys;
	uint64_t *changed; /* since they were last read; meaningless while full_due */
	bool full_due;
	bool clearing; /* a READ that clears is blanking the VF */
	struct image image;
	struct stage stage;
	struct blocks blocks;
	struct stopping *stopping;  /* Active -> Stop under way */
	struct admin_command *line; /* commands of this member in order of arrival */
	struct admin_command **line_end;
};

/* --- admin.c, service.c, mode.c ------------------------------------------------------------------ */

struct answer {
	uint16_t status;
	uint16_t qualifier;
};

#define ANSWER_OK		  ((struct answer){ VFERRY_STATUS_OK, VFERRY_Q_OK })
#define ANSWER(status, qualifier) ((struct answer){ VFERRY_STATUS_##status, VFERRY_Q_##qualifier })

/** struct fault_effect - what the faults do to one command; all zero: nothing */
struct fault_effect {
	bool answer_set; /* instead of executing */
	struct answer answer;
	bool silent; /* no answer */
	bool lost;   /* executed, no answer */
	bool die;    /* before execution */
	bool die_after;
	bool garbage; /* status and qualifier */
	struct answer garbled;
	bool room_set; /* READ gives no more than this */
	uint64_t room;
	bool odd; /* READ gives an odd number of bytes */
	bool used_set;
	uint32_t used;
	bool context_len_set;
	uint64_t context_len; /* UINT64_MAX: one more than the room */
	uint64_t slow_ns;
};

struct admin_command {
	struct owner *owner;
	struct admin_request *request; /* NULL: forgotten by a reset */
	uint16_t opcode;
	uint16_t group;
	uint64_t member;
	struct function *fn; /* whose line it stands in; NULL: none */
	struct admin_command *queue_next;
	struct admin_command *line_next;
	struct vf_timer timer;
	enum { COMMAND_WAITS, COMMAND_IN_SERVICE, COMMAND_EXECUTING, COMMAND_EXECUTED } state;
	uint64_t writable;
	uint32_t readable;
	bool misformed;		/* wrong.c has something against its form */
	struct segments data;	/* behind the readable header */
	struct segments result; /* behind the writable header */
	uint64_t result_bytes;
	uint32_t output;
	uint32_t used;
	uint64_t begin_ns;
	uint32_t answered; /* status and qualifier << 16, for probes */
	bool mode_asked;   /* a MODE_SET that got as far as the mode table: from and to are set */
	uint8_t mode_from;
	uint8_t mode_to;
	struct fault_effect effect;
};

struct admin_queue {
	struct admin_command *first;
	struct admin_command **end;
};

struct admin {
	struct owner *owner;
	uint64_t list; /* legal commands of the SR-IOV group, by LIST_USE */
	struct admin_queue queues[OWNER_MAX_QUEUES];
	unsigned int queues_used; /* those from here on never had a command */
	bool turning;
	bool turn_again;
	struct vf_timer clock; /* changes blocks */
	uint64_t clock_at;
	struct vf_timer sweep; /* gives retired areas back */
	struct block_area *retired;
	struct block_area *spare; /* without content, its memory touched */
	uint64_t stage_bytes;	  /* in all VFs */
	uint64_t stage_limit;
	struct stopping *abandoned; /* fn_stop() calls whose answer is of no interest any more */
};

/** admin_execute() - carry out a command; calls service_executed() now or later. */
void admin_execute(struct admin_command *command);
/** service_executed() - the command's effect is done, its answer is @answer. */
void service_executed(struct admin_command *command, struct answer answer);
/** service_forget() - drop the requests of @count queues. */
void service_forget(struct owner *owner, unsigned int first, unsigned int count);
void service_free(struct owner *owner);

void mode_set(struct admin_command *command, unsigned int mode);
/** mode_vanish() - the VF is gone: a mode change under way has no one to answer for. */
void mode_vanish(struct function *fn);
void mode_free(struct owner *owner);

/** admin_log() - for --verbose. */
__attribute__((format(printf, 2, 3))) void admin_log(const struct function *fn, const char *format,
						     ...);

/* --- fault.c -------------------------------------------------------------------------------------- */

/** faults_pick() - which faults meet this command; counts it. */
struct fault_effect faults_pick(struct owner *owner, uint16_t opcode, uint64_t member);

#endif
