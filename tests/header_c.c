/* header_c.c: include/moco.h compiles alone, and a program of library calls works: two steps of
 * training on random views, an embedding, and a checkpoint that goes on bit for bit. */
#include "include/moco.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { B = 8, SIDE = 8, FLOATS = B * 3 * SIDE * SIDE, DIM = 16 };

static float x_q[FLOATS], x_k[FLOATS], emb_a[B * DIM], emb_b[B * DIM];

static float uniform(void)
{
    return (float)rand() / (float)RAND_MAX;
}

static int fail(const char *what, const moco_engine *engine)
{
    fprintf(stderr, "%s: %s\n", what, moco_error(engine));
    return 1;
}

static void settings(moco_config *c)
{
    moco_config_default(c);
    c->width = 4, c->side = SIDE, c->batch = B, c->dim = DIM, c->queue = 32, c->bn_splits = 2;
}

/* Two steps, a checkpoint between them; the second step is repeated by a fresh engine. */
static int train(moco_engine *a, moco_engine *b, const char *path)
{
    moco_step_result ra, rb;
    if (moco_step(a, NULL, x_q, x_k, NULL, 0.1f) || moco_save_checkpoint(a, path))
        return fail("first step", a);
    if (moco_step(a, &ra, x_k, x_q, NULL, 0.1f) || moco_embed(a, emb_a, x_q, B - 3, 0))
        return fail("second step", a);
    if (moco_load_checkpoint(b, path) || moco_step(b, &rb, x_k, x_q, NULL, 0.1f) ||
        moco_embed(b, emb_b, x_q, B - 3, 0))
        return fail("repeated step", b);
    if (ra.loss != rb.loss || memcmp(emb_a, emb_b, sizeof emb_a) || !isfinite(ra.loss)) {
        fprintf(stderr, "losses %.17g and %.17g, or the embeddings, differ\n", ra.loss, rb.loss);
        return 1;
    }
    return 0;
}

int main(void)
{
    moco_config config;
    moco_engine *a = NULL, *b = NULL;
    char path[] = "/tmp/moco-header-XXXXXX";
    int failed = 1, fd = mkstemp(path);

    srand(1);
    for (int i = 0; i < FLOATS; i++)
        x_q[i] = uniform() - 0.5f, x_k[i] = x_q[i] + 0.1f * uniform();
    settings(&config);
    if (fd < 0 || moco_open(&a, &config) || moco_open(&b, &config))
        fprintf(stderr, "%s\n", moco_error(a));
    else
        failed = train(a, b, path);
    moco_close(&a);
    moco_close(&b);
    config.queue = 4; /* smaller than the batch: refused, both numbers named */
    if (moco_open(&a, &config) == MOCO_OK || !strstr(moco_error(a), "4"))
        failed = 1, fprintf(stderr, "a queue below the batch was taken: %s\n", moco_error(a));
    moco_close(&a);
    moco_close(&a);
    if (fd >= 0)
        close(fd), unlink(path);
    return failed;
}
