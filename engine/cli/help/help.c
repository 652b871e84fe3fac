/* help.c: the overview, one command's help, and the listing of options; see help.h. */
#include "engine/cli/help/help.h"

#include <math.h>
#include <string.h>

#include "include/moco.h"

enum { COLUMNS = 100, INDENT = 28 };

/* ---- words ---- */

/* Prints text in lines of at most COLUMNS, from column `at` on, later lines behind `indent` blanks;
 * without the back quotes. */
static void print_wrapped(FILE *out, const char *text, int at, int indent)
{
    for (int first = 1; *text; first = 0) {
        int length = (int)strcspn(text, " "), width = length;
        for (int i = 0; i < length; i++)
            width -= text[i] == '`';
        if (!first && at + 1 + width > COLUMNS)
            at = fprintf(out, "\n%*s", indent, "") - 1;
        else if (!first)
            at += fprintf(out, " ");
        for (int i = 0; i < length; i++)
            if (text[i] != '`')
                fputc(text[i], out);
        at += width;
        text += length;
        text += *text == ' ';
    }
    fputc('\n', out);
}

int help_values(char *out, size_t size, const char *help, char between)
{
    size_t used = 0;
    int count = 0, inside = 0;
    for (; *help && used + 2 < size; help++) {
        if (*help == '`') {
            inside = !inside;
            if (inside && count++)
                out[used++] = between;
        } else if (inside) {
            out[used++] = *help;
        }
    }
    out[used] = '\0';
    return count;
}

/* ---- listing options ---- */

enum listing help_asked(int argc, char **argv)
{
    static const char *const words[] = {"--help", "-h", "--help=man", "--help=bash", "--help=zsh"};
    static const enum listing meant[] = {LIST_TEXT, LIST_TEXT, LIST_MAN, LIST_BASH, LIST_ZSH};
    for (int i = 0; i < argc; i++)
        for (size_t j = 0; j < sizeof words / sizeof *words; j++)
            if (!strcmp(argv[i], words[j]))
                return meant[j];
    return LIST_NOT;
}

static void print_entry(const struct entry *entry)
{
    const char *what = entry->what ? entry->what : "";
    int at = printf("  %s%s%s", entry->name, *what ? " " : "", what);
    at += printf("%*s ", at < INDENT ? INDENT - at : 0, "");
    char help[600];
    snprintf(help, sizeof help, "%s%s%s%s", entry->help, entry->usual[0] ? " (" : "", entry->usual,
             entry->usual[0] ? ")" : "");
    print_wrapped(stdout, help, at, INDENT + 1);
}

static void list_entry(const struct entry *entry, enum listing listing)
{
    switch (listing) {
    case LIST_MAN:
        man_entry(entry);
        break;
    case LIST_BASH:
        complete_bash_entry(entry);
        break;
    case LIST_ZSH:
        complete_zsh_entry(entry);
        break;
    default:
        print_entry(entry);
    }
}

static const char *what_of(int is_text, const char *what, const char *help)
{
    if (!is_text)
        return "NUMBER";
    return what ? what : strchr(help, '`') ? "NAME" : "TEXT";
}

/* Zero and "not a number" stand for a choice that is made later. */
static void usual_value(struct entry *entry, const struct option *option)
{
    double number = option->type == OPTION_INT      ? *(const int *)option->value
                    : option->type == OPTION_DOUBLE ? *(const double *)option->value
                                                    : 0.0;
    const char *text = option->type == OPTION_TEXT ? *(const char *const *)option->value : NULL;
    if (text)
        snprintf(entry->usual, sizeof entry->usual, "%s", text);
    else if (number != 0.0 && !isnan(number))
        snprintf(entry->usual, sizeof entry->usual, "%g", number);
}

void help_options(const struct option *options, size_t n, enum listing listing)
{
    for (size_t i = 0; i < n; i++) {
        const struct option *option = &options[i];
        struct entry entry = {.name = option->name, .help = option->help};
        if (option->type != OPTION_SWITCH)
            entry.what = what_of(option->type == OPTION_TEXT, option->what, option->help);
        if (option->type != OPTION_SWITCH)
            usual_value(&entry, option);
        list_entry(&entry, listing);
    }
}

static int is_among(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name))
        names++;
    return *names != NULL;
}

/* What a setting is where nobody gives it, for a listing that shows it. */
static void default_text(char *out, size_t size, const struct config *config,
                         const struct setting *row, enum listing listing)
{
    static const char *const derived[] = { "stem", "side", "moco-k", "moco-m", "bn-splits",
                                           "shuffle-bn", "batch-size", "lr", NULL };
    char value[4100];
    config_text(value, sizeof value, config, row);
    int off = listing == LIST_TEXT && row->type == SETTING_SWITCH && !strcmp(value, "off");
    if ((listing == LIST_TEXT || listing == LIST_MAN) && !off)
        snprintf(out, size, "%.60s", is_among(row->name, derived)        ? "from the data"
                                     : !strcmp(row->name, "key-encoder") ? "from the method"
                                                                         : value);
}

static void list_setting(const struct config *config, const struct setting *row,
                         enum listing listing)
{
    char name[80];
    struct entry entry = {.name = name, .help = row->help, .both = row->type == SETTING_SWITCH};
    snprintf(name, sizeof name, "--%s", row->name);
    if (row->type != SETTING_SWITCH)
        entry.what = what_of(row->type == SETTING_TEXT, row->what, row->help);
    default_text(entry.usual, sizeof entry.usual, config, row, listing);
    list_entry(&entry, listing);
}

void help_settings(const char *command, const struct config *config, enum listing listing)
{
    static const char *const of_folder[] = { "out", "checkpoint-every", "resume", "profile", NULL };
    int writes_nothing = !strcmp(command, "bench") || !strcmp(command, "views");
    size_t count;
    const struct setting *rows = config_settings(&count);
    if (strcmp(command, "train") && listing != LIST_TEXT) {
        static const char *const others[] = {
            [LIST_MAN] = ".TP\n.I SETTINGS\nall options of\n.BR moco\\-train (1)\n",
            [LIST_BASH] = " $_moco_settings", [LIST_ZSH] = "            $settings\n"};
        fputs(others[listing], stdout);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!writes_nothing || !is_among(rows[i].name, of_folder))
            list_setting(config, &rows[i], listing);
}

void help_list(const struct command *command, enum listing listing)
{
    static char words[][16] = {"--help", "--help=man", "--help=bash", "--help=zsh"};
    char *argv[] = {words[listing - LIST_TEXT], NULL};
    command->run(1, argv);
}

/* ---- the texts ---- */

int help_overview(FILE *out)
{
    fprintf(out, "moco %s: contrastive training of image encoders on CPUs\n\n", moco_version());
    for (const struct command *command = commands; command->name; command++) {
        int at = fprintf(out, "  moco %s ", command->name);
        print_wrapped(out, command->arguments, at, 6);
        print_wrapped(out, command->summary, fprintf(out, "      "), 6);
    }
    fprintf(out, "\nDATA: a path, or\n");
    for (const struct data_form *data = data_forms; data->form; data++)
        fprintf(out, "  %s\n", data->form);
    fprintf(out, "      :nhwc behind npy, npz, hdf5: channels are last; :views: axis 1 holds "
                 "images of one sample\nEvery command takes --help, --threads N, --simd "
                 "ref|avx2|avx512|neon and --json.\n"
                 "moco help COMMAND; moco help --man [COMMAND] | --bash | --zsh: manual pages, "
                 "completions\n");
    return out == stdout ? EXIT_DONE : EXIT_USAGE;
}

static void print_paragraphs(const char *text)
{
    char line[1000];
    for (; *text; text += strcspn(text, "\n") + 1) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(text, "\n"), text);
        printf("\n");
        print_wrapped(stdout, line, 0, 0);
    }
}

int help_command(const struct command *command)
{
    int at = printf("moco %s ", command->name);
    print_wrapped(stdout, command->arguments, at, 6);
    print_wrapped(stdout, command->summary, printf("  "), 2);
    if (command->about)
        print_paragraphs(command->about);
    printf("\n");
    help_list(command, LIST_TEXT);
    printf("\n%s", command->examples);
    return EXIT_DONE;
}

int command_help(int argc, char **argv)
{
    if (argc == 0)
        return help_overview(stdout);
    const struct command *command = argc == 2 ? command_named(argv[1]) : NULL;
    if (!strcmp(argv[0], "--man") && (argc == 1 || command))
        man_page(command);
    else if (!strcmp(argv[0], "--bash") && argc == 1)
        complete_bash();
    else if (!strcmp(argv[0], "--zsh") && argc == 1)
        complete_zsh();
    else if (argc == 1 && command_named(argv[0]))
        help_command(command_named(argv[0]));
    else
        return cli_usage("moco help takes a command, --man [COMMAND], --bash or --zsh, not '%s'",
                         argv[argc == 2]);
    return EXIT_DONE;
}
