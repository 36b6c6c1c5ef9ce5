/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The group administration commands on the wire: the base command of virtio 1.3 (section 2.13,
 * "Group administration commands") and the seven device migration commands of the draft
 * "[PATCH v3 4/8] admin: Add device migration admin commands". Each number stands here and
 * nowhere else. Where the draft is silent the numbers are vferry's own and say so.
 */
#ifndef VFERRY_ADMIN_H
#define VFERRY_ADMIN_H

#include <vferry/names.h>
#include <assert.h>
#include <endian.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VFERRY_STATIC_ASSERT(c, m) static_assert(c, m)
#else
#define VFERRY_STATIC_ASSERT(c, m) _Static_assert(c, m)
#endif

/* Opcodes. X(NAME, number, "name in output, events and JSON"). 0x2-0x6 are virtio 1.3's legacy commands. */
#define VFERRY_ADMIN_OPCODES(X)                              \
	X(LIST_QUERY, 0x0, "list_query")                     \
	X(LIST_USE, 0x1, "list_use")                         \
	X(DEV_MODE_GET, 0x7, "dev_mode_get")                 \
	X(DEV_MODE_SET, 0x8, "dev_mode_set")                 \
	X(DEV_CTX_SIZE_GET, 0x9, "dev_ctx_size_get")         \
	X(DEV_CTX_READ, 0xa, "dev_ctx_read")                 \
	X(DEV_CTX_WRITE, 0xb, "dev_ctx_write")               \
	X(DEV_CTX_FIELDS_QUERY, 0xc, "dev_ctx_fields_query") \
	X(DEV_CTX_DISCARD, 0xd, "dev_ctx_discard")

/* Status of a command (virtio 1.3, "Group administration command status"; 6, 16 and 28 since 1.4). */
#define VFERRY_ADMIN_STATUSES(X) \
	X(OK, 0, "ok")           \
	X(ENXIO, 6, "enxio")     \
	X(EAGAIN, 11, "eagain")  \
	X(ENOMEM, 12, "enomem")  \
	X(EBUSY, 16, "ebusy")    \
	X(EINVAL, 22, "einval")  \
	X(ENOSPC, 28, "enospc")

/* Status qualifier. An unknown one counts as INVALID_COMMAND. */
#define VFERRY_ADMIN_QUALIFIERS(X)               \
	X(OK, 0, "ok")                           \
	X(INVALID_COMMAND, 1, "invalid_command") \
	X(INVALID_OPCODE, 2, "invalid_opcode")   \
	X(INVALID_FIELD, 3, "invalid_field")     \
	X(INVALID_GROUP, 4, "invalid_group")     \
	X(INVALID_MEMBER, 5, "invalid_member")   \
	X(NORESOURCE, 6, "noresource")           \
	X(TRYAGAIN, 7, "tryagain")

/* Device modes. The numbers are vferry's reading of the draft (its patch 1/8 is not public). */
#define VFERRY_MODES(X)        \
	X(ACTIVE, 0, "active") \
	X(STOP, 1, "stop")     \
	X(FREEZE, 2, "freeze")

enum vferry_admin_opcode {
#define X(name, number, text) VFERRY_CMD_##name = number,
	VFERRY_ADMIN_OPCODES(X)
#undef X
};

enum vferry_admin_status_code {
#define X(name, number, text) VFERRY_STATUS_##name = number,
	VFERRY_ADMIN_STATUSES(X)
#undef X
};

enum vferry_admin_qualifier {
#define X(name, number, text) VFERRY_Q_##name = number,
	VFERRY_ADMIN_QUALIFIERS(X)
#undef X
};

enum vferry_mode {
#define X(name, number, text) VFERRY_MODE_##name = number,
	VFERRY_MODES(X)
#undef X
};

#define VFERRY_GROUP_SELF  0 /* virtio 1.4 */
#define VFERRY_GROUP_SRIOV 1 /* member id = VF number, 1..NumVFs */

/* The bits of LIST_QUERY and LIST_USE that migration needs: all of 7..13, or the device is refused. */
#define VFERRY_LIST_BASE      ((1ULL << VFERRY_CMD_LIST_QUERY) | (1ULL << VFERRY_CMD_LIST_USE))
#define VFERRY_LIST_MIGRATION 0x3f80ULL

/* Both parts of a command on the queue are multiples of this many bytes (driver MUST). */
#define VFERRY_ADMIN_ALIGN 8

/* Device-readable part: this header, then command_specific_data. */
struct vferry_admin_hdr {
	__le16 opcode;
	__le16 group_type;
	__u8 reserved1[12];
	__le64 group_member_id;
};

/* Device-writable part: this, then command_specific_result. virtio 1.3 calls output "reserved2". */
struct vferry_admin_answer_hdr {
	__le16 status;
	__le16 status_qualifier;
	__u8 output[4]; /* command_specific_output: le32 context_len for DEV_CTX_READ */
};

struct vferry_admin_mode { /* data of DEV_MODE_SET, result of DEV_MODE_GET */
	__u8 mode;
};

struct vferry_admin_size_data {
	__u8 freeze_mode; /* 0: as the mode is now, 1: as it will be in Freeze */
};

struct vferry_admin_size_result {
	__le64 size;
};

struct vferry_admin_field { /* entry of DEV_CTX_FIELDS_QUERY's result */
	__le16 type;
	__u8 reserved[6];
	__le64 length; /* 0: variable; otherwise the largest value's length (device-rules) */
};

VFERRY_STATIC_ASSERT(sizeof(struct vferry_admin_hdr) == 24, "readable header");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_admin_hdr, group_type) == 2, "group_type");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_admin_hdr, reserved1) == 4, "reserved1");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_admin_hdr, group_member_id) == 16, "group_member_id");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_admin_answer_hdr) == 8, "writable header");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_admin_answer_hdr, status_qualifier) == 2, "qualifier");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_admin_answer_hdr, output) == 4, "output");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_admin_mode) == 1, "mode");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_admin_size_data) == 1, "size data");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_admin_size_result) == 8, "size result");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_admin_field) == 16, "field entry");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_admin_field, length) == 8, "field length");

/* Names for text and JSON; "unknown" for what is not in the tables above. */
VFERRY_NAMES(vferry_opcode_name, VFERRY_ADMIN_OPCODES, "unknown")

VFERRY_NAMES(vferry_status_name, VFERRY_ADMIN_STATUSES, "unknown")

VFERRY_NAMES(vferry_qualifier_name, VFERRY_ADMIN_QUALIFIERS, "unknown")

VFERRY_NAMES(vferry_mode_name, VFERRY_MODES, "unknown")

#endif
