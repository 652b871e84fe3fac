/* shape.c: medians of sizes; see shape.h. */
#include "engine/data/shape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/error.h"

enum { READ_MAX = 64, PIXELS_SIDE = 224 };

static int ascending(const void *a, const void *b)
{
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static int median(int *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return values[n / 2];
}

/* Sizes are 0 where the image cannot be read; what this process lacks is an error. */
static int look(int *height, int *width, const struct source *source, size_t index,
                struct image *image)
{
    int rc;
    *height = *width = 0;
    if (source->size) {
        rc = source->size(source, index, height, width);
    } else {
        rc = source->read(source, index, image);
        *height = rc ? 0 : image->height;
        *width = rc ? 0 : image->width;
    }
    return rc && source_is_bad(rc) ? MOCO_OK : rc;
}

static int is_elongated(int height, int width)
{
    int64_t shorter = height < width ? height : width;
    return 2 * shorter * shorter < (int64_t)height * width;
}

static int measure(struct shape *out, const struct source *source, int *sides, size_t most)
{
    struct image image = { 0 };
    int *heights = sides, *widths = sides + most, *shorter = widths + most;
    size_t n = 0, elongated = 0;
    int rc = MOCO_OK;
    for (size_t i = 0; i < most && !rc; i++) {
        size_t index = source->size ? i : i * source->count / most;
        int height, width;
        rc = look(&height, &width, source, index, &image);
        if (rc || height <= 0)
            continue;
        heights[n] = height;
        widths[n] = width;
        elongated += (size_t)is_elongated(height, width);
        shorter[n++] = height < width ? height : width;
    }
    image_close(&image);
    if (n)
        *out = (struct shape){ median(heights, n), median(widths, n), median(shorter, n),
                               2 * elongated >= n };
    return rc;
}

int shape_of(struct shape *out, const struct source *source)
{
    int height = source->height, width = source->width;
    *out = (struct shape){ 0 };
    if (height > 0 && width > 0) {
        *out = (struct shape){ height, width, height < width ? height : width,
                               is_elongated(height, width) };
        return MOCO_OK;
    }
    size_t most = source->size || source->count < READ_MAX ? source->count : READ_MAX;
    int *sides = malloc((3 * most + 1) * sizeof *sides);
    if (!sides)
        return error_memory("sizes of images", 3 * most * sizeof *sides);
    int rc = measure(out, source, sides, most);
    free(sides);
    return rc;
}

void shape_square(struct policy *policy, const struct shape *shape)
{
    policy->plain_height = policy->plain_width = shape->elongated ? policy->side : 0;
}

void shape_pixels(struct policy *policy, const struct shape *shape)
{
    double pixels = (double)shape->height * shape->width;
    double scale = sqrt((double)PIXELS_SIDE * PIXELS_SIDE / pixels);
    policy->plain_height = policy->plain_width = 0;
    if (!shape->elongated)
        return;
    scale = scale < 1.0 ? scale : 1.0;
    policy->plain_height = (int)fmax(1.0, floor(shape->height * scale));
    policy->plain_width = (int)fmax(1.0, floor(shape->width * scale));
}

void shape_text(char *out, size_t size, const struct shape *shape, const struct source *source)
{
    int wide = shape->width > shape->height;
    if (size)
        out[0] = '\0';
    if (shape->elongated)
        snprintf(out, size, "images of %.300s have %d x %d pixels (height x width%s): a square "
                 "shows %d of %d %s", source->where, shape->height, shape->width,
                 source->height ? "" : ", medians", shape->shorter,
                 wide ? shape->width : shape->height, wide ? "columns" : "rows");
}
