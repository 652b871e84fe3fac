/* plan.c: which activation lives where.
 *
 * A tape keeps what its backward pass reads and can not make again: outputs of convolutions,
 * outputs of blocks, and for these a bit a number that tells what the ReLU let through. The
 * output of a BatchNorm that nothing is added to is made again from the convolution's output when
 * the backward pass comes to it, a streaming pass that costs little; so are some outputs of blocks
 * (resnet.c).
 *
 * Time runs through the forward pass and on through the backward pass. Each thing - what is kept,
 * activations on their way, gradients, recomputed outputs, the convolutions' scratch - has an
 * interval of it in which it is needed; intervals that overlap get different memory, others share:
 * first fit, the largest first. So the early layers' gradients lie where the late layers'
 * activations were, and the peak is hardly more than what is kept at the turning point. */
#include "engine/net/program.h"

#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

struct interval {
    int first, last; /* both inclusive */
    size_t floats;
    size_t *at; /* where the result goes */
};

struct list {
    struct interval *all;
    int count;
};

static void add(struct list *list, int first, int last, size_t floats, size_t *at)
{
    floats = arena_round(floats * sizeof(float)) / sizeof(float);
    if (floats)
        list->all[list->count++] = (struct interval){ first, last, floats, at };
}

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
            if (overlaps(&all[i], &all[j]) && at < *all[j].at + all[j].floats &&
                *all[j].at < at + all[i].floats) {
                at = *all[j].at + all[j].floats;
                moved = 1;
            }
    }
    return at;
}

static int by_size(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    if (x->floats != y->floats)
        return x->floats > y->floats ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* Places all and returns the floats that they take; empties the list. */
static size_t first_fit(struct list *list)
{
    size_t end = 0;
    qsort(list->all, (size_t)list->count, sizeof *list->all, by_size);
    for (int i = 0; i < list->count; i++) {
        struct interval *it = &list->all[i];
        *it->at = lowest_free(list->all, i);
        if (*it->at + it->floats > end)
            end = *it->at + it->floats;
    }
    list->count = 0;
    return end;
}

/* Birth, last use in a forward pass, readers in a backward pass, and what is kept. */
static void lifetimes(struct net *net)
{
    for (int i = 0; i < net->op_count; i++) {
        const struct op *op = &net->ops[i];
        struct value *dst = &net->values[op->dst];
        dst->first = dst->last_forward = i;
        dst->first_read = dst->last_read = NOBODY;
        dst->redo = op->kind == OP_NORM && (op->add < 0 || op->remade);
        dst->made_at = NOBODY;
        dst->kept = 0;
        if (op->src >= 0) {
            struct value *src = &net->values[op->src];
            src->last_forward = src->last_read = i;
            src->first_read = src->first_read == NOBODY ? i : src->first_read;
            src->kept = !src->redo;
        }
        if (op->add >= 0)
            net->values[op->add].last_forward = i;
    }
    net->values[net->pooled].last_forward = net->op_count;
    net->values[net->pooled].redo = 0;
}

/* When values are made again: before they are read, or before what they are added to is made. */
static void remaking(struct net *net)
{
    for (int i = net->op_count - 1; i >= 0; i--) {
        const struct op *op = &net->ops[i];
        struct value *v = &net->values[op->dst];
        if (!v->redo)
            continue;
        if (v->last_read > v->made_at)
            v->made_at = v->last_read;
        if (op->add >= 0 && v->made_at > net->values[op->add].made_at)
            net->values[op->add].made_at = v->made_at;
    }
}

static size_t scratch_floats(const struct op *op)
{
    return op->conv ? conv_scratch_bytes(op->conv) / sizeof(float) : 0;
}

/* A forward pass that keeps nothing. */
static void plan_forward(struct net *net, struct list *list)
{
    for (int i = 0; i < net->value_count; i++) {
        struct value *v = &net->values[i];
        add(list, v->first, v->last_forward, v->floats, &v->forward_at);
    }
    for (int i = 0; i < net->op_count; i++)
        add(list, i, i, scratch_floats(&net->ops[i]), &net->ops[i].scratch_at);
}

/* When the backward pass comes to an operation, which then has two moments: the weight gradient's
 * and the data gradient's. The head, forwards and backwards, has the moment of op_count. */
static int moment(const struct net *net, int op)
{
    return net->op_count + 2 * (net->op_count - op);
}

/* The forward pass of a tape that keeps. */
static void plan_keeping(struct net *net, struct list *list)
{
    for (int i = 0; i < net->value_count; i++) {
        struct value *v = &net->values[i];
        int last = v->kept ? moment(net, v->first_read) + 1 : v->last_forward;
        add(list, v->first, last, v->floats, &v->at);
    }
    for (int i = 0; i < net->op_count; i++)
        add(list, i, i, scratch_floats(&net->ops[i]), &net->ops[i].keep_scratch_at);
}

/* The value whose gradient an operation leaves in the place of its output's: what a BatchNorm
 * added, or else its input. Both are read by no later operation. */
static int heir(const struct net *net, int op)
{
    const struct op *o = &net->ops[op];
    if (o->kind != OP_NORM)
        return NO_VALUE;
    return o->add >= 0 ? o->add : o->src;
}

static int inherits(const struct net *net, int value)
{
    int last = net->values[value].last_forward;
    return last < net->op_count && heir(net, last) == value;
}

/* One place for the gradients of a value, its heir, the heir's heir. */
static void plan_gradient(struct net *net, struct list *list, int value)
{
    struct value *v = &net->values[value];
    int last = v->last_forward, birth = moment(net, last), end = v->first, next = value;
    if (last < net->op_count && net->ops[last].kind == OP_CONV)
        birth++;
    for (; next >= 0; next = heir(net, end))
        end = net->values[next].first;
    add(list, birth, moment(net, end) + 1, v->floats, &v->grad_at);
}

/* Room where a second gradient of a value waits to be added. */
static void plan_second(struct net *net, struct list *list, int i)
{
    struct op *op = &net->ops[i];
    const int values[2] = { op->src, op->add };
    size_t floats = 0;
    for (int j = 0; j < 2; j++)
        if (values[j] >= 0 && net->values[values[j]].last_forward != i &&
            net->values[values[j]].floats > floats)
            floats = net->values[values[j]].floats;
    add(list, moment(net, i), moment(net, i) + 1, floats, &op->sum_at);
}

static void plan_backward(struct net *net, struct list *list)
{
    for (int i = 0; i < net->value_count; i++) {
        struct value *v = &net->values[i];
        if (!inherits(net, i))
            plan_gradient(net, list, i);
        if (v->redo && v->made_at != NOBODY)
            add(list, moment(net, v->made_at), moment(net, v->first_read) + 1, v->floats,
                &v->redo_at);
    }
    for (int i = 0; i < net->op_count; i++) {
        add(list, moment(net, i), moment(net, i) + 1, scratch_floats(&net->ops[i]),
            &net->ops[i].back_scratch_at);
        plan_second(net, list, i);
    }
}

static void finish_heirs(struct net *net)
{
    for (int i = net->op_count - 1; i >= 0; i--)
        if (heir(net, i) >= 0)
            net->values[heir(net, i)].grad_at = net->values[net->ops[i].dst].grad_at;
}

static void plan_bits(struct net *net)
{
    net->open_bytes = 0;
    for (int i = 0; i < net->op_count; i++)
        if (has_bits(&net->ops[i])) {
            net->ops[i].open = net->open_bytes;
            net->open_bytes += net->values[net->ops[i].dst].numbers / 8;
        }
}

int plan_memory(struct net *net)
{
    size_t room = 3 * (size_t)(net->value_count + net->op_count);
    struct list list = { calloc(room, sizeof *list.all), 0 };
    if (!list.all)
        return error_memory("the memory plan", room * sizeof *list.all);
    lifetimes(net);
    remaking(net);
    plan_bits(net);
    plan_forward(net, &list);
    net->work_forward = first_fit(&list);
    plan_keeping(net, &list);
    plan_backward(net, &list);
    net->work_training = first_fit(&list);
    finish_heirs(net);
    free(list.all);
    return MOCO_OK;
}
