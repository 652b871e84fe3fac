/* ref_net.h: f(x) in double precision, the plain way, for tests to compare against.
 *
 * Knows nothing of the engine's program: it walks the architecture as the papers describe it and
 * finds its numbers by torchvision's names, in the canonical layout. Forward only. */
#ifndef MOCO_TESTS_REF_NET_H
#define MOCO_TESTS_REF_NET_H

#include "engine/net/encoder.h"

struct ref_net {
    struct net_config config;
    const struct tensor *tensors;
    size_t count;
    const double *params; /* as encoder->params */
    double *stats;        /* as encoder->stats; NET_TRAIN moves them */
    uint64_t sides;       /* a hash of every choice of ReLU and maximum */
};

/* features: (B, D), x: (B, C, S, S). Exits when memory runs out or a tensor is not there. */
void ref_forward(double *features, struct ref_net *net, const double *x, enum net_mode mode);

#endif
