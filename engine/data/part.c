/* part.c: the least scale, the rectangle, the crops in it; see part.h. */
#include "engine/data/part.h"

int part_size(const struct source *source, size_t index, struct image *image, int *height,
              int *width)
{
    if (source->read_part)
        return source->size(source, index, height, width);
    int rc = source->read(source, index, image);
    *height = image->height;
    *width = image->width;
    return rc;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* The largest of 8, 4, 2, 1 that leaves `side` rows and columns or more of (height, width). */
static int divisor_of(int height, int width, int side)
{
    int divisor = 8;
    while (divisor > 1 && smaller(height, width) / divisor < side)
        divisor /= 2;
    return divisor;
}

/* The rectangle around all crops, and the largest divisor that leaves each `side` or more. */
static struct part around(const struct view *views, int count, int side)
{
    struct part part = { .divisor = 8, .top = views->top, .left = views->left, .bytes = 1 };
    int bottom = 0, right = 0;
    for (int i = 0; i < count; i++) {
        const struct view *v = &views[i];
        part.divisor = smaller(part.divisor, divisor_of(v->height, v->width, side));
        part.top = smaller(part.top, v->top);
        part.left = smaller(part.left, v->left);
        bottom = larger(bottom, v->top + v->height);
        right = larger(right, v->left + v->width);
    }
    part.height = bottom - part.top;
    part.width = right - part.left;
    return part;
}

/* Both edges are rounded alike: a crop of `side` times the divisor keeps `side` at least. */
static void move_axis(int *from, int *count, int divisor, int origin)
{
    int end = (*from + *count + divisor / 2) / divisor;
    *from = (*from + divisor / 2) / divisor;
    *count = end - *from;
    *from -= origin;
}

int part_read(const struct source *source, size_t index, struct image *image, struct view *views,
              int count, int side)
{
    if (!source->read_part)
        return 0;
    struct part part = around(views, count, side);
    int rc = source->read_part(source, index, image, &part);
    for (int i = 0; i < count && !rc; i++) {
        move_axis(&views[i].top, &views[i].height, part.divisor, part.top);
        move_axis(&views[i].left, &views[i].width, part.divisor, part.left);
    }
    return rc;
}

int part_whole(const struct source *source, size_t index, struct image *image, int side)
{
    struct part part = { .divisor = 1, .bytes = 1 };
    if (!source->read_part)
        return source->read(source, index, image);
    int rc = source->size(source, index, &part.height, &part.width);
    part.divisor = divisor_of(part.height, part.width, 2 * side);
    return rc ? rc : source->read_part(source, index, image, &part);
}
