/* finite.c: whether activations are finite; part of program.h. */
#include "engine/base/error.h"
#include "engine/net/program.h"

/* Infinite and NaN have all bits of the exponent set, and their upper halves are a bfloat16's. */
int net_all_finite(enum moco_number number, const void *x, size_t n)
{
    const uint32_t *floats = x;
    const moco_bf16 *halves = x;
    for (size_t i = 0; i < n; i++) {
        uint32_t upper = number == MOCO_BF16 ? halves[i] : floats[i] >> 16;
        if ((upper & 0x7f80) == 0x7f80)
            return 0;
    }
    return 1;
}

/* Of the first image alone, which costs nothing: it meets the same weights as the others. A ReLU
 * makes zeros of NaN, so what follows may look sound. */
int net_check_finite(const struct net *net, const struct op *op, const void *dst)
{
    size_t one = net->values[op->dst].numbers / (size_t)net->config.batch;
    return net_all_finite(net->config.number, dst, one) ? MOCO_OK : layer_overflow(net, op);
}
