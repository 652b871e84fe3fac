/* missing.c: --max-missing of the commands that take no settings of a run, and the notice of what
 * is missing. */
#include "engine/data/missing.h"

#include <stdio.h>

#include "engine/cli/cli.h"

int cli_check_missing(double share)
{
    if (share >= 0.0 && share <= 1.0)
        return EXIT_DONE;
    return cli_usage("--max-missing must be from 0 to 1, the share of an image");
}

void cli_missing(const struct source *source)
{
    char text[MISSING_TEXT];
    missing_text(text, source);
    if (text[0])
        fprintf(stderr, "moco: %s\n", text);
}
