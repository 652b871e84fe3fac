/* moco.h: contrastive self-supervised training of image encoders on CPUs.
 *
 * The whole public interface: one opaque engine, one plain configuration, fifteen functions.
 * Letters used throughout: B batch, C channels, H height, W width, D embedding size, K queue
 * length, T temperature, m momentum of the key encoder; q and k are the query and the key branch.
 *
 * Every function that returns int returns MOCO_OK or a negative MOCO_E…; moco_error() then holds
 * one sentence for a person. Nothing of moco prints, exits or aborts. Two libraries below it do,
 * where they get no memory for records of their own: oneDNN aborts, GNU's OpenMP exits. So memory
 * and threads are tried for before they are called, and MOCO_ENOMEM or MOCO_ELIMIT returned; what
 * others take in that moment can not be known.
 *
 * An engine may be used by one thread at a time; different engines are independent. Calls inside a
 * parallel region of OpenMP and in a child of fork() work: there they start threads of their own,
 * which takes some time a call. A child has copies of its parent's engines, as they were between
 * two calls. */
#ifndef MOCO_H
#define MOCO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOCO_VERSION_MAJOR 0
#define MOCO_VERSION_MINOR 1
#define MOCO_VERSION_PATCH 0

#if defined(__GNUC__)
#define MOCO_API __attribute__((visibility("default")))
#else
#define MOCO_API
#endif

/* What a call returns. */
enum {
    MOCO_OK = 0,
    MOCO_ENOMEM = -1,       /* an allocation failed */
    MOCO_EIO = -2,          /* the operating system refused a read or a write */
    MOCO_EFORMAT = -3,      /* a file is not what its name or header says, or is damaged */
    MOCO_EVERSION = -4,     /* a file of another version of moco */
    MOCO_EARG = -5,         /* a setting or an argument that can not be */
    MOCO_EDNNL = -6,        /* oneDNN refused */
    MOCO_EDIVERGED = -7,    /* a loss, a gradient or a feature is not finite */
    MOCO_EUNSUPPORTED = -8, /* known, but not built in or not available here */
    MOCO_EDAMAGED = -9,     /* a file that contradicts itself: a checksum, a code, a size */
    MOCO_ETRUNCATED = -10,  /* a file that ends too early */
    MOCO_ELIMIT = -11,      /* a limit of this process: open files, threads, address space */
    MOCO_ENOTFINITE = -12,  /* NaN or infinite numbers in an image, not declared missing */
};

/* Configuration and engine are declared where the calls that take them are: see below. */
typedef struct moco_engine moco_engine;

/* Settings of a training engine fed by the caller. Plain data; set it by moco_config_default(),
 * then change fields. Strings are borrowed for the duration of moco_open() only. */
typedef struct moco_config {
    const char *method;      /* "moco" or "end-to-end" */
    const char *arch;        /* "resnet18", "resnet34", "resnet50", "resnet101" */
    const char *stem;        /* "cifar": 3x3 stride 1; "imagenet": 7x7 stride 2, then max-pool */
    const char *key_encoder; /* "momentum", "shared", "partial:STAGE"; "same", "separate[:ARCH]" */
    int width;               /* planes of the first stage; 64 is the published width */
    int channels;            /* C of the images */
    int side;                /* H = W of the views */
    int batch;               /* B */
    int accumulate;          /* micro-batches of a step; memory holds one. 0 and 1: no division */
    int dim;                 /* D */
    int queue;               /* K */
    int mlp;                 /* 0: one linear layer; 1: linear, ReLU, linear (MoCo v2) */
    int bn_splits;           /* groups of the batch with BN statistics of their own */
    int shuffle_bn;          /* 1: keys are shuffled between the groups (He et al. 2019, 3.3) */
    int symmetric;           /* 1: loss(v1, k2) + loss(v2, k1) */
    int mask;                /* 1: leave out unfilled slots and slots of the query's own image */
    float temperature;       /* T */
    float momentum_key;      /* m */
    float momentum_sgd;
    float weight_decay;
    uint64_t seed;
    int bf16;                /* 1: activations are bfloat16; sums, weights and loss stay float.
                              * Pays on CPUs with AVX512_BF16, where width is a multiple of 16 */
    int threads;             /* 0: all that the process may use: see moco_threads() */
} moco_config;

/* What one training step reports. */
typedef struct moco_step_result {
    double loss;       /* mean over the batch; summed over the two directions when symmetric */
    double top1;       /* share of queries whose positive has the largest logit, 0..1 */
    size_t queue_fill; /* slots of the queue that hold a key of an image, 0..K */
} moco_step_result;

/* Version of the library as "0.1.0"; static storage. */
MOCO_API const char *moco_version(void);

/* Name of the kernels in use ("ref", "avx2", "avx512", "neon"); static storage. */
MOCO_API const char *moco_simd_name(void);

/* Fills *config with the preset cifar-demo (methods and sizes of the public CIFAR recipe). */
MOCO_API void moco_config_default(moco_config *config);

/* Creates an engine with freshly initialised encoders. On success *out is owned by the caller and
 * is given back by moco_close(). On failure *out is still an engine whose only use is moco_error()
 * and moco_close(), or NULL when there was no memory for that. */
MOCO_API int moco_open(moco_engine **out, const moco_config *config);

/* Threads that compute, from opening to closing: those asked for or, with 0, what OMP_NUM_THREADS
 * says, else the CPUs of the affinity mask and of the control groups' quota; fewer where OpenMP
 * gives no more (OMP_THREAD_LIMIT, one inside a parallel region). 0: the engine is not open. */
MOCO_API int moco_threads(const moco_engine *engine);

/* Frees the engine and sets *engine to NULL. Accepts NULL and a pointer to NULL. */
MOCO_API void moco_close(moco_engine **engine);

/* The sentence of the engine's newest failure, "" if there was none. Owned by the engine, valid
 * until the next call on it. A NULL engine gives a static sentence. */
MOCO_API const char *moco_error(const moco_engine *engine);

/* One training step (He et al. 2019, Algorithm 1).
 * x_q, x_k: the two views, (B, C, H, W), normalised; only read. ids: (B) which image each sample
 * is, or NULL when `mask` is off. lr: learning rate of this step. result may be NULL. */
MOCO_API int moco_step(moco_engine *engine, moco_step_result *result, const float *x_q,
                       const float *x_k, const int64_t *ids, float lr);

/* Embeds n images with the query encoder in evaluation mode. x: (n, C, H, W). Writes unit rows to
 * emb: (n, D) head outputs, or, when backbone is not 0, (n, moco_backbone_dim()) pooled features.
 * n needs not be a multiple of the batch. */
MOCO_API int moco_embed(moco_engine *engine, float *emb, const float *x, size_t n, int backbone);

/* Columns of the pooled features: 8 * width for resnet18/34, 32 * width for resnet50/101. */
MOCO_API size_t moco_backbone_dim(const moco_engine *engine);

/* Writes the query network as safetensors with torchvision's names; replaces `path` only when the
 * whole file is on the disk. */
MOCO_API int moco_save_weights(moco_engine *engine, const char *path);

/* Reads a file written by moco_save_weights() (or by torchvision with the same shapes) into the
 * query encoder and copies its parameters to the key encoder. */
MOCO_API int moco_load_weights(moco_engine *engine, const char *path);

/* Writes and reads everything that a run needs to go on bit for bit: both encoders, dictionary,
 * optimiser and step counter. */
MOCO_API int moco_save_checkpoint(moco_engine *engine, const char *path);
MOCO_API int moco_load_checkpoint(moco_engine *engine, const char *path);

/* Weighted k-nearest-neighbour accuracy in percent (Wu et al. 2018, section 3.4).
 * train: (n_train, D), test: (n_test, D), unit rows; labels in 0..classes-1. */
MOCO_API int moco_knn(double *top1, const float *train, const int32_t *train_labels, size_t n_train,
                      const float *test, const int32_t *test_labels, size_t n_test, size_t D, int k,
                      float T, int classes);

#ifdef __cplusplus
}
#endif
#endif
