/* png.c: writing a PNG by stb_image_write (public domain), whose warnings are not ours. */
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

#include "engine/cli/sheet/sheet.h"
#include "engine/base/error.h"
#include "engine/base/replace.h"

struct png {
    struct replace file;
    int rc;
};

static void take(void *context, void *data, int size)
{
    struct png *png = context;
    if (!png->rc)
        png->rc = replace_write(&png->file, data, (size_t)size);
}

int sheet_write(const struct sheet *sheet, const char *path)
{
    struct png png = { 0 };
    int rc = replace_open(&png.file, path);
    if (rc)
        return rc;
    if (!stbi_write_png_to_func(take, &png, sheet->width, sheet->height, 3, sheet->pixels, 0))
        png.rc = error_memory("a compressed PNG", (size_t)sheet->width * (size_t)sheet->height * 3);
    if (png.rc)
        replace_abort(&png.file);
    return png.rc ? png.rc : replace_commit(&png.file);
}
