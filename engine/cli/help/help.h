/* help.h: what the commands are and take, told four ways: as text, as a manual page, and as
 * completions for bash and zsh.
 *
 * One source: the table of commands (commands.c), each command's own table of options, and the
 * table of settings (engine/run/config/config.c). A command lists its options when it is asked with
 * --help, or --help=man, =bash, =zsh for an excerpt of the larger text; nothing is written twice.
 * Words in `back quotes` are literal: bold on a manual page, and values to complete in an option's
 * help. */
#ifndef MOCO_ENGINE_CLI_HELP_HELP_H
#define MOCO_ENGINE_CLI_HELP_HELP_H

#include <stddef.h>
#include <stdio.h>

#include "engine/cli/cli.h"

struct command {
    const char *name, *arguments, *summary;
    int (*run)(int argc, char **argv);
    const char *about;    /* paragraphs, each ends with a line break; or NULL */
    const char *examples; /* a line each */
};

/* Ends with a row without name. */
extern const struct command commands[];
const struct command *command_named(const char *name);

/* How data are named: "cifar10:DIR[:test]" and what that is. Ends with a row without form. */
struct data_form {
    const char *form, *text;
};
extern const struct data_form data_forms[];

enum listing { LIST_NOT, LIST_TEXT, LIST_MAN, LIST_BASH, LIST_ZSH };

/* --help or -h among the arguments, or --help=man and so on. */
enum listing help_asked(int argc, char **argv);

/* One option as it is listed. */
struct entry {
    const char *name, *help;
    const char *what; /* of its value: DATA, DIR, FILE, NAME, TEXT or NUMBER; NULL: has none */
    char usual[64];   /* the value without it, "" where that says nothing */
    int both;         /* there is --no-NAME too */
};

/* Lists options, or the settings of a run as `command` takes them. */
void help_options(const struct option *options, size_t n, enum listing listing);
void help_settings(const char *command, const struct config *config, enum listing listing);

/* All options of a command. */
void help_list(const struct command *command, enum listing listing);

/* The words in back quotes with `between` between them; returns how many. */
int help_values(char *out, size_t size, const char *help, char between);

/* moco help [COMMAND] | --man [COMMAND] | --bash | --zsh, and moco COMMAND --help. */
int command_help(int argc, char **argv);
int help_command(const struct command *command);
int help_overview(FILE *out); /* the exit status: that of wrong usage on standard error */

/* The words of a synopsis in front of its first option, without brackets. */
void help_operands(char *out, size_t size, const struct command *command);

/* Prints "cifar10: cifar100: ...". */
void help_kinds(void);

/* man.c, complete_bash.c, complete_zsh.c */
void man_page(const struct command *command); /* NULL: moco(1) */
void man_entry(const struct entry *entry);
void complete_bash(void);
void complete_bash_entry(const struct entry *entry);
void complete_zsh(void);
void complete_zsh_entry(const struct entry *entry);

#endif
