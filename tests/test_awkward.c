/* test_awkward.c: image files of others, most of them awkward.
 *
 * With the folder of -Ddata_dir: each file of images_manifest.csv below awkward/ against what
 * another decoder made of it: its verdict, its pixels by hash, its means by channel. What differs
 * must be explained by a row of `explained`, or the test fails (JPEGs of a build without libjpeg
 * are only listed). */
#define _GNU_SOURCE
#include "engine/base/sha256.h"
#include "tests/decode.h"

enum { FIELDS = 14, LINE = 1024 };

/* Where this decoder and the other differ, and why. A row is for paths that begin so and for
 * refusals whose sentence has `part` in it; without one the file is decoded here. */
static const struct {
    const char *path, *part, *why;
} explained[] = {
    { "awkward/fuzz-png/", "cut off", "ends before its IEND" },
    { "awkward/pillow/truncated_end_chunk.png", "cut off", "ends before its IEND" },
    { "awkward/pngsuite/xcsn0g01.png", "checksum", "the CRC of IDAT is wrong" },
    { "awkward/image-png/bugfixes/x_interlaced_chck.png", "checksum", "the CRC of IDAT is wrong" },
    { "awkward/pillow/broken_data_stream.png", "checksum", "the CRC of IDAT is wrong" },
    { "awkward/fuzz-jpeg/", "premature end", "pixels are missing" },
    { "awkward/jpeg-decoder/crash/its/", "premature end", "pixels are missing" },
    { "awkward/jpeg-decoder/crash/its/8e5e", "promises more", "pixels are missing" },
    { "awkward/jpeg-decoder/ref/partial_progressive.jpg", "premature end", "pixels are missing" },
    { "awkward/jpeg-decoder/ref/progressive-missing-dc.jpg", "progression",
      "refines what no scan began" },
    { "awkward/pillow/hopper_bad_exif.jpg", "Huffman", "its data have a code of no meaning" },
    { "awkward/image-png/bugfixes/cicp_pq.png", NULL, "only the CRC of a text is wrong" },
    { "awkward/pillow/unknown_compression_method.png", NULL, "only the CRC of a profile is wrong" },
    { "awkward/pillow/png_decompression_dos.png", NULL, "texts, however large, are not unpacked" },
};

struct row {
    char *path, *verdict, *format, *mode, *mean, *hash;
};

static int split(struct row *row, char *line)
{
    char *field[FIELDS];
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; n < FIELDS; n++) {
        field[n] = at;
        char *comma = strchr(at, ',');
        if (!comma) {
            n++;
            break;
        }
        *comma = '\0';
        at = comma + 1;
    }
    if (n != FIELDS)
        return 0;
    *row = (struct row){ field[0], field[4], field[5], field[6], field[12], field[13] };
    return 1;
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    unsigned char *bytes = NULL;
    if (!stream)
        return NULL;
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    bytes = malloc(*size + 1);
    if (bytes && fread(bytes, 1, *size, stream) != *size)
        *size = 0;
    fclose(stream);
    return bytes;
}

static int same_hash(const struct image *image, int deep, const char *want)
{
    size_t plane = (size_t)image->height * (size_t)image->width;
    unsigned char *rgb = malloc(3 * plane);
    char text[SHA256_TEXT];
    if (!rgb)
        return 0;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++) {
            long value = lrintf(image->pixels[c * plane + i] * (deep ? 65535.0f : 255.0f));
            rgb[3 * i + c] = (unsigned char)(deep ? value >> 8 : value);
        }
    sha256_text(text, rgb, 3 * plane);
    free(rgb);
    return strlen(want) == 16 && !strncmp(text, want, 16);
}

/* Largest difference of a channel's mean, in steps of 8 bits. */
static double mean_error(const struct image *image, const char *want)
{
    double mean[3] = { 0 }, most = 0;
    size_t plane = (size_t)image->height * (size_t)image->width;
    if (sscanf(want, "%lf %lf %lf", &mean[0], &mean[1], &mean[2]) != 3)
        return 0;
    for (size_t c = 0; c < 3; c++) {
        double sum = 0;
        for (size_t i = 0; i < plane; i++)
            sum += (double)image->pixels[c * plane + i];
        most = fmax(most, fabs(255 * sum / (double)plane - mean[c]));
    }
    return most;
}

static int explain(const char *path, int decoded, const char *what)
{
#ifndef MOCO_JPEG
    if (!strcmp(path + strlen(path) - 4, ".jpg")) { /* damage is told by libjpeg alone */
        printf("  %-66s %s: stb_image judges it otherwise\n", path + 8, what);
        return 1;
    }
#endif
    for (size_t i = 0; i < sizeof explained / sizeof *explained; i++) {
        const char *part = explained[i].part;
        if (strncmp(path, explained[i].path, strlen(explained[i].path)) || decoded != !part ||
            (part && !strstr(error_text(), part)))
            continue;
        printf("  %-66s %s: %s\n", path + 8, what, explained[i].why);
        return 1;
    }
    printf("  %-66s %s: UNEXPLAINED (%s)\n", path + 8, what, decoded ? "decoded" : error_text());
    return 0;
}

struct tally {
    int both, here, there, neither, hashes, means;
};

static void compare(struct tally *tally, const struct row *row, const char *dir)
{
    char path[LINE * 2], what[64];
    struct decode_header header;
    struct image image = { 0 };
    size_t size = 0;
    snprintf(path, sizeof path, "%s/%s", dir, row->path);
    unsigned char *bytes = read_file(path, &size);
    CHECK_MSG(bytes, "%s cannot be read", path);
    if (!bytes)
        return;
    struct decode_file file = file_of(bytes, size, row->path);
    int rc = decode_header(&header, &file);
    if (rc == MOCO_OK)
        rc = decode_in(&image, bytes, size, 3, row->path);
    int ok = rc == MOCO_OK, other = !strcmp(row->verdict, "ok");
    *(ok ? other ? &tally->both : &tally->here : other ? &tally->there : &tally->neither) += 1;
    CHECK_MSG(ok == other || explain(row->path, ok, ok ? "decoded here only" : "refused here only"),
              "%s: the verdicts differ", row->path);
    if (ok && other && *row->hash) {
        tally->hashes++;
        CHECK_MSG(same_hash(&image, header.deep, row->hash) || explain(row->path, 1, "pixels"),
                  "%s: other pixels", row->path);
    } else if (ok && other && *row->mean) {
        double error = mean_error(&image, row->mean);
        tally->means++;
        snprintf(what, sizeof what, "means differ by %.2f", error);
        CHECK_MSG(error < 0.7 || explain(row->path, 1, what), "%s: %s", row->path, what);
    }
    free(bytes);
    image_close(&image);
}

/* 0 without a manifest. */
static int test_awkward(const char *dir)
{
    char path[LINE], line[LINE];
    struct tally tally = { 0 };
    struct row row;
    snprintf(path, sizeof path, "%s/images_manifest.csv", dir);
    FILE *manifest = fopen(path, "r");
    if (!manifest)
        return 0;
    puts("differences from the other decoder:");
    while (fgets(line, sizeof line, manifest))
        if (!strncmp(line, "awkward/", 8) && split(&row, line))
            compare(&tally, &row, dir);
    fclose(manifest);
    printf("awkward files: %d decoded by both, %d refused by both, %d decoded here only, "
           "%d refused here only; %d compared by hash, %d by mean\n", tally.both, tally.neither,
           tally.here, tally.there, tally.hashes, tally.means);
    CHECK(tally.both + tally.neither > 0);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 2 || !test_awkward(argv[1])) {
        puts("left out: no -Ddata_dir was given, or no images_manifest.csv lies there");
        return 77;
    }
    return check_summary("awkward");
}
