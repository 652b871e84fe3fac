/* embed.h: features of many images with a fixed encoder.
 *
 * In: a source (or an array of images) and an encoder. Out: unit rows in the data's order, one an
 * image; the last, partial batch is filled up with zeros and kept. Evaluation views are resized
 * and normalised; random ones are drawn as training draws them. */
#ifndef MOCO_ENGINE_EVAL_EMBED_H
#define MOCO_ENGINE_EVAL_EMBED_H

#include "engine/data/view/augment.h"
#include "engine/net/encoder.h"

enum embed_feature { EMBED_BACKBONE, EMBED_HEAD };

/* "backbone" or "head"; a sentence for another word. */
int embed_feature_named(enum embed_feature *out, const char *name);

/* Columns of the features. */
size_t embed_dim(const struct net *net, enum embed_feature feature);

/* Columns of the raw-pixel baseline: C * side * side, or of the whole image. */
size_t embed_pixel_dim(const struct policy *policy);

/* Which images could not be read; their rows are zeros. */
struct embed_bad {
    unsigned char *at; /* (n) 1 for each of them; the caller's */
    size_t count;
    size_t first;      /* the row of the first of them, and why */
    char why[1024];
};

/* What embeds: running statistics are used, nothing in the encoder moves. */
struct embed {
    const struct net *net;
    struct encoder *encoder;
    enum embed_feature feature;
    const struct moco_simd *simd;
    int raw; /* rows as the encoder gives them, not of unit length */
    struct embed_bad *bad; /* NULL: an image that can not be read is an error */
};

/* Which random views: they follow from seed, epoch, image and `which` (0 or 1). */
struct view_draw {
    uint64_t seed, epoch;
    int which;
};

/* Closes the gaps: moves rows of `size` bytes of the n that could be read to the front. Returns how
 * many there are. */
size_t embed_pack(void *rows, size_t size, size_t n, const struct embed_bad *bad);

/* Working memory of the calls below, whatever n. */
size_t embed_bytes(const struct net *net);

/* Marks which of the images index[0..n-1] can not be read; another failure is an error. */
int embed_readable(struct embed_bad *bad, const struct source *source, const size_t *index,
                   size_t n);

/* x: (n, C, S, S), views of the images index[0..n-1] (NULL: 0..n-1); draw NULL: for evaluation. */
int embed_decode(float *x, const struct source *source, const size_t *index, size_t n,
                 const struct policy *policy, const struct view_draw *draw);

/* out: (n, embed_dim()) of the images index[0..n-1] (NULL: 0..n-1) of `source`. */
int embed_source(float *out, const struct embed *embed, const struct source *source,
                 const size_t *index, size_t n, const struct policy *policy);

/* The same of a random view of each image. */
int embed_views(float *out, const struct embed *embed, const struct source *source,
                const size_t *index, size_t n, const struct policy *policy,
                const struct view_draw *draw);

/* out: (n, embed_dim()) of x: (n, C, S, S), normalised already. */
int embed_array(float *out, const struct embed *embed, const float *x, size_t n);

/* out: (n, embed_pixel_dim()): the normalised pixels themselves, as unit rows unless `raw`. bad: as
 * above. */
int embed_pixels(float *out, const struct source *source, const size_t *index, size_t n,
                 const struct policy *policy, int raw, const struct moco_simd *simd,
                 struct embed_bad *bad);

/* A sum over every bit of the encoder: parameters, running statistics, count of batches. */
uint64_t embed_checksum(const struct encoder *encoder, const struct net *net);

#endif
