// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is going on here: keepers, and migrations that were not settled. */
#include <stdio.h>
#include <string.h>
#include "bus/keeper.h"
#include "bus/lent.h"
#include "cli/doctor.h"
#include "migrate/journal.h"

struct seen {
	struct doctor *doctor;
	unsigned int serving;
	unsigned int open;
	unsigned int unreadable;
	char last[600];
};

static int keeper(void *arg, const struct vf_keeper_report *report, const struct vferry_error *why)
{
	struct seen *seen = arg;
	char fix[320];

	if (!report) {
		doctor_say(seen->doctor, "keeper", DOCTOR_WARN, NULL, "%s", why->text);
		return 0;
	}
	if (report->state == VF_KEEPER_SERVING || report->state == VF_KEEPER_ENDING) {
		seen->serving++;
		return 0;
	}
	snprintf(fix, sizeof(fix), "vferry keep %s --stop", report->address);
	doctor_say(
		seen->doctor, "keeper", DOCTOR_MISSING, fix,
		"%s is not lent any more: %s. Stopping its keeper resets the owner and ends its %u VFs",
		report->address,
		*report->trouble		    ? report->trouble
		: report->state == VF_KEEPER_WEDGED ? "a queue does not come to rest"
						    : "it needs a reset",
		report->num_vfs);
	return 0;
}

static int journal(void *arg, const char *path, const struct vf_journal_record *record,
		   const struct vferry_error *why)
{
	struct seen *seen = arg;

	if (record) {
		seen->open++;
		return 0;
	}
	snprintf(seen->last, sizeof(seen->last), "%s", why->text);
	seen->unreadable++;
	return 0;
}

void doctor_owners(struct doctor *doctor)
{
	struct seen seen = { .doctor = doctor };
	struct vferry_error err;
	char dir[256];

	doctor->group = "Owners and migrations";
	if (vf_run_dir(dir, sizeof(dir), &err)) {
		doctor_say(doctor, "run directory", DOCTOR_WARN,
			   "export VFERRY_RUN_DIR=/run/vferry", "%s", err.text);
		return;
	}
	vf_keepers(0, 2000000000, keeper, &seen, &err);
	doctor_say(doctor, "keepers", DOCTOR_OK, NULL, "%u serving, below %s", seen.serving, dir);
	vf_journal_each(journal, &seen, &err);
	if (seen.unreadable)
		doctor_say(doctor, "journals", DOCTOR_WARN, NULL,
			   "%u that cannot be read; the last one: %s", seen.unreadable, seen.last);
	if (seen.open)
		doctor_say(doctor, "journals", DOCTOR_WARN, "vferry recover --list",
			   "%u open: migrations under way, or not settled", seen.open);
	else if (!seen.unreadable)
		doctor_say(doctor, "journals", DOCTOR_OK, NULL, "none open");
}
