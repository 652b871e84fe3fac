/* test_safetensors.c: a file of ours comes back as it was written, and is refused after any one
 * flipped bit, at any other length, and with every kind of wrong header. */
#define _GNU_SOURCE /* files.h */
#include "engine/run/saved/safetensors.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "tests/check.h"
#include "tests/files.h"

/* 1 when the file was refused with a sentence that names it. */
static int refused(const char *name)
{
    struct st_file *file = NULL;
    int rc = safetensors_open(&file, at(name));
    safetensors_close(&file);
    return rc == MOCO_EFORMAT && strstr(error_text(), at(name));
}

static const float floats[6] = { 1.5f, -2, 3, 0, 1e-30f, 7 };
static const int64_t number = -5;
static const float odd[3] = { 1, 2, 3 };

static void write_sample(void)
{
    const struct st_tensor tensors[] = {
        { "a.weight", ST_F32, 2, { 2, 3 }, floats },
        { "odd \"name\"", ST_F32, 1, { 3 }, odd },
        { "count", ST_I64, 0, { 0 }, &number },
        { "empty", ST_F32, 2, { 0, 4 }, NULL },
    };
    const struct st_meta meta[] = { { "format", "pt" }, { "recipe", "{\"lr\":0.06}" } };
    CHECK_MSG(safetensors_write(at("sample"), tensors, 4, meta, 2) == MOCO_OK, "%s", error_text());
}

static void test_round_trip(void)
{
    struct st_file *file = NULL;
    write_sample();
    CHECK_MSG(safetensors_open(&file, at("sample")) == MOCO_OK, "%s", error_text());
    if (!file)
        return;
    const struct st_tensor *a = safetensors_find(file, "a.weight");
    const struct st_tensor *count = safetensors_find(file, "count");
    CHECK(safetensors_count(file) == 4);
    CHECK(a && a->type == ST_F32 && a->rank == 2 && a->shape[0] == 2 && a->shape[1] == 3);
    CHECK(a && !memcmp(a->data, floats, sizeof floats) && (size_t)a->data % 8 == 0);
    CHECK(count && count->rank == 0 && !memcmp(count->data, &number, sizeof number));
    CHECK(safetensors_find(file, "odd \"name\"") == safetensors_at(file, 1));
    CHECK(!safetensors_find(file, "b") && !safetensors_meta(file, "b"));
    CHECK(!strcmp(safetensors_meta(file, "recipe"), "{\"lr\":0.06}"));
    safetensors_close(&file);
    safetensors_close(&file);
}

static void test_damage(void)
{
    unsigned char *bytes;
    write_sample();
    size_t size = get(&bytes, "sample");
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 9; bit++) {
            unsigned char mask = bit < 8 ? (unsigned char)(1 << bit) : 0xff;
            bytes[i] ^= mask;
            put("damaged", bytes, size);
            CHECK_MSG(refused("damaged"), "byte %zu ^ %d: accepted", i, mask);
            bytes[i] ^= mask;
        }
    for (size_t length = 0; length < size; length++) {
        put("damaged", bytes, length);
        CHECK_MSG(refused("damaged"), "%zu of %zu bytes: accepted", length, size);
    }
    put("damaged", bytes, size + 1);
    CHECK(refused("damaged"));
    free(bytes);
}

/* A foreign file of this header and `data` bytes of data. */
static void put_foreign(const char *header, size_t data)
{
    unsigned char bytes[1024] = { 0 };
    bytes[0] = (unsigned char)strlen(header);
    bytes[1] = (unsigned char)(strlen(header) >> 8);
    memcpy(bytes + 8, header, strlen(header));
    put("foreign", bytes, 8 + strlen(header) + data);
}

#define T(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_headers(void)
{
    static const struct {
        const char *header;
        size_t data;
        const char *word; /* of the sentence */
    } bad[] = {
        { "[]", 0, "JSON" },
        { "{", 0, "JSON" },
        { "{} x", 0, "JSON" },
        { "{" T("a", "F33", "[1]", "[0,4]") "}", 4, "F33" },
        { "{" T("a", "F32", "[2]", "[0,4]") "}", 4, "shape" },
        { "{" T("a", "F32", "[-1]", "[0,4]") "}", 4, "size" },
        { "{" T("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "size" },
        { "{" T("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", 4, "dimensions" },
        { "{" T("a", "F32", "[1]", "[4,0]") "}", 4, "lies" },
        { "{" T("a", "F32", "[1]", "[0,4]") "}", 3, "lies" },
        { "{" T("a", "F32", "[1]", "[0,4]") "}", 5, "end at" },
        { "{" T("a", "F32", "[1]", "[0]") "}", 4, "data_offsets" },
        { "{" T("a", "F32", "[1]", "[4,8]") "}", 8, "gap" },
        { "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "U8", "[4]", "[2,6]") "}", 6, "overlap" },
        { "{" T("a", "U8", "[1]", "[0,1]") "," T("a", "U8", "[1]", "[1,2]") "}", 2, "twice" },
        { "{\"a\":3}", 0, "dtype" },
        { "{\"__metadata__\":{\"a\":1}}", 0, "metadata" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_foreign(bad[i].header, bad[i].data);
        CHECK_MSG(refused("foreign"), "%s", bad[i].header);
        CHECK_MSG(strstr(error_text(), bad[i].word), "%s: %s", bad[i].header, error_text());
    }
    put_foreign("{" T("b", "U8", "[2]", "[4,6]") "," T("a", "F32", "[1]", "[0,4]") "}  ", 6);
    CHECK_MSG(!refused("foreign"), "%s", error_text());
    put("model.pth", "PK\3\4\0\0\0\0\0\0archive/data.pkl", 26);
    CHECK(refused("model.pth") && strstr(error_text(), "save_file"));
    CHECK(!refused("none") && strstr(error_text(), at("none")));
}

/* Writing leaves its file and no temporary one. */
static void test_temporary(void)
{
    DIR *folder = opendir(files_dir);
    int entries = 0;
    write_sample();
    for (struct dirent *e; folder && (e = readdir(folder)) != NULL;)
        entries += e->d_name[0] != '.';
    CHECK_MSG(folder && entries == 1, "%d files", entries);
    if (folder)
        closedir(folder);
}

int main(void)
{
    if (files_begin())
        return 1;
    test_round_trip();
    test_temporary();
    test_damage();
    test_headers();
    files_end();
    return check_summary("safetensors");
}
