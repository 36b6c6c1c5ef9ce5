/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The device context's container. The draft's patch 3/8 is not public, so this format is vferry's own
 * decision (device-rules, "The container"):
 *
 *   field  := le16 type, u8 flags, u8 reserved, le32 index, le64 length, value, zero padding to 8
 *   image  := START field* END
 *   stream := image+
 */
#ifndef VFERRY_CONTEXT_H
#define VFERRY_CONTEXT_H

#include <stdbool.h>
#include <vferry/admin.h>
#include <vferry/error.h>

#define VFERRY_CTX_ALIGN 8

/* X(NAME, number, "name", length of the value or 0 when it varies) */
#define VFERRY_CTX_TYPES(X)                            \
	X(START, 0x0, "start", 8)                      \
	X(END, 0x1, "end", 0)                          \
	X(DEV_FEATURES, 0x100, "device_features", 0)   \
	X(DRV_FEATURES, 0x101, "driver_features", 0)   \
	X(PCI_COMMON_CFG, 0x102, "pci_common_cfg", 0)  \
	X(DEVICE_STATUS, 0x103, "device_status", 1)    \
	X(VQ_CFG, 0x104, "vq_cfg", 32)                 \
	X(VQ_NOTIFY_CFG, 0x105, "vq_notify_cfg", 8)    \
	X(VQ_SPLIT_STATE, 0x180, "vq_split_state", 16) \
	X(DEVICE_CFG, 0x181, "device_cfg", 0)          \
	X(BLOCK, 0x300, "block", 65536)

enum vferry_ctx_type {
#define X(name, number, text, length) VFERRY_CTX_##name = number,
	VFERRY_CTX_TYPES(X)
#undef X
};

#define VFERRY_CTX_F_OPTIONAL	 0x01 /* a reader that does not know the type skips the field */
#define VFERRY_CTX_START_F_DELTA 0x01 /* only keys changed since the stream's last complete image */
#define VFERRY_CTX_BLOCK_BYTES	 65536

struct vferry_ctx_field {
	__le16 type;
	__u8 flags;
	__u8 reserved;
	__le32 index;
	__le64 length; /* of the value, without padding */
};

struct vferry_ctx_start { /* value of START */
	__le32 flags;
	__le32 reserved;
};

/* Value of PCI_COMMON_CFG (index 0): what of the common configuration the guest can set or must agree. */
struct vferry_ctx_pci_common_cfg {
	__le32 device_feature_select;
	__le32 driver_feature_select;
	__le16 config_msix_vector;
	__le16 queue_select;
	__le16 num_queues; /* compared, never set */
	__u8 config_generation;
	__u8 reserved;
};

struct vferry_ctx_vq_cfg { /* VQ_CFG, index = queue; layout of virtio 1.4's part 0x104 */
	__le16 queue_size;
	__le16 vector;
	__le16 enabled;
	__le16 reserved;
	__le64 queue_desc;
	__le64 queue_driver;
	__le64 queue_device;
};

struct vferry_ctx_vq_notify_cfg { /* VQ_NOTIFY_CFG, index = queue; layout of virtio 1.4's part 0x105 */
	__le16 queue_notify_off;
	__le16 queue_notif_config_data;
	__u8 reserved[4];
};

#define VFERRY_CTX_VQ_KICKED \
	0x01 /* the driver rang the doorbell while the device could not serve it */
#define VFERRY_CTX_VQ_OWED 0x02 /* an interrupt for used entries is still to be raised */

struct vferry_ctx_vq_split_state { /* VQ_SPLIT_STATE, index = queue */
	__le16 next_avail;	   /* index of the next available entry to take */
	__le16 used;		   /* index of the next used entry to write */
	__le16 signalled;	   /* used index at the last interrupt decision (event-idx) */
	__le16 flags;		   /* VFERRY_CTX_VQ_* */
	__u8 config_owed;	   /* queue 0 only: a configuration change interrupt is owed */
	__u8 reserved[7];
};

VFERRY_STATIC_ASSERT(sizeof(struct vferry_ctx_field) == 16, "field header");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_ctx_field, flags) == 2, "flags");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_ctx_field, index) == 4, "index");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_ctx_field, length) == 8, "length");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_ctx_start) == 8, "start");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_ctx_pci_common_cfg) == 16, "pci common cfg");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_ctx_vq_cfg) == 32, "vq cfg");
VFERRY_STATIC_ASSERT(offsetof(struct vferry_ctx_vq_cfg, queue_desc) == 8, "vq cfg desc");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_ctx_vq_notify_cfg) == 8, "vq notify cfg");
VFERRY_STATIC_ASSERT(sizeof(struct vferry_ctx_vq_split_state) == 16, "vq split state");

static inline const char *vferry_ctx_type_name(unsigned int type)
{
	switch (type) {
#define X(name, number, text, length) \
	case number:                  \
		return text;
		VFERRY_CTX_TYPES(X)
#undef X
	}
	return "unknown";
}

/* Bytes that a field with a value of @length takes in an image; the caller has bounded @length. */
static inline uint64_t vferry_ctx_field_bytes(uint64_t length)
{
	return sizeof(struct vferry_ctx_field) +
	       ((length + VFERRY_CTX_ALIGN - 1) & ~(uint64_t)(VFERRY_CTX_ALIGN - 1));
}

/**
 * struct vferry_ctx_event - what vferry_ctx_walk() has found
 * @kind: see below
 * @image: number of the image, from 0
 * @delta: the image is a delta
 * @type: field type (enum vferry_ctx_type or one unknown to vferry)
 * @flags: field flags
 * @index: field index
 * @length: length of the field's value in bytes, without padding
 * @offset: VALUE: where in the value @bytes begin. Otherwise: the field's offset in the stream
 * @bytes: VALUE: a run of value bytes inside the caller's buffer
 * @count: VALUE: how many
 */
struct vferry_ctx_event {
	enum {
		VFERRY_CTX_IMAGE_BEGIN, /* START is complete */
		VFERRY_CTX_FIELD_BEGIN,
		VFERRY_CTX_VALUE, /* zero or more a field */
		VFERRY_CTX_FIELD_END,
		VFERRY_CTX_IMAGE_END, /* END is complete */
	} kind;
	uint32_t image;
	bool delta;
	uint16_t type;
	uint8_t flags;
	uint32_t index;
	uint64_t length;
	uint64_t offset;
	const uint8_t *bytes;
	uint64_t count;
};

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

struct vferry_ctx_walker;

/**
 * struct vferry_ctx_walk_opts - limits of a walk
 * @image_bound: largest number of bytes that one image may have; a field whose length goes beyond it is refused
 * @fields_max: largest number of fields in one image
 * @known: answers whether @type may stand in an image though it is not OPTIONAL; NULL: every type may
 *	   (the engine carries what it does not know; a device refuses it)
 * @event: called for each event; non-zero (a negative errno) ends the walk with it. May be NULL
 * @arg: for both
 */
struct vferry_ctx_walk_opts {
	uint64_t image_bound;
	uint32_t fields_max;
	bool (*known)(void *arg, uint16_t type);
	int (*event)(void *arg, const struct vferry_ctx_event *event);
	void *arg;
};

/**
 * vferry_ctx_walker_new() - begin to walk a stream of images
 * @opts: limits and callbacks, copied
 *
 * The walker is incremental: bytes may be cut anywhere. It never copies value bytes and never
 * looks beyond what it was given. It refuses: reserved bits set, padding that is not zero, a
 * length beyond the bound, a key twice in one image, a marker out of place, an unknown type that is
 * not OPTIONAL when @opts->known says so, a delta with no full image before it, a marker's wrong length,
 * flags or index. An OPTIONAL field of an unknown type is told like any other: the caller skips it.
 *
 * Return: the walker, owned by the caller (vferry_ctx_walker_free()), or NULL without memory.
 */
struct vferry_ctx_walker *vferry_ctx_walker_new(const struct vferry_ctx_walk_opts *opts);
void vferry_ctx_walker_free(struct vferry_ctx_walker *walker);

/**
 * vferry_ctx_walk() - give the walker the next bytes
 * @walker: the walker
 * @bytes: next bytes of the stream
 * @count: how many
 * @err: may be NULL; says which field at which offset is wrong, and why
 *
 * Return: 0; -EBADMSG for a malformed stream (every later call gives it again); -ENOMEM; what the
 * event callback returned.
 */
int vferry_ctx_walk(struct vferry_ctx_walker *walker, const void *bytes, uint64_t count,
		    struct vferry_error *err);

/** vferry_ctx_walk_images() - complete images so far. */
uint32_t vferry_ctx_walk_images(const struct vferry_ctx_walker *walker);
/** vferry_ctx_walk_offset() - bytes walked so far. */
uint64_t vferry_ctx_walk_offset(const struct vferry_ctx_walker *walker);
/** vferry_ctx_walk_open() - true inside an image: bytes are missing before it is complete. */
bool vferry_ctx_walk_open(const struct vferry_ctx_walker *walker);
/** vferry_ctx_walk_reset() - forget all that was walked and begin anew. */
void vferry_ctx_walk_reset(struct vferry_ctx_walker *walker);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
