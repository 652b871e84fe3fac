/* draw.c: inputs for the shell scripts of this folder, a file a call.
 *
 *   draw png FILE HxWxC LEVELS [SPREAD [SEED]]     LEVELS: one, or one a channel: 200,40,40
 *   draw npy FILE DTYPE N,C,H,W LEVEL [SPREAD [SEED]]   DTYPE: u1 u2 i2 f4 f8; any number of sizes
 *   draw labels FILE N CLASSES                     i8, image i has label i % CLASSES
 *   draw head FILE N                               cuts the file to its first N bytes
 *   draw weights FROM TO PREFIX all|backbone|nan|large   see draw_weights.c
 *
 * A number is its level and uniform noise up to SPREAD on both sides; equal calls write equal
 * files. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/rng.h"
#include "tests/stb_write.h"
#include "tests/field/draw_weights.h"

static int usage(void)
{
    fprintf(stderr, "draw weights FROM TO PREFIX all|backbone|nan|large | "
                    "png FILE HxWxC LEVELS [SPREAD [SEED]] | npy FILE DTYPE SIZES LEVEL "
                    "[SPREAD [SEED]] | labels FILE N CLASSES | head FILE N\n");
    return 2;
}

static double noisy(struct rng *rng, double level, double spread)
{
    return level + spread * (2.0 * rng_uniform(rng) - 1.0);
}

static int draw_png(const char *file, const char *size, const char *levels, double spread,
                    uint64_t seed)
{
    int h, w, channels, n = 0;
    double level[4];
    if (sscanf(size, "%dx%dx%d", &h, &w, &channels) != 3 || channels < 1 || channels > 4)
        return usage();
    for (const char *at = levels; n < 4; n++) {
        char *end;
        level[n] = strtod(at, &end);
        if (*end != ',') {
            n++;
            break;
        }
        at = end + 1;
    }
    struct rng rng = rng_at(seed, RNG_TEST, 0, 0);
    unsigned char *pixels = malloc((size_t)h * (size_t)w * (size_t)channels);
    for (int i = 0; pixels && i < h * w * channels; i++) {
        double value = noisy(&rng, level[i % channels < n ? i % channels : 0], spread);
        pixels[i] = (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    int ok = pixels && stbi_write_png(file, w, h, channels, pixels, w * channels);
    free(pixels);
    return !ok;
}

static void put(FILE *file, const char *dtype, double value)
{
    uint8_t u1 = (uint8_t)value;
    uint16_t u2 = (uint16_t)value;
    int16_t i2 = (int16_t)value;
    float f4 = (float)value;
    const void *at = !strcmp(dtype, "u1")   ? (const void *)&u1
                     : !strcmp(dtype, "u2") ? (const void *)&u2
                     : !strcmp(dtype, "i2") ? (const void *)&i2
                     : !strcmp(dtype, "f4") ? (const void *)&f4
                                            : (const void *)&value;
    fwrite(at, (size_t)(dtype[1] - '0'), 1, file);
}

/* The preamble of a .npy; little-endian machines only, as the tests are. */
static FILE *begin_npy(const char *path, const char *dtype, const char *shape)
{
    char text[256];
    FILE *file = fopen(path, "wb");
    int n = snprintf(text, sizeof text,
                     "{'descr': '%s%s', 'fortran_order': False, 'shape': (%s,), }",
                     dtype[1] == '1' ? "|" : "<", dtype, shape);
    int room = 64 - (10 + n + 1) % 64;
    unsigned short length = (unsigned short)(n + room + 1);
    if (!file)
        return NULL;
    fwrite("\x93NUMPY\1", 1, 8, file);
    fwrite(&length, 2, 1, file);
    fprintf(file, "%s%*s\n", text, room, "");
    return file;
}

static int draw_npy(const char *path, const char *dtype, const char *shape, double level,
                    double spread, uint64_t seed)
{
    size_t count = 1;
    for (const char *at = shape; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        count *= strtoul(at, NULL, 10);
    FILE *file = begin_npy(path, dtype, shape);
    struct rng rng = rng_at(seed, RNG_TEST, 0, 0);
    for (size_t i = 0; file && i < count; i++)
        put(file, dtype, noisy(&rng, level, spread));
    return !file || fclose(file) != 0;
}

static int draw_labels(const char *path, size_t n, size_t classes)
{
    char shape[32];
    snprintf(shape, sizeof shape, "%zu", n);
    FILE *file = classes ? begin_npy(path, "i8", shape) : NULL;
    for (size_t i = 0; file && i < n; i++) {
        int64_t label = (int64_t)(i % classes);
        fwrite(&label, sizeof label, 1, file);
    }
    return !file || fclose(file) != 0;
}

static double number(int argc, char **argv, int i)
{
    return i < argc ? strtod(argv[i], NULL) : 0.0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && !strcmp(argv[1], "png"))
        return draw_png(argv[2], argv[3], argv[4], number(argc, argv, 5),
                        (uint64_t)number(argc, argv, 6));
    if (argc >= 6 && !strcmp(argv[1], "npy"))
        return draw_npy(argv[2], argv[3], argv[4], number(argc, argv, 5), number(argc, argv, 6),
                        (uint64_t)number(argc, argv, 7));
    if (argc == 5 && !strcmp(argv[1], "labels"))
        return draw_labels(argv[2], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    if (argc == 6 && !strcmp(argv[1], "weights"))
        return draw_weights(argv[2], argv[3], argv[4], argv[5]);
    if (argc == 4 && !strcmp(argv[1], "head"))
        return truncate(argv[2], strtol(argv[3], NULL, 10)) != 0;
    return usage();
}
