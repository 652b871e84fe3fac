/* plan.c: which activation lives where.
 *
 * Every value has an interval of operations in which it is needed. Intervals that overlap get
 * different memory, others share: first fit, in the order of birth. On a tape without a backward
 * pass a few buffers alternate; on a tape that keeps, values that the backward pass reads stay,
 * and the gradients (born and consumed in the opposite order) are planned the same way. */
#include "engine/net/program.h"

#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

struct interval {
    int first, last;
    size_t floats, at;
};

static int overlaps(const struct interval *a, const struct interval *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest place where interval i meets none of those before it. */
static size_t lowest_free(const struct interval *all, int i)
{
    size_t at = 0;
    for (int moved = 1; moved;) {
        moved = 0;
        for (int j = 0; j < i; j++)
            if (overlaps(&all[i], &all[j]) && at < all[j].at + all[j].floats &&
                all[j].at < at + all[i].floats) {
                at = all[j].at + all[j].floats;
                moved = 1;
            }
    }
    return at;
}

static size_t first_fit(struct interval *all, int count)
{
    size_t end = 0;
    for (int i = 0; i < count; i++) {
        all[i].floats = arena_round(all[i].floats * sizeof(float)) / sizeof(float);
        all[i].at = lowest_free(all, i);
        if (all[i].at + all[i].floats > end)
            end = all[i].at + all[i].floats;
    }
    return end;
}

/* Birth, last use in a forward pass, and whether the backward pass reads the value: inputs of
 * convolutions, of BatchNorms and of the pool, and what a ReLU let through. */
static void lifetimes(struct net *net)
{
    int end = net->op_count;
    for (int i = 0; i < end; i++) {
        const struct op *op = &net->ops[i];
        struct value *dst = &net->values[op->dst];
        dst->first = dst->last_forward = dst->last = i;
        if (op->kind == OP_NORM && op->relu)
            dst->last = end;
        if (op->src >= 0) {
            net->values[op->src].last_forward = i;
            net->values[op->src].last = end;
        }
        if (op->add >= 0) {
            struct value *add = &net->values[op->add];
            add->last_forward = i;
            if (add->last < i)
                add->last = i;
        }
    }
    net->values[net->pooled].last_forward = end;
}

static int plan_values(struct net *net, size_t **at, size_t *floats, int keep)
{
    struct interval *all = calloc((size_t)net->value_count, sizeof *all);
    *at = calloc((size_t)net->value_count, sizeof **at);
    if (!all || !*at) {
        free(all);
        return error_memory("the memory plan", (size_t)net->value_count * sizeof *all);
    }
    for (int i = 0; i < net->value_count; i++)
        all[i] = (struct interval){ net->values[i].first,
                                    keep ? net->values[i].last : net->values[i].last_forward,
                                    net->values[i].floats, 0 };
    *floats = first_fit(all, net->value_count);
    for (int i = 0; i < net->value_count; i++)
        (*at)[i] = all[i].at;
    free(all);
    return MOCO_OK;
}

/* Gradients: born where the last reader of the value runs backwards, consumed by its maker. Time
 * runs the other way, and the values are walked from the last, so that birth order holds. The
 * room for a second gradient is one more interval that is always there. */
static int plan_gradients(struct net *net)
{
    int n = net->value_count, end = net->op_count;
    size_t widest = 0;
    struct interval *all = calloc((size_t)n, sizeof *all);
    net->grad_at = calloc((size_t)n, sizeof *net->grad_at);
    if (!all || !net->grad_at) {
        free(all);
        return error_memory("the memory plan", (size_t)n * sizeof *all);
    }
    for (int i = 0; i < n; i++) {
        const struct value *v = &net->values[n - 1 - i];
        all[i] = (struct interval){ end - v->last_forward, end - v->first, v->floats, 0 };
        if (v->floats > widest)
            widest = v->floats;
    }
    net->sum_at = first_fit(all, n);
    net->grad_floats = net->sum_at + arena_round(widest * sizeof(float)) / sizeof(float);
    for (int i = 0; i < n; i++)
        net->grad_at[n - 1 - i] = all[i].at;
    free(all);
    return MOCO_OK;
}

int plan_memory(struct net *net)
{
    int err;
    lifetimes(net);
    err = plan_values(net, &net->keep_at, &net->keep_floats, 1);
    if (!err)
        err = plan_values(net, &net->forward_at, &net->forward_floats, 0);
    if (!err)
        err = plan_gradients(net);
    for (int i = 0; i < net->op_count; i++)
        if (net->ops[i].conv && conv_scratch_bytes(net->ops[i].conv) > net->scratch_bytes)
            net->scratch_bytes = conv_scratch_bytes(net->ops[i].conv);
    return err;
}
