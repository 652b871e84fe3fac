/* simd.h: contracts of the hand-tuned kernels, and the table through which they are called.
 *
 * A kernel works on one thread; callers split the work. Every variant of a kernel (`_ref`, the
 * plain C specification, included) gives the same bytes, whatever the split of rows, planes or
 * elements: fused multiply-add everywhere but in views, each dot product one sequential FMA chain
 * over its D terms, 16 virtual lanes where scalars are summed, fixed key blocks, one exp
 * polynomial. Tests hold every level to it, and the level "ext" of vec_ext.h, which has AVX-512's
 * shapes and runs anywhere. Nothing here allocates, fails, or knows the engine.
 *
 * Letters: B rows (queries), K keys, D columns, T temperature. Rows are dense, unaligned is fine.
 * Error bounds are against exact arithmetic on the stored inputs; u = FLT_EPSILON / 2. */
#ifndef MOCO_SIMD_H
#define MOCO_SIMD_H

#include <stddef.h>
#include <stdint.h>

#include "simd/direct.h"
#include "simd/winograd.h"

/* out(B, K) = q(B, D) . keys(K, D)^T.  Nothing may overlap.
 * |out - exact| <= (D + 1) u Σ|q_i k_i|, the sum over that row. */
typedef void moco_logits_fn(float *out, const float *q, const float *keys, size_t B, size_t K,
                            size_t D);

/* InfoNCE of B queries against K shared negatives, forward and backward in one pass over the keys
 * (van den Oord 2018 eq. 4; He et al. 2019 eq. 1). Logits are q·x/T; the positive q·k stands in
 * column 0.
 *   loss(B):      log Σ_j exp(l_j) - l_0
 *   top1(B):      1 where l_0 >= every other logit, else 0
 *   d_q(B, D):    (1/T) (Σ_j p_j x_j - k), the gradient of that row's loss (not divided by B)
 *   q_id(B), key_id(K): when both are given, a key whose id equals the query's has logit -inf, and
 *                 so has a key whose id is negative (an unfilled slot). NULL: all keys count.
 * A running maximum is kept, so T may be as small as 0.005. K may be 0.
 * scratch: moco_infonce_scratch(D) floats, 64-byte aligned, private to the call.
 * For unit rows |loss - exact| <= 16 u (1/T) (Σ|q_i k_i| maximum over keys)
 * + (64 + K / 16) u (1 + |loss|). */
typedef void moco_infonce_fn(float *loss, float *top1, float *d_q, const float *q, const float *k,
                             const float *keys, const int64_t *q_id, const int64_t *key_id,
                             size_t B, size_t K, size_t D, float T, float *scratch);

/* Softmax with a temperature, by rows: out(B, K) = exp(x / T) / Σ exp(x / T), computed as
 * exp((x - max) / T) times one over the sum. out may be x, or lie wholly elsewhere.
 * T is positive and 1 / T finite; a row that holds NaN or +inf, or nothing but -inf, becomes NaN.
 * |out - exact| <= (4 |x - max| / T + K / 16 + 16) u exact + 2 FLT_MIN. */
typedef void moco_softmax_fn(float *out, const float *x, size_t B, size_t K, float T);

/* Scores against gathered rows: out(B, M) = v(B, D) . bank[index(B, M)]. The rows of `bank` (any
 * number, D columns) may be drawn with replacement. Same bytes as logits of the same rows. */
typedef void moco_gather_logits_fn(float *out, const float *v, const float *bank,
                                   const int64_t *index, size_t B, size_t M, size_t D);

/* NCE of B embeddings against M noise rows each (Wu et al. 2018 eq. 5-7). s = v · row / T,
 * P = e^s / Z, h = P / (P + M/n) = 1 / (1 + exp(log_noise - s)), with log_noise = log(Z M / n).
 * own(B): the row of the sample itself; index(B, M): its noise rows.
 *   loss(B):    -log h(own) - Σ_j log(1 - h_j)
 *   top1(B):    1 where the own row scores >= every noise row, else 0
 *   d_v(B, D):  ((h(own) - 1) own + Σ_j h_j row_j) / T; Z is a constant
 * M may be 0. Nothing overlaps. With e_j = ((D + 1) Σ|v_i row_i| / T + 3 |s_j| + 2 |log_noise|) u,
 * the error of one exponent, and c_j = -log(1 - h_j) or -log h(own), w_j = h_j or 1 - h(own):
 * |loss - exact| <= Σ w_j e_j + (M / 16 + 24) u Σ c_j
 * |d_v - exact| <= Σ |row_i| w_j (e_j + (M + 24) u) / T
 * each for e_j << 1, and u FLT_MIN-sized where e^-|s| leaves the normal numbers. */
typedef void moco_nce_fn(float *loss, float *top1, float *d_v, const float *v, const float *bank,
                         const int64_t *own, const int64_t *index, size_t B, size_t M, size_t D,
                         float T, float log_noise);

/* Sampled softmax, same letters: loss = log_scale + log Σ_j e^s_j - s_own, where the sum has the M
 * samples alone (M >= 1) and log_scale = log(n / M); d_v = (Σ_j p_j row_j - own) / T with
 * p_j = e^s_j / Σ e^s. A running maximum is kept, as in infonce.
 * |loss - exact| <= 2 max e_j + (M / 16 + 24) u + 4 u (|loss| + |s_own| + max |s|), e_j without
 * log_noise. */
typedef void moco_sampled_fn(float *loss, float *top1, float *d_v, const float *v,
                             const float *bank, const int64_t *own, const int64_t *index, size_t B,
                             size_t M, size_t D, float T, float log_scale);

/* Margin contrastive loss of B pairs (Hadsell, Chopra, LeCun 2006): dist(B) = ‖a - b‖,
 * loss(B) = dist² / 2, or max(0, margin - dist)² / 2 where different(B) is not 0; d_a, d_b(B, D)
 * its gradients (not divided by B). A pair nearer than MOCO_MARGIN_NEAR has dist 0, and the hinge
 * no gradient there. Nothing overlaps. |dist - exact| <= (D / 16 + 8) u exact. */
typedef void moco_margin_fn(float *loss, float *dist, float *d_a, float *d_b, const float *a,
                            const float *b, const int32_t *different, size_t B, size_t D,
                            float margin);

#define MOCO_MARGIN_NEAR 1e-5f

/* dst(B, D) = src / max(‖src‖, 1e-12) by rows; inv_norm(B) = 1 / max(‖src‖, 1e-12).
 * dst may be src. */
typedef void moco_row_normalise_fn(float *dst, float *inv_norm, const float *src, size_t B,
                                   size_t D);

/* Gradient of that: d_src = (d_dst - dst (dst·d_dst)) inv_norm. d_src may be d_dst. */
typedef void moco_row_normalise_grad_fn(float *d_src, const float *d_dst, const float *dst,
                                        const float *inv_norm, size_t B, size_t D);

/* k <- m k + (1 - m) q, computed as fma(m, k, (1 - m) q) with 1 - m rounded to float first.
 * |k - exact| <= 3 u (|m k| + |(1 - m) q|). */
typedef void moco_ema_fn(float *k, const float *q, size_t n, float m);

/* SGD with momentum and weight decay (PyTorch's form, no dampening):
 * g' = g + wd p; u <- momentum u + g'; p <- p - lr u. All three with one rounding each. */
typedef void moco_sgd_fn(float *p, float *u, const float *g, size_t n, float lr, float momentum,
                         float wd);

/* The bytes of sgd(w, v, g) and then ema(w_k, w) with the new w, in one pass: four arrays are read
 * and three written instead of six and four. The arrays are whole arenas; v is the velocity, w_k
 * the key encoder's parameters (He et al. 2019 eq. 2). Nothing may overlap. */
typedef void moco_sgd_ema_fn(float *w, float *v, float *w_k, const float *g, size_t n, float lr,
                             float momentum, float wd, float m);

/* What an activation's numbers are. bfloat16 is the upper half of a float, so it becomes one
 * exactly. A float becomes a bfloat16 number by rounding to nearest, ties to even, within 2^-8 of
 * it or infinity; what is smaller than FLT_MIN becomes a zero of its sign, as the instructions do
 * it, and NaN stays NaN: its upper half, quiet. Kernels compute in float and round what they
 * write. */
enum moco_number { MOCO_FP32, MOCO_BF16, MOCO_NUMBERS };
typedef uint16_t moco_bf16;

/* dst(n) = src(n), the other kind of number. Nothing overlaps. */
typedef void moco_widen_fn(float *dst, const moco_bf16 *src, size_t n);
typedef void moco_narrow_fn(moco_bf16 *dst, const float *src, size_t n);

/* BatchNorm works on planes: `pixels` positions of `lanes` (8 or 16) channels, (pixels, lanes),
 * as they lie in oneDNN's nChw8c and nChw16c. Each channel's arithmetic is the same for both.
 * void pointers point to planes of the table's kind of number (struct moco_activation).
 *
 * mean(lanes), m2(lanes): mean and Σ (x - mean)² of each channel over the plane; two passes, sums
 * in stages of 64 pixels (stage sums added in order), so that digits survive long planes. */
typedef void moco_bn_stats_fn(float *mean, float *m2, const void *src, size_t pixels,
                              size_t lanes);

/* dst = fma(src, scale, shift) (+ add unless NULL), then max(·, 0) when relu. dst may be src or
 * add. scale, shift: (lanes). open: NULL, or (pixels, lanes / 8) bytes, in which bit l % 8 of byte
 * l / 8 tells whether dst > 0 in lane l, before it is rounded to bfloat16 (which makes 0 of a tiny
 * dst). far: what is written is wanted so late that it should go past the caches; that needs a dst
 * at a multiple of a pixel's bytes which is neither src nor add. */
typedef void moco_bn_apply_fn(void *dst, uint8_t *open, const void *src, const void *add,
                              const float *scale, const float *shift, size_t pixels, size_t lanes,
                              int relu, int far);

/* Where the ReLU behind a norm is open: as bn_apply wrote down; or, with open NULL, where
 * fma(src, scale, shift) > 0 by lanes; or, with scale NULL too, everywhere. */
struct moco_bn_gate {
    const uint8_t *open;
    const float *scale, *shift;
};

/* Sums for the backward pass over one plane, in stages of 64 pixels like the statistics:
 * g = d_dst where the gate is open, else 0, which is kept (may be d_dst; with a gate that is always
 * open nothing is written); sum_g = Σ g, sum_gx = Σ g (src - mean). */
typedef void moco_bn_grad_sums_fn(float *sum_g, float *sum_gx, void *g, const void *d_dst,
                                  const struct moco_bn_gate *gate, const void *src,
                                  const float *mean, size_t pixels, size_t lanes);

/* The gradient itself: d_src = fma(g, a, fma(src, b, c)) by lanes; d_src may be g. far as above. */
typedef void moco_bn_grad_fn(void *d_src, const void *g, const void *src, const float *a,
                             const float *b, const float *c, size_t pixels, size_t lanes, int far);

/* Candidates for the k nearest keys of B queries: lists in the order in which the keys came.
 * A list opens with count 0 and a floor: -inf, or what the caller takes for too little. Every
 * similarity in it is above its floor, or among the first that equal it. 1 <= k < room. A list has
 * MOCO_KNN_SPARE places more than its room; what lies past its count may be overwritten. */
struct moco_knn {
    float *s;        /* (B, room + MOCO_KNN_SPARE) similarities */
    uint32_t *index; /* (B, room + MOCO_KNN_SPARE) their keys */
    float *floor;    /* (B) what a newcomer must exceed: the k-th best once the list was cut */
    uint32_t *count; /* (B) */
    size_t k, room;
};

/* Keys first..first+K-1 go past all queries in rising order: a key with q·x > floor joins the
 * query's list, and a list that has become full is cut. So -inf and NaN are never near, and of
 * equals the first come stays. labels: (K) or NULL; a key with a negative label is passed over.
 * scratch: moco_knn_scratch(D) floats, 64-byte aligned, private to the call. */
typedef void moco_knn_scan_fn(const struct moco_knn *best, const float *q, const float *keys,
                              const int32_t *labels, size_t B, size_t K, size_t D, uint32_t first,
                              float *scratch);

/* List b shrinks to its k nearest (of equals the first), still in order, and its floor rises to the
 * k-th; with fewer than k it stays as it is. */
typedef void moco_knn_cut_fn(const struct moco_knn *best, size_t b);

size_t moco_knn_scratch(size_t D);

/* Views of images. Unlike elsewhere every product and every sum here is rounded by itself, no
 * multiply-add is fused: one rounding more in numbers of [0, 1] is nothing, torchvision does the
 * same, and `_ref` is quick where the CPU has no such instruction.
 *
 * dst(3, n), planes `plane` floats apart: dst[c][i] = src[4 i + c] / 255, the nearest float; src
 * has n pixels of four bytes. */
typedef void moco_unpack_fn(float *dst, size_t plane, const uint8_t *src, size_t n);

/* out(n) = Σ_t w[t] row[t][i], in the order of t. taps >= 1; out overlaps no row. */
typedef void moco_blend_fn(float *out, const float *const *row, const float *w, size_t taps,
                           size_t n);

/* dst[r][x] = Σ_t w[x taps + t] src[r][start[x] + t] for r < rows <= MOCO_RESIZE_ROWS and x < n,
 * in the order of t. Rows of src have `width` pixels and are lds apart, those of dst ldd.
 * 0 <= start[x] <= width - taps. scratch: moco_resize_scratch(width) floats, 64-byte aligned. */
typedef void moco_resize_fn(float *dst, size_t ldd, const float *src, size_t lds, size_t width,
                            const int32_t *start, const float *w, size_t taps, size_t rows,
                            size_t n, float *scratch);

enum { MOCO_RESIZE_ROWS = 16 };
size_t moco_resize_scratch(size_t width);

/* What colour does to a pixel; c counts its planes, [x] = x clamped to 0..1 (NaN becomes 0), and
 * grey = .2989 x_0 + .587 x_1 + .114 x_2. Those that speak of grey or hue need three planes.
 *   BLEND       [x a_0 + b_0]
 *   SATURATION  [x a_0 + b_0 grey]
 *   HUE         + a_0 sextants of the colour circle, |a_0| <= 6 (colour_ref.c has the formula)
 *   GREY        grey
 *   NORMALISE   (x - a_c) b_c */
enum moco_colour_kind {
    MOCO_COLOUR_BLEND,
    MOCO_COLOUR_SATURATION,
    MOCO_COLOUR_HUE,
    MOCO_COLOUR_GREY,
    MOCO_COLOUR_NORMALISE
};

struct moco_colour {
    enum moco_colour_kind kind;
    float a[3], b[3];
};

/* x: n pixels of 1 or 3 planes, `plane` floats apart, become what the steps make of them, one after
 * the other. sums(planes, 16), unless NULL: lane l has the sum of the results l, l + 16, ... from 0
 * on. */
typedef void moco_colour_fn(float *x, size_t plane, size_t planes, size_t n,
                            const struct moco_colour *step, size_t steps, float *sums);

/* Floats of scratch that infonce needs for rows of D columns. */
size_t moco_infonce_scratch(size_t D);

enum { MOCO_BN_LANES_MAX = 16, MOCO_KNN_SPARE = 16 };

/* Kernels on activations of one kind of number; their void pointers point to such numbers. Weights
 * and all that lies between the transforms of a convolution are floats. */
struct moco_activation {
    size_t bytes; /* of a number */
    moco_bn_stats_fn *bn_stats;
    moco_bn_apply_fn *bn_apply;
    moco_bn_grad_sums_fn *bn_grad_sums;
    moco_bn_grad_fn *bn_grad;
    struct moco_winograd winograd[2]; /* stride 1, stride 2 */
    struct moco_direct direct;
};

/* One kernel of every kind, all of one level. */
struct moco_simd {
    const char *name; /* "ref", "avx2", "avx512", "neon"; "ext" in tests */
    int lanes;        /* channel block of the activations that suits this level: 8 or 16 */
    moco_logits_fn *logits;
    moco_infonce_fn *infonce;
    moco_softmax_fn *softmax;
    moco_gather_logits_fn *gather_logits;
    moco_nce_fn *nce;
    moco_sampled_fn *sampled;
    moco_margin_fn *margin;
    moco_row_normalise_fn *row_normalise;
    moco_row_normalise_grad_fn *row_normalise_grad;
    moco_ema_fn *ema;
    moco_sgd_fn *sgd;
    moco_sgd_ema_fn *sgd_ema;
    moco_widen_fn *widen;
    moco_narrow_fn *narrow;
    moco_knn_scan_fn *knn_scan;
    moco_knn_cut_fn *knn_cut;
    moco_unpack_fn *unpack;
    moco_blend_fn *blend;
    moco_resize_fn *resize;
    moco_colour_fn *colour;
    size_t winograd_width; /* the most outputs that winograd_product takes at a time */
    moco_winograd_product_fn *winograd_product, *winograd_product_add;
    moco_winograd_product_grad_fn *winograd_product_grad;
    moco_direct_weights_fn *direct_weights;
    moco_direct_weights_grad_fn *direct_weights_grad;
    struct moco_activation activation[MOCO_NUMBERS]; /* by enum moco_number */
};

/* Levels of instruction sets, weakest first; a level includes those before it on its own machine.
 * Arm has ref and neon, x86 the rest. */
enum moco_level {
    MOCO_LEVEL_REF,
    MOCO_LEVEL_NEON,
    MOCO_LEVEL_AVX2,
    MOCO_LEVEL_AVX512,
    MOCO_LEVELS /* how many */
};

/* The highest level that CPU and operating system offer (CPUID and XGETBV; HWCAP on Arm). */
enum moco_level moco_cpu_level(void);

/* Instructions beside the level that a kernel may use after asking: bits. */
enum { MOCO_CPU_AVX512_BF16 = 1 };
unsigned moco_cpu_features(void);

/* Fills the table with the kernels of exactly this level. 0, or -1 when this build or this CPU
 * lacks it (then *table is untouched). Pure: no globals. */
int moco_simd_at(struct moco_simd *table, enum moco_level level);

/* The level that a name ("ref", "avx2", "avx512", "neon") asks for; -1 for another word. And the
 * name of a level. */
int moco_level_named(const char *name);
const char *moco_level_name(enum moco_level level);

/* The table of the highest level, capped by `cap` (NULL: by MOCO_SIMD in the environment, "" and
 * unset meaning no cap). -1 when the cap is no known name or is not available here. */
int moco_simd_init(struct moco_simd *table, const char *cap);

#endif
