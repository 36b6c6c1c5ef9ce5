/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of vferry ctx share: a file that is read, and its values as JSON and text. */
#ifndef VF_CLI_CTX_H
#define VF_CLI_CTX_H

#include <vferry/context_check.h>
#include "cli/cli.h"
#include "stream/saved.h"

struct ctx_file {
	const char *name;
	int fd;
	struct vf_saved *saved;
	struct vf_saved_lane *lanes;
	size_t count;
	int code;
	struct vferry_error why;
};

bool ctx_is_standard(const char *path);
/** ctx_read() - read a file to its end. What could be read is there even when an error is returned; it is in @file too. */
int ctx_read(struct ctx_file *file, const char *path);
void ctx_close(struct ctx_file *file);
/** ctx_sound() - the file and each context in it could be read. */
bool ctx_sound(const struct ctx_file *file);
/** ctx_kind() - "context", "stream", or NULL for a file that is neither. */
const char *ctx_kind(const struct ctx_file *file);
/** ctx_fail() - say why the file could not be read. Return: exit status. */
int ctx_fail(struct cli *cli, const struct ctx_file *file);

struct json_object *ctx_entry_json(const struct vferry_ctx_entry *entry);
void ctx_pair_text(const struct vferry_ctx_pair *pair, char *text, size_t size);

#endif
