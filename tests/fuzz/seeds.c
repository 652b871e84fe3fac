/* seeds.c: small valid files of every format, made anew each time; the tree carries none. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#ifdef MOCO_JPEG
#include <jpeglib.h>
#endif

#include "engine/data/format/pack.h"
#include "engine/run/config/config.h"
#include "engine/run/saved/safetensors.h"
#include "tests/fuzz/fuzz.h"

/* What is being written: "how" bytes of the target go behind it. */
struct seeds {
    seed_taker take;
    void *user;
    size_t count;
    uint8_t at[1 << 16];
    size_t size;
};

static void begin(struct seeds *s, const void *bytes, size_t size)
{
    memcpy(s->at, bytes, size);
    s->size = size;
}

static void add(struct seeds *s, const void *bytes, size_t size)
{
    memcpy(s->at + s->size, bytes, size);
    s->size += size;
}

static void end(struct seeds *s, const char *name)
{
    s->take(s->user, name, s->at, s->size);
    s->count++;
}

/* Images end with the byte that tells the target how to read them. */
static void end_image(struct seeds *s, const char *name, uint8_t how)
{
    add(s, &how, 1);
    end(s, name);
}

/* ---- images ---- */

static void add_chunk(struct seeds *s, const char *type, const void *data, size_t size)
{
    uint8_t head[8] = { 0, 0, (uint8_t)(size >> 8), (uint8_t)size }, sum[4];
    uint32_t crc = (uint32_t)crc32(crc32(0, (const uint8_t *)type, 4), data, (uInt)size);
    memcpy(head + 4, type, 4);
    for (int i = 0; i < 4; i++)
        sum[i] = (uint8_t)(crc >> (24 - 8 * i));
    add(s, head, 8);
    add(s, data, size);
    add(s, sum, 4);
}

static void png_seed(struct seeds *s, const char *name, int colour, int depth, int interlaced)
{
    uint8_t rows[600], packed[700];
    const uint8_t ihdr[13] = { 0, 0, 0, 9, 0, 0, 0, 5, (uint8_t)depth, (uint8_t)colour, 0, 0,
                               (uint8_t)interlaced };
    static const int numbers[] = { 1, 0, 3, 1, 2, 0, 4 };
    uLongf length = sizeof packed;
    size_t row = 1 + (size_t)(9 * numbers[colour] * depth + 7) / 8;
    size_t bytes = interlaced ? sizeof rows : 5 * row; /* more than enough, which is allowed */
    for (size_t i = 0; i < bytes; i++)
        rows[i] = interlaced ? 0 : i % row == 0 ? (uint8_t)(i / row) : (uint8_t)(i * 37);
    compress(packed, &length, rows, bytes);
    begin(s, "\x89PNG\r\n\x1a\n", 8);
    add_chunk(s, "IHDR", ihdr, 13);
    if (colour == 3)
        add_chunk(s, "PLTE", "\xff\0\0\0\xff\0\1\2\3\4\5\6", 12);
    if (colour <= 3)
        add_chunk(s, "tRNS", "\0\1\0\2\0\3", colour == 2 ? 6 : 2);
    add_chunk(s, "IDAT", packed, length);
    add_chunk(s, "IEND", "", 0);
    end_image(s, name, colour >= 4 ? 32 : 0);
}

static void bmp_seed(struct seeds *s, const char *name, int bits, int kind)
{
    uint8_t head[14 + 40 + 12 + 8] = "BM";
    size_t rows = 3 * (size_t)((5 * bits + 31) / 32 * 4);
    head[10] = sizeof head, head[14] = 40, head[18] = 5, head[22] = 3, head[26] = 1;
    head[28] = (uint8_t)bits, head[30] = (uint8_t)kind, head[46] = bits <= 8 ? 2 : 0;
    memcpy(head + 54, "\0\xf8\0\0\xe0\7\0\0\x1f\0\0\0", 12);
    begin(s, head, sizeof head);
    for (size_t i = 0; i < rows; i++)
        s->at[s->size++] = (uint8_t)(i * 53);
    end_image(s, name, 0);
}

static void tga_seed(struct seeds *s, const char *name, int kind, int bits)
{
    uint8_t head[18] = { 3, kind % 8 == 1, (uint8_t)kind, 0, 0, 4, 0, 24 };
    head[12] = 5, head[14] = 4, head[16] = (uint8_t)bits, head[17] = kind & 2 ? 32 : 0;
    begin(s, head, sizeof head);
    add(s, "abc", 3);
    if (head[1])
        add(s, "\1\2\3\4\5\6\7\10\11\12\13\14", 12);
    for (int i = 0; i < 20 * 5; i++)
        s->at[s->size++] = (uint8_t)(head[1] ? i & 3 : i * 41);
    end_image(s, name, bits == 32 ? 1 | 32 : 1);
}

#ifdef MOCO_JPEG
static void jpeg_seed(struct seeds *s, const char *name, int channels, int sample, int progressive,
                      uint8_t how)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    uint8_t *bytes = NULL, row[40 * 4], *rows = row;
    uint8_t exif[] = "Exif\0\0II\x2a\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0";
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&error);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_width = 40, jpeg.image_height = 24;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg.comp_info[0].h_samp_factor = sample / 10;
    jpeg.comp_info[0].v_samp_factor = sample % 10;
    jpeg.restart_interval = how & 16 ? 2 : 0;
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif - 1);
    for (int y = 0; y < 24; y++) {
        for (int i = 0; i < 40 * channels; i++)
            row[i] = (uint8_t)(i * y / 4 + i % 7);
        jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    begin(s, bytes, size);
    free(bytes);
    end_image(s, name, how);
}
#endif

/* 4 x 4 pixels: a GIF with a transparent colour, a WebP without loss and one with it. */
static const uint8_t gif[] = {
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x04, 0x00, 0x04, 0x00, 0x81, 0x00, 0x00, 0xc3, 0xc8, 0xcd,
    0x80, 0x85, 0x8a, 0x44, 0x49, 0x4e, 0x0f, 0x14, 0x19, 0x21, 0xf9, 0x04, 0x01, 0x00, 0x00, 0x01,
    0x00, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x04, 0x00, 0x00, 0x08, 0x0f, 0x00, 0x07, 0x08,
    0x14, 0x40, 0x50, 0x40, 0x80, 0x83, 0x01, 0x00, 0x28, 0x54, 0x18, 0x10, 0x00, 0x3b,
};
static const uint8_t lossless[] = {
    0x52, 0x49, 0x46, 0x46, 0x3c, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50, 0x56, 0x50, 0x38, 0x4c,
    0x2f, 0x00, 0x00, 0x00, 0x2f, 0x03, 0xc0, 0x00, 0x00, 0x7f, 0x20, 0x24, 0x48, 0x12, 0xd9, 0xff,
    0x8b, 0xbd, 0x30, 0x0f, 0x6a, 0xda, 0x36, 0x60, 0xf1, 0x9f, 0x74, 0xcc, 0x7f, 0xc2, 0xde, 0x81,
    0x20, 0x00, 0x62, 0x41, 0x8b, 0x16, 0x2d, 0x5a, 0xb4, 0x68, 0xd1, 0xa2, 0x23, 0xa2, 0xff, 0x01,
    0xca, 0xe9, 0x0e, 0x00,
};
static const uint8_t lossy[] = {
    0x52, 0x49, 0x46, 0x46, 0x2a, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50, 0x56, 0x50, 0x38, 0x20,
    0x1e, 0x00, 0x00, 0x00, 0x90, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x04, 0x00, 0x04, 0x00, 0x07, 0x40,
    0x96, 0x25, 0x9c, 0x00, 0x02, 0xe7, 0x45, 0xac, 0x00, 0x00, 0xf6, 0x46, 0x59, 0xb9, 0x7d, 0x78,
    0x10, 0x00,
};

static void image_seeds(struct seeds *s)
{
    static const int colours[][2] = { { 0, 1 }, { 0, 2 }, { 0, 4 }, { 0, 8 }, { 0, 16 }, { 2, 8 },
                                      { 2, 16 }, { 3, 1 }, { 3, 2 }, { 3, 4 }, { 3, 8 }, { 4, 8 },
                                      { 4, 16 }, { 6, 8 }, { 6, 16 } };
    static const int bits[][2] = { { 1, 0 }, { 4, 0 }, { 8, 0 }, { 16, 0 }, { 16, 3 }, { 24, 0 },
                                   { 32, 0 } };
    static const int kinds[][2] = { { 1, 8 }, { 2, 24 }, { 2, 32 }, { 2, 16 }, { 3, 8 }, { 3, 16 },
                                    { 9, 8 }, { 10, 24 }, { 11, 8 } };
    char name[32];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "%02d.png", i);
        png_seed(s, name, colours[i % 15][0], colours[i % 15][1], i / 15);
    }
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "%02d.bmp", i);
        bmp_seed(s, name, bits[i][0], bits[i][1]);
    }
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "%02d.tga", i);
        tga_seed(s, name, kinds[i][0], kinds[i][1]);
    }
    begin(s, "P5 # grey\n3 2\n200\nabcdef", 23);
    end_image(s, "a.pgm", 0);
    begin(s, "P6\n1 2\n65535\nabcdefghijkl", 25);
    end_image(s, "b.ppm", 8);
    begin(s, gif, sizeof gif);
    end_image(s, "c.gif", 32);
    begin(s, lossless, sizeof lossless);
    end_image(s, "d.webp", 8);
    begin(s, lossy, sizeof lossy);
    end_image(s, "e.webp", 0);
#ifdef MOCO_JPEG
    static const int samples[] = { 11, 21, 22, 12 };
    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "%02d.jpg", i);
        jpeg_seed(s, name, i % 3 == 2 ? 4 : 1 + i % 3 * 2, samples[i % 4], i / 12,
                  (uint8_t)(i % 8 << 1 | (i & 1) << 4));
    }
#endif
}

/* ---- arrays ---- */

static void npy_seed(struct seeds *s, const char *name, int version, const char *header,
                     size_t data)
{
    uint8_t head[12] = "\x93NUMPY";
    head[6] = (uint8_t)version;
    head[8] = (uint8_t)strlen(header);
    begin(s, head, version == 1 ? 10 : 12);
    add(s, header, strlen(header));
    for (size_t i = 0; i < data; i++)
        s->at[s->size++] = (uint8_t)(i & 1);
    end(s, name);
}

#define HEADER(type, shape) \
    "{'descr': '" type "', 'fortran_order': False, 'shape': (" shape "), }\n"

static void ignore(void *user, const char *name, const uint8_t *data, size_t size)
{
    (void)user, (void)name, (void)data, (void)size;
}

static void npy_seeds(struct seeds *s)
{
    npy_seed(s, "u1.npy", 1, HEADER("|u1", "2, 3, 4"), 24);
    npy_seed(s, "f4.npy", 2, HEADER("<f4", "2, 1, 2, 2"), 32);
    npy_seed(s, "f2.npy", 3, HEADER("<f2", "1, 2, 2, 3"), 24);
    npy_seed(s, "labels.npy", 1, HEADER("<i8", "2,"), 16);
    npy_seed(s, "big.npy", 1, HEADER(">i4", "2,"), 8);
    npy_seed(s, "views.npy", 1, HEADER("|u1", "1, 2, 1, 2, 2"), 8);
}

/* A member of a zip archive: its head, or (central) its entry in the directory. */
static void add_member(struct seeds *s, int central, const char *name, uint32_t crc, size_t in,
                       size_t size, size_t place)
{
    uint8_t head[46] = "PK\3\4\24";
    uint8_t *sums = head + (central ? 16 : 14);
    size_t length = strlen(name), bytes = central ? 46 : 30;
    if (central)
        memcpy(head, "PK\1\2\24\0\24", 7);
    head[central ? 10 : 8] = in == size ? 0 : 8; /* stored or deflated */
    for (int i = 0; i < 4; i++)
        sums[i] = (uint8_t)(crc >> 8 * i);
    sums[4] = (uint8_t)in, sums[5] = (uint8_t)(in >> 8);
    sums[8] = (uint8_t)size, sums[9] = (uint8_t)(size >> 8);
    sums[12] = (uint8_t)length;
    if (central)
        head[42] = (uint8_t)place, head[43] = (uint8_t)(place >> 8);
    add(s, head, bytes);
    add(s, name, length);
}

/* Images x and labels y, as numpy.savez and savez_compressed write them. */
static void npz_seed(struct seeds *s, const char *name, int deflated)
{
    static const char *const names[] = { "x.npy", "y.npy" };
    static struct seeds member;
    uint8_t packed[2][600], end_of[22] = "PK\5\6\0\0\0\0\2\0\2";
    size_t in[2], size[2], place[2];
    uint32_t crc[2];
    member = (struct seeds){ .take = ignore };
    begin(s, "", 0);
    for (int i = 0; i < 2; i++) {
        const char *header = i ? HEADER("|u1", "2,") : HEADER("<f4", "2, 1, 2, 2");
        npy_seed(&member, "", 1, header, i ? 2 : 32);
        uLongf length = sizeof packed[i];
        size[i] = member.size, place[i] = s->size;
        crc[i] = (uint32_t)crc32(0, member.at, (uInt)member.size);
        compress(packed[i], &length, member.at, member.size);
        in[i] = deflated ? length - 6 : size[i]; /* without zlib's own head and sum */
        add_member(s, 0, names[i], crc[i], in[i], size[i], 0);
        add(s, deflated ? packed[i] + 2 : member.at, in[i]);
    }
    end_of[16] = (uint8_t)s->size, end_of[17] = (uint8_t)(s->size >> 8);
    for (int i = 0; i < 2; i++)
        add_member(s, 1, names[i], crc[i], in[i], size[i], place[i]);
    size_t directory = s->size - ((size_t)end_of[16] | (size_t)end_of[17] << 8);
    end_of[12] = (uint8_t)directory, end_of[13] = (uint8_t)(directory >> 8);
    add(s, end_of, sizeof end_of);
    end(s, name);
}

static void idx_seeds(struct seeds *s)
{
    static const uint8_t images[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 2, 3, 4,
                                      5, 6, 7, 8, 9, 10, 11 };
    static const uint8_t deep[] = { 0, 0, 13, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 63,
                                    128, 0, 0 };
    static const uint8_t labels[] = { 0, 0, 8, 1, 0, 0, 0, 2, 4, 1 };
    uint8_t packed[200];
    begin(s, images, sizeof images);
    end(s, "images");
    begin(s, deep, sizeof deep);
    end(s, "float");
    begin(s, labels, sizeof labels);
    end(s, "labels");
    z_stream z = { .next_in = (uint8_t *)(uintptr_t)images, .avail_in = sizeof images,
                   .next_out = packed, .avail_out = sizeof packed };
    if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    deflate(&z, Z_FINISH);
    deflateEnd(&z);
    begin(s, packed, sizeof packed - z.avail_out);
    end(s, "images.gz");
}

static void cifar10_seeds(struct seeds *s)
{
    static const char names[] = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n"
                                "truck\n\n";
    s->size = 2 * 3073;
    for (size_t i = 0; i < s->size; i++)
        s->at[i] = i % 3073 ? (uint8_t)i : (uint8_t)(i / 3073);
    end(s, "two");
    add(s, names, sizeof names - 1);
    for (int i = 0; i < 200; i++)
        s->at[s->size++] = '\n';
    end(s, "named");
}

/* ---- files that the engine writes ---- */

static void read_whole(struct seeds *s, const char *path)
{
    FILE *file = fopen(path, "rb");
    s->size = file ? fread(s->at, 1, sizeof s->at, file) : 0;
    if (file)
        fclose(file);
    unlink(path);
}

static void end_file(struct seeds *s, const char *name, const char *path)
{
    read_whole(s, path);
    end(s, name);
}

/* Generated images, of floats; a folder of two sizes, of 8 and 16 bits, with classes and names. */
static void packed_seed(struct seeds *s, const char *name, const char *path, const char *spec)
{
    const struct pack_options options = { 0 };
    static struct pack_report report;
    struct source *source = NULL;
    uint8_t how = 3;
    if (source_open(&source, spec) == 0 && pack_write(&report, path, source, &options) == 0) {
        read_whole(s, path);
        end_image(s, name, how);
    }
    source_close(&source);
}

static void write_file(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file && fwrite(bytes, 1, size, file) != size)
        fputs("seeds: writing failed\n", stderr);
    if (file)
        fclose(file);
}

static void packed_seeds(struct seeds *s, const char *path)
{
    static const char *const below[] = { "/a/x.pgm", "/b/y.pgm", "/a", "/b", "" };
    char folder[400], file[5][420];
    packed_seed(s, "floats", path, "synthetic:n=3,side=8,classes=2");
    snprintf(folder, sizeof folder, "%.300s.d", path);
    for (int i = 0; i < 5; i++)
        snprintf(file[i], sizeof file[i], "%s%s", folder, below[i]);
    for (int i = 4; i >= 2; i--)
        mkdir(file[i], 0777);
    write_file(file[0], "P5\n3 2\n255\nabcdef", 17);
    write_file(file[1], "P5\n1 2\n65535\nabcd", 17);
    packed_seed(s, "names", path, folder);
    for (int i = 0; i < 5; i++)
        remove(file[i]);
}

static void safetensors_seeds(struct seeds *s, const char *path)
{
    static const float a[6] = { 1, 2, 3 };
    static const int64_t b[2] = { 7, -1 };
    const struct st_tensor tensors[] = { { "a.weight", ST_F32, 2, { 2, 3 }, a },
                                         { "b", ST_I64, 1, { 2 }, b },
                                         { "c", ST_F32, 0, { 0 }, a } };
    const struct st_meta meta[] = { { "step", "12" }, { "kind", "seed" } };
    static const char plain[] = "\x4c\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"BF16\",\"shape\":[2,1],"
                                "\"data_offsets\":[0,4]},\"__metadata__\":{\"a\":\"b\"}}   abcd";
    safetensors_write(path, tensors, 3, meta, 2);
    end_file(s, "ours", path);
    begin(s, plain, sizeof plain - 1);
    s->at[0] = (uint8_t)(sizeof plain - 1 - 8 - 4);
    end(s, "plain");
}

static void config_seeds(struct seeds *s, const char *path)
{
    static struct config config;
    static const char some[] = "{\"lr\": 0.06, \"epochs\": 3, \"cosine\": true, \"arch\": "
                               "\"resnet18\", \"schedule\": \"120,160\"}\n";
    config_default(&config);
    config_write(&config, path, "ref");
    end_file(s, "written", path);
    begin(s, some, sizeof some - 1);
    end(s, "some");
}

static void with_path(struct seeds *s, void (*make)(struct seeds *, const char *))
{
    char folder[256], path[300];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/moco-seed-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder))
        return;
    snprintf(path, sizeof path, "%s/seed", folder);
    make(s, path);
    rmdir(folder);
}

size_t seeds_of(const char *target, seed_taker take, void *user)
{
    static struct seeds s;
    s = (struct seeds){ .take = take, .user = user };
    if (!strcmp(target, "decode"))
        image_seeds(&s);
    else if (!strcmp(target, "npy"))
        npy_seeds(&s);
    else if (!strcmp(target, "npz"))
        npz_seed(&s, "stored.npz", 0), npz_seed(&s, "deflated.npz", 1);
    else if (!strcmp(target, "idx"))
        idx_seeds(&s);
    else if (!strcmp(target, "cifar10"))
        cifar10_seeds(&s);
    else if (!strcmp(target, "packed"))
        with_path(&s, packed_seeds);
    else if (!strcmp(target, "safetensors"))
        with_path(&s, safetensors_seeds);
    else if (!strcmp(target, "config"))
        with_path(&s, config_seeds);
    return s.count;
}
