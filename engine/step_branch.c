/* step_branch.c: see step_branch.h. Under ShuffleBN the key network sees x[perm], so that its
 * BatchNorm groups are not those of the queries; row i of its output is the key of sample perm[i]
 * and is put back (He et al. 2019, section 3.3). */
#include "engine/step_branch.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/optim/update.h"

/* One pass of one network over one view. */
struct pass {
    struct encoder *encoder;
    const struct net *net;
    struct tape *tape;
    float *raw, *inv_norm;
    size_t rows;
};

static struct pass query_pass(struct step *s)
{
    return (struct pass){ &s->q, s->net, s->tape_q, s->raw_q, s->inv_norm_q,
                          (size_t)net_get_config(s->net)->batch };
}

static struct pass key_pass(struct step *s)
{
    struct encoder *k = s->config.key.kind == KEY_SAME ? &s->q : &s->k;
    return (struct pass){ k, s->net_k, s->tape_k, s->raw_k, s->inv_norm_k, s->rows };
}

static size_t image_floats(const struct step *s)
{
    const struct net_config *c = &s->config.net;
    return (size_t)c->channels * (size_t)c->side * (size_t)c->side;
}

static int features(const struct step *s, const struct pass *p, float *emb, const float *x)
{
    size_t D = (size_t)s->config.net.dim;
    int err = encoder_forward(p->encoder, p->net, p->tape, p->raw, NULL, x, NET_TRAIN);
    if (err)
        return err;
    if (s->config.kind->unit)
        s->simd.row_normalise(emb, p->inv_norm, p->raw, p->rows, D);
    else
        memcpy(emb, p->raw, p->rows * D * sizeof *emb);
    return MOCO_OK;
}

/* d_raw: NULL, or the gradient that did not come through the normalisation. */
static int backward(const struct step *s, const struct pass *p, const float *d_emb,
                    const float *emb, const float *d_raw)
{
    size_t n = p->rows * (size_t)s->config.net.dim;
    if (!s->config.kind->unit)
        return encoder_backward(p->encoder, p->net, p->tape, d_emb);
    s->simd.row_normalise_grad(p->raw, d_emb, emb, p->inv_norm, p->rows,
                               (size_t)s->config.net.dim);
    for (size_t i = 0; i < n && d_raw; i++)
        p->raw[i] += d_raw[i];
    return encoder_backward(p->encoder, p->net, p->tape, p->raw);
}

void branch_move_keys(struct step *s, float m)
{
    size_t shared = step_shared_count(s), n = step_key_count(s);
    enum key_encoder key = s->config.key.kind;
    if (key != KEY_MOMENTUM && key != KEY_PARTIAL)
        return;
    memcpy(s->k.params, s->q.params, shared * sizeof *s->k.params);
    ema_update(&s->simd, s->k.params + shared, s->q.params + shared, n - shared, m);
}

int branch_queries(struct step *s, float *q, const float *x)
{
    struct pass pass = query_pass(s);
    return features(s, &pass, q, x);
}

int branch_keys(struct step *s, float *k, const float *x, const uint32_t *perm)
{
    struct pass pass = key_pass(s);
    size_t D = (size_t)s->config.net.dim, image = image_floats(s);
    int err;

    if (!perm)
        return features(s, &pass, k, x);
    for (size_t i = 0; i < s->rows; i++)
        memcpy(s->x_shuffled + i * image, x + perm[i] * image, image * sizeof *x);
    err = features(s, &pass, s->new_rows, s->x_shuffled);
    for (size_t i = 0; i < s->rows && !err; i++)
        memcpy(k + perm[i] * D, s->new_rows + i * D, D * sizeof *k);
    return err;
}

int branch_joint(struct step *s, float *q, float *k, const float *x_q, const float *x_k)
{
    struct pass pass = query_pass(s);
    size_t images = s->rows * image_floats(s), n = s->rows * (size_t)s->config.net.dim;

    memcpy(s->x_shuffled, x_q, images * sizeof *x_q);
    memcpy(s->x_shuffled + images, x_k, images * sizeof *x_k);
    int err = features(s, &pass, s->joint, s->x_shuffled);
    memcpy(q, s->joint, n * sizeof *q);
    memcpy(k, s->joint + n, n * sizeof *k);
    return err;
}

int branch_backward(struct step *s, const struct contrast *c)
{
    struct pass q = query_pass(s), k = key_pass(s);
    size_t n = s->rows * (size_t)s->config.net.dim;

    if (s->config.key.kind == KEY_JOINT) {
        memcpy(s->d_joint, c->d_q, n * sizeof *s->d_joint);
        memcpy(s->d_joint + n, c->d_k, n * sizeof *s->d_joint);
        return backward(s, &q, s->d_joint, s->joint, NULL);
    }
    int err = backward(s, &q, c->d_q, c->q, c->d_raw);
    if (!err && c->d_k)
        err = backward(s, &k, c->d_k, c->k, NULL);
    return err;
}
