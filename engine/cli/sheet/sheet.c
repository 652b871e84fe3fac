/* sheet.c: pictures and text on a white sheet; see sheet.h. */
#include "engine/cli/sheet/sheet.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/cli/sheet/font.h"

enum { GAP = 6, LINES = 6, LINE = FONT_ROWS + 2, LETTER = FONT_COLUMNS + 1, INK = 40 };

static const size_t sheet_max = (size_t)1 << 30; /* bytes */

static int cell_height(int cell)
{
    return cell + GAP + LINES * LINE;
}

int sheet_open(struct sheet *sheet, int rows, int columns, int cell)
{
    uint64_t width = GAP + (uint64_t)columns * (uint64_t)(cell + GAP);
    uint64_t height = GAP + (uint64_t)rows * (uint64_t)(cell_height(cell) + GAP);

    *sheet = (struct sheet){ 0 };
    if (width > INT32_MAX || height > INT32_MAX || width * height > sheet_max / 3)
        return error_set(MOCO_EARG, "a sheet of %d rows of %d pictures of %d x %d pixels would be "
                         "larger than 1 GiB: give a smaller --count, --views or --side", rows,
                         columns, cell, cell);
    sheet->width = (int)width, sheet->height = (int)height, sheet->cell = cell;
    sheet->pixels = malloc((size_t)(width * height * 3));
    if (!sheet->pixels)
        return error_memory("a sheet of pictures", (size_t)(width * height * 3));
    memset(sheet->pixels, 255, (size_t)(width * height * 3));
    return MOCO_OK;
}

void sheet_close(struct sheet *sheet)
{
    free(sheet->pixels);
    *sheet = (struct sheet){ 0 };
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void sheet_channels(int shown[3], int channels)
{
    for (int c = 0; c < 3; c++)
        shown[c] = channels > 4 ? (5 - 2 * c) * channels / 6 : c;
}

int sheet_tone(struct tone *tone, const struct image *image, const int shown[3], int stretch)
{
    size_t plane = (size_t)image->height * (size_t)image->width;
    *tone = (struct tone){ .scale = { 1.0f, 1.0f, 1.0f } };
    sheet_channels(tone->channel, image->channels);
    if (shown)
        memcpy(tone->channel, shown, sizeof tone->channel);
    if (!stretch)
        return MOCO_OK;
    float *sorted = malloc(plane * sizeof *sorted);
    if (!sorted)
        return error_memory("the sorted pixels of an image", plane * sizeof *sorted);
    for (int c = 0; c < 3 && c < image->channels; c++) {
        const float *x = image->pixels + (size_t)tone->channel[c] * plane;
        size_t kept = 0;
        for (size_t i = 0; i < plane; i++)
            if (isfinite(x[i]))
                sorted[kept++] = x[i];
        qsort(sorted, kept, sizeof *sorted, ascending);
        float low = kept ? sorted[kept / 100] : 0.0f;
        float high = kept ? sorted[kept - 1 - kept / 100] : 1.0f;
        if (low == high && low >= 0.0f && low <= 1.0f)
            continue; /* one value of [0, 1] is shown as it is */
        tone->low[c] = low;
        tone->scale[c] = high > low ? 1.0f / (high - low) : 1.0f;
    }
    free(sorted);
    return MOCO_OK;
}

/* The upper left pixel of a cell. */
static unsigned char *cell_at(const struct sheet *sheet, int row, int column)
{
    size_t y = (size_t)GAP + (size_t)row * (size_t)(cell_height(sheet->cell) + GAP);
    size_t x = (size_t)GAP + (size_t)column * (size_t)(sheet->cell + GAP);
    return sheet->pixels + 3 * (y * (size_t)sheet->width + x);
}

/* A part of an axis: pixels from..to-1 become one. */
struct span {
    int from, to;
};

static struct span span_of(int i, int shown, int all)
{
    struct span part = { (int)((int64_t)i * all / shown), (int)((int64_t)(i + 1) * all / shown) };
    if (part.to == part.from)
        part.to++;
    return part;
}

static float mean_of(const float *plane, int width, struct span rows, struct span columns)
{
    double sum = 0.0;
    int n = 0;
    for (int y = rows.from; y < rows.to; y++)
        for (int x = columns.from; x < columns.to; x++) {
            float value = plane[(size_t)y * (size_t)width + (size_t)x];
            sum += isnan(value) ? 0.0 : (double)value;
            n += !isnan(value);
        }
    return n ? (float)(sum / n) : NAN;
}

/* NaN becomes 0. */
static unsigned char byte_of(float x)
{
    return (unsigned char)(x > 0.0f ? x < 1.0f ? x * 255.0f + 0.5f : 255.0f : 0.0f);
}

static void paint(unsigned char *out, const float *values, int channels, const struct tone *tone)
{
    float shown[3] = { 0 };
    for (int c = 0; c < 3 && c < channels; c++)
        shown[c] = (values[c] - tone->low[c]) * tone->scale[c];
    if (channels == 2)
        shown[0] = 0.5f * (shown[0] + shown[1]);
    for (int c = 0; c < 3; c++)
        out[c] = byte_of(shown[channels > 2 ? c : 0]);
}

void sheet_picture(struct sheet *sheet, int row, int column, const float *x, int channels,
                   int height, int width, const struct tone *tone)
{
    unsigned char *cell = cell_at(sheet, row, column);
    int longer = height > width ? height : width;
    int h = (int)((int64_t)sheet->cell * height / longer);
    int w = (int)((int64_t)sheet->cell * width / longer);
    size_t plane = (size_t)height * (size_t)width;
    float values[3] = { 0 };

    h += h == 0, w += w == 0;
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            struct span rows = span_of(i, h, height), columns = span_of(j, w, width);
            for (int c = 0; c < 3 && c < channels; c++)
                values[c] = mean_of(x + (size_t)tone->channel[c] * plane, width, rows, columns);
            paint(cell + 3 * ((size_t)i * (size_t)sheet->width + (size_t)j), values, channels,
                  tone);
        }
}

static void letter(struct sheet *sheet, unsigned char *at, unsigned char code)
{
    const unsigned char *columns = font[code < 128 ? tolower(code) : 0];
    for (int x = 0; x < FONT_COLUMNS; x++)
        for (int y = 0; y < FONT_ROWS; y++)
            if (columns[x] >> y & 1)
                memset(at + 3 * ((size_t)y * (size_t)sheet->width + (size_t)x), INK, 3);
}

void sheet_text(struct sheet *sheet, int row, int column, const char *text)
{
    int room = sheet->cell / LETTER, line = 0, used = 0;
    unsigned char *cell = cell_at(sheet, row, column)
                          + 3 * (size_t)(sheet->cell + GAP) * (size_t)sheet->width;

    while (*text) {
        int length = (int)strcspn(text, " ");
        if (used > 0 && used + length > room)
            line++, used = 0;
        if (line == LINES)
            return;
        for (int i = 0; i < length && used + i < room; i++)
            letter(sheet, cell + 3 * ((size_t)(line * LINE) * (size_t)sheet->width
                                      + (size_t)((used + i) * LETTER)), (unsigned char)text[i]);
        used += length + 1;
        text += length + (text[length] == ' ');
    }
}
