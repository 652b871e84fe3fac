/* test_text.c: texts of any bytes: which are characters, how they go into JSON and come back, and
 * whole numbers of which a double would lose digits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "tests/check.h"

static void characters(void)
{
    static const struct {
        const char *text;
        size_t length;
        uint32_t code;
    } rows[] = {
        { "a", 1, 'a' },           { "\xc3\xb6", 2, 0xf6 },       { "\xe2\x82\xac", 3, 0x20ac },
        { "\xf0\x9f\x90\x84", 4, 0x1f404 }, { "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
        { "\xff", 0, 0 },          { "\x80", 0, 0 },              { "\xc3", 0, 0 },
        { "\xc0\xaf", 0, 0 },      { "\xe0\x80\xaf", 0, 0 },      { "\xf0\x80\x80\xaf", 0, 0 },
        { "\xed\xa0\x80", 0, 0 },  { "\xf4\x90\x80\x80", 0, 0 },  { "\xc3(", 0, 0 },
        { "\xe2\x82(", 0, 0 },     { "", 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t code = 0;
        size_t length = utf8_next(&code, rows[i].text, strlen(rows[i].text));
        CHECK_MSG(length == rows[i].length && code == rows[i].code, "row %zu: %zu bytes, U+%04X", i,
                  length, (unsigned)code);
    }
    CHECK(utf8_is_begun("\xe2\x82", 2) && utf8_is_begun("\xf0", 1) && !utf8_is_begun("a", 1));
    CHECK(!utf8_is_begun("\xe2(", 2) && !utf8_is_begun("\xff", 1) && !utf8_is_begun("", 0));
    CHECK(utf8_is_control(0x1b) && utf8_is_control(0x9b) && utf8_is_control(0x202e));
    CHECK(!utf8_is_control('a') && !utf8_is_control(0xf6) && !utf8_is_control(0x2010));
}

static int is_utf8(const char *text)
{
    size_t size = strlen(text), length = 1;
    for (; size && length; text += length, size -= length)
        length = utf8_next(NULL, text, size);
    return size == 0;
}

/* What json_put() and json_print() write is the same, is UTF-8, and reads back as `text`. */
static void goes_round(const char *text, const char *written)
{
    char put[256] = "", *printed;
    FILE *file = fmemopen(put, sizeof put, "w");
    json_put(file, text);
    fclose(file);
    cJSON *item = cJSON_CreateString(text), *back;
    printed = json_print(item, 0);
    CHECK_MSG(!strcmp(put, written), "%s", put);
    CHECK_MSG(printed && is_utf8(printed) && is_utf8(put), "%s", put);
    const char *both[] = { put, printed };
    for (int i = 0; i < 2 && printed; i++) {
        back = json_parse(NULL, both[i]);
        CHECK_MSG(cJSON_IsString(back) && !strcmp(back->valuestring, text), "%s", both[i]);
        cJSON_Delete(back);
    }
    free(printed);
    cJSON_Delete(item);
}

static void texts(void)
{
    char every[256], name[8];
    goes_round("plain \xc3\xb6 \xf0\x9f\x90\x84", "\"plain \xc3\xb6 \xf0\x9f\x90\x84\"");
    goes_round("\xff\xfe", "\"\\udcff\\udcfe\"");
    goes_round("a\xc3", "\"a\\udcc3\"");
    goes_round("\\udcff", "\"\\\\udcff\"");
    goes_round("\\\xff\"", "\"\\\\\\udcff\\\"\"");
    goes_round("\x1b[31m\x7f\xc2\x9b\xe2\x80\xae", "\"\\u001b[31m\\u007f\\u009b\\u202e\"");
    for (int i = 1; i < 256; i++)
        every[i - 1] = (char)i;
    every[255] = '\0';
    cJSON *item = cJSON_CreateString(every);
    char *printed = json_print(item, 1);
    cJSON *back = json_parse(NULL, printed ? printed : "");
    CHECK(printed && is_utf8(printed) && back && !strcmp(back->valuestring, every));
    cJSON_Delete(back);
    cJSON_Delete(item);
    free(printed);
    snprintf(name, sizeof name, "%s", "\xf0\x9f\x90\x84");
    back = json_parse(NULL, "\"\\ud83d\\udc04\""); /* a pair is one character, no byte */
    CHECK(back && !strcmp(back->valuestring, name));
    cJSON_Delete(back);
}

static void numbers(void)
{
    size_t wrong = 0;
    cJSON *json = json_parse(NULL, "{\"a\": 9007199254740993, \"b\": -12345678901234567890, "
                             "\"c\": 0.12345678901234567890, \"d\": 1e22, \"e\": [1, 2, 3], "
                             "\"f\": \"1234567890123456789\", \"g\": 123456789012345}");
    CHECK(json != NULL);
    const char *a = cJSON_GetStringValue(cJSON_GetObjectItem(json, "a"));
    const char *b = cJSON_GetStringValue(cJSON_GetObjectItem(json, "b"));
    const char *f = cJSON_GetStringValue(cJSON_GetObjectItem(json, "f"));
    CHECK(a && !strcmp(a, "9007199254740993") && b && !strcmp(b, "-12345678901234567890"));
    CHECK(f && !strcmp(f, "1234567890123456789"));
    CHECK(cJSON_GetObjectItem(json, "c")->valuedouble == 0.12345678901234567890);
    CHECK(cJSON_GetObjectItem(json, "d")->valuedouble == 1e22);
    CHECK(cJSON_GetObjectItem(json, "g")->valuedouble == 123456789012345.0);
    cJSON_Delete(json);
    CHECK(!json_parse(&wrong, "{\"a\": 12345678901234567, \"\\udcff\": x}"));
    CHECK_MSG(wrong == 35, "byte %zu", wrong);
    CHECK(!json_parse(&wrong, "") && !json_parse(&wrong, "\"\\") && !json_parse(&wrong, "\"\\ud"));
    CHECK(!json_parse(&wrong, "\"\\udc8\"") && !json_parse(NULL, "-"));
}

/* JSON has no word for what is not finite. */
static void doubles(void)
{
    static const struct {
        double value;
        const char *written;
    } cases[] = { { 0.5, "0.50" }, { -2, "-2.00" }, { NAN, "null" }, { INFINITY, "null" },
                  { -INFINITY, "null" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char put[64] = "";
        FILE *file = fmemopen(put, sizeof put, "w");
        json_put_number(file, "%.2f", cases[i].value);
        fclose(file);
        CHECK_MSG(!strcmp(put, cases[i].written), "%s", put);
    }
}

int main(void)
{
    characters();
    texts();
    numbers();
    doubles();
    return check_summary("text");
}
