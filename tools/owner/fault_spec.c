// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The words of --fault: an action, then selectors. */
#include <stdlib.h>
#include <string.h>
#include "tools/owner/fault.h"

const char *faults_help(void)
{
	return "  --fault ACTION[,SELECTOR]...   may be given up to 64 times; deterministic under --seed\n"
	       "    status=NAME[/QUALIFIER]  answer this instead of executing (names or numbers)\n"
	       "    eagain[=N]               answer EAGAIN N times (1), then execute\n"
	       "    silence                  neither execute nor answer\n"
	       "    lost-answer              execute, but never answer\n"
	       "    slow=TIME                take longer (10us, 5ms, 1s)\n"
	       "    die                      end without clean-up before executing\n"
	       "    die-after                end after executing, before the answer\n"
	       "    garbage-status           a status and a qualifier drawn at random\n"
	       "    used=N|garbage           a wrong used length\n"
	       "    short-read[=BYTES]       READ gives no more than this (8)\n"
	       "    odd-read                 READ gives an odd number of bytes\n"
	       "    context-len=N|beyond|garbage   READ tells a wrong context_len\n"
	       "   selectors:\n"
	       "    op=NAME|NUMBER           this opcode (dev_ctx_read, 0xa); the last three actions: dev_ctx_read\n"
	       "    vf=N|N-M                 these members\n"
	       "    at=N                     the N-th command that matches (and no other, unless times= says so)\n"
	       "    times=N                  how many of them\n"
	       "    p=FRACTION               with this probability, 0 to 1\n";
}

/* --- words -------------------------------------------------------------------------------------------- */

struct word {
	const char *spec;
	const char *name;
	const char *value; /* NULL without = */
	struct vferry_error *err;
};

static int wrong(const struct word *word, const char *what)
{
	return vferry_fail(word->err, -EINVAL, "--fault %s: '%s%s%s': %s", word->spec, word->name,
			   word->value ? "=" : "", word->value ? word->value : "", what);
}

static bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 0);
	return !errno && !*end && *number <= max;
}

static int need_number(const struct word *word, uint64_t min, uint64_t max, uint64_t *number)
{
	if (!word->value || !parse_number(word->value, max, number) || *number < min)
		return wrong(word, "a number is needed here");
	return 0;
}

static bool parse_opcode(const char *text, uint16_t *opcode)
{
	uint64_t number;

#define X(name, value, word)       \
	if (!strcmp(text, word)) { \
		*opcode = value;   \
		return true;       \
	}
	VFERRY_ADMIN_OPCODES(X)
#undef X
	if (!parse_number(text, UINT16_MAX, &number))
		return false;
	*opcode = (uint16_t)number;
	return true;
}

static bool parse_status(const char *text, uint16_t *status)
{
	uint64_t number;

#define X(name, value, word)       \
	if (!strcmp(text, word)) { \
		*status = value;   \
		return true;       \
	}
	VFERRY_ADMIN_STATUSES(X)
#undef X
	if (!parse_number(text, UINT16_MAX, &number))
		return false;
	*status = (uint16_t)number;
	return true;
}

static bool parse_qualifier(const char *text, uint16_t *qualifier)
{
	uint64_t number;

#define X(name, value, word)        \
	if (!strcmp(text, word)) {  \
		*qualifier = value; \
		return true;        \
	}
	VFERRY_ADMIN_QUALIFIERS(X)
#undef X
	if (!parse_number(text, UINT16_MAX, &number))
		return false;
	*qualifier = (uint16_t)number;
	return true;
}

/* What goes with a status when the user names none. */
static uint16_t usual_qualifier(uint16_t status)
{
	switch (status) {
	case VFERRY_STATUS_OK:
		return VFERRY_Q_OK;
	case VFERRY_STATUS_EAGAIN:
		return VFERRY_Q_TRYAGAIN;
	case VFERRY_STATUS_ENOMEM:
		return VFERRY_Q_NORESOURCE;
	}
	return VFERRY_Q_INVALID_COMMAND;
}

/* --- actions --------------------------------------------------------------------------------------------- */

static void only_reads(struct fault *fault)
{
	if (!fault->any_opcode)
		return;
	fault->any_opcode = false;
	fault->opcode = VFERRY_CMD_DEV_CTX_READ;
}

static int action_status(struct fault *fault, const struct word *word)
{
	struct answer *answer = &fault->effect.answer;
	char text[32];
	char *slash;

	if (!word->value || strlen(word->value) >= sizeof(text))
		return wrong(
			word,
			"a status is needed here: ok, enxio, eagain, enomem, ebusy, einval, enospc or a number");
	strcpy(text, word->value);
	slash = strchr(text, '/');
	if (slash)
		*slash++ = '\0';
	if (!parse_status(text, &answer->status))
		return wrong(
			word,
			"no such status; there are ok, enxio, eagain, enomem, ebusy, einval, enospc and numbers");
	answer->qualifier = usual_qualifier(answer->status);
	if (slash && !parse_qualifier(slash, &answer->qualifier))
		return wrong(
			word,
			"no such qualifier; there are ok, invalid_command, invalid_opcode, invalid_field, invalid_group, invalid_member, noresource, tryagain and numbers");
	fault->effect.answer_set = true;
	return 0;
}

static int action_eagain(struct fault *fault, const struct word *word)
{
	uint64_t times = 1;

	if (word->value && need_number(word, 1, FAULT_FOREVER - 1, &times))
		return -EINVAL;
	fault->effect.answer_set = true;
	fault->effect.answer = ANSWER(EAGAIN, TRYAGAIN);
	fault->times = times;
	fault->times_set = true;
	return 0;
}

static int action_flag(bool *flag, const struct word *word)
{
	if (word->value)
		return wrong(word, "takes no value");
	*flag = true;
	return 0;
}

static int action_silence(struct fault *fault, const struct word *word)
{
	fault->effect.answer_set = true;
	return action_flag(&fault->effect.silent, word);
}

static int action_lost(struct fault *fault, const struct word *word)
{
	return action_flag(&fault->effect.lost, word);
}

static int action_slow(struct fault *fault, const struct word *word)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} units[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 } };
	char *end = NULL;
	uint64_t number = 0;

	if (word->value && *word->value >= '0' && *word->value <= '9')
		number = strtoull(word->value, &end, 10);
	for (unsigned int i = 0; end && i < 4; i++) {
		if (strcmp(end, units[i].text) || number > 3600000000000ULL / units[i].ns)
			continue;
		fault->effect.slow_ns = number * units[i].ns;
		return 0;
	}
	return wrong(word, "a time up to an hour with its unit is needed here, as 10us, 5ms or 1s");
}

static int action_die(struct fault *fault, const struct word *word)
{
	return action_flag(&fault->effect.die, word);
}

static int action_die_after(struct fault *fault, const struct word *word)
{
	return action_flag(&fault->effect.die_after, word);
}

static int action_garbage(struct fault *fault, const struct word *word)
{
	return action_flag(&fault->effect.garbage, word);
}

static int action_used(struct fault *fault, const struct word *word)
{
	uint64_t used = 0;

	if (word->value && !strcmp(word->value, "garbage"))
		fault->garbage_used = true;
	else if (need_number(word, 0, UINT32_MAX, &used))
		return -EINVAL;
	fault->effect.used_set = true;
	fault->effect.used = (uint32_t)used;
	return 0;
}

static int action_short(struct fault *fault, const struct word *word)
{
	uint64_t room = 8;

	only_reads(fault);
	if (word->value && need_number(word, 1, FAULT_FOREVER, &room))
		return -EINVAL;
	fault->effect.room_set = true;
	fault->effect.room = room;
	return 0;
}

static int action_odd(struct fault *fault, const struct word *word)
{
	only_reads(fault);
	return action_flag(&fault->effect.odd, word);
}

static int action_context_len(struct fault *fault, const struct word *word)
{
	struct fault_effect *effect = &fault->effect;

	only_reads(fault);
	effect->context_len_set = true;
	if (word->value && !strcmp(word->value, "beyond")) {
		effect->context_len = UINT64_MAX;
		return 0;
	}
	if (word->value && !strcmp(word->value, "garbage")) {
		fault->garbage_context_len = true;
		return 0;
	}
	return need_number(word, 0, UINT32_MAX, &effect->context_len);
}

/* --- selectors ---------------------------------------------------------------------------------------------- */

static int select_op(struct fault *fault, const struct word *word)
{
	fault->any_opcode = false;
	if (word->value && parse_opcode(word->value, &fault->opcode))
		return 0;
	return wrong(
		word,
		"no such command; names are those of 'vferry trace', as dev_ctx_read, or numbers");
}

static int select_vf(struct fault *fault, const struct word *word)
{
	char text[32] = "";
	char *dash;

	if (word->value && strlen(word->value) < sizeof(text))
		strcpy(text, word->value);
	dash = strchr(text, '-');
	if (dash)
		*dash++ = '\0';
	if (!parse_number(text, UINT64_MAX, &fault->vf_first) || !fault->vf_first)
		return wrong(word, "a VF's number, or two with - between, is needed here");
	fault->vf_last = fault->vf_first;
	if (dash &&
	    (!parse_number(dash, UINT64_MAX, &fault->vf_last) || fault->vf_last < fault->vf_first))
		return wrong(word, "the second number is wrong");
	return 0;
}

static int select_at(struct fault *fault, const struct word *word)
{
	if (!fault->times_set)
		fault->times = 1;
	return need_number(word, 1, FAULT_FOREVER - 1, &fault->at);
}

static int select_times(struct fault *fault, const struct word *word)
{
	fault->times_set = true;
	return need_number(word, 1, FAULT_FOREVER - 1, &fault->times);
}

static int select_p(struct fault *fault, const struct word *word)
{
	char *end = NULL;
	double p = word->value ? strtod(word->value, &end) : -1;

	/* Written so that NaN is refused too. */
	if (!end || end == word->value || *end || !(p > 0 && p <= 1))
		return wrong(word, "a probability above 0 and up to 1 is needed here");
	fault->chance = p >= 1 ? 0 : (uint32_t)(p * 4294967296.0);
	if (p < 1 && !fault->chance)
		fault->chance = 1;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(struct fault *fault, const struct word *word);
} actions[] = {
	{ "status", action_status },	  { "eagain", action_eagain },
	{ "silence", action_silence },	  { "lost-answer", action_lost },
	{ "slow", action_slow },	  { "die", action_die },
	{ "die-after", action_die_after }, { "garbage-status", action_garbage },
	{ "used", action_used },	  { "short-read", action_short },
	{ "odd-read", action_odd },	  { "context-len", action_context_len },
}, selectors[] = {
	{ "op", select_op },	   { "vf", select_vf }, { "at", select_at },
	{ "times", select_times }, { "p", select_p },
};

static int parse_word(struct fault *fault, const struct word *word, bool first)
{
	if (first) {
		for (unsigned int i = 0; i < sizeof(actions) / sizeof(*actions); i++)
			if (!strcmp(word->name, actions[i].name))
				return actions[i].parse(fault, word);
		return wrong(word, "no such action; --help lists them");
	}
	for (unsigned int i = 0; i < sizeof(selectors) / sizeof(*selectors); i++)
		if (!strcmp(word->name, selectors[i].name))
			return selectors[i].parse(fault, word);
	return wrong(word, "no such selector; there are op, vf, at, times and p");
}

int fault_parse(struct fault *fault, const char *spec, struct vferry_error *err)
{
	char *text = strdup(spec);
	bool first = true;
	char *next;
	int ret = 0;

	if (!text)
		return vferry_fail(err, -ENOMEM, "--fault %s: no memory", spec);
	*fault = (struct fault){ .any_opcode = true, .at = 1, .times = FAULT_FOREVER };
	for (char *at = text; at && !ret; at = next, first = false) {
		struct word word = { .spec = spec, .name = at, .err = err };

		next = strchr(at, ',');
		if (next)
			*next++ = '\0';
		word.value = strchr(at, '=');
		if (word.value)
			*(char *)word.value++ = '\0';
		ret = parse_word(fault, &word, first);
	}
	free(text);
	return ret;
}
