/* linear.c: the probe from data to accuracy: classes, rows, standardisation, judgement, and the
 * proof that the encoder stood still; see linear.h. */
#include "engine/eval/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/eval/finite.h"
#include "engine/eval/linear_fit.h"

enum { HELD = 5, STRIP = 16 };

int linear_protocol_named(enum linear_protocol *out, const char *name)
{
    if (strcmp(name, "solver") == 0)
        *out = LINEAR_SOLVER;
    else if (strcmp(name, "moco") == 0)
        *out = LINEAR_MOCO;
    else
        return error_set(MOCO_EARG, "protocol '%s' is not known: solver or moco", name);
    return MOCO_OK;
}

/* ---- rows ---- */

int linear_row(float *x, const float *f, size_t D, size_t wide, const float *mean,
               const float *scale)
{
    float sum = 0.0f;
    for (size_t i = 0; i < D; i++) {
        x[i] = mean ? (f[i] - mean[i]) * scale[i] : f[i];
        sum += x[i] * 0.0f;
    }
    x[D] = 1.0f;
    memset(x + D + 1, 0, (wide - D - 1) * sizeof *x);
    return sum == 0.0f;
}

int linear_refuse(const struct score_side *side, size_t at)
{
    return finite_refuse(side->index[at], side->source->where);
}

/* Numbers the classes that have training images. */
static int list_classes(struct rows *rows, const struct score_sets *sets)
{
    const struct score_side *side = &sets->train;
    rows->number = malloc((size_t)sets->classes * sizeof *rows->number);
    if (!rows->number)
        return error_memory("the list of classes", (size_t)sets->classes * sizeof *rows->number);
    for (int c = 0; c < sets->classes; c++)
        rows->number[c] = -1;
    for (size_t i = 0; i < side->n; i++)
        rows->number[side->labels[i]] = 0;
    for (int c = 0; c < sets->classes; c++)
        if (rows->number[c] == 0)
            rows->number[c] = (int32_t)rows->classes++;
    if (rows->classes >= 2)
        return MOCO_OK;
    return error_set(MOCO_EARG, "all training images of %s are of one class: there is nothing to "
                     "tell apart", side->source->where);
}

/* Every fifth row of each class goes to the end. */
static int order_rows(struct rows *rows, const struct score_side *side)
{
    size_t *seen = calloc(rows->classes, sizeof *seen), at[2] = {0, 0};
    rows->n = side->n;
    rows->from = malloc(side->n * sizeof *rows->from);
    rows->y = malloc(side->n * sizeof *rows->y);
    if (!seen || !rows->from || !rows->y) {
        free(seen);
        return error_memory("the order of the rows", side->n * sizeof *rows->from);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < side->n; i++) {
            int32_t y = rows->number[side->labels[i]];
            int held = seen[y]++ % HELD == HELD - 1;
            if (pass == 0)
                rows->held += (size_t)held;
            else
                rows->from[held ? side->n - rows->held + at[1]++ : at[0]++] = i;
        }
        memset(seen, 0, rows->classes * sizeof *seen);
    }
    free(seen);
    for (size_t i = 0; i < rows->n; i++)
        rows->y[i] = rows->number[side->labels[rows->from[i]]];
    return MOCO_OK;
}

static void rows_close(struct rows *rows)
{
    free(rows->number);
    free(rows->from);
    free(rows->y);
    free(rows->x);
}

/* ---- the probe ---- */

struct probe {
    struct score_sets *sets;
    const struct embed *embed;
    const struct policy *policy;
    const struct moco_simd *simd;
    struct rows train;
    int raw;             /* features are not brought to unit length */
    float *mean, *scale; /* (D) 1 / deviation, 0 for a constant column; NULL: as they are */
    float *w;            /* (classes, wide) */
};

static void probe_close(struct probe *p)
{
    rows_close(&p->train);
    free(p->mean);
    free(p->scale);
    free(p->w);
}

static int probe_open(struct probe *p)
{
    struct rows *t = &p->train;
    int err = list_classes(t, p->sets);
    if (!err)
        err = order_rows(t, &p->sets->train);
    if (err)
        return err;
    t->D = score_columns(p->embed, p->policy);
    t->wide = logistic_columns(t->D);
    p->w = calloc(t->classes * t->wide, sizeof *p->w);
    return p->w ? MOCO_OK : error_memory("weights", t->classes * t->wide * sizeof *p->w);
}

/* sums: of the rows of STRIP columns or fewer; with a mean, of their squared distances from it. */
static void strip_sums(double *sums, const float *features, size_t rows, size_t D, size_t columns,
                       const float *mean)
{
    for (size_t d = 0; d < columns; d++)
        sums[d] = 0.0;
    for (size_t i = 0; i < rows; i++)
        for (size_t d = 0; d < columns; d++) {
            double off = mean ? (double)features[i * D + d] - mean[d] : features[i * D + d];
            sums[d] += mean ? off * off : off;
        }
}

/* Mean and deviation of each column of features (n, D), in double. */
static int standardise(struct probe *p, const float *features)
{
    size_t n = p->train.n, D = p->train.D;
    p->mean = malloc(D * sizeof *p->mean);
    p->scale = malloc(D * sizeof *p->scale);
    if (!p->mean || !p->scale)
        return error_memory("means of the features", D * sizeof *p->mean);
#pragma omp parallel for schedule(static)
    for (size_t first = 0; first < D; first += STRIP) {
        size_t columns = D - first < STRIP ? D - first : STRIP;
        double sums[STRIP];
        strip_sums(sums, features + first, n, D, columns, NULL);
        for (size_t d = 0; d < columns; d++)
            p->mean[first + d] = (float)(sums[d] / (double)n);
        strip_sums(sums, features + first, n, D, columns, p->mean + first);
        for (size_t d = 0; d < columns; d++) {
            double deviation = sqrt(sums[d] / (double)n);
            int constant = deviation <= 1e-6 * fabs((double)p->mean[first + d]);
            p->scale[first + d] = constant ? 0.0f : (float)(1.0 / deviation);
        }
    }
    return MOCO_OK;
}

static int solver_rows(struct probe *p, const float *features)
{
    struct rows *t = &p->train;
    int err = standardise(p, features);
    t->x = err ? NULL : malloc(t->n * t->wide * sizeof *t->x);
    if (!err && !t->x)
        err = error_memory("rows of features", t->n * t->wide * sizeof *t->x);
    for (size_t i = 0; i < t->n && !err; i++)
        if (!linear_row(t->x + i * t->wide, features + t->from[i] * t->D, t->D, t->wide, p->mean,
                        p->scale))
            err = linear_refuse(&p->sets->train, t->from[i]);
    return err;
}

/* Rows without the images that could not be read; what else is wrong was told before they were
 * read. */
static int drop_rows(struct probe *p)
{
    if (!p->sets->train.left_out)
        return MOCO_OK;
    probe_close(p);
    p->train = (struct rows){.n = 0};
    p->w = NULL;
    return probe_open(p);
}

/* Features of the training images, or NULL where each epoch draws views of them. */
static int read_training(float **features, struct probe *p, enum linear_protocol protocol)
{
    struct score_side *side = &p->sets->train;
    *features = NULL;
    watch_part("linear, training features", "images", 0, side->n);
    int err = protocol == LINEAR_MOCO
                  ? score_read(p->sets, side)
                  : score_features(features, p->sets, side, p->embed, p->policy, p->raw, p->simd);
    return err ? err : drop_rows(p);
}

/* ---- judgement ---- */

static void count(struct linear_result *out, struct class_score *classes, const struct probe *p,
                  const float *scores)
{
    const struct score_side *test = &p->sets->test;
    size_t first = 0, among = 0, C = p->train.classes;
    for (size_t i = 0; i < test->n; i++) {
        int32_t y = p->train.number[test->labels[i]];
        size_t place = y < 0 ? C : score_place(scores + i * C, C, (size_t)y);
        first += place == 0;
        among += place < SCORE_TOP && y >= 0;
        if (classes) {
            classes[test->labels[i]].n++;
            classes[test->labels[i]].right += place == 0;
        }
    }
    out->top1 = 100.0 * (double)first / (double)test->n;
    out->top5 = p->sets->classes > SCORE_TOP ? 100.0 * (double)among / (double)test->n : NAN;
}

static int judge(struct linear_result *out, struct class_score *classes, const struct probe *p)
{
    struct score_side *test = &p->sets->test;
    const struct rows *t = &p->train;
    float *features, *x = malloc(test->n * t->wide * sizeof *x);
    float *scores = malloc(test->n * t->classes * sizeof *scores);
    watch_part("linear, test features", "images", 0, test->n);
    int err = score_features(&features, p->sets, test, p->embed, p->policy, p->raw, p->simd);
    if (!err && (!x || !scores))
        err = error_memory("rows of features", test->n * (t->wide + t->classes) * sizeof *x);
    for (size_t i = 0; i < test->n && !err; i++)
        if (!linear_row(x + i * t->wide, features + i * t->D, t->D, t->wide, p->mean, p->scale))
            err = linear_refuse(test, i);
    if (!err) {
        logistic_scores(scores, x, p->w, test->n, t->wide, t->classes, p->simd);
        count(out, classes, p, scores);
        err = score_count_unknown(p->sets, p->sets->train.labels, p->sets->train.n, test->labels,
                                  test->n);
    }
    free(features);
    free(x);
    free(scores);
    return err;
}

static int probe(struct linear_result *out, struct class_score *classes, struct probe *p,
                 const struct linear_config *config)
{
    float *features = NULL;
    int err = probe_open(p);
    out->columns = p->train.D;
    if (!err)
        err = read_training(&features, p, config->protocol);
    if (!err && config->protocol == LINEAR_MOCO)
        err = linear_sgd(p->w, out, &p->train, &p->sets->train, p->embed, p->policy, config,
                         p->simd);
    if (!err && config->protocol == LINEAR_SOLVER)
        err = solver_rows(p, features);
    free(features);
    if (!err && config->protocol == LINEAR_SOLVER)
        err = linear_solve(p->w, out, &p->train, config->l2, p->simd);
    return err ? err : judge(out, classes, p);
}

int linear_run(struct linear_result *out, struct class_score *classes,
               struct score_sets *sets, const struct embed *embed,
               const struct policy *policy, const struct linear_config *config,
               const struct moco_simd *simd)
{
    struct probe p = {.sets = sets, .embed = embed, .policy = policy, .simd = simd,
                      .raw = config->protocol == LINEAR_SOLVER};
    *out = (struct linear_result){.top1 = NAN, .top5 = NAN};
    if (!embed && config->protocol == LINEAR_MOCO)
        return error_set(MOCO_EARG, "protocol moco is for encoders; raw pixels take protocol "
                                    "solver");
    uint64_t before = embed ? embed_checksum(embed->encoder, embed->net) : 0;
    int err = probe(out, classes, &p, config);
    probe_close(&p);
    if (!err && embed && embed_checksum(embed->encoder, embed->net) != before)
        return error_set(MOCO_EDIVERGED, "the encoder's parameters or running statistics moved "
                         "during the probe: its result is worthless");
    return err;
}
