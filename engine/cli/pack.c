/* pack.c: moco data DATA --pack OUT: a data set as one file, and what was left out of it. */
#include "engine/cli/pack.h"

#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/cli/cli.h"
#include "engine/data/missing.h"

static void print_bad(const struct pack_report *report, size_t views)
{
    if (!report->bad)
        return;
    fprintf(stderr, "moco: %zu %s%s cannot be read and %s left out:\n", report->bad,
            views > 1 ? "sample" : "image", report->bad == 1 ? "" : "s",
            report->bad == 1 ? "is" : "are");
    for (size_t i = 0; i < report->bad && i < PACK_NAMED; i++)
        fprintf(stderr, "  %s\n", report->sentence[i]);
    if (report->bad > PACK_NAMED)
        fprintf(stderr, "  and %zu more\n", report->bad - PACK_NAMED);
}

static void print_report(const struct pack_report *report, const char *out, size_t views, int side,
                         const struct account *account, int json)
{
    if (json) {
        printf("{\"packed\":");
        cli_json_text(out);
        printf(",\"images\":%zu,\"scaled\":%zu,\"left_out\":%zu,\"bytes\":%llu",
               report->written, report->scaled, report->bad * views,
               (unsigned long long)report->bytes);
        cli_json_account(account, "");
        printf("}\n");
        return;
    }
    double kib = (double)report->bytes / 1024;
    printf("%s holds %zu images on %.1f %s", out, report->written, kib < 1024 ? kib : kib / 1024,
           kib < 1024 ? "KiB" : "MiB");
    if (views > 1)
        printf(", %zu of a sample", views);
    if (side)
        printf("; %zu were scaled to a shorter side of %d", report->scaled, side);
    printf("\n");
}

int cli_pack(const char *data, const char *out, struct pack_options *options, double max_missing,
             int json)
{
    struct bar bar = cli_bar();
    struct pack_report *report = calloc(1, sizeof *report);
    struct source *source = NULL;
    int rc = report ? source_open_lenient(&source, data)
                    : error_memory("a report on packing", sizeof *report);
    if (!rc) {
        missing_allow(source, max_missing);
        cli_note(source, 0);
        options->progress = cli_bar_step;
        options->user = &bar;
        rc = pack_write(report, out, source, options);
    }
    cli_bar_end(&bar);
    if (!rc) {
        cli_missing(source);
        print_bad(report, source_views(source));
        print_report(report, out, source_views(source), options->side, &source->account, json);
    }
    source_close(&source);
    free(report);
    return rc;
}
