/* report.h: a net layer by layer: where the time goes, for `moco train --profile`, and where
 * numbers stop being finite. */
#ifndef MOCO_ENGINE_NET_REPORT_H
#define MOCO_ENGINE_NET_REPORT_H

#include "engine/net/encoder.h"

enum layer_pass { LAYER_FORWARD, LAYER_BACKWARD_DATA, LAYER_BACKWARD_WEIGHTS, LAYER_PASSES };

/* One operation. A BatchNorm's whole backward pass counts as LAYER_BACKWARD_DATA. */
struct layer_report {
    char name[64];                      /* "layer1.0.conv1", "layer1.0.bn1", "maxpool" */
    char shape[64];                     /* "64 x 32 x 32 -> 64, 3x3" */
    const char *who[LAYER_PASSES];      /* conv_kind(); NULL for other operations */
    double flops;                       /* of a pass by the direct method; 0: no convolution */
    double seconds[LAYER_PASSES];       /* mean of a pass on this tape */
};

/* The i-th operation of the passes on `tape` so far; 0 when there are no more. */
int layer_report(struct layer_report *out, const struct net *net, const struct tape *tape, int i);

/* Repeats encoder_forward() in NET_TRAIN as far as the first operation whose output is not finite:
 * 1 and its name ("layer1.0.conv1", "fc"), or 0. features: (B, D); running statistics move. */
int layer_trace(char name[64], struct encoder *encoder, const struct net *net, struct tape *tape,
                float *features, const float *x);

/* Means over the passes from here on. */
void layer_report_restart(const struct net *net, struct tape *tape);

#endif
