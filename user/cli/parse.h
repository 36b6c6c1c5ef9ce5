/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading the arguments that people type. Pure functions: 0 or a negative errno with words in @err. */
#ifndef VF_CLI_PARSE_H
#define VF_CLI_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vferry/error.h>

/** struct cli_vfs - VF numbers in the order given, none twice */
struct cli_vfs {
	bool all; /* "all": @count is 0 */
	unsigned int count;
	uint16_t *vf;
};

int cli_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value,
		     struct vferry_error *err);
int cli_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *bytes,
		   struct vferry_error *err);
int cli_parse_duration(const char *text, uint64_t min, uint64_t max, uint64_t *ns,
		       struct vferry_error *err);
int cli_parse_mode(const char *text, uint64_t *mode, struct vferry_error *err);
/** cli_parse_owner() - checks the form of an owner's address. */
int cli_parse_owner(const char *text, struct vferry_error *err);
int cli_parse_choice(const char *text, const char *choices, struct vferry_error *err);
/** cli_parse_vfs() - @vfs->vf is the caller's to free. */
int cli_parse_vfs(const char *text, struct cli_vfs *vfs, struct vferry_error *err);
/** cli_parse_hex() - @bytes is the caller's to free. */
int cli_parse_hex(const char *text, uint8_t **bytes, size_t *count, struct vferry_error *err);

/**
 * cli_parse_opcodes() - "0,1,7-13", names like dev_mode_get, or "none", as the bitmap of LIST_USE
 * @bytes: le64 words, bit n of word n/64 = opcode n
 * @length: of it, a multiple of 8
 */
#define CLI_OPCODES_BYTES 64
int cli_parse_opcodes(const char *text, uint8_t bytes[CLI_OPCODES_BYTES], size_t *length,
		      struct vferry_error *err);

/** cli_vfs_all() - "all" made of 1..@num_vfs; a number beyond is refused. 0, -ENXIO with words, -ENOMEM. */
int cli_vfs_all(struct cli_vfs *vfs, uint16_t num_vfs, struct vferry_error *err);

/** cli_suggest() - the word of @words (ended by NULL) that @text was probably meant to be, or NULL. */
const char *cli_suggest(const char *text, const char *const *words);

#endif
