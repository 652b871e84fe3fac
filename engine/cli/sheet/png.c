/* png.c: writing a PNG. */
#include "engine/cli/sheet/sheet.h"
#include "engine/base/error.h"
#include "engine/base/replace.h"
#include "engine/base/stb_write.h"

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
