/* test_labels.c: training with few labels: which batches have some, means over an epoch of what has
 * a label, and the accuracy of the classifier on images that it was not trained on, in log.csv and
 * against a classifier written out here. */
#include "engine/run/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/eval/score.h"
#include "engine/run/events.h"
#include "engine/run/labels.h"
#include "engine/step.h"
#include "tests/check.h"

enum { IMAGES = 96, CLASSES = 4, EPOCHS = 2 };

static char folder[64];
static struct moco_simd simd;

/* What the hooks of a run saw. */
struct seen {
    double sum, mean[EPOCHS + 1], accuracy[EPOCHS + 1];
    int steps, labelled, without, epochs; /* labelled: steps of the epoch with a label */
};

/* Without a consistency term the loss of a step without a label is 0, and never otherwise. */
static void progress(void *user, const struct train_progress *p)
{
    struct seen *s = user;
    if (!p->epoch_done) {
        s->sum += p->step_loss;
        s->steps++;
        s->labelled += p->step_loss > 0;
        s->without += !(p->step_loss > 0);
        CHECK(s->labelled ? fabs(p->loss - s->sum / s->labelled) < 1e-9 : isnan(p->loss));
        return;
    }
    s->mean[p->epoch] = p->loss;
    s->accuracy[p->epoch] = p->accuracy;
    s->epochs++;
    s->sum = 0;
    s->labelled = 0;
}

static int train(struct seen *seen, const char *const (*settings)[2], int count)
{
    static const char *const common[][2] = {
        { "method", "semi-supervised" }, { "width", "8" }, { "side", "8" }, { "batch-size", "8" },
        { "moco-dim", "16" }, { "epochs", "2" }, { "threads", "1" },
    };
    struct config config;
    char path[128];
    struct train_hooks hooks = { .user = seen, .progress = progress };
    *seen = (struct seen){ 0 };
    config_default(&config);
    strcpy(config.value.data, "synthetic:n=96,classes=4,side=8,seed=3");
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        CHECK(config_set(&config, common[i][0], common[i][1], FROM_FLAG) == MOCO_OK);
    for (int i = 0; i < count; i++)
        CHECK(config_set(&config, settings[i][0], settings[i][1], FROM_FLAG) == MOCO_OK);
    snprintf(path, sizeof path, "%s/run", folder);
    config_set(&config, "out", path, FROM_FLAG);
    return train_run(&config, &simd, &hooks);
}

static void in_run(char *path, size_t size, const char *file)
{
    snprintf(path, size, "%s/run%s%s", folder, file[0] ? "/" : "", file);
}

static void forget(void)
{
    static const char *const all[] = { "weights.safetensors", "checkpoint.safetensors", "log.csv",
                                       "config.json", EVENTS_FILE };
    char path[160];
    for (int i = 0; i < 5; i++) {
        in_run(path, sizeof path, all[i]);
        unlink(path);
    }
    in_run(path, sizeof path, "");
    rmdir(path);
}

/* One label a class and batches of 8 of 96 images: most batches have none as they come. */
static void test_means(void)
{
    static const char *const few[][2] = { { "labels-fraction", "0.01" },
                                          { "labels-per-batch", "1" } };
    struct seen seen;
    CHECK_MSG(train(&seen, few, 1) == MOCO_OK, "%s", error_text());
    CHECK(seen.steps == EPOCHS * IMAGES / 8 && seen.without > 0 && seen.epochs == EPOCHS);
    CHECK(isnan(seen.accuracy[1])); /* knn-every 0 */
    forget();
    CHECK_MSG(train(&seen, few, 2) == MOCO_OK, "%s", error_text());
    CHECK(seen.steps == EPOCHS * (IMAGES / 7) && seen.without == 0);
    forget();
    static const char *const all[][2] = { { "labels-per-batch", "8" } };
    CHECK(train(&seen, all, 1) == MOCO_EARG && strstr(error_text(), "labels-per-batch 8"));
}

/* The last column of the last line; NAN where it is empty. */
static double last_column(const char *file, char *header, size_t size)
{
    char path[160], line[512], last[512] = "";
    in_run(path, sizeof path, file);
    FILE *f = fopen(path, "r");
    CHECK(f && fgets(header, (int)size, f));
    while (f && fgets(line, sizeof line, f))
        memcpy(last, line, sizeof last);
    if (f)
        fclose(f);
    const char *comma = strrchr(last, ',');
    return comma && comma[1] != '\n' ? strtod(comma + 1, NULL) : NAN;
}

static void test_log(void)
{
    static const char *const settings[][2] = { { "knn-every", "1" }, { "labels-fraction", "0.5" } };
    static const char *const other[][2] = { { "method", "parametric" } };
    struct seen seen;
    char header[512];
    CHECK_MSG(train(&seen, settings, 2) == MOCO_OK, "%s", error_text());
    for (int e = 0; e <= EPOCHS; e++) /* 0: of untrained weights */
        CHECK_MSG(seen.accuracy[e] >= 0 && seen.accuracy[e] <= 100, "%g", seen.accuracy[e]);
    double last = last_column("log.csv", header, sizeof header);
    CHECK(strstr(header, ",knn,accuracy\n") && fabs(last - seen.accuracy[EPOCHS]) < 1e-3);
    forget();
    CHECK_MSG(train(&seen, other, 1) == MOCO_OK, "%s", error_text());
    last_column("log.csv", header, sizeof header);
    CHECK(strstr(header, ",knn\n") && isnan(seen.accuracy[EPOCHS]));
    forget();
}

/* ---- the classifier's accuracy ---- */

/* Right answers among the images that count, in percent. x: (n, D) features of the head. */
static double right_share(const struct score_side *test, const float *x, size_t D,
                          const struct score_layer *layer)
{
    size_t right = 0, n = 0;
    for (size_t i = 0; i < test->n; i++) {
        size_t best = 0;
        double top = -1e30;
        if (layer->seen && layer->seen[test->index[i]] >= 0)
            continue;
        for (size_t k = 0; k < CLASSES; k++) {
            double score = (double)layer->bias[k];
            for (size_t d = 0; d < D; d++)
                score += (double)x[i * D + d] * (double)layer->weight[k * D + d];
            if (score > top)
                top = score, best = k;
        }
        n++;
        right += (int32_t)best == test->labels[i];
    }
    return n ? 100.0 * (double)right / (double)n : NAN;
}

/* Against the raw features of the head, with and without labels that were seen. */
static void test_accuracy(const struct net *net, struct encoder *encoder,
                          const struct policy *policy, const struct score_layer *layer)
{
    struct score_sets sets;
    struct score_layer l = *layer;
    struct embed embed = { .net = net, .encoder = encoder, .feature = EMBED_HEAD, .simd = &simd };
    struct source *source;
    int32_t *seen;
    float *x;
    double top1, whole;
    CHECK(source_open(&source, "synthetic:n=96,classes=4,side=8,seed=3") == MOCO_OK);
    CHECK(score_split(&sets, source) == MOCO_OK);
    CHECK(score_features(&x, &sets, &sets.test, &embed, policy, 1, &simd) == MOCO_OK);
    uint64_t before = embed_checksum(encoder, net);
    CHECK(score_classes(&whole, &sets, &embed, &l, policy, &simd) == MOCO_OK);
    CHECK(embed_checksum(encoder, net) == before); /* no running statistic moved */
    CHECK_MSG(whole == right_share(&sets.test, x, 16, &l), "%g", whole);
    CHECK(labels_choose(&seen, source, 0.5, 1) == MOCO_OK);
    l.seen = seen;
    CHECK(score_classes(&top1, &sets, &embed, &l, policy, &simd) == MOCO_OK);
    CHECK_MSG(top1 == right_share(&sets.test, x, 16, &l), "%g", top1);
    l.seen = source->labels; /* all were seen: none is left to judge by */
    CHECK(score_classes(&top1, &sets, &embed, &l, policy, &simd) == MOCO_OK && isnan(top1));
    free(seen);
    free(x);
    score_close(&sets);
    source_close(&source);
}

static void test_classifier(void)
{
    struct step step;
    struct contrast c = { 0 };
    struct policy policy = { .side = 8, .channels = 3, .std = { 1.0f, 1.0f, 1.0f } };
    struct step_config config = {
        .net = { .arch = "resnet18", .width = 8, .channels = 3, .side = 8, .batch = 16, .dim = 16,
                 .bn_splits = 1 },
        .method = { .B = 16, .D = 16, .T = 0.1f, .n = IMAGES, .classes = CLASSES },
        .kind = &method_semi_supervised, .key = { .kind = KEY_SAME }, .seed = 4,
    };
    CHECK_MSG(step_open(&step, &config, &simd) == MOCO_OK, "%s", error_text());
    step_init(&step);
    step_layer(&step, &c);
    CHECK(c.weight && c.bias && c.weight > step.q.params);
    for (size_t i = 0; i < CLASSES; i++) /* a bias that decides some, so that ties are none */
        step.q.params[c.bias - step.q.params + (ptrdiff_t)i] = 0.01f * (float)i;
    struct score_layer layer = { c.weight, c.bias, CLASSES, NULL };
    test_accuracy(step.net, &step.q, &policy, &layer);
    step_close(&step);
}

int main(void)
{
    char *dir = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/moco-labels-XXXXXX", dir ? dir : "/tmp");
    if (!mkdtemp(folder) || moco_simd_init(&simd, NULL))
        return 1;
    test_means();
    test_log();
    test_classifier();
    rmdir(folder);
    return check_summary("labels");
}
