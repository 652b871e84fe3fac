/* config.c: a file of settings; what it sets is printed again. */
#include "engine/run/config/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    char text[5000];
    size_t count;
    const struct setting *rows = config_settings(&count);
    config_default(&config);
    if (config_read(&config, fuzz_file(0, data, size)) == 0)
        for (size_t i = 0; i < count; i++)
            config_text(text, sizeof text, &config, &rows[i]);
    return 0;
}
