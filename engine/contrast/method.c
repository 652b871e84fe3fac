/* method.c: the table of methods.
 *
 * The one place that lists them all: `--method`, the configuration and the checkpoint find a
 * method here by its name. A new one is a line in the table and a file beside this one. */
#include "engine/contrast/method.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"

static const struct method *const methods[] = {
    &method_moco, &method_moco_v3, &method_memory_bank, &method_end_to_end, &method_parametric,
    &method_margin, &method_semi_supervised,
};

enum { METHODS = sizeof methods / sizeof methods[0] };

const struct method *const *method_list(size_t *count)
{
    *count = METHODS;
    return methods;
}

const struct method *method_named(const char *name)
{
    char known[256] = "";
    size_t used = 0;

    for (size_t i = 0; i < METHODS; i++)
        if (name && strcmp(name, methods[i]->name) == 0)
            return methods[i];
    for (size_t i = 0; i < METHODS && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 methods[i]->name);
    error_set(MOCO_EARG, "unknown method \"%s\"; known are %s", name ? name : "", known);
    return NULL;
}
