/* finetune.c: the choice of labelled images, the network with its classifier, the loop; see
 * finetune.h. */
#include "engine/eval/finetune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/eval/logistic.h"
#include "engine/optim/update.h"

/* An epoch that no run reaches: its stream of orders draws the images of each class. */
static const uint64_t choice_epoch = UINT64_MAX;

static const double classifier_rate = 10.0;

/* ---- which images ---- */

/* members: (n) the places in `side` of class c; how many. */
static size_t members_of(uint32_t *members, const struct score_side *side, int32_t c)
{
    size_t n = 0;
    for (size_t i = 0; i < side->n; i++)
        if (side->labels[i] == c)
            members[n++] = (uint32_t)i;
    return n;
}

int finetune_choose(size_t *index, size_t *n, const struct score_side *side, int classes,
                    double fraction, uint64_t seed)
{
    uint32_t *members = malloc(2 * side->n * sizeof *members), *order;
    if (!members)
        return error_memory("the choice of images", 2 * side->n * sizeof *members);
    int present = 0; /* classes that have images here */
    for (int32_t c = 0; c < classes; c++)
        present += members_of(members, side, c) > 0;
    double share = fraction * (double)side->n / present;
    size_t wanted = share < 1.0 ? 1 : (size_t)(share + 0.5);
    order = members + side->n;
    *n = 0;
    for (int32_t c = 0; c < classes; c++) {
        size_t there = members_of(members, side, c);
        struct rng rng = rng_at(seed, RNG_ORDER, choice_epoch, (uint64_t)c);
        rng_permutation(&rng, order, there);
        for (size_t i = 0; i < there && i < wanted; i++)
            index[(*n)++] = members[order[i]];
    }
    free(members);
    return MOCO_OK;
}

/* ---- the network ---- */

struct tuner {
    struct score_sets *sets;
    const struct finetune_config *config;
    const struct moco_simd *simd;
    struct policy views;
    struct net *net;
    struct encoder encoder;
    struct tape *tape;
    size_t n, batch;    /* chosen images; of a step */
    int epochs;
    size_t *chosen;     /* (sets->train.n) places in sets->train.index; the first n count */
    uint32_t *order;    /* (n) */
    size_t *index;      /* (batch) images */
    float *x;           /* (batch, C, S, S) */
    float *logits;      /* (batch, classes), then their gradient */
    float *velocity;    /* (P) */
};

static struct policy light_views(const struct policy *policy)
{
    struct policy views = {.side = policy->side, .channels = policy->channels, .scale_lo = 0.5f,
                           .scale_hi = 1.0f, .ratio_lo = 3.0f / 4.0f, .ratio_hi = 4.0f / 3.0f,
                           .flip_p = 0.5f};
    memcpy(views.mean, policy->mean, sizeof views.mean);
    memcpy(views.std, policy->std, sizeof views.std);
    return views;
}

static int is_head(const struct tensor *t)
{
    return strncmp(t->name, "fc.", 3) == 0;
}

/* Everything but the head: the two nets differ there alone, and it comes last in each arena. */
static void copy_backbone(struct encoder *to, const struct encoder *from, const struct net *net)
{
    size_t count;
    const struct tensor *tensors = net_tensors(net, &count);
    for (size_t i = 0; i < count; i++)
        if (tensors[i].kind == TENSOR_PARAM && !is_head(&tensors[i]))
            memcpy(to->params + tensors[i].offset, from->params + tensors[i].offset,
                   tensors[i].count * sizeof *to->params);
    memcpy(to->stats, from->stats, net_stat_count(net) * sizeof *to->stats);
    to->batches = from->batches;
}

static int open_net(struct tuner *t, const struct net *like, const struct encoder *from)
{
    struct net_config config = *net_get_config(like);
    config.dim = t->sets->classes;
    config.head = HEAD_FC;
    config.batch = (int)t->batch;
    config.bn_splits = 1;
    int err = net_open(&t->net, &config, t->simd);
    if (!err)
        err = encoder_open(&t->encoder, t->net, 1, NULL);
    if (!err)
        err = tape_open(&t->tape, t->net, 1, NULL);
    if (err)
        return err;
    encoder_init(&t->encoder, t->net, t->config->seed);
    if (!t->config->from_scratch)
        copy_backbone(&t->encoder, from, t->net);
    return MOCO_OK;
}

static int open_buffers(struct tuner *t)
{
    size_t image = embed_pixel_dim(&t->views), P = net_param_count(t->net);
    t->order = malloc(t->n * sizeof *t->order);
    t->index = malloc(t->batch * sizeof *t->index);
    t->x = malloc(t->batch * image * sizeof *t->x);
    t->logits = malloc(t->batch * (size_t)t->sets->classes * sizeof *t->logits);
    t->velocity = calloc(P, sizeof *t->velocity);
    if (t->order && t->index && t->x && t->logits && t->velocity)
        return MOCO_OK;
    return error_memory("a batch to train on", t->batch * image * sizeof *t->x);
}

/* Only the chosen ones are read for it: they may be one in a hundred. */
static int drop_unreadable(struct tuner *t)
{
    struct score_side *all = &t->sets->train, side = {.source = all->source, .n = t->n};
    struct embed_bad *bad = calloc(1, sizeof *bad);
    unsigned char *marks = calloc(t->n + 1, 1);
    side.index = malloc((t->n + 1) * sizeof *side.index);
    int err = bad && marks && side.index ? MOCO_OK : error_memory("the choice of images", t->n);
    if (!err) {
        bad->at = marks;
        for (size_t i = 0; i < t->n; i++)
            side.index[i] = all->index[t->chosen[i]];
        err = embed_readable(bad, side.source, side.index, t->n);
    }
    if (!err && bad->count) {
        score_note_left(t->sets, &side, bad, "training is");
        t->n = embed_pack(t->chosen, sizeof *t->chosen, t->n, bad);
    }
    free(bad);
    free(marks);
    free(side.index);
    return err;
}

static int tuner_open(struct tuner *t, const struct net *like, const struct encoder *from)
{
    const struct score_side *train = &t->sets->train;
    t->chosen = malloc(train->n * sizeof *t->chosen);
    if (!t->chosen)
        return error_memory("the choice of images", train->n * sizeof *t->chosen);
    int err = finetune_choose(t->chosen, &t->n, train, t->sets->classes, t->config->fraction,
                              t->config->seed);
    if (!err)
        err = drop_unreadable(t);
    if (!err && t->n < 2)
        err = error_set(MOCO_EARG, "one labelled image is too few to train on");
    if (err)
        return err;
    t->batch = t->n < (size_t)t->config->batch ? t->n : (size_t)t->config->batch;
    size_t steps = t->n / t->batch;
    t->epochs = t->config->epochs > 0 ? t->config->epochs
                                      : (int)((FINETUNE_STEPS + steps - 1) / steps);
    err = open_net(t, like, from);
    return err ? err : open_buffers(t);
}

static void tuner_close(struct tuner *t)
{
    if (t->net) {
        tape_close(&t->tape);
        encoder_close(&t->encoder);
    }
    net_close(&t->net);
    free(t->chosen);
    free(t->order);
    free(t->index);
    free(t->x);
    free(t->logits);
    free(t->velocity);
}

/* ---- training ---- */

/* Loss of the logits, a mean over the batch; they become its gradient. */
static double loss_of(struct tuner *t, size_t first)
{
    size_t C = (size_t)t->sets->classes;
    double loss = 0.0;
    for (size_t b = 0; b < t->batch; b++) {
        int32_t y = t->sets->train.labels[t->chosen[t->order[first + b]]];
        loss += logistic_row(t->logits + b * C, C, (size_t)y);
        for (size_t c = 0; c < C; c++)
            t->logits[b * C + c] /= (float)t->batch;
    }
    return loss / (double)t->batch;
}

/* The classifier's tensors are the last of the arena. */
static void update(struct tuner *t, double lr)
{
    size_t count, P = net_param_count(t->net), head = P;
    const struct tensor *tensors = net_tensors(t->net, &count);
    for (size_t i = 0; i < count; i++)
        if (tensors[i].kind == TENSOR_PARAM && is_head(&tensors[i]) && tensors[i].offset < head)
            head = tensors[i].offset;
    struct encoder *e = &t->encoder;
    float wd = (float)t->config->wd;
    sgd_update(t->simd, e->params, t->velocity, e->grads, head, (float)lr, 0.9f, wd);
    sgd_update(t->simd, e->params + head, t->velocity + head, e->grads + head, P - head,
               (float)(classifier_rate * lr), 0.9f, wd);
}

static int step(struct tuner *t, int epoch, size_t first, double lr, double *loss)
{
    const struct score_side *train = &t->sets->train;
    struct view_draw draw = {.seed = t->config->seed, .epoch = (uint64_t)epoch};
    int err = watch_step((size_t)epoch * (t->n / t->batch) + first / t->batch);
    for (size_t b = 0; b < t->batch; b++)
        t->index[b] = train->index[t->chosen[t->order[first + b]]];
    if (!err)
        err = embed_decode(t->x, train->source, t->index, t->batch, &t->views, &draw);
    if (!err)
        err = encoder_forward(&t->encoder, t->net, t->tape, t->logits, NULL, t->x, NET_TRAIN);
    if (err)
        return err;
    *loss = loss_of(t, first);
    if (!isfinite(*loss))
        return error_set(MOCO_EDIVERGED, "the loss is no longer finite in epoch %d: give a smaller "
                         "--lr", epoch + 1);
    memset(t->encoder.grads, 0, net_param_count(t->net) * sizeof(float));
    err = encoder_backward(&t->encoder, t->net, t->tape, t->logits);
    if (!err)
        update(t, lr);
    return err;
}

static int train_epoch(struct tuner *t, struct finetune_result *out, int epoch)
{
    size_t steps = t->n / t->batch;
    double sum = 0.0, loss = 0.0, total = (double)steps * t->epochs;
    struct rng rng = rng_at(t->config->seed, RNG_ORDER, (uint64_t)epoch, 0);
    int err = MOCO_OK;
    rng_permutation(&rng, t->order, t->n);
    for (size_t i = 0; i < steps && !err; i++) {
        double done = ((double)steps * epoch + (double)i) / total;
        err = step(t, epoch, i * t->batch, 0.5 * t->config->lr * (1.0 + cos(M_PI * done)), &loss);
        sum += loss;
    }
    out->loss = sum / (double)steps;
    if (!err && t->config->progress)
        t->config->progress(t->config->user, epoch + 1, t->epochs, out->loss);
    return err;
}

/* ---- judgement ---- */

static int judge(struct finetune_result *out, struct tuner *t, const struct policy *policy)
{
    struct score_side *test = &t->sets->test;
    struct embed embed = {.net = t->net, .encoder = &t->encoder, .feature = EMBED_HEAD,
                          .simd = t->simd};
    const struct score_side *train = &t->sets->train;
    size_t C = (size_t)t->sets->classes, first = 0, among = 0;
    float *scores;
    unsigned char *learnt = calloc(C + 1, 1); /* others count as wrong, whatever their scores */
    watch_part("finetune, test", "images", 0, test->n);
    int err = score_features(&scores, t->sets, test, &embed, policy, 1, t->simd);
    if (!err && !learnt)
        err = error_memory("marks of classes", C + 1);
    for (size_t i = 0; i < t->n && !err; i++)
        learnt[train->labels[t->chosen[i]]] = 1;
    for (size_t i = 0; i < test->n && !err; i++) {
        size_t y = (size_t)test->labels[i], place;
        for (size_t c = 0; c < C; c++)
            scores[i * C + c] = learnt[c] ? scores[i * C + c] : -INFINITY;
        place = score_place(scores + i * C, C, y);
        first += place == 0 && learnt[y];
        among += place < SCORE_TOP && learnt[y];
    }
    if (!err)
        err = score_count_unknown(t->sets, train->labels, train->n, test->labels, test->n);
    free(scores);
    free(learnt);
    out->top1 = 100.0 * (double)first / (double)test->n;
    out->top5 = C > SCORE_TOP ? 100.0 * (double)among / (double)test->n : NAN;
    return err;
}

int finetune_run(struct finetune_result *out, struct score_sets *sets,
                 const struct net *net, const struct encoder *encoder,
                 const struct policy *policy, const struct finetune_config *config,
                 const struct moco_simd *simd)
{
    struct tuner t = {.sets = sets, .config = config, .simd = simd, .views = light_views(policy)};
    int err = tuner_open(&t, net, encoder);
    *out = (struct finetune_result){.top1 = NAN, .top5 = NAN, .n = t.n, .epochs = t.epochs,
                                    .batch = (int)t.batch};
    watch_part("finetune", "steps", 0, err ? 0 : (size_t)t.epochs * (t.n / t.batch));
    for (int epoch = 0; epoch < t.epochs && !err; epoch++)
        err = train_epoch(&t, out, epoch);
    if (!err)
        err = judge(out, &t, policy);
    tuner_close(&t);
    return err;
}
