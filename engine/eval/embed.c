/* embed.c: features of many images; see embed.h.
 *
 * One batch at a time: the team decodes it, the net embeds it, the rows are normalised. A failure
 * inside the team keeps its sentence per thread, so it is carried to the calling thread. */
#include "engine/eval/embed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/watch.h"
#include "engine/data/grey.h"
#include "engine/data/missing.h"
#include "engine/data/part.h"
#include "engine/eval/finite.h"

enum { BLOCK = 1024 }; /* images between two looks at the watch */

int embed_feature_named(enum embed_feature *out, const char *name)
{
    if (strcmp(name, "backbone") == 0)
        *out = EMBED_BACKBONE;
    else if (strcmp(name, "head") == 0)
        *out = EMBED_HEAD;
    else
        return error_set(MOCO_EARG, "feature '%s' is not known: backbone or head", name);
    return MOCO_OK;
}

size_t embed_dim(const struct net *net, enum embed_feature feature)
{
    return feature == EMBED_BACKBONE ? net_backbone_dim(net) : (size_t)net_get_config(net)->dim;
}

size_t embed_pixel_dim(const struct policy *policy)
{
    size_t side = (size_t)policy->side, channels = (size_t)policy->channels;
    return channels * (policy->plain_height ? (size_t)policy->plain_height *
                                                  (size_t)policy->plain_width : side * side);
}

/* The least side of an evaluation view. */
static int least_side(const struct policy *policy)
{
    int height = policy->plain_height, width = policy->plain_width;
    return !height ? policy->side : height < width ? height : width;
}

/* draw: NULL for an evaluation view. */
static int view_of(float *dst, const struct source *source, size_t index,
                   const struct policy *policy, const struct view_draw *draw, struct image *image,
                   struct augment_scratch *scratch)
{
    struct view view;
    int rc = draw ? source->read(source, index, image)
                  : part_whole(source, index, image, least_side(policy));
    if (!rc)
        rc = grey_expand(image, policy->channels);
    if (rc)
        return rc;
    if (image->channels != policy->channels)
        return error_set(MOCO_EARG, "image %zu of %s has %d channels, the encoder takes %d", index,
                         source->where, image->channels, policy->channels);
    image_fill(image, policy->mean);
    if (!draw)
        return augment_plain(dst, image, policy, scratch);
    uint64_t stream = 2 * (uint64_t)index + (uint64_t)draw->which;
    struct rng rng = rng_at(draw->seed, RNG_VIEW, draw->epoch, stream);
    augment_draw(&view, policy, image->height, image->width, &rng);
    return augment_apply(dst, image, &view, policy, scratch);
}

static void note_bad(struct embed_bad *bad, size_t row)
{
    bad->at[row] = 1;
    if (bad->count++ && bad->first < row)
        return;
    bad->first = row;
    snprintf(bad->why, sizeof bad->why, "%s", error_text());
}

/* x: (n, C, S, S) of the images first..first+n-1. */
static int decode(float *x, const struct source *source, const size_t *index, size_t first,
                  size_t n, const struct policy *policy, const struct view_draw *draw,
                  struct embed_bad *bad)
{
    size_t size = embed_pixel_dim(policy);
    int failed = MOCO_OK, stopped = 0;
    char sentence[1024] = "";
#pragma omp parallel
    {
        struct image image = {0};
        struct augment_scratch scratch = {0};
#pragma omp for schedule(dynamic, 4)
        for (size_t i = 0; i < n; i++) {
            size_t at = index ? index[first + i] : first + i;
            if (watch_all(&stopped))
                continue;
            int rc = view_of(x + i * size, source, at, policy, draw, &image, &scratch);
            if (!rc)
                continue;
            memset(x + i * size, 0, size * sizeof *x);
#pragma omp critical(embed_failure)
            if (bad && source_is_bad(rc)) {
                note_bad(bad, first + i);
            } else {
                failed = rc;
                snprintf(sentence, sizeof sentence, "%s", error_text());
            }
        }
        image_close(&image);
        augment_scratch_close(&scratch);
    }
    if (stopped)
        return watch_end();
    return failed ? error_set(failed, "%s", sentence) : MOCO_OK;
}

static void begin_bad(struct embed_bad *bad, size_t n)
{
    if (!bad)
        return;
    bad->count = 0;
    memset(bad->at, 0, n);
}

/* A net makes something of the zeros too. */
static void clear_bad(float *out, size_t D, size_t n, const struct embed_bad *bad)
{
    for (size_t i = 0; bad && bad->count && i < n; i++)
        if (bad->at[i])
            memset(out + i * D, 0, D * sizeof *out);
}

size_t embed_pack(void *rows, size_t size, size_t n, const struct embed_bad *bad)
{
    char *bytes = rows;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (bad->at[i])
            continue;
        if (kept != i)
            memcpy(bytes + kept * size, bytes + i * size, size);
        kept++;
    }
    return kept;
}

static int read_block(struct embed_bad *bad, const struct source *source, const size_t *index,
                      size_t first, size_t end)
{
    int failed = MOCO_OK, stopped = 0;
    char sentence[1024] = "";
#pragma omp parallel
    {
        struct image image = {0};
#pragma omp for schedule(dynamic, 4)
        for (size_t i = first; i < end; i++) {
            int rc = watch_all(&stopped) ? MOCO_OK : source->read(source, index[i], &image);
            if (!rc)
                continue;
#pragma omp critical(embed_failure)
            if (source_is_bad(rc)) {
                note_bad(bad, i);
            } else {
                failed = rc;
                snprintf(sentence, sizeof sentence, "%s", error_text());
            }
        }
        image_close(&image);
    }
    if (stopped)
        return watch_end();
    return failed ? error_set(failed, "%s", sentence) : MOCO_OK;
}

int embed_readable(struct embed_bad *bad, const struct source *source, const size_t *index,
                   size_t n)
{
    int rc = MOCO_OK;
    begin_bad(bad, n);
    watch_part("reading", "images", 0, n);
    for (size_t first = 0; first < n && !rc; first += BLOCK) {
        rc = watch_step(first);
        if (!rc)
            rc = read_block(bad, source, index, first, n - first < BLOCK ? n : first + BLOCK);
    }
    return rc;
}

int embed_decode(float *x, const struct source *source, const size_t *index, size_t n,
                 const struct policy *policy, const struct view_draw *draw)
{
    return decode(x, source, index, 0, n, policy, draw, NULL);
}

/* Working memory of one call. */
struct work {
    struct arena arena;
    float *x;        /* (B, C, S, S) */
    float *features; /* (B, D) */
    float *backbone; /* (B, backbone) */
    float *inv_norm; /* (B) */
    struct tape *tape;
};

static void work_close(struct work *work)
{
    if (work->tape)
        tape_close(&work->tape);
    arena_close(&work->arena);
}

/* Bytes of its pieces. */
struct sizes {
    size_t x, features, backbone, inv_norm;
};

static struct sizes sizes_of(const struct net *net)
{
    const struct net_config *config = net_get_config(net);
    size_t B = (size_t)config->batch, S = (size_t)config->side;
    return (struct sizes){
        .x = B * (size_t)config->channels * S * S * sizeof(float),
        .features = B * (size_t)config->dim * sizeof(float),
        .backbone = B * net_backbone_dim(net) * sizeof(float),
        .inv_norm = B * sizeof(float),
    };
}

static size_t arena_bytes(const struct sizes *s)
{
    return arena_round(s->x) + arena_round(s->features) + arena_round(s->backbone) +
           arena_round(s->inv_norm);
}

size_t embed_bytes(const struct net *net)
{
    struct sizes s = sizes_of(net);
    return arena_bytes(&s) + net_tape_bytes(net, 0, 0);
}

static int work_open(struct work *work, const struct net *net)
{
    struct sizes s = sizes_of(net);
    *work = (struct work){0};
    int rc = arena_open(&work->arena, arena_bytes(&s), "a batch to embed");
    if (rc)
        return rc;
    work->x = arena_take(&work->arena, s.x);
    work->features = arena_take(&work->arena, s.features);
    work->backbone = arena_take(&work->arena, s.backbone);
    work->inv_norm = arena_take(&work->arena, s.inv_norm);
    rc = tape_open(&work->tape, net, 0, NULL);
    if (rc)
        work_close(work);
    return rc;
}

/* Embeds the first n rows of work->x into out. The head's ReLU may hide what the pooled features
 * show. */
static int embed_batch(float *out, const struct embed *embed, struct work *work, size_t n,
                       const struct finite_from *from)
{
    size_t D = embed_dim(embed->net, embed->feature);
    int backbone = embed->feature == EMBED_BACKBONE;
    int rc = encoder_forward(embed->encoder, embed->net, work->tape, work->features,
                             work->backbone, work->x, NET_EVAL);
    if (!rc)
        rc = finite_check(work->backbone, NULL, n, net_backbone_dim(embed->net), from);
    if (rc)
        return rc;
    const float *rows = backbone ? work->backbone : work->features;
    if (embed->raw)
        memcpy(out, rows, n * D * sizeof *out);
    else
        embed->simd->row_normalise(out, work->inv_norm, rows, n, D);
    return finite_check(out, embed->raw ? NULL : work->inv_norm, n, D, from);
}

static size_t image_floats(const struct net *net)
{
    const struct net_config *config = net_get_config(net);
    return (size_t)config->channels * (size_t)config->side * (size_t)config->side;
}

int embed_source(float *out, const struct embed *embed, const struct source *source,
                 const size_t *index, size_t n, const struct policy *policy)
{
    return embed_views(out, embed, source, index, n, policy, NULL);
}

int embed_views(float *out, const struct embed *embed, const struct source *source,
                const size_t *index, size_t n, const struct policy *policy,
                const struct view_draw *draw)
{
    struct work work;
    size_t B = (size_t)net_get_config(embed->net)->batch, size = image_floats(embed->net);
    size_t D = embed_dim(embed->net, embed->feature);
    if (embed_pixel_dim(policy) != size)
        return error_set(MOCO_EARG, "views of %d x %d x %d do not fit the encoder",
                         policy->channels, policy->side, policy->side);
    int rc = work_open(&work, embed->net);
    if (rc)
        return rc;
    begin_bad(embed->bad, n);
    for (size_t first = 0; first < n && !rc; first += B) {
        size_t rows = n - first < B ? n - first : B;
        rc = watch_step(first);
        if (!rc)
            rc = decode(work.x, source, index, first, rows, policy, draw, embed->bad);
        memset(work.x + rows * size, 0, (B - rows) * size * sizeof(float));
        if (!rc)
            rc = embed_batch(out + first * D, embed, &work, rows,
                             &(struct finite_from){ source, index, first, embed->bad });
    }
    clear_bad(out, D, n, embed->bad);
    work_close(&work);
    return rc;
}

int embed_array(float *out, const struct embed *embed, const float *x, size_t n)
{
    struct work work;
    size_t B = (size_t)net_get_config(embed->net)->batch, size = image_floats(embed->net);
    size_t D = embed_dim(embed->net, embed->feature);
    int rc = work_open(&work, embed->net);
    if (rc)
        return rc;
    for (size_t first = 0; first < n && !rc; first += B) {
        size_t rows = n - first < B ? n - first : B;
        memcpy(work.x, x + first * size, rows * size * sizeof(float));
        memset(work.x + rows * size, 0, (B - rows) * size * sizeof(float));
        rc = embed_batch(out + first * D, embed, &work, rows,
                         &(struct finite_from){ .first = first });
    }
    work_close(&work);
    return rc;
}

int embed_pixels(float *out, const struct source *source, const size_t *index, size_t n,
                 const struct policy *policy, int raw, const struct moco_simd *simd,
                 struct embed_bad *bad)
{
    float *inv_norm = malloc((n ? n : 1) * sizeof *inv_norm);
    if (!inv_norm)
        return error_memory("norms of raw pixels", n * sizeof *inv_norm);
    begin_bad(bad, n);
    int rc = MOCO_OK;
    for (size_t first = 0; first < n && !rc; first += BLOCK) {
        size_t rows = n - first < BLOCK ? n - first : BLOCK;
        rc = watch_step(first);
        if (!rc)
            rc = decode(out + first * embed_pixel_dim(policy), source, index, first, rows, policy,
                        NULL, bad);
    }
    if (!rc && !raw)
        simd->row_normalise(out, inv_norm, out, n, embed_pixel_dim(policy));
    if (!rc)
        rc = finite_check(out, raw ? NULL : inv_norm, n, embed_pixel_dim(policy),
                          &(struct finite_from){ source, index, 0, bad });
    free(inv_norm);
    return rc;
}
