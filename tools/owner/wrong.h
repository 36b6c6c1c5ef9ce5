/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * --wrong: a device that breaks a rule on purpose, one class of mistakes a name. It is there to show that vferry conform
 * finds each; every name hooks in at the one place where its rule is kept.
 */
#ifndef OWNER_WRONG_H
#define OWNER_WRONG_H

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, "name", "what the device does") */
#define WRONGS(X)                                                                                  \
	X(OPCODE_FIRST, "opcode-first", "looks at the opcode before the group type")               \
	X(MEMBER_FIRST, "member-first", "looks at the member before the opcode")                   \
	X(DATA_FIRST, "data-first", "looks at a command's data before the member")                 \
	X(GROUP_IGNORED, "group-ignored", "takes every group type for SR-IOV")                     \
	X(GROUP_BYTE, "group-byte", "reads the group type as one byte")                            \
	X(OPCODE_BYTE, "opcode-byte", "reads the opcode as one byte")                              \
	X(OPCODE_MODULO, "opcode-modulo", "looks an opcode up modulo 64")                          \
	X(OPCODE_UNKNOWN_OK, "opcode-unknown-ok", "says ok to opcodes that it does not know")      \
	X(OPCODE_RESERVED_SILENT, "opcode-reserved-silent", "never answers opcode 65535")          \
	X(MEMBER_ZERO, "member-zero", "takes member 0 for VF 1")                                   \
	X(MEMBER_CLAMPED, "member-clamped", "takes a member beyond NumVFs for the last VF")        \
	X(MEMBER_WORD, "member-word", "reads the member id as 16 bits")                            \
	X(MEMBER_LONG, "member-long", "reads the member id as 32 bits")                            \
	X(RESERVED_CHECKED, "reserved-checked", "refuses commands whose reserved1 is not zero")    \
	X(NO_QUALIFIER, "no-qualifier", "gives qualifier 0 with errors")                           \
	X(OK_QUALIFIER, "ok-qualifier", "gives a qualifier with status ok")                        \
	X(STATUS_OTHER, "status-other", "refuses with ENXIO instead of EINVAL")                    \
	X(OUTPUT_DIRTY, "output-dirty", "leaves bytes behind the qualifier that are not zero")     \
	X(ODD_REFUSED, "odd-refused", "refuses parts whose length is no multiple of 8")            \
	X(SHORT_REFUSED, "short-refused", "refuses a mode_set or size_get of 24 bytes")            \
	X(HEADER_REFUSED, "header-refused", "refuses a readable part shorter than the header")     \
	X(LONG_REFUSED, "long-refused", "refuses more data than a command has")                    \
	X(ROOM_REFUSED, "room-refused",                                                            \
	  "refuses a writable part that is too short for its answer")                              \
	X(RUNS_REFUSED, "runs-refused", "refuses parts that lie in more than one run")             \
	X(PADDING_CHECKED, "padding-checked", "refuses a mode_set whose padding is not zero")      \
	X(USED_ROOM, "used-room", "says that it wrote all of the writable part")                   \
	X(USED_HEADER, "used-header", "leaves the result out of the used length")                  \
	X(USED_ZERO, "used-zero", "says used length 0")                                            \
	X(USED_BOTH, "used-both", "counts the readable part in the used length")                   \
	X(SCRIBBLES, "scribbles", "clears the writable part behind its answer")                    \
	X(ORDER_BROKEN, "order-broken", "lets a size_get be overtaken in its queue")               \
	X(LIST_SHRINKS, "list-shrinks", "offers after list_use what was asked for only")           \
	X(LIST_RAGGED, "list-ragged", "answers list_query with half a word more")                  \
	X(LIST_SUPERSET, "list-superset", "takes a list_use of what it does not offer")            \
	X(LIST_FIRST_WORD, "list-first-word", "looks at the first word of list_use only")          \
	X(LIST_LONG_REFUSED, "list-long-refused", "refuses zero words in list_use")                \
	X(LIST_EMPTY_REFUSED, "list-empty-refused", "refuses an empty list_use")                   \
	X(LIST_IGNORED, "list-ignored", "says ok to list_use and allows everything")               \
	X(LIST_BASE_STICKS, "list-base-sticks", "always allows list_query and list_use")           \
	X(LIST_REFUSED_APPLIES, "list-refused-applies", "puts a refused list into force")          \
	X(LIST_ONCE, "list-once", "takes list_use once")                                           \
	X(LIST_MEMBER, "list-member", "refuses list_* with a member")                              \
	X(LIST_TOO_LATE, "list-too-late", "carries out mode_set before it refuses it")             \
	X(MODE_GET_FREEZE, "mode-get-freeze", "says Stop in Freeze")                               \
	X(MODE_UNKNOWN_OK, "mode-unknown-ok", "says ok to modes that there are not")               \
	X(MODE_UNKNOWN_STOPS, "mode-unknown-stops", "refuses an unknown mode, and stops")          \
	X(MODE_MASKED, "mode-masked", "looks at the two lowest bits of a mode")                    \
	X(MODE_SAME_REFUSED, "mode-same-refused", "refuses the mode that it is in")                \
	X(MODE_SKIP_REFUSED, "mode-skip-refused", "refuses Active to Freeze")                      \
	X(MODE_BACK_REFUSED, "mode-back-refused", "refuses Freeze to Stop")                        \
	X(MODE_HALF_WAY, "mode-half-way", "ends in Stop when it is sent from Freeze to Active")    \
	X(MODE_ALL, "mode-all", "stops the next VF too")                                           \
	X(MODE_KEEPS_CURSOR, "mode-keeps-cursor", "keeps a half read image over a mode change")    \
	X(MODE_FORGETS_MAP, "mode-forgets-map", "owes a full image after each mode change")        \
	X(SIZE_FLAG_ANY, "size-flag-any", "takes any freeze_mode")                                 \
	X(SIZE_NEVER_ZERO, "size-never-zero", "never says size 0")                                 \
	X(SIZE_WHOLE, "size-whole", "says the whole size while an image is read")                  \
	X(SIZE_LOW, "size-low", "guesses too low for Freeze")                                      \
	X(SIZE_FROZEN_WHOLE, "size-frozen-whole", "says the whole size for freeze_mode 1")         \
	X(SIZE_CLOSES, "size-closes", "begins an image anew after size_get")                       \
	X(FIELDS_MISSING, "fields-missing", "leaves device_status out of fields")                  \
	X(FIELDS_LENGTH, "fields-length", "says a length in fields that is too small")             \
	X(FIELDS_DIRTY, "fields-dirty", "sets reserved bytes in fields")                           \
	X(FIELDS_TWICE, "fields-twice", "names a type twice in fields")                            \
	X(FIELDS_FREEZE, "fields-freeze", "names one type less in Freeze")                         \
	X(FIELDS_CLOSES, "fields-closes", "begins an image anew after fields")                     \
	X(FIELDS_ROOM, "fields-room", "refuses fields without room for all entries")               \
	X(READ_STOP_REFUSED, "read-stop-refused", "refuses to be read in Stop")                    \
	X(READ_TRUNCATES, "read-truncates", "loses what a small read has no room for")             \
	X(READ_ODD_LOSES, "read-odd-loses", "loses bytes of reads with odd room")                  \
	X(READ_EARLY_END, "read-early-end", "answers ok and 0 before the end marker")              \
	X(READ_ZERO_OK, "read-zero-ok", "answers ok and 0 when there is no room")                  \
	X(READ_REFUSED_MOVES, "read-refused-moves", "moves on in a read that it refuses")          \
	X(READ_HEADER_MOVES, "read-header-moves",                                                  \
	  "moves on in a read that has no room for the header")                                    \
	X(READ_RESTARTS, "read-restarts", "begins anew behind the last byte")                      \
	X(READ_CONTEXT_LEN, "read-context-len", "rounds context_len up to 8")                      \
	X(READ_KEY_TWICE, "read-key-twice", "gives a key twice in an image")                       \
	X(READ_DIRTY, "read-dirty", "sets reserved bits in images")                                \
	X(READ_CHANGES, "read-changes", "changes its state when it is read in Freeze")             \
	X(READ_FULL_AS_DELTA, "read-full-as-delta", "marks full images as deltas")                 \
	X(READ_DELTA_AS_FULL, "read-delta-as-full", "marks deltas as full images")                 \
	X(READ_MEMBERS, "read-members", "drops the cursors of all VFs on discard")                 \
	X(CHANGE_LOST, "change-lost", "does not notice changes of pci_common_cfg")                 \
	X(DELTA_WHOLE, "delta-whole", "gives all keys in a delta")                                 \
	X(DISCARD_KEEPS_CURSOR, "discard-keeps-cursor", "keeps the read cursor on discard")        \
	X(DISCARD_KEEPS_STAGED, "discard-keeps-staged", "keeps staged data on discard")            \
	X(DISCARD_DELTA, "discard-delta", "gives a delta after discard")                           \
	X(DISCARD_ACTIVE, "discard-active", "goes Active on discard")                              \
	X(DISCARD_UNDOES, "discard-undoes", "undoes a commit on discard")                          \
	X(DISCARD_FREEZE_ONLY, "discard-freeze-only", "refuses discard outside of Freeze")         \
	X(WRITE_IN_STOP, "write-in-stop", "takes write in Stop")                                   \
	X(WRITE_IN_ACTIVE, "write-in-active", "takes write in Active")                             \
	X(WRITE_REFUSES_BUT_STAGES, "write-refuses-but-stages", "stages what it refuses in Stop")  \
	X(WRITE_SPLIT_REFUSED, "write-split-refused",                                              \
	  "refuses a write that ends in a field's header")                                         \
	X(WRITE_EMPTY_REFUSED, "write-empty-refused", "refuses a write of no bytes")               \
	X(WRITE_BAD_DROPS, "write-bad-drops", "drops all that is staged at a malformed write")     \
	X(WRITE_CLOSES, "write-closes", "begins an image anew after write")                        \
	X(WRITE_VISIBLE, "write-visible", "applies an image when it is written")                   \
	X(OPTIONAL_REFUSED, "optional-refused", "refuses unknown optional fields")                 \
	X(UNKNOWN_TAKEN, "unknown-taken", "skips unknown fields that are not optional")            \
	X(DUPLICATE_TAKEN, "duplicate-taken", "takes a key twice in one image")                    \
	X(RESERVED_TAKEN, "reserved-taken", "takes reserved bits in images")                       \
	X(NONZERO_PADDING_TAKEN, "nonzero-padding-taken", "takes padding that is not zero")        \
	X(START_TWICE_TAKEN, "start-twice-taken", "takes a start inside an image")                 \
	X(START_MISSING_TAKEN, "start-missing-taken", "takes an image without start")              \
	X(MARKER_TAKEN, "marker-taken", "takes markers with index, flags or another length")       \
	X(LENGTH_TAKEN, "length-taken", "takes lengths beyond any image")                          \
	X(DELTA_FIRST_TAKEN, "delta-first-taken", "takes a delta without a full image")            \
	X(INDEX_TAKEN, "index-taken", "takes an index that it does not have")                      \
	X(VALUE_LENGTH_TAKEN, "value-length-taken", "takes a wrong length of a known type")        \
	X(FIRST_WINS, "first-wins", "keeps the first value of a key that is written twice")        \
	X(COMMIT_ANYTHING, "commit-anything", "says ok to a commit that it cannot do")             \
	X(COMMIT_CUT, "commit-cut", "says ok to a commit of an incomplete image")                  \
	X(COMMIT_HALF, "commit-half", "applies a part of a context that it refuses")               \
	X(COMMIT_FAILED_MOVES, "commit-failed-moves", "changes the mode when a commit fails")      \
	X(COMMIT_FAILED_KEEPS, "commit-failed-keeps", "keeps staged data when a commit fails")     \
	X(COMMIT_QUALIFIER, "commit-qualifier", "says invalid_field when a commit fails")          \
	X(COMMIT_STOP_MISSING, "commit-stop-missing", "does not commit from Freeze to Stop")       \
	X(COMMIT_ACTIVE_MISSING, "commit-active-missing", "does not commit from Freeze to Active") \
	X(COMMIT_AGAIN, "commit-again", "commits the same once more")                              \
	X(COMMIT_SAME_MODE, "commit-same-mode", "drops staged data from Freeze to Freeze")         \
	X(COMMIT_NO_FULL, "commit-no-full", "owes no full image after a commit")                   \
	X(FEATURES_SET, "features-set", "does not compare device features")                        \
	X(DRIVER_FEATURES_ANY, "driver-features-any",                                              \
	  "takes driver features that it never offered")                                           \
	X(RESUME_BLANK, "resume-blank", "is blank after it was read in full and left Freeze")      \
	X(FLR_ACTIVE, "flr-active", "goes Active on an FLR of the VF")                             \
	X(FLR_STOPS, "flr-stops", "goes to Stop on an FLR of the VF in Active")                    \
	X(FLR_IGNORED, "flr-ignored", "ignores an FLR of the VF")                                  \
	X(FLR_DROPS_STAGED, "flr-drops-staged", "drops staged data on an FLR of the VF")           \
	X(FLR_ALL, "flr-all", "resets all VFs on an FLR of one")                                   \
	X(RESET_ACTIVE, "reset-active", "goes Active on a virtio reset of the VF")                 \
	X(RESET_STOPS, "reset-stops", "goes to Stop on a virtio reset of the VF in Active")        \
	X(RESET_KEEPS, "reset-keeps", "keeps queue_select over a virtio reset of the VF")          \
	X(RESET_NO_FULL, "reset-no-full", "owes no full image after a reset")                      \
	X(RESET_CLOSES, "reset-closes", "drops the read cursor on a reset")                        \
	X(STOP_SERVES, "stop-serves", "serves doorbells in Stop")                                  \
	X(STOP_INTERRUPTS, "stop-interrupts", "raises an interrupt for a doorbell in Stop")        \
	X(STOP_RAISES_OWED, "stop-raises-owed", "raises owed interrupts when it goes to Stop")     \
	X(STOP_IGNORES_CONFIG, "stop-ignores-config", "ignores configuration writes in Stop")      \
	X(STOP_FORGETS_KICK, "stop-forgets-kick", "forgets a doorbell in Stop")                    \
	X(STOP_KICKS_ALL, "stop-kicks-all", "marks every queue as kicked in Stop")                 \
	X(RESUME_NO_LOOK, "resume-no-look", "looks at no queue when it goes Active")               \
	X(RESUME_KICKED_ONLY, "resume-kicked-only",                                                \
	  "looks at kicked queues only when it goes Active")                                       \
	X(OWED_LOST, "owed-lost", "loses interrupts that are owed")                                \
	X(CONFIG_OWED_LOST, "config-owed-lost", "loses a configuration interrupt that is owed")    \
	X(FREEZE_SERVES, "freeze-serves", "serves doorbells in Freeze")                            \
	X(FREEZE_KICKED, "freeze-kicked", "remembers doorbells in Freeze")                         \
	X(FREEZE_CONFIG, "freeze-config", "takes configuration writes in Freeze")                  \
	X(STOP_NO_PCI, "stop-no-pci", "answers PCI configuration reads in Active only")            \
	X(INDICES_LOST, "indices-lost", "leaves ring indices out of the context")

enum wrong_name {
#define X(name, text, words) WRONG_##name,
	WRONGS(X)
#undef X
		WRONG_COUNT,
};

#define WRONG_WORDS 4

/** struct wrongs - which mistakes the device makes; all zero: none */
struct wrongs {
	uint64_t bits[WRONG_WORDS];
};

static inline bool wrongs_have(const struct wrongs *wrongs, enum wrong_name name)
{
	return wrongs->bits[name / 64] >> (name % 64) & 1;
}

/* For whoever has a pointer @owner to struct owner, or @fn to struct function. */
#define WRONG(owner, name) wrongs_have(&(owner)->opts.wrongs, WRONG_##name)
#define FN_WRONG(fn, name) WRONG((fn)->owner, name)

/** wrongs_add() - by name. False: there is no such name. */
bool wrongs_add(struct wrongs *wrongs, const char *name);
/** wrongs_list() - names, a tab and words, a line each. */
void wrongs_list(void);

struct admin_command;
struct vferry_admin_hdr;

/** wrong_form() - at the command's arrival: reads its header wrongly, or has something against its form. */
void wrong_form(struct admin_command *command, const struct vferry_admin_hdr *header,
		uint64_t readable);
/** wrong_status() - what becomes of a status and qualifier. */
void wrong_status(const struct admin_command *command, uint16_t *status, uint16_t *qualifier);
/** wrong_used() - what becomes of the used length @used; @readable bytes came in. */
uint32_t wrong_used(struct admin_command *command, uint32_t used);
/** wrong_forgives() - true: a malformed WRITE with these words against it is taken for good. */
bool wrong_forgives(const struct wrongs *wrongs, const char *words);

#endif
