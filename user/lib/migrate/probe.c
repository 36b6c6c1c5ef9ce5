// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <endian.h>
#include <errno.h>
#include <string.h>
#include "migrate/probe.h"

#define IMAGE_BOUND (1ULL << 40)
#define FIELDS_MAX  (1u << 24)
#define TRIES	    8
#define START_BYTES ((uint32_t)(sizeof(struct vferry_ctx_field) + sizeof(struct vferry_ctx_start)))

void vf_probe_drop(struct vf_probe *probe)
{
	if (probe->slot)
		vf_arena_put(probe->arena, probe->slot);
	probe->slot = NULL;
	probe->have = 0;
}

static void finish(struct vf_probe *probe, int error)
{
	if (error || !probe->keep)
		vf_probe_drop(probe);
	vferry_ctx_walker_free(probe->walker);
	probe->walker = NULL;
	probe->running = false;
	probe->done(probe->arg, error, &probe->why);
}

static void call(struct vf_probe *probe, uint16_t opcode, void (*done)(struct vferry_cmd *cmd))
{
	probe->cmd = (struct vferry_cmd){
		.opcode = opcode,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = probe->vf,
		.done = done,
		.arg = probe,
	};
}

/* True when the device answered OK; otherwise the probe is over. */
static bool is_ok(struct vf_probe *probe)
{
	const struct vferry_cmd *cmd = &probe->cmd;
	const char *name = vferry_opcode_name(cmd->opcode);
	int error = cmd->error;

	if (cmd->abandoned && cmd->opcode == VFERRY_CMD_DEV_CTX_READ)
		probe->slot = NULL; /* the device may still write there */
	if (error) {
		vferry_fail(&probe->why, error, "%s: %s", name,
			    error == -ETIMEDOUT ? "not answered in time"
			    : cmd->why		? cmd->why
						: strerror(-error));
	} else if (cmd->status != VFERRY_STATUS_OK) {
		probe->status = cmd->status;
		probe->qualifier = cmd->qualifier;
		error = vferry_fail(&probe->why, -EREMOTEIO,
				    "the device answered %s with %s (%u), qualifier %s (%u)", name,
				    vferry_status_name(cmd->status), cmd->status,
				    vferry_qualifier_name(cmd->qualifier), cmd->qualifier);
	}
	if (error)
		finish(probe, error);
	return !error;
}

/* --- what the fields say --- */

static void field_over(struct vf_probe *probe, const struct vferry_ctx_event *event)
{
	struct vf_description *about = probe->about;
	const uint8_t *value = probe->value;
	uint32_t count = probe->value_bytes;

	switch (event->type) {
	case VFERRY_CTX_DEV_FEATURES:
		if (count <= sizeof(about->features)) {
			memcpy(about->features, value, count);
			about->features_bytes = count;
		}
		break;
	case VFERRY_CTX_PCI_COMMON_CFG: {
		struct vferry_ctx_pci_common_cfg common;

		if (count < sizeof(common))
			break;
		memcpy(&common, value, sizeof(common));
		about->num_queues = le16toh(common.num_queues);
		about->has_common = true;
		break;
	}
	case VFERRY_CTX_DEVICE_STATUS:
		if (count < 1)
			break;
		about->device_status = value[0];
		about->has_status = true;
		break;
	case VFERRY_CTX_VQ_CFG: {
		struct vferry_ctx_vq_cfg queue;

		if (count < sizeof(queue) || event->index >= VF_QUEUES_MAX)
			break;
		memcpy(&queue, value, sizeof(queue));
		about->queue_size[event->index] = le16toh(queue.queue_size);
		if (event->index >= about->queue_count)
			about->queue_count = event->index + 1;
		break;
	}
	case VFERRY_CTX_DEVICE_CFG:
		if (count <= sizeof(about->config)) {
			memcpy(about->config, value, count);
			about->config_bytes = count;
		}
		break;
	}
}

static int on_event(void *arg, const struct vferry_ctx_event *event)
{
	struct vf_probe *probe = arg;

	switch (event->kind) {
	case VFERRY_CTX_IMAGE_BEGIN:
		break;
	case VFERRY_CTX_FIELD_BEGIN:
		probe->value_bytes = 0;
		break;
	case VFERRY_CTX_VALUE:
		if (event->length <= sizeof(probe->value) &&
		    event->count <= sizeof(probe->value) - probe->value_bytes) {
			memcpy(probe->value + probe->value_bytes, event->bytes, event->count);
			probe->value_bytes += (uint32_t)event->count;
		}
		break;
	case VFERRY_CTX_FIELD_END:
		if (event->length == probe->value_bytes)
			field_over(probe, event);
		break;
	case VFERRY_CTX_IMAGE_END:
		probe->image_over = true;
		break;
	}
	return 0;
}

static bool supports(const struct vf_description *about, uint16_t type)
{
	for (uint32_t i = 0; i < about->field_count; i++)
		if (about->fields[i].type == type)
			return true;
	return false;
}

/* All that can be compared has been told: the rest of the image need not be read. */
static bool knows_enough(const struct vf_probe *probe)
{
	const struct vf_description *about = probe->about;

	if (probe->image_over)
		return true;
	if (!about->has_status || !about->has_common || !about->features_bytes)
		return false;
	if (!about->config_bytes && supports(about, VFERRY_CTX_DEVICE_CFG))
		return false;
	return !supports(about, VFERRY_CTX_VQ_CFG) || about->queue_count >= about->num_queues;
}

/* --- the commands, one after the other --- */

static void read_next(struct vf_probe *probe);
static void discarded_again(struct vferry_cmd *cmd);

static void size_freeze_got(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;
	uint64_t size;

	if (!is_ok(probe))
		return;
	memcpy(&size, cmd->answer, sizeof(size));
	probe->about->size_freeze = le64toh(size);
	finish(probe, 0);
}

static void ask_size(struct vf_probe *probe, uint8_t freeze, void (*done)(struct vferry_cmd *cmd))
{
	call(probe, VFERRY_CMD_DEV_CTX_SIZE_GET, done);
	probe->cmd.inline_data[0] = freeze;
	probe->cmd.inline_length = 1;
	probe->cmd.result_room = sizeof(struct vferry_admin_size_result);
	vf_admin_submit(probe->admin, &probe->cmd);
}

static void size_now_got(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;
	uint64_t size;

	if (!is_ok(probe))
		return;
	memcpy(&size, cmd->answer, sizeof(size));
	probe->about->size_now = le64toh(size);
	ask_size(probe, 1, size_freeze_got);
}

static void discard(struct vf_probe *probe, void (*done)(struct vferry_cmd *cmd))
{
	call(probe, VFERRY_CMD_DEV_CTX_DISCARD, done);
	vf_admin_submit(probe->admin, &probe->cmd);
}

static void read_into(struct vf_probe *probe, uint32_t offset, uint32_t room,
		      void (*done)(struct vferry_cmd *cmd))
{
	call(probe, VFERRY_CMD_DEV_CTX_READ, done);
	probe->sg = (struct vferry_sg){ .iova = probe->slot->iova + offset, .length = room };
	probe->cmd.result = &probe->sg;
	probe->cmd.result_count = 1;
	vf_admin_submit(probe->admin, &probe->cmd);
}

/* True and a length, or the probe is over. */
static bool chunk_length(struct vf_probe *probe, uint32_t *length)
{
	const struct vferry_cmd *cmd = &probe->cmd;

	if (!is_ok(probe))
		return false;
	memcpy(length, cmd->output, sizeof(*length));
	*length = le32toh(*length);
	if (*length <= probe->sg.length && cmd->used >= *length)
		return true;
	finish(probe,
	       vferry_fail(&probe->why, -EPROTO,
			   "dev_ctx_read: context_len %u, %u bytes written, room %u: the answer "
			   "contradicts itself",
			   *length, cmd->used, probe->sg.length));
	return false;
}

static void read_over(struct vf_probe *probe)
{
	if (probe->keep)
		ask_size(probe, 0, size_now_got);
	else
		discard(probe, discarded_again);
}

static void chunk_got(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;
	uint32_t length;
	int ret;

	if (!chunk_length(probe, &length))
		return;
	if (!length) {
		finish(probe,
		       vferry_fail(&probe->why, -EBADMSG,
				   "the context ended after %llu bytes, inside an image",
				   (unsigned long long)vferry_ctx_walk_offset(probe->walker)));
		return;
	}
	ret = vferry_ctx_walk(probe->walker, (uint8_t *)probe->slot->memory + probe->have, length,
			      &probe->why);
	if (ret) {
		finish(probe, ret);
		return;
	}
	probe->have += length;
	read_next(probe);
}

/* The room of a result is a multiple of 8, whatever a chunk's length was. */
static uint32_t room_left(const struct vf_probe *probe)
{
	return (probe->slot->bytes - probe->have) & ~(uint32_t)(VFERRY_ADMIN_ALIGN - 1);
}

static void read_next(struct vf_probe *probe)
{
	if (knows_enough(probe)) {
		read_over(probe);
		return;
	}
	if (!room_left(probe)) {
		if (probe->keep) { /* what is not in the first chunk is not compared */
			read_over(probe);
			return;
		}
		probe->have = 0;
	}
	read_into(probe, probe->have, room_left(probe), chunk_got);
}

/* Where a START's flags stand behind its header; true for a START of a full image. */
static bool is_start(const uint8_t *bytes, bool *delta)
{
	struct vferry_ctx_field field;
	struct vferry_ctx_start start;

	memcpy(&field, bytes, sizeof(field));
	memcpy(&start, bytes + sizeof(field), sizeof(start));
	*delta = le32toh(start.flags) & VFERRY_CTX_START_F_DELTA;
	return le16toh(field.type) == VFERRY_CTX_START && !field.flags && !field.reserved &&
	       !field.index && le64toh(field.length) == sizeof(start);
}

static void start_again(struct vferry_cmd *cmd);
static void read_plainly(struct vferry_cmd *cmd);

/*
 * A device that gives less than START at once cannot be asked for just the rest. It is asked anew; when it never gives
 * it whole, it is taken for one whose READ clears, which is always right and costs keeping what it gives.
 */
static void came_short(struct vf_probe *probe)
{
	probe->have = 0;
	if (++probe->tries < TRIES) {
		discard(probe, start_again);
		return;
	}
	probe->about->reads_clear = true;
	discard(probe, read_plainly);
}

static void second_start_got(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;
	uint8_t *memory = probe->slot->memory;
	uint32_t length;
	bool delta;
	int ret;

	if (!chunk_length(probe, &length))
		return;
	if (!length) {
		finish(probe,
		       vferry_fail(&probe->why, -EOPNOTSUPP,
				   "after DISCARD the device has no context to give: this VF "
				   "cannot be moved before it is reset"));
		return;
	}
	if (length < START_BYTES) {
		came_short(probe);
		return;
	}
	if (!is_start(memory + START_BYTES, &delta)) {
		finish(probe,
		       vferry_fail(&probe->why, -EBADMSG,
				   "after DISCARD the context does not begin with a START field"));
		return;
	}
	probe->about->reads_clear = delta;
	/* Either way the device stands behind a START now, and the full one is at the slot's beginning. */
	probe->have = START_BYTES;
	ret = vferry_ctx_walk(probe->walker, memory, START_BYTES, &probe->why);
	if (ret)
		finish(probe, ret);
	else
		read_next(probe);
}

static void discarded_start(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;

	if (is_ok(probe))
		read_into(probe, START_BYTES, START_BYTES, second_start_got);
}

static void start_got(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;
	uint32_t length;
	bool delta;

	if (!chunk_length(probe, &length))
		return;
	if (!length) {
		finish(probe,
		       vferry_fail(&probe->why, -EOPNOTSUPP,
				   "the device has no context to give: its READ clears, and what "
				   "it had was read before. This VF cannot be moved before it is "
				   "reset"));
		return;
	}
	if (length < START_BYTES) {
		came_short(probe);
		return;
	}
	if (!is_start(probe->slot->memory, &delta)) {
		finish(probe, vferry_fail(&probe->why, -EBADMSG,
					  "the context does not begin with a START field"));
		return;
	}
	if (delta) {
		finish(probe,
		       vferry_fail(&probe->why, -EOPNOTSUPP,
				   "the device gives a delta after DISCARD: its READ clears, and "
				   "the rest was read before. This VF cannot be moved before it is "
				   "reset"));
		return;
	}
	discard(probe, discarded_start);
}

static void start_again(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;

	if (is_ok(probe))
		read_into(probe, 0, START_BYTES, start_got);
}

static void read_plainly(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;

	if (is_ok(probe))
		read_next(probe);
}

static void discarded_again(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;

	if (is_ok(probe))
		ask_size(probe, 0, size_now_got);
}

static void fields_got(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;
	struct vf_description *about = probe->about;
	const uint8_t *at = cmd->answer;

	if (!is_ok(probe))
		return;
	about->field_count = cmd->used / sizeof(struct vferry_admin_field);
	if (about->field_count > VF_FIELDS_MAX)
		about->field_count = VF_FIELDS_MAX;
	for (uint32_t i = 0; i < about->field_count; i++, at += sizeof(struct vferry_admin_field)) {
		struct vferry_admin_field field;

		memcpy(&field, at, sizeof(field));
		about->fields[i].type = le16toh(field.type);
		about->fields[i].length = le64toh(field.length);
	}
	discard(probe, start_again);
}

static void mode_got(struct vferry_cmd *cmd)
{
	struct vf_probe *probe = cmd->arg;

	if (!is_ok(probe))
		return;
	probe->about->mode = *(const uint8_t *)cmd->answer;
	if (probe->about->mode > VFERRY_MODE_FREEZE) {
		finish(probe, vferry_fail(&probe->why, -EPROTO,
					  "dev_mode_get: the device is in mode %u, which is none",
					  probe->about->mode));
		return;
	}
	call(probe, VFERRY_CMD_DEV_CTX_FIELDS_QUERY, fields_got);
	probe->cmd.result_room = VF_FIELDS_MAX * sizeof(struct vferry_admin_field);
	vf_admin_submit(probe->admin, &probe->cmd);
}

static void begin(struct vf_probe *probe);

static void try_again(struct vf_timer *timer)
{
	begin((struct vf_probe *)((char *)timer - offsetof(struct vf_probe, retry)));
}

static void begin(struct vf_probe *probe)
{
	probe->slot = vf_arena_get(probe->arena);
	if (!probe->slot) { /* other VFs' probes hold them, for a moment */
		probe->retry.fn = try_again;
		vf_timer_set(probe->admin->ring, &probe->retry, vf_now_ns() + 1000000);
		return;
	}
	call(probe, VFERRY_CMD_DEV_MODE_GET, mode_got);
	probe->cmd.result_room = 1;
	vf_admin_submit(probe->admin, &probe->cmd);
}

void vf_probe_start(struct vf_probe *probe, struct vf_admin *admin, struct vf_arena *arena,
		    uint16_t vf, bool keep, struct vf_description *about,
		    void (*done)(void *arg, int error, const struct vferry_error *why), void *arg)
{
	const struct vferry_ctx_walk_opts opts = {
		.image_bound = IMAGE_BOUND,
		.fields_max = FIELDS_MAX,
		.event = on_event,
		.arg = probe,
	};

	memset(probe, 0, sizeof(*probe));
	memset(about, 0, sizeof(*about));
	probe->admin = admin;
	probe->arena = arena;
	probe->vf = vf;
	probe->keep = keep;
	probe->about = about;
	probe->done = done;
	probe->arg = arg;
	probe->running = true;
	probe->walker = vferry_ctx_walker_new(&opts);
	if (!probe->walker) {
		finish(probe, vferry_fail(&probe->why, -ENOMEM, "no memory to read VF %u", vf));
		return;
	}
	begin(probe);
}
