/* case.c: reads a case's folder and collects what the engine produced; see parity.h. */
#include "tests/parity/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

void *room(size_t bytes)
{
    void *memory = calloc(1, bytes + 1);
    if (!memory) {
        fprintf(stderr, "parity: out of memory\n");
        exit(2);
    }
    return memory;
}

void path_of(char *out, const struct replay *r, const char *file)
{
    snprintf(out, PATH, "%s/%s", r->dir, file);
}

cJSON *read_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    cJSON *json = NULL;

    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = room(size > 0 ? (size_t)size : 0);
    if (size > 0 && fread(text, 1, (size_t)size, file) == (size_t)size)
        json = cJSON_Parse(text);
    free(text);
    fclose(file);
    return json;
}

int read_array(struct npy *npy, const struct replay *r, const char *file, char kind,
                      size_t item, size_t count)
{
    char path[PATH];

    path_of(path, r, file);
    if (npy_read(npy, path))
        return error_set(MOCO_EFORMAT, "%s is not there, or not an array that can be read", path);
    if (npy->kind == kind && npy->item == item && (!count || npy->count == count))
        return MOCO_OK;
    error_set(MOCO_EFORMAT, "%s has %zu numbers %c%zu, not %zu of %c%zu", path, npy->count,
              npy->kind, npy->item, count, kind, item);
    npy_close(npy);
    return MOCO_EFORMAT;
}

double number(const struct replay *r, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(r->config, key));
}

int flag(const struct replay *r, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(r->config, key));
}

const char *word(const struct replay *r, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r->config, key));
    return text ? text : "";
}

double per_step(const struct replay *r, const char *key, int step)
{
    return cJSON_GetNumberValue(
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(r->json, key), step));
}

/* ---- what the engine produced ---- */

double *got_row(struct replay *r, const char *prefix, const char *name, size_t row,
                       size_t rows, size_t count)
{
    struct got *g = r->got;
    char full[NAME];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    while (g < r->got + r->got_count && strcmp(g->name, full))
        g++;
    if (g == r->got + r->got_count) {
        if (r->got_count++ == QUANTITIES) {
            fprintf(stderr, "parity: more than %d quantities\n", QUANTITIES);
            exit(2);
        }
        memcpy(g->name, full, sizeof full);
        g->rows = rows;
        g->count = count;
        g->data = room(rows * count * sizeof(double));
    }
    return g->data + row * count;
}

void put_floats(struct replay *r, const char *prefix, const char *name, size_t row,
                       size_t rows, const float *from, size_t count)
{
    double *to = got_row(r, prefix, name, row, rows, count);
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
}

void put_ints(struct replay *r, const char *name, size_t row, size_t rows,
                     const int64_t *from, size_t count)
{
    double *to = got_row(r, "", name, row, rows, count);
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
}

void put_figure(struct replay *r, const char *name, size_t row, size_t rows, double value)
{
    *got_row(r, "", name, row, rows, 1) = value;
}
