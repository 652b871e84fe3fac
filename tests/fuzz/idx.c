/* idx.c: an IDX file, plain or gzip, as images, and as labels of two images. */
#include <stdio.h>

#include "tests/fuzz/fuzz.h"

static const uint8_t images[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char spec[200];
    const char *path = fuzz_file(0, data, size);
    snprintf(spec, sizeof spec, "idx:%s", path);
    fuzz_source(spec);
    snprintf(spec, sizeof spec, "idx:%s,%s", fuzz_file(1, images, sizeof images), path);
    fuzz_source(spec);
    fuzz_source(path);
    return 0;
}
