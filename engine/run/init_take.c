/* init_take.c: the numbers of weights into the encoders of a run that starts from them; see
 * init.h. */
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/run.h"

int init_load(struct net **net, struct encoder *encoder, const struct init *init,
              enum weights_part part, const struct moco_simd *simd)
{
    struct net_config config = init->info.net;
    config.batch = config.bn_splits = 1;
    config.conv = CONV_OWN; /* no pass is made */
    int rc = net_open(net, &config, simd);
    if (!rc)
        rc = encoder_open(encoder, *net, 0, NULL);
    return rc ? rc : weights_load(encoder, *net, init->file, &init->info, part);
}

/* The first convolution for `to` channels instead of `from`: for one it is summed over all, so that
 * grey images give what they would as three equal channels; else its channels are repeated in
 * turn and scaled by from / to, so that the response keeps its size. Rows are output planes. */
static void adapt(float *out, const float *in, size_t rows, size_t from, size_t to, size_t taps)
{
    float scale = (float)from / (float)to;
    for (size_t row = 0; row < rows; row++, out += to * taps, in += from * taps)
        for (size_t c = 0; c < (to == 1 ? from : to); c++)
            for (size_t i = 0; i < taps; i++)
                if (from == to)
                    out[c * taps + i] = in[c * taps + i];
                else if (to == 1)
                    out[i] = (c ? out[i] : 0.0f) + in[c * taps + i];
                else
                    out[c * taps + i] = scale * in[c % from * taps + i];
}

static void take_tensor(struct encoder *to, const struct tensor *t, const struct encoder *from,
                        const struct tensor *f)
{
    if (t->kind == TENSOR_COUNT)
        to->batches = from->batches;
    else if (t->kind == TENSOR_STAT)
        memcpy(to->stats + t->offset, from->stats + f->offset, t->count * sizeof(float));
    else if (t->rank == 4)
        adapt(to->params + t->offset, from->params + f->offset, t->shape[0], f->shape[1],
              t->shape[1], t->shape[2] * t->shape[3]);
    else
        memcpy(to->params + t->offset, from->params + f->offset, t->count * sizeof(float));
}

/* Both are of one architecture, so their tensors stand in one order up to the head; behind it come
 * those that only training has. */
static void take(struct encoder *to, const struct net *net, const struct encoder *from,
                 const struct net *net_f, int head)
{
    size_t count, count_f;
    const struct tensor *t = net_tensors(net, &count), *f = net_tensors(net_f, &count_f);
    for (size_t i = 0; i < count && i < count_f && !strcmp(t[i].name, f[i].name); i++)
        if (head || strncmp(t[i].name, "fc.", 3) != 0)
            take_tensor(to, &t[i], from, &f[i]);
}

static int same_head(const struct net_config *a, const struct net_config *b)
{
    return a->head == b->head && a->head != HEAD_NONE && a->dim == b->dim &&
           (a->head != HEAD_V3 || a->hidden == b->hidden);
}

/* "mlp of 128" */
static void head_text(char *out, size_t size, const struct net_config *c)
{
    int used = snprintf(out, size, "%s of %d", net_head_name(c->head), c->dim);
    if (c->head == HEAD_V3)
        snprintf(out + used, size - (size_t)used, " behind %d", c->hidden);
}

static void notice_taken(const struct run *run, const struct net_config *now)
{
    char there[60], here[60];
    const struct net_config *then = &run->init.info.net;
    const char *path = safetensors_path(run->init.file);
    head_text(there, sizeof there, then);
    head_text(here, sizeof here, now);
    if (same_head(now, then))
        run_notice(run->hooks, "training starts from %s: backbone and head (%s)", path, there);
    else if (then->head == HEAD_NONE)
        run_notice(run->hooks, "training starts from %s: the backbone; the file has no head that "
                               "moco knows, and that of the run (%s) starts from random weights",
                   path, here);
    else
        run_notice(run->hooks, "training starts from %s: the backbone; its head (%s) is not that "
                               "of the run (%s), which starts from random weights", path, there,
                   here);
    if (now->channels == 1 && then->channels > 1)
        run_notice(run->hooks, "conv1 of %s is for %d channels and the images have one: it is "
                               "summed over them", path, then->channels);
    else if (now->channels != then->channels)
        run_notice(run->hooks, "conv1 of %s is for %d channel%s and the images have %d: its "
                               "channels are repeated in turn, scaled by %d/%d", path,
                   then->channels, then->channels == 1 ? "" : "s", now->channels, then->channels,
                   now->channels);
}

/* A key network with weights of its own starts as the query's does; one of another architecture
 * can not. */
static void take_keys(struct run *run)
{
    struct step *s = &run->step;
    if (s->net_k == s->net)
        step_copy_keys(s);
    else
        run_notice(run->hooks, "the key encoder is a %s and starts from random weights",
                   net_get_config(s->net_k)->arch);
}

int init_take(struct run *run)
{
    struct net *net = NULL;
    struct encoder from = { 0 };
    struct step *s = &run->step;
    if (!run->init.file)
        return MOCO_OK;
    const struct net_config *now = net_get_config(s->net);
    int head = same_head(now, &run->init.info.net);
    int rc = init_load(&net, &from, &run->init, head ? WEIGHTS_ALL : WEIGHTS_BACKBONE, run->simd);
    if (!rc) {
        take(&s->q, s->net, &from, net, head);
        take_keys(run);
        notice_taken(run, now);
    }
    encoder_close(&from);
    net_close(&net);
    safetensors_close(&run->init.file);
    return rc;
}
