/* npz.c: an .npz file, the array found by itself and by name, plain and as samples of several. */
#include <stdio.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ends[] = { "", ":x,y", ":x:nhwc", ":x:views" };
    char spec[200];
    const char *path = fuzz_file(0, data, size);
    for (int i = 0; i < 4; i++) {
        snprintf(spec, sizeof spec, "npz:%s%s", path, ends[i]);
        fuzz_source(spec);
    }
    return 0;
}
