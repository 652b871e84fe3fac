/* complete_zsh.c: the completion for zsh, from the tables that --help reads; see help.h.
 *
 * An option is a spec of _arguments, '--name[help]:what:action'. */
#include "engine/cli/help/help.h"

#include <string.h>

/* Inside '...[...]...': brackets and colons are escaped, back quotes dropped. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text))
            printf("\\%c", *text);
        else if (*text != '`')
            putchar(*text);
    }
}

static const char *zsh_action(const char *what)
{
    return !strcmp(what, "DATA")  ? "_moco_data"
           : !strcmp(what, "DIR") ? "_files -/"
           : strstr(what, "pixels") ? "_moco_pixels"
           : strcmp(what, "TEXT") && strcmp(what, "NUMBER") ? "_files"
                                                            : " ";
}

static void zsh_option(const char *name, const struct entry *entry)
{
    char values[400];
    printf("            '%s[", name);
    zsh_text(entry->help);
    putchar(']');
    if (entry->what && help_values(values, sizeof values, entry->help, ' ')) {
        printf(":%s:(", entry->what);
        zsh_text(values);
        putchar(')');
    } else if (entry->what) {
        printf(":%s:%s", entry->what, zsh_action(entry->what));
    }
    printf("'\n");
}

void complete_zsh_entry(const struct entry *entry)
{
    char name[100];
    zsh_option(entry->name, entry);
    snprintf(name, sizeof name, "--no-%s", entry->name + 2);
    if (entry->both)
        zsh_option(name, entry);
}

static void zsh_operands(const struct command *command)
{
    char words[100];
    help_operands(words, sizeof words, command);
    int place = 1;
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "), place++)
        printf("            '%d:%s:%s'\n", place, word, zsh_action(word));
}

static const char zsh_head[] =
    "#compdef moco\n"
    "# made by moco help --zsh\n"
    "\n"
    "_moco_data() {\n"
    "    _alternative 'files:file:_files' 'kinds:kind:compadd -S \"\" -- $kinds'\n"
    "}\n"
    "\n"
    "_moco_pixels() {\n"
    "    _alternative 'files:file:_files' 'pixels:no encoder:(pixels)'\n"
    "}\n"
    "\n"
    "_moco() {\n"
    "    local curcontext=$curcontext state line kinds settings\n"
    "    kinds=(";

static const char zsh_choice[] =
    "        'help:commands, manual pages, completions'\n"
    "        'version:its version'\n"
    "    )\n"
    "    _arguments -C '1: :->command' '*:: :->argument'\n"
    "    case $state in\n"
    "    command)\n"
    "        _describe command commands\n"
    "        ;;\n"
    "    argument)\n"
    "        case $words[1] in\n";

void complete_zsh(void)
{
    fputs(zsh_head, stdout);
    help_kinds();
    printf(")\n    settings=(\n");
    help_list(command_named("train"), LIST_ZSH);
    printf("    )\n    local -a commands\n    commands=(\n");
    for (const struct command *command = commands; command->name; command++) {
        printf("        '%s:", command->name);
        zsh_text(command->summary);
        printf("'\n");
    }
    fputs(zsh_choice, stdout);
    for (const struct command *command = commands; command->name; command++) {
        printf("        %s)\n            local -a specs\n            specs=(\n", command->name);
        zsh_operands(command);
        if (strcmp(command->name, "train"))
            help_list(command, LIST_ZSH);
        else
            printf("            $settings\n");
        printf("            '--help[what it takes]'\n            )\n            _arguments $specs\n"
               "            ;;\n");
    }
    printf("        help)\n            _arguments '1: :(");
    for (const struct command *command = commands; command->name; command++)
        printf("%s ", command->name);
    printf("--man --bash --zsh)'\n            ;;\n        esac\n        ;;\n    esac\n}\n\n"
           "_moco \"$@\"\n");
}
