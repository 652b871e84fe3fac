/* packed.c: a packed file. The last byte says which checksums are put right first, else all changes
 * would end at them: 1 those of header, index and texts, 2 those of images. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/data/format/pack.h"
#include "engine/data/format/raw.h"
#include "tests/fuzz/fuzz.h"

static int inside(uint64_t at, uint64_t size, size_t file)
{
    return at <= file && size <= file - at;
}

static void mend_images(uint8_t *bytes, size_t size, uint64_t index, uint64_t count)
{
    uint64_t channels = raw_get(bytes + 60, 4);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *e = bytes + index + i * PACK_ENTRY;
        uint64_t at = raw_get(e, 8), pixels = raw_get(e + 8, 4) * raw_get(e + 12, 4), n;
        uint64_t dtype = raw_get(e + 28, 4);
        if (dtype > DTYPE_F64 || __builtin_mul_overflow(pixels, channels, &n) || n > size)
            continue;
        n *= raw_size((enum source_dtype)dtype);
        if (inside(at, n, size))
            raw_put(e + 20, crc32_z(0, bytes + at, n), 4);
    }
}

static void mend(uint8_t *bytes, size_t size, int how)
{
    uint64_t count = raw_get(bytes + 24, 8), index = raw_get(bytes + 32, 8);
    uint64_t texts = raw_get(bytes + 40, 8), texts_size = raw_get(bytes + 48, 8);
    int tables = count <= size / PACK_ENTRY && inside(index, count * PACK_ENTRY, size);
    if (tables && how & 2)
        mend_images(bytes, size, index, count);
    if (tables && inside(texts, texts_size, size))
        raw_put(bytes + 56, crc32_z(crc32_z(0, bytes + index, count * PACK_ENTRY), bytes + texts,
                                    texts_size), 4);
    raw_put(bytes + 16, size, 8);
    raw_put(bytes + 12, 0, 4);
    raw_put(bytes + 12, crc32_z(0, bytes, PACK_HEADER), 4);
}

/* Parts and names as well; what is opened must keep to the sizes that it gives. */
static void read_parts(const char *spec)
{
    struct source *source = NULL;
    struct image image = { 0 };
    if (source_open(&source, spec) != 0)
        return;
    for (size_t i = 0; i < source->count && i < 8; i++) {
        int h = 0, w = 0;
        source->size(source, i, &h, &w);
        struct part part = { 4, h / 3, w / 4, h - h / 3, w - w / 4, 1 };
        const char *name = source->name(source, i);
        if ((name && strlen(name) > 1 << 16) || source_label(source, i) >= source->classes)
            abort();
        if (source->read_part(source, i, &image, &part) == 0 && image.height != h - h / 3)
            abort();
    }
    image_close(&image);
    source_close(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int how = data[--size];
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    if (how & 1 && size >= PACK_HEADER)
        mend(bytes, size, how);
    char spec[80] = "packed:";
    strcat(spec, fuzz_file(0, bytes, size));
    free(bytes);
    fuzz_source(spec);
    read_parts(spec);
    return 0;
}
