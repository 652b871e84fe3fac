/* jpeg.c: JPEG files for the augmentation's benchmark, by stb_image_write (public domain), whose
 * warnings are not ours. Quality 90 stores colour at half resolution, as cameras do. */
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#endif

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

#include "bench/bench.h"

int bench_write_jpeg(const char *path, const unsigned char *pixels, int width, int height)
{
    return stbi_write_jpg(path, width, height, 3, pixels, 90) ? 0 : -1;
}
