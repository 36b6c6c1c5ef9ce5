// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A journal's record as it stands in the file. */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <vferry/admin.h>
#include <xxhash.h>
#include "migrate/journal.h"

#define MAGIC	    0x4c4e5246564a0a0dULL /* with line ends: a file that was "converted" is seen */
#define PLACE_BYTES (VF_JOURNAL_BYTES / 2)

struct record_wire {
	__le64 magic;
	__le32 version;
	__le32 bytes; /* of this record */
	__le64 sequence;
	__u8 id[16];
	__u8 group[16];
	__u8 epoch[16];
	__u8 boot[16];
	__u8 host[16];
	__u8 role;
	__u8 state;
	__u8 mode_found;
	__u8 reserved1;
	__le16 vf;
	__le16 members; /* of a group; 0: moved by itself */
	__le32 flags;
	__le32 pid;
	__le64 opened_ns;
	__le64 written_ns;
	__le64 written_boot_ns;
	char owner[256];
	char peer[256];
	__le64 check; /* XXH3-64 of all before it */
};

VFERRY_STATIC_ASSERT(sizeof(struct record_wire) == 664, "journal record");
VFERRY_STATIC_ASSERT(offsetof(struct record_wire, role) == 104, "journal role");
VFERRY_STATIC_ASSERT(offsetof(struct record_wire, opened_ns) == 120, "journal times");
VFERRY_STATIC_ASSERT(sizeof(struct record_wire) <= PLACE_BYTES, "journal place");

void vf_journal_pack(uint8_t place[PLACE_BYTES], const struct vf_journal_record *record)
{
	struct record_wire wire = {
		.magic = htole64(MAGIC),
		.version = htole32(VF_JOURNAL_VERSION),
		.bytes = htole32(sizeof(wire)),
		.sequence = htole64(record->sequence),
		.role = record->role,
		.state = record->state,
		.mode_found = record->mode_found,
		.vf = htole16(record->vf),
		.members = htole16(record->members),
		.flags = htole32(record->flags),
		.pid = htole32(record->pid),
		.opened_ns = htole64(record->opened_ns),
		.written_ns = htole64(record->written_ns),
		.written_boot_ns = htole64(record->written_boot_ns),
	};

	memcpy(wire.id, record->id, 16);
	memcpy(wire.group, record->group, 16);
	memcpy(wire.epoch, record->epoch, 16);
	memcpy(wire.boot, record->boot, 16);
	memcpy(wire.host, record->host, 16);
	memcpy(wire.owner, record->owner, strnlen(record->owner, sizeof(wire.owner) - 1));
	memcpy(wire.peer, record->peer, strnlen(record->peer, sizeof(wire.peer) - 1));
	wire.check = htole64(XXH3_64bits(&wire, offsetof(struct record_wire, check)));
	memset(place, 0, PLACE_BYTES);
	memcpy(place, &wire, sizeof(wire));
}

static bool state_fits(unsigned int role, unsigned int state)
{
	switch (state) {
#define X(name, number, text) case number:
		VFERRY_SOURCE_STATES(X)
		return role == VF_ROLE_SOURCE;
		VFERRY_DESTINATION_STATES(X)
		return role == VF_ROLE_DESTINATION;
#undef X
	}
	return false;
}

static bool text_ends(const char *text, size_t room)
{
	return memchr(text, 0, room) != NULL;
}

/* One of the two places: 0, -ENODATA when it was never written, or what is wrong with it. */
static int parse_place(struct vf_journal_record *record, const uint8_t *place,
		       struct vferry_error *err)
{
	struct record_wire wire;

	memcpy(&wire, place, sizeof(wire));
	if (!wire.magic)
		return -ENODATA;
	if (le64toh(wire.magic) != MAGIC)
		return vferry_fail(err, -EBADMSG, "not a vferry journal (magic 0x%llx)",
				   (unsigned long long)le64toh(wire.magic));
	if (le32toh(wire.version) != VF_JOURNAL_VERSION)
		return vferry_fail(
			err, -EPROTONOSUPPORT,
			"written by another vferry (journal version %u, this one reads %u)",
			le32toh(wire.version), VF_JOURNAL_VERSION);
	if (le32toh(wire.bytes) != sizeof(wire) ||
	    le64toh(wire.check) != XXH3_64bits(&wire, offsetof(struct record_wire, check)))
		return vferry_fail(err, -EBADMSG, "a damaged record (its check does not agree)");
	if (!state_fits(wire.role, wire.state) || wire.mode_found > VFERRY_MODE_FREEZE ||
	    !wire.vf != !!(le32toh(wire.flags) & VF_JOURNAL_NO_VF) ||
	    !text_ends(wire.owner, sizeof(wire.owner)) ||
	    !text_ends(wire.peer, sizeof(wire.peer)) || wire.reserved1 ||
	    (le16toh(wire.members) != 0) != ((le32toh(wire.flags) & VF_JOURNAL_TOGETHER) != 0))
		return vferry_fail(
			err, -EBADMSG,
			"a record that cannot be (role %u, state %u, mode found %u, VF %u)",
			wire.role, wire.state, wire.mode_found, le16toh(wire.vf));
	*record = (struct vf_journal_record){
		.role = wire.role,
		.state = wire.state,
		.mode_found = wire.mode_found,
		.vf = le16toh(wire.vf),
		.members = le16toh(wire.members),
		.flags = le32toh(wire.flags),
		.pid = le32toh(wire.pid),
		.sequence = le64toh(wire.sequence),
		.opened_ns = le64toh(wire.opened_ns),
		.written_ns = le64toh(wire.written_ns),
		.written_boot_ns = le64toh(wire.written_boot_ns),
	};
	memcpy(record->id, wire.id, 16);
	memcpy(record->group, wire.group, 16);
	memcpy(record->epoch, wire.epoch, 16);
	memcpy(record->boot, wire.boot, 16);
	memcpy(record->host, wire.host, 16);
	memcpy(record->owner, wire.owner, sizeof(wire.owner));
	memcpy(record->peer, wire.peer, sizeof(wire.peer));
	return 0;
}

int vf_journal_parse(struct vf_journal_record *record, const uint8_t bytes[VF_JOURNAL_BYTES],
		     struct vferry_error *err)
{
	struct vf_journal_record two[2];
	struct vferry_error why[2] = { 0 };
	int ret[2];

	for (int i = 0; i < 2; i++)
		ret[i] = parse_place(&two[i], bytes + i * PLACE_BYTES, &why[i]);
	/* A version that is not ours may mean more than the other place says: hands off. */
	for (int i = 0; i < 2; i++) {
		if (ret[i] == -EPROTONOSUPPORT) {
			if (err)
				*err = why[i];
			return ret[i];
		}
	}
	if (!ret[0] && !ret[1]) {
		if (memcmp(two[0].id, two[1].id, VF_ID_BYTES) || two[0].role != two[1].role ||
		    two[0].vf != two[1].vf)
			return vferry_fail(err, -EBADMSG,
					   "two records of different migrations in one file");
		*record = two[0].sequence > two[1].sequence ? two[0] : two[1];
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		if (!ret[i]) {
			*record = two[i];
			return 0;
		}
	}
	if (ret[0] == -ENODATA && ret[1] == -ENODATA)
		return vferry_fail(err, -EBADMSG, "an empty journal: its writer died making it");
	if (err)
		*err = ret[0] == -ENODATA ? why[1] : why[0];
	return -EBADMSG;
}
