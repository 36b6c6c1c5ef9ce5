// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The switch: Stop, Freeze, the last image, RELEASED, GONE. Between Stop and ACTIVE nothing is allocated, opened, looked
 * up or printed, but for the user's hook when there is one.
 */
#include <errno.h>
#include <string.h>
#include "migrate/group.h"
#include "migrate/source.h"

static enum vf_offer_kind kind_of(const struct vf_source *source)
{
	return ((const struct vf_source_run *)source->lane.move)->kind;
}

/* --- Stop and Freeze --- */

static void frozen(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);

	VF_FAULT_POINT("source-frozen");
	vf_lane_phase(lane, VFERRY_PHASE_SRC_FROZEN);
	/* From the first READ on the VF's own state is not whole any more. */
	if (source->reads_clear) {
		lane->journal.record.flags |= VF_JOURNAL_KEEPS;
		if (vf_lane_state(lane, VFERRY_STATE_FROZEN))
			return;
	}
	source->final = true;
	if (lane->probe.have)
		vf_source_read_held(source);
	else
		vf_source_read(source, source->freeze_estimate);
}

void vf_source_freeze(struct vf_lane *lane)
{
	if (vf_lane_state(lane, VFERRY_STATE_FROZEN))
		return;
	VF_FAULT_POINT("source-freeze");
	vf_lane_phase(lane, VFERRY_PHASE_SRC_FREEZE);
	if (lane->mode == VFERRY_MODE_FREEZE)
		frozen(lane);
	else
		vf_lane_mode(lane, VFERRY_MODE_FREEZE, frozen);
}

static void stopped(struct vf_lane *lane)
{
	VF_FAULT_POINT("source-stopped");
	vf_lane_phase(lane, VFERRY_PHASE_SRC_STOPPED);
	if (lane->move->together)
		vf_group_stopped(lane);
	else
		vf_lane_gate(lane, "source-stopped", vf_source_freeze);
}

static void too_long(struct vf_timer *timer)
{
	struct vf_source *source =
		(struct vf_source *)((char *)timer - offsetof(struct vf_source, downtime));
	struct vf_lane *lane = &source->lane;

	if (lane->state == VFERRY_STATE_STOPPED || lane->state == VFERRY_STATE_FROZEN)
		vf_lane_fail(lane, -ETIMEDOUT,
			     "the downtime has reached the limit of %llu ms (--max-downtime)",
			     (unsigned long long)(lane->move->opts->max_downtime_ns / 1000000));
}

void vf_source_stop(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	uint64_t limit = lane->move->opts->max_downtime_ns;

	if (vf_lane_state(lane, VFERRY_STATE_STOPPED))
		return;
	VF_FAULT_POINT("source-stop");
	source->stop_ns = vf_now_ns();
	if (limit) {
		source->downtime.fn = too_long;
		vf_timer_set(lane->move->ring, &source->downtime, source->stop_ns + limit);
	}
	vf_lane_phase(lane, VFERRY_PHASE_SRC_STOP);
	if (lane->mode == VFERRY_MODE_ACTIVE)
		vf_lane_mode(lane, VFERRY_MODE_STOP, stopped);
	else
		stopped(lane);
}

void vf_source_switch(struct vf_source *source)
{
	/* Right before Stop, so that drift has no time, and outside of the downtime. */
	if (source->lane.move->together)
		vf_group_ready(source);
	else if (kind_of(source) == VF_OFFER_MIGRATION)
		vf_clock_exchange(source, vf_source_stop);
	else
		vf_source_stop(&source->lane);
}

/* --- RELEASED and GONE --- */

static void release(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	struct vf_message message = { 0 };

	VF_FAULT_POINT("source-before-released");
	if (vf_lane_state(lane, VFERRY_STATE_RELEASED))
		return;
	VF_FAULT_POINT("source-released");
	vf_lane_phase(lane, VFERRY_PHASE_SRC_RELEASE);
	vf_lane_say(lane, VF_FRAME_RELEASE, &message);
	vf_timer_stop(lane->move->ring, &source->downtime);
	if (kind_of(source) == VF_OFFER_HAND_OVER)
		vf_lane_settle(lane, VFERRY_OUTCOME_HANDED_OVER);
}

void vf_source_loaded(struct vf_source *source)
{
	/* Released before all is kept, a VF that is refused could not be taken back after this engine's death. */
	source->loaded = true;
	if (source->reads_clear && !(source->lane.journal.record.flags & VF_JOURNAL_KEPT))
		return;
	vf_lane_phase(&source->lane, VFERRY_PHASE_SRC_LOADED);
	VF_FAULT_POINT("source-loaded");
	if (source->lane.move->together) {
		vf_group_loaded(&source->lane);
		return;
	}
	vf_lane_gate(&source->lane, "before-release", release);
}

static void all_written(struct vf_timer *timer)
{
	struct vf_source *source =
		(struct vf_source *)((char *)timer - offsetof(struct vf_source, downtime));
	struct vf_lane *lane = &source->lane;

	if (lane->failing || lane->settled)
		return;
	/* Without an answer, "written" is the most that can be known before the VF is given up. */
	if (vf_stream_idle(lane->move->stream))
		vf_lane_gate(lane, "before-release", release);
	else
		vf_timer_set(lane->move->ring, timer, vf_now_ns() + 1000000);
}

/* From here on the VF can be taken back without this engine. */
static int all_kept(struct vf_lane *lane)
{
	if (lane->failing || lane->journal.record.flags & VF_JOURNAL_KEPT)
		return 0;
	lane->journal.record.flags |= VF_JOURNAL_KEPT;
	if (vf_lane_state(lane, lane->state))
		return -EIO;
	VF_FAULT_POINT("source-kept");
	return 0;
}

void vf_source_final_sent(struct vf_source *source)
{
	struct vf_lane *lane = &source->lane;

	if (source->reads_clear && source->retain.busy)
		return; /* called again when all is kept */
	if (source->reads_clear && all_kept(lane))
		return;
	switch (kind_of(source)) {
	case VF_OFFER_MIGRATION:
		if (source->loaded)
			vf_source_loaded(source);
		break; /* else LOADED follows */
	case VF_OFFER_HAND_OVER:
		source->downtime.fn = all_written;
		vf_timer_set(lane->move->ring, &source->downtime, vf_now_ns());
		break;
	case VF_OFFER_SNAPSHOT:
		if (lane->undoing)
			break;
		source->copying = true;
		lane->undoing = true;
		vf_source_undo(lane);
		break;
	}
}

void vf_source_active(struct vf_source *source, const struct vf_message *message)
{
	struct vf_lane *lane = &source->lane;
	struct vf_message done = { 0 };

	if (lane->move->together) {
		vf_group_active(source, message);
		return;
	}
	lane->result->downtime_ns = vf_now_ns() - source->stop_ns;
	lane->result->peer_ns = message->ns;
	vf_lane_phase(lane, VFERRY_PHASE_SRC_ACTIVE);
	VF_FAULT_POINT("source-before-gone");
	if (vf_lane_state(lane, VFERRY_STATE_GONE))
		return;
	VF_FAULT_POINT("source-gone");
	vf_lane_say(lane, VF_FRAME_DONE, &done);
	vf_lane_settle(lane, VFERRY_OUTCOME_MOVED);
}

/* --- the way back --- */

static void settle_back(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	struct vferry_error why;

	if (vf_group_doubts(lane->move))
		snprintf(
			lane->result->undone, sizeof(lane->result->undone),
			"VF %u is %s again; its journal decides for its group, and is kept: vferry recover %s",
			lane->vf, vferry_mode_name(lane->mode), lane->result->id);
	else if (vf_journal_remove(&lane->journal, &why))
		snprintf(lane->result->undone, sizeof(lane->result->undone), "%.150s", why.text);
	else if (!source->copying)
		snprintf(lane->result->undone, sizeof(lane->result->undone),
			 "VF %u is %s again, as it was found", lane->vf,
			 vferry_mode_name(lane->mode));
	vf_lane_settle(lane, source->copying ? VFERRY_OUTCOME_COPIED : VFERRY_OUTCOME_TAKEN_BACK);
}

static void back(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);

	VF_FAULT_POINT("source-back");
	vf_lane_phase(lane, VFERRY_PHASE_SRC_BACK);
	if (source->copying)
		lane->result->downtime_ns = vf_now_ns() - source->stop_ns;
	if (!vf_group_waits(lane, settle_back))
		settle_back(lane);
}

static void set_mode_found(struct vf_lane *lane)
{
	/* A Stop that was not answered may still come to pass: say the mode in any case. */
	if (lane->state == VFERRY_STATE_PRECOPY)
		back(lane);
	else
		vf_lane_mode(lane, lane->mode_found, back);
}

static void restore_done(struct vf_source *source)
{
	if (source->restoring && vf_retain_restored(&source->retain)) {
		source->restoring = false;
		set_mode_found(&source->lane);
	}
}

static void restore_progress(void *arg)
{
	struct vf_source *source = arg;

	vf_move_progress(source->lane.move);
	vf_retain_restore_on(&source->retain);
}

static void restore_drained(void *arg)
{
	restore_done(arg);
}

static void restore_failed(void *arg, int error, const struct vferry_error *why)
{
	struct vf_source *source = arg;

	vf_lane_doubt(&source->lane, why->text);
}

static void discarded(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	const struct vf_writer_events events = {
		.progress = restore_progress,
		.drained = restore_drained,
		.failed = restore_failed,
		.arg = source,
	};

	/* Only what was read in Freeze has left the device. */
	if (!source->reads_clear || !source->final || !source->retain.bytes) {
		set_mode_found(lane);
		return;
	}
	if (source->retain.error) {
		vf_lane_doubt(lane, source->retain.why.text);
		return;
	}
	if (vf_writer_init(&source->writer, lane->move->owner->admin, lane->move->owner->arena,
			   lane->vf, &events)) {
		vf_lane_doubt(lane, "no memory");
		return;
	}
	source->restoring = true;
	vf_retain_restore(&source->retain, &source->writer);
}

static void untouched(struct vf_lane *lane)
{
	snprintf(lane->result->undone, sizeof(lane->result->undone), "VF %u was not touched",
		 lane->vf);
	vf_lane_settle(lane, VFERRY_OUTCOME_UNTOUCHED);
}

void vf_source_undo(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);
	bool started = lane->probe.have;

	vf_timer_stop(lane->move->ring, &source->downtime);
	vf_probe_drop(&lane->probe);
	if (vf_group_state(lane) >= VFERRY_STATE_RELEASED && !source->refused) {
		vf_lane_doubt(lane, "the destination may be Active");
		return;
	}
	if (lane->state == VFERRY_STATE_NONE) {
		if (started)
			vf_lane_call(lane, VFERRY_CMD_DEV_CTX_DISCARD, -1, 0, untouched);
		else
			untouched(lane);
		return;
	}
	if (!source->copying && !source->refused)
		vf_lane_say_words(lane, VF_FRAME_ABORT, lane->result->error,
				  lane->result->why.text);
	/* Also when the image was read to its end while something had failed already. */
	if (source->reads_clear && source->final && source->reader.at_end &&
	    !source->retain.error && !(lane->journal.record.flags & VF_JOURNAL_KEPT)) {
		lane->journal.record.flags |= VF_JOURNAL_KEPT;
		vf_journal_write(&lane->journal, lane->state, NULL);
	}
	VF_FAULT_POINT("source-undo");
	vf_lane_call(lane, VFERRY_CMD_DEV_CTX_DISCARD, -1, 0, discarded);
}

static bool source_quiet(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);

	return !vf_reader_busy(&source->reader) && !source->retain.busy;
}

static void source_hush(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);

	/* The last image of a device whose READ clears is read to its end: only a whole one can be put back. */
	if (!(source->reads_clear && source->final))
		vf_reader_stop(&source->reader);
}

static void source_slots(struct vf_lane *lane)
{
	struct vf_source *source = vf_source_of(lane);

	if (source->restoring)
		vf_retain_restore_on(&source->retain);
	else
		vf_reader_slots(&source->reader);
}

const struct vf_side vf_source_side = {
	.role = VF_ROLE_SOURCE,
	.undo = vf_source_undo,
	.quiet = source_quiet,
	.hush = source_hush,
	.slots = source_slots,
};

void vf_source_interrupt(struct vf_lane *lane)
{
	/* From RELEASED on the outcome is no longer ours: it is waited for. */
	if (vf_group_state(lane) < VFERRY_STATE_RELEASED)
		vf_lane_fail(lane, -EINTR, "interrupted");
}

void vf_source_silence(struct vf_lane *lane)
{
	unsigned long long ms = lane->move->timeout_ns / 1000000;

	if (lane->undoing)
		vf_lane_doubt(lane, "neither device nor peer did anything for the whole timeout");
	else if (lane->failing)
		vf_reader_stop(&vf_source_of(lane)->reader);
	else
		vf_lane_fail(lane, -ETIMEDOUT, "nothing has moved for %llu ms (--timeout)", ms);
}

void vf_source_broken(struct vf_lane *lane)
{
	struct vf_move *move = lane->move;

	if (move->broken_error)
		vf_lane_fail(lane, move->broken_error, "%s", move->broken_why.text);
	else
		vf_lane_fail(lane, -ECONNRESET, "the destination has closed the connection");
}
