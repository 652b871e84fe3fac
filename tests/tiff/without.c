/* without.c: test_tiff of a build without libtiff. */
#include "tests/without.h"

int main(void)
{
    return without_library(&(struct without){ .kind = "tiff", .name = "a.tif", .rest = "",
                                              .bytes = "II*\0\10\0\0\0", .size = 8, .folders = 1,
                                              .library = "libtiff", .package = "libtiff-dev" });
}
