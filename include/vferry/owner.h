/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An owner device: open it by address, give it commands. A handle belongs to the thread that opened it.
 */
#ifndef VFERRY_OWNER_H
#define VFERRY_OWNER_H

#include <vferry/command.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct vferry_owner;

/* Hold the PF in this process instead of borrowing from a keeper: closing it resets the owner and all its VFs. */
#define VFERRY_OWNER_DIRECT 0x1u
/* Fail with -ENOENT when no keeper holds the owner; default: one is started, detached. */
#define VFERRY_OWNER_NO_START 0x2u
/* Wait until the VFs and an admin queue are free; default: -EBUSY. */
#define VFERRY_OWNER_WAIT 0x4u
/* Nobody else may borrow meanwhile (LIST_USE). */
#define VFERRY_OWNER_ALONE 0x8u

/**
 * struct vferry_owner_opts - how to open
 * @size: sizeof(struct vferry_owner_opts), so that the structure can grow
 * @flags: VFERRY_OWNER_*
 * @vfs: VF numbers to borrow; none is needed for the LIST commands
 * @vfs_count: how many
 * @arena_bytes: memory for context bytes; 0: 64 MiB
 * @slot_bytes: largest chunk; 0: 256 KiB
 * @timeout_ns: for opening and for each command; 0: 5 s
 * @num_vfs: DIRECT, or a keeper started for this: VFs to enable; 0: as found
 */
struct vferry_owner_opts {
	uint32_t size;
	uint32_t flags;
	const uint16_t *vfs;
	uint32_t vfs_count;
	uint32_t slot_bytes;
	uint64_t arena_bytes;
	uint64_t timeout_ns;
	uint16_t num_vfs;
};

/**
 * vferry_owner_open() - open an owner device
 * @out: the handle, owned by the caller
 * @address: vfio-user:PATH, vfio:BDF or uring-cmd:PATH
 * @opts: may be NULL
 * @err: may be NULL
 *
 * Return: 0; -EINVAL for an address that cannot be; -ENOENT, -ECONNREFUSED: nobody there; -EBUSY: a VF or every queue is lent (the
 * words name the borrower); -EOPNOTSUPP: no admin queue, or a command that migration needs is missing; -EACCES; -ETIMEDOUT; -errno.
 */
int vferry_owner_open(struct vferry_owner **out, const char *address,
		      const struct vferry_owner_opts *opts, struct vferry_error *err);
/** vferry_owner_close() - give everything back. Commands under way are waited for up to their deadlines. */
void vferry_owner_close(struct vferry_owner *owner);

/** vferry_owner_submit() - hand a command over; the device gets it in the next vferry_owner_turn(), and done() is called once, from there. */
void vferry_owner_submit(struct vferry_owner *owner, struct vferry_cmd *cmd);
/** vferry_owner_turn() - run what is due; wait up to @timeout_ns (0: do not wait, UINT64_MAX: until something happens). Number of callbacks, or -errno. */
int vferry_owner_turn(struct vferry_owner *owner, uint64_t timeout_ns);
/** vferry_owner_fd() - readable when vferry_owner_turn() has something to do (answers, deadlines, commands handed over); for a VMM's own loop. -errno. */
int vferry_owner_fd(struct vferry_owner *owner);
/** vferry_owner_exec() - submit and wait. 0 when the device answered: then look at cmd->status. */
int vferry_owner_exec(struct vferry_owner *owner, struct vferry_cmd *cmd);

uint16_t vferry_owner_num_vfs(const struct vferry_owner *owner);
const uint8_t *vferry_owner_epoch(const struct vferry_owner *owner); /* 16 bytes */
const struct vferry_admin_stats *vferry_owner_stats(const struct vferry_owner *owner);

/**
 * struct vferry_answer - what the device said to one of the calls below
 */
struct vferry_answer {
	uint16_t opcode;
	uint16_t status;
	uint16_t qualifier;
};

/*
 * The commands, each waiting for its answer. Return 0 when the device said OK; -EREMOTEIO when it answered with another status (@answer, may be
 * NULL, has it; the words too); else as vferry_cmd.error.
 */
int vferry_mode_get(struct vferry_owner *owner, uint16_t vf, enum vferry_mode *mode,
		    struct vferry_answer *answer, struct vferry_error *err);
int vferry_mode_set(struct vferry_owner *owner, uint16_t vf, enum vferry_mode mode,
		    struct vferry_answer *answer, struct vferry_error *err);
/** vferry_ctx_size() - estimate in bytes of what remains to be read, now (@freeze false) or as it will be in Freeze. */
int vferry_ctx_size(struct vferry_owner *owner, uint16_t vf, bool freeze, uint64_t *bytes,
		    struct vferry_answer *answer, struct vferry_error *err);
/**
 * vferry_ctx_read() - the next chunk of the context
 * @bytes: where the chunk stands, in the owner's arena, until the next command; not copied
 * @count: context_len, 0 at the end
 *
 * Needs an arena: one is there unless vferry_owner_opts.arena_bytes asked for less than a slot.
 */
int vferry_ctx_read(struct vferry_owner *owner, uint16_t vf, const void **bytes, uint32_t *count,
		    struct vferry_answer *answer, struct vferry_error *err);
/** vferry_ctx_write() - @count (a multiple of 8) bytes of a context; copied into the arena (the migration path does not use this). */
int vferry_ctx_write(struct vferry_owner *owner, uint16_t vf, const void *bytes, uint32_t count,
		     struct vferry_answer *answer, struct vferry_error *err);
/** vferry_ctx_fields() - supported fields; @fields has room for *@count, which becomes the number that there are. */
int vferry_ctx_fields(struct vferry_owner *owner, uint16_t vf, struct vferry_admin_field *fields,
		      uint32_t *count, struct vferry_answer *answer, struct vferry_error *err);
int vferry_ctx_discard(struct vferry_owner *owner, uint16_t vf, struct vferry_answer *answer,
		       struct vferry_error *err);
/** vferry_list_query() - legal opcodes of a group type, bit n of word n/64; @words has room for *@count. */
int vferry_list_query(struct vferry_owner *owner, uint16_t group_type, uint64_t *words,
		      uint32_t *count, struct vferry_answer *answer, struct vferry_error *err);
int vferry_list_use(struct vferry_owner *owner, uint16_t group_type, const uint64_t *words,
		    uint32_t count, struct vferry_answer *answer, struct vferry_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
