// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The group administration commands: the rules that hold for every command, and the short commands. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/owner/admin.h"

#define SUPPORTED	  (VFERRY_LIST_BASE | VFERRY_LIST_MIGRATION)
#define MAX_CONTEXT_BYTES (1ULL << 30)

/* --- rules for every command, in the order of the specification: group, opcode, member ------------------- */

/* LIST_* of a group is answered whether or not its members are there. */
static bool rule_group(const struct admin_command *command)
{
	if (command->group != VFERRY_GROUP_SRIOV)
		return false;
	return command->opcode == VFERRY_CMD_LIST_QUERY || command->opcode == VFERRY_CMD_LIST_USE ||
	       command->owner->num_vfs;
}

static bool rule_opcode(const struct admin_command *command)
{
	uint64_t list = command->owner->admin->list;

	if (WRONG(command->owner, LIST_BASE_STICKS))
		list |= VFERRY_LIST_BASE;
	return command->opcode < 64 && (list >> command->opcode & 1);
}

static bool uses_member(uint16_t opcode)
{
	return opcode != VFERRY_CMD_LIST_QUERY && opcode != VFERRY_CMD_LIST_USE;
}

static bool rule_member(const struct admin_command *command)
{
	return !uses_member(command->opcode) ||
	       (command->member >= 1 && command->member <= command->owner->num_vfs);
}

static struct answer validate(const struct admin_command *command)
{
	const struct owner *owner = command->owner;

	if (command->misformed)
		return ANSWER(EINVAL, INVALID_FIELD);
	if (WRONG(owner, OPCODE_FIRST) && !rule_opcode(command))
		return ANSWER(EINVAL, INVALID_OPCODE);
	if (WRONG(owner, MEMBER_FIRST) && rule_group(command) && !rule_member(command))
		return ANSWER(EINVAL, INVALID_MEMBER);
	if (!rule_group(command))
		return ANSWER(EINVAL, INVALID_GROUP);
	if (!rule_opcode(command))
		return ANSWER(EINVAL, INVALID_OPCODE);
	if (!rule_member(command))
		return ANSWER(EINVAL, INVALID_MEMBER);
	return ANSWER_OK;
}

/* --- the list of legal commands ---------------------------------------------------------------------------- */

static void put_result(struct admin_command *command, const void *from, uint64_t bytes)
{
	command->result_bytes += segments_put(&command->result, from, bytes);
}

static struct answer list_query(struct admin_command *command)
{
	uint64_t word = htole64(SUPPORTED);

	if (WRONG(command->owner, LIST_SHRINKS) && command->owner->admin->list != VFERRY_LIST_BASE)
		word = htole64(command->owner->admin->list);
	put_result(command, &word, sizeof(word));
	if (WRONG(command->owner, LIST_RAGGED))
		put_result(command, "\0\0\0", 4);
	return ANSWER_OK;
}

/* Missing bytes read as zero, zero words may follow; a command that LIST_QUERY does not name is refused. */
static bool rule_list_supported(const struct owner *owner, struct segments *data, uint64_t *list)
{
	uint64_t words = 65536 / 64;
	uint64_t word = 0;
	uint64_t got;

	got = segments_get(data, &word, sizeof(word));
	*list = le64toh(word);
	if (WRONG(owner, LIST_SUPERSET))
		*list &= SUPPORTED;
	if (*list & ~SUPPORTED)
		return false;
	if (WRONG(owner, LIST_FIRST_WORD))
		return true;
	while (got == sizeof(word) && --words) {
		word = 0;
		got = segments_get(data, &word, sizeof(word));
		if (word || (got && WRONG(owner, LIST_LONG_REFUSED)))
			return false;
	}
	return true;
}

static struct answer list_use(struct admin_command *command)
{
	struct owner *owner = command->owner;
	uint64_t list;

	if (WRONG(owner, LIST_ONCE) && owner->admin->list != VFERRY_LIST_BASE)
		return ANSWER(EINVAL, INVALID_COMMAND);
	if (!rule_list_supported(owner, &command->data, &list)) {
		if (WRONG(owner, LIST_REFUSED_APPLIES))
			owner->admin->list = list & SUPPORTED;
		return ANSWER(EINVAL, INVALID_FIELD);
	}
	if (!list && WRONG(owner, LIST_EMPTY_REFUSED))
		return ANSWER(EINVAL, INVALID_FIELD);
	owner->admin->list = WRONG(owner, LIST_IGNORED) ? SUPPORTED : list;
	return ANSWER_OK;
}

/* --- the commands of a member -------------------------------------------------------------------------------- */

static struct answer mode_get(struct admin_command *command)
{
	struct vferry_admin_mode result = { .mode = (uint8_t)command->fn->mode };

	if (result.mode == VFERRY_MODE_FREEZE && WRONG(command->owner, MODE_GET_FREEZE))
		result.mode = VFERRY_MODE_STOP;

	put_result(command, &result, sizeof(result));
	return ANSWER_OK;
}

static struct answer size_get(struct admin_command *command)
{
	struct vferry_admin_size_data data = { 0 };
	struct vferry_admin_size_result result;
	struct function *fn = command->fn;

	segments_get(&command->data, &data, sizeof(data));
	if (WRONG(command->owner, SIZE_CLOSES))
		image_close(fn);
	if (data.freeze_mode > 1 && !WRONG(command->owner, SIZE_FLAG_ANY))
		return ANSWER(EINVAL, INVALID_FIELD);
	result.size = htole64(data.freeze_mode ? image_estimate_frozen(fn) : image_remaining(fn));
	put_result(command, &result, sizeof(result));
	return ANSWER_OK;
}

static uint64_t read_room(const struct admin_command *command)
{
	const struct fault_effect *effect = &command->effect;
	uint64_t room = command->writable > sizeof(struct vferry_admin_answer_hdr)
				? command->writable - sizeof(struct vferry_admin_answer_hdr)
				: 0;

	if (effect->room_set && effect->room < room)
		room = effect->room;
	if (effect->odd && room && room % 2 == 0)
		room--;
	return room;
}

/* OK with nothing would read as the end of the stream. */
static bool rule_read_has_room(const struct function *fn, uint64_t room)
{
	return room || !image_remaining(fn) || FN_WRONG(fn, READ_ZERO_OK);
}

static struct answer context_read(struct admin_command *command)
{
	uint64_t room = read_room(command);

	if (command->fn->mode == VFERRY_MODE_STOP && WRONG(command->owner, READ_STOP_REFUSED))
		return ANSWER(EINVAL, INVALID_COMMAND);
	if (!rule_read_has_room(command->fn, room)) {
		struct segments nowhere = { NULL, 0, 0 };

		if (WRONG(command->owner, READ_REFUSED_MOVES) ||
		    (WRONG(command->owner, READ_HEADER_MOVES) && command->writable < 8))
			image_read(command->fn, &nowhere, 8);
		return ANSWER(EINVAL, INVALID_COMMAND);
	}
	command->output = image_read(command->fn, &command->result, room);
	command->result_bytes = command->output;
	if (WRONG(command->owner, READ_CONTEXT_LEN))
		command->output = (command->output + 7) & ~7u;
	return ANSWER_OK;
}

static bool rule_write_in_freeze(const struct function *fn)
{
	if (fn->mode == VFERRY_MODE_STOP && FN_WRONG(fn, WRITE_IN_STOP))
		return true;
	if (fn->mode == VFERRY_MODE_ACTIVE && FN_WRONG(fn, WRITE_IN_ACTIVE))
		return true;
	return fn->mode == VFERRY_MODE_FREEZE;
}

static struct answer context_write(struct admin_command *command)
{
	struct vferry_error err = { 0 };

	if (!rule_write_in_freeze(command->fn)) {
		if (WRONG(command->owner, WRITE_REFUSES_BUT_STAGES))
			stage_write(command->fn, &command->data, &err);
		return ANSWER(EINVAL, INVALID_COMMAND);
	}
	if (WRONG(command->owner, WRITE_EMPTY_REFUSED) && command->readable <= 24)
		return ANSWER(EINVAL, INVALID_FIELD);
	if (command->fn->admin->stage.forgiven)
		return ANSWER_OK;
	if (WRONG(command->owner, WRITE_CLOSES))
		image_close(command->fn);
	switch (stage_write(command->fn, &command->data, &err)) {
	case 0:
		return ANSWER_OK;
	case -ENOMEM:
		return ANSWER(ENOMEM, NORESOURCE);
	}
	if (wrong_forgives(&command->owner->opts.wrongs, err.text)) {
		stage_drop(command->fn);
		command->fn->admin->stage.forgiven = true;
		return ANSWER_OK;
	}
	if (WRONG(command->owner, WRITE_BAD_DROPS))
		stage_drop(command->fn);
	admin_log(command->fn, "write refused: %s", err.text);
	return ANSWER(EINVAL, INVALID_FIELD);
}

static void put_field(struct admin_command *command, uint16_t type, uint64_t length)
{
	struct vferry_admin_field field = { .type = htole16(type), .length = htole64(length) };
	const struct owner *owner = command->owner;

	if (type == VFERRY_CTX_DEVICE_STATUS && WRONG(owner, FIELDS_MISSING))
		return;
	if (type == VFERRY_CTX_DEVICE_CFG && WRONG(owner, FIELDS_FREEZE) &&
	    command->fn->mode == VFERRY_MODE_FREEZE)
		return;
	if (type == VFERRY_CTX_PCI_COMMON_CFG && WRONG(owner, FIELDS_LENGTH))
		field.length = htole64(8);
	if (WRONG(owner, FIELDS_DIRTY))
		field.reserved[5] = 1;
	if (type == VFERRY_CTX_DEVICE_STATUS && WRONG(owner, FIELDS_TWICE))
		put_result(command, &field, sizeof(field));
	put_result(command, &field, sizeof(field));
}

/* One entry a type, in the order of an image. */
static struct answer fields_query(struct admin_command *command)
{
	const struct keys *keys = &command->fn->admin->keys;
	int last = -1;

	if (WRONG(command->owner, FIELDS_CLOSES))
		image_close(command->fn);
	if (WRONG(command->owner, FIELDS_ROOM) && command->writable < 8 + 16 * 11)
		return ANSWER(ENOMEM, NORESOURCE);
	put_field(command, VFERRY_CTX_START, sizeof(struct vferry_ctx_start));
	for (uint32_t slot = 0; slot < keys->count && slot <= keys->small; slot++) {
		struct key key = keys_at(keys, slot);

		if (key.type != last)
			put_field(command, key.type, key.length);
		last = key.type;
	}
	put_field(command, VFERRY_CTX_END, 0);
	return ANSWER_OK;
}

static struct answer discard(struct admin_command *command)
{
	struct owner *owner = command->owner;
	struct function *fn = command->fn;

	if (WRONG(owner, DISCARD_FREEZE_ONLY) && fn->mode != VFERRY_MODE_FREEZE)
		return ANSWER(EINVAL, INVALID_COMMAND);
	if (WRONG(owner, DISCARD_UNDOES))
		fn_reset(fn);
	if (WRONG(owner, DISCARD_ACTIVE))
		fn->mode = VFERRY_MODE_ACTIVE;
	for (unsigned int i = 1; i <= owner->opts.vfs && WRONG(owner, READ_MEMBERS); i++)
		image_discard(&owner->vfs[i]);
	if (!WRONG(owner, DISCARD_KEEPS_CURSOR))
		image_discard(fn);
	if (!WRONG(owner, DISCARD_KEEPS_STAGED))
		stage_drop(fn);
	return ANSWER_OK;
}

static void dispatch(struct admin_command *command)
{
	static struct answer (*const commands[64])(struct admin_command *) = {
		[VFERRY_CMD_LIST_QUERY] = list_query,
		[VFERRY_CMD_LIST_USE] = list_use,
		[VFERRY_CMD_DEV_MODE_GET] = mode_get,
		[VFERRY_CMD_DEV_CTX_SIZE_GET] = size_get,
		[VFERRY_CMD_DEV_CTX_READ] = context_read,
		[VFERRY_CMD_DEV_CTX_WRITE] = context_write,
		[VFERRY_CMD_DEV_CTX_FIELDS_QUERY] = fields_query,
		[VFERRY_CMD_DEV_CTX_DISCARD] = discard,
	};
	struct vferry_admin_mode mode = { 0 };

	if (command->opcode == VFERRY_CMD_DEV_MODE_SET) {
		segments_get(&command->data, &mode, sizeof(mode));
		mode_set(command, mode.mode);
		return;
	}
	service_executed(command, commands[command->opcode](command));
}

void admin_execute(struct admin_command *command)
{
	struct answer answer;

	if (command->effect.die)
		command->owner->die(command->owner);
	if (command->effect.answer_set) {
		service_executed(command, command->effect.answer);
		return;
	}
	answer = validate(command);
	if (answer.status) {
		if (WRONG(command->owner, OPCODE_UNKNOWN_OK) &&
		    answer.qualifier == VFERRY_Q_INVALID_OPCODE)
			answer = ANSWER_OK;
		if (WRONG(command->owner, LIST_TOO_LATE) && command->fn &&
		    (command->opcode & 0x7fff) == VFERRY_CMD_DEV_MODE_SET)
			command->fn->mode = VFERRY_MODE_STOP;
		service_executed(command, answer);
		return;
	}
	dispatch(command);
}

/* --- what the function room tells ------------------------------------------------------------------------------ */

void admin_function_reset(struct function *fn)
{
	if (!fn->admin)
		return;
	blocks_blank(fn);
	if (FN_WRONG(fn, RESET_CLOSES))
		image_close(fn);
	/* An open image goes on, its keys and lengths are fixed; the next one is full. */
	if (!fn->admin->clearing && !FN_WRONG(fn, RESET_NO_FULL))
		fn->admin->full_due = true;
}

void admin_staged_dropped(struct function *fn)
{
	stage_drop(fn);
}

void admin_pf_reset(struct owner *owner)
{
	owner->admin->list = VFERRY_LIST_BASE;
	service_forget(owner, 0, OWNER_MAX_QUEUES);
	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		image_close(&owner->vfs[i]);
}

void admin_queue_reset(struct owner *owner, unsigned int queue)
{
	service_forget(owner, queue, 1);
}

void admin_vfs_enabled(struct owner *owner, uint16_t num)
{
	owner->num_vfs = num <= owner->opts.vfs ? num : (uint16_t)owner->opts.vfs;
	for (unsigned int i = 1; i <= owner->opts.vfs; i++) {
		struct function *fn = &owner->vfs[i];

		stage_drop(fn);
		blocks_blank(fn);
		image_forget(fn);
		fn->mode = VFERRY_MODE_ACTIVE;
	}
	/* Only now: an answer lets the next command begin. */
	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		mode_vanish(&owner->vfs[i]);
}

/* --- beginning and end -------------------------------------------------------------------------------------------- */

static int function_new(struct function *fn, uint32_t blocks, struct vferry_error *err)
{
	struct fn_admin *adm = calloc(1, sizeof(*adm));

	fn->admin = adm;
	if (adm) {
		keys_init(&adm->keys, fn, blocks);
		adm->line_end = &adm->line;
		adm->full_due = true;
		adm->changed = bits_new(adm->keys.count);
		adm->image.keys = bits_new(adm->keys.count);
		if (adm->changed && adm->image.keys && !blocks_init(fn, blocks))
			return 0;
	}
	return vferry_fail(
		err, -ENOMEM,
		"no memory for VF %u with %u context blocks; lower --vfs or --context-bytes",
		fn->number, blocks);
}

static void function_free(struct function *fn)
{
	if (!fn->admin)
		return;
	stage_drop(fn);
	blocks_exit(fn);
	free(fn->admin->changed);
	free(fn->admin->image.keys);
	free(fn->admin);
	fn->admin = NULL;
}

int admin_new(struct owner *owner, struct vferry_error *err)
{
	uint64_t bytes = owner->opts.context_bytes;
	uint32_t blocks;
	int ret = 0;

	if (bytes > MAX_CONTEXT_BYTES)
		return vferry_fail(err, -EINVAL, "--context-bytes %llu: a VF has at most %llu",
				   (unsigned long long)bytes, MAX_CONTEXT_BYTES);
	blocks = (uint32_t)((bytes + VFERRY_CTX_BLOCK_BYTES - 1) / VFERRY_CTX_BLOCK_BYTES);
	owner->admin = calloc(1, sizeof(*owner->admin));
	if (!owner->admin)
		return vferry_fail(err, -ENOMEM, "no memory for the administration");
	owner->admin->owner = owner;
	owner->admin->list = VFERRY_LIST_BASE;
	/* What is staged may fill half the machine's memory; a WRITE beyond is told so. */
	owner->admin->stage_limit =
		(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
	for (unsigned int i = 0; i < OWNER_MAX_QUEUES; i++)
		owner->admin->queues[i].end = &owner->admin->queues[i].first;
	for (unsigned int i = 1; i <= owner->opts.vfs && !ret; i++)
		ret = function_new(&owner->vfs[i], blocks, err);
	if (ret)
		admin_free(owner);
	else
		blocks_clock_start(owner);
	return ret;
}

void admin_free(struct owner *owner)
{
	if (!owner->admin)
		return;
	service_free(owner);
	mode_free(owner);
	for (unsigned int i = 1; i <= owner->opts.vfs; i++)
		function_free(&owner->vfs[i]);
	blocks_clock_stop(owner);
	free(owner->admin);
	owner->admin = NULL;
}

void admin_log(const struct function *fn, const char *format, ...)
{
	char words[600];
	va_list args;

	if (!fn->owner->opts.verbose)
		return;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	fprintf(stderr, "vferry-owner: vf %u: %s\n", fn->number, words);
}
