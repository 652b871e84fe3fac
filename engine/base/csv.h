/* csv.h: texts in tables that people open with a spreadsheet.
 *
 * A cell is quoted as in RFC 4180. One that begins with = + - @, a tab or a carriage return would
 * be run as a formula, so it gets an apostrophe in front; so does one that begins with an
 * apostrophe, and whoever reads a table takes the first apostrophe of a text off. */
#ifndef MOCO_ENGINE_BASE_CSV_H
#define MOCO_ENGINE_BASE_CSV_H

#include <stdio.h>

void csv_cell(FILE *out, const char *text);

#endif
