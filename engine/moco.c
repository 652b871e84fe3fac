/* moco.c: the public interface over step, encoder and kNN; see include/moco.h.
 *
 * A failure's sentence is kept per thread below; here it moves into the engine. The number of
 * OpenMP threads belongs to the calling thread, so each call sets it and puts it back; so does the
 * locale: files are written and read with decimal points, whatever the program speaks. */
#define _GNU_SOURCE
#include "include/moco.h"

#include <locale.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/embed.h"
#include "engine/eval/knn.h"
#include "engine/run/saved/checkpoint.h"
#include "engine/run/saved/weights.h"

/* As for training runs; also the largest width. */
enum { SIDE_MAX = 4096, DIM_MAX = 65536, BATCH_MAX = 1 << 20 };

struct moco_engine {
    struct step step;
    int opened; /* step is */
    int threads;
    float m;      /* of the key encoder */
    char *recipe; /* settings as the checkpoint keeps them; owned */
    char error[1024];
};

const char *moco_simd_name(void)
{
    struct moco_simd simd;
    return moco_simd_init(&simd, NULL) ? "none" : simd.name;
}

void moco_config_default(moco_config *config)
{
    *config = (moco_config){
        .method = "moco", .arch = "resnet18", .stem = "cifar", .key_encoder = "momentum",
        .width = 64, .channels = 3, .side = 32, .batch = 512, .dim = 128, .queue = 4096,
        .bn_splits = 8, .shuffle_bn = 1, .temperature = 0.1f, .momentum_key = 0.99f,
        .momentum_sgd = 0.9f, .weight_decay = 5e-4f,
    };
}

/* What belongs to the calling thread. */
struct caller {
    int threads;
    locale_t locale, ours; /* ours: 0 where there was no memory for it */
};

/* Sets the engine's thread count and its locale; returns the caller's, for leave(). */
static struct caller enter(const moco_engine *engine)
{
    struct caller caller = { .threads = omp_get_max_threads(),
                             .ours = newlocale(LC_ALL_MASK, "C", (locale_t)0) };
    if (engine->threads > 0)
        omp_set_num_threads(engine->threads);
    if (caller.ours)
        caller.locale = uselocale(caller.ours);
    return caller;
}

static int leave(moco_engine *engine, struct caller caller, int rc)
{
    omp_set_num_threads(caller.threads);
    if (caller.ours) {
        uselocale(caller.locale);
        freelocale(caller.ours);
    }
    if (rc)
        snprintf(engine->error, sizeof engine->error, "%s", error_text());
    return rc;
}

/* Calls on an engine that did not open, or on none, are refused, and calls without what they need:
 * `what`, unless it was given. */
static int usable(moco_engine *engine, int given, const char *what)
{
    int opened = engine && engine->opened;
    if (opened && given)
        return MOCO_OK;
    int rc = opened ? error_set(MOCO_EARG, "%s must not be NULL", what)
                    : error_set(MOCO_EARG, "the engine is not open");
    if (engine)
        snprintf(engine->error, sizeof engine->error, "%s", error_text());
    return rc;
}

/* The settings as text, through the table that training runs use. */
static int recipe_of(char **out, const moco_config *config)
{
    struct config full;
    config_default(&full);
    struct run_config *c = &full.value;
    snprintf(c->method, sizeof c->method, "%s", config->method);
    snprintf(c->arch, sizeof c->arch, "%s", config->arch);
    snprintf(c->stem, sizeof c->stem, "%s", config->stem);
    snprintf(c->key_encoder, sizeof c->key_encoder, "%s", config->key_encoder);
    c->width = config->width, c->side = config->side, c->batch = config->batch;
    c->accumulate = config->accumulate > 1 ? config->accumulate : 1;
    c->dim = config->dim, c->queue = config->queue, c->mlp = config->mlp;
    c->bn_splits = config->bn_splits, c->shuffle_bn = config->shuffle_bn;
    c->symmetric = config->symmetric, c->mask = config->mask;
    c->T = (double)config->temperature, c->m = (double)config->momentum_key;
    c->momentum = (double)config->momentum_sgd, c->wd = (double)config->weight_decay;
    c->seed = config->seed;
    snprintf(c->precision, sizeof c->precision, "%s", config->bf16 ? "bf16" : "fp32");
    *out = config_recipe(&full);
    return *out ? MOCO_OK : error_memory("the settings' text", 0);
}

/* Sizes whose products are no int any more. */
static int check_sizes(const moco_config *c)
{
    if (c->channels < 1 || c->channels > AUGMENT_CHANNELS_MAX)
        return error_set(MOCO_EARG, "channels is %d: 1 to %d are possible", c->channels,
                         AUGMENT_CHANNELS_MAX);
    if (c->batch < 1 || c->dim < 1 || c->queue < 0 || c->side < 1)
        return error_set(MOCO_EARG, "batch %d, dim %d, queue %d and side %d must be positive",
                         c->batch, c->dim, c->queue, c->side);
    if (c->width > SIDE_MAX || c->side > SIDE_MAX || c->dim > DIM_MAX || c->batch > BATCH_MAX)
        return error_set(MOCO_EARG, "width %d and side %d may be up to %d, dim %d up to %d, batch "
                         "%d up to %d", c->width, c->side, (int)SIDE_MAX, c->dim, (int)DIM_MAX,
                         c->batch, (int)BATCH_MAX);
    return MOCO_OK;
}

/* What would turn parameters or keys into NaN, or a thread count into none. */
static int check_numbers(const moco_config *c)
{
    double T = (double)c->temperature, m = (double)c->momentum_key;
    double momentum = (double)c->momentum_sgd, wd = (double)c->weight_decay;
    if (!(T > 0.0) || isinf(T))
        return error_set(MOCO_EARG, "temperature is %g: it must be above 0 and finite", T);
    if (!(m >= 0.0 && m <= 1.0) || !(momentum >= 0.0 && momentum <= 1.0))
        return error_set(MOCO_EARG, "momentum_key is %g and momentum_sgd %g: both must be from 0 "
                         "to 1", m, momentum);
    if (!(wd >= 0.0) || isinf(wd))
        return error_set(MOCO_EARG, "weight_decay is %g: it must be at least 0 and finite", wd);
    if (c->threads < 0)
        return error_set(MOCO_EARG, "threads is %d: it must be at least 0", c->threads);
    return MOCO_OK;
}

static int translate(struct step_config *out, const moco_config *config)
{
    if (!config->method || !config->arch || !config->stem || !config->key_encoder)
        return error_set(MOCO_EARG, "method, arch, stem and key_encoder must be given: "
                         "moco_config_default() sets them all");
    *out = (struct step_config){
        .net = {.head = config->mlp ? HEAD_MLP : HEAD_FC, .width = config->width,
                .channels = config->channels, .side = config->side, .batch = config->batch,
                .dim = config->dim, .bn_splits = config->bn_splits,
                .number = config->bf16 ? MOCO_BF16 : MOCO_FP32},
        .method = {.B = (size_t)config->batch, .D = (size_t)config->dim,
                   .K = (size_t)config->queue, .T = config->temperature, .mask = config->mask,
                   .symmetric = config->symmetric, .seed = config->seed},
        .kind = method_named(config->method), .accumulate = config->accumulate,
        .shuffle = config->shuffle_bn,
        .optimiser = {.momentum = config->momentum_sgd, .weight_decay = config->weight_decay},
        .seed = config->seed,
    };
    snprintf(out->net.arch, sizeof out->net.arch, "%s", config->arch);
    if (!out->kind)
        return MOCO_EARG;
    if (out->kind != &method_moco && out->kind != &method_end_to_end)
        return error_set(MOCO_EUNSUPPORTED, "method %s has settings that this interface does not "
                         "carry: moco and end-to-end are possible", config->method);
    if (!strcmp(config->stem, "imagenet"))
        out->net.stem = STEM_IMAGENET;
    else if (strcmp(config->stem, "cifar"))
        return error_set(MOCO_EARG, "stem '%s' is not known: cifar or imagenet", config->stem);
    int rc = check_sizes(config);
    if (!rc)
        rc = check_numbers(config);
    return rc ? rc : key_choice_named(&out->key, config->key_encoder);
}

int moco_open(moco_engine **out, const moco_config *config)
{
    struct step_config step;
    struct moco_simd simd;
    moco_engine *engine = calloc(1, sizeof *engine);
    *out = engine;
    if (!engine)
        return error_memory("an engine", sizeof *engine);
    engine->threads = config->threads;
    engine->m = config->momentum_key;
    struct caller before = enter(engine);
    int rc = translate(&step, config);
    if (!rc && moco_simd_init(&simd, NULL))
        rc = error_set(MOCO_EUNSUPPORTED, "MOCO_SIMD asks for kernels that this machine lacks");
    if (!rc)
        rc = recipe_of(&engine->recipe, config);
    if (!rc)
        rc = step_open(&engine->step, &step, &simd);
    if (!rc) {
        engine->opened = 1;
        step_init(&engine->step);
    }
    return leave(engine, before, rc);
}

void moco_close(moco_engine **engine)
{
    if (!engine || !*engine)
        return;
    if ((*engine)->opened)
        step_close(&(*engine)->step);
    free((*engine)->recipe);
    free(*engine);
    *engine = NULL;
}

const char *moco_error(const moco_engine *engine)
{
    return engine ? engine->error : "there is no engine: not enough memory, or it was closed";
}

int moco_step(moco_engine *engine, moco_step_result *result, const float *x_q, const float *x_k,
              const int64_t *ids, float lr)
{
    int rc = usable(engine, x_q && x_k, "x_q and x_k");
    if (rc)
        return rc;
    struct caller before = enter(engine);
    struct step *step = &engine->step;
    struct step_input input = {.x_q = x_q, .x_k = x_k, .ids = ids, .lr = lr, .m = engine->m};
    size_t filled = 0, slots = 0;
    if (isfinite(lr))
        rc = step_run(step, &input);
    else
        rc = error_set(MOCO_EARG, "the learning rate is %g", (double)lr);
    if (!rc && step->config.kind->fill)
        step->config.kind->fill(step->state, &filled, &slots);
    if (!rc && result)
        *result = (moco_step_result){step->loss, step->top1, filled};
    return leave(engine, before, rc);
}

int moco_embed(moco_engine *engine, float *emb, const float *x, size_t n, int backbone)
{
    int rc = usable(engine, !n || (emb && x), "emb and x");
    if (rc)
        return rc;
    struct caller before = enter(engine);
    struct step *step = &engine->step;
    struct embed embed = {.net = step->net, .encoder = &step->q, .simd = &step->simd,
                          .feature = backbone ? EMBED_BACKBONE : EMBED_HEAD};
    return leave(engine, before, embed_array(emb, &embed, x, n));
}

size_t moco_backbone_dim(const moco_engine *engine)
{
    return engine && engine->opened ? net_backbone_dim(engine->step.net) : 0;
}

int moco_save_weights(moco_engine *engine, const char *path)
{
    float mean[AUGMENT_CHANNELS_MAX] = {0}, std[AUGMENT_CHANNELS_MAX];
    int rc = usable(engine, path != NULL, "path");
    if (rc)
        return rc;
    struct caller before = enter(engine);
    for (int i = 0; i < AUGMENT_CHANNELS_MAX; i++)
        std[i] = 1.0f; /* the caller normalises */
    rc = weights_save(path, engine->step.net, &engine->step.q, mean, std, engine->recipe);
    return leave(engine, before, rc);
}

int moco_load_weights(moco_engine *engine, const char *path)
{
    struct st_file *file = NULL;
    int rc = usable(engine, path != NULL, "path");
    if (rc)
        return rc;
    struct caller before = enter(engine);
    struct step *step = &engine->step;
    rc = safetensors_open(&file, path);
    if (!rc)
        rc = weights_load(&step->q, step->net, file, "");
    if (!rc && key_has_params(step->config.key.kind) && step->net_k == step->net)
        memcpy(step->k.params, step->q.params, step_key_count(step) * sizeof(float));
    safetensors_close(&file);
    return leave(engine, before, rc);
}

int moco_save_checkpoint(moco_engine *engine, const char *path)
{
    int rc = usable(engine, path != NULL, "path");
    if (rc)
        return rc;
    struct caller before = enter(engine);
    struct checkpoint_info info = {.step = engine->step.count,
                                   .channels = engine->step.config.net.channels};
    return leave(engine, before,
                 checkpoint_save(path, &engine->step, &info, engine->recipe));
}

int moco_load_checkpoint(moco_engine *engine, const char *path)
{
    struct checkpoint_info info;
    int rc = usable(engine, path != NULL, "path");
    if (rc)
        return rc;
    struct caller before = enter(engine);
    return leave(engine, before, checkpoint_load(path, &engine->step, &info, engine->recipe));
}

int moco_knn(double *top1, const float *train, const int32_t *train_labels, size_t n_train,
             const float *test, const int32_t *test_labels, size_t n_test, size_t D, int k,
             float T, int classes)
{
    struct moco_simd simd;
    struct knn_config config = {.k = k, .T = T, .classes = classes};
    if (moco_simd_init(&simd, NULL))
        return error_set(MOCO_EUNSUPPORTED, "MOCO_SIMD asks for kernels that this machine lacks");
    int32_t *predicted = malloc((n_test ? n_test : 1) * sizeof *predicted);
    if (!predicted)
        return error_memory("predictions", n_test * sizeof *predicted);
    int rc = knn_classify(NULL, predicted, train, train_labels, n_train, test, n_test, D, &config,
                          &simd);
    if (!rc)
        *top1 = knn_accuracy(predicted, test_labels, n_test);
    free(predicted);
    return rc;
}
