/* jpeg.c: JPEG files for the augmentation's benchmark. Quality 90 stores colour at half resolution,
 * as cameras do. */
#include "bench/bench.h"
#include "tests/stb_write.h"

int bench_write_jpeg(const char *path, const unsigned char *pixels, int width, int height)
{
    return stbi_write_jpg(path, width, height, 3, pixels, 90) ? 0 : -1;
}
