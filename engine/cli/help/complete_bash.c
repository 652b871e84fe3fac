/* complete_bash.c: the completion for bash, from the tables that --help reads; see help.h.
 *
 * An option is a word NAME, NAME:WHAT or NAME:=VALUE|VALUE of a list that one function searches.
 * Values are completed where there are some, data by their kind and by files, other texts not. */
#include "engine/cli/help/help.h"

#include <string.h>

void complete_bash_entry(const struct entry *entry)
{
    char values[400];
    printf(" %s", entry->name);
    if (entry->what && help_values(values, sizeof values, entry->help, '|'))
        printf(":=%s", values);
    else if (entry->what)
        printf(":%s", entry->what);
    if (entry->both)
        printf(" --no-%s", entry->name + 2);
}

static const char bash_body[] =
    "_moco_files()\n"
    "{\n"
    "    local before=\n"
    "    [[ $cur == *,* ]] && before=${cur%,*}, # X.npy,Y.npy\n"
    "    mapfile -t COMPREPLY < <(compgen \"$1\" -P \"$before\" -- \"${cur##*,}\")\n"
    "    compopt -o filenames 2>/dev/null\n"
    "}\n"
    "\n"
    "_moco_words()\n"
    "{\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
    "}\n"
    "\n"
    "# _moco_value WHAT: completes the value of an option, or one of WHAT|WHAT before the options\n"
    "_moco_value()\n"
    "{\n"
    "    local what words kinds=\n"
    "    case $1 in\n"
    "    =*) words=${1#=}; _moco_words \"${words//|/ }\"; return ;;\n"
    "    TEXT | NUMBER) return ;;\n"
    "    DIR) _moco_files -d; return ;;\n"
    "    DATA) kinds=$_moco_kinds ;;\n"
    "    *pixels*) kinds=pixels ;;\n"
    "    esac\n"
    "    _moco_words \"$kinds\"\n"
    "    if [ ${#COMPREPLY[@]} -gt 0 ] && [ -n \"$cur\" ]; then\n"
    "        [[ ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null\n"
    "        return\n"
    "    fi\n"
    "    words=(\"${COMPREPLY[@]}\")\n"
    "    _moco_files -f\n"
    "    COMPREPLY+=(\"${words[@]}\")\n"
    "}\n"
    "\n"
    "# How many words before the cursor are neither options nor their values.\n"
    "_moco_place()\n"
    "{\n"
    "    local i word place=0\n"
    "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        case $word in\n"
    "        :) place=$((place - 1)); continue ;; # bash cuts folder:DIR into three words\n"
    "        -*) [[ $options == *\" $word:\"* ]] && i=$((i + 1)); continue ;;\n"
    "        esac\n"
    "        place=$((place + 1))\n"
    "    done\n"
    "    echo $place\n"
    "}\n"
    "\n"
    "_moco()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local operands options word\n"
    "    COMPREPLY=()\n"
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
    "        _moco_words \"$_moco_commands help version\"\n"
    "        return\n"
    "    fi\n"
    "    if [ \"${COMP_WORDS[1]}\" = help ]; then\n"
    "        _moco_words \"$_moco_commands --man --bash --zsh\"\n"
    "        return\n"
    "    fi\n"
    "    _moco_command \"${COMP_WORDS[1]}\" || return\n"
    "    if [ \"$cur\" = : ] || [ \"$prev\" = : ]; then\n"
    "        cur=${cur#:}\n"
    "        _moco_files -f\n"
    "        return\n"
    "    fi\n"
    "    for word in $options; do\n"
    "        if [ \"${word%%:*}\" = \"$prev\" ] && [ \"$word\" != \"$prev\" ]; then\n"
    "            _moco_value \"${word#*:}\"\n"
    "            return\n"
    "        fi\n"
    "    done\n"
    "    read -ra word <<<\"$operands\"\n"
    "    word=${word[$(_moco_place)]-}\n"
    "    if [[ $cur != -* ]] && [ -n \"$word\" ]; then\n"
    "        _moco_value \"$word\"\n"
    "        return\n"
    "    fi\n"
    "    for word in $options --help; do\n"
    "        [[ ${word%%:*} == \"$cur\"* ]] && COMPREPLY+=(\"${word%%:*}\")\n"
    "    done\n"
    "}\n"
    "\n"
    "complete -F _moco moco\n";

void complete_bash(void)
{
    char words[100];
    printf("# bash completion for moco(1), made by moco help --bash\n\n_moco_commands='");
    for (const struct command *command = commands; command->name; command++)
        printf("%s%s", command == commands ? "" : " ", command->name);
    printf("'\n_moco_kinds='");
    help_kinds();
    printf("'\n_moco_settings='");
    help_list(command_named("train"), LIST_BASH);
    printf("'\n\n_moco_command()\n{\n    case $1 in\n");
    for (const struct command *command = commands; command->name; command++) {
        help_operands(words, sizeof words, command);
        printf("    %s)\n        operands='%s'\n        options=\"", command->name, words);
        if (strcmp(command->name, "train"))
            help_list(command, LIST_BASH);
        else
            printf(" $_moco_settings");
        printf("\"\n        ;;\n");
    }
    printf("    *) return 1 ;;\n    esac\n}\n\n%s", bash_body);
}
