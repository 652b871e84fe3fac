/* safetensors.c: a file of tensors; all that it promises is read. */
#include <stdlib.h>

#include "engine/run/saved/safetensors.h"
#include "tests/fuzz/fuzz.h"

static volatile unsigned sink;

static unsigned add_up(const struct st_tensor *tensor)
{
    size_t bytes = st_type_size(tensor->type);
    unsigned sum = 0;
    for (int i = 0; i < tensor->rank; i++)
        bytes *= tensor->shape[i];
    for (size_t i = 0; i < bytes; i++)
        sum += ((const uint8_t *)tensor->data)[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct st_file *file = NULL;
    if (safetensors_open(&file, fuzz_file(0, data, size)) != 0)
        return 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct st_tensor *tensor = safetensors_at(file, i);
        sink += add_up(tensor);
        if (!safetensors_find(file, tensor->name))
            abort();
    }
    safetensors_meta(file, "step");
    safetensors_close(&file);
    return 0;
}
