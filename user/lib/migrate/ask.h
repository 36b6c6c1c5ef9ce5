/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A source's question to a listening destination: what became of this migration? */
#ifndef VF_ASK_H
#define VF_ASK_H

#include "migrate/journal.h"

/**
 * vf_ask() - connect, QUERY, wait for STATE; again while the answer is not final
 * @peer: address as the source had it
 * @record: the source's journal: id, and which host accepted. Another one's answer is none. Of a stream that was handed over
 *	    nobody is known to have accepted: then ACTIVE counts, and anything else is left to others
 * @state: ours: RELEASED or GONE
 * @answer: ACTIVE or REFUSED, or what it was last
 *
 * Return: 0 with a final answer; -EAGAIN: the destination does not know yet; -ECONNREFUSED, -ETIMEDOUT, …: it cannot be asked;
 * -EREMOTE: another host answers; -ENOENT: nobody accepted, and this one knows nothing of it.
 */
int vf_ask(const char *peer, const struct vf_journal_record *record, enum vferry_state state,
	   uint64_t timeout_ns, int interrupt_fd, enum vferry_state *answer,
	   struct vferry_error *err);

#endif
