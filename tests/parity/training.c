/* training.c: recorded training steps through the engine's own step. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/safetensors.h"
#include "engine/step.h"
#include "tests/parity/parity.h"

/* ---- start of a training case ---- */

/* Names of methods, key encoders and losses of the bank in a case, and the engine's. */
static const struct spelling {
    const char *name;
    const struct method *kind;
    const char *key; /* NULL: the case says it */
    enum bank_loss bank;
} spellings[] = {
    { "moco", &method_moco, NULL, 0 },
    { "moco_v3", &method_moco_v3, NULL, 0 },
    { "end_to_end", &method_end_to_end, NULL, 0 },
    { "membank_full", &method_memory_bank, "none", BANK_FULL },
    { "membank_sampled", &method_memory_bank, "none", BANK_SAMPLED },
    { "membank_nce", &method_memory_bank, "none", BANK_NCE },
    { "parametric", &method_parametric, "none", 0 },
    { "margin", &method_margin, "joint", 0 },
    { "semi_supervised", &method_semi_supervised, "same", 0 },
};

static const struct spelling *spelling_of(const struct replay *r)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (!strcmp(spellings[i].name, word(r, "method")))
            return &spellings[i];
    return NULL;
}

static struct net_config net_of(const struct replay *r)
{
    const char *head = word(r, "head");
    struct net_config c = {
        .stem = strcmp(word(r, "stem"), "imagenet") ? STEM_CIFAR : STEM_IMAGENET,
        .head = !strcmp(head, "mlp") ? HEAD_MLP : !strcmp(head, "v3") ? HEAD_V3 : HEAD_FC,
        .width = (int)number(r, "width"), .channels = (int)number(r, "channels"),
        .side = (int)number(r, "side"), .batch = (int)number(r, "batch"),
        .dim = (int)number(r, "dim"), .bn_splits = (int)number(r, "bn_splits"),
        .hidden = (int)number(r, "hidden"), .predictor = !strcmp(head, "v3"),
        .conv = r->options->conv,
    };
    snprintf(c.arch, sizeof c.arch, "%s", word(r, "arch"));
    return c;
}

static int step_config_of(struct step_config *c, const struct replay *r)
{
    const struct spelling *spelling = spelling_of(r);
    if (!spelling)
        return error_set(MOCO_EUNSUPPORTED, "method %s is not supported", word(r, "method"));
    *c = (struct step_config){
        .net = net_of(r),
        .method = { .B = (size_t)number(r, "batch"), .D = (size_t)number(r, "dim"),
                    .K = (size_t)number(r, "K"), .T = (float)number(r, "T"),
                    .mask = flag(r, "mask"), .symmetric = flag(r, "symmetric"), .seed = 1,
                    .n = (size_t)number(r, "n"), .bank = spelling->bank,
                    .negatives = (size_t)number(r, "negatives"),
                    .blend = (float)number(r, "blend"), .proximal = (float)number(r, "proximal"),
                    .margin = (float)number(r, "margin"),
                    .classes = (size_t)number(r, "classes") },
        .kind = spelling->kind, .shuffle = flag(r, "shuffle"),
        .optimiser = { .momentum = (float)number(r, "momentum"),
                       .weight_decay = (float)number(r, "wd"), .trust = (float)number(r, "trust"),
                       .beta1 = (float)number(r, "beta1"), .beta2 = (float)number(r, "beta2"),
                       .epsilon = (float)number(r, "eps") },
        .consistency = (float)number(r, "consistency"), .seed = 1,
    };
    int err = optimiser_named(&c->optimiser.kind, word(r, "optimiser"));
    return err ? err
               : key_choice_named(&c->key, spelling->key ? spelling->key : word(r, "key_encoder"));
}

static int load_tensor(float *to, const struct tensor *t, const struct st_file *file)
{
    const struct st_tensor *st = safetensors_find(file, t->name);
    size_t floats = 1;

    for (int d = 0; st && d < st->rank; d++)
        floats *= st->shape[d];
    if (!st || st->type != ST_F32 || floats != t->count)
        return error_set(MOCO_EFORMAT, "%s: %s is missing or not %zu numbers F32",
                         safetensors_path(file), t->name, t->count);
    memcpy(to, st->data, t->count * sizeof(float));
    return MOCO_OK;
}

/* Statistics, and the parameters before `params` floats; whole: of a query network. */
static int load_encoder(struct encoder *e, const struct net *net, const struct replay *r,
                        const char *name, size_t params, int whole)
{
    char path[PATH];
    struct st_file *file = NULL;
    size_t count;
    const struct tensor *tensors = net_tensors(net, &count);
    int err;

    path_of(path, r, name);
    err = safetensors_open(&file, path);
    for (size_t i = 0; i < count && !err; i++) {
        const struct tensor *t = &tensors[i];
        if (!whole && t->kind == TENSOR_PARAM && t->offset >= net_key_count(net))
            break; /* the predictor, which only the query network has */
        if (t->kind == TENSOR_STAT)
            err = load_tensor(e->stats + t->offset, t, file);
        else if (t->kind == TENSOR_PARAM && t->offset < params)
            err = load_tensor(e->params + t->offset, t, file);
    }
    safetensors_close(&file);
    return err;
}

static int load_encoders(struct step *s, const struct replay *r)
{
    enum key_encoder key = s->config.key.kind;
    int err = load_encoder(&s->q, s->net, r, "init_q.safetensors", net_param_count(s->net), 1);

    if (err || !key_has_branch(key) || key == KEY_SAME)
        return err;
    return load_encoder(&s->k, s->net_k, r,
                        flag(r, "key_copy") ? "init_q.safetensors" : "init_k.safetensors",
                        step_key_count(s), 0);
}

static int find_state(struct state_tensor *out, const struct step *s, const char *name)
{
    for (size_t i = 0; s->config.kind->state && s->config.kind->state(s->state, i, out); i++)
        if (!strcmp(out->name, name))
            return 1;
    return 0;
}

static int load_rows(const struct step *s, const struct replay *r, const char *name,
                     const char *file, char kind, size_t item)
{
    struct state_tensor state;
    struct npy npy;
    size_t count = 1;
    int err;

    if (!find_state(&state, s, name))
        return error_set(MOCO_EARG, "the method has no state %s", name);
    for (int i = 0; i < state.rank; i++)
        count *= state.shape[i];
    err = read_array(&npy, r, file, kind, item, count);
    if (!err)
        memcpy(state.data, npy.data, count * item);
    npy_close(&npy);
    return err;
}

static void load_figure(const struct step *s, const struct replay *r, const char *name,
                        const char *key)
{
    const cJSON *start = cJSON_GetObjectItemCaseSensitive(r->json, "start");
    struct state_tensor state;

    if (find_state(&state, s, name))
        *(int64_t *)state.data =
            (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(start, key));
}

static int load_dictionary(const struct step *s, const struct replay *r)
{
    struct state_tensor state;
    int err;

    if (find_state(&state, s, "bank"))
        return load_rows(s, r, "bank", "bank_init.npy", 'f', 4);
    if (!find_state(&state, s, "queue"))
        return MOCO_OK;
    load_figure(s, r, "queue_ptr", "ptr");
    load_figure(s, r, "queue_fill", "fill");
    err = load_rows(s, r, "queue", "queue_init.npy", 'f', 4);
    if (!err && s->config.method.mask)
        err = load_rows(s, r, "queue_ids", "queue_ids_init.npy", 'i', 8);
    return err;
}

/* ---- the steps ---- */

/* The arrays of all steps. Those that the case lacks are empty. */
struct inputs {
    struct npy x_q, x_k, perm, ids, index, different, labels;
    size_t steps;
    uint32_t *order;                 /* (B) of the step under way, as the step wants it: */
    int32_t *differences, *classes;
};

static void inputs_close(struct inputs *in)
{
    struct npy *const arrays[] = { &in->x_q,   &in->x_k,       &in->perm,  &in->ids,
                                   &in->index, &in->different, &in->labels };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        npy_close(arrays[i]);
    free(in->order);
    free(in->differences);
    free(in->classes);
}

static int inputs_open(struct inputs *in, const struct step_config *c, const struct replay *r)
{
    size_t B = c->method.B, side = (size_t)c->net.side;
    size_t floats = B * (size_t)c->net.channels * side * side;
    int drawn = c->kind == &method_memory_bank && c->method.bank != BANK_FULL;

    memset(in, 0, sizeof *in);
    in->steps = (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(r->json, "lr"));
    in->order = room(B * sizeof *in->order);
    in->differences = room(B * sizeof *in->differences);
    in->classes = room(B * sizeof *in->classes);
    const struct wanted {
        int wanted;
        struct npy *npy;
        const char *file;
        char kind;
        size_t item, count; /* of a step */
    } all[] = {
        { 1, &in->x_q, "x_q.npy", 'f', 4, floats },
        { c->key.kind != KEY_NONE, &in->x_k, "x_k.npy", 'f', 4, floats },
        { c->shuffle, &in->perm, "perm.npy", 'i', 8, B },
        { c->method.mask || c->key.kind == KEY_NONE, &in->ids, "ids.npy", 'i', 8, B },
        { drawn, &in->index, "idx.npy", 'i', 8, B * c->method.negatives },
        { c->kind == &method_margin, &in->different, "y.npy", 'i', 8, B },
        { c->kind == &method_semi_supervised, &in->labels, "labels.npy", 'i', 8, B },
    };
    int err = MOCO_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && !err; i++)
        if (all[i].wanted)
            err = read_array(all[i].npy, r, all[i].file, all[i].kind, all[i].item,
                             in->steps * all[i].count);
    return err;
}

/* Where step `step` begins in an array of 64-bit numbers; NULL when that is empty. */
static const int64_t *whole_numbers(const struct npy *npy, const struct inputs *in, size_t step)
{
    return npy->data ? (const int64_t *)npy->data + step * (npy->count / in->steps) : NULL;
}

static const int32_t *narrow(int32_t *to, const int64_t *from, size_t count)
{
    for (size_t i = 0; from && i < count; i++)
        to[i] = (int32_t)from[i];
    return from ? to : NULL;
}

static void step_input_of(struct step_input *out, struct inputs *in, const struct replay *r,
                          size_t step, size_t B)
{
    size_t floats = in->x_q.count / in->steps;
    const int64_t *perm = whole_numbers(&in->perm, in, step);

    for (size_t i = 0; perm && i < B; i++)
        in->order[i] = (uint32_t)perm[i];
    *out = (struct step_input){
        .x_q = (const float *)in->x_q.data + step * floats,
        .x_k = in->x_k.data ? (const float *)in->x_k.data + step * floats : NULL,
        .ids = whole_numbers(&in->ids, in, step), .perm = perm ? in->order : NULL,
        .index = whole_numbers(&in->index, in, step),
        .different = narrow(in->differences, whole_numbers(&in->different, in, step), B),
        .labels = narrow(in->classes, whole_numbers(&in->labels, in, step), B),
        .lr = (float)per_step(r, "lr", (int)step), .m = (float)per_step(r, "m", (int)step),
    };
}

static void put_tensors(struct replay *r, const char *prefix, const struct net *net,
                        const float *params, const float *stats)
{
    size_t count;
    const struct tensor *t = net_tensors(net, &count);

    for (; count--; t++)
        if (t->kind == TENSOR_PARAM)
            put_floats(r, prefix, t->name, 0, 1, params + t->offset, t->count);
        else if (t->kind == TENSOR_STAT && stats)
            put_floats(r, prefix, t->name, 0, 1, stats + t->offset, t->count);
}

static void put_state(struct replay *r, const struct step *s, const char *name, const char *as,
                      size_t row, size_t rows)
{
    struct state_tensor state;
    size_t count = 1;

    if (!find_state(&state, s, name))
        return;
    for (int i = 0; i < state.rank; i++)
        count *= state.shape[i];
    if (state.type == STATE_I64)
        put_ints(r, as, row, rows, state.data, count);
    else
        put_floats(r, "", as, row, rows, state.data, count);
}

static void put_features(struct replay *r, const struct step *s, int i, size_t row, size_t rows)
{
    const char *end = i ? "2" : "";
    enum key_encoder key = s->config.key.kind;
    size_t BD = s->config.method.B * s->config.method.D;

    put_floats(r, "feat_q", end, row, rows, s->emb_q[i], BD);
    put_floats(r, "d_feat_q", end, row, rows, s->d_emb_q[i], BD);
    if (key != KEY_NONE)
        put_floats(r, "feat_k", end, row, rows, s->emb_k[i], BD);
    if (key_is_trained(key) || key == KEY_JOINT)
        put_floats(r, "d_feat_k", end, row, rows, s->d_emb_k[i], BD);
}

static void put_step(struct replay *r, const struct step *s, size_t row, size_t rows)
{
    struct state_tensor state;

    put_figure(r, "loss", row, rows, s->loss);
    put_figure(r, "top1", row, rows, s->top1);
    put_figure(r, "beyond", row, rows, s->beyond);
    if (find_state(&state, s, "bank_log_z"))
        put_figure(r, "Z", row, rows, exp((double)*(const float *)state.data));
    put_state(r, s, "queue_ptr", "queue_ptr", row, rows);
    for (int i = 0; i <= (s->config.method.symmetric || s->config.kind->both); i++)
        put_features(r, s, i, row, rows);
    if (row > 0)
        return;
    put_tensors(r, "grad_q/", s->net, s->q.grads, NULL);
    if (s->config.key.kind == KEY_SEPARATE)
        put_tensors(r, "grad_k/", s->net_k, s->k.grads, NULL);
}

static void put_final(struct replay *r, const struct step *s)
{
    put_tensors(r, "final_q/", s->net, s->q.params, s->q.stats);
    if (s->k.params)
        put_tensors(r, "final_k/", s->net_k, s->k.params, s->k.stats);
    put_state(r, s, "queue", "queue_final", 0, 1);
    put_state(r, s, "queue_ids", "queue_ids_final", 0, 1);
    put_state(r, s, "queue_fill", "queue_fill", 0, 1);
    put_state(r, s, "bank", "bank_final", 0, 1);
}

static int run_steps(struct step *s, struct replay *r, struct inputs *in)
{
    int err = load_encoders(s, r);

    if (!err)
        err = load_dictionary(s, r);
    for (size_t i = 0; i < in->steps && !err; i++) {
        struct step_input input;
        step_input_of(&input, in, r, i, s->config.method.B);
        err = step_run(s, &input);
        if (!err)
            put_step(r, s, i, in->steps);
    }
    if (!err)
        put_final(r, s);
    return err;
}

int replay_training(struct replay *r)
{
    struct step_config config;
    struct step step;
    struct inputs in;
    int err = step_config_of(&config, r);

    if (err)
        return err;
    err = inputs_open(&in, &config, r);
    if (!err)
        err = step_open(&step, &config, &r->options->simd);
    if (!err) {
        err = run_steps(&step, r, &in);
        step_close(&step);
    }
    inputs_close(&in);
    return err;
}
