/* norm.c: BatchNorm over groups of the batch, fused with the addition and ReLU behind it.
 *
 * With bn_splits = g, sample n belongs to group n mod g and each group is normalised with its own
 * statistics, as if each were one device: what shuffled BN needs (He et al. 2019, section 3.3) in
 * one process. The running statistics move once per pass, towards the average over the groups of
 * the means and of the unbiased variances. Kernels work on planes (one sample, one channel block);
 * their results are merged in double, in sample order, so the number of threads changes no bit.
 *
 * Each direction goes over its operands twice: for sums, then for the result. A strip of channel
 * blocks, all samples, few enough to stay in the caches, is taken through both before the next,
 * the second time backwards, so that the operands come from memory once. */
#include "engine/net/program.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static const double eps = 1e-5, running_momentum = 0.1;

static size_t padded(int C, int lanes)
{
    return (size_t)((C + lanes - 1) / lanes * lanes);
}

size_t norm_partial_floats(int B, int C, int lanes)
{
    return 2 * (size_t)B * padded(C, lanes);
}

size_t norm_coef_floats(int splits, int C, int lanes)
{
    return 3 * (size_t)splits * padded(C, lanes);
}

/* Mean and unbiased/biased variance of channel c in group g from the planes' means and m2 (Chan's
 * pairwise update, in sample order). */
static void merge_planes(const struct norm_pass *p, int g, size_t c, double *mean, double *m2)
{
    size_t Cp = padded(p->C, p->lanes), half = (size_t)p->B * Cp;
    double count = 0, m = 0, s = 0;
    for (int n = g; n < p->B; n += p->splits) {
        double plane_mean = p->partial[(size_t)n * Cp + c];
        double plane_m2 = p->partial[half + (size_t)n * Cp + c];
        double delta = plane_mean - m, total = count + p->pixels;
        m += delta * p->pixels / total;
        s += plane_m2 + delta * delta * count * p->pixels / total;
        count = total;
    }
    *mean = m;
    *m2 = s;
}

/* Bytes of a strip's operands, and of an array from which on its results go past the caches. */
enum { STRIP_BYTES = 12 << 20, FAR_BYTES = 24 << 20 };

/* The planes of a strip that one thread works on: sample i / blocks, channel block
 * first + i % blocks, for i in from..to-1. */
struct part {
    size_t first, blocks, from, to;
};

/* Numbers of a plane. */
static size_t plane_numbers(const struct norm_pass *p)
{
    return (size_t)p->pixels * (size_t)p->lanes;
}

static size_t blocks_of(const struct norm_pass *p)
{
    return padded(p->C, p->lanes) / (size_t)p->lanes;
}

/* Channel blocks of a strip with that many operands. */
static size_t strip_blocks(const struct norm_pass *p, size_t operands)
{
    size_t most = STRIP_BYTES / ((size_t)p->B * plane_numbers(p) * p->kernels->bytes * operands);
    return most < 1 ? 1 : most;
}

/* This thread's share of the strip that opens at block `first`. Called by a team. */
static struct part part_of(const struct norm_pass *p, size_t first, size_t blocks)
{
    size_t left = blocks_of(p) - first, n = left < blocks ? left : blocks, all = n * (size_t)p->B;
    size_t me = (size_t)omp_get_thread_num(), team = (size_t)omp_get_num_threads();
    return (struct part){ first, n, all * me / team, all * (me + 1) / team };
}

struct plane {
    size_t n, block; /* sample and channel block */
    size_t at;       /* numbers before it in an activation */
    size_t channel;  /* the same in an array of (B, C padded) */
};

static struct plane plane_of(const struct norm_pass *p, const struct part *part, size_t i)
{
    size_t n = i / part->blocks, block = part->first + i % part->blocks;
    size_t index = n * blocks_of(p) + block;
    return (struct plane){ n, block, index * plane_numbers(p), index * (size_t)p->lanes };
}

static const void *read_at(const struct norm_pass *p, const void *activation, size_t at)
{
    return (const char *)activation + at * p->kernels->bytes;
}

static void *write_at(const struct norm_pass *p, void *activation, size_t at)
{
    return (char *)activation + at * p->kernels->bytes;
}

static int is_far(const struct norm_pass *p)
{
    return (size_t)p->B * blocks_of(p) * plane_numbers(p) * p->kernels->bytes >= FAR_BYTES;
}

static void plane_statistics(const struct norm_pass *p, const void *src, const struct part *part)
{
    size_t half = (size_t)p->B * padded(p->C, p->lanes);
    for (size_t i = part->from; i < part->to; i++) {
        struct plane x = plane_of(p, part, i);
        p->kernels->bn_stats(p->partial + x.channel, p->partial + half + x.channel,
                             read_at(p, src, x.at), (size_t)p->pixels, (size_t)p->lanes);
    }
}

/* scale and shift of one channel in one group. */
static void set_affine(const struct norm_pass *p, int g, int c, double mean, double inv_std,
                       float gamma, float beta)
{
    size_t Cp = padded(p->C, p->lanes), at = (size_t)g * Cp + (size_t)c;
    size_t half = (size_t)p->splits * Cp;
    double scale = gamma * inv_std;
    p->coef[at] = (float)scale;
    p->coef[half + at] = (float)(beta - mean * scale);
}

static void save_affine(const struct norm_pass *p, float *saved, int g, int c)
{
    size_t Cp = padded(p->C, p->lanes), from = (size_t)g * Cp + (size_t)c;
    size_t half = (size_t)p->splits * (size_t)p->C, to = (size_t)(g * p->C + c);
    saved[2 * half + to] = p->coef[from];
    saved[3 * half + to] = p->coef[(size_t)p->splits * Cp + from];
}

static void affine_from_saved(const struct norm_pass *p, const float *saved)
{
    size_t Cp = padded(p->C, p->lanes), half = (size_t)p->splits * (size_t)p->C;
    for (int g = 0; g < p->splits; g++)
        for (int c = 0; c < p->C; c++) {
            size_t to = (size_t)g * Cp + (size_t)c, from = (size_t)(g * p->C + c);
            p->coef[to] = saved[2 * half + from];
            p->coef[(size_t)p->splits * Cp + to] = saved[3 * half + from];
        }
}

/* What the norms of channels are in a pass: parameters and running statistics of all channels. */
struct affine {
    const float *gamma, *beta;
    float *running_mean, *running_var, *saved;
};

static void affine_from_batch(const struct norm_pass *p, const struct affine *a, int c)
{
    double count = (double)p->B / p->splits * p->pixels, mean_sum = 0, var_sum = 0;
    size_t half = (size_t)p->splits * (size_t)p->C;
    for (int g = 0; g < p->splits; g++) {
        size_t at = (size_t)g * (size_t)p->C + (size_t)c;
        double mean, m2;
        merge_planes(p, g, (size_t)c, &mean, &m2);
        double inv_std = 1.0 / sqrt(m2 / count + eps);
        a->saved[at] = (float)mean;
        a->saved[half + at] = (float)inv_std;
        set_affine(p, g, c, mean, inv_std, a->gamma[c], a->beta[c]);
        save_affine(p, a->saved, g, c);
        mean_sum += mean;
        var_sum += count > 1 ? m2 / (count - 1) : 0;
    }
    a->running_mean[c] = (float)((1 - running_momentum) * a->running_mean[c] +
                                 running_momentum * mean_sum / p->splits);
    a->running_var[c] = (float)((1 - running_momentum) * a->running_var[c] +
                                running_momentum * var_sum / p->splits);
}

static void affine_from_running(const struct norm_pass *p, const float *gamma, const float *beta,
                                const float *running_mean, const float *running_var)
{
    for (int g = 0; g < p->splits; g++)
        for (int c = 0; c < p->C; c++)
            set_affine(p, g, c, running_mean[c], 1.0 / sqrt(running_var[c] + eps), gamma[c],
                       beta[c]);
}

/* dst = [relu](scale src + shift [+ add]) with the scales and shifts of coef, last plane first. */
static void apply(const struct norm_pass *p, void *dst, uint8_t *open, const void *src,
                  const void *add, int relu, const struct part *part)
{
    size_t Cp = padded(p->C, p->lanes), half = (size_t)p->splits * Cp;
    int far = is_far(p);
    for (size_t i = part->to; i-- > part->from;) {
        struct plane x = plane_of(p, part, i);
        const float *scale =
            p->coef + x.n % (size_t)p->splits * Cp + x.block * (size_t)p->lanes;
        p->kernels->bn_apply(write_at(p, dst, x.at), open ? open + x.at / 8 : NULL,
                             read_at(p, src, x.at), add ? read_at(p, add, x.at) : NULL, scale,
                             scale + half, (size_t)p->pixels, (size_t)p->lanes, relu, far);
    }
}

static void apply_all(const struct norm_pass *p, void *dst, uint8_t *open, const void *src,
                      const void *add, int relu)
{
#pragma omp parallel
    {
        struct part part = part_of(p, 0, blocks_of(p));
        apply(p, dst, open, src, add, relu, &part);
    }
}

static void clear_affine(const struct norm_pass *p)
{
    /* padded channels stay zero */
    memset(p->coef, 0, 2 * (size_t)p->splits * padded(p->C, p->lanes) * sizeof *p->coef);
}

void norm_again(const struct norm_pass *p, void *dst, const void *src, const void *add,
                const float *saved, int relu)
{
    clear_affine(p);
    affine_from_saved(p, saved);
    apply_all(p, dst, NULL, src, add, relu);
}

/* Channels of a strip, one past the last. */
static int end_channel(const struct norm_pass *p, const struct part *part)
{
    int end = (int)(part->first + part->blocks) * p->lanes;
    return end < p->C ? end : p->C;
}

static void forward_batch(const struct norm_pass *p, void *dst, uint8_t *open, const void *src,
                          const void *add, const struct affine *affine, int relu)
{
    size_t strip = strip_blocks(p, 1);
#pragma omp parallel
    for (size_t first = 0; first < blocks_of(p); first += strip) {
        struct part part = part_of(p, first, strip);
        int end = end_channel(p, &part);
        plane_statistics(p, src, &part);
#pragma omp barrier
#pragma omp for schedule(static)
        for (int c = (int)first * p->lanes; c < end; c++)
            affine_from_batch(p, affine, c);
        apply(p, dst, open, src, add, relu, &part);
    }
}

void norm_forward(const struct norm_pass *p, void *dst, uint8_t *open, const void *src,
                  const void *add, const float *gamma, const float *beta, float *running_mean,
                  float *running_var, float *saved, int relu, enum net_mode mode)
{
    clear_affine(p);
    if (mode == NET_TRAIN) {
        struct affine affine = { gamma, beta, running_mean, running_var, saved };
        forward_batch(p, dst, open, src, add, &affine, relu);
    } else {
        affine_from_running(p, gamma, beta, running_mean, running_var);
        apply_all(p, dst, open, src, add, relu);
    }
}

/* A backward pass: what it reads and where its results go. */
struct backward {
    void *d_src, *d_dst;
    float *d_gamma, *d_beta;
    const uint8_t *open;
    const void *src;
    const float *gamma, *saved;
    int relu;
};

/* Channels of one block of a norm's saved array; padded lanes are 0. */
static void saved_lanes(float *lanes, const struct norm_pass *p, const float *saved, size_t n,
                        size_t block)
{
    size_t first = block * (size_t)p->lanes, group = n % (size_t)p->splits * (size_t)p->C;
    for (size_t l = 0; l < (size_t)p->lanes; l++)
        lanes[l] = first + l < (size_t)p->C ? saved[group + first + l] : 0.0f;
}

static void plane_sums(const struct norm_pass *p, const struct backward *b,
                       const struct part *part)
{
    size_t sums = (size_t)p->B * padded(p->C, p->lanes);
    size_t stride = (size_t)p->splits * (size_t)p->C;
    for (size_t i = part->from; i < part->to; i++) {
        struct plane x = plane_of(p, part, i);
        float mean[MOCO_BN_LANES_MAX], scale[MOCO_BN_LANES_MAX], shift[MOCO_BN_LANES_MAX];
        struct moco_bn_gate gate = { b->open ? b->open + x.at / 8 : NULL, NULL, NULL };
        saved_lanes(mean, p, b->saved, x.n, x.block);
        if (b->relu && !b->open) {
            saved_lanes(scale, p, b->saved + 2 * stride, x.n, x.block);
            saved_lanes(shift, p, b->saved + 3 * stride, x.n, x.block);
            gate.scale = scale;
            gate.shift = shift;
        }
        p->kernels->bn_grad_sums(p->partial + x.channel, p->partial + sums + x.channel,
                                 write_at(p, b->d_dst, x.at), read_at(p, b->d_dst, x.at), &gate,
                                 read_at(p, b->src, x.at), mean, (size_t)p->pixels,
                                 (size_t)p->lanes);
    }
}

/* Coefficients of d_src = a g + b x + c from the planes' sums, and the parameters' gradients. */
static void gradient_affine(const struct norm_pass *p, const struct backward *pass, int c)
{
    size_t Cp = padded(p->C, p->lanes), sums = (size_t)p->B * Cp;
    size_t half = (size_t)p->splits * Cp, stride = (size_t)p->splits * (size_t)p->C;
    double count = (double)p->B / p->splits * p->pixels, gamma_sum = 0, beta_sum = 0;
    for (int g = 0; g < p->splits; g++) {
        double mean = pass->saved[(size_t)(g * p->C + c)];
        double inv_std = pass->saved[stride + (size_t)(g * p->C + c)], sum_g = 0, sum_gx = 0;
        for (int n = g; n < p->B; n += p->splits) {
            sum_g += p->partial[(size_t)n * Cp + (size_t)c];
            sum_gx += p->partial[sums + (size_t)n * Cp + (size_t)c];
        }
        double a = pass->gamma[c] * inv_std, b = -a * inv_std * inv_std * sum_gx / count;
        float *coef = p->coef + (size_t)g * Cp + (size_t)c;
        coef[0] = (float)a;
        coef[half] = (float)b;
        coef[2 * half] = (float)(-a * sum_g / count - b * mean);
        gamma_sum += inv_std * sum_gx;
        beta_sum += sum_g;
    }
    pass->d_gamma[c] += (float)gamma_sum;
    pass->d_beta[c] += (float)beta_sum;
}

static void plane_gradients(const struct norm_pass *p, const struct backward *b,
                            const struct part *part)
{
    size_t lanes = (size_t)p->lanes, Cp = padded(p->C, p->lanes), half = (size_t)p->splits * Cp;
    int far = is_far(p);
    for (size_t i = part->to; i-- > part->from;) {
        struct plane x = plane_of(p, part, i);
        const float *a = p->coef + x.n % (size_t)p->splits * Cp + x.block * lanes;
        p->kernels->bn_grad(write_at(p, b->d_src, x.at), read_at(p, b->d_dst, x.at),
                            read_at(p, b->src, x.at), a, a + half, a + 2 * half,
                            (size_t)p->pixels, lanes, far);
    }
}

void norm_backward(const struct norm_pass *p, void *d_src, void *d_dst, float *d_gamma,
                   float *d_beta, const uint8_t *open, const void *src, const float *gamma,
                   const float *saved, int relu)
{
    struct backward b = { d_src, d_dst, d_gamma, d_beta, open, src, gamma, saved, relu };
    size_t strip = strip_blocks(p, 2);
    memset(p->coef, 0, 3 * (size_t)p->splits * padded(p->C, p->lanes) * sizeof *p->coef);
#pragma omp parallel
    for (size_t first = 0; first < blocks_of(p); first += strip) {
        struct part part = part_of(p, first, strip);
        int end = end_channel(p, &part);
        plane_sums(p, &b, &part);
#pragma omp barrier
#pragma omp for schedule(static)
        for (int c = (int)first * p->lanes; c < end; c++)
            gradient_affine(p, &b, c);
        plane_gradients(p, &b, &part);
    }
}

void norm_add(const struct moco_activation *kernels, void *sum, const void *more, size_t n)
{
    enum { LANES = 8, PIECE = 16 << 10 };
    static const float one[LANES] = { 1, 1, 1, 1, 1, 1, 1, 1 }, zero[LANES];
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i += PIECE) {
        char *to = (char *)sum + i * kernels->bytes;
        size_t count = n - i < PIECE ? n - i : PIECE;
        kernels->bn_apply(to, NULL, (const char *)more + i * kernels->bytes, to, one, zero,
                          count / LANES, LANES, 0, 0);
    }
}
