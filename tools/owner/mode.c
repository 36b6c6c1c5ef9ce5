// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * MODE_SET: all nine pairs. Active -> Stop waits for the requests inside; other queues and members go on.
 * A command that fails changes nothing.
 */
#include <stdlib.h>
#include <string.h>
#include "tools/owner/admin.h"

/** struct stopping - an Active -> Stop under way */
struct stopping {
	struct function *fn; /* NULL: the VF has vanished meanwhile */
	struct owner *owner;
	struct admin_command *command;
	unsigned int mode; /* wanted in the end */
	struct stopping *next;
};

/* Active -> Stop and Stop -> Active close an open image too: the change map is kept. */
static void enter(struct function *fn, enum vferry_mode mode)
{
	if (!FN_WRONG(fn, MODE_KEEPS_CURSOR))
		image_close(fn);
	if (FN_WRONG(fn, MODE_FORGETS_MAP))
		image_forget(fn);
	fn->mode = mode;
}

static void stop_to_freeze(struct function *fn)
{
	fn_freeze(fn);
	enter(fn, VFERRY_MODE_FREEZE);
}

static void stop_to_active(struct function *fn)
{
	enter(fn, VFERRY_MODE_ACTIVE);
	fn_resume(fn);
}

static void freeze_to_stop(struct function *fn)
{
	enter(fn, VFERRY_MODE_STOP);
	fn_thaw(fn);
}

/* --- leaving Active --------------------------------------------------------------------------------------- */

static void unlink_abandoned(struct stopping *stopping)
{
	struct stopping **at = &stopping->owner->admin->abandoned;

	while (*at != stopping)
		at = &(*at)->next;
	*at = stopping->next;
}

static void stopped(void *arg)
{
	struct stopping *stopping = arg;
	struct function *fn = stopping->fn;
	struct admin_command *command = stopping->command;
	bool freeze = stopping->mode == VFERRY_MODE_FREEZE;

	if (!fn)
		unlink_abandoned(stopping);
	free(stopping);
	if (!fn)
		return;
	fn->admin->stopping = NULL;
	enter(fn, VFERRY_MODE_STOP);
	if (freeze)
		stop_to_freeze(fn);
	service_executed(command, ANSWER_OK);
}

static void leave_active(struct admin_command *command, unsigned int mode)
{
	struct function *fn = command->fn;
	struct stopping *stopping = malloc(sizeof(*stopping));

	if (!stopping) {
		service_executed(command, ANSWER(ENOMEM, NORESOURCE));
		return;
	}
	*stopping = (struct stopping){ fn, command->owner, command, mode, NULL };
	fn->admin->stopping = stopping;
	fn_stop(fn, stopped, stopping);
}

void mode_vanish(struct function *fn)
{
	struct stopping *stopping = fn->admin->stopping;
	struct admin *admin = fn->owner->admin;

	if (!stopping)
		return;
	fn->admin->stopping = NULL;
	stopping->fn = NULL;
	stopping->next = admin->abandoned;
	admin->abandoned = stopping;
	service_executed(stopping->command, ANSWER(EINVAL, INVALID_GROUP));
}

void mode_free(struct owner *owner)
{
	struct stopping *stopping;

	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		if (owner->vfs[i].admin)
			free(owner->vfs[i].admin->stopping);
	while ((stopping = owner->admin->abandoned)) {
		owner->admin->abandoned = stopping->next;
		free(stopping);
	}
}

/* --- leaving Freeze --------------------------------------------------------------------------------------- */

/* With something staged this is the commit: all or nothing, and staged data is gone afterwards. */
static int rule_commit(struct function *fn, unsigned int mode)
{
	bool to_active = mode == VFERRY_MODE_ACTIVE;
	struct vferry_error err = { 0 };
	int ret;

	if (!fn->admin->stage.now.any) {
		if (FN_WRONG(fn, RESUME_BLANK) && !fn->admin->full_due)
			fn_reset(fn);
		return 0;
	}
	if (to_active ? FN_WRONG(fn, COMMIT_ACTIVE_MISSING) : FN_WRONG(fn, COMMIT_STOP_MISSING)) {
		stage_drop(fn);
		return 0;
	}
	ret = commit(fn, &err);
	if (ret && FN_WRONG(fn, COMMIT_HALF))
		commit_half(fn);
	if (ret)
		admin_log(fn, "commit refused: %s", err.text);
	if (ret ? !FN_WRONG(fn, COMMIT_FAILED_KEEPS) : !FN_WRONG(fn, COMMIT_AGAIN))
		stage_drop(fn);
	if (ret && (FN_WRONG(fn, COMMIT_ANYTHING) ||
		    (FN_WRONG(fn, COMMIT_CUT) && strstr(err.text, "before its end marker"))))
		return 0;
	return ret;
}

static void leave_freeze(struct admin_command *command, unsigned int mode)
{
	struct function *fn = command->fn;

	if (mode == VFERRY_MODE_STOP && WRONG(command->owner, MODE_BACK_REFUSED)) {
		service_executed(command, ANSWER(EINVAL, INVALID_COMMAND));
		return;
	}
	if (rule_commit(fn, mode)) {
		if (WRONG(command->owner, COMMIT_FAILED_MOVES))
			freeze_to_stop(fn);
		service_executed(command, WRONG(command->owner, COMMIT_QUALIFIER)
						  ? ANSWER(EINVAL, INVALID_FIELD)
						  : ANSWER(EINVAL, INVALID_COMMAND));
		return;
	}
	freeze_to_stop(fn);
	if (mode == VFERRY_MODE_ACTIVE && !WRONG(command->owner, MODE_HALF_WAY))
		stop_to_active(fn);
	service_executed(command, ANSWER_OK);
}

/* --- the command ------------------------------------------------------------------------------------------- */

static bool rule_mode_known(unsigned int mode)
{
	return mode == VFERRY_MODE_ACTIVE || mode == VFERRY_MODE_STOP || mode == VFERRY_MODE_FREEZE;
}

void mode_set(struct admin_command *command, unsigned int mode)
{
	struct owner *owner = command->owner;
	struct function *fn = command->fn;

	if (WRONG(owner, MODE_MASKED))
		mode &= 3;
	if (WRONG(owner, MODE_ALL) && fn->number < owner->opts.vfs)
		fn[1].mode = VFERRY_MODE_STOP;
	command->mode_asked = true;
	command->mode_from = (uint8_t)fn->mode;
	command->mode_to = (uint8_t)mode;
	if (!rule_mode_known(mode)) {
		if (WRONG(owner, MODE_UNKNOWN_STOPS))
			fn->mode = VFERRY_MODE_STOP;
		service_executed(command, WRONG(owner, MODE_UNKNOWN_OK)
						  ? ANSWER_OK
						  : ANSWER(EINVAL, INVALID_FIELD));
	} else if ((mode == fn->mode && WRONG(owner, MODE_SAME_REFUSED)) ||
		   (mode == VFERRY_MODE_FREEZE && fn->mode == VFERRY_MODE_ACTIVE &&
		    WRONG(owner, MODE_SKIP_REFUSED))) {
		service_executed(command, ANSWER(EINVAL, INVALID_COMMAND));
	} else if (mode == fn->mode) {
		if (WRONG(owner, COMMIT_SAME_MODE))
			stage_drop(fn);
		service_executed(command, ANSWER_OK);
	} else if (fn->mode == VFERRY_MODE_ACTIVE) {
		leave_active(command, mode);
	} else if (fn->mode == VFERRY_MODE_FREEZE) {
		leave_freeze(command, mode);
	} else {
		if (mode == VFERRY_MODE_FREEZE)
			stop_to_freeze(fn);
		else
			stop_to_active(fn);
		service_executed(command, ANSWER_OK);
	}
}
