/* man.c: manual pages in man(7)'s macros, from the tables that --help reads; see help.h.
 *
 * Lines are filled, so text is cut at blanks before column 80; a line must not begin with a dot or
 * an apostrophe, and a dash that is typed is \-. */
#include "engine/cli/help/help.h"

#include <ctype.h>
#include <string.h>

#include "include/moco.h"

enum { COLUMNS = 78 };

static const char date[] = "2026-11-26"; /* of the version, as in debian/changelog */

struct paragraph {
    const char *name, *text;
};

static const struct paragraph environment[] = {
    {"MOCO_SIMD", "Caps the kernels, as `--simd` does."},
    {"OMP_NUM_THREADS", "Computing threads where `--threads` does not say."},
    {"OMP_WAIT_POLICY, GOMP_SPINCOUNT",
     "How idle threads wait. Without both moco starts itself once more with a short spin, so that "
     "it shares cores well."},
    {"TMPDIR", "Where `moco demo` keeps its run meanwhile; /tmp without it."},
};

static const struct paragraph statuses[] = {
    {"0", "Done."},
    {"1", "Failed; one sentence on standard error says what, and nothing is half-written."},
    {"2", "Wrong usage."},
    {"130, 143", "Interrupted or terminated after saving; `--resume` goes on."},
};

/* ---- text ---- */

/* One character of text. */
static void put(char c)
{
    static const char special[] = "-\\'^~";
    static const char *const escaped[] = {"\\-", "\\e", "\\(cq", "\\(ha", "\\(ti"};
    const char *at = strchr(special, c);
    if (at && c)
        fputs(escaped[at - special], stdout);
    else
        putchar(c);
}

/* Columns that a word takes in the file. */
static int width_of(const char *word, int length)
{
    int width = length;
    for (int i = 0; i < length; i++)
        width += word[i] == '`' ? 2 : word[i] == '-' || word[i] == '\\' ? 1 : 0;
    return width;
}

/* A paragraph's line, from column `at` on: words in back quotes bold. */
static void fill_from(int at, const char *text)
{
    int bold = 0;
    for (int first = 1; *text && *text != '\n'; first = 0) {
        int length = (int)strcspn(text, " \n"), width = width_of(text, length);
        int next = !first && at + 1 + width > COLUMNS;
        if (!first)
            putchar(next ? '\n' : ' ');
        at = next ? width : at + !first + width;
        if (at == width && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        for (; length; length--, text++) {
            if (*text == '`')
                fputs((bold = !bold) ? "\\fB" : "\\fR", stdout);
            else
                put(*text);
        }
        text += *text == ' ';
    }
    putchar('\n');
}

static void fill(const char *text)
{
    fill_from(0, text);
}

/* Sentences, each paragraph after a macro. */
static void paragraphs(const char *text)
{
    for (int first = 1; *text; first = 0) {
        size_t length = strcspn(text, "\n");
        if (!first)
            puts(".PP");
        fill(text);
        text += length + (text[length] == '\n');
    }
}

/* A word of a synopsis: options and lower case are typed, upper case is replaced. */
static const char *put_word(const char *text)
{
    int option = *text == '-', place = isupper((unsigned char)*text);
    fputs(place ? "\\fI" : "\\fB", stdout);
    for (; *text && !strchr(" []|", *text); text++) {
        if (!option && place && !isupper((unsigned char)*text) && !isdigit((unsigned char)*text) &&
            *text != '-')
            break;
        put(*text);
    }
    fputs("\\fR", stdout);
    return text;
}

static void synopsis(int at, const char *text)
{
    while (*text) {
        if (*text == ' ') {
            int next = at + 1 + 3 * (int)strcspn(text + 1, " ") > COLUMNS;
            putchar(next ? '\n' : ' ');
            at = next ? 0 : at + 1;
            text++;
        } else if (isalnum((unsigned char)*text) || strchr("-.", *text)) {
            const char *end = put_word(text);
            at += width_of(text, (int)(end - text)) + 6;
            text = end;
        } else {
            put(*text++);
            at++;
        }
    }
    putchar('\n');
}

/* ---- parts of a page ---- */

void man_entry(const struct entry *entry)
{
    char help[700];
    printf(".TP\n\\fB");
    for (const char *c = entry->name; *c; c++)
        put(*c);
    if (entry->both) {
        printf("\\fR, \\fB\\-\\-no\\-");
        for (const char *c = entry->name + 2; *c; c++)
            put(*c);
    }
    printf("\\fR");
    if (entry->what)
        printf(" \\fI%s\\fR", entry->what);
    putchar('\n');
    snprintf(help, sizeof help, "%s%s%s%s", entry->help, entry->usual[0] ? " (default: " : "",
             entry->usual, entry->usual[0] ? ")" : "");
    fill(help);
}

static void list(const char *section, const struct paragraph *rows, size_t n)
{
    printf(".SH %s\n", section);
    for (size_t i = 0; i < n; i++) {
        printf(".TP\n.B %s\n", rows[i].name);
        fill(rows[i].text);
    }
}

static void title(const struct command *command)
{
    char name[32] = "MOCO";
    if (command)
        snprintf(name, sizeof name, "MOCO-%s", command->name);
    printf(".\\\" made by moco help \\-\\-man\n.TH ");
    for (const char *c = name; *c; c++)
        putchar(toupper((unsigned char)*c));
    printf(" 1 %s \"moco %s\" \"User Commands\"\n.SH NAME\n", date, moco_version());
}

/* The summary up to its first further remark. */
static void name_line(const struct command *command)
{
    char summary[200];
    size_t length = strcspn(command->summary, ":;(");
    while (length && command->summary[length - 1] == ' ')
        length--;
    snprintf(summary, sizeof summary, "%.*s", (int)length, command->summary);
    fill_from(printf("moco\\-%s \\- ", command->name), summary);
}

static void examples(const char *lines)
{
    printf(".SH EXAMPLES\n.EX\n");
    for (; *lines; lines++)
        if (*lines == '\n')
            putchar('\n');
        else
            put(*lines);
    printf(".EE\n");
}

static void command_page(const struct command *command)
{
    title(command);
    name_line(command);
    printf(".SH SYNOPSIS\n");
    synopsis(printf("\\fBmoco %s\\fR ", command->name), command->arguments);
    printf(".SH DESCRIPTION\n");
    if (command->about)
        paragraphs(command->about);
    else
        fill(command->summary);
    printf(".PP\nThe ways to name DATA are those of\n.BR moco (1).\n.SH OPTIONS\n");
    help_list(command, LIST_MAN);
    examples(command->examples);
    printf(".SH SEE ALSO\n.BR moco (1)");
    printf("%s", strcmp(command->name, "train") ? ",\n.BR moco\\-train (1)\n" : "\n");
}

static void main_page(void)
{
    title(NULL);
    printf("moco \\- contrastive self\\-supervised training of image encoders on CPUs\n"
           ".SH SYNOPSIS\n\\fBmoco\\fR \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.PP\n"
           "\\fBmoco help\\fR [\\fICOMMAND\\fR]\n.PP\n"
           "\\fBmoco help \\-\\-man\\fR [\\fICOMMAND\\fR]\n.PP\n"
           "\\fBmoco help \\-\\-bash\\fR|\\fB\\-\\-zsh\\fR\n"
           ".SH DESCRIPTION\n");
    paragraphs("Takes a set of unlabelled images and makes an encoder whose features find similar "
               "images: Momentum Contrast and other contrastive methods.\n"
               "Every command takes `--threads`, `--simd` and `--json`, and `--help`. `moco help` "
               "also prints manual pages and completions for shells.\n");
    printf(".SH COMMANDS\n");
    for (const struct command *command = commands; command->name; command++) {
        printf(".TP\n.BR moco\\-%s (1)\n", command->name);
        fill(command->summary);
    }
    printf(".SH DATA\n");
    paragraphs("A path whose files tell what they are, or one of these. `:nhwc` behind npy, npz "
               "and hdf5 says that channels are last, `:views` that axis 1 holds images of one "
               "sample.\n");
    for (const struct data_form *data = data_forms; data->form; data++) {
        printf(".TP\n\\fB");
        for (const char *c = data->form; *c; c++)
            put(*c);
        printf("\\fR\n");
        fill(data->text);
    }
    list("ENVIRONMENT", environment, sizeof environment / sizeof *environment);
    list("EXIT STATUS", statuses, sizeof statuses / sizeof *statuses);
    examples("moco demo\nmoco train folder:DIR --out run\n"
             "moco embed run folder:DIR -o features.npy\n");
    printf(".SH SEE ALSO\n");
    for (const struct command *command = commands; command->name; command++)
        printf(".BR moco\\-%s (1)%s\n", command->name, command[1].name ? "," : "");
}

void man_page(const struct command *command)
{
    if (command)
        command_page(command);
    else
        main_page();
}
