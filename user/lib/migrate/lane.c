// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <vferry/probes.h>
#include "migrate/fault_point.h"
#include "migrate/group.h"

#define SHOW_EVERY_NS 100000000ULL

/* --- commands --- */

static void mode_changed(struct vf_lane *lane)
{
	const struct vferry_cmd *cmd = &lane->cmd;
	uint8_t mode = cmd->inline_data[0];

	if (lane->mode_known && lane->mode_since_ns)
		lane->result->mode_ns[lane->mode] += cmd->done_ns - lane->mode_since_ns;
	lane->mode = mode;
	lane->mode_known = true;
	lane->mode_since_ns = cmd->done_ns;
}

static void answered(struct vferry_cmd *cmd)
{
	struct vf_lane *lane = cmd->arg;
	const char *name = vferry_opcode_name(cmd->opcode);
	char what[64];

	lane->calling = false;
	VF_FAULT_POINT("lane-answer");
	vf_move_progress(lane->move);
	if (cmd->opcode == VFERRY_CMD_DEV_MODE_SET)
		snprintf(what, sizeof(what), "%s(%s)", name, vferry_mode_name(cmd->inline_data[0]));
	else
		snprintf(what, sizeof(what), "%s", name);
	if (!cmd->error && cmd->status == VFERRY_STATUS_OK) {
		if (cmd->opcode == VFERRY_CMD_DEV_MODE_SET)
			mode_changed(lane);
		if (lane->settled) /* in doubt: what it answers so late leads nowhere */
			return;
		if (lane->failing && !lane->undoing)
			vf_lane_quiet(lane);
		else
			lane->then(lane);
		return;
	}
	if (!cmd->error && !lane->result->status) {
		lane->result->opcode = cmd->opcode;
		lane->result->status = cmd->status;
		lane->result->qualifier = cmd->qualifier;
	}
	if (lane->undoing) {
		char text[120];

		if (cmd->error)
			snprintf(text, sizeof(text), "%s: %s", what, strerror(-cmd->error));
		else
			snprintf(text, sizeof(text), "%s was answered %s", what,
				 vferry_status_name(cmd->status));
		vf_lane_doubt(lane, text);
		return;
	}
	if (cmd->error == -ETIMEDOUT)
		vf_lane_fail(lane, -ETIMEDOUT, "the device did not answer %s in time", what);
	else if (cmd->error)
		vf_lane_fail(lane, cmd->error, "%s: %s", what,
			     cmd->why ? cmd->why : strerror(-cmd->error));
	else
		vf_lane_fail(lane, -EREMOTEIO,
			     "the device answered %s with %s (%u), qualifier %s (%u)", what,
			     vferry_status_name(cmd->status), cmd->status,
			     vferry_qualifier_name(cmd->qualifier), cmd->qualifier);
	vf_lane_quiet(lane);
}

void vf_lane_call(struct vf_lane *lane, uint16_t opcode, int data, uint32_t result_room,
		  vf_lane_fn then)
{
	lane->cmd = (struct vferry_cmd){
		.opcode = opcode,
		.group_type = VFERRY_GROUP_SRIOV,
		.member = lane->vf,
		.result_room = result_room,
		.done = answered,
		.arg = lane,
	};
	if (data >= 0) {
		lane->cmd.inline_data[0] = (uint8_t)data;
		lane->cmd.inline_length = 1;
	}
	lane->then = then;
	lane->calling = true;
	VF_FAULT_POINT("lane-command");
	if (vf_fault_refuse())
		lane->cmd.opcode = 0x7fff;
	vf_admin_submit(lane->move->owner->admin, &lane->cmd);
}

void vf_lane_mode(struct vf_lane *lane, enum vferry_mode mode, vf_lane_fn then)
{
	vf_lane_call(lane, VFERRY_CMD_DEV_MODE_SET, (int)mode, 0, then);
}

/* --- journal --- */

int vf_lane_state(struct vf_lane *lane, enum vferry_state state)
{
	struct vferry_error why;
	uint64_t begin = vf_now_ns();
	int ret = vf_journal_write(&lane->journal, state, &why);

	vf_recorder_span(&lane->recorder, VF_RECORD_JOURNAL, (uint16_t)state, begin, vf_now_ns(),
			 0);

	if (ret) {
		vf_lane_fail(lane, ret, "%s", why.text);
		return ret;
	}
	lane->state = state;
	lane->result->state = state;
	return 0;
}

int vf_lane_open_journal(struct vf_lane *lane, enum vf_role role, enum vferry_state state,
			 uint32_t flags)
{
	struct vf_move *move = lane->move;
	struct vf_journal_record record = {
		.role = (uint8_t)role,
		.state = (uint8_t)state,
		.mode_found = lane->mode_found,
		.vf = lane->vf,
		.members = move->together ? (uint16_t)move->count : 0,
		.flags = flags,
	};
	struct vferry_error why;
	int ret;

	memcpy(record.id, lane->id, VF_ID_BYTES);
	memcpy(record.group, move->group, VF_ID_BYTES);
	memcpy(record.epoch, move->owner->lease.epoch, sizeof(record.epoch));
	snprintf(record.owner, sizeof(record.owner), "%s", move->address);
	snprintf(record.peer, sizeof(record.peer), "%s", move->opts->peer);
	ret = vf_journal_create(&lane->journal, &record, &why);
	if (ret) {
		vf_lane_fail(lane, ret, "%s", why.text);
		return ret;
	}
	lane->state = state;
	lane->result->state = state;
	return 0;
}

/* --- probe and gates --- */

static void probed(void *arg, int error, const struct vferry_error *why)
{
	struct vf_lane *lane = arg;

	vf_move_progress(lane->move);
	if (error == -EREMOTEIO) {
		lane->result->opcode = lane->probe.cmd.opcode;
		lane->result->status = lane->probe.status;
		lane->result->qualifier = lane->probe.qualifier;
	}
	if (error) {
		vf_lane_fail(lane, error, "%s", why->text);
		vf_lane_quiet(lane);
		return;
	}
	lane->mode = lane->mode_found = lane->about.mode;
	lane->mode_known = true;
	lane->mode_since_ns = vf_now_ns();
	if (lane->failing)
		vf_lane_quiet(lane);
	else
		lane->after_probe(lane);
}

void vf_lane_probe(struct vf_lane *lane, bool keep, vf_lane_fn then)
{
	struct vf_move *move = lane->move;

	lane->after_probe = then;
	vf_probe_start(&lane->probe, move->owner->admin, move->owner->arena, lane->vf, keep,
		       &lane->about, probed, lane);
}

static void gate_over(struct vf_gate *gate, int error, const struct vferry_error *why)
{
	struct vf_lane *lane = (struct vf_lane *)((char *)gate - offsetof(struct vf_lane, gate));

	vf_move_progress(lane->move);
	vf_lane_gated(lane);
	if (error && !lane->failing)
		vf_lane_fail(lane, error, "%s", why->text);
	if (lane->failing)
		vf_lane_quiet(lane);
	else
		lane->after_hook(lane);
}

void vf_lane_gate(struct vf_lane *lane, const char *event, vf_lane_fn then)
{
	struct vf_move *move = lane->move;
	char vfs[VF_GATE_VFS];
	struct vferry_error why;
	int ret;

	if (!move->opts->hook) {
		then(lane);
		return;
	}
	lane->after_hook = then;
	lane->gate_ns = vf_now_ns();
	vf_group_vfs(lane, vfs, sizeof(vfs));
	ret = vf_gate_start(&lane->gate, move->ring, move->opts->hook, event, vfs, lane->result->id,
			    move->address, move->opts->hook_timeout_ns, gate_over, &why);
	if (ret)
		vf_lane_fail(lane, ret, "%s", why.text);
}

/* --- telling --- */

void vf_lane_phase(struct vf_lane *lane, enum vferry_phase phase)
{
	uint64_t id, now = vf_now_ns();

	memcpy(&id, lane->id, sizeof(id));
	VFERRY_PROBE4(phase, id, (uint64_t)lane->vf, (uint32_t)phase, now);
	lane->result->phase_ns[phase] = now;
	/* A long pre-copy does not take the places of what follows it. */
	if (phase != VFERRY_PHASE_SRC_PRECOPY || lane->recorder.mark_count < VF_RECORDER_MARKS / 2)
		vf_recorder_mark(&lane->recorder, phase, 0, now);
	switch (phase) {
	case VFERRY_PHASE_SRC_STOP:
	case VFERRY_PHASE_SRC_FINAL_READ:
	case VFERRY_PHASE_SRC_LOADED:
	case VFERRY_PHASE_SRC_ACTIVE:
	case VFERRY_PHASE_DST_FINAL_LAST:
	case VFERRY_PHASE_DST_ACTIVE:
		vf_recorder_tcp(&lane->recorder, lane->move->tcp_fd, phase);
		break;
	default:
		break;
	}
}

void vf_lane_gated(struct vf_lane *lane)
{
	struct vf_move *move = lane->move;
	uint64_t now = vf_now_ns();

	/* One hook stands for all of a group. */
	for (uint32_t i = 0; i < move->count; i++)
		if (move->together || move->lanes[i] == lane)
			vf_recorder_span(&move->lanes[i]->recorder, VF_RECORD_GATE, 0,
					 lane->gate_ns, now, 0);
}

void vf_lane_show(struct vf_lane *lane, enum vferry_phase phase, uint64_t done, uint64_t remaining)
{
	struct vf_move *move = lane->move;
	struct vferry_progress progress;
	uint64_t now;

	if (!move->opts->progress)
		return;
	now = vf_now_ns();
	if (now - lane->shown_ns < SHOW_EVERY_NS)
		return;
	lane->shown_ns = now;
	progress = (struct vferry_progress){
		.vf = lane->vf,
		.state = lane->state,
		.phase = phase,
		.pass = lane->result->passes,
		.done_bytes = done,
		.remaining_bytes = remaining,
		.rate_bytes = now > move->begin_ns ? (uint64_t)((double)move->bytes * 1e9 /
								(double)(now - move->begin_ns))
						   : 0,
	};
	move->opts->progress(move->opts->arg, &progress);
}

/* --- frames --- */

void vf_control_sent(struct vf_tx *tx, int error)
{
	struct vf_control *control =
		(struct vf_control *)((char *)tx - offsetof(struct vf_control, tx));

	free(control->text);
	control->text = NULL;
	control->busy = false;
	if (!error)
		vf_move_progress(control->move);
	else
		control->move->send_error = error;
}

static struct vf_control *control(struct vf_lane *lane, enum vf_frame_type type)
{
	struct vf_move *move = lane->move;

	VF_FAULT_POINT("lane-say");
	if (!move->stream || move->broken || move->mute)
		return NULL;
	for (unsigned int i = 0; i < VF_CONTROLS; i++) {
		struct vf_control *free_one = &lane->controls[i];

		if (free_one->busy)
			continue;
		memset(&free_one->tx, 0, sizeof(free_one->tx));
		free_one->busy = true;
		free_one->move = move;
		free_one->tx.frame.type = (uint16_t)type;
		free_one->tx.frame.lane = lane->number;
		free_one->tx.done = vf_control_sent;
		free_one->tx.count = 1;
		return free_one;
	}
	vf_lane_fail(lane, -ENOBUFS, "the peer does not take what it is told (%s)",
		     vf_frame_name(type));
	return NULL;
}

void vf_lane_say(struct vf_lane *lane, enum vf_frame_type type, struct vf_message *message)
{
	struct vf_control *frame = control(lane, type);

	if (!frame)
		return;
	memcpy(message->id, lane->id, VF_ID_BYTES);
	message->state = lane->state;
	vf_message_pack(frame->body, message);
	frame->tx.parts[0] = (struct iovec){ frame->body, VF_MESSAGE_BYTES };
	vf_stream_send(lane->move->stream, &frame->tx);
}

void vf_lane_say_words(struct vf_lane *lane, enum vf_frame_type type, int code, const char *text)
{
	struct vf_control *frame = control(lane, type);
	struct vf_words words = { .code = code };
	int length;

	if (!frame)
		return;
	memcpy(words.id, lane->id, VF_ID_BYTES);
	snprintf(words.text, sizeof(words.text), "%s", text);
	length = vf_words_pack((char *)frame->body, sizeof(frame->body), &words);
	if (length < 0) {
		frame->busy = false;
		return;
	}
	frame->tx.parts[0] = (struct iovec){ frame->body, (size_t)length };
	vf_stream_send(lane->move->stream, &frame->tx);
}

int vf_lane_say_offer(struct vf_lane *lane, const struct vf_offer *offer)
{
	struct vf_control *frame = control(lane, VF_FRAME_OFFER);
	size_t length;

	if (!frame)
		return -EPIPE;
	frame->text = vf_offer_pack(offer, &length);
	if (!frame->text) {
		frame->busy = false;
		return -ENOMEM;
	}
	frame->tx.parts[0] = (struct iovec){ frame->text, length };
	vf_stream_send(lane->move->stream, &frame->tx);
	return 0;
}

/* --- failing, undoing, settling --- */

void vf_lane_fail(struct vf_lane *lane, int code, const char *format, ...)
{
	struct vferry_vf_result *result = lane->result;
	struct vferry_error *why = &result->why;
	va_list args;
	int length;

	if (lane->settled || lane->failing)
		return;
	lane->failing = true;
	vf_recorder_mark(&lane->recorder, 0, code, vf_now_ns());
	result->error = code;
	why->code = code;
	length = snprintf(why->text, sizeof(why->text), "VF %u (%s): ", lane->vf,
			  vferry_state_name(lane->state));
	va_start(args, format);
	vsnprintf(why->text + length, sizeof(why->text) - (size_t)length, format, args);
	va_end(args);
	vf_gate_kill(&lane->gate);
	if (lane->side->hush)
		lane->side->hush(lane);
	vf_group_failed(lane);
	vf_lane_quiet(lane);
}

void vf_lane_quiet(struct vf_lane *lane)
{
	if (!lane->failing || lane->undoing || lane->settled || lane->calling ||
	    lane->gate.running || lane->probe.running || !lane->side->quiet(lane))
		return;
	lane->undoing = true;
	lane->side->undo(lane);
}

void vf_lane_doubt(struct vf_lane *lane, const char *what)
{
	if (lane->settled)
		return;
	snprintf(lane->result->undone, sizeof(lane->result->undone),
		 "not undone (%s); the journal is kept: vferry recover %s", what, lane->result->id);
	vf_lane_settle(lane, VFERRY_OUTCOME_IN_DOUBT);
	vf_group_doubted(lane);
}

void vf_lane_settle(struct vf_lane *lane, enum vferry_outcome outcome)
{
	if (lane->settled)
		return;
	if (lane->mode_known && lane->mode_since_ns) {
		lane->result->mode_ns[lane->mode] += vf_now_ns() - lane->mode_since_ns;
		lane->mode_since_ns = 0;
	}
	lane->settled = true;
	lane->result->outcome = outcome;
	lane->result->state = lane->state;
	lane->move->settled++;
	vf_group_settled(lane->move);
}

void vf_count_copies(struct vf_move *move, const void *memory, uint32_t length)
{
	const struct vf_lease *lease = &move->owner->lease;
	uintptr_t at = (uintptr_t)memory, arena = (uintptr_t)lease->arena;

	if (at < arena || at - arena > lease->arena_bytes ||
	    length > lease->arena_bytes - (at - arena))
		move->result->user_copied_bytes += length;
}
