/* SPDX-License-Identifier: BSD-3-Clause */
/* The completion script for bash: tables made from the verbs, then one function that reads them. */
#include "control/ctl.h"

#include <string.h>

/* What completes the field's value: words, or one of the kinds @port @network @file @none. */
static void put_values(FILE *out, const struct verb *verb, const struct verb_field *field)
{
	bool existing = strcmp(verb->name + strcspn(verb->name, "."), ".add") != 0;

	if (field->type == VERB_ENUM)
		for (unsigned i = 0; field->values[i]; i++)
			fprintf(out, "%s%s", i ? " " : "", field->values[i]);
	else if (field->type == VERB_BOOL)
		fputs("true false", out);
	else if (field->type == VERB_PATH || field->type == VERB_OBJECT)
		fputs("@file", out);
	else if (!strcmp(field->name, "port") ||
	         (existing && !strncmp(verb->name, "port.", 5) && !strcmp(field->name, "name")))
		fputs("@port", out);
	else if ((!strcmp(field->name, "network") && field->type == VERB_NAME) ||
	         !strcmp(field->name, "networks") ||
	         (existing && !strncmp(verb->name, "network.", 8) && !strcmp(field->name, "name")))
		fputs("@network", out);
	else
		fputs("@none", out);
}

/* Whether field i is the first of its name: further ones are for other kinds. */
static bool is_first(const struct verb *verb, unsigned i)
{
	for (unsigned j = 0; j < i; j++)
		if (!strcmp(verb->fields[j].name, verb->fields[i].name))
			return false;
	return true;
}

static void put_verb(FILE *out, const struct verb *verb)
{
	char words[64], name[64];

	ctl_words(verb, words);
	fprintf(out, "_podrailctl_options['%s']='", words);
	for (unsigned i = 0; i < verb->n_fields; i++)
		if (ctl_typed(verb, &verb->fields[i]) && !verb->fields[i].position &&
		        is_first(verb, i))
			fprintf(out, "--%s ", ctl_option_name(verb->fields[i].name, name));
	fputs("--json --timeout --help'\n", out);
	for (unsigned i = 0; i < verb->n_fields; i++) {
		const struct verb_field *field = &verb->fields[i];

		if (!ctl_typed(verb, field) || !is_first(verb, i))
			continue;
		fprintf(out, "_podrailctl_values['%s --%s']='", words,
		        ctl_option_name(field->name, name));
		put_values(out, verb, field);
		fputs("'\n", out);
		if (field->type == VERB_BOOL)
			fprintf(out, "_podrailctl_flags['%s --%s']=1\n", words, name);
		if (!field->position)
			continue;
		fprintf(out, "_podrailctl_values['%s %u']='", words, field->position);
		put_values(out, verb, field);
		fputs("'\n", out);
	}
	if (!strcmp(verb->name, "route.sync"))
		fprintf(out, "_podrailctl_values['%s 1']='@file'\n", words);
}

static const char *const script =
        "_podrailctl() {\n"
        "	local cur=${COMP_WORDS[COMP_CWORD]} object='' verb='' word key kind i position=1\n"
        "	local -a ask=(\"${COMP_WORDS[0]}\" --timeout 1)\n"
        "	COMPREPLY=()\n"
        "	for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "		word=${COMP_WORDS[i]}\n"
        "		key=\"$object $verb $word\"\n"
        "		if [[ -z $verb && ($word == --socket || $word == --timeout) ]]; then\n"
        "			[[ $word == --socket ]] && ask+=(--socket \"${COMP_WORDS[i + "
        "1]}\")\n"
        "			((i++))\n"
        "		elif [[ $word == -* ]]; then\n"
        "			if [[ $word == --timeout || (-n ${_podrailctl_values[$key]} && "
        "-z ${_podrailctl_flags[$key]}) ]]; then\n"
        "				((i++))\n"
        "			fi\n"
        "		elif [[ -z $object ]]; then\n"
        "			object=$word\n"
        "			[[ $object == help || -z ${_podrailctl_verbs[$object]} ]] && "
        "verb=-\n"
        "		elif [[ -z $verb ]]; then\n"
        "			verb=$word\n"
        "		else\n"
        "			((position++))\n"
        "		fi\n"
        "	done\n"
        "	if [[ -z $object ]]; then\n"
        "		if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == --socket ]]; "
        "then\n"
        "			kind=@file\n"
        "		else\n"
        "			kind=\"${!_podrailctl_verbs[*]} hello help raw completion --socket "
        "--json "
        "--timeout --version --help\"\n"
        "		fi\n"
        "	elif [[ $object == completion ]]; then\n"
        "		kind=bash\n"
        "	elif [[ $object == help ]]; then\n"
        "		kind=\"${!_podrailctl_verbs[*]}\"\n"
        "	elif [[ -z $verb ]]; then\n"
        "		kind=\"${_podrailctl_verbs[$object]}\"\n"
        "	else\n"
        "		key=\"$object $verb ${COMP_WORDS[COMP_CWORD - 1]}\"\n"
        "		if [[ -n ${_podrailctl_values[$key]} && -z ${_podrailctl_flags[$key]} && "
        "$key == *' --'* ]]; then\n"
        "			kind=${_podrailctl_values[$key]}\n"
        "		elif [[ $cur == -* ]]; then\n"
        "			kind=${_podrailctl_options[\"$object $verb\"]}\n"
        "		else\n"
        "			kind=${_podrailctl_values[\"$object $verb $position\"]:-"
        "${_podrailctl_options[\"$object $verb\"]}}\n"
        "		fi\n"
        "	fi\n"
        "	case $kind in\n"
        "	@file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ; compopt -o filenames "
        "2>/dev/null ;;\n"
        "	@port | @network)\n"
        "		mapfile -t COMPREPLY < <(compgen -W \"$(\"${ask[@]}\" --names "
        "\"${kind#@}\" "
        "2>/dev/null)\" -- \"$cur\") ;;\n"
        "	@none) ;;\n"
        "	*) mapfile -t COMPREPLY < <(compgen -W \"$kind\" -- \"$cur\") ;;\n"
        "	esac\n"
        "}\n"
        "complete -F _podrailctl podrailctl\n";

void ctl_completion_bash(FILE *out)
{
	fputs("# bash completion for podrailctl; made by podrailctl completion bash\n"
	      "# shellcheck shell=bash\n"
	      "declare -gA _podrailctl_verbs=() _podrailctl_options=() _podrailctl_values=() "
	      "_podrailctl_flags=()\n",
	        out);
	for (unsigned i = 0; i < verb_count; i++) {
		const char *name = verb_table[i].name, *dot = strchr(name, '.');

		if (dot)
			fprintf(out, "_podrailctl_verbs['%.*s']+='%s '\n", (int)(dot - name), name,
			        dot + 1);
		put_verb(out, &verb_table[i]);
	}
	fputs(script, out);
}
