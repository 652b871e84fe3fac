/* test_decode_jpeg.c: JPEGs made here, where libjpeg writes them: the eight orientations, grey,
 * colour, CMYK and YCCK, parts and scales against whole images, damage; views of a folder from
 * parts. */
#define _GNU_SOURCE
#include "tests/decode.h"

#ifdef MOCO_JPEG
#include <jpeglib.h>
#endif

#include "engine/data/loader.h"
#include "engine/data/part.h"

#ifdef MOCO_JPEG

struct kind {
    int width, height, channels; /* 1, 3 or 4 */
    int sample;                  /* factors of the first channel, across and down: 11, 21, 22 */
    int progressive, inverted;
};

/* A smooth image with a bright corner at the top left, so that no two orientations are alike. */
static unsigned char value_at(const struct kind *kind, int x, int y, int c)
{
    float u = (float)x / (float)kind->width, v = (float)y / (float)kind->height;
    float value = 60 + 40 * sinf(9 * u + (float)c) + 30 * cosf(7 * v * (1 + u)) +
                  (u + v < 0.5f ? 90 : 0) + (float)((x * 7 + y * 13) % 16);
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* *out for free(). */
static size_t make_jpeg(unsigned char **out, const struct kind *kind, int orientation)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr error;
    unsigned long size = 0;
    unsigned char *row = malloc((size_t)(kind->width * kind->channels));
    unsigned char exif[] = "Exif\0\0MM\0\x2a\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0\0";
    *out = NULL;
    if (!row)
        return 0;
    jpeg.err = jpeg_std_error(&error);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, out, &size);
    jpeg.image_width = (JDIMENSION)kind->width;
    jpeg.image_height = (JDIMENSION)kind->height;
    jpeg.input_components = kind->channels;
    jpeg.in_color_space = kind->channels == 1 ? JCS_GRAYSCALE
                          : kind->channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (kind->channels == 4)
        jpeg_set_colorspace(&jpeg, kind->sample == 22 ? JCS_YCCK : JCS_CMYK);
    jpeg.write_Adobe_marker = kind->inverted || (kind->channels == 4 && kind->sample == 22);
    jpeg.comp_info[0].h_samp_factor = kind->sample / 10;
    jpeg.comp_info[0].v_samp_factor = kind->sample % 10;
    if (kind->progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (orientation) {
        exif[25] = (unsigned char)orientation;
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof exif - 1);
    }
    for (int y = 0; y < kind->height; y++) {
        for (int x = 0; x < kind->width; x++)
            for (int c = 0; c < kind->channels; c++)
                row[x * kind->channels + c] = value_at(kind, x, y, c);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    return size;
}

/* Pixel (r, c) of the turned image comes from (y, x) of the file, by the table of EXIF. */
static void turned(int orientation, int height, int width, int r, int c, int *y, int *x)
{
    int h = height - 1, w = width - 1;
    const int places[9][2] = { { 0, 0 }, { r, c }, { r, w - c }, { h - r, w - c }, { h - r, c },
                               { c, r }, { h - c, r }, { h - c, w - r }, { c, w - r } };
    *y = places[orientation][0];
    *x = places[orientation][1];
}

static void test_orientations(void)
{
    static const struct kind kind = { 50, 30, 3, 22, 0, 0 };
    unsigned char *bytes;
    struct image plain = { 0 }, image = { 0 };
    size_t size = make_jpeg(&bytes, &kind, 0);
    CHECK(decode_in(&plain, bytes, size, 3, "plain.jpg") == MOCO_OK);
    free(bytes);
    for (int o = 1; o <= 8; o++) {
        size = make_jpeg(&bytes, &kind, o);
        CHECK(decode_in(&image, bytes, size, 3, "turned.jpg") == MOCO_OK);
        CHECK(image.height == (o < 5 ? 30 : 50) && image.width == (o < 5 ? 50 : 30));
        int same = 1;
        for (int r = 0; r < image.height; r++)
            for (int c = 0; c < image.width; c++) {
                int y, x;
                turned(o, 30, 50, r, c, &y, &x);
                for (int p = 0; p < 3; p++)
                    same &= image.pixels[(p * image.height + r) * image.width + c] ==
                            plain.pixels[(p * 30 + y) * 50 + x];
            }
        CHECK_MSG(same, "orientation %d", o);
        free(bytes);
    }
    size = make_jpeg(&bytes, &kind, 9);
    CHECK(decode_in(&image, bytes, size, 3, "nine.jpg") == MOCO_OK && image.height == 30);
    free(bytes);
    image_close(&plain);
    image_close(&image);
}

/* Number (c, y, x) of an image, whether it has floats or bytes. */
static float pixel_of(const struct image *image, int c, int y, int x)
{
    int at = y * image->width + x;
    if (image->bytes)
        return (float)((const unsigned char *)image->pixels)[4 * at + c] / 255.0f;
    return image->pixels[c * image->height * image->width + at];
}

static int same_part(const struct image *image, const struct image *whole,
                     const struct part *part)
{
    int same = 1;
    for (int c = 0; c < image->channels; c++)
        for (int y = 0; y < part->height; y++)
            for (int x = 0; x < part->width; x++)
                same &= pixel_of(image, c, y, x) ==
                        pixel_of(whole, c, part->top + y, part->left + x);
    return same;
}

/* Every part, at every scale and orientation, is the bytes of the whole image there. */
static void test_parts(const struct kind *kind, int orientation)
{
    unsigned char *bytes;
    struct image whole = { 0 }, image = { 0 };
    size_t size = make_jpeg(&bytes, kind, orientation);
    struct decode_file file = file_of(bytes, size, "parts.jpg");
    int channels = kind->channels == 1 ? 1 : 3;
    int height = orientation >= 5 ? kind->width : kind->height;
    int width = orientation >= 5 ? kind->height : kind->width;
    for (int divisor = 1; divisor <= 8; divisor *= 2) {
        struct part all = { divisor, 0, 0, height, width, 0 };
        int rc = decode_image(&whole, &file, channels, &all);
        CHECK_MSG(rc == MOCO_OK, "%s", error_text());
        CHECK(all.height == (height + divisor - 1) / divisor && all.divisor == divisor);
        for (int i = 0; i < 24 && rc == MOCO_OK; i++) {
            int top = i * 37 % (height - 1), left = i * 53 % (width - 1);
            struct part part = { divisor, top, left, 1 + i * 29 % (height - top),
                                 1 + i * 41 % (width - left), i % 2 };
            rc = decode_image(&image, &file, channels, &part);
            CHECK_MSG(rc == MOCO_OK, "%s", error_text());
            CHECK(image.height == part.height && image.width == part.width);
            CHECK(part.top == top / divisor && part.left == left / divisor);
            CHECK(image.bytes == (channels == 3 && i % 2));
            int same = rc == MOCO_OK && same_part(&image, &whole, &part);
            CHECK_MSG(same, "%d x %d, %d channels, sampled %d, progressive %d, turned %d: part %d "
                      "%d %d %d at 1/%d", kind->height, kind->width, channels, kind->sample,
                      kind->progressive, orientation, part.top, part.left, part.height, part.width,
                      divisor);
        }
    }
    free(bytes);
    image_close(&whole);
    image_close(&image);
}

/* What was written comes back, whatever the kind of file. */
static void test_kinds(void)
{
    for (int i = 0; i < 24; i++) {
        static const int samples[] = { 11, 21, 22 };
        struct kind kind = { 67, 45, i / 6 % 2 ? 1 : 3, samples[i % 3], i / 3 % 2, 0 };
        struct image image = { 0 };
        unsigned char *bytes;
        double error = 0;
        if (i >= 12)
            kind = (struct kind){ 67, 45, 4, i % 2 ? 22 : 11, i / 2 % 2, i / 4 % 2 };
        size_t size = make_jpeg(&bytes, &kind, 0);
        int channels = kind.channels == 1 ? 1 : 3;
        CHECK(decode_in(&image, bytes, size, channels, "kind.jpg") == MOCO_OK);
        int inverted = kind.inverted || kind.sample == 22;
        for (int c = 0; c < channels && image.pixels; c++)
            for (int y = 0; y < 45; y++)
                for (int x = 0; x < 67; x++) {
                    float want = (float)value_at(&kind, x, y, c) / 255.0f;
                    float black = (float)value_at(&kind, x, y, 3) / 255.0f;
                    if (kind.channels == 4)
                        want = inverted ? want * black : (1 - want) * (1 - black);
                    error += fabs((double)(image.pixels[(c * 45 + y) * 67 + x] - want));
                }
        error /= channels * 45 * 67;
        CHECK_MSG(error < 0.02, "%d channels, sampled %d, progressive %d, inverted %d: off by %g",
                  kind.channels, kind.sample, kind.progressive, kind.inverted, error);
        free(bytes);
        image_close(&image);
    }
}

static void test_jpeg_damage(void)
{
    static const struct kind kind = { 200, 150, 3, 22, 0, 0 }, slow = { 200, 150, 3, 22, 1, 0 };
    unsigned char *bytes;
    struct image image = { 0 };
    for (int progressive = 0; progressive < 2; progressive++) {
        size_t size = make_jpeg(&bytes, progressive ? &slow : &kind, 6);
        for (size_t cut = 0; cut < size; cut += 1 + cut / 3 + (size_t)(cut > size / 2) * 97)
            CHECK_MSG(decode_in(&image, bytes, cut, 3, "cut.jpg") == (cut && cut < 3 ?
                      MOCO_EFORMAT : MOCO_ETRUNCATED), "cut at %zu: %s", cut, error_text());
        CHECK(decode_in(&image, bytes, size - 1, 3, "cut.jpg") == MOCO_ETRUNCATED);
        memset(bytes + size / 2, 0xff, 40); /* markers amid the codes */
        CHECK_MSG(decode_in(&image, bytes, size, 3, "bad.jpg") == MOCO_EDAMAGED, "%s",
                  error_text());
        free(bytes);
    }
    /* A second scan of a progressive file repeated: more scans than any encoder writes. */
    size_t size = make_jpeg(&bytes, &slow, 0), at = size;
    for (size_t i = 0, scans = 0; i + 1 < size && at == size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xda && ++scans == 2)
            at = i;
    size_t end = at + 2;
    while (end + 1 < size && !(bytes[end] == 0xff && bytes[end + 1] && bytes[end + 1] < 0xd0))
        end++; /* DHT of the next */
    size_t piece = end - at;
    unsigned char *many = malloc(size + 200 * piece);
    CHECK(many && end + 1 < size);
    if (many) {
        memcpy(many, bytes, end);
        for (int i = 0; i < 200; i++)
            memcpy(many + end + (size_t)i * piece, bytes + at, piece);
        memcpy(many + end + 200 * piece, bytes + end, size - end);
        CHECK(decode_in(&image, many, size + 200 * piece, 3, "scans.jpg") != MOCO_OK);
        CHECK_MSG(strstr(error_text(), "scans"), "%s", error_text());
    }
    free(many);
    /* A size that is not that of the data: SOF0 is FF C0, length, precision, height, width. */
    for (size_t i = 0; i + 9 < size; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xc2) {
            memset(bytes + i + 5, 0xf0, 4);
            break;
        }
    refuse("large.jpg", bytes, size, "megapixels");
    free(bytes);
    image_close(&image);
}

/* The filler of four bytes a pixel is no alpha. */
static void test_full_alpha(void)
{
    static const struct kind kinds[] = { { 40, 30, 1, 11, 0, 0 }, { 40, 30, 3, 22, 0, 0 },
                                         { 40, 30, 4, 11, 0, 0 } };
    for (int i = 0; i < 3; i++) {
        int channels = i == 0 ? 1 : 3;
        struct image with = { 0 }, without = { 0 };
        unsigned char *bytes;
        size_t size = make_jpeg(&bytes, &kinds[i], 0), plane = 40 * 30;
        CHECK(!decode_in(&with, bytes, size, channels + 1, "a.jpg") &&
              !decode_in(&without, bytes, size, channels, "a.jpg"));
        CHECK(with.channels == channels + 1 &&
              !memcmp(with.pixels, without.pixels, (size_t)channels * plane * sizeof(float)));
        size_t full = 0;
        for (size_t p = 0; p < plane; p++)
            full += with.pixels[(size_t)channels * plane + p] == 1.0f;
        CHECK_MSG(full == plane, "%zu of %zu pixels are full", full, plane);
        free(bytes);
        image_close(&with);
        image_close(&without);
    }
}

/* ---- views of a folder ---- */

enum { FILES = 6, SIDE = 96 };

static void make_folder(char *dir, size_t room)
{
    char path[600];
    const char *base = getenv("TMPDIR");
    snprintf(dir, room, "%.400s/moco-decode-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(dir))
        *dir = '\0';
    for (int i = 0; *dir && i < FILES; i++) {
        const struct kind kind = { 300 + 100 * i, 700 - 90 * i, 3, i % 2 ? 22 : 11, i == 3, 0 };
        unsigned char *bytes;
        size_t size = make_jpeg(&bytes, &kind, i + 1);
        snprintf(path, sizeof path, "%s/%d.jpg", dir, i);
        FILE *file = fopen(path, "wb");
        CHECK(file && fwrite(bytes, 1, size, file) == size);
        if (file)
            fclose(file);
        free(bytes);
    }
}

static void remove_folder(const char *dir)
{
    char path[600];
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%d.jpg", dir, i);
        remove(path);
    }
    remove(dir);
}

static double difference(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)(a[i] - b[i]));
    return sum / (double)n;
}

/* Two views of every image, from parts and from whole images. Equal where the scale is 1. */
static void compare_views(const struct source *source, const struct policy *policy, int *scaled)
{
    static float a[3 * SIDE * SIDE], b[3 * SIDE * SIDE];
    struct image part = { 0 }, whole = { 0 };
    struct augment_scratch scratch = { 0 };
    for (size_t n = 0; n < 20 * FILES; n++) {
        struct rng rng = rng_at(3, RNG_TEST, 0, n);
        struct view views[2], moved[2];
        int height = 0, width = 0, rc = part_size(source, n % FILES, &part, &height, &width);
        for (int i = 0; i < 2; i++)
            augment_draw(&views[i], policy, height, width, &rng);
        memcpy(moved, views, sizeof moved);
        rc = rc ? rc : part_read(source, n % FILES, &part, moved, 2, policy->side);
        rc = rc ? rc : source->read(source, n % FILES, &whole);
        CHECK_MSG(!rc, "%s", error_text());
        CHECK(whole.height == height && whole.width == width);
        for (int i = 0; i < 2 && !rc; i++) {
            int same_scale = moved[i].height == views[i].height && moved[i].width == views[i].width;
            CHECK(moved[i].height >= SIDE || same_scale);
            CHECK(!augment_apply(a, &part, &moved[i], policy, &scratch));
            CHECK(!augment_apply(b, &whole, &views[i], policy, &scratch));
            double off = difference(a, b, sizeof a / sizeof *a);
            CHECK_MSG(same_scale ? off == 0 : off < 0.02, "view %zu: off by %g", n, off);
            *scaled += !same_scale;
        }
    }
    image_close(&part);
    image_close(&whole);
    augment_scratch_close(&scratch);
}

/* What evaluation sees, from the scale that it needs and from whole images. */
static void compare_plain(const struct source *source, const struct policy *policy)
{
    static float a[3 * SIDE * SIDE], b[3 * SIDE * SIDE];
    struct image least = { 0 }, whole = { 0 };
    struct augment_scratch scratch = { 0 };
    int scaled = 0;
    for (size_t n = 0; n < FILES; n++) {
        CHECK_MSG(!part_whole(source, n, &least, policy->side), "%s", error_text());
        CHECK_MSG(!source->read(source, n, &whole), "%s", error_text());
        int shorter = whole.height < whole.width ? whole.height : whole.width;
        int kept = least.height < least.width ? least.height : least.width;
        CHECK(least.bytes && (kept == shorter || kept >= 2 * policy->side));
        CHECK(kept < 4 * policy->side);
        CHECK(!augment_plain(a, &least, policy, &scratch));
        CHECK(!augment_plain(b, &whole, policy, &scratch));
        double off = difference(a, b, sizeof a / sizeof *a);
        CHECK_MSG(kept == shorter ? off == 0 : off < 0.01, "image %zu: off by %g", n, off);
        scaled += kept < shorter;
    }
    CHECK_MSG(scaled > 0 && scaled <= FILES, "%d images were scaled", scaled);
    image_close(&least);
    image_close(&whole);
    augment_scratch_close(&scratch);
}

/* The views of an epoch are the same bytes for any number of workers. */
static void compare_workers(const struct source *source, const struct policy *policy)
{
    static float kept[2][FILES * 3 * SIDE * SIDE];
    for (int workers = 0; workers < 4; workers++) {
        struct loader *loader;
        const struct batch *batch;
        struct loader_config config = { .B = FILES, .parts = 1, .seed = 5, .workers = workers };
        CHECK(!loader_open(&loader, source, policy, &config));
        CHECK_MSG(!loader_next(loader, &batch), "%s", error_text());
        if (batch && workers == 0) {
            memcpy(kept[0], batch->x_q, sizeof kept[0]);
            memcpy(kept[1], batch->x_k, sizeof kept[1]);
        }
        CHECK(batch && !memcmp(kept[0], batch->x_q, sizeof kept[0]) &&
              !memcmp(kept[1], batch->x_k, sizeof kept[1]));
        loader_close(&loader);
    }
}

static void test_views(void)
{
    char dir[512];
    int scaled = 0;
    struct policy policy = { .side = SIDE, .channels = 3, .scale_lo = 0.05f, .scale_hi = 1.0f,
                             .ratio_lo = 0.75f, .ratio_hi = 4.0f / 3.0f, .flip_p = 0.5f,
                             .std = { 1, 1, 1 } };
    struct source *source;
    make_folder(dir, sizeof dir);
    CHECK_MSG(!source_open(&source, dir), "%s", error_text());
    if (source) {
        CHECK(source->count == FILES && source->channels == 3 && !source->note[0]);
        compare_views(source, &policy, &scaled);
        compare_plain(source, &policy);
        CHECK_MSG(scaled > 20 && scaled < 40 * FILES - 20, "%d views were scaled", scaled);
        compare_workers(source, &policy);
    }
    source_close(&source);
    remove_folder(dir);
}

static int test_jpeg(void)
{
    static const int samples[] = { 11, 21, 12, 22 };
    test_views();
    test_orientations();
    test_kinds();
    test_jpeg_damage();
    test_full_alpha();
    for (int i = 0; i < 16; i++) {
        struct kind kind = { 211 + i, 163 + 3 * i, i % 5 == 4 ? 1 : 3, samples[i % 4], i / 8, 0 };
        test_parts(&kind, 1 + i % 8);
    }
    return 1;
}

#else

static int test_jpeg(void)
{
    puts("left out: no libjpeg in this build, so no JPEG is written");
    return 0;
}

#endif

int main(void)
{
    if (!test_jpeg())
        return 77;
    return check_summary("decode_jpeg");
}
