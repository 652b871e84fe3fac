/* report.c: names, times and numbers of a net's operations; see report.h. */
#include "engine/net/report.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/net/program.h"

/* The layer whose parameters begin at this offset, without the tensor's last word. */
static void name_of(char *out, size_t size, const struct net *net, size_t offset)
{
    for (size_t i = 0; i < net->tensor_count; i++) {
        const struct tensor *t = &net->tensors[i];
        if (t->kind == TENSOR_PARAM && t->offset == offset) {
            const char *end = strrchr(t->name, '.');
            snprintf(out, size, "%.*s", (int)(end ? end - t->name : (long)strlen(t->name)),
                     t->name);
            return;
        }
    }
    snprintf(out, size, "?");
}

static void describe_conv(struct layer_report *out, const struct op *op)
{
    const struct conv_shape *s = conv_get_shape(op->conv);
    snprintf(out->shape, sizeof out->shape, "%d x %d x %d -> %d, %dx%d%s", s->IC, s->H, s->W,
             s->OC, s->kernel, s->kernel, s->stride > 1 ? " / 2" : "");
    out->flops = 2.0 * s->B * s->OH * s->OW * s->OC * s->IC * s->kernel * s->kernel;
    for (int pass = 0; pass < LAYER_PASSES; pass++)
        out->who[pass] = conv_kind(op->conv, (enum conv_direction)pass);
}

static void name_op(char *out, size_t size, const struct net *net, const struct op *op)
{
    if (op->kind == OP_MAXPOOL)
        snprintf(out, size, "maxpool");
    else
        name_of(out, size, net, op->kind == OP_CONV ? op->weight : op->gamma);
}

int layer_overflow(const struct net *net, const struct op *op)
{
    char name[64];
    name_op(name, sizeof name, net, op);
    return error_set(MOCO_EDIVERGED, "the output of %s is not finite: the weights are damaged or "
                     "too large, or the image's pixels are", name);
}

int layer_trace(char name[64], struct encoder *encoder, const struct net *net, struct tape *tape,
                float *features, const float *x)
{
    int i = encoder_trace(encoder, net, tape, features, x);
    if (i < 0)
        return 0;
    if (i < net->op_count)
        name_op(name, 64, net, &net->ops[i]);
    else
        snprintf(name, 64, "fc");
    return 1;
}

int layer_report(struct layer_report *out, const struct net *net, const struct tape *tape, int i)
{
    if (i < 0 || i >= net->op_count)
        return 0;
    const struct op *op = &net->ops[i];
    const struct value *v = &net->values[op->dst];
    const struct op_clock *clock = tape_clock(tape, i);
    *out = (struct layer_report){ .flops = 0 };
    name_op(out->name, sizeof out->name, net, op);
    if (op->kind == OP_CONV)
        describe_conv(out, op);
    else
        snprintf(out->shape, sizeof out->shape, "%d x %d x %d%s%s", v->C, v->H, v->W,
                 op->add >= 0 ? ", add" : "", op->relu ? ", ReLU" : "");
    for (int pass = 0; pass < LAYER_PASSES; pass++)
        out->seconds[pass] = clock->count[pass] ? clock->seconds[pass] / clock->count[pass] : 0.0;
    return 1;
}

void layer_report_restart(const struct net *net, struct tape *tape)
{
    for (int i = 0; i < net->op_count; i++)
        *tape_clock(tape, i) = (struct op_clock){ .count = { 0 } };
}
