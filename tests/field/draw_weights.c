/* draw_weights.c: the tensors of a weights file of moco as others would keep them: every name
 * behind a prefix, no metadata. kind: all of them; backbone, without fc; nan, one number of layer3
 * is none; large, one of its layers adds what a float just holds. */
#include "tests/field/draw_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/safetensors.h"

enum { NAME = 200 };

/* The first `count` numbers become `value`. */
static void spoil(struct st_tensor *t, float *room, size_t count, float value)
{
    if (!room)
        return;
    memcpy(room, t->data, safetensors_bytes(t));
    for (size_t i = 0; i < count; i++)
        room[i] = value;
    t->data = room;
}

int draw_weights(const char *from, const char *to, const char *prefix, const char *kind)
{
    struct st_file *file;
    if (safetensors_open(&file, from)) {
        fprintf(stderr, "%s\n", error_text());
        return 1;
    }
    size_t n = safetensors_count(file), kept = 0;
    struct st_tensor *tensors = calloc(n, sizeof *tensors);
    char (*names)[NAME] = calloc(n, sizeof *names);
    float *room = NULL;
    for (size_t i = 0; tensors && names && i < n; i++) {
        const struct st_tensor *t = safetensors_at(file, i);
        if (!strcmp(kind, "backbone") && !strncmp(t->name, "fc.", 3))
            continue;
        snprintf(names[kept], NAME, "%s%s", prefix, t->name);
        tensors[kept] = *t;
        tensors[kept].name = names[kept];
        if (!strcmp(kind, "nan") && !strcmp(t->name, "layer3.0.bn1.bias"))
            spoil(&tensors[kept], room = malloc(safetensors_bytes(t)), 1, NAN);
        if (!strcmp(kind, "large") && !strcmp(t->name, "layer3.0.bn1.bias"))
            spoil(&tensors[kept], room = malloc(safetensors_bytes(t)), t->shape[0], 3e38f);
        kept++;
    }
    int rc = tensors && names ? safetensors_write(to, tensors, kept, NULL, 0) : MOCO_ENOMEM;
    free(room);
    free(names);
    free(tensors);
    safetensors_close(&file);
    return rc != MOCO_OK;
}
