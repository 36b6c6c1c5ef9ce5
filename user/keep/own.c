// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the keeper asks the device by itself: modes and sizes of the VFs, and LIST_USE after a borrower that was alone. On its
 * own admin queue; on an owner with a single one, while that is not lent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "keep/keeper.h"
#include "virtio/pf.h"

#define ANSWER_NS 2000000000ULL

static int open_queue(struct keeper *keeper, struct vferry_error *err)
{
	struct own *own = &keeper->own;
	int ret = vf_pf_lease(keeper->pf, 0, 0, &own->lease, err);

	if (ret)
		return ret;
	ret = vf_user_queue_open(&own->admin, keeper->ring, &own->lease, err);
	if (ret)
		vf_pf_unlease(keeper->pf, &own->lease, NULL);
	return ret;
}

static void close_queue(struct keeper *keeper)
{
	struct own *own = &keeper->own;
	struct vf_admin *admin = own->admin;

	if (!admin)
		return;
	own->admin = NULL;
	if (admin->abandoned && vf_admin_settle(admin, vf_now_ns() + ANSWER_NS))
		keep_log("admin queue 0: commands of the keeper stay unanswered");
	vf_admin_close(admin);
	vf_pf_unlease(keeper->pf, &own->lease, NULL);
}

/* The queue to ask on, or false: it is lent, or somebody is alone with the owner and its list. */
static bool take_queue(struct keeper *keeper)
{
	struct own *own = &keeper->own;
	struct loans *loans = &keeper->loans;
	struct vferry_error err;

	if (keeper->owner_gone || keeper->needs_reset)
		return false;
	for (unsigned int i = loans->first; i < loans->count; i++) {
		if (loans->slots[i].alone && loans->slots[i].state == VF_LOAN_LENT)
			return false;
	}
	if (own->admin) {
		if (own->admin->abandoned && vf_admin_settle(own->admin, vf_now_ns()))
			return false;
		return true;
	}
	if (loans->first)
		return false;
	own->slot = loans_own(loans);
	if (!own->slot)
		return false;
	if (!open_queue(keeper, &err))
		return true;
	keep_log("admin queue 0: %s", err.text);
	loans_disown(own->slot);
	own->slot = NULL;
	return false;
}

static void leave_queue(struct keeper *keeper)
{
	struct loan *slot = keeper->own.slot;

	if (!slot)
		return;
	keeper->own.slot = NULL;
	close_queue(keeper);
	loans_disown(slot);
}

static void put_list_back(struct keeper *keeper);

static void ask_again(struct keeper *keeper)
{
	struct own *own = &keeper->own;
	uint32_t next = own->next_ask;

	if (!own->again)
		return;
	/* Who asked meanwhile wants to know how it is after the question. */
	own->again = false;
	own->next_ask = 0;
	own_ask(keeper, next);
}

/* From a timer, not from a command's end: the queue may be closed here. */
static void finish(struct vf_timer *timer)
{
	struct keeper *keeper =
		(struct keeper *)((char *)timer - offsetof(struct keeper, own.finish));
	struct own *own = &keeper->own;

	own->running = false;
	leave_queue(keeper);
	sessions_report(keeper, own->asked);
	if (own->list_due)
		put_list_back(keeper);
	else
		ask_again(keeper);
}

static void answered(struct vferry_cmd *cmd)
{
	struct keeper *keeper = cmd->arg;
	struct own *own = &keeper->own;
	struct vf_keeper_report_vf *vf = &own->vfs[cmd->member - 1];
	struct vferry_admin_size_result size;
	struct vferry_admin_mode mode;

	if (!cmd->error && cmd->status == VFERRY_STATUS_OK) {
		if (cmd->opcode == VFERRY_CMD_DEV_MODE_GET && cmd->used >= sizeof(mode)) {
			memcpy(&mode, cmd->answer, sizeof(mode));
			vf->mode = mode.mode;
		}
		if (cmd->opcode == VFERRY_CMD_DEV_CTX_SIZE_GET && cmd->used >= sizeof(size)) {
			memcpy(&size, cmd->answer, sizeof(size));
			vf->context_bytes = size.size;
			vf->size_known = 1;
		}
	}
	if (!--own->under_way)
		vf_timer_set(keeper->ring, &own->finish, 0);
}

static void submit(struct keeper *keeper, uint16_t opcode, unsigned int vf)
{
	struct own *own = &keeper->own;
	struct vferry_cmd *cmd = &own->cmds[own->cmd_count++];

	memset(cmd, 0, sizeof(*cmd));
	cmd->opcode = opcode;
	cmd->group_type = VFERRY_GROUP_SRIOV;
	cmd->member = vf;
	cmd->deadline_ns = vf_now_ns() + ANSWER_NS;
	cmd->done = answered;
	cmd->arg = keeper;
	cmd->result_room = 8;
	if (opcode == VFERRY_CMD_DEV_CTX_SIZE_GET)
		cmd->inline_length = sizeof(struct vferry_admin_size_data);
	own->under_way++;
}

void own_ask(struct keeper *keeper, uint32_t ask)
{
	struct own *own = &keeper->own;

	if (own->running || own->list_busy) {
		own->again = true;
		own->next_ask |= ask;
		return;
	}
	for (unsigned int i = 0; i < keeper->loans.num_vfs; i++) {
		own->vfs[i] = (struct vf_keeper_report_vf){
			.vf = htole16((uint16_t)(i + 1)),
			.mode = VF_KEEPER_MODE_UNKNOWN,
		};
	}
	own->asked = ask;
	if (!ask || !keeper->loans.num_vfs || !take_queue(keeper)) {
		sessions_report(keeper, ask);
		return;
	}
	own->running = true;
	own->cmd_count = 0;
	for (unsigned int vf = 1; vf <= keeper->loans.num_vfs; vf++) {
		if (ask & VF_KEEPER_ASK_MODES)
			submit(keeper, VFERRY_CMD_DEV_MODE_GET, vf);
		if (ask & VF_KEEPER_ASK_SIZES)
			submit(keeper, VFERRY_CMD_DEV_CTX_SIZE_GET, vf);
	}
	for (unsigned int i = 0; i < own->cmd_count; i++)
		vf_admin_submit(own->admin, &own->cmds[i]);
}

static void list_is_back(struct vferry_cmd *cmd)
{
	struct keeper *keeper = cmd->arg;

	if (cmd->error || cmd->status != VFERRY_STATUS_OK)
		keep_log("LIST_USE could not be put back: error %d, status %u", cmd->error,
			 cmd->status);
	vf_timer_set(keeper->ring, &keeper->own.list_back, 0);
}

static void list_over(struct vf_timer *timer)
{
	struct keeper *keeper =
		(struct keeper *)((char *)timer - offsetof(struct keeper, own.list_back));
	struct own *own = &keeper->own;

	own->list_busy = false;
	leave_queue(keeper);
	loans_unhold(&keeper->loans);
	if (own->list_due)
		put_list_back(keeper);
	else
		ask_again(keeper);
}

static void put_list_back(struct keeper *keeper)
{
	struct own *own = &keeper->own;
	struct vferry_cmd *cmd = &own->list_use;
	__le64 list;

	own->list_due = false;
	if (!take_queue(keeper)) {
		keep_log("LIST_USE could not be put back: no admin queue");
		loans_unhold(&keeper->loans);
		return;
	}
	own->list_busy = true;
	list = htole64(own->lease.list);
	memset(cmd, 0, sizeof(*cmd));
	cmd->opcode = VFERRY_CMD_LIST_USE;
	cmd->group_type = VFERRY_GROUP_SRIOV;
	memcpy(cmd->inline_data, &list, sizeof(list));
	cmd->inline_length = sizeof(list);
	cmd->deadline_ns = vf_now_ns() + ANSWER_NS;
	cmd->done = list_is_back;
	cmd->arg = keeper;
	vf_admin_submit(own->admin, cmd);
}

void own_list_use(struct keeper *keeper)
{
	if (keeper->own.list_due)
		return;
	/* Until it is back nothing is lent: the next borrower expects the whole list. */
	loans_hold(&keeper->loans);
	if (keeper->own.running || keeper->own.list_busy)
		keeper->own.list_due = true;
	else
		put_list_back(keeper);
}

int own_begin(struct keeper *keeper, struct vferry_error *err)
{
	struct own *own = &keeper->own;

	own->finish.fn = finish;
	own->list_back.fn = list_over;
	own->cmds = calloc(2U * keeper->loans.num_vfs + 1U, sizeof(*own->cmds));
	own->vfs = calloc(keeper->loans.num_vfs + 1U, sizeof(*own->vfs));
	if (!own->cmds || !own->vfs)
		return vferry_fail(err, -ENOMEM, "no memory for questions to %u VFs",
				   keeper->loans.num_vfs);
	if (!keeper->loans.first)
		return 0;
	/* The last keeper may have died with a question under way. */
	if (keeper->resumed &&
	    vf_pf_rest(keeper->pf, 0, vf_now_ns() + keeper->loans.rest_ns, err)) {
		loans_trouble(&keeper->loans, -EIO, "%s", err->text);
		keep_log("%s", err->text);
		return 0;
	}
	return open_queue(keeper, err);
}

void own_end(struct keeper *keeper)
{
	close_queue(keeper);
	vf_timer_stop(keeper->ring, &keeper->own.finish);
	vf_timer_stop(keeper->ring, &keeper->own.list_back);
	free(keeper->own.cmds);
	free(keeper->own.vfs);
}
