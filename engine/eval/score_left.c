/* score_left.c: features of a side whose images may be unreadable: what cannot be read is taken off
 * the side, and the sets say so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/score.h"

static struct embed_bad *bad_open(size_t n)
{
    struct embed_bad *bad = calloc(1, sizeof *bad);
    if (bad)
        bad->at = calloc(n + 1, 1);
    if (bad && bad->at)
        return bad;
    free(bad);
    (void)error_memory("marks of images", n);
    return NULL;
}

static void bad_close(struct embed_bad *bad)
{
    if (bad)
        free(bad->at);
    free(bad);
}

void score_note_left(struct score_sets *sets, const struct score_side *side,
                     const struct embed_bad *bad, const char *what)
{
    size_t used = strlen(sets->why);
    snprintf(sets->why + used, sizeof sets->why - used,
             "%s%zu of %zu images of %.200s could not be read, %s without them; the first: %.400s",
             used ? "; " : "", bad->count, side->n, side->source->where, what, bad->why);
}

/* Images that are left keep their order. */
static int leave_out(struct score_sets *sets, struct score_side *side, const struct embed_bad *bad)
{
    side->left_out += bad->count;
    if (!bad->count)
        return MOCO_OK;
    if (bad->count == side->n)
        return error_set(MOCO_EFORMAT, "no image of %s can be read; the first: %s",
                         side->source->where, bad->why);
    score_note_left(sets, side, bad, "the result is");
    embed_pack(side->index, sizeof *side->index, side->n, bad);
    side->n = embed_pack(side->labels, sizeof *side->labels, side->n, bad);
    return MOCO_OK;
}

int score_features(float **out, struct score_sets *sets, struct score_side *side,
                   const struct embed *embed, const struct policy *policy, int raw,
                   const struct moco_simd *simd)
{
    size_t D = score_columns(embed, policy), bytes = side->n * D * sizeof **out, n = side->n;
    struct embed_bad *bad = bad_open(side->n);
    int rc = bad ? MOCO_OK : MOCO_ENOMEM;
    *out = rc ? NULL : malloc(bytes);
    if (!rc && !*out)
        rc = error_memory("features", bytes);
    if (!rc && embed) {
        struct embed with = *embed;
        with.raw = raw;
        with.bad = bad;
        rc = embed_source(*out, &with, side->source, side->index, n, policy);
    } else if (!rc) {
        rc = embed_pixels(*out, side->source, side->index, n, policy, raw, simd, bad);
    }
    if (!rc)
        rc = leave_out(sets, side, bad);
    if (!rc)
        embed_pack(*out, D * sizeof **out, n, bad);
    bad_close(bad);
    return rc;
}

int score_read(struct score_sets *sets, struct score_side *side)
{
    struct embed_bad *bad = bad_open(side->n);
    int rc = bad ? embed_readable(bad, side->source, side->index, side->n) : MOCO_ENOMEM;
    if (!rc)
        rc = leave_out(sets, side, bad);
    bad_close(bad);
    return rc;
}
