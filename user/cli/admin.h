/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of vferry admin share: a command's bytes, their meaning, and the answer's. */
#ifndef VF_CLI_ADMIN_H
#define VF_CLI_ADMIN_H

#include <vferry/command.h>
#include <vferry/owner.h>
#include "cli/cli.h"

#define ADMIN_READABLE_MAX (sizeof(struct vferry_admin_hdr) + VFERRY_CMD_INLINE_DATA)

/** admin_readable() - the device-readable part, exactly as it goes into the queue. Return: its length. */
size_t admin_readable(const struct vferry_cmd *cmd, uint8_t bytes[ADMIN_READABLE_MAX]);

/** admin_command_json() - a command in words and hex digits. */
struct json_object *admin_command_json(const struct vferry_cmd *cmd);
/** admin_answer_json() - what the device answered, in words and hex digits, with how long it took. */
struct json_object *admin_answer_json(const struct vferry_cmd *cmd);
/** admin_answer_error() - words for an answer other than OK, or for none. Return: 0 when the answer is OK. */
int admin_answer_error(const struct vferry_cmd *cmd, struct vferry_error *err);

/** admin_dry_run() - print commands instead of sending them. @data_note: what else goes along, or NULL. */
int admin_dry_run(struct cli *cli, const struct vferry_cmd *commands, unsigned int count,
		  const char *data_note);

/** admin_open() - the owner of OWNER, borrowing the VFs of --vf ("all" is filled in). @flags: VFERRY_OWNER_* */
int admin_open(struct cli *cli, struct vferry_owner **owner, struct cli_vfs *vfs,
	       unsigned int flags, struct vferry_error *err);
/** admin_one_vf() - the single VF of --vf, 0 after having said what is wrong. */
uint16_t admin_one_vf(struct cli *cli);
/** admin_may_change() - -EBUSY with words when a migration's journal is open for a VF and --force is not given. */
int admin_may_change(struct cli *cli, const struct cli_vfs *vfs, struct vferry_error *err);

/** admin_may_live() - admin_may_change(), and -EBUSY when a VF was moved away and still holds its old copy. */
int admin_may_live(struct cli *cli, struct vferry_owner *owner, const struct cli_vfs *vfs,
		   struct vferry_error *err);

/* The commands, as the table runs them. */
int admin_run_mode_get(struct cli *cli);
int admin_run_mode_set(struct cli *cli);
int admin_run_size(struct cli *cli);
int admin_run_fields(struct cli *cli);
int admin_run_discard(struct cli *cli);
int admin_run_list_query(struct cli *cli);
int admin_run_list_use(struct cli *cli);
int admin_run_read(struct cli *cli);
int admin_run_write(struct cli *cli);

#endif
