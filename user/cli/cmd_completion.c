// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* vferry completion: the completion script, from the table. */
#include <string.h>
#include "cli/state.h"

/* Words of the line up to the cursor, split at blanks only: bash also breaks at ':' and '='. */
static const char opening[] =
	"# bash completion for vferry, made by 'vferry completion bash'\n"
	"_vferry_offer() { # kind current-word\n"
	"\tlocal kind=$1 cur=$2 keep=\n"
	"\tcase $kind in\n"
	"\tfile) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
	"\towner)\n"
	"\t\tcase $cur in\n"
	"\t\tvfio-user:* | uring-cmd:*)\n"
	"\t\t\tkeep=${cur%%:*}:\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -f -P \"$keep\" -- \"${cur#\"$keep\"}\") ;;\n"
	"\t\tvfio:*) mapfile -t COMPREPLY < <(compgen -P vfio: -W \"$(cd /sys/bus/pci/drivers/vfio-pci 2>/dev/null && echo ????:*)\" -- \"${cur#vfio:}\") ;;\n"
	"\t\t*) compopt -o nospace 2>/dev/null; mapfile -t COMPREPLY < <(compgen -W 'vfio: vfio-user: uring-cmd:' -- \"$cur\") ;;\n"
	"\t\tesac ;;\n"
	"\tnone) COMPREPLY=() ;;\n"
	"\t*) mapfile -t COMPREPLY < <(compgen -W \"${kind//|/ }\" -- \"$cur\") ;;\n"
	"\tesac\n"
	"}\n"
	"_vferry_at() { # path: what may stand there\n"
	"\tcase $1 in\n";

static const char closing[] =
	"\tesac\n"
	"}\n"
	"_vferry() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} path=vferry n=0 i cur word skip= subs kinds options takes kind\n"
	"\tlocal -a words\n"
	"\tread -ra words <<<\"$line\"\n"
	"\t[[ $line == *[[:space:]] ]] && words+=('')\n"
	"\tcur=${words[-1]}\n"
	"\t_vferry_at \"$path\"\n"
	"\tfor ((i = 1; i < ${#words[@]} - 1; i++)); do\n"
	"\t\tword=${words[i]}\n"
	"\t\tif [[ $skip ]]; then skip=; continue; fi\n"
	"\t\tcase $word in\n"
	"\t\t--) return ;;\n"
	"\t\t--*=*) continue ;;\n"
	"\t\t-?*) [[ $takes == *\" $word=\"* ]] && skip=$word; continue ;;\n"
	"\t\tesac\n"
	"\t\tif [[ \" $subs \" == *\" $word \"* ]]; then\n"
	"\t\t\tpath+=\" $word\"; n=0; _vferry_at \"$path\"\n"
	"\t\telse\n"
	"\t\t\tn=$((n + 1))\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ ! $skip && $cur == --*=* ]]; then skip=${cur%%=*}; cur=${cur#*=}; fi\n"
	"\tif [[ $skip ]]; then\n"
	"\t\tkind=${takes#*\" $skip=\"}; kind=${kind%% *}\n"
	"\t\t[[ $takes == *\" $skip=\"* ]] && _vferry_offer \"$kind\" \"$cur\"\n"
	"\telif [[ $cur == -* ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
	"\telse\n"
	"\t\tread -ra words <<<\"$kinds\"\n"
	"\t\tif ((n < ${#words[@]})); then\n"
	"\t\t\t_vferry_offer \"${words[n]}\" \"$cur\"\n"
	"\t\telif [[ $subs ]]; then\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -W \"$subs\" -- \"$cur\")\n"
	"\t\telif [[ $kinds == *+ ]]; then\n"
	"\t\t\t_vferry_offer \"${words[-2]}\" \"$cur\"\n"
	"\t\tfi\n"
	"\tfi\n"
	"\t# bash replaces only what stands after the last colon\n"
	"\tif [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
	"\t\tkind=${cur%\"${cur##*:}\"}\n"
	"\t\tfor i in \"${!COMPREPLY[@]}\"; do COMPREPLY[i]=${COMPREPLY[i]#\"$kind\"}; done\n"
	"\tfi\n"
	"}\n"
	"complete -F _vferry vferry\n";

/* What the shell offers for an argument: "file", "owner", "none" or words with bars. */
static const char *kind(const struct cli_option *option)
{
	switch (option->type) {
	case CLI_FILE:
		return "file";
	case CLI_OWNER:
		return "owner";
	case CLI_CHOICE:
		return option->choices;
	case CLI_MODE:
		return "active|stop|freeze";
	case CLI_VFS:
		return "all";
	default:
		return "none";
	}
}

static void each_option(const struct cli_spot *spot, void (*put)(const struct cli_option *option))
{
	for (unsigned int i = spot->depth; i--;) {
		for (const struct cli_option *o = spot->chain[i]->options; o && o->name; o++)
			put(o);
	}
	for (const struct cli_option *o = cli_global_options; o->name; o++)
		put(o);
}

static void put_name(const struct cli_option *option)
{
	printf("--%s ", option->name);
}

static void put_kind(const struct cli_option *option)
{
	if (option->type == CLI_FLAG)
		return;
	printf("--%s=%s ", option->name, kind(option));
	if (option->letter)
		printf("-%c=%s ", option->letter, kind(option));
}

static void spot_case(struct cli_spot *spot)
{
	const struct cli_command *command = spot->chain[spot->depth - 1];
	bool repeated = false;
	char path[CLI_PATH_MAX];

	cli_spot_path(spot, ' ', path, sizeof(path));
	printf("\t'%s')\n\t\tsubs='", path);
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++) {
		if (spot->depth > 1 || (*sub)->group)
			printf("%s%s", sub == command->subs ? "" : " ", (*sub)->name);
	}
	fputs("' kinds='", stdout);
	for (const struct cli_option *p = command->positionals; p && p->name; p++) {
		printf("%s ", kind(p));
		repeated = p->flags & CLI_REPEAT;
	}
	printf("%s'\n\t\toptions='", repeated ? "+" : "");
	each_option(spot, put_name);
	fputs("'\n\t\ttakes=' ", stdout);
	each_option(spot, put_kind);
	fputs("' ;;\n", stdout);
	for (const struct cli_command *const *sub = command->subs; sub && *sub; sub++) {
		if (spot->depth == 1 && !(*sub)->group)
			continue;
		spot->chain[spot->depth++] = *sub;
		spot_case(spot);
		spot->depth--;
	}
}

static int run(struct cli *cli)
{
	struct cli_spot spot = { .chain = { &cli_root }, .depth = 1 };

	fputs(opening, stdout);
	spot_case(&spot);
	fputs(closing, stdout);
	return CLI_DONE;
}

const struct cli_command cli_cmd_completion = {
	.name = "completion",
	.group = CLI_GROUP_HOST,
	.summary = "the completion script for a shell",
	.about =
		(const char *const[]){
			"Installed as share/bash-completion/completions/vferry by 'make install'.",
			NULL,
		},
	.positionals =
		(const struct cli_option[]){
			{ .name = "SHELL",
			  .type = CLI_CHOICE,
			  .choices = "bash",
			  .help = "the shell: bash" },
			CLI_END,
		},
	.examples =
		(const struct cli_example[]){
			{ "for this shell only", "source <(vferry completion bash)" },
			{ NULL, NULL },
		},
	.exits = CLI_X_FAILED,
	.run = run,
};
