/* parity.c: replays recorded training steps through the engine's own step and compares.
 *
 *   parity [--list] [--deterministic | --conv auto|onednn|own] [--simd LEVEL] CASE_DIR...
 *
 * A case is a folder: weights, dictionary, the inputs of some steps, and what these must produce,
 * recorded in double precision by another implementation. A quantity passes when the RMS of
 * (engine - expected) is within its tolerance at every leading index; a tolerance of 0 means equal.
 * One line a case; --list prints every quantity. Convolutions are those of training, Winograd
 * included; --deterministic leaves the direct ones only. Exit 0: all cases pass. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/knn.h"
#include "engine/run/safetensors.h"
#include "engine/step.h"
#include "tests/npy.h"

enum { PATH = 4096, NAME = 128, QUANTITIES = 2048, FAILURES_SHOWN = 8 };

struct options {
    int list;
    enum conv_policy conv;
    struct moco_simd simd;
};

/* One quantity that the engine produced: `rows` leading indices of `count` numbers. */
struct got {
    char name[NAME];
    size_t rows, count;
    double *data;
};

struct replay {
    const char *dir;
    const struct options *options;
    cJSON *json, *config; /* config: inside json */
    struct got *got;      /* (QUANTITIES) */
    size_t got_count;
};

static void *room(size_t bytes)
{
    void *memory = calloc(1, bytes + 1);
    if (!memory) {
        fprintf(stderr, "parity: out of memory\n");
        exit(2);
    }
    return memory;
}

/* ---- what the engine produced ---- */

static double *got_row(struct replay *r, const char *prefix, const char *name, size_t row,
                       size_t rows, size_t count)
{
    struct got *g = r->got;
    char full[NAME];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    while (g < r->got + r->got_count && strcmp(g->name, full))
        g++;
    if (g == r->got + r->got_count) {
        if (r->got_count++ == QUANTITIES) {
            fprintf(stderr, "parity: more than %d quantities\n", QUANTITIES);
            exit(2);
        }
        memcpy(g->name, full, sizeof full);
        g->rows = rows;
        g->count = count;
        g->data = room(rows * count * sizeof(double));
    }
    return g->data + row * count;
}

static void put_floats(struct replay *r, const char *prefix, const char *name, size_t row,
                       size_t rows, const float *from, size_t count)
{
    double *to = got_row(r, prefix, name, row, rows, count);
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
}

static void put_ints(struct replay *r, const char *name, size_t row, size_t rows,
                     const int64_t *from, size_t count)
{
    double *to = got_row(r, "", name, row, rows, count);
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
}

static void put_figure(struct replay *r, const char *name, size_t row, size_t rows, double value)
{
    *got_row(r, "", name, row, rows, 1) = value;
}

/* ---- files of the case ---- */

static void path_of(char *out, const struct replay *r, const char *file)
{
    snprintf(out, PATH, "%s/%s", r->dir, file);
}

static cJSON *read_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    cJSON *json = NULL;

    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = room(size > 0 ? (size_t)size : 0);
    if (size > 0 && fread(text, 1, (size_t)size, file) == (size_t)size)
        json = cJSON_Parse(text);
    free(text);
    fclose(file);
    return json;
}

/* Reads an array of `count` numbers of a kind; the caller closes it. */
static int read_array(struct npy *npy, const struct replay *r, const char *file, char kind,
                      size_t item, size_t count)
{
    char path[PATH];

    path_of(path, r, file);
    if (npy_read(npy, path))
        return error_set(MOCO_EFORMAT, "%s is not there, or not an array that can be read", path);
    if (npy->kind == kind && npy->item == item && (!count || npy->count == count))
        return MOCO_OK;
    error_set(MOCO_EFORMAT, "%s has %zu numbers %c%zu, not %zu of %c%zu", path, npy->count,
              npy->kind, npy->item, count, kind, item);
    npy_close(npy);
    return MOCO_EFORMAT;
}

static double number(const struct replay *r, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(r->config, key));
}

static int flag(const struct replay *r, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(r->config, key));
}

static const char *word(const struct replay *r, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r->config, key));
    return text ? text : "";
}

static double per_step(const struct replay *r, const char *key, int step)
{
    return cJSON_GetNumberValue(
        cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(r->json, key), step));
}

/* ---- start of a training case ---- */

static int step_config_of(struct step_config *c, const struct replay *r)
{
    const char *method = word(r, "method");
    int imagenet = !strcmp(word(r, "stem"), "imagenet"), mlp = !strcmp(word(r, "head"), "mlp");

    *c = (struct step_config){
        .net = { .stem = imagenet ? STEM_IMAGENET : STEM_CIFAR,
                 .head = mlp ? HEAD_MLP : HEAD_FC,
                 .width = (int)number(r, "width"), .channels = (int)number(r, "channels"),
                 .side = (int)number(r, "side"), .batch = (int)number(r, "batch"),
                 .dim = (int)number(r, "dim"), .bn_splits = (int)number(r, "bn_splits"),
                 .conv = r->options->conv },
        .method = { .B = (size_t)number(r, "batch"), .D = (size_t)number(r, "dim"),
                    .K = (size_t)number(r, "K"), .T = (float)number(r, "T"),
                    .mask = flag(r, "mask"), .symmetric = flag(r, "symmetric"), .seed = 1 },
        .shuffle = flag(r, "shuffle"),
        .momentum = (float)number(r, "momentum"), .weight_decay = (float)number(r, "wd"),
        .seed = 1,
    };
    snprintf(c->net.arch, sizeof c->net.arch, "%s", word(r, "arch"));
    c->kind = !strcmp(method, "moco") ? &method_moco
              : !strcmp(method, "end_to_end") ? &method_end_to_end : NULL;
    if (!c->kind)
        return error_set(MOCO_EUNSUPPORTED, "method %s is not supported", method);
    if (strcmp(word(r, "optimiser"), "sgd"))
        return error_set(MOCO_EUNSUPPORTED, "optimiser %s is not supported", word(r, "optimiser"));
    if (number(r, "consistency") > 0)
        return error_set(MOCO_EUNSUPPORTED, "the consistency term is not supported");
    if (!mlp && strcmp(word(r, "head"), "fc"))
        return error_set(MOCO_EUNSUPPORTED, "head %s is not supported", word(r, "head"));
    if (key_encoder_named(&c->key, word(r, "key_encoder")))
        return error_set(MOCO_EUNSUPPORTED, "key encoder %s is not supported",
                         word(r, "key_encoder"));
    return MOCO_OK;
}

static int load_encoder(struct encoder *e, const struct net *net, const struct replay *r,
                        const char *name, int with_params)
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
        const struct st_tensor *st = safetensors_find(file, t->name);
        size_t floats = 1;
        if (t->kind == TENSOR_COUNT || (t->kind == TENSOR_PARAM && !with_params))
            continue;
        for (int d = 0; st && d < st->rank; d++)
            floats *= st->shape[d];
        if (!st || st->type != ST_F32 || floats != t->count)
            err = error_set(MOCO_EFORMAT, "%s: %s is missing or not %zu numbers F32", path,
                            t->name, t->count);
        else
            memcpy((t->kind == TENSOR_PARAM ? e->params : e->stats) + t->offset, st->data,
                   t->count * sizeof(float));
    }
    safetensors_close(&file);
    return err;
}

static int load_encoders(struct step *s, const struct replay *r)
{
    int copied = flag(r, "key_copy"), shared = s->config.key == KEY_SHARED;
    int err = load_encoder(&s->q, s->net, r, "init_q.safetensors", 1);

    if (err || s->config.key == KEY_SAME)
        return err;
    return load_encoder(&s->k, s->net, r, copied ? "init_q.safetensors" : "init_k.safetensors",
                        !shared);
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

static int load_queue(const struct step *s, const struct replay *r)
{
    struct state_tensor state;
    int err;

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

struct inputs {
    struct npy x_q, x_k, perm, ids; /* the last two may be empty */
    size_t steps;
    uint32_t *order; /* (B) */
};

static void inputs_close(struct inputs *in)
{
    npy_close(&in->x_q);
    npy_close(&in->x_k);
    npy_close(&in->perm);
    npy_close(&in->ids);
    free(in->order);
}

static int inputs_open(struct inputs *in, const struct step_config *c, const struct replay *r)
{
    size_t B = c->method.B, side = (size_t)c->net.side;
    size_t floats = B * (size_t)c->net.channels * side * side;
    int err;

    memset(in, 0, sizeof *in);
    in->steps = (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(r->json, "lr"));
    in->order = room(B * sizeof *in->order);
    err = read_array(&in->x_q, r, "x_q.npy", 'f', 4, in->steps * floats);
    if (!err)
        err = read_array(&in->x_k, r, "x_k.npy", 'f', 4, in->steps * floats);
    if (!err && c->shuffle)
        err = read_array(&in->perm, r, "perm.npy", 'i', 8, in->steps * B);
    if (!err && c->method.mask)
        err = read_array(&in->ids, r, "ids.npy", 'i', 8, in->steps * B);
    return err;
}

static void step_input_of(struct step_input *out, struct inputs *in, const struct replay *r,
                          size_t step, size_t B)
{
    size_t floats = in->x_q.count / in->steps;

    *out = (struct step_input){
        .x_q = (const float *)in->x_q.data + step * floats,
        .x_k = (const float *)in->x_k.data + step * floats,
        .ids = in->ids.data ? (const int64_t *)in->ids.data + step * B : NULL,
        .perm = in->perm.data ? in->order : NULL,
        .lr = (float)per_step(r, "lr", (int)step),
        .m = (float)per_step(r, "m", (int)step),
    };
    for (size_t i = 0; in->perm.data && i < B; i++)
        in->order[i] = (uint32_t)((const int64_t *)in->perm.data)[step * B + i];
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

static void put_step(struct replay *r, const struct step *s, size_t row, size_t rows)
{
    static const char *const ends[] = { "", "2" };
    size_t BD = s->config.method.B * s->config.method.D;

    put_figure(r, "loss", row, rows, s->loss);
    put_figure(r, "top1", row, rows, s->top1);
    put_state(r, s, "queue_ptr", "queue_ptr", row, rows);
    for (int i = 0; i <= s->config.method.symmetric; i++) {
        put_floats(r, "feat_q", ends[i], row, rows, s->emb_q[i], BD);
        put_floats(r, "feat_k", ends[i], row, rows, s->emb_k[i], BD);
        put_floats(r, "d_feat_q", ends[i], row, rows, s->d_emb_q[i], BD);
        if (s->config.kind->key_gradient)
            put_floats(r, "d_feat_k", ends[i], row, rows, s->d_emb_k[i], BD);
    }
    if (row > 0)
        return;
    put_tensors(r, "grad_q/", s->net, s->q.grads, NULL);
    if (s->config.key == KEY_SEPARATE)
        put_tensors(r, "grad_k/", s->net, s->k.grads, NULL);
}

static void put_final(struct replay *r, const struct step *s)
{
    put_tensors(r, "final_q/", s->net, s->q.params, s->q.stats);
    if (s->config.key != KEY_SAME)
        put_tensors(r, "final_k/", s->net, s->k.params, s->k.stats);
    put_state(r, s, "queue", "queue_final", 0, 1);
    put_state(r, s, "queue_ids", "queue_ids_final", 0, 1);
    put_state(r, s, "queue_fill", "queue_fill", 0, 1);
}

static int run_steps(struct step *s, struct replay *r, struct inputs *in)
{
    int err = load_encoders(s, r);

    if (!err)
        err = load_queue(s, r);
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

static int replay_training(struct replay *r)
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

/* ---- cases of one kernel ---- */

struct kernel_arrays {
    struct npy q, k, keys;
    float *loss, *top1, *d_q, *scratch;
};

static void kernel_variant(struct replay *r, struct kernel_arrays *a, size_t row, float T)
{
    size_t B = a->q.shape[0], D = a->q.shape[1], K = a->keys.shape[0];
    double mean = 0;

    r->options->simd.infonce(a->loss, a->top1, a->d_q, a->q.data, a->k.data, a->keys.data, NULL,
                             NULL, B, K, D, T, a->scratch);
    for (size_t i = 0; i < B; i++)
        mean += (double)a->loss[i] / (double)B;
    for (size_t i = 0; i < B * D; i++)
        a->d_q[i] /= (float)B;
    put_figure(r, "loss", row, 4, mean);
    put_floats(r, "", "loss_each", row, 4, a->loss, B);
    put_floats(r, "", "d_q", row, 4, a->d_q, B * D);
}

/* T and 0.01, first on the keys as stored, then with a key that equals a query. */
static void kernel_variants(struct replay *r, struct kernel_arrays *a)
{
    size_t B = a->q.shape[0], D = a->q.shape[1];
    size_t scratch = (moco_infonce_scratch(D) * sizeof(float) + 63) / 64 * 64;

    a->loss = room(B * sizeof(float));
    a->top1 = room(B * sizeof(float));
    a->d_q = room(B * D * sizeof(float));
    a->scratch = aligned_alloc(64, scratch + 64);
    for (size_t i = 0; i < 4 && a->scratch; i++) {
        if (i == 2)
            memcpy((float *)a->keys.data + 7 * D, (float *)a->q.data + 3 * D, D * sizeof(float));
        kernel_variant(r, a, i, i % 2 ? 0.01f : (float)number(r, "T"));
    }
    free(a->loss);
    free(a->top1);
    free(a->d_q);
    free(a->scratch);
}

static int replay_infonce(struct replay *r)
{
    size_t B = (size_t)number(r, "rows"), D = (size_t)number(r, "dim"), K = (size_t)number(r, "K");
    struct kernel_arrays a = { 0 };
    int err = read_array(&a.q, r, "q.npy", 'f', 4, B * D);

    if (!err)
        err = read_array(&a.k, r, "k.npy", 'f', 4, B * D);
    if (!err)
        err = read_array(&a.keys, r, "keys.npy", 'f', 4, K * D);
    if (!err && (B < 4 || K < 8))
        err = error_set(MOCO_EFORMAT, "%zu rows and %zu keys: at least 4 and 8 belong here", B, K);
    if (!err)
        kernel_variants(r, &a);
    npy_close(&a.q);
    npy_close(&a.k);
    npy_close(&a.keys);
    return err;
}

static int read_labels(int32_t **out, const struct replay *r, const char *file, size_t count)
{
    struct npy npy;
    int err = read_array(&npy, r, file, 'i', 8, count);

    *out = room(count * sizeof **out);
    for (size_t i = 0; i < count && !err; i++)
        (*out)[i] = (int32_t)((const int64_t *)npy.data)[i];
    npy_close(&npy);
    return err;
}

static int classify(struct replay *r, const struct npy *train, const struct npy *test)
{
    struct knn_config c = { .k = (int)number(r, "k"), .T = (float)number(r, "T"),
                            .classes = (int)number(r, "classes") };
    size_t n_train = train->shape[0], n = test->shape[0], D = train->shape[1];
    float *scores = room(n * (size_t)c.classes * sizeof *scores);
    int32_t *predicted = room(n * sizeof *predicted), *labels = NULL, *answers = NULL;
    size_t right = 0;
    int err = read_labels(&labels, r, "train_labels.npy", n_train);

    if (!err)
        err = read_labels(&answers, r, "test_labels.npy", n);
    if (!err)
        err = knn_classify(scores, predicted, train->data, labels, n_train, test->data, n, D, &c,
                           &r->options->simd);
    if (!err) {
        double *to = got_row(r, "", "predicted", 0, 1, n);
        for (size_t i = 0; i < n; i++) {
            to[i] = predicted[i];
            right += predicted[i] == answers[i];
        }
        put_floats(r, "", "score", 0, 1, scores, n * (size_t)c.classes);
        put_figure(r, "accuracy", 0, 1, (double)right / (double)n);
    }
    free(scores);
    free(predicted);
    free(labels);
    free(answers);
    return err;
}

static int replay_knn(struct replay *r)
{
    struct npy train = { 0 }, test = { 0 };
    int err = read_array(&train, r, "train.npy", 'f', 4, 0);

    if (!err)
        err = read_array(&test, r, "test.npy", 'f', 4, 0);
    if (!err && (train.rank != 2 || test.rank != 2 || train.shape[1] != test.shape[1]))
        err = error_set(MOCO_EFORMAT, "%s: train and test have no common row length", r->dir);
    if (!err)
        err = classify(r, &train, &test);
    npy_close(&train);
    npy_close(&test);
    return err;
}

static int replay(struct replay *r)
{
    const char *method = word(r, "method");

    if (!strcmp(method, "infonce_kernel"))
        return replay_infonce(r);
    if (!strcmp(method, "knn"))
        return replay_knn(r);
    return replay_training(r);
}

/* ---- comparison ---- */

struct verdict {
    size_t quantities, failed;
    double worst; /* share of the tolerance */
    char name[NAME + 32];
};

static double expected_at(const struct st_tensor *t, size_t i)
{
    const char *at = t->data;
    double d;
    float f;
    int64_t n;

    if (t->type == ST_F32) {
        memcpy(&f, at + i * sizeof f, sizeof f);
        return (double)f;
    }
    if (t->type == ST_I64) {
        memcpy(&n, at + i * sizeof n, sizeof n);
        return (double)n;
    }
    memcpy(&d, at + i * sizeof d, sizeof d);
    return d;
}

/* RMS difference of one leading index; infinite where the two can not be compared. */
static double difference(const struct got *g, const cJSON *value, const struct st_tensor *t,
                         size_t row, size_t stride)
{
    size_t count = (g->count + stride - 1) / stride, stored = value || (t && !t->rank) ? 1 : 0;
    double sum = 0;

    if (t && t->rank > 0) {
        stored = t->shape[0] == g->rows ? 1 : 0;
        for (int i = 1; i < t->rank; i++)
            stored *= t->shape[i];
    }
    if (stored != count || row >= g->rows)
        return INFINITY;
    for (size_t i = 0; i < count; i++) {
        double want = value ? cJSON_GetNumberValue(cJSON_GetArrayItem(value, (int)row))
                            : expected_at(t, row * count + i);
        double d = g->data[row * g->count + i * stride] - want;
        sum += d * d;
    }
    sum = sqrt(sum / (double)count);
    return isnan(sum) ? INFINITY : sum;
}

static double share_of(double difference, double tol)
{
    return difference <= 0 ? 0 : tol > 0 ? difference / tol : INFINITY;
}

static const struct got *find_got(const struct replay *r, const char *name)
{
    for (size_t i = 0; i < r->got_count; i++)
        if (!strcmp(r->got[i].name, name))
            return &r->got[i];
    return NULL;
}

static void compare_quantity(struct verdict *v, const struct replay *r, const struct st_file *file,
                             const cJSON *entry)
{
    const struct got *g = find_got(r, entry->string);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(entry, "value");
    const cJSON *tol = cJSON_GetObjectItemCaseSensitive(entry, "tol");
    const cJSON *stride = cJSON_GetObjectItemCaseSensitive(entry, "stride");
    const struct st_tensor *t = value ? NULL : safetensors_find(file, entry->string);
    size_t step = cJSON_IsNumber(stride) && stride->valuedouble >= 1 ? (size_t)stride->valuedouble
                                                                    : 1;
    int rows = cJSON_GetArraySize(tol), at = 0;
    int usable = g && (value || t) && rows > 0 && (size_t)rows == g->rows;
    double worst = usable ? -1 : INFINITY, apart = INFINITY;

    for (int i = 0; i < rows && usable; i++) {
        double d = difference(g, value, t, (size_t)i, step);
        double share = share_of(d, cJSON_GetNumberValue(cJSON_GetArrayItem(tol, i)));
        if (share > worst)
            worst = share, apart = d, at = i;
    }
    v->quantities++;
    v->failed += !(worst <= 1);
    if (worst > v->worst || v->quantities == 1) {
        v->worst = worst;
        snprintf(v->name, sizeof v->name, "%s[%d]", entry->string, at);
    }
    if (!r->options->list && (worst <= 1 || v->failed > FAILURES_SHOWN))
        return;
    printf("    %-6s %-44s [%d] off by %.3g, %.3g of the tolerance%s\n",
           worst <= 1 ? "ok" : "FAILED", entry->string, at, apart, worst,
           usable ? "" : " (missing)");
}

static int compare(struct verdict *v, const struct replay *r)
{
    const cJSON *expect = cJSON_GetObjectItemCaseSensitive(r->json, "expect"), *entry;
    struct st_file *file = NULL;
    char path[PATH];
    int err;

    path_of(path, r, "expect.safetensors");
    err = safetensors_open(&file, path);
    if (err)
        return err;
    cJSON_ArrayForEach(entry, expect)
        compare_quantity(v, r, file, entry);
    safetensors_close(&file);
    return v->quantities ? MOCO_OK : error_set(MOCO_EFORMAT, "%s expects nothing", r->dir);
}

/* The last part of the folder's name. */
static void case_name(char *out, const char *dir)
{
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/')
        length--;
    size_t begin = length;
    while (begin > 0 && dir[begin - 1] != '/')
        begin--;
    snprintf(out, NAME, "%.*s", (int)(length - begin), dir + begin);
}

static int run_case(const char *dir, const struct options *options)
{
    struct replay r = { .dir = dir, .options = options };
    struct verdict v = { 0 };
    char path[PATH], name[NAME];
    int err = MOCO_OK;

    case_name(name, dir);
    path_of(path, &r, "case.json");
    r.json = read_json(path);
    r.config = cJSON_GetObjectItemCaseSensitive(r.json, "config");
    r.got = room(QUANTITIES * sizeof *r.got);
    if (!r.config)
        err = error_set(MOCO_EFORMAT, "%s is not there, or has no config", path);
    if (!err)
        err = replay(&r);
    if (!err)
        err = compare(&v, &r);
    if (err)
        printf("FAILED %-22s %s\n", name, error_text());
    else
        printf("%-6s %-22s %zu of %zu quantities, worst %.3g of its tolerance at %s\n",
               v.failed ? "FAILED" : "ok", name, v.quantities - v.failed, v.quantities, v.worst,
               v.name);
    for (size_t i = 0; i < r.got_count; i++)
        free(r.got[i].data);
    free(r.got);
    cJSON_Delete(r.json);
    return err || v.failed;
}

static enum conv_policy policy_named(const char *name)
{
    return !strcmp(name, "own") ? CONV_OWN : !strcmp(name, "onednn") ? CONV_ONEDNN : CONV_AUTO;
}

int main(int argc, char **argv)
{
    struct options options = { .conv = CONV_AUTO };
    const char *level = NULL;
    int failed = 0, i = 1;

    for (; i < argc && argv[i][0] == '-'; i++)
        if (!strcmp(argv[i], "--list"))
            options.list = 1;
        else if (!strcmp(argv[i], "--deterministic"))
            options.conv = CONV_DIRECT;
        else if (!strcmp(argv[i], "--conv") && i + 1 < argc)
            options.conv = policy_named(argv[++i]);
        else if (!strcmp(argv[i], "--simd") && i + 1 < argc)
            level = argv[++i];
        else
            break;
    if (i >= argc || argv[i][0] == '-') {
        fprintf(stderr, "parity [--list] [--deterministic | --conv auto|onednn|own] "
                        "[--simd LEVEL] CASE_DIR...\n");
        return 2;
    }
    if (moco_simd_init(&options.simd, level)) {
        fprintf(stderr, "parity: kernels of level %s are not available here\n",
                level ? level : "MOCO_SIMD");
        return 2;
    }
    for (; i < argc; i++)
        failed += run_case(argv[i], &options);
    return failed > 0;
}
