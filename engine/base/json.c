/* json.c: see json.h. */
#define _GNU_SOURCE
#include "engine/base/json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

enum { DIGITS = 16, ESCAPE = 6 /* bytes of \udc80 */ };

/* ---- writing ---- */

void json_put(FILE *out, const char *text)
{
    size_t size = strlen(text);
    fputc('"', out);
    while (size) {
        uint32_t code;
        size_t length = utf8_next(&code, text, size);
        if (!length) {
            fprintf(out, "\\udc%02x", (unsigned char)*text);
            length = 1;
        } else if (code == '"' || code == '\\') {
            fprintf(out, "\\%c", (char)code);
        } else if (utf8_is_control(code)) {
            fprintf(out, "\\u%04x", (unsigned)code);
        } else {
            fwrite(text, 1, length, out);
        }
        text += length;
        size -= length;
    }
    fputc('"', out);
}

/* What cJSON leaves as it is stands in strings, where escapes may stand for it. */
static void put_printed(FILE *out, const char *text)
{
    for (size_t size = strlen(text), length; size; text += length, size -= length) {
        uint32_t code = 0;
        length = utf8_next(&code, text, size);
        if (!length)
            fprintf(out, "\\udc%02x", (unsigned char)*text);
        else if (code >= 0x20 && utf8_is_control(code))
            fprintf(out, "\\u%04x", (unsigned)code);
        else
            fwrite(text, 1, length, out);
        length += !length;
    }
}

char *json_print(const cJSON *json, int lines)
{
    char *printed = lines ? cJSON_Print(json) : cJSON_PrintUnformatted(json), *text = NULL;
    size_t size;
    FILE *stream = printed ? open_memstream(&text, &size) : NULL;
    if (stream) {
        put_printed(stream, printed);
        int bad = ferror(stream);
        if (fclose(stream) || bad) {
            free(text);
            text = NULL;
        }
    }
    free(printed);
    return text;
}

void json_put_number(FILE *out, const char *format, double value)
{
    if (isfinite(value))
        fprintf(out, format, value);
    else
        fputs("null", out);
}

/* ---- reading ---- */

static int hex_of(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The number of \uXXXX, -1 for anything else. */
static int escape_at(const char *p)
{
    int code = 0;
    if (p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE; i++) {
        int digit = hex_of(p[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* Bytes of `in` that are one step of a string, and what stands for them in out. */
static size_t step_in_string(char *out, size_t *n, const char *in)
{
    int code = escape_at(in);
    size_t length = *in != '\\' || !in[1] ? 1 : code < 0 ? 2 : ESCAPE;
    if (code >= 0xdc80 && code <= 0xdcff) { /* alone: of a pair the first half comes before */
        out[(*n)++] = (char)(code & 0xff);
        return ESCAPE;
    }
    if (code >= 0xd800 && code <= 0xdbff && escape_at(in + ESCAPE) >= 0xdc00)
        length = 2 * ESCAPE;
    memcpy(out + *n, in, length);
    *n += length;
    return length;
}

/* A number; a whole one of many digits gets quotes. */
static size_t step_of_number(char *out, size_t *n, const char *in)
{
    size_t sign = *in == '-', length = strspn(in, "-+.eE0123456789");
    int quote = length >= DIGITS + sign && strspn(in + sign, "0123456789") == length - sign;
    if (quote)
        out[(*n)++] = '"';
    memcpy(out + *n, in, length);
    *n += length;
    if (quote)
        out[(*n)++] = '"';
    return length;
}

/* Until out has `stop` bytes; returns how many of `in` these are. */
static size_t rewrite(char *out, const char *in, size_t stop)
{
    size_t n = 0, at = 0;
    int inside = 0;
    while (in[at] && n < stop) {
        if (in[at] == '"') {
            inside = !inside;
            out[n++] = in[at++];
        } else if (inside) {
            at += step_in_string(out, &n, in + at);
        } else if (in[at] == '-' || (in[at] >= '0' && in[at] <= '9')) {
            at += step_of_number(out, &n, in + at);
        } else {
            out[n++] = in[at++];
        }
    }
    out[n] = '\0';
    return at;
}

cJSON *json_parse(size_t *wrong, const char *text)
{
    const char *end = NULL;
    char *copy = malloc(strlen(text) / DIGITS * 2 + strlen(text) + 1 + 2 * ESCAPE);
    if (wrong)
        *wrong = 0;
    if (!copy)
        return NULL;
    rewrite(copy, text, SIZE_MAX);
    cJSON *json = cJSON_ParseWithOpts(copy, &end, 1);
    if (!json && wrong && end)
        *wrong = rewrite(copy, text, (size_t)(end - copy));
    free(copy);
    return json;
}
