/* harness.c: see pack.h. */
#include "tests/pack/pack.h"

#include "engine/data/format/raw.h"

struct pack_report report;
int check_count, check_failures;
char files_dir[512];

int pack(const char *out, const char *spec, int side, double max_bad)
{
    struct moco_simd simd;
    const struct pack_options options = { .side = side, .max_bad = max_bad, .simd = &simd };
    struct source *source = NULL;
    int rc = source_open_lenient(&source, spec);
    CHECK(moco_simd_init(&simd, NULL) == MOCO_OK);
    CHECK_MSG(rc == MOCO_OK, "%s: %s", spec, error_text());
    if (rc == MOCO_OK)
        rc = pack_write(&report, at(out), source, &options);
    source_close(&source);
    return rc;
}

void must_pack(const char *out, const char *spec, int side)
{
    CHECK_MSG(pack(out, spec, side, 0.01) == MOCO_OK, "%s: %s", spec, error_text());
}

int exists(const char *name)
{
    struct stat info;
    return lstat(at(name), &info) == 0;
}

static void same_image(const struct source *a, const struct source *b, size_t i)
{
    struct image x = { 0 }, y = { 0 };
    CHECK_MSG(!a->read(a, i, &x) && !b->read(b, i, &y), "%s", error_text());
    int same = x.channels == y.channels && x.height == y.height && x.width == y.width;
    size_t n = (size_t)x.channels * (size_t)x.height * (size_t)x.width;
    CHECK_MSG(same && !memcmp(x.pixels, y.pixels, n * sizeof(float)), "image %zu of %s", i,
              a->where);
    CHECK(source_label(a, i) == source_label(b, i));
    const char *p = a->name ? a->name(a, i) : NULL, *q = b->name ? b->name(b, i) : NULL;
    CHECK(p == q || (p && q && !strcmp(p, q)));
    image_close(&x);
    image_close(&y);
}

void same_set(const char *spec, const char *packed)
{
    struct source *a = must_open(spec), *b = must_open(spec_of("", packed, ""));
    if (!a || !b)
        return;
    CHECK(!strcmp(b->kind, "packed") && a->count == b->count && a->channels == b->channels);
    CHECK(a->height == b->height && a->width == b->width && a->dtype == b->dtype);
    CHECK(source_views(a) == source_views(b));
    CHECK(a->classes == b->classes && !a->class_names == !b->class_names);
    for (int c = 0; a->class_names && b->class_names && c < a->classes; c++)
        CHECK(!strcmp(a->class_names[c], b->class_names[c]));
    for (size_t i = 0; i < a->count && i < b->count; i++)
        same_image(a, b, i);
    source_close(&a);
    source_close(&b);
}

void put_pnm(const char *name, int channels, int height, int width, int most)
{
    unsigned char bytes[8192];
    size_t size = (size_t)snprintf((char *)bytes, 64, "P%d\n%d %d\n%d\n", channels == 3 ? 6 : 5,
                                   width, height, most);
    size_t n = (size_t)(channels * height * width) * (most > 255 ? 2 : 1);
    for (size_t i = 0; i < n; i++)
        bytes[size + i] = (unsigned char)((i * 29 + i / 7 + size) % (most > 255 ? 256 :
                                                                     (size_t)most + 1));
    put(name, bytes, size + n);
}

void make_folder(void)
{
    mkdir(at("set"), 0777);
    mkdir(at("set/cat"), 0777);
    mkdir(at("set/dog"), 0777);
    put_pnm("set/cat/a.pgm", 1, 5, 7, 255);
    put_pnm("set/cat/b.ppm", 3, 31, 40, 255);
    put_pnm("set/dog/deep.ppm", 3, 6, 5, 65535);
    put_pnm("set/dog/odd.pgm", 1, 9, 4, 200);
    put_pnm("set/loose.ppm", 3, 1, 1, 255);
}

size_t numbers_of(const char *name)
{
    unsigned char *bytes;
    size_t size = get(&bytes, name), count = raw_get(bytes + 24, 8), sum = 0;
    const unsigned char *entry = bytes + raw_get(bytes + 32, 8);
    for (size_t i = 0; i < count; i++, entry += PACK_ENTRY) {
        CHECK(raw_get(entry, 8) % PACK_ALIGN == 0);
        sum += raw_get(bytes + 60, 4) * raw_get(entry + 8, 4) * raw_get(entry + 12, 4) *
               raw_size((enum source_dtype)raw_get(entry + 28, 1));
    }
    CHECK(size == raw_get(bytes + 16, 8));
    free(bytes);
    return sum;
}
