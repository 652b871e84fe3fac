/* files.h: what the tests of formats share: a folder of files that is removed at the end, sources
 * that must open, and refusals that must give a sentence. */
#ifndef MOCO_TESTS_FILES_H
#define MOCO_TESTS_FILES_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* nftw() */
#endif
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/data/source.h"
#include "tests/check.h"

#ifdef CHECK_SHARED /* a program of several files, one of which defines it */
extern char files_dir[512];
#else
static char files_dir[512];
#endif

/* A path below the folder; the newest eight are kept. */
static inline const char *at(const char *name)
{
    static char paths[8][1100];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", files_dir, name);
    return path;
}

static inline void put(const char *name, const void *bytes, size_t size)
{
    remove(at(name)); /* some file systems write a file out at once when it is written anew */
    FILE *file = fopen(at(name), "wb");
    CHECK_MSG(file && fwrite(bytes, 1, size, file) == size, "writing %s", name);
    if (file)
        fclose(file);
}

/* *out: the file's bytes, for free(). */
static inline size_t get(unsigned char **out, const char *name)
{
    FILE *file = fopen(at(name), "rb");
    size_t size = 0;
    *out = calloc(1, 1 << 22);
    if (file && *out)
        size = fread(*out, 1, 1 << 22, file);
    if (file)
        fclose(file);
    return size;
}

/* A .npy of numbers "<f4" and a shape "13, 3, 6, 6"; fortran: "True" or "False". */
static inline void put_array(const char *name, const char *descr, const char *fortran,
                             const char *shape, const void *data, size_t size)
{
    unsigned char *bytes = calloc(1, 10 + 256 + size);
    if (!bytes)
        abort();
    int length = snprintf((char *)bytes + 10, 256,
                          "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }\n", descr,
                          fortran, shape);
    memcpy(bytes, "\x93NUMPY\1", 8);
    bytes[8] = (unsigned char)length;
    memcpy(bytes + 10 + length, data, size);
    put(name, bytes, 10 + (size_t)length + size);
    free(bytes);
}

static inline void put_npy(const char *name, const char *descr, const char *shape,
                           const void *data, size_t size)
{
    put_array(name, descr, "False", shape, data, size);
}

/* "KIND:PATHREST" */
static inline const char *spec_of(const char *kind, const char *name, const char *rest)
{
    static char specs[4][1400];
    static int turn;
    char *spec = specs[turn++ % 4];
    snprintf(spec, sizeof specs[0], "%s%s%s%s", kind, kind[0] ? ":" : "", at(name), rest);
    return spec;
}

static inline struct source *must_open(const char *spec)
{
    struct source *source = NULL;
    int rc = source_open(&source, spec);
    CHECK_MSG(rc == MOCO_OK, "%s: %s", spec, error_text());
    return source;
}

static inline void must_refuse(const char *spec, const char *part)
{
    struct source *source = NULL;
    error_set(MOCO_OK, "%s", "");
    CHECK_MSG(source_open(&source, spec) != MOCO_OK, "%s was opened", spec);
    CHECK_MSG(strstr(error_text(), part), "%s: no \"%s\" in \"%s\"", spec, part, error_text());
    CHECK(source == NULL);
    source_close(&source);
}

/* One who looks at every image of KIND:DIR gets `count`, of which `bad` cannot be read: the images
 * named, in their order, with sentences that have `part` in them. To others the folder is refused:
 * half of it is bad or of another set. */
static inline void keeps_bad(const char *kind, const char *dir, size_t count, size_t bad,
                             const char *const (*wanted)[2])
{
    struct source *source = NULL;
    struct image image = { 0 };
    size_t found = 0;
    CHECK(source_open(&source, spec_of(kind, dir, "")) != MOCO_OK);
    CHECK_MSG(!source_open_lenient(&source, spec_of(kind, dir, "")), "%s", error_text());
    CHECK(source && source->count == count);
    for (size_t i = 0; source && i < source->count; i++) {
        if (source->read(source, i, &image) == MOCO_OK)
            continue;
        CHECK_MSG(found < bad && !strcmp(source->name(source, i), wanted[found][0]) &&
                  strstr(error_text(), wanted[found][1]), "%s: %s", source->name(source, i),
                  error_text());
        found++;
    }
    CHECK_MSG(found == bad, "%zu images cannot be read", found);
    image_close(&image);
    source_close(&source);
}

/* Opens and reads every image, or fails with a sentence; 1 if all went well. */
static inline int survives(const char *spec)
{
    struct source *source = NULL;
    struct image image = { 0 };
    error_set(MOCO_OK, "%s", "");
    int rc = source_open(&source, spec);
    for (size_t i = 0; rc == MOCO_OK && i < source->count && i < 64; i++)
        rc = source->read(source, i, &image);
    CHECK_MSG(rc == MOCO_OK || error_text()[0], "%s: no sentence", spec);
    image_close(&image);
    source_close(&source);
    return rc == MOCO_OK;
}

/* Image `index` is `want`: (c, h, w). No source: must_open() has said why. */
static inline void same_pixels(const struct source *source, size_t index, const float *want, int c,
                               int h, int w)
{
    struct image image = { 0 };
    if (!source)
        return;
    CHECK_MSG(source->read(source, index, &image) == MOCO_OK, "%s", error_text());
    CHECK_MSG(image.channels == c && image.height == h && image.width == w, "%s: %d x %d x %d",
              source->where, image.channels, image.height, image.width);
    int differ = -1;
    for (int i = c * h * w - 1; i >= 0 && image.pixels && image.channels == c; i--)
        differ = memcmp(&image.pixels[i], &want[i], sizeof(float)) ? i : differ;
    CHECK_MSG(differ < 0, "%s: image %zu pixel %d: %g, not %g", source->where, index, differ,
              (double)image.pixels[differ], (double)want[differ]);
    image_close(&image);
}

/* Image `index` cannot be read, and the sentence has `part` in it. */
static inline void must_not_read(const struct source *source, size_t index, const char *part)
{
    struct image image = { 0 };
    if (!source)
        return;
    CHECK_MSG(source->read(source, index, &image) != MOCO_OK && strstr(error_text(), part),
              "%s: image %zu: no \"%s\" in \"%s\"", source->where, index, part, error_text());
    image_close(&image);
}

/* Opens KIND:DIR with a file of rubbish beside `others` images, before all of them: an image of the
 * first class all the same, which cannot be read and is noted. The file is gone afterwards. */
static inline struct source *must_keep_bad(const char *kind, const char *dir, const char *file,
                                           size_t others)
{
    char name[128], note[64];
    snprintf(name, sizeof name, "%s/%s", dir, file);
    snprintf(note, sizeof note, "1 of %zu files can not be read", others + 1);
    put(name, "no image at all", 15);
    struct source *source = must_open(spec_of(kind, dir, ""));
    CHECK(source && source->count == others + 1 && strstr(source->note, note));
    must_not_read(source, 0, name);
    CHECK(source && !strcmp(source->name(source, 0), file) && source_label(source, 0) == 0);
    remove(at(name));
    return source;
}

/* Four threads read at once: number `pixel` of image i is first + i step. */
static inline void threads_agree(const struct source *source, size_t pixel, float first, float step)
{
    int wrong = 0;
#pragma omp parallel num_threads(4) reduction(+ : wrong)
    {
        struct image image = { 0 };
#pragma omp for
        for (int i = 0; i < 512; i++) {
            size_t index = (size_t)i * 37 % source->count;
            if (source->read(source, index, &image) != MOCO_OK ||
                image.pixels[pixel] != first + step * (float)index)
                wrong++;
        }
        image_close(&image);
    }
    CHECK_MSG(wrong == 0, "%d reads went wrong", wrong);
}

/* Every beginning of a file whose length is a multiple of `step` gives an image or a sentence. */
static inline void truncations(const char *kind, const char *name, size_t step)
{
    unsigned char *bytes;
    size_t size = get(&bytes, name);
    char cut[128];
    snprintf(cut, sizeof cut, "cut-%s", name);
    for (size_t n = 0; n < size; n += step) {
        put(cut, bytes, n);
        survives(spec_of(kind, cut, ""));
    }
    free(bytes);
}

/* The same for a file with one byte changed at a time. */
static inline void corruptions(const char *kind, const char *name, size_t step, int value)
{
    unsigned char *bytes;
    size_t size = get(&bytes, name);
    char bad[128];
    snprintf(bad, sizeof bad, "bad-%s", name);
    for (size_t i = 0; i < size; i += step) {
        unsigned char kept = bytes[i];
        bytes[i] = (unsigned char)(value < 0 ? ~kept : value);
        put(bad, bytes, size);
        survives(spec_of(kind, bad, ""));
        bytes[i] = kept;
    }
    free(bytes);
}

static inline int files_begin(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(files_dir, sizeof files_dir, "%.400s/moco-formats-XXXXXX",
             base && *base ? base : "/tmp");
    return mkdtemp(files_dir) ? 0 : 1;
}

static inline int files_remove_one(const char *path, const struct stat *info, int flag,
                                   struct FTW *place)
{
    (void)info, (void)flag, (void)place;
    return remove(path);
}

static inline void files_end(void)
{
    nftw(files_dir, files_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
