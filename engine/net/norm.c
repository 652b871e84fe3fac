/* norm.c: BatchNorm over groups of the batch, fused with the addition and ReLU behind it.
 *
 * With bn_splits = g, sample n belongs to group n mod g and each group is normalised with its own
 * statistics, as if each were one device: what shuffled BN needs (He et al. 2019, section 3.3) in
 * one process. The running statistics move once per pass, towards the average over the groups of
 * the means and of the unbiased variances. Kernels work on planes (one sample, one channel block);
 * their results are merged in double, in sample order, so the number of threads changes no bit. */
#include "engine/net/program.h"

#include <math.h>
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

static void batch_statistics(const struct norm_pass *p, const float *src)
{
    size_t Cp = padded(p->C, p->lanes), blocks = Cp / (size_t)p->lanes;
    size_t half = (size_t)p->B * Cp, plane = (size_t)p->pixels * (size_t)p->lanes;
    long planes = (long)((size_t)p->B * blocks);

#pragma omp parallel for schedule(static)
    for (long i = 0; i < planes; i++) {
        size_t at = (size_t)i * (size_t)p->lanes; /* = n * Cp + block * lanes */
        p->simd->bn_stats(p->partial + at, p->partial + half + at, src + (size_t)i * plane,
                          (size_t)p->pixels, (size_t)p->lanes);
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

static void affine_from_batch(const struct norm_pass *p, const float *gamma, const float *beta,
                              float *running_mean, float *running_var, float *saved)
{
    double count = (double)p->B / p->splits * p->pixels;
    size_t half = (size_t)p->splits * (size_t)p->C;
    for (int c = 0; c < p->C; c++) {
        double mean_sum = 0, var_sum = 0;
        for (int g = 0; g < p->splits; g++) {
            double mean, m2;
            merge_planes(p, g, (size_t)c, &mean, &m2);
            double inv_std = 1.0 / sqrt(m2 / count + eps);
            saved[(size_t)g * (size_t)p->C + (size_t)c] = (float)mean;
            saved[half + (size_t)g * (size_t)p->C + (size_t)c] = (float)inv_std;
            set_affine(p, g, c, mean, inv_std, gamma[c], beta[c]);
            save_affine(p, saved, g, c);
            mean_sum += mean;
            var_sum += count > 1 ? m2 / (count - 1) : 0;
        }
        running_mean[c] = (float)((1 - running_momentum) * running_mean[c] +
                                  running_momentum * mean_sum / p->splits);
        running_var[c] = (float)((1 - running_momentum) * running_var[c] +
                                 running_momentum * var_sum / p->splits);
    }
}

static void affine_from_running(const struct norm_pass *p, const float *gamma, const float *beta,
                                const float *running_mean, const float *running_var)
{
    for (int g = 0; g < p->splits; g++)
        for (int c = 0; c < p->C; c++)
            set_affine(p, g, c, running_mean[c], 1.0 / sqrt(running_var[c] + eps), gamma[c],
                       beta[c]);
}

/* dst = [relu](scale src + shift [+ add]) with the scales and shifts of coef. */
static void apply(const struct norm_pass *p, float *dst, const float *src, const float *add,
                  int relu)
{
    size_t Cp = padded(p->C, p->lanes), blocks = Cp / (size_t)p->lanes;
    size_t plane = (size_t)p->pixels * (size_t)p->lanes, half = (size_t)p->splits * Cp;
    long planes = (long)((size_t)p->B * blocks);

#pragma omp parallel for schedule(static)
    for (long i = 0; i < planes; i++) {
        size_t n = (size_t)i / blocks, block = (size_t)i % blocks, at = (size_t)i * plane;
        const float *scale = p->coef + n % (size_t)p->splits * Cp + block * (size_t)p->lanes;
        p->simd->bn_apply(dst + at, src + at, add ? add + at : NULL, scale, scale + half,
                          (size_t)p->pixels, (size_t)p->lanes, relu);
    }
}

static void clear_affine(const struct norm_pass *p)
{
    /* padded channels stay zero */
    memset(p->coef, 0, 2 * (size_t)p->splits * padded(p->C, p->lanes) * sizeof *p->coef);
}

void norm_again(const struct norm_pass *p, float *dst, const float *src, const float *saved,
                int relu)
{
    clear_affine(p);
    affine_from_saved(p, saved);
    apply(p, dst, src, NULL, relu);
}

void norm_forward(const struct norm_pass *p, float *dst, const float *src, const float *add,
                  const float *gamma, const float *beta, float *running_mean, float *running_var,
                  float *saved, int relu, enum net_mode mode)
{
    clear_affine(p);
    if (mode == NET_TRAIN) {
        batch_statistics(p, src);
        affine_from_batch(p, gamma, beta, running_mean, running_var, saved);
    } else {
        affine_from_running(p, gamma, beta, running_mean, running_var);
    }
    apply(p, dst, src, add, relu);
}

/* Coefficients of d_src = a g + b x + c from the planes' sums, and the parameters' gradients. */
static void gradient_affine(const struct norm_pass *p, float *d_gamma, float *d_beta,
                            const float *gamma, const float *saved)
{
    size_t Cp = padded(p->C, p->lanes), sums = (size_t)p->B * Cp;
    size_t half = (size_t)p->splits * Cp, stride = (size_t)p->splits * (size_t)p->C;
    double count = (double)p->B / p->splits * p->pixels;
    for (int c = 0; c < p->C; c++) {
        double gamma_sum = 0, beta_sum = 0;
        for (int g = 0; g < p->splits; g++) {
            double mean = saved[(size_t)(g * p->C + c)];
            double inv_std = saved[stride + (size_t)(g * p->C + c)], sum_g = 0, sum_gx = 0;
            for (int n = g; n < p->B; n += p->splits) {
                sum_g += p->partial[(size_t)n * Cp + (size_t)c];
                sum_gx += p->partial[sums + (size_t)n * Cp + (size_t)c];
            }
            double a = gamma[c] * inv_std, b = -a * inv_std * inv_std * sum_gx / count;
            float *coef = p->coef + (size_t)g * Cp + (size_t)c;
            coef[0] = (float)a;
            coef[half] = (float)b;
            coef[2 * half] = (float)(-a * sum_g / count - b * mean);
            gamma_sum += inv_std * sum_gx;
            beta_sum += sum_g;
        }
        d_gamma[c] += (float)gamma_sum;
        d_beta[c] += (float)beta_sum;
    }
}

void norm_backward(const struct norm_pass *p, float *d_src, float *d_add, float *d_gamma,
                   float *d_beta, const float *d_dst, const float *act, const float *src,
                   const float *gamma, const float *saved)
{
    size_t lanes = (size_t)p->lanes, Cp = padded(p->C, p->lanes), blocks = Cp / lanes;
    size_t plane = (size_t)p->pixels * lanes, sums = (size_t)p->B * Cp;
    size_t half = (size_t)p->splits * Cp;
    long planes = (long)((size_t)p->B * blocks);

#pragma omp parallel for schedule(static)
    for (long i = 0; i < planes; i++) {
        size_t n = (size_t)i / blocks, block = (size_t)i % blocks, at = (size_t)i * plane;
        float mean[MOCO_BN_LANES_MAX] = { 0 };
        for (size_t l = 0; l < lanes && block * lanes + l < (size_t)p->C; l++)
            mean[l] = saved[n % (size_t)p->splits * (size_t)p->C + block * lanes + l];
        p->simd->bn_grad_sums(p->partial + (size_t)i * lanes, p->partial + sums + (size_t)i * lanes,
                              d_dst + at, act ? act + at : NULL, src + at, mean,
                              (size_t)p->pixels, lanes);
    }
    memset(p->coef, 0, 3 * half * sizeof *p->coef);
    gradient_affine(p, d_gamma, d_beta, gamma, saved);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < planes; i++) {
        size_t n = (size_t)i / blocks, block = (size_t)i % blocks, at = (size_t)i * plane;
        const float *a = p->coef + n % (size_t)p->splits * Cp + block * lanes;
        p->simd->bn_grad(d_src + at, d_add ? d_add + at : NULL, d_dst + at,
                         act ? act + at : NULL, src + at, a, a + half, a + 2 * half,
                         (size_t)p->pixels, lanes);
    }
}
