/* test_formats.c: CIFAR-100 and .npz, written here byte by byte and read back exactly; refusals;
 * every truncation and many changed bytes end in images or in a sentence. The other formats that
 * need a library have programs of their own. */
#define _GNU_SOURCE
#include <stdint.h>
#include <zlib.h>

#include "tests/files.h"

/* ---- cifar100 ---- */

enum { RECORD = 3074 };

static void put_names(const char *name, int n)
{
    FILE *file = fopen(at(name), "w");
    for (int i = 0; file && i < n; i++)
        fprintf(file, "class_%d\n", i);
    if (file)
        fclose(file);
}

static void test_cifar100(void)
{
    static unsigned char bytes[3 * RECORD];
    static float want[RECORD - 2];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 5 + i / 253);
    for (int i = 0; i < 3; i++)
        bytes[i * RECORD] = (unsigned char)(7 + i), bytes[i * RECORD + 1] = (unsigned char)(97 + i);
    mkdir(at("c100"), 0777);
    put("c100/train.bin", bytes, 2 * RECORD);
    put("c100/test.bin", bytes + 2 * RECORD, RECORD);
    put_names("c100/fine_label_names.txt", 100);
    struct source *source = must_open(at("c100"));
    if (!source)
        return;
    CHECK(!strcmp(source->kind, "cifar100") && source->count == 2 && source->classes == 99);
    CHECK(source_label(source, 0) == 97 && source_label(source, 1) == 98);
    CHECK(source->class_names && !strcmp(source->class_names[98], "class_98"));
    for (size_t i = 0; i < 2; i++) {
        for (size_t p = 0; p < RECORD - 2; p++)
            want[p] = (float)bytes[i * RECORD + 2 + p] / 255.0f;
        same_pixels(source, i, want, 3, 32, 32);
    }
    source_close(&source);
    source = must_open(spec_of("cifar100", "c100", ":test"));
    CHECK(source && source->count == 1 && source_label(source, 0) == 99 && source->classes == 100);
    source_close(&source);
    source = must_open(spec_of("", "c100", ":train"));
    CHECK(source && source->count == 2);
    source_close(&source);
    put_names("c100/fine_label_names.txt", 99);
    source = must_open(at("c100"));
    CHECK(source && !source->class_names);
    source_close(&source);
}

static void test_cifar100_refusals(void)
{
    static unsigned char bytes[2 * RECORD];
    mkdir(at("c100s"), 0777);
    must_refuse(spec_of("cifar100", "c100s", ""), "train.bin");
    put("c100s/train.bin", bytes, 2 * RECORD - 1);
    must_refuse(spec_of("cifar100", "c100s", ""), "3074");
    must_refuse(at("c100s"), "holds no jpg");
    put("c100s/train.bin", bytes, 0);
    must_refuse(spec_of("cifar100", "c100s", ""), "0 bytes");
    bytes[RECORD + 1] = 100;
    put("c100s/train.bin", bytes, 2 * RECORD);
    must_refuse(at("c100s"), "labels 0 and 100 at byte 3074");
    bytes[RECORD + 1] = 99, bytes[0] = 20;
    put("c100s/train.bin", bytes, 2 * RECORD);
    must_refuse(at("c100s"), "labels 20 and 0 at byte 0");
}

/* ---- npz ---- */

struct zip {
    unsigned char bytes[1 << 16], directory[1 << 12];
    size_t size, directory_size, entries;
    int zip64; /* sizes and places in the extra field, as of archives beyond 4 GiB */
};

static void number(unsigned char *out, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

static size_t packed(unsigned char *out, size_t room, const void *data, size_t size)
{
    z_stream stream = { 0 };
    deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = (unsigned char *)(uintptr_t)data;
    stream.avail_in = (unsigned)size;
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&stream);
    return room - stream.avail_out;
}

static void add_entry(struct zip *zip, const char *name, int method, uint64_t crc, uint64_t in,
                      uint64_t size)
{
    unsigned char *entry = zip->directory + zip->directory_size;
    size_t length = strlen(name), extra = zip->zip64 ? 28 : 0;
    memset(entry, 0, 46 + length + extra);
    memcpy(entry, "PK\1\2", 4);
    number(entry + 10, (uint64_t)method, 2);
    number(entry + 16, crc, 4);
    number(entry + 20, zip->zip64 ? UINT32_MAX : in, 4);
    number(entry + 24, zip->zip64 ? UINT32_MAX : size, 4);
    number(entry + 28, length, 2);
    number(entry + 30, extra, 2);
    number(entry + 42, zip->zip64 ? UINT32_MAX : zip->size, 4);
    memcpy(entry + 46, name, length);
    if (zip->zip64) {
        entry += 46 + length;
        number(entry, 1, 2), number(entry + 2, 24, 2);
        number(entry + 4, size, 8), number(entry + 12, in, 8), number(entry + 20, zip->size, 8);
    }
    zip->directory_size += 46 + length + extra;
    zip->entries++;
}

static void add(struct zip *zip, const char *name, int method, const void *data, size_t size)
{
    unsigned char *local = zip->bytes + zip->size, *body = local + 30 + strlen(name) + 4;
    size_t in = size;
    memset(local, 0, 30);
    memcpy(local, "PK\3\4", 4);
    number(local + 8, (uint64_t)method, 2);
    number(local + 26, strlen(name), 2);
    number(local + 28, 4, 2); /* an extra field that the directory lacks */
    memcpy(local + 30, name, strlen(name));
    memset(body - 4, 0, 4);
    if (method == 8)
        in = packed(body, 1 << 14, data, size);
    else
        memcpy(body, data, size);
    add_entry(zip, name, method, crc32(0, data, (unsigned)size), in, size);
    zip->size += (size_t)(body - local) + in;
}

static void add_array(struct zip *zip, const char *name, int method, const char *descr,
                      const char *shape, const void *data, size_t size)
{
    unsigned char bytes[4096] = "\x93NUMPY\x01";
    int length = snprintf((char *)bytes + 10, 1000,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", descr,
                          shape);
    number(bytes + 8, (uint64_t)length, 2);
    memcpy(bytes + 10 + length, data, size);
    add(zip, name, method, bytes, 10 + (size_t)length + size);
}

static void finish(struct zip *zip, const char *name)
{
    unsigned char *end = zip->bytes + zip->size + zip->directory_size;
    size_t place = zip->size;
    memcpy(zip->bytes + zip->size, zip->directory, zip->directory_size);
    zip->size += zip->directory_size;
    if (zip->zip64) {
        memset(end, 0, 76);
        memcpy(end, "PK\6\6", 4), memcpy(end + 56, "PK\6\7", 4);
        number(end + 4, 44, 8);
        number(end + 24, zip->entries, 8), number(end + 32, zip->entries, 8);
        number(end + 40, zip->directory_size, 8), number(end + 48, place, 8);
        number(end + 64, zip->size, 8);
        zip->size += 76, end += 76;
    }
    memset(end, 0, 22);
    memcpy(end, "PK\5\6", 4);
    number(end + 8, zip->entries, 2), number(end + 10, zip->entries, 2);
    number(end + 12, zip->zip64 ? UINT32_MAX : zip->directory_size, 4);
    number(end + 16, zip->zip64 ? UINT32_MAX : place, 4);
    put(name, zip->bytes, zip->size + 22);
    zip->size = zip->directory_size = zip->entries = 0;
}

static struct zip zip;
static const unsigned char pixels[12] = { 0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6 };
static const int64_t two_labels[2] = { 4, 1 };

static void check_pair(const char *spec, int labels, const char *note)
{
    float want[6];
    struct source *source = must_open(spec);
    for (int i = 0; i < 6; i++)
        want[i] = (float)pixels[6 + i] / 255.0f;
    if (!source)
        return;
    CHECK_MSG(source->count == 2 && source->channels == 1 && source->height == 2, "%s", spec);
    CHECK_MSG(labels ? source->classes == 5 && source_label(source, 0) == 4 : !source->labels,
              "%s: %d classes", spec, source->classes);
    CHECK_MSG(note[0] ? strstr(source->note, note) != NULL : !source->note[0], "note: %s",
              source->note);
    same_pixels(source, 1, want, 1, 2, 3);
    source_close(&source);
}

static void test_npz(int method, int zip64)
{
    static const double weights[2] = { 2, 1.5 }, whole[2] = { 4, 1 };
    zip.zip64 = zip64;
    add(&zip, "readme.txt", method, "no array", 8);
    add_array(&zip, "x.npy", method, "|u1", "2, 2, 3", pixels, 12);
    add_array(&zip, "y.npy", method, "<i8", "2,", two_labels, 16);
    add_array(&zip, "w.npy", method, "<f8", "2,", weights, 16);
    add_array(&zip, "row.npy", method, "<f8", "1, 2", whole, 16);
    add_array(&zip, "o.npy", method, "|O", "2,", "no numbers at all", 16);
    finish(&zip, "a.npz");
    check_pair(at("a.npz"), 1, "images are taken from x, labels from y");
    check_pair(spec_of("npy", "a.npz", ""), 1, "from x");
    check_pair(spec_of("npz", "a.npz", ":x,y"), 1, "");
    check_pair(spec_of("", "a.npz", ":x"), 1, "labels from y");
    must_refuse(spec_of("npz", "a.npz", ":z"), "it has x, y, w, row");
    check_pair(spec_of("npz", "a.npz", ":x,row"), 1, "");
    must_refuse(spec_of("npz", "a.npz", ":o"), "o: Python objects");
    must_refuse(spec_of("npz", "a.npz", ":y"), "type i8");
    must_refuse(spec_of("npz", "a.npz", ":x,w"), "label 1 is 1.5; labels are whole numbers");
    truncations("npz", "a.npz", 7);
    corruptions("npz", "a.npz", 3, -1);
    corruptions("npz", "a.npz", 5, 255);
    zip.zip64 = 0;
}

static void test_npz_choice(void)
{
    add_array(&zip, "test_images.npy", 8, "|u1", "1, 2, 3", pixels, 6);
    add_array(&zip, "train_labels.npy", 8, "<i8", "2, 1", two_labels, 16);
    add_array(&zip, "train_images.npy", 8, "|u1", "2, 2, 3", pixels, 12);
    finish(&zip, "m.npz");
    check_pair(at("m.npz"), 1, "from train_images, labels from train_labels");
    struct source *source = must_open(spec_of("npz", "m.npz", ":test_images"));
    CHECK(source && source->count == 1 && !source->labels && !source->note[0]);
    source_close(&source);
    add_array(&zip, "cells.npy", 0, "|u1", "2, 2, 3", pixels, 12);
    add_array(&zip, "y.npy", 0, "<i8", "1,", two_labels, 8); /* of another count */
    finish(&zip, "one.npz");
    check_pair(at("one.npz"), 0, "from cells, without labels");
    add_array(&zip, "a.npy", 0, "|u1", "2, 2, 3", pixels, 12);
    add_array(&zip, "b.npy", 0, "|u1", "2, 2, 3", pixels, 12);
    finish(&zip, "two.npz");
    must_refuse(at("two.npz"), "which of a, b are the images");
    check_pair(spec_of("", "two.npz", ":b"), 0, "");
    add_array(&zip, "v.npy", 0, "|u1", "12,", pixels, 12);
    finish(&zip, "none.npz");
    must_refuse(at("none.npz"), "no array of 3 or 4 dimensions, only v");
}

/* Colours last, and numbers of two and four bytes. */
static void test_npz_types(int method)
{
    static const uint16_t deep[] = { 0, 1, 2, 3, 4, 65535 };
    static const float real[] = { -1.5f, 1e9f };
    float want[] = { 0, 3, 1, 4, 2, 65535 };
    for (int i = 0; i < 6; i++)
        want[i] /= 65535.0f;
    add_array(&zip, "X.npy", method, "<u2", "1, 1, 2, 3", deep, 12);
    finish(&zip, "deep.npz");
    struct source *source = must_open(spec_of("npz", "deep.npz", ":views"));
    CHECK(source && source->count == 1 && source->views == 1 && source->height == 2);
    source_close(&source);
    add_array(&zip, "X.npy", method, "<u2", "1, 3, 1, 1, 2", deep, 12);
    add_array(&zip, "y.npy", method, "<i8", "1,", two_labels, 8);
    finish(&zip, "seasons.npz");
    source = must_open(spec_of("", "seasons.npz", ":X,y:views:nhwc"));
    CHECK(source && source->count == 3 && source->views == 3 && source->channels == 2);
    CHECK(source && source_label(source, 2) == 4);
    if (source)
        same_pixels(source, 2, (const float[]){ 4 / 65535.0f, 1 }, 2, 1, 1);
    source_close(&source);
    must_refuse(spec_of("", "seasons.npz", ":X,y:nhwc"), "5 dimensions");
    source = must_open(spec_of("npz", "deep.npz", ":nhwc"));
    CHECK(source && source->channels == 3 && source->dtype == DTYPE_U16);
    if (source)
        same_pixels(source, 0, want, 3, 1, 2);
    source_close(&source);
    add_array(&zip, "arr_0.npy", method, "<f4", "2, 1, 1", real, 8);
    finish(&zip, "real.npz");
    source = must_open(at("real.npz"));
    if (source)
        same_pixels(source, 1, real + 1, 1, 1, 1);
    source_close(&source);
}

/* Changes the entry of the only member, whose name is x.npy. */
static void put_changed(const char *name, size_t offset, uint64_t value, int size)
{
    add_array(&zip, "x.npy", 8, "|u1", "2, 2, 3", pixels, 12);
    number(zip.directory + offset, value, size);
    finish(&zip, name);
}

static void test_npz_refusals(void)
{
    put("no.npz", "PK\3\4 is all", 11);
    must_refuse(at("no.npz"), "no end of a zip archive");
    put("text.npz", "hello, world", 12);
    must_refuse(spec_of("npz", "text.npz", ""), "does not start like");
    must_refuse(spec_of("npz", "nowhere.npz", ""), "No such file");
    put_changed("bomb.npz", 24, 1 << 30, 4);
    must_refuse(at("bomb.npz"), "1032 times");
    put_changed("size.npz", 24, 80, 4);
    must_refuse(at("size.npz"), "damaged");
    put_changed("sum.npz", 16, 77, 4);
    must_refuse(at("sum.npz"), "checksum");
    put_changed("place.npz", 42, 1 << 20, 4);
    must_refuse(at("place.npz"), "not where the directory says");
    put_changed("long.npz", 20, 1 << 20, 4);
    must_refuse(at("long.npz"), "longer than the file");
    put_changed("secret.npz", 8, 1, 2);
    must_refuse(at("secret.npz"), "encrypted");
    put_changed("method.npz", 10, 12, 2);
    must_refuse(at("method.npz"), "method 12");
    put_changed("wide.npz", 24, UINT32_MAX, 4);
    must_refuse(at("wide.npz"), "zip64");
    add_array(&zip, "x.npy", 0, "|u1", "2, 2, 3", pixels, 11);
    finish(&zip, "less.npz");
    must_refuse(at("less.npz"), "truncated");
    add_array(&zip, "x.npy", 8, "|u1", "99999999999, 99999999999, 9", pixels, 12);
    finish(&zip, "huge.npz");
    must_refuse(at("huge.npz"), "too large");
}

/* A real set, deflated: the same images and labels as from the .npy files. */
static void test_npz_real(const char *data)
{
    char images[1200], both[2400], labels[1200];
    struct image a = { 0 }, b = { 0 };
    snprintf(images, sizeof images, "%s/cellcycle/x.npy", data);
    snprintf(labels, sizeof labels, "%s/cellcycle/y.npy", data);
    snprintf(both, sizeof both, "npy:%s,%s", images, labels);
    FILE *file = fopen(images, "rb");
    if (!file) {
        printf("left out: no cellcycle/x.npy in the folder of real images\n");
        return;
    }
    struct source *plain = must_open(both);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file), room = size + (1 << 16);
    unsigned char *bytes = malloc(size), *out = malloc(room);
    rewind(file);
    CHECK(bytes && out && fread(bytes, 1, size, file) == size);
    fclose(file);
    memcpy(out, "PK\3\4\0\0\0\0\10", 10), memset(out + 10, 0, 20);
    out[26] = 5, memcpy(out + 30, "x.npy", 5);
    size_t in = packed(out + 35, room - 35, bytes, size);
    add_entry(&zip, "x.npy", 8, crc32_z(0, bytes, size), in, size);
    unsigned char *end = out + 35 + in;
    memcpy(end, zip.directory, zip.directory_size);
    memset(end + zip.directory_size, 0, 22), memcpy(end + zip.directory_size, "PK\5\6", 4);
    number(end + zip.directory_size + 10, 1, 2);
    number(end + zip.directory_size + 12, zip.directory_size, 4);
    number(end + zip.directory_size + 16, 35 + in, 4);
    put("cells.npz", out, 35 + in + zip.directory_size + 22);
    struct source *npz = must_open(at("cells.npz"));
    CHECK(plain && npz && plain->count == npz->count && plain->dtype == npz->dtype);
    for (size_t i = 0; plain && npz && i < plain->count; i += 97) {
        size_t n = (size_t)(plain->channels * plain->height * plain->width);
        CHECK(!plain->read(plain, i, &a) && !npz->read(npz, i, &b) &&
              !memcmp(a.pixels, b.pixels, n * sizeof(float)));
    }
    image_close(&a), image_close(&b);
    source_close(&plain), source_close(&npz);
    free(bytes), free(out);
    zip.size = zip.directory_size = zip.entries = 0;
}

int main(int argc, char **argv)
{
    if (files_begin())
        return 1;
    test_cifar100();
    test_cifar100_refusals();
    for (int zip64 = 0; zip64 < 2; zip64++) {
        test_npz(0, zip64);
        test_npz(8, zip64);
    }
    test_npz_choice();
    test_npz_types(0);
    test_npz_types(8);
    test_npz_refusals();
    if (argc > 1)
        test_npz_real(argv[1]);
    files_end();
    return check_summary("formats");
}
