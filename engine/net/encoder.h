/* encoder.h: f(x), from images to features, forward and backward.
 *
 * In: x (B, C, S, S). Out: features (B, D), not normalised; in the backward direction, gradients
 * of all parameters.
 *
 * Three things that are often one object are apart here:
 *   net      the program: layers, shapes, convolutions. Read-only after net_open(), shared by all
 *            encoders of one architecture.
 *   encoder  the numbers: parameters, gradients, running statistics. Canonical layout (PyTorch's:
 *            conv OIHW, linear (out, in)) in torchvision's order, so that EMA, optimiser and
 *            checkpoint are single loops.
 *   tape     the activations of one forward pass. A tape that keeps lets the backward pass
 *            follow; one that does not reuses memory layer by layer. */
#ifndef MOCO_ENGINE_NET_ENCODER_H
#define MOCO_ENGINE_NET_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/net/conv.h"
#include "simd/simd.h"

enum net_stem { STEM_CIFAR, STEM_IMAGENET };
enum net_head {
    HEAD_FC,  /* fc: one linear layer (MoCo v1) */
    HEAD_MLP, /* fc.0, ReLU, fc.2; hidden layer as wide as the pooled features (MoCo v2) */
    HEAD_V3,  /* fc.0, BN, ReLU, fc.3, BN without scale and shift; no biases (MoCo v3) */
    HEAD_NONE, /* the pooled features themselves; dim is then their number */
};
enum net_mode { NET_TRAIN, NET_EVAL }; /* batch statistics | running statistics */

struct net_config {
    char arch[16];    /* "resnet18", "resnet34", "resnet50", "resnet101" */
    enum net_stem stem;
    enum net_head head;
    int width;        /* planes of layer1; 64 as published */
    int channels;     /* C */
    int side;         /* S */
    int batch;        /* B of every forward pass of this net */
    int dim;          /* D */
    int bn_splits;    /* sample n is in group n mod bn_splits; B is a multiple of it */
    enum conv_policy conv; /* who computes the convolutions */
    enum moco_number number; /* of the activations and their gradients */
    int hidden;       /* columns inside HEAD_V3 and the predictor */
    int predictor;    /* predictor.0, BN, ReLU, predictor.3 behind the head (MoCo v3) */
    struct net_layer { /* a linear layer on the features, which the method applies and trains */
        char name[16]; /* "instance", "classifier"; its tensors stand last */
        int rows, bias; /* its weight is (rows, dim); 0 rows: there is none */
    } layer;
};

enum tensor_kind {
    TENSOR_PARAM,  /* trained: offset into params and grads */
    TENSOR_STAT,   /* running_mean, running_var: offset into stats */
    TENSOR_COUNT,  /* num_batches_tracked: one int64, encoder->batches */
};

/* One tensor of the state, as torchvision names it. */
struct tensor {
    char name[64];
    enum tensor_kind kind;
    int rank;
    size_t shape[4];
    size_t offset; /* floats */
    size_t count;  /* floats */
};

struct net; /* opaque */

/* "fc", "mlp", "v3", "none"; static storage. */
const char *net_head_name(enum net_head head);

/* Builds the program. `simd` is copied. */
int net_open(struct net **out, const struct net_config *config, const struct moco_simd *simd);
void net_close(struct net **net);

/* Whether a net of bfloat16 activations would be faster than one of floats: whether oneDNN has
 * code for them on this CPU and in these blocks. It works everywhere. */
int net_bf16_pays(const struct net_config *config, const struct moco_simd *simd);

const struct net_config *net_get_config(const struct net *net);
const struct tensor *net_tensors(const struct net *net, size_t *count); /* torchvision's order */
size_t net_param_count(const struct net *net); /* floats of params and grads */
size_t net_stat_count(const struct net *net);  /* floats of stats */
/* Floats of params that a key encoder has: all but the predictor's and the method's layer, which
 * stand last. And those of the stages up to `stage` ("conv1", "bn1", "layer1" to "layer4"). */
size_t net_key_count(const struct net *net);
size_t net_stage_count(const struct net *net, const char *stage);
/* The parameter of that name, or NULL. */
const struct tensor *net_find(const struct net *net, const char *name);
size_t net_backbone_dim(const struct net *net);
size_t net_tape_bytes(const struct net *net, int keep, int hosted); /* memory of a tape */

/* Memory that encoder_open() takes. */
size_t encoder_bytes(const struct net *net, int with_grads, int own_params);

struct encoder {
    float *params;   /* (net_param_count) */
    float *grads;    /* the same, or NULL for an encoder that is never trained */
    float *stats;    /* (net_stat_count) */
    int64_t batches; /* num_batches_tracked of every BN */
    int predicts;    /* features of NET_TRAIN passes go through the predictor too */
    void *owned;     /* memory behind the pointers that this encoder owns */
};

/* Allocates an encoder for `net`: fresh BN statistics, parameters zero. With `params` given the
 * encoder uses that memory instead of its own (key encoder that shares with the query's). */
int encoder_open(struct encoder *out, const struct net *net, int with_grads, float *params);
void encoder_close(struct encoder *encoder);

/* He initialisation as torchvision's ResNet: conv N(0, 2 / fan_out), BN 1 and 0, linear
 * U(±1/sqrt(in)) for weight and bias. The tensor's place decides its stream. */
void encoder_init(struct encoder *encoder, const struct net *net, uint64_t seed);

struct tape; /* opaque */
/* keep: a backward pass can follow. host: NULL, or a tape of the same net, opened with keep and
 * closed later, whose memory this one, which keeps nothing, uses too: a pass on it must not come
 * between the host's forward and backward passes. */
int tape_open(struct tape **out, const struct net *net, int keep, struct tape *host);
void tape_close(struct tape **tape);

/* features: (B, D) = f(x). x: (B, C, S, S), read again by encoder_backward(): keep it.
 * In NET_TRAIN the running statistics move (momentum 0.1) and `batches` counts.
 * backbone: NULL, or (B, net_backbone_dim()) receives the pooled features.
 * NET_EVAL: MOCO_EDIVERGED with the layer where the first image's activations are not finite. */
int encoder_forward(struct encoder *encoder, const struct net *net, struct tape *tape,
                    float *features, float *backbone, const float *x, enum net_mode mode);

/* Adds the gradient of every parameter to encoder->grads, for d_features: (B, D) and the newest
 * NET_TRAIN pass on `tape` (opened with keep), whose activations it uses up. */
int encoder_backward(struct encoder *encoder, const struct net *net, struct tape *tape,
                     const float *d_features);

/* Version of the convolution library, "2.6.3"; static storage. NULL: built without it. */
const char *net_library_version(void);

/* The instruction set up to which it goes, in its own words; its cap is settled by this call.
 * NULL: built without it. */
const char *net_library_level(void);

/* Whether some thread is inside that library, which ends the process where it gets no memory. To be
 * asked from a handler of signals. */
int net_library_busy(void);

/* c(M, N) = a(M, K) b(K, N) by that library, for benchmarks; built with it alone. */
void net_sgemm(float *c, const float *a, const float *b, size_t M, size_t N, size_t K);

#endif
