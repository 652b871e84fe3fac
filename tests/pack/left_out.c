/* left_out.c: images that cannot be read are left out, up to a share of them; a file that is not a
 * packed one is not written over, and nothing half-written stays. */
#include "tests/pack/pack.h"

/* "some": eight good images of two classes, a bad one before those of either. */
static void make_some(void)
{
    char name[32];
    mkdir(at("some"), 0777);
    mkdir(at("some/a"), 0777);
    mkdir(at("some/z"), 0777);
    put("some/a/0.png", "\x89PNG\r\n\x1a\n no png", 15);
    put("some/z/1.pgm", "P5\n3 3\n255\nabc", 14);
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "some/%c/%d.pgm", i < 4 ? 'a' : 'z', i + 2);
        put_pnm(name, 1, 4, 4, 255);
    }
}

static void test_share(void)
{
    CHECK(pack("some.pack", spec_of("folder", "some", ""), 0, 0.1) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "2 of the first 6 images") && strstr(error_text(), "0.png"),
              "%s", error_text());
    CHECK(!exists("some.pack") && !exists("some.pack.part"));
    CHECK(!pack("some.pack", spec_of("folder", "some", ""), 0, 0.2));
    CHECK(report.written == 8 && report.bad == 2 && strstr(report.sentence[1], "1.pgm"));
    struct source *source = must_open(spec_of("", "some.pack", ""));
    CHECK(source && source->count == 8 && source->classes == 2 && source_label(source, 7) == 1);
    CHECK(source && !strcmp(source->name(source, 4), "z/6.pgm"));
    source_close(&source);
}

/* All images of the last class are bad: its name stays. */
static void test_empty_class(void)
{
    char name[32];
    for (int i = 4; i < 8; i++) {
        snprintf(name, sizeof name, "some/z/%d.pgm", i + 2);
        put(name, "P5", 2);
    }
    CHECK(!pack("some.pack", spec_of("folder", "some", ""), 0, 0.6));
    struct source *source = must_open(spec_of("", "some.pack", ""));
    CHECK(source && source->classes == 2 && !strcmp(source->class_names[1], "z"));
    source_close(&source);
}

static void test_none(void)
{
    mkdir(at("none"), 0777);
    put("none/0.pgm", "P5", 2);
    CHECK(pack("none.pack", spec_of("folder", "none", ""), 0, 1) == MOCO_EFORMAT);
    CHECK(strstr(error_text(), "no image can be read") && !exists("none.pack"));
}

#ifdef MOCO_FITS
/* A cube of `planes` 3 x 2 planes of bytes, cut off where `cut` says. */
static void put_cube(const char *name, int planes, int cut)
{
    char bytes[2 * 2880];
    memset(bytes, ' ', 2880);
    memset(bytes + 2880, 0, 2880);
    const char *cards[] = { "SIMPLE  =                    T", "BITPIX  =                    8",
                            "NAXIS   =                    3", "NAXIS1  =                    3",
                            "NAXIS2  =                    2", NULL, "END" };
    char last[40];
    snprintf(last, sizeof last, "NAXIS3  = %20d", planes);
    cards[5] = last;
    for (int i = 0; i < 7; i++)
        memcpy(bytes + 80 * i, cards[i], strlen(cards[i]));
    for (int i = 0; i < 6 * planes; i++)
        bytes[2880 + i] = (char)(7 * i + planes);
    put(name, bytes, cut ? 2880 : sizeof bytes);
}

/* "cubes": five files, of which one is cut off and one has a plane too few; "whole": the others. */
static void make_cubes(void)
{
    char name[32];
    mkdir(at("cubes"), 0777), mkdir(at("cubes/k"), 0777), mkdir(at("whole"), 0777);
    mkdir(at("whole/k"), 0777);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "cubes/k/%d.fits", i);
        put_cube(name, i == 3 ? 2 : 3, i == 1);
        snprintf(name, sizeof name, "whole/k/%d.fits", i);
        if (i != 1 && i != 3)
            put_cube(name, 3, 0);
    }
}

/* Of a sample with a bad image none is packed, the others stay together. */
static void test_views(void)
{
    make_cubes();
    CHECK(pack("views.pack", spec_of("fits", "cubes", ":pages=views"), 0, 0.3) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "2 of the first 4 samples") && strstr(error_text(), "of all 5"),
              "%s", error_text());
    CHECK_MSG(!pack("views.pack", spec_of("fits", "cubes", ":pages=views"), 0, 0.4), "%s",
              error_text());
    CHECK(report.written == 9 && report.bad == 2 && strstr(report.sentence[1], "3.fits has 2"));
    char whole[1200];
    snprintf(whole, sizeof whole, "%s", spec_of("fits", "whole", ":pages=views"));
    same_set(whole, "views.pack");
    struct source *source = must_open(spec_of("", "views.pack", ""));
    CHECK(source && source->views == 3 && source->count == 9);
    source_close(&source);
}
#else
static void test_views(void)
{
}
#endif

static void test_replacing(void)
{
    unsigned char *bytes = NULL;
    put("mine.txt", "precious", 8);
    mkdir(at("dir"), 0777);
    CHECK(pack("mine.txt", "synthetic:n=4", 0, 1) == MOCO_EIO);
    CHECK(strstr(error_text(), "no packed file") && get(&bytes, "mine.txt") == 8);
    CHECK(!memcmp(bytes, "precious", 8) && !exists("mine.txt.part"));
    free(bytes);
    CHECK(pack("dir", "synthetic:n=4", 0, 1) == MOCO_EIO);
    CHECK(pack("no/folder", "synthetic:n=4", 0, 1) == MOCO_EIO);
    must_pack("again.pack", "synthetic:n=4,side=8", 0);
    must_pack("again.pack", "synthetic:n=6,side=8", 0);
    same_set("synthetic:n=6,side=8", "again.pack");
    must_pack("again.pack", spec_of("packed", "again.pack", ""), 0); /* itself */
    same_set("synthetic:n=6,side=8", "again.pack");
    /* A failure leaves the older file. */
    CHECK(pack("again.pack", spec_of("folder", "none", ""), 0, 1) != MOCO_OK);
    same_set("synthetic:n=6,side=8", "again.pack");
}

void test_left_out(void)
{
    make_some();
    test_share();
    test_empty_class();
    test_none();
    test_views();
    test_replacing();
}
