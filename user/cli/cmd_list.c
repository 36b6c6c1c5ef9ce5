// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry list: owners and members on this host, their keepers, modes and open journals. */
#include <dirent.h>
#include <limits.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vferry/admin.h>
#include "bus/keeper.h"
#include "bus/lent.h"
#include "cli/doctor.h"
#include "migrate/journal.h"

#define OWNERS_MAX 1024

struct list {
	struct cli *cli;
	struct json_object *owners;
	struct json_object *journals;
	struct json_object *settled;
	struct json_object *problems;
	const char *only; /* address, or NULL */
};

static void problem(struct list *list, const char *words)
{
	json_object_array_add(list->problems, json_object_new_string(words));
}

static struct json_object *known(struct list *list, const char *address)
{
	for (size_t i = 0; i < json_object_array_length(list->owners); i++) {
		struct json_object *owner = json_object_array_get_idx(list->owners, i);

		if (!strcmp(json_object_get_string(json_object_object_get(owner, "address")),
			    address))
			return owner;
	}
	return NULL;
}

static bool wanted(const struct list *list, const char *address)
{
	return !list->only || !strcmp(list->only, address);
}

/* --- Owners with a keeper --------------------------------------------------------------------------------- */

static const char *state_name(enum vf_keeper_state state)
{
	switch (state) {
	case VF_KEEPER_SERVING:
		return "serving";
	case VF_KEEPER_WEDGED:
		return "wedged";
	case VF_KEEPER_NEEDS_RESET:
		return "needs_reset";
	case VF_KEEPER_ENDING:
		return "ending";
	}
	return "unknown";
}

static struct json_object *member(const struct vf_keeper_vf *vf)
{
	struct json_object *row = json_object_new_object();

	cli_add_uint(row, "vf", vf->vf);
	cli_add_string(row, "mode", vf->mode < 0 ? NULL : vferry_mode_name((unsigned int)vf->mode));
	cli_add(row, "context_bytes",
		vf->size_known ? json_object_new_uint64(vf->context_bytes) : NULL);
	cli_add(row, "lent_to_pid", vf->pid ? json_object_new_int(vf->pid) : NULL);
	cli_add(row, "journal", NULL);
	cli_add(row, "moved_away", NULL);
	return row;
}

static int kept(void *arg, const struct vf_keeper_report *report, const struct vferry_error *why)
{
	struct list *list = arg;
	struct json_object *owner, *members;

	if (!report) {
		problem(list, why->text);
		return 0;
	}
	if (!wanted(list, report->address) || json_object_array_length(list->owners) >= OWNERS_MAX)
		return 0;
	owner = json_object_new_object();
	members = json_object_new_array();
	cli_add_string(owner, "address", report->address);
	cli_add_string(owner, "driver", report->driver);
	cli_add_bool(owner, "software", report->software);
	cli_add_uint(owner, "keeper_pid", (uint64_t)report->pid);
	cli_add_string(owner, "state", state_name(report->state));
	cli_add_string(owner, "trouble", *report->trouble ? report->trouble : NULL);
	cli_add_hex(owner, "epoch", report->epoch, sizeof(report->epoch));
	cli_add_string(owner, "vf_token", *report->token ? report->token : NULL);
	cli_add_uint(owner, "num_vfs", report->num_vfs);
	cli_add_uint(owner, "total_vfs", report->total_vfs);
	cli_add_uint(owner, "admin_queues", report->queues);
	cli_add_uint(owner, "admin_queues_free", report->queues_free);
	cli_add_uint(owner, "waiting", report->waiting);
	for (unsigned int i = 0; i < report->vf_count; i++)
		json_object_array_add(members, member(&report->vfs[i]));
	cli_add(owner, "members", members);
	json_object_array_add(list->owners, owner);
	return 0;
}

/* --- Owners without one ------------------------------------------------------------------------------------ */

/* A keeper that ends in order takes its socket away. */
static bool was_killed(const char *address)
{
	char path[PATH_MAX];

	return !vf_keeper_socket(address, path, sizeof(path), NULL) && !access(path, F_OK);
}

/* The subsystem that a process or a hypervisor gives its virtio devices. */
static bool is_software(const char *folder)
{
	char path[400], vendor[16], device[16];

	snprintf(path, sizeof(path), "%s/subsystem_vendor", folder);
	if (!doctor_line(path, vendor, sizeof(vendor)))
		return false;
	snprintf(path, sizeof(path), "%s/subsystem_device", folder);
	return doctor_line(path, device, sizeof(device)) && !strcmp(vendor, "0x1af4") &&
	       !strcmp(device, "0x1100");
}

static struct json_object *add_unkept(struct list *list, const char *address, const char *driver,
				      bool software)
{
	struct json_object *owner;

	if (!wanted(list, address) || known(list, address) ||
	    json_object_array_length(list->owners) >= OWNERS_MAX)
		return NULL;
	owner = json_object_new_object();
	cli_add_string(owner, "address", address);
	cli_add_string(owner, "driver", driver);
	cli_add_bool(owner, "software", software);
	cli_add(owner, "keeper_pid", NULL);
	cli_add_string(owner, "state", "not_held");
	if (was_killed(address))
		cli_add_string(owner, "last_keeper", "killed");
	cli_add(owner, "members", json_object_new_array());
	json_object_array_add(list->owners, owner);
	return owner;
}

/* A software owner's sockets are called pf0.sock, vf1.sock ...; the kernel lists those that are listened on. */
static void sockets(struct list *list)
{
	FILE *file = fopen("/proc/net/unix", "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char address[300], path[200], *base;
		unsigned int flags;

		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %*u %199s", &flags, path) != 2 ||
		    !(flags & 0x10000))
			continue;
		base = strrchr(path, '/');
		if (!base || strncmp(base, "/pf", 3) || !strstr(base, ".sock"))
			continue;
		snprintf(address, sizeof(address), "vfio-user:%s", path);
		add_unkept(list, address, "vfio-user", true);
	}
	if (file)
		fclose(file);
}

static void add_count(struct json_object *owner, const char *key, const char *folder,
		      const char *file)
{
	char path[400], line[32];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (doctor_line(path, line, sizeof(line)))
		cli_add_uint(owner, key, strtoull(line, NULL, 10));
}

static void functions(struct list *list)
{
	static const char root[] = "/sys/bus/pci/devices";
	DIR *dir = opendir(root);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char folder[300], path[320], line[32], driver[64] = "none", address[300];
		struct json_object *owner;

		snprintf(folder, sizeof(folder), "%s/%s", root, entry->d_name);
		snprintf(path, sizeof(path), "%s/vendor", folder);
		if (entry->d_name[0] == '.' || !doctor_line(path, line, sizeof(line)) ||
		    strcmp(line, "0x1af4"))
			continue;
		snprintf(path, sizeof(path), "%s/sriov_totalvfs", folder);
		if (access(path, F_OK))
			continue;
		snprintf(path, sizeof(path), "%s/driver", folder);
		doctor_link(path, driver, sizeof(driver));
		snprintf(address, sizeof(address), "vfio:%s", entry->d_name);
		owner = add_unkept(list, address, driver, is_software(folder));
		if (!owner)
			continue;
		add_count(owner, "num_vfs", folder, "sriov_numvfs");
		add_count(owner, "total_vfs", folder, "sriov_totalvfs");
	}
	if (dir)
		closedir(dir);
}

/* --- Journals ------------------------------------------------------------------------------------------------ */

static struct json_object *member_of(struct json_object *owner, unsigned int vf)
{
	struct json_object *members = owner ? json_object_object_get(owner, "members") : NULL;

	for (size_t i = 0; members && i < json_object_array_length(members); i++) {
		struct json_object *row = json_object_array_get_idx(members, i);

		if (json_object_get_int(json_object_object_get(row, "vf")) == (int)vf)
			return row;
	}
	return NULL;
}

static struct json_object *describe(const struct vf_journal_record *record, const char *path)
{
	struct json_object *row = json_object_new_object();

	cli_add_hex(row, "id", record->id, sizeof(record->id));
	cli_add_string(row, "owner", record->owner);
	cli_add_uint(row, "vf", record->vf);
	cli_add_string(row, "role", vf_role_name(record->role));
	cli_add_string(row, "state", vferry_state_name(record->state));
	cli_add_string(row, "peer", record->peer);
	cli_add_uint(row, "pid", record->pid);
	cli_add_string(row, "file", path);
	return row;
}

/* Of a migration that is over: not open, but what it says of a VF stands until the VF is reset. */
static int settled(void *arg, const char *path, const struct vf_journal_record *record,
		   const struct vferry_error *why)
{
	struct list *list = arg;
	struct json_object *row, *vf;

	if (!record) {
		problem(list, why->text);
		return 0;
	}
	if (record->flags & VF_JOURNAL_NO_VF || !wanted(list, record->owner))
		return 0;
	row = describe(record, path);
	json_object_array_add(list->settled, row);
	vf = record->role == VF_ROLE_SOURCE ? member_of(known(list, record->owner), record->vf)
					    : NULL;
	if (vf)
		cli_add(vf, "moved_away", json_object_get(row));
	return 0;
}

static int journal(void *arg, const char *path, const struct vf_journal_record *record,
		   const struct vferry_error *why)
{
	struct list *list = arg;
	struct json_object *row, *vf;

	if (!record) {
		problem(list, why->text);
		return 0;
	}
	if (!wanted(list, record->owner))
		return 0;
	row = describe(record, path);
	json_object_array_add(list->journals, row);
	vf = member_of(known(list, record->owner), record->vf);
	if (vf)
		cli_add(vf, "journal", json_object_get(row));
	return 0;
}

/* --- As text ---------------------------------------------------------------------------------------------------- */

static const struct cli_column member_columns[] = {
	{ .key = "vf", .title = "VF" },
	{ .key = "mode", .title = "MODE" },
	{ .key = "context_bytes", .title = "CONTEXT", .format = CLI_BYTES },
	{ .key = "lent_to_pid", .title = "LENT-TO" },
	{ .key = "journal.role", .title = "JOURNAL" },
	{ .key = "journal.state", .title = "STATE" },
	{ .key = "moved_away.peer", .title = "MOVED-TO" },
	{ .key = NULL },
};

static const struct cli_column journal_columns[] = {
	{ .key = "id", .title = "ID" },	      { .key = "vf", .title = "VF" },
	{ .key = "role", .title = "ROLE" },   { .key = "state", .title = "STATE" },
	{ .key = "owner", .title = "OWNER" }, { .key = NULL },
};

static int number_of(struct json_object *owner, const char *key)
{
	return json_object_get_int(json_object_object_get(owner, key));
}

static const char *string_of(struct json_object *owner, const char *key)
{
	return json_object_get_string(json_object_object_get(owner, key));
}

static void title(struct json_object *owner, char *text, size_t size)
{
	const char *soft = json_object_get_boolean(json_object_object_get(owner, "software"))
				   ? ", software"
				   : "";
	const char *trouble = string_of(owner, "trouble"), *token = string_of(owner, "vf_token");
	const char *killed = string_of(owner, "last_keeper") ? " (the last one was killed)" : "";

	if (!number_of(owner, "keeper_pid") && json_object_object_get(owner, "total_vfs"))
		snprintf(text, size, "%s\n  driver %s%s; no keeper%s; %d of %d VFs",
			 string_of(owner, "address"), string_of(owner, "driver"), soft, killed,
			 number_of(owner, "num_vfs"), number_of(owner, "total_vfs"));
	else if (!number_of(owner, "keeper_pid"))
		snprintf(text, size, "%s\n  driver %s%s; no keeper%s", string_of(owner, "address"),
			 string_of(owner, "driver"), soft, killed);
	else
		snprintf(
			text, size,
			"%s\n  driver %s%s; keeper %d %s; %d of %d VFs; %d of %d admin queues free%s%s%s%s",
			string_of(owner, "address"), string_of(owner, "driver"), soft,
			number_of(owner, "keeper_pid"), string_of(owner, "state"),
			number_of(owner, "num_vfs"), number_of(owner, "total_vfs"),
			number_of(owner, "admin_queues_free"), number_of(owner, "admin_queues"),
			token ? "\n  VF token " : "", token ? token : "",
			trouble ? "\n  trouble: " : "", trouble ? trouble : "");
}

static int print(struct cli *cli, struct json_object *doc, const struct list *list)
{
	size_t count = json_object_array_length(list->owners);
	struct cli_view *views = calloc(count + 2, sizeof(*views));
	struct words {
		char key[48];
		char title[900];
	} *words = calloc(count + 1, sizeof(*words));

	if (!views || !words)
		abort();
	for (size_t i = 0; i < count; i++) {
		title(json_object_array_get_idx(list->owners, i), words[i].title,
		      sizeof(words[i].title));
		snprintf(words[i].key, sizeof(words[i].key), "owners.%zu.members", i);
		views[i] = (struct cli_view){ .key = words[i].key,
					      .title = words[i].title,
					      .columns = member_columns,
					      .empty = "" };
	}
	views[count] = (struct cli_view){ .key = "journals",
					  .title = "Open journals; see vferry recover",
					  .columns = journal_columns };
	if (!count)
		cli_text(cli, "no owner device\n");
	cli_print(cli, doc, views);
	free(views);
	free(words);
	return CLI_DONE;
}

static int run(struct cli *cli)
{
	struct list list = {
		.cli = cli,
		.owners = json_object_new_array(),
		.journals = json_object_new_array(),
		.settled = json_object_new_array(),
		.problems = json_object_new_array(),
	};
	struct json_object *doc = cli_document("vferry.list");
	uint32_t ask = VF_KEEPER_ASK_MODES | (cli_has(cli, "sizes") ? VF_KEEPER_ASK_SIZES : 0);
	struct vferry_error err;
	char address[256];
	int rc;

	cli_add(doc, "owners", list.owners);
	cli_add(doc, "journals", list.journals);
	cli_add(doc, "settled", list.settled);
	cli_add(doc, "problems", list.problems);
	if (cli_has(cli, "OWNER")) {
		if (vf_owner_address(cli_string(cli, "OWNER"), address, sizeof(address), &err)) {
			json_object_put(doc);
			return cli_fail(cli, &err);
		}
		list.only = address;
	}
	rc = vf_keepers(ask, cli_timeout_ns(cli), kept, &list, &err);
	if (rc < 0 && rc != -ENOENT)
		problem(&list, err.text);
	sockets(&list);
	functions(&list);
	rc = vf_journal_each(journal, &list, &err);
	if (!rc)
		rc = vf_journal_each_in(VF_PLACE_SETTLED, settled, &list, &err);
	if (rc)
		problem(&list, err.text);
	for (size_t i = 0; i < json_object_array_length(list.problems); i++)
		cli_note(cli, "%s",
			 json_object_get_string(json_object_array_get_idx(list.problems, i)));
	return print(cli, doc, &list);
}

const struct cli_command cli_cmd_list = {
	.name = "list",
	.group = CLI_GROUP_HOST,
	.summary = "owners and members on this host: driver, keeper, mode, open journals",
	.about =
		(const char *const[]){
			"Owners that a keeper holds are shown with their VFs, as the keeper reports them; software owner devices and "
			"virtio PFs without a keeper are named only. Listing starts no keeper.",
			"MOVED-TO names where a VF was moved that still keeps its old copy, which vferry recover explains.",
			NULL,
		},
	.positionals =
		(const struct cli_option[]){
			{ .name = "OWNER",
			  .type = CLI_OWNER,
			  .flags = CLI_OPTIONAL,
			  .help = "this owner only" },
			CLI_END,
		},
	.options =
		(const struct cli_option[]){
			{ .name = "sizes",
			  .help = "ask for the size of each VF's context too: a command for each" },
			CLI_END,
		},
	.exits = CLI_X_FAILED,
	.examples =
		(const struct cli_example[]){
			{ "VFs that are not active",
			  "vferry list -o json | jq '.owners[].members[]? | select(.mode != \"active\")'" },
			{ NULL, NULL },
		},
	.see = (const char *const[]){ "doctor", "keep", "recover", NULL },
	.run = run,
};
