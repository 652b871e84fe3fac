/* npy.c: an .npy file as images, as samples of several images, and as labels of two images. */
#include <stdio.h>

#include "tests/fuzz/fuzz.h"

static const uint8_t images[] = "\x93NUMPY\1\0\x40\0{'descr': '|u1', 'fortran_order': False, "
                                "'shape': (2, 1, 1), }    \n\1\2";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char spec[200];
    const char *path = fuzz_file(0, data, size);
    snprintf(spec, sizeof spec, "npy:%s", path);
    fuzz_source(spec);
    snprintf(spec, sizeof spec, "npy:%s:nhwc", path);
    fuzz_source(spec);
    snprintf(spec, sizeof spec, "npy:%s,%s:views", path, fuzz_file(1, images, sizeof images - 1));
    fuzz_source(spec);
    snprintf(spec, sizeof spec, "npy:%s,%s", fuzz_file(1, images, sizeof images - 1), path);
    fuzz_source(spec);
    return 0;
}
