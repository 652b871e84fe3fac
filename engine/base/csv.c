/* csv.c: see csv.h. */
#include "engine/base/csv.h"

#include <string.h>

void csv_cell(FILE *out, const char *text)
{
    int quote = strpbrk(text, "\",\r\n") != NULL;
    if (quote)
        fputc('"', out);
    if (text[0] && strchr("=+-@\t\r'", text[0]))
        fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    if (quote)
        fputc('"', out);
}
