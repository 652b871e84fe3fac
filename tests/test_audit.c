/* test_audit.c: data sets in which what is wrong is known: each finding once and no other, the same
 * statistics as training takes, for any number of threads. */
#define _GNU_SOURCE
#include <omp.h>
#include <stdint.h>
#include <zlib.h>

#include "engine/data/audit.h"
#include "tests/files.h"

/* ---- files ---- */

static void put_grey(const char *name, int height, int width, int start, int step)
{
    unsigned char bytes[8192];
    size_t size = (size_t)snprintf((char *)bytes, 64, "P5\n%d %d\n255\n", width, height);
    for (int i = 0; i < height * width; i++)
        bytes[size + (size_t)i] = (unsigned char)(start + step * i);
    put(name, bytes, size + (size_t)(height * width));
}

/* The same image in three channels. */
static void put_colour(const char *name, int height, int width, int start, int step)
{
    unsigned char bytes[8192];
    size_t size = (size_t)snprintf((char *)bytes, 64, "P6\n%d %d\n255\n", width, height);
    for (int i = 0; i < 3 * height * width; i++)
        bytes[size + (size_t)i] = (unsigned char)(start + step * (i / 3));
    put(name, bytes, size + (size_t)(3 * height * width));
}

static size_t chunk(unsigned char *out, const char *type, const void *data, size_t size)
{
    uint32_t sum = (uint32_t)crc32(crc32(0, (const unsigned char *)type, 4), data, (uInt)size);
    for (size_t i = 0; i < 4; i++) {
        out[i] = (unsigned char)(size >> (24 - 8 * i));
        out[4 + i] = (unsigned char)type[i];
        out[8 + size + i] = (unsigned char)(sum >> (24 - 8 * i));
    }
    memcpy(out + 8, data, size);
    return 12 + size;
}

/* A grey PNG of 8 x 8; of two frames, if `animated`. */
static size_t make_png(unsigned char *out, int seed, int animated)
{
    unsigned char rows[8 * 9], packed[200];
    uLongf length = sizeof packed;
    size_t size = 8;
    memcpy(out, "\x89PNG\r\n\x1a\n", 8);
    for (int i = 0; i < 72; i++)
        rows[i] = (unsigned char)(i % 9 ? seed + 3 * i : 0);
    CHECK(compress(packed, &length, rows, sizeof rows) == Z_OK);
    size += chunk(out + size, "IHDR", "\0\0\0\10\0\0\0\10\10\0\0\0\0", 13);
    if (animated)
        size += chunk(out + size, "acTL", "\0\0\0\2\0\0\0\0", 8);
    size += chunk(out + size, "IDAT", packed, length);
    return size + chunk(out + size, "IEND", "", 0);
}

/* ---- a folder with everything ---- */

static void make_folder(void)
{
    unsigned char png[400];
    char name[40];
    static const char *const dirs[] = { "set", "set/a", "set/b", "set/c" };
    for (int i = 0; i < 4; i++)
        mkdir(at(dirs[i]), 0777);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "set/%c/%02d.pgm", "abc"[i % 3], i);
        put_grey(name, 8, 8, 7 * i, 1 + i);
    }
    put_grey("set/a/again.pgm", 8, 8, 7 * 3, 4); /* a/03.pgm */
    put_grey("set/c/again.pgm", 8, 8, 7 * 4, 5); /* b/04.pgm */
    put_grey("set/b/flat.pgm", 8, 8, 9, 0);
    put_grey("set/b/long.pgm", 8, 9, 50, 3);
    put("set/a/short.pgm", "P5\n8 8\n255\nabc", 14);
    put("set/a/text.jpg", "no image", 8);
    put("set/b/empty.png", "", 0);
    size_t size = make_png(png, 100, 0);
    put("set/b/whole.png", png, size);
    png[size - 20] ^= 1; /* in IDAT */
    put("set/c/sum.png", png, size);
    make_png(png, 100, 0);
    put("set/c/tail.png", png, size - 14);
    put("set/c/moves.png", png, make_png(png, 130, 1));
    put_grey("set/loose.pgm", 8, 8, 90, 5);
}

static const struct {
    enum audit_kind kind;
    const char *name, *other, *part;
} expected[] = {
    { AUDIT_UNREADABLE, "a/text.jpg", NULL, "starts like no" },
    { AUDIT_TRUNCATED, "a/short.pgm", NULL, "cut off" },
    { AUDIT_TRUNCATED, "b/empty.png", NULL, "empty" },
    { AUDIT_TRUNCATED, "c/tail.png", NULL, "cut off" },
    { AUDIT_DAMAGED, "c/sum.png", NULL, "checksum" },
    { AUDIT_CONSTANT, "b/flat.pgm", NULL, NULL },
    { AUDIT_DUPLICATE, "a/again.pgm", "a/03.pgm", NULL },
    { AUDIT_DUPLICATE, "c/again.pgm", "b/04.pgm", NULL },
    { AUDIT_RELABELLED, "c/again.pgm", "b/04.pgm", NULL },
    { AUDIT_ODD_SIZE, "b/long.pgm", NULL, NULL },
    { AUDIT_ANIMATED, "c/moves.png", NULL, NULL },
    { AUDIT_UNLABELLED, "loose.pgm", NULL, NULL },
};

enum { EXPECTED = sizeof expected / sizeof *expected };

static void compare_finding(const struct audit *audit, size_t i)
{
    const struct source *source = audit->source;
    const struct finding *f = &audit->findings[i];
    const char *name = source->name(source, f->image), *other = source->name(source, f->other);
    CHECK_MSG(f->kind == expected[i].kind && !strcmp(name, expected[i].name),
              "finding %zu: %d of %s", i, f->kind, name);
    CHECK_MSG(!expected[i].other || !strcmp(other, expected[i].other), "%s = %s", name, other);
    CHECK_MSG(!expected[i].part == !f->sentence, "%s: %s", name, f->sentence ? "said" : "unsaid");
    CHECK_MSG(!f->sentence || strstr(f->sentence, expected[i].part), "%s", f->sentence);
}

static void test_folder(void)
{
    struct source *source = NULL;
    struct audit audit;
    make_folder();
    source = must_open(spec_of("folder", "set", "")); /* and its note says so */
    CHECK(source && source->count == 24 && strstr(source->note, "files can not be read"));
    source_close(&source);
    CHECK_MSG(!source_open_lenient(&source, spec_of("folder", "set", "")), "%s", error_text());
    CHECK_MSG(source && !audit_open(&audit, source, NULL, NULL), "%s", error_text());
    CHECK(audit.found == EXPECTED && source->count == 24 && audit.read == 19);
    for (size_t i = 0; i < EXPECTED && i < audit.found; i++)
        compare_finding(&audit, i);
    size_t seen[AUDIT_KINDS] = { 0 };
    for (size_t i = 0; i < EXPECTED; i++)
        seen[expected[i].kind]++;
    CHECK(!memcmp(seen, audit.seen, sizeof seen));
    CHECK(audit.class_counts[0] == 7 && audit.class_counts[1] == 8 && audit.class_counts[2] == 8);
    CHECK(audit.smallest[0] == 8 && audit.smallest[1] == 8 && audit.largest[1] == 9);
    audit_close(&audit);
    source_close(&source);
}

/* ---- arrays ---- */

static void test_numbers(void)
{
    static const float pixels[6][4] = { { 1, 2, 3, 4 }, { NAN, 1, 2, 3 }, { 5, 5, 5, 5 },
                                        { 4, 3, 2, 1 }, { 0, INFINITY, 0, 0 }, { 7, 6, -5, 4 } };
    static const int64_t labels[6] = { 0, 3, -1, 0, 3, 1 };
    static const enum audit_kind kinds[] = { AUDIT_NOT_FINITE, AUDIT_NOT_FINITE, AUDIT_CONSTANT,
                                             AUDIT_UNLABELLED, AUDIT_EMPTY_CLASS };
    static const size_t images[] = { 1, 4, 2, 2, 2 };
    char spec[2400];
    struct audit audit;
    put_npy("x.npy", "<f4", "6, 1, 2, 2", pixels, sizeof pixels);
    put_npy("y.npy", "<i8", "6,", labels, sizeof labels);
    snprintf(spec, sizeof spec, "npy:%s,%s", at("x.npy"), at("y.npy"));
    struct source *source = must_open(spec);
    CHECK(source && !audit_open(&audit, source, NULL, NULL));
    CHECK(audit.found == 5 && audit.read == 6);
    for (size_t i = 0; i < 5 && i < audit.found; i++)
        CHECK_MSG(audit.findings[i].kind == kinds[i] && audit.findings[i].image == images[i],
                  "finding %zu: %d of %zu", i, audit.findings[i].kind, audit.findings[i].image);
    /* of images 0, 2, 3, 5: sum 52, squares 30 + 100 + 30 + 126 */
    CHECK(audit.mean[0] == 3.25 && audit.low[0] == -5 && audit.high[0] == 7);
    CHECK(fabs(audit.std[0] - sqrt(286 / 16.0 - 3.25 * 3.25)) < 1e-12);
    audit_close(&audit);
    source_close(&source);
}

static void test_statistics(void)
{
    float mean[3], std[3];
    double kept[12];
    struct audit audit;
    struct source *source = must_open("synthetic:n=300,side=9");
    int threads = omp_get_max_threads();
    CHECK(source && !source_statistics(source, mean, std, 300));
    for (int team = 1; source && team <= 4; team++) {
        omp_set_num_threads(team);
        CHECK(!audit_open(&audit, source, NULL, NULL));
        for (int c = 0; c < 3; c++)
            CHECK(fabs(audit.mean[c] - (double)mean[c]) < 1e-6 &&
                  fabs(audit.std[c] - (double)std[c]) < 1e-6);
        if (team == 1)
            memcpy(kept, audit.mean, sizeof kept);
        CHECK(!memcmp(kept, audit.mean, sizeof kept) && audit.found == 0);
        audit_close(&audit);
    }
    omp_set_num_threads(threads);
    source_close(&source);
}

/* ---- sizes ---- */

static void test_sizes(void)
{
    static const int sizes[][2] = { { 40, 50 }, { 45, 40 }, { 50, 60 }, { 38, 42 }, { 60, 44 },
                                    { 9, 20 },  { 11, 12 }, { 10, 31 }, { 45, 70 }, { 41, 46 } };
    char name[40];
    struct audit audit;
    mkdir(at("sizes"), 0777);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "sizes/%d.pgm", i);
        put_grey(name, sizes[i][0], sizes[i][1], i, 3 + i);
    }
    struct source *source = must_open(at("sizes"));
    /* The median of the shorter sides is 40: 9 is below a quarter; 10 x 31 is too long. */
    CHECK(source && !audit_open(&audit, source, NULL, NULL));
    CHECK(audit.found == 2 && audit.findings[0].image == 5 && audit.findings[1].image == 7);
    CHECK(audit.findings[0].kind == AUDIT_ODD_SIZE && audit.seen[AUDIT_ODD_SIZE] == 2);
    CHECK(audit.smallest[0] == 11 && audit.smallest[1] == 12 && audit.largest[0] == 45 &&
          audit.largest[1] == 70 && audit.median[0] == 41 && audit.median[1] == 44);
    audit_close(&audit);
    source_close(&source);
}

/* ---- two sets ---- */

static void test_leaks(void)
{
    static const char *const dirs[] = { "one", "one/cat", "one/dog", "two", "two/cat", "two/eel" };
    struct audit a, b;
    struct leak *leaks = NULL;
    size_t n = 0;
    for (int i = 0; i < 6; i++)
        mkdir(at(dirs[i]), 0777);
    put_grey("one/cat/0.pgm", 4, 4, 1, 2);
    put_grey("one/cat/1.pgm", 4, 4, 1, 3);
    put_grey("one/dog/2.pgm", 4, 4, 1, 4);
    put_grey("one/dog/3.pgm", 2, 8, 1, 2); /* the numbers of 0 in another shape */
    put_colour("two/cat/x.ppm", 4, 4, 1, 4);  /* 2 in three channels */
    put_colour("two/cat/y.ppm", 4, 4, 200, 1);
    put_grey("two/eel/z.pgm", 4, 4, 1, 2); /* 0 */
    put_grey("two/eel/zz.pgm", 4, 4, 1, 2);
    struct source *one = must_open(at("one")), *two = must_open(at("two"));
    if (!one || !two)
        return;
    CHECK(!audit_open(&a, one, NULL, NULL) && !audit_open(&b, two, NULL, NULL));
    CHECK(a.seen[AUDIT_DUPLICATE] == 0 && b.seen[AUDIT_DUPLICATE] == 1);
    CHECK(!audit_leaks(&leaks, &n, &a, &b) && n == 3);
    static const struct leak want[] = { { 0, 2 }, { 2, 0 }, { 3, 0 } };
    CHECK(n == 3 && !memcmp(leaks, want, sizeof want));
    free(leaks);
    CHECK(!audit_leaks(&leaks, &n, &a, &a) && n == 4);
    free(leaks);
    CHECK(!audit_untrained(&a, &b, NULL, 0) && !audit_untrained(&a, &b, NULL, 1));
    a.class_counts[1] = 0; /* as if no dog could be read */
    CHECK(audit_untrained(&a, &b, NULL, 1) && !audit_untrained(&b, &a, NULL, 1));
    CHECK(audit_names_differ(one, two) == 1 && audit_names_differ(one, one) == -1);
    audit_close(&a);
    audit_close(&b);
    source_close(&one);
    source_close(&two);
}

static void test_nothing_readable(void)
{
    struct source *source = NULL;
    struct audit audit;
    mkdir(at("bad"), 0777);
    put("bad/0.png", "nothing", 7);
    CHECK(!source_open_lenient(&source, spec_of("folder", "bad", "")));
    CHECK(source && !audit_open(&audit, source, NULL, NULL));
    CHECK(audit.found == 1 && audit.read == 0 && isnan(audit.mean[0]) && isnan(audit.low[0]));
    audit_close(&audit);
    source_close(&source);
    CHECK(source_open_lenient(&source, spec_of("folder", "none", "")) != MOCO_OK && !source);
}

int main(void)
{
    if (files_begin())
        return 1;
    test_folder();
    test_numbers();
    test_statistics();
    test_sizes();
    test_leaks();
    test_nothing_readable();
    files_end();
    return check_summary("audit");
}
