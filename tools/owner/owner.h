/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The software owner device: one PF with an admin virtqueue and its VFs, each a virtio-blk device that
 * moves real data, served over vfio-user. This header is the floor between two rooms:
 *
 *   the function (PCI, virtio transport, queues, block I/O):  what a guest and a VMM see
 *   the administration (commands, modes, context images, staging, commit): what an owner driver sees
 *
 * Nothing of the engine (user/lib) is used here but ring/ and context/.
 */
#ifndef OWNER_H
#define OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <vferry/admin.h>
#include <vferry/context.h>
#include <vferry/virtio.h>
#include "ring/ring.h"
#include "tools/owner/wrong.h"

#define OWNER_MAX_VFS	 250
#define OWNER_BLK_QUEUES 4   /* offered by a VF; a driver may enable fewer */
#define OWNER_MAX_QUEUES 80  /* of one function, admin queues included */
#define OWNER_QUEUE_SIZE 256 /* largest size of a queue */

struct owner;
struct function;

/* --- a queue, as the device knows it (function room writes it, administration reads and commits it) --- */
struct vqueue {
	uint16_t size;
	uint16_t vector;
	uint16_t enabled;
	uint16_t notify_off;
	uint16_t notif_data;
	uint64_t desc;
	uint64_t driver;
	uint64_t device;
	/* split ring */
	uint16_t next_avail; /* next available entry to take */
	uint16_t used;	     /* next used entry to write */
	uint16_t signalled;  /* used index at the last interrupt decision */
	bool kicked;	     /* doorbell rung while it could not be served (mode Stop) */
	bool owed;	     /* an interrupt is owed (mode Stop or Freeze) */
	uint32_t inflight;   /* requests taken and not yet completed */
};

/* --- a PCI function: the PF (number 0) or VF n --- */
struct function {
	struct owner *owner;
	uint16_t number;

	/* virtio state: what a context carries */
	uint64_t device_features;
	uint64_t driver_features;
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint16_t config_msix_vector;
	uint16_t queue_select;
	uint8_t config_generation;
	uint8_t device_status;
	bool config_owed; /* a configuration change interrupt is owed */
	uint16_t num_queues;
	struct vqueue
		*queues; /* num_queues, and for the PF the admin queues from admin_queue_index on */
	uint8_t device_cfg[64]; /* struct virtio_blk_config, zero padded */
	uint16_t device_cfg_len;

	enum vferry_mode mode;

	struct fn_io *io; /* the function room's own: PCI, vfio-user connection, DMA, disk */
	struct fn_admin *
		admin; /* the administration's own: change map, read cursor, staging, blocks; NULL for the PF */
};

/* --- the owner --- */
struct owner_opts {
	const char *socket_dir; /* pf0.sock, vf1.sock … vfN.sock */
	unsigned int vfs;	/* TotalVFs, and NumVFs enabled at the start with vfs_enabled */
	bool vfs_enabled;	/* VF Enable set at start (--vf-enable-sticky implies it) */
	bool vf_enable_sticky;
	bool retain; /* no reset when a connection closes */
	unsigned int blk_queues;
	unsigned int admin_queues;
	uint64_t context_bytes;	  /* extra blocks of each VF, rounded up to 64 KiB */
	uint64_t change_rate;	  /* bytes of extra context changed a second while Active */
	uint64_t service_time_ns; /* latency of each admin command */
	uint64_t seed;
	bool full_images;
	bool read_clears;
	bool no_ioeventfd;    /* doorbells by message only */
	struct wrongs wrongs; /* rules that it breaks on purpose */
	bool no_ring_reset;   /* VIRTIO_F_RING_RESET is not offered */
	bool take_over;	      /* connections may go to another owner process, and come from one */
	bool verbose;
};

struct owner {
	struct vf_ring *ring;
	struct owner_opts opts;
	struct function pf;
	struct function *vfs;  /* [1..opts.vfs]; [0] unused */
	uint16_t num_vfs;      /* VFs enabled now, 0 while VF Enable is clear */
	struct admin *admin;   /* the administration: list in use, service timers, faults */
	struct faults *faults; /* fault.c: what --fault asked for */
	struct owner_io *io;   /* the function room's own */
	void (*die)(struct owner *owner); /* a fault asked for death: exits without clean-up */
};

/* ====================== offered by the function room ====================== */

/** fn_stop() - Active -> Stop: take no more requests, finish what was taken, write its used entries; @done once nothing is inside. */
void fn_stop(struct function *fn, void (*done)(void *arg), void *arg);
/** fn_freeze() - fn->mode is still Stop. Stop -> Freeze: fold doorbells already received into the kicked bits, then ignore doorbells and configuration writes. */
void fn_freeze(struct function *fn);
/** fn_thaw() - fn->mode is Stop already. Freeze -> Stop: doorbells are remembered again, configuration writes taken. */
void fn_thaw(struct function *fn);
/** fn_resume() - now Active: look at every enabled queue as if notified, raise what is owed. fn->mode is set before the call. */
void fn_resume(struct function *fn);
/** fn_state_loaded() - queues, features, status were replaced by a commit: rebuild what derives from them (ring addresses, event-idx). */
void fn_state_loaded(struct function *fn);
/** fn_reset() - blank virtio state (reset or FLR); calls admin_function_reset(). Mode stays. */
void fn_reset(struct function *fn);
/** fn_num_vfs_changed() - implemented by the administration room: VF Enable or NumVFs was written, or an FLR of the PF cleared it. */

/* ====================== offered by the administration room ====================== */

/** admin_new() - makes owner->admin and each VF's fn->admin; queues, features and device_cfg of the VFs are there already. */
int admin_new(struct owner *owner, struct vferry_error *err);
void admin_free(struct owner *owner);

/** faults_add() - one --fault @spec into owner->faults (opts.seed is set); the words name the part that is wrong. */
int faults_add(struct owner *owner, const char *spec, struct vferry_error *err);
/** faults_help() - the syntax of --fault for --help, several lines. */
const char *faults_help(void);
void faults_free(struct owner *owner);

/** admin_changed() - key (type, index) of a VF's context has changed; called by the function room at each mutation of struct function. */
void admin_changed(struct function *fn, uint16_t type, uint32_t index);
/** admin_function_reset() - a VF was reset: state blank, blocks blank, a full image is due; staging survives, mode stays. */
void admin_function_reset(struct function *fn);
/** admin_staged_dropped() - for a wrong device: what is staged goes with an FLR. */
void admin_staged_dropped(struct function *fn);
/** admin_pf_reset() - virtio reset of the PF: list in use back to {0, 1}, read cursors closed, commands in service dropped (their buffers must not be touched any more). */
void admin_pf_reset(struct owner *owner);
/** admin_vfs_enabled() - VF Enable was set or cleared, NumVFs is now @num (0: cleared). VFs that come back are blank and Active. */
void admin_vfs_enabled(struct owner *owner, uint16_t num);

/**
 * struct admin_request - one descriptor chain from an admin queue, translated
 * @queue: which admin queue (from 0)
 * @out: device-readable segments, bounds-checked host memory
 * @in: device-writable segments
 * @complete: the administration calls it exactly once, in queue order, with the used length, unless the
 *	      request was dropped by admin_pf_reset() or admin_queue_reset() or swallowed by a fault (then never)
 *
 * The memory behind @out and @in is shared with a hostile driver: each byte is read once.
 */
struct admin_request {
	unsigned int queue;
	struct iovec *out;
	unsigned int out_count;
	struct iovec *in;
	unsigned int in_count;
	void (*complete)(struct admin_request *request, uint32_t used);
	void *arg;
	struct admin_command *command; /* the administration's own */
};

/** admin_request_begin() - takes @request until it calls complete; in queue order. */
void admin_request_begin(struct owner *owner, struct admin_request *request);
/** admin_queue_reset() - forget the requests of @queue: complete is never called for them. */
void admin_queue_reset(struct owner *owner, unsigned int queue);

#endif
