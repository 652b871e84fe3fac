/* compare.c: what the engine produced beside what was recorded. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/safetensors.h"
#include "tests/parity/parity.h"

enum { FAILURES_SHOWN = 8 };

static double expected_at(const struct st_tensor *t, size_t i)
{
    const char *at = t->data;
    double d;
    float f;
    int64_t n;

    if (t->type == ST_F32) {
        memcpy(&f, at + i * sizeof f, sizeof f);
        return (double)f;
    }
    if (t->type == ST_I64) {
        memcpy(&n, at + i * sizeof n, sizeof n);
        return (double)n;
    }
    memcpy(&d, at + i * sizeof d, sizeof d);
    return d;
}

/* RMS difference of one leading index; infinite where the two can not be compared. */
static double difference(const struct got *g, const cJSON *value, const struct st_tensor *t,
                         size_t row, size_t stride)
{
    size_t count = (g->count + stride - 1) / stride, stored = value || (t && !t->rank) ? 1 : 0;
    double sum = 0;

    if (t && t->rank > 0) {
        stored = t->shape[0] == g->rows ? 1 : 0;
        for (int i = 1; i < t->rank; i++)
            stored *= t->shape[i];
    }
    if (stored != count || row >= g->rows)
        return INFINITY;
    for (size_t i = 0; i < count; i++) {
        double want = value ? cJSON_GetNumberValue(cJSON_GetArrayItem(value, (int)row))
                            : expected_at(t, row * count + i);
        double d = g->data[row * g->count + i * stride] - want;
        sum += d * d;
    }
    sum = sqrt(sum / (double)count);
    return isnan(sum) ? INFINITY : sum;
}

static double share_of(double difference, double tol)
{
    return difference <= 0 ? 0 : tol > 0 ? difference / tol : INFINITY;
}

static const struct got *find_got(const struct replay *r, const char *name)
{
    for (size_t i = 0; i < r->got_count; i++)
        if (!strcmp(r->got[i].name, name))
            return &r->got[i];
    return NULL;
}

static void compare_quantity(struct verdict *v, const struct replay *r, const struct st_file *file,
                             const cJSON *entry)
{
    const struct got *g = find_got(r, entry->string);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(entry, "value");
    const cJSON *tol = cJSON_GetObjectItemCaseSensitive(entry, "tol");
    const cJSON *stride = cJSON_GetObjectItemCaseSensitive(entry, "stride");
    const struct st_tensor *t = value ? NULL : safetensors_find(file, entry->string);
    size_t step = cJSON_IsNumber(stride) && stride->valuedouble >= 1 ? (size_t)stride->valuedouble
                                                                    : 1;
    int rows = cJSON_GetArraySize(tol), at = 0;
    int usable = g && (value || t) && rows > 0 && (size_t)rows == g->rows;
    double worst = usable ? -1 : INFINITY, apart = INFINITY;

    for (int i = 0; i < rows && usable; i++) {
        double d = difference(g, value, t, (size_t)i, step);
        double share = share_of(d, r->options->factor *
                                       cJSON_GetNumberValue(cJSON_GetArrayItem(tol, i)));
        if (share > worst)
            worst = share, apart = d, at = i;
    }
    v->quantities++;
    v->failed += !(worst <= 1);
    if (worst > v->worst || v->quantities == 1) {
        v->worst = worst;
        snprintf(v->name, sizeof v->name, "%s[%d]", entry->string, at);
    }
    if (!r->options->list && (worst <= 1 || v->failed > FAILURES_SHOWN))
        return;
    printf("    %-6s %-44s [%d] off by %.3g, %.3g of the tolerance%s\n",
           worst <= 1 ? "ok" : "FAILED", entry->string, at, apart, worst,
           usable ? "" : " (missing)");
}

int compare(struct verdict *v, const struct replay *r)
{
    const cJSON *expect = cJSON_GetObjectItemCaseSensitive(r->json, "expect"), *entry;
    struct st_file *file = NULL;
    char path[PATH];
    int err;

    path_of(path, r, "expect.safetensors");
    err = safetensors_open(&file, path);
    if (err)
        return err;
    cJSON_ArrayForEach(entry, expect)
        compare_quantity(v, r, file, entry);
    safetensors_close(&file);
    return v->quantities ? MOCO_OK : error_set(MOCO_EFORMAT, "%s expects nothing", r->dir);
}
