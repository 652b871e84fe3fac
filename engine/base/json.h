/* json.h: texts of any bytes and whole numbers of any length through JSON.
 *
 * What we write is valid UTF-8: a byte that is part of no character becomes \udcXX, a half of a
 * pair that no text has otherwise (Python's "surrogateescape": os.fsencode() gives the bytes back).
 * What acts on a terminal is escaped too. Reading undoes this, and keeps whole numbers of 16 digits
 * and more as text: cJSON's numbers are doubles. */
#ifndef MOCO_ENGINE_BASE_JSON_H
#define MOCO_ENGINE_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdio.h>

/* "text", with its quotes. */
void json_put(FILE *out, const char *text);

/* A number by a format of doubles; null where it is none that JSON has. */
void json_put_number(FILE *out, const char *format, double value);

/* An item as text, with lines or without; free() it. NULL: no memory. */
char *json_print(const cJSON *json, int lines);

/* NULL: no JSON, or no memory for it; then *wrong, if not NULL, is the first byte that does not
 * fit. */
cJSON *json_parse(size_t *wrong, const char *text);

#endif
