// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Resets of a queue, of a function, and of the PF with all that hangs on it. */
#include "server.h"

void fn_queue_reset(struct function *fn, unsigned int index)
{
	if (index >= fn->io->admin_first) {
		admin_queue_reset(fn->owner, index - fn->io->admin_first);
		fn_forget_admin(fn, index);
	}
	transport_queue_blank(fn, index);
	fn_changed(fn, VFERRY_CTX_VQ_CFG, index);
	fn_changed(fn, VFERRY_CTX_VQ_SPLIT_STATE, index);
}

void fn_reset(struct function *fn)
{
	if (!fn->number && fn->owner->admin)
		admin_pf_reset(fn->owner);
	for (unsigned int i = fn->io->admin_first; i < fn_total_queues(fn); i++)
		fn_forget_admin(fn, i);
	transport_blank(fn);
	if (fn->number && fn->admin)
		admin_function_reset(fn);
}

static void function_blank(struct function *fn)
{
	fn_reset(fn);
	msix_reset(fn);
	pci_reset(fn);
}

void fn_set_vfs(struct function *pf, bool enable, uint16_t num)
{
	struct owner *owner = pf->owner;

	if (!enable)
		num = 0;
	if (num == owner->num_vfs)
		return;
	owner->num_vfs = num;
	for (unsigned int i = 1; i <= owner->opts.vfs; i++) {
		if (i > num)
			server_drop_client(owner->vfs[i].io->server);
		owner->vfs[i].io->draining = false;
		function_blank(&owner->vfs[i]);
	}
	if (owner->admin)
		admin_vfs_enabled(owner, num);
}

static void flr_vfs(struct function *pf)
{
	struct owner *owner = pf->owner;

	if (!owner->opts.vf_enable_sticky) {
		fn_set_vfs(pf, false, 0);
		return;
	}
	/* Off and on again, behind the backs of their clients. */
	if (owner->admin)
		admin_vfs_enabled(owner, 0);
	for (unsigned int i = 1; i <= owner->opts.vfs; i++) {
		owner->vfs[i].io->draining = false;
		function_blank(&owner->vfs[i]);
	}
	owner->num_vfs = (uint16_t)owner->opts.vfs;
	if (owner->admin)
		admin_vfs_enabled(owner, owner->num_vfs);
	pci_set_vfs(pf, owner->num_vfs);
}

void fn_flr(struct function *fn)
{
	if (fn->number && FN_WRONG(fn, FLR_IGNORED))
		return;
	if (fn->number && FN_WRONG(fn, FLR_STOPS) && fn->mode == VFERRY_MODE_ACTIVE)
		fn->mode = VFERRY_MODE_STOP;
	if (fn->number && FN_WRONG(fn, FLR_ACTIVE))
		fn->mode = VFERRY_MODE_ACTIVE;
	if (fn->number && FN_WRONG(fn, FLR_DROPS_STAGED))
		admin_staged_dropped(fn);
	for (unsigned int i = 1; fn->number && i <= fn->owner->num_vfs && FN_WRONG(fn, FLR_ALL);
	     i++) {
		fn->owner->vfs[i].mode = VFERRY_MODE_ACTIVE;
		function_blank(&fn->owner->vfs[i]);
	}
	function_blank(fn);
	if (!fn->number)
		flr_vfs(fn);
}
