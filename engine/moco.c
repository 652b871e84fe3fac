/* moco.c: the public interface over step, encoder and kNN; see include/moco.h.
 *
 * What a function does is a body that takes its arguments as a `struct request`: call.c runs it, on
 * the calling thread or another one. A failure's sentence is kept per thread below; here it moves
 * into the engine. */
#include "include/moco.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/call.h"
#include "engine/eval/embed.h"
#include "engine/eval/knn.h"
#include "engine/moco_config.h"
#include "engine/run/saved/checkpoint.h"
#include "engine/run/saved/weights.h"

struct moco_engine {
    struct step step;
    int opened;   /* step is */
    int team;     /* threads that compute: oneDNN's primitives are made for their number */
    float m;      /* of the key encoder */
    char *recipe; /* settings as the checkpoint keeps them; owned */
    char error[1024];
};

/* Arguments of a call, by their names in moco.h; each body knows which ones are its own. */
struct request {
    moco_engine *engine;
    const moco_config *config;
    const struct step_config *step; /* of that */
    moco_step_result *result;
    float *emb;
    const float *x, *x_k;
    const int64_t *ids;
    float lr;
    size_t n;
    int backbone;
    const char *path;
};

const char *moco_simd_name(void)
{
    struct moco_simd simd;
    return moco_simd_init(&simd, NULL) ? "none" : simd.name;
}

/* Keeps the sentence of a failure. */
static int answer(moco_engine *engine, int rc)
{
    if (rc && engine)
        snprintf(engine->error, sizeof engine->error, "%s", error_text());
    return rc;
}

static int run(call_body *body, struct request *request)
{
    return answer(request->engine, call_with(request->engine->team, body, request));
}

/* Calls on an engine that did not open, or on none, are refused, and calls without what they need:
 * `what`, unless it was given. */
static int usable(moco_engine *engine, int given, const char *what)
{
    int opened = engine && engine->opened;
    if (opened && given)
        return MOCO_OK;
    return answer(engine, opened ? error_set(MOCO_EARG, "%s must not be NULL", what)
                                 : error_set(MOCO_EARG, "the engine is not open"));
}

static int open_body(void *user, int team)
{
    const struct request *r = user;
    moco_engine *engine = r->engine;
    struct moco_simd simd;
    if (moco_simd_init(&simd, NULL))
        return error_set(MOCO_EUNSUPPORTED, "MOCO_SIMD asks for kernels that this machine lacks");
    engine->team = team;
    engine->m = r->config->momentum_key;
    int rc = moco_recipe(&engine->recipe, r->config);
    if (!rc)
        rc = step_open(&engine->step, r->step, &simd);
    if (!rc) {
        engine->opened = 1;
        step_init(&engine->step);
    }
    return rc;
}

int moco_open(moco_engine **out, const moco_config *config)
{
    if (!out)
        return error_set(MOCO_EARG, "there must be a place for the engine");
    moco_engine *engine = calloc(1, sizeof *engine);
    *out = engine;
    if (!engine)
        return error_memory("an engine", sizeof *engine);
    if (!config)
        return answer(engine, error_set(MOCO_EARG, "config must not be NULL"));
    struct step_config step;
    struct request request = {.engine = engine, .config = config, .step = &step};
    int rc = moco_translate(&step, config);
    return answer(engine, rc ? rc : call_up_to(config->threads, open_body, &request));
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

int moco_threads(const moco_engine *engine)
{
    return engine && engine->opened ? engine->team : 0;
}

static int step_body(void *user, int team)
{
    const struct request *r = user;
    struct step *step = &r->engine->step;
    struct step_input input = {.x_q = r->x, .x_k = r->x_k, .ids = r->ids, .lr = r->lr,
                               .m = r->engine->m};
    size_t filled = 0, slots = 0;
    (void)team;
    if (!isfinite(r->lr))
        return error_set(MOCO_EARG, "the learning rate is %g", (double)r->lr);
    int rc = step_run(step, &input);
    if (!rc && step->config.kind->fill)
        step->config.kind->fill(step->state, &filled, &slots);
    if (!rc && r->result)
        *r->result = (moco_step_result){step->loss, step->top1, filled};
    return rc;
}

int moco_step(moco_engine *engine, moco_step_result *result, const float *x_q, const float *x_k,
              const int64_t *ids, float lr)
{
    struct request request = {.engine = engine, .result = result, .x = x_q, .x_k = x_k,
                              .ids = ids, .lr = lr};
    int rc = usable(engine, x_q && x_k, "x_q and x_k");
    return rc ? rc : run(step_body, &request);
}

static int embed_body(void *user, int team)
{
    const struct request *r = user;
    struct step *step = &r->engine->step;
    struct embed embed = {.net = step->net, .encoder = &step->q, .simd = &step->simd,
                          .feature = r->backbone ? EMBED_BACKBONE : EMBED_HEAD};
    (void)team;
    return embed_array(r->emb, &embed, r->x, r->n);
}

int moco_embed(moco_engine *engine, float *emb, const float *x, size_t n, int backbone)
{
    struct request request = {.engine = engine, .emb = emb, .x = x, .n = n, .backbone = backbone};
    int rc = usable(engine, !n || (emb && x), "emb and x");
    return rc ? rc : run(embed_body, &request);
}

size_t moco_backbone_dim(const moco_engine *engine)
{
    return engine && engine->opened ? net_backbone_dim(engine->step.net) : 0;
}

/* ---- files ---- */

static int with_path(moco_engine *engine, const char *path, call_body *body)
{
    struct request request = {.engine = engine, .path = path};
    int rc = usable(engine, path != NULL, "path");
    return rc ? rc : run(body, &request);
}

static int save_weights_body(void *user, int team)
{
    const struct request *r = user;
    const struct step *step = &r->engine->step;
    float mean[AUGMENT_CHANNELS_MAX] = {0}, std[AUGMENT_CHANNELS_MAX];
    (void)team;
    for (int i = 0; i < AUGMENT_CHANNELS_MAX; i++)
        std[i] = 1.0f; /* the caller normalises */
    return weights_save(r->path, step->net, &step->q, mean, std, r->engine->recipe);
}

int moco_save_weights(moco_engine *engine, const char *path)
{
    return with_path(engine, path, save_weights_body);
}

/* A head that is not in the file would stay random. */
static int check_head(const struct net_config *file, const struct net_config *net, const char *path)
{
    if (file->head == net->head && file->dim == net->dim)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%s has the head %s of %d columns, the engine %s of %d", path,
                     net_head_name(file->head), file->dim, net_head_name(net->head), net->dim);
}

static int load_weights_body(void *user, int team)
{
    const struct request *r = user;
    struct st_file *file = NULL;
    struct step *step = &r->engine->step;
    struct weights_info info;
    (void)team;
    int rc = safetensors_open(&file, r->path);
    if (!rc)
        rc = weights_info(&info, file);
    if (!rc)
        rc = check_head(&info.net, net_get_config(step->net), r->path);
    if (!rc)
        rc = weights_load(&step->q, step->net, file, &info, WEIGHTS_ALL);
    if (!rc && key_has_params(step->config.key.kind) && step->net_k == step->net)
        memcpy(step->k.params, step->q.params, step_key_count(step) * sizeof(float));
    safetensors_close(&file);
    return rc;
}

int moco_load_weights(moco_engine *engine, const char *path)
{
    return with_path(engine, path, load_weights_body);
}

static int save_checkpoint_body(void *user, int team)
{
    const struct request *r = user;
    struct step *step = &r->engine->step;
    struct checkpoint_info info = {.step = step->count, .channels = step->config.net.channels};
    (void)team;
    return checkpoint_save(r->path, step, &info, r->engine->recipe);
}

int moco_save_checkpoint(moco_engine *engine, const char *path)
{
    return with_path(engine, path, save_checkpoint_body);
}

static int load_checkpoint_body(void *user, int team)
{
    const struct request *r = user;
    struct checkpoint_info info;
    (void)team;
    return checkpoint_load(r->path, &r->engine->step, &info, r->engine->recipe);
}

int moco_load_checkpoint(moco_engine *engine, const char *path)
{
    return with_path(engine, path, load_checkpoint_body);
}

/* ---- kNN ---- */

struct vote {
    struct knn_config config;
    int32_t *predicted;
    const float *train, *test;
    const int32_t *train_labels;
    size_t n_train, n_test, D;
};

static int knn_body(void *user, int team)
{
    const struct vote *v = user;
    struct moco_simd simd;
    (void)team;
    if (moco_simd_init(&simd, NULL))
        return error_set(MOCO_EUNSUPPORTED, "MOCO_SIMD asks for kernels that this machine lacks");
    return knn_classify(NULL, v->predicted, v->train, v->train_labels, v->n_train, v->test,
                        v->n_test, v->D, &v->config, &simd);
}

int moco_knn(double *top1, const float *train, const int32_t *train_labels, size_t n_train,
             const float *test, const int32_t *test_labels, size_t n_test, size_t D, int k,
             float T, int classes)
{
    struct vote vote = {{.k = k, .T = T, .classes = classes}, NULL, train, test, train_labels,
                        n_train, n_test, D};
    if (!top1 || (n_train && (!train || !train_labels)) || (n_test && (!test || !test_labels)))
        return error_set(MOCO_EARG, "top1, rows and labels must not be NULL");
    vote.predicted = malloc((n_test ? n_test : 1) * sizeof *vote.predicted);
    if (!vote.predicted)
        return error_memory("predictions", n_test * sizeof *vote.predicted);
    int rc = call_up_to(0, knn_body, &vote);
    if (!rc)
        *top1 = knn_accuracy(vote.predicted, test_labels, n_test);
    free(vote.predicted);
    return rc;
}
