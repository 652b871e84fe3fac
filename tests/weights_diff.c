/* weights_diff.c: how far two files of tensors are apart: runs of two machines, or of two ways to
 * compute. Tensors of integers (counts, states of random numbers) must be equal.
 *
 * Usage: weights_diff A B BOUND. Of each tensor of floats the distance is |a - b| / |a|, by the
 * Euclidean norm; the largest is printed. Ends with 1 where it is above BOUND, or where names,
 * shapes or integers differ. A bound of 0 asks for equal bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/safetensors.h"

static size_t numbers(const struct st_tensor *t)
{
    size_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= t->shape[d];
    return n;
}

static int alike(const struct st_tensor *a, const struct st_tensor *b)
{
    return b && a->type == b->type && a->rank == b->rank &&
           !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

static double distance(const struct st_tensor *a, const struct st_tensor *b)
{
    const float *x = a->data, *y = b->data;
    double apart = 0, size = 0;
    for (size_t i = 0; i < numbers(a); i++) {
        apart += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        size += (double)x[i] * x[i];
    }
    return apart == 0 ? 0 : sqrt(apart / size);
}

struct outcome {
    size_t equal;   /* tensors of equal bytes */
    double largest; /* distance; NaN is the largest of all */
    const char *where;
};

static int compare_one(struct outcome *out, const struct st_tensor *a, const struct st_tensor *b)
{
    if (!alike(a, b))
        return error_set(MOCO_EFORMAT, "%s is not the same kind of tensor in both", a->name);
    if (!memcmp(a->data, b->data, numbers(a) * st_type_size(a->type))) {
        out->equal++;
        return MOCO_OK;
    }
    if (a->type != ST_F32)
        return error_set(MOCO_EFORMAT, "%s differs", a->name);
    double apart = distance(a, b);
    if (isnan(out->largest) || apart <= out->largest)
        return MOCO_OK;
    out->largest = apart;
    out->where = a->name;
    return MOCO_OK;
}

static int compare(struct outcome *out, const struct st_file *a, const struct st_file *b)
{
    size_t count = safetensors_count(a);
    if (count != safetensors_count(b) || count == 0)
        return error_set(MOCO_EFORMAT, "%zu tensors and %zu", count, safetensors_count(b));
    for (size_t i = 0; i < count; i++) {
        const struct st_tensor *x = safetensors_at(a, i);
        int err = compare_one(out, x, safetensors_find(b, x->name));
        if (err)
            return err;
    }
    return MOCO_OK;
}

int main(int argc, char **argv)
{
    struct st_file *a = NULL, *b = NULL;
    struct outcome out = {.where = "none"};
    if (argc != 4) {
        fprintf(stderr, "usage: weights_diff A B BOUND\n");
        return 2;
    }
    int err = safetensors_open(&a, argv[1]);
    if (!err)
        err = safetensors_open(&b, argv[2]);
    if (!err)
        err = compare(&out, a, b);
    if (err)
        fprintf(stderr, "weights_diff: %s\n", error_text());
    else
        printf("weights_diff: %zu of %zu tensors have equal bytes, the largest distance is %.2g "
               "(%s)\n", out.equal, safetensors_count(a), out.largest, out.where);
    safetensors_close(&a);
    safetensors_close(&b);
    return err || !(out.largest <= strtod(argv[3], NULL));
}
