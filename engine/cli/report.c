/* report.c: moco report: a run folder as one HTML page. */
#include "engine/report/report.h"

#include <stdio.h>

#include "engine/cli/cli.h"

int command_report(int argc, char **argv)
{
    const char *run = NULL, *out = NULL;
    char beside[1200];
    const struct option options[] = {
        {"-o", OPTION_TEXT, &out, "FILE", "the page; RUN/report.html when not given"},
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &run, 1);
    if (rc)
        return rc;
    snprintf(beside, sizeof beside, "%.1180s/report.html", run);
    if (report_write(run, out ? out : beside))
        return cli_failed();
    fprintf(stderr, "moco: the report is in %s\n", out ? out : beside);
    return EXIT_DONE;
}
