/* log_read.c: log.csv back into rows; see log.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/run/log.h"

enum { COLUMNS = 12, ALWAYS = 11, LINE = 512 };

/* Empty columns give NAN; 0 when the line is no row. */
static int read_line(struct log_row *row, const char *text)
{
    double v[COLUMNS];
    const char *at = text;
    v[ALWAYS] = NAN;
    for (int i = 0; i < COLUMNS; i++) {
        char *end = NULL;
        v[i] = *at == ',' || *at == '\n' ? NAN : strtod(at, &end);
        if (end == at)
            return 0;
        at = end ? end : at;
        if (i + 1 == ALWAYS && *at == '\n')
            break;
        if (*at != (i + 1 < COLUMNS ? ',' : '\n'))
            return 0;
        at++;
    }
    if (!(v[0] >= 0 && v[0] < 1e9 && v[1] >= 0 && v[1] < 1e18))
        return 0;
    *row = (struct log_row){ (int)v[0], (uint64_t)v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8],
                             v[9], v[10], v[11] };
    return 1;
}

int log_read(struct log_row **rows, size_t *count, const char *path)
{
    char text[LINE];
    struct log_row row;
    size_t room = 0;
    int rc = MOCO_OK;
    FILE *file = fopen(path, "r");
    *rows = NULL;
    *count = 0;
    while (file && !rc && fgets(text, sizeof text, file)) {
        if (!read_line(&row, text))
            continue;
        struct log_row *more = array_grow(*rows, &room, *count, sizeof row, "rows of a log");
        if (more) {
            *rows = more;
            more[(*count)++] = row;
        } else {
            free(*rows);
            *rows = NULL;
            *count = 0;
            rc = MOCO_ENOMEM;
        }
    }
    if (file)
        fclose(file);
    return rc;
}
