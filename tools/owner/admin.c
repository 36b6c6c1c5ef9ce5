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
	return command->opcode < 64 && (command->owner->admin->list >> command->opcode & 1);
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

	put_result(command, &word, sizeof(word));
	return ANSWER_OK;
}

/* Missing bytes read as zero, zero words may follow; a command that LIST_QUERY does not name is refused. */
static bool rule_list_supported(struct segments *data, uint64_t *list)
{
	uint64_t words = 65536 / 64;
	uint64_t word = 0;
	uint64_t got;

	got = segments_get(data, &word, sizeof(word));
	*list = le64toh(word);
	if (*list & ~SUPPORTED)
		return false;
	while (got == sizeof(word) && --words) {
		word = 0;
		got = segments_get(data, &word, sizeof(word));
		if (word)
			return false;
	}
	return true;
}

static struct answer list_use(struct admin_command *command)
{
	uint64_t list;

	if (!rule_list_supported(&command->data, &list))
		return ANSWER(EINVAL, INVALID_FIELD);
	command->owner->admin->list = list;
	return ANSWER_OK;
}

/* --- the commands of a member -------------------------------------------------------------------------------- */

static struct answer mode_get(struct admin_command *command)
{
	struct vferry_admin_mode result = { .mode = (uint8_t)command->fn->mode };

	put_result(command, &result, sizeof(result));
	return ANSWER_OK;
}

static struct answer size_get(struct admin_command *command)
{
	struct vferry_admin_size_data data = { 0 };
	struct vferry_admin_size_result result;
	const struct function *fn = command->fn;

	segments_get(&command->data, &data, sizeof(data));
	if (data.freeze_mode > 1)
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
	return room || !image_remaining(fn);
}

static struct answer context_read(struct admin_command *command)
{
	uint64_t room = read_room(command);

	if (!rule_read_has_room(command->fn, room))
		return ANSWER(EINVAL, INVALID_COMMAND);
	command->output = image_read(command->fn, &command->result, room);
	command->result_bytes = command->output;
	return ANSWER_OK;
}

static bool rule_write_in_freeze(const struct function *fn)
{
	return fn->mode == VFERRY_MODE_FREEZE;
}

static struct answer context_write(struct admin_command *command)
{
	struct vferry_error err = { 0 };

	if (!rule_write_in_freeze(command->fn))
		return ANSWER(EINVAL, INVALID_COMMAND);
	switch (stage_write(command->fn, &command->data, &err)) {
	case 0:
		return ANSWER_OK;
	case -ENOMEM:
		return ANSWER(ENOMEM, NORESOURCE);
	}
	admin_log(command->fn, "write refused: %s", err.text);
	return ANSWER(EINVAL, INVALID_FIELD);
}

static void put_field(struct admin_command *command, uint16_t type, uint64_t length)
{
	struct vferry_admin_field field = { .type = htole16(type), .length = htole64(length) };

	put_result(command, &field, sizeof(field));
}

/* One entry a type, in the order of an image. */
static struct answer fields_query(struct admin_command *command)
{
	const struct keys *keys = &command->fn->admin->keys;
	int last = -1;

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
	image_discard(command->fn);
	stage_drop(command->fn);
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
	/* An open image goes on, its keys and lengths are fixed; the next one is full. */
	if (!fn->admin->clearing)
		fn->admin->full_due = true;
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
