/* settings.c: the settings of a run and who chose them. */
#include <string.h>

#include "engine/plot/svg.h"
#include "engine/report/part.h"

enum { TEXT = 4200 };

/* The words in back quotes are values that there are. */
static void print_help(FILE *out, const char *text)
{
    int quoted = 0;
    for (size_t length; *text; text += length) {
        char part[400];
        if (*text == '`') {
            quoted = !quoted;
            fputs(quoted ? "<code>" : "</code>", out);
            text++;
        }
        length = strcspn(text, "`");
        snprintf(part, sizeof part, "%.*s", (int)length, text);
        svg_escape(out, part);
    }
    if (quoted)
        fputs("</code>", out);
}

static void print_row(const struct report *r, const struct setting *row, const char *origin)
{
    char text[TEXT];
    config_text(text, sizeof text, &r->config, row);
    fputs("<tr><td>", r->out);
    svg_escape(r->out, row->name);
    fputs("</td><td class=\"value\">", r->out);
    svg_escape(r->out, text[0] ? text : "-");
    fputs("</td><td>", r->out);
    svg_escape(r->out, origin);
    fputs("</td><td class=\"faint\">", r->out);
    print_help(r->out, row->help);
    fputs("</td></tr>\n", r->out);
}

/* Those whose origin is the default's, or all others. */
static void print_table(const struct report *r, int defaults)
{
    size_t count;
    const struct setting *rows = config_settings(&count);
    const cJSON *origins = cJSON_GetObjectItemCaseSensitive(r->json, "origin");
    fputs("<table>\n<tr><th>setting</th><th>value</th><th>from</th><th></th></tr>\n", r->out);
    for (size_t i = 0; i < count; i++) {
        const char *origin = report_member(origins, rows[i].name);
        int is_default = !origin[0] || !strcmp(origin, origin_name(FROM_DEFAULT));
        if (is_default == defaults)
            print_row(r, &rows[i], origin);
    }
    fputs("</table>\n", r->out);
}

void report_settings(const struct report *report)
{
    fputs("<h2>Settings</h2>\n", report->out);
    print_table(report, 0);
    fputs("<details><summary>Defaults</summary>\n", report->out);
    print_table(report, 1);
    fputs("</details>\n", report->out);
}
