/* damage.c: every truncation and every changed byte is noticed, and values that cannot be are
 * refused although their checksums are right. */
#include "tests/pack/pack.h"

#include <stdint.h>
#include <zlib.h>

#include "engine/data/format/raw.h"

static void test_truncations(void)
{
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack");
    for (size_t n = 0; n < size; n += n < 400 ? 1 : 13) {
        put("cut.pack", bytes, n);
        must_refuse(spec_of("packed", "cut.pack", ""), n < 8 ? "does not start" : "truncated");
    }
    put("cut.pack", bytes, size);
    FILE *file = fopen(at("cut.pack"), "ab");
    CHECK(file && fputc(0, file) == 0);
    fclose(file);
    must_refuse(spec_of("packed", "cut.pack", ""), "goes on behind");
    free(bytes);
}

/* Reads all; *open: it could be opened. The number of images that were refused. */
static size_t refused(const char *name, int *opened)
{
    struct source *source = NULL;
    struct image image = { 0 };
    size_t bad = 0;
    *opened = source_open(&source, spec_of("packed", name, "")) == MOCO_OK;
    for (size_t i = 0; *opened && i < source->count; i++)
        for (int twice = 0; twice < 2; twice++) {
            int rc = source->read(source, i, &image);
            CHECK(rc == MOCO_OK || (rc == MOCO_EDAMAGED && strstr(error_text(), "checksum")));
            bad += rc != MOCO_OK;
        }
    image_close(&image);
    source_close(&source);
    return bad / 2;
}

/* Every byte of header, index and texts; of images every 7th. Gaps between images mean nothing. */
static void test_changes(void)
{
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack"), index = raw_get(bytes + 32, 8), found = 0;
    for (size_t i = 0; i < size; i += i >= PACK_HEADER && i < index ? 7 : 1) {
        int opened;
        bytes[i] ^= 16;
        put("bad.pack", bytes, size);
        size_t bad = refused("bad.pack", &opened);
        bytes[i] ^= 16;
        if (i < PACK_HEADER || i >= index)
            CHECK_MSG(!opened, "byte %zu of %zu was changed", i, size);
        else
            CHECK_MSG(opened && bad <= 1, "byte %zu: %zu images", i, bad);
        found += bad;
    }
    CHECK_MSG(found > (index - PACK_HEADER) / 14, "%zu changes were found", found);
    free(bytes);
}

/* Puts the checksums of header and tables right. */
static void mend(unsigned char *bytes)
{
    uint64_t index = raw_get(bytes + 32, 8), texts = raw_get(bytes + 40, 8);
    uLong sum = crc32_z(0, bytes + index, raw_get(bytes + 24, 8) * PACK_ENTRY);
    raw_put(bytes + 56, crc32_z(sum, bytes + texts, raw_get(bytes + 48, 8)), 4);
    raw_put(bytes + 12, 0, 4);
    raw_put(bytes + 12, crc32_z(0, bytes, PACK_HEADER), 4);
}

static void test_values(void)
{
    static const struct {
        int entry; /* of the index; -1: the header */
        size_t at, size;
        uint64_t value;
        const char *part;
    } rows[] = {
        { 1, 0, 8, 64, "entry 1" },              { 1, 0, 8, UINT64_MAX - 8, "entry 1" },
        { 4, 0, 8, 1 << 20, "entry 4" },         { 0, 8, 4, 0, "entry 0" },
        { 0, 8, 4, UINT32_MAX, "entry 0" },      { 3, 12, 4, 1 << 20, "entry 3" },
        { 0, 12, 4, 0x7fffffff, "entry 0" },     { 2, 16, 4, 2, "entry 2" },
        { 2, 16, 4, UINT32_MAX - 1, "entry 2" }, { 1, 24, 4, 5000, "entry 1" },
        { 1, 28, 4, 6, "entry 1" },              { -1, 8, 4, 3, "version 3" },
        { -1, 60, 4, 0, "channels" },            { -1, 60, 4, UINT32_MAX, "channels" },
        { -1, 60, 4, 4, "entry" },               { -1, 64, 4, 6, "channels" },
        { -1, 68, 4, 1, "entry" },               { -1, 68, 4, 1 << 21, "channels" },
        { -1, 72, 4, 1, "names" },               { -1, 72, 4, UINT32_MAX, "names" },
        { -1, 80, 4, 0, "of a sample" },         { -1, 80, 4, 2, "of a sample" },
        { -1, 80, 4, UINT32_MAX, "of a sample" },
    };
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack"), index = raw_get(bytes + 32, 8);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t place = rows[i].entry < 0 ? 0 : index + (size_t)rows[i].entry * PACK_ENTRY;
        unsigned char *field = bytes + place + rows[i].at;
        uint64_t kept = raw_get(field, rows[i].size);
        raw_put(field, rows[i].value, rows[i].size);
        mend(bytes);
        put("bad.pack", bytes, size);
        must_refuse(spec_of("packed", "bad.pack", ""), rows[i].part);
        raw_put(field, kept, rows[i].size);
    }
    mend(bytes);
    put("bad.pack", bytes, size);
    same_set(spec_of("folder", "set", ""), "bad.pack");
    free(bytes);
}

/* Places of tables, where mend() would read outside. */
static void test_tables(void)
{
    static const struct {
        size_t at;
        uint64_t value;
    } rows[] = { { 24, 1 << 20 }, { 24, UINT64_MAX / 32 }, { 24, 0 }, { 32, UINT64_MAX - 10 },
                 { 40, 1 << 30 }, { 48, UINT64_MAX - 200 } };
    unsigned char *bytes;
    size_t size = get(&bytes, "set.pack");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t kept = raw_get(bytes + rows[i].at, 8);
        raw_put(bytes + rows[i].at, rows[i].value, 8);
        raw_put(bytes + 12, 0, 4);
        raw_put(bytes + 12, crc32_z(0, bytes, PACK_HEADER), 4);
        put("bad.pack", bytes, size);
        must_refuse(spec_of("packed", "bad.pack", ""), "the index");
        raw_put(bytes + rows[i].at, kept, 8);
    }
    free(bytes);
}

void test_damage(void)
{
    test_truncations();
    test_changes();
    test_values();
    test_tables();
}
