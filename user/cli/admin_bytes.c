// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A command's bytes and an answer's, in words. */
#include <errno.h>
#include <string.h>
#include <vferry/context.h>
#include "cli/admin.h"

size_t admin_readable(const struct vferry_cmd *cmd, uint8_t bytes[ADMIN_READABLE_MAX])
{
	struct vferry_admin_hdr hdr = {
		.opcode = htole16(cmd->opcode),
		.group_type = htole16(cmd->group_type),
		.group_member_id = htole64(cmd->member),
	};
	size_t length = cmd->inline_length;

	memset(bytes, 0, ADMIN_READABLE_MAX);
	memcpy(bytes, &hdr, sizeof(hdr));
	memcpy(bytes + sizeof(hdr), cmd->inline_data, length);
	return sizeof(hdr) +
	       (length + VFERRY_ADMIN_ALIGN - 1) / VFERRY_ADMIN_ALIGN * VFERRY_ADMIN_ALIGN;
}

static size_t writable_bytes(const struct vferry_cmd *cmd)
{
	size_t room = cmd->result_room;

	for (unsigned int i = 0; i < cmd->result_count; i++)
		room += cmd->result[i].length;
	return sizeof(struct vferry_admin_answer_hdr) +
	       (room + VFERRY_ADMIN_ALIGN - 1) / VFERRY_ADMIN_ALIGN * VFERRY_ADMIN_ALIGN;
}

static struct json_object *opcode_json(unsigned int opcode)
{
	struct json_object *both = json_object_new_object();

	cli_add_uint(both, "opcode", opcode);
	cli_add_string(both, "name", vferry_opcode_name(opcode));
	return both;
}

/* le64 words, bit n of word n/64 = opcode n. */
static void add_opcodes(struct json_object *to, const uint8_t *bytes, size_t count)
{
	struct json_object *opcodes = json_object_new_array();

	for (size_t bit = 0; bit < count * 8; bit++) {
		if (bytes[bit / 8] >> (bit % 8) & 1)
			json_object_array_add(opcodes, opcode_json((unsigned int)bit));
	}
	cli_add(to, "opcodes", opcodes);
}

static void add_mode(struct json_object *to, unsigned int mode)
{
	cli_add_string(to, "mode", vferry_mode_name(mode));
	cli_add_uint(to, "mode_number", mode);
}

static void add_fields(struct json_object *to, const uint8_t *bytes, size_t count)
{
	struct json_object *fields = json_object_new_array();

	for (; count >= sizeof(struct vferry_admin_field);
	     count -= sizeof(struct vferry_admin_field)) {
		struct json_object *field = json_object_new_object();
		struct vferry_admin_field wire;

		memcpy(&wire, bytes, sizeof(wire));
		bytes += sizeof(wire);
		cli_add_uint(field, "type", le16toh(wire.type));
		cli_add_string(field, "name", vferry_ctx_type_name(le16toh(wire.type)));
		/* The draft has no word for "variable"; device-rules says 0. */
		cli_add(field, "length_bytes",
			wire.length ? json_object_new_uint64(le64toh(wire.length)) : NULL);
		json_object_array_add(fields, field);
	}
	cli_add(to, "fields", fields);
}

struct json_object *admin_command_json(const struct vferry_cmd *cmd)
{
	struct json_object *doc = json_object_new_object();
	uint8_t bytes[ADMIN_READABLE_MAX];
	size_t length = admin_readable(cmd, bytes);

	cli_add_opcode(doc, cmd->opcode);
	cli_add_uint(doc, "group_type", cmd->group_type);
	cli_add_uint(doc, "group_member_id", cmd->member);
	if (cmd->opcode == VFERRY_CMD_DEV_MODE_SET)
		add_mode(doc, cmd->inline_data[0]);
	else if (cmd->opcode == VFERRY_CMD_DEV_CTX_SIZE_GET)
		cli_add_uint(doc, "freeze_mode", cmd->inline_data[0]);
	else if (cmd->opcode == VFERRY_CMD_LIST_USE)
		add_opcodes(doc, cmd->inline_data, cmd->inline_length);
	cli_add_uint(doc, "readable_bytes", length);
	cli_add_hex(doc, "readable_hex", bytes, length);
	cli_add_uint(doc, "writable_bytes", writable_bytes(cmd));
	return doc;
}

struct json_object *admin_answer_json(const struct vferry_cmd *cmd)
{
	struct json_object *doc = json_object_new_object();
	struct vferry_admin_answer_hdr hdr = {
		.status = htole16(cmd->status),
		.status_qualifier = htole16(cmd->qualifier),
	};
	uint8_t bytes[sizeof(hdr) + VFERRY_CMD_INLINE_RESULT];
	const uint8_t *result = cmd->answer;
	size_t used = result ? cmd->used : 0;

	if (used > VFERRY_CMD_INLINE_RESULT)
		used = VFERRY_CMD_INLINE_RESULT;
	memcpy(hdr.output, cmd->output, sizeof(hdr.output));
	memcpy(bytes, &hdr, sizeof(hdr));
	if (used)
		memcpy(bytes + sizeof(hdr), result, used);
	if (cmd->member)
		cli_add_uint(doc, "vf", cmd->member);
	cli_add_opcode(doc, cmd->opcode);
	cli_add_uint(doc, "status", cmd->status);
	cli_add_string(doc, "status_name", vferry_status_name(cmd->status));
	cli_add_uint(doc, "qualifier", cmd->qualifier);
	cli_add_string(doc, "qualifier_name", vferry_qualifier_name(cmd->qualifier));
	cli_add_uint(doc, "duration_ns", cmd->done_ns - cmd->submit_ns);
	cli_add_uint(doc, "retries", cmd->retries);
	cli_add_hex(doc, "answer_hex", bytes, sizeof(hdr) + used);
	if (cmd->opcode == VFERRY_CMD_DEV_MODE_GET && used >= 1)
		add_mode(doc, result[0]);
	else if (cmd->opcode == VFERRY_CMD_DEV_MODE_SET)
		add_mode(doc, cmd->inline_data[0]);
	else if (cmd->opcode == VFERRY_CMD_DEV_CTX_FIELDS_QUERY)
		add_fields(doc, result, used);
	else if (cmd->opcode == VFERRY_CMD_LIST_QUERY)
		add_opcodes(doc, result, used);
	else if (cmd->opcode == VFERRY_CMD_LIST_USE)
		add_opcodes(doc, cmd->inline_data, cmd->inline_length);
	if (cmd->opcode == VFERRY_CMD_DEV_CTX_SIZE_GET) {
		__le64 size = 0; /* what the device did not write reads as zero (virtio 1.3) */

		if (used)
			memcpy(&size, result, used < sizeof(size) ? used : sizeof(size));
		cli_add_uint(doc, "context_bytes", le64toh(size));
		cli_add_bool(doc, "in_freeze", cmd->inline_data[0]);
	}
	return doc;
}

int admin_answer_error(const struct vferry_cmd *cmd, struct vferry_error *err)
{
	char where[64];

	if (cmd->member)
		snprintf(where, sizeof(where), "VF %llu: %s", (unsigned long long)cmd->member,
			 vferry_opcode_name(cmd->opcode));
	else
		snprintf(where, sizeof(where), "%s", vferry_opcode_name(cmd->opcode));
	if (cmd->error == -ETIMEDOUT)
		return vferry_fail(err, cmd->error,
				   "%s: no answer before the deadline; --timeout sets a longer one",
				   where);
	if (cmd->error)
		return vferry_fail(err, cmd->error, "%s: %s", where,
				   cmd->why ? cmd->why : strerror(-cmd->error));
	if (cmd->status == VFERRY_STATUS_OK)
		return 0;
	return vferry_fail(err, -EREMOTEIO, "%s: the device answers %s (%u), %s (%u)", where,
			   vferry_status_name(cmd->status), cmd->status,
			   vferry_qualifier_name(cmd->qualifier), cmd->qualifier);
}

static void put_bytes(struct cli *cli, const char *name, const uint8_t *bytes, size_t count)
{
	cli_text(cli, "  %s, %zu bytes\n", name, count);
	cli_hexdump(cli, bytes, count, 4);
}

static void words_of(struct cli *cli, const struct vferry_cmd *cmd)
{
	uint8_t bytes[ADMIN_READABLE_MAX];
	size_t length = admin_readable(cmd, bytes);

	put_bytes(cli, "device-readable", bytes, length);
	cli_text(cli, "    opcode           0x%x  %s\n", cmd->opcode,
		 vferry_opcode_name(cmd->opcode));
	cli_text(cli, "    group_type       %u    %s\n", cmd->group_type,
		 cmd->group_type == VFERRY_GROUP_SRIOV ? "sr-iov" : "unknown");
	cli_text(cli, "    group_member_id  %llu\n", (unsigned long long)cmd->member);
	if (cmd->opcode == VFERRY_CMD_DEV_MODE_SET)
		cli_text(cli, "    mode             %u    %s\n", cmd->inline_data[0],
			 vferry_mode_name(cmd->inline_data[0]));
	else if (cmd->opcode == VFERRY_CMD_DEV_CTX_SIZE_GET)
		cli_text(cli, "    freeze_mode      %u    %s\n", cmd->inline_data[0],
			 cmd->inline_data[0] ? "as it will be in freeze" : "as the mode is now");
	else if (cmd->opcode == VFERRY_CMD_LIST_USE) {
		cli_text(cli, "    opcodes          ");
		for (unsigned int bit = 0, n = 0; bit < cmd->inline_length * 8; bit++) {
			if (cmd->inline_data[bit / 8] >> (bit % 8) & 1)
				cli_text(cli, "%s0x%x", n++ ? " " : "", bit);
		}
		cli_text(cli, "\n");
	}
	cli_text(cli, "  device-writable, room for %zu bytes\n", writable_bytes(cmd));
}

int admin_dry_run(struct cli *cli, const struct vferry_cmd *commands, unsigned int count,
		  const char *data_note)
{
	struct json_object *doc = cli_document("vferry.admin.dry_run");
	struct json_object *list = json_object_new_array();

	cli_add_string(doc, "owner", cli_string(cli, "OWNER"));
	cli_add_string(doc, "command", cli_path(cli));
	for (unsigned int i = 0; i < count; i++) {
		const struct vferry_cmd *cmd = &commands[i];

		if (cmd->member)
			cli_text(cli, "%s, VF %llu (nothing is sent)\n",
				 vferry_opcode_name(cmd->opcode), (unsigned long long)cmd->member);
		else
			cli_text(cli, "%s (nothing is sent)\n", vferry_opcode_name(cmd->opcode));
		words_of(cli, cmd);
		if (data_note)
			cli_text(cli, "  %s\n", data_note);
		json_object_array_add(list, admin_command_json(cmd));
	}
	cli_add(doc, "commands", list);
	if (data_note)
		cli_add_string(doc, "note", data_note);
	return cli_print(cli, doc, NULL);
}
