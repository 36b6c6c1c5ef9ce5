// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* --wrong: the table, and the mistakes that concern every command's form and answer. */
#include <stdio.h>
#include <string.h>
#include "tools/owner/admin.h"

_Static_assert(WRONG_COUNT <= WRONG_WORDS * 64, "more mistakes than bits");

static const struct {
	const char *name;
	const char *words;
} table[] = {
#define X(name, text, words) { text, words },
	WRONGS(X)
#undef X
};

bool wrongs_add(struct wrongs *wrongs, const char *name)
{
	for (unsigned int i = 0; i < WRONG_COUNT; i++) {
		if (strcmp(table[i].name, name))
			continue;
		wrongs->bits[i / 64] |= 1ULL << (i % 64);
		return true;
	}
	return false;
}

void wrongs_list(void)
{
	for (unsigned int i = 0; i < WRONG_COUNT; i++)
		printf("%s\t%s\n", table[i].name, table[i].words);
}

/* --- a command's arrival --- */

static bool is_list(const struct admin_command *command)
{
	return command->opcode == VFERRY_CMD_LIST_QUERY || command->opcode == VFERRY_CMD_LIST_USE;
}

static bool has_one_byte(const struct admin_command *command)
{
	return command->opcode == VFERRY_CMD_DEV_MODE_SET ||
	       command->opcode == VFERRY_CMD_DEV_CTX_SIZE_GET;
}

static void address(struct admin_command *command)
{
	const struct owner *owner = command->owner;

	if (WRONG(owner, GROUP_BYTE))
		command->group &= 0xff;
	if (WRONG(owner, GROUP_IGNORED))
		command->group = VFERRY_GROUP_SRIOV;
	if (WRONG(owner, OPCODE_BYTE))
		command->opcode &= 0xff;
	if (WRONG(owner, OPCODE_MODULO))
		command->opcode %= 64;
	if (WRONG(owner, MEMBER_WORD))
		command->member &= 0xffff;
	if (WRONG(owner, MEMBER_LONG))
		command->member &= 0xffffffff;
	if (WRONG(owner, MEMBER_ZERO) && !command->member && !is_list(command))
		command->member = 1;
	if (WRONG(owner, MEMBER_CLAMPED) && command->member > owner->num_vfs)
		command->member = owner->num_vfs;
}

static bool reserved_dirty(const struct vferry_admin_hdr *header)
{
	for (unsigned int i = 0; i < sizeof(header->reserved1); i++)
		if (header->reserved1[i])
			return true;
	return false;
}

static uint64_t wanted_room(const struct admin_command *command)
{
	switch (command->opcode) {
	case VFERRY_CMD_DEV_MODE_GET:
		return 9;
	case VFERRY_CMD_DEV_CTX_SIZE_GET:
	case VFERRY_CMD_LIST_QUERY:
		return 16;
	}
	return 8;
}

/* The first data bytes: a mode, its padding. */
static bool padding_dirty(const struct admin_command *command)
{
	struct segments data = command->data;
	uint8_t bytes[8] = { 0 };

	segments_get(&data, bytes, sizeof(bytes));
	for (unsigned int i = 1; i < sizeof(bytes); i++)
		if (bytes[i])
			return true;
	return false;
}

static bool data_bad(const struct admin_command *command)
{
	struct segments data = command->data;
	uint8_t byte = 0;

	segments_get(&data, &byte, 1);
	return byte > VFERRY_MODE_FREEZE;
}

void wrong_form(struct admin_command *command, const struct vferry_admin_hdr *header,
		uint64_t readable)
{
	const struct owner *owner = command->owner;
	bool more = command->opcode != VFERRY_CMD_DEV_CTX_WRITE &&
		    command->opcode != VFERRY_CMD_LIST_USE && readable > 32;

	address(command);
	command->readable = (uint32_t)readable;
	command->misformed =
		(WRONG(owner, RESERVED_CHECKED) && reserved_dirty(header)) ||
		(WRONG(owner, ODD_REFUSED) && (readable % 8 || command->writable % 8)) ||
		(WRONG(owner, SHORT_REFUSED) && has_one_byte(command) && readable < 32) ||
		(WRONG(owner, HEADER_REFUSED) && readable < sizeof(*header)) ||
		(WRONG(owner, LONG_REFUSED) && more) ||
		(WRONG(owner, ROOM_REFUSED) && command->writable < wanted_room(command)) ||
		(WRONG(owner, RUNS_REFUSED) && command->request->out_count > 1) ||
		(WRONG(owner, PADDING_CHECKED) && command->opcode == VFERRY_CMD_DEV_MODE_SET &&
		 padding_dirty(command)) ||
		(WRONG(owner, DATA_FIRST) && has_one_byte(command) && data_bad(command)) ||
		(WRONG(owner, LIST_MEMBER) && is_list(command) && command->member);
	if (WRONG(owner, OPCODE_RESERVED_SILENT) && command->opcode == 0xffff)
		command->effect.silent = true;
	if (WRONG(owner, ORDER_BROKEN) && command->opcode == VFERRY_CMD_DEV_CTX_SIZE_GET)
		command->effect.slow_ns = 3000000;
}

/* --- its answer --- */

void wrong_status(const struct admin_command *command, uint16_t *status, uint16_t *qualifier)
{
	const struct owner *owner = command->owner;

	if (*status == VFERRY_STATUS_EINVAL && WRONG(owner, STATUS_OTHER))
		*status = VFERRY_STATUS_ENXIO;
	if (*status && WRONG(owner, NO_QUALIFIER))
		*qualifier = VFERRY_Q_OK;
	if (!*status && WRONG(owner, OK_QUALIFIER))
		*qualifier = VFERRY_Q_INVALID_COMMAND;
}

uint32_t wrong_used(struct admin_command *command, uint32_t used)
{
	const struct owner *owner = command->owner;
	static const uint8_t zeros[64];

	if (WRONG(owner, SCRIBBLES)) {
		struct segments rest =
			segments_at(command->request->in, command->request->in_count, used);

		segments_put(&rest, zeros, sizeof(zeros));
	}
	if (WRONG(owner, USED_ROOM))
		return (uint32_t)command->writable;
	/* Nobody gets as far as the other commands without these two. */
	if (is_list(command))
		return used;
	if (WRONG(owner, USED_HEADER))
		return used < 8 ? used : 8;
	if (WRONG(owner, USED_ZERO))
		return 0;
	if (WRONG(owner, USED_BOTH))
		return used + command->readable;
	return used;
}

/* --- malformed images --- */

bool wrong_forgives(const struct wrongs *wrongs, const char *words)
{
	static const struct {
		enum wrong_name name;
		const char *part;
	} forgiven[] = {
		{ WRONG_UNKNOWN_TAKEN, "unknown here and not marked" },
		{ WRONG_DUPLICATE_TAKEN, "came before in the same image" },
		{ WRONG_RESERVED_TAKEN, "reserved bits are set" },
		{ WRONG_NONZERO_PADDING_TAKEN, "padding at offset" },
		{ WRONG_START_TWICE_TAKEN, "start inside an image" },
		{ WRONG_START_MISSING_TAKEN, "an image begins with start" },
		{ WRONG_MARKER_TAKEN, "a marker has no flags" },
		{ WRONG_MARKER_TAKEN, "a marker's index" },
		{ WRONG_MARKER_TAKEN, "this marker's is" },
		{ WRONG_LENGTH_TAKEN, "beyond the image's bound" },
		{ WRONG_DELTA_FIRST_TAKEN, "no full image before it" },
		{ WRONG_INDEX_TAKEN, "has no index" },
		{ WRONG_VALUE_LENGTH_TAKEN, "has a wrong length" },
	};

	for (unsigned int i = 0; i < sizeof(forgiven) / sizeof(forgiven[0]); i++)
		if (wrongs_have(wrongs, forgiven[i].name) && strstr(words, forgiven[i].part))
			return true;
	return false;
}
