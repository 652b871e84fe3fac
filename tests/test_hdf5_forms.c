/* test_hdf5_forms.c: HDF5 files as they come from elsewhere: one dataset an image, links within a
 * file and to others, MATLAB 7.3, filters that the library lacks, damaged chunks. */
#define _GNU_SOURCE
#include <stdint.h>

#include "tests/without.h"

#ifdef MOCO_HDF5
#define H5_USE_110_API
#include <hdf5.h>

enum { C = 3, H = 5, W = 6, PIXELS = H * W };

static hid_t make(const char *name, hsize_t block)
{
    hid_t plan = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(plan, block);
    hid_t file = H5Fcreate(at(name), H5F_ACC_TRUNC, plan, H5P_DEFAULT);
    H5Pclose(plan);
    CHECK_MSG(file >= 0, "creating %s", name);
    return file;
}

/* Number i is from + i. Groups on the way are made. */
static hid_t add(hid_t file, const char *name, hid_t type, int rank, const hsize_t *size,
                 double from)
{
    static double values[4096];
    hsize_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= size[i];
    for (hsize_t i = 0; i < n; i++)
        values[i] = from + (double)i;
    hid_t space = H5Screate_simple(rank, size, NULL), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    CHECK_MSG(set >= 0 &&
                  H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0,
              "writing %s", name);
    H5Pclose(links);
    H5Sclose(space);
    return set;
}

static void put_set(hid_t file, const char *name, hid_t type, int rank, const hsize_t *size,
                    double from)
{
    H5Dclose(add(file, name, type, rank, size, from));
}

static void same(const struct source *source, size_t index, double from, int channels)
{
    float want[C * PIXELS];
    for (int i = 0; i < channels * PIXELS; i++)
        want[i] = (float)from + (float)i;
    same_pixels(source, index, want, channels, H, W);
}

static size_t left(const struct source *source, const char *what)
{
    for (size_t i = 0; source && i < source->account.n; i++)
        if (strstr(source->account.rows[i].what, what))
            return source->account.rows[i].count;
    return 0;
}

/* ---- one dataset an image ---- */

/* In natural order, colours and grey; the numbers beside them are told. */
static void test_each(void)
{
    static const hsize_t colour[] = { C, H, W };
    for (int grey = 0; grey < 2; grey++) {
        char name[32];
        hid_t file = make("each.h5", 0);
        for (int i = 12; i > 0; i--) {
            snprintf(name, sizeof name, "cells/image%d", i);
            put_set(file, name, H5T_IEEE_F32LE, 3 - grey, colour + grey, 100 * i);
        }
        put_set(file, "cells/mean", H5T_IEEE_F32LE, 1, colour, 0);
        put_set(file, "other", H5T_IEEE_F32LE, 2, (hsize_t[]){ 2, 2 }, 0);
        H5Fclose(file);
        struct source *source = must_open(at("each.h5"));
        CHECK(source && source->count == 12 && source->channels == (grey ? 1 : C) &&
              !source->labels);
        CHECK(source && strstr(source->note, "each of 12 datasets is an image"));
        CHECK(left(source, "another shape") == 1 && left(source, "no images") == 1);
        for (size_t i = 0; i < 12; i++)
            same(source, i, 100 * (double)(i + 1), grey ? 1 : C);
        CHECK(source && !strcmp(source->name(source, 9), "cells/image10"));
        source_close(&source);
        must_refuse(spec_of("hdf5", "each.h5", ":/:views"), ":views needs one dataset");
    }
}

static void test_each_last(void)
{
    float want[C * PIXELS];
    hid_t file = make("last.h5", 0);
    for (int i = 0; i < 4; i++)
        put_set(file, (char[]){ (char)('a' + i), 0 }, H5T_IEEE_F32LE, 3, (hsize_t[]){ H, W, C },
                100 * i);
    H5Fclose(file);
    struct source *source = must_open(at("last.h5"));
    CHECK(source && source->channels == H && strstr(source->note, "channels are last, put :nhwc"));
    source_close(&source);
    source = must_open(spec_of("hdf5", "last.h5", ":nhwc"));
    CHECK(source && !strstr(source->note, ":nhwc") && source->count == 4 &&
          source->channels == C && source->height == H);
    for (int i = 0; i < C * PIXELS; i++)
        want[i] = (float)(300 + i % PIXELS * C + i / PIXELS);
    same_pixels(source, 3, want, C, H, W);
    source_close(&source);
}

/* Groups are classes, wherever they begin; a group a sample is none. */
static void test_each_classes(void)
{
    static const char *const names[] = { "data/cat/10", "data/dog/1", "data/cat/2",
                                         "data/dog/deep/3", "data/ape/1" };
    hid_t file = make("classes.h5", 0);
    for (int i = 0; i < 5; i++)
        put_set(file, names[i], H5T_IEEE_F32LE, 2, (hsize_t[]){ H, W }, 100 * i);
    H5Fclose(file);
    struct source *source = must_open(at("classes.h5"));
    CHECK(source && source->count == 5 && source->classes == 3 &&
          !strcmp(source->class_names[1], "cat"));
    CHECK(source && source_label(source, 0) == 0 && source_label(source, 2) == 1 &&
          source_label(source, 4) == 2);
    same(source, 1, 200, 1);
    same(source, 2, 0, 1);
    source_close(&source);
    source = must_open(spec_of("hdf5", "classes.h5", ":data/cat"));
    CHECK(source && source->count == 2 && !source->labels);
    source_close(&source);
    file = make("samples.h5", 0);
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%d/image", 3 * i);
        put_set(file, name, H5T_IEEE_F32LE, 2, (hsize_t[]){ H, W }, 100 * i);
    }
    put_set(file, "labels", H5T_IEEE_F64LE, 2, (hsize_t[]){ 1, 4 }, 0);
    H5Fclose(file);
    source = must_open(at("samples.h5"));
    CHECK(source && source->count == 4 && source->classes == 4 && !source->class_names);
    CHECK(source && source_label(source, 3) == 3 && strstr(source->note, "labels"));
    source_close(&source);
}

/* Two or three may be sets of images; then one has to say so. Sizes may differ then. */
static void test_each_named(void)
{
    hid_t file = make("few.h5", 0);
    for (int i = 0; i < 3; i++)
        put_set(file, (char[]){ (char)('a' + i), 0 }, H5T_IEEE_F32LE, 3,
                (hsize_t[]){ C, H + (hsize_t)i, W }, 100 * i);
    put_set(file, "alpha", H5T_IEEE_F32LE, 2, (hsize_t[]){ H, W }, 0);
    H5Fclose(file);
    must_refuse(at("few.h5"), "name their group, / for all");
    struct source *source = must_open(spec_of("hdf5", "few.h5", ":/"));
    CHECK(source && source->count == 3 && source->height == 0 && source->width == W);
    CHECK(left(source, "another shape") == 1);
    same(source, 0, 0, C);
    source_close(&source);
    file = make("sets.h5", 0);
    for (int i = 0; i < 4; i++)
        put_set(file, (char[]){ (char)('a' + i), 0 }, H5T_STD_U8LE, 3, (hsize_t[]){ 100, 2, 2 }, 0);
    put_set(file, "g/t", H5T_STD_U8LE, 1, (hsize_t[]){ 100 }, 0);
    H5Fclose(file);
    must_refuse(at("sets.h5"), "which of a, b, c, d are the images");
    must_refuse(spec_of("hdf5", "sets.h5", ":g"), "holds no dataset of 2 or 3 dimensions");
}

/* Colours of different sizes are images, one by one; grey ones might be tables. */
static void test_each_sizes(void)
{
    for (int grey = 0; grey < 2; grey++) {
        hid_t file = make("sizes.h5", 0);
        for (int i = 0; i < 9; i++) {
            const hsize_t size[] = { C, H + (hsize_t)(i % 3), W };
            put_set(file, (char[]){ (char)('a' + i), 0 }, H5T_IEEE_F32LE, 3 - grey, size + grey, 0);
        }
        H5Fclose(file);
        if (grey)
            must_refuse(at("sizes.h5"), "name their group, / for all");
        struct source *source = must_open(spec_of("hdf5", "sizes.h5", grey ? ":/" : ""));
        CHECK(source && source->count == 9 && !source->account.n && source->height == 0);
        source_close(&source);
    }
}

/* ---- links ---- */

static void test_links(void)
{
    hid_t file = make("store.h5", 0);
    put_set(file, "x", H5T_IEEE_F32LE, 3, (hsize_t[]){ 2, H, W }, 7);
    put_set(file, "deep/y", H5T_STD_I32LE, 1, (hsize_t[]){ 2 }, 1);
    H5Fclose(file);
    mkdir(at("sub"), 0777);
    file = make("sub/links.h5", 0);
    H5Lcreate_external("../store.h5", "/x", file, "images", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("../store.h5", "/deep", file, "more", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/images", file, "alias", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/", file, "loop", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    static const char *const rests[] = { ":images,more/y", ":alias", "" };
    for (int i = 0; i < 2; i++) {
        struct source *source = must_open(spec_of("hdf5", "sub/links.h5", rests[i]));
        CHECK(source && source->count == 2 && (i || source_label(source, 1) == 2));
        same(source, 1, 7 + PIXELS, 1);
        source_close(&source);
    }
}

/* The same under another name is one array; what leads nowhere is named. */
static void test_lost_links(void)
{
    hid_t file = make("soft.h5", 0);
    put_set(file, "a/x", H5T_IEEE_F32LE, 3, (hsize_t[]){ 2, H, W }, 7);
    H5Lcreate_soft("/a/x", file, "alias", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/a", file, "b", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "a/x", file, "hard", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/gone", file, "lost", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    struct source *source = must_open(at("soft.h5"));
    CHECK(source && source->count == 2 && left(source, "links that lead to nothing") == 1);
    same(source, 0, 7, 1);
    source_close(&source);
    must_refuse(spec_of("hdf5", "soft.h5", ":lost"), "lost leads to /gone, which");
    file = make("away.h5", 0);
    H5Lcreate_external("no.h5", "/x", file, "images", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    must_refuse(at("away.h5"), "images leads to /x of the file no.h5, which is not there");
}

/* ---- MATLAB ---- */

static void say(hid_t set, const char *attribute, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text));
    hid_t at_set = H5Acreate2(set, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT);
    CHECK(H5Awrite(at_set, type, text) >= 0);
    H5Aclose(at_set), H5Sclose(space), H5Tclose(type);
}

static void matlab(hid_t file, const char *name, const char *class, hid_t type, int rank,
                   const hsize_t *size, double from)
{
    hid_t set = add(file, name, type, rank, size, from);
    say(set, "MATLAB_class", class);
    H5Dclose(set);
}

/* Image i of MATLAB's H x W x C x N from numbers that count up in the file. */
static void wanted(float *want, int step, int i, int steps)
{
    for (int c = 0; c < C; c++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                want[c * PIXELS + y * W + x] =
                    (float)(i * step + ((c * W + x) * H + y) * steps);
}

static void test_matlab(void)
{
    static const hsize_t last[] = { 6, C, W, H }, first[] = { C, W, H, 6 }, row[] = { 1, 6 };
    float want[C * PIXELS];
    for (hsize_t block = 512; block <= 2048; block *= 4) {
        hid_t file = make("set.mat", block);
        matlab(file, "images", "single", H5T_IEEE_F32LE, 4, last, 0);
        matlab(file, "labels", "double", H5T_IEEE_F64LE, 2, row, 1);
        matlab(file, "#refs#/a", "single", H5T_IEEE_F32LE, 4, last, 0);
        H5Fclose(file);
        struct source *source = must_open(at("set.mat"));
        CHECK(source && !strcmp(source->kind, "hdf5") && source->count == 6 &&
              source->channels == C && source->height == H && source->width == W);
        CHECK(source && source->classes == 7 && source_label(source, 0) == 1);
        for (int i = 0; i < 6; i++) {
            wanted(want, C * PIXELS, i, 1);
            same_pixels(source, (size_t)i, want, C, H, W);
        }
        source_close(&source);
    }
    hid_t file = make("first.mat", 512);
    matlab(file, "images", "single", H5T_IEEE_F32LE, 4, first, 0);
    H5Fclose(file);
    struct source *source = must_open(spec_of("hdf5", "first.mat", ":nhwc"));
    CHECK(source && source->count == 6 && source->height == H);
    for (int i = 0; i < 6; i++) {
        wanted(want, 1, i, 6);
        same_pixels(source, (size_t)i, want, C, H, W);
    }
    source_close(&source);
}

/* One array an image, and samples of several. */
static void test_matlab_forms(void)
{
    static const hsize_t size[] = { C, W, H }, views[] = { 3, 2, C, W, H };
    float want[C * PIXELS];
    hid_t file = make("each.mat", 512);
    for (int i = 0; i < 4; i++)
        matlab(file, (char[]){ (char)('a' + i), 0 }, "double", H5T_IEEE_F64LE, 3, size,
               i * C * PIXELS);
    H5Fclose(file);
    file = make("views.mat", 512);
    matlab(file, "x", "int16", H5T_STD_I16LE, 5, views, 0);
    H5Fclose(file);
    for (int samples = 0; samples < 2; samples++) {
        struct source *source = must_open(spec_of("hdf5", samples ? "views.mat" : "each.mat",
                                                  samples ? ":views" : ""));
        CHECK(source && source->count == (samples ? 6 : 4) && source->channels == C);
        CHECK(source && source_views(source) == (samples ? 2 : 1));
        wanted(want, C * PIXELS, 3, 1);
        same_pixels(source, 3, want, C, H, W);
        source_close(&source);
    }
}

static void test_matlab_refusals(void)
{
    static const hsize_t size[] = { 2, W, H };
    static const char *const rows[][2] = {
        { "cell", "a cell array of MATLAB" },
        { "logical", "write single(x) instead" },
        { "char", "text of MATLAB" },
    };
    for (size_t i = 0; i < 3; i++) {
        hid_t file = make("no.mat", 512);
        matlab(file, "images", rows[i][0], H5T_STD_U8LE, 3, size, 0);
        H5Fclose(file);
        must_refuse(at("no.mat"), rows[i][1]);
        must_refuse(spec_of("hdf5", "no.mat", ":images"), rows[i][1]);
    }
}

/* ---- types, filters, damage ---- */

static void test_types(void)
{
    hid_t file = make("types.h5", 0), type = H5Tenum_create(H5T_NATIVE_INT8);
    int8_t value = 0;
    H5Tenum_insert(type, "FALSE", &value), value = 1, H5Tenum_insert(type, "TRUE", &value);
    hid_t space = H5Screate_simple(3, (hsize_t[]){ 2, H, W }, NULL);
    H5Dclose(H5Dcreate2(file, "flags", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space), H5Tclose(type), H5Fclose(file);
    must_refuse(at("types.h5"), "flags: boolean");
}

static size_t pass(unsigned flags, size_t n, const unsigned values[], size_t bytes, size_t *size,
                   void **buffer)
{
    (void)flags, (void)n, (void)values, (void)size, (void)buffer;
    return bytes;
}

static void write_packed(const char *name, H5Z_filter_t filter)
{
    hid_t file = make(name, 0), plan = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(3, (hsize_t[]){ 4, H, W }, NULL);
    float numbers[4 * PIXELS];
    for (int i = 0; i < 4 * PIXELS; i++)
        numbers[i] = 1.0f + (float)i;
    H5Pset_chunk(plan, 3, (hsize_t[]){ 1, H, W });
    H5Pset_filter(plan, filter, H5Z_FLAG_OPTIONAL, 0, NULL);
    hid_t set = H5Dcreate2(file, "x", H5T_IEEE_F32LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    CHECK(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
    H5Dclose(set), H5Sclose(space), H5Pclose(plan), H5Fclose(file);
}

/* Told once, when the data is opened. */
static void test_filters(void)
{
    static const struct {
        H5Z_filter_t id;
        const char *says;
    } rows[] = { { 32015, "filter zstd (32015)" }, { 32000, "filter lzf (32000)" },
                 { 311, "filter of mine (311)" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        H5Z_class2_t filter = { H5Z_CLASS_T_VERS, rows[i].id, 1, 1, "of mine", NULL, NULL, pass };
        CHECK(H5Zregister(&filter) >= 0);
        write_packed("f.h5", rows[i].id);
        struct source *source = must_open(at("f.h5"));
        same(source, 2, 1 + 2 * PIXELS, 1);
        source_close(&source);
        CHECK(H5Zunregister(rows[i].id) >= 0);
        must_refuse(at("f.h5"), rows[i].says);
        must_refuse(at("f.h5"), "HDF5_PLUGIN_PATH");
    }
}

/* A chunk with a wrong checksum is one image that cannot be read. */
static void test_damaged_chunk(void)
{
    unsigned char *bytes;
    const float third = 1 + 2 * PIXELS;
    write_packed("d.h5", H5Z_FILTER_FLETCHER32);
    size_t size = get(&bytes, "d.h5");
    unsigned char *place = memmem(bytes, size, &third, sizeof third);
    CHECK(place != NULL);
    if (place)
        place[1] ^= 1;
    put("d.h5", bytes, size);
    free(bytes);
    struct source *source = must_open(at("d.h5"));
    same(source, 1, 1 + PIXELS, 1);
    must_not_read(source, 2, "damaged");
    source_close(&source);
}

int main(void)
{
    if (files_begin())
        return 1;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    test_each();
    test_each_last();
    test_each_classes();
    test_each_named();
    test_each_sizes();
    test_links();
    test_lost_links();
    test_matlab();
    test_matlab_forms();
    test_matlab_refusals();
    test_types();
    test_filters();
    test_damaged_chunk();
    files_end();
    return check_summary("hdf5_forms");
}
#else
int main(void)
{
    puts("hdf5_forms: built without libhdf5");
    return 77;
}
#endif
