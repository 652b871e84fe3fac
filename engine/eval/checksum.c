/* checksum.c: whether an encoder is still the one that it was; see embed.h. */
#include <string.h>

#include "engine/eval/embed.h"

/* FNV-1a over words instead of bytes; the shift lets high bits reach the low ones. */
static uint64_t add_words(uint64_t sum, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        sum = (sum ^ bits) * 1099511628211u;
        sum ^= sum >> 29;
    }
    return sum;
}

uint64_t embed_checksum(const struct encoder *encoder, const struct net *net)
{
    uint64_t sum = 1469598103934665603u ^ (uint64_t)encoder->batches;
    sum = add_words(sum, encoder->params, net_param_count(net));
    return add_words(sum, encoder->stats, net_stat_count(net));
}
