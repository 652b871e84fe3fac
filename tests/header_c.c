/* header_c.c: include/moco.h compiles alone, and a program of library calls works: two steps of
 * training on random views, an embedding, and a checkpoint that goes on bit for bit, also where the
 * program's locale has a decimal comma. What can not be is refused and changes nothing. */
#include "include/moco.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SKIPPED = 77, B = 8, SIDE = 8, FLOATS = B * 3 * SIDE * SIDE, DIM = 16 };

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

/* ---- calls that must be refused ---- */

/* 1, with a word of it on the terminal, where a call was taken or says nothing of `word`. */
static int taken(int rc, const moco_engine *engine, const char *word)
{
    if (rc == MOCO_EARG && strstr(moco_error(engine), word))
        return 0;
    fprintf(stderr, "%s: returned %d, '%s'\n", word, rc, moco_error(engine));
    return 1;
}

static int opens(const moco_config *config, const char *word)
{
    moco_engine *engine = NULL;
    int rc = moco_open(&engine, config), failed = taken(rc, engine, word);
    moco_close(&engine);
    return failed;
}

static int bad_settings(void)
{
    moco_config config;
    int failed = 0;
    settings(&config), config.queue = 4; /* smaller than the batch */
    failed += opens(&config, "4");
    settings(&config), config.method = NULL;
    failed += opens(&config, "method");
    settings(&config), config.stem = NULL;
    failed += opens(&config, "stem");
    settings(&config), config.key_encoder = NULL;
    failed += opens(&config, "key_encoder");
    settings(&config), config.momentum_key = NAN;
    failed += opens(&config, "momentum_key");
    settings(&config), config.momentum_sgd = 1.5f;
    failed += opens(&config, "momentum_sgd");
    settings(&config), config.weight_decay = NAN;
    failed += opens(&config, "weight_decay");
    settings(&config), config.temperature = INFINITY;
    failed += opens(&config, "temperature");
    settings(&config), config.width = 1 << 30; /* twice that is no int */
    failed += opens(&config, "width");
    settings(&config), config.threads = -1;
    return failed + opens(&config, "threads");
}

static int bad_calls(moco_engine *a)
{
    moco_step_result result;
    int failed = taken(moco_step(a, &result, x_q, NULL, NULL, 0.1f), a, "x_k");
    failed += taken(moco_step(a, &result, x_q, x_k, NULL, NAN), a, "learning rate");
    failed += taken(moco_embed(a, emb_a, NULL, 1, 0), a, "x");
    failed += taken(moco_save_weights(a, NULL), a, "path");
    failed += taken(moco_load_checkpoint(a, NULL), a, "path");
    if (moco_embed(a, NULL, NULL, 0, 0) || moco_embed(a, emb_a, x_q, B, 0) ||
        memcmp(emb_a, emb_b, sizeof emb_a))
        return failed + fail("refused calls changed the engine", a);
    return failed;
}

/* ---- a locale with a decimal comma ---- */

/* Made here, for few machines have one; 0 where that is not possible. */
static int speak_german(const char *folder)
{
    char command[200];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1",
             folder, folder);
    setenv("LOCPATH", folder, 1);
    return system(command) != -1 && setlocale(LC_ALL, "de_DE.UTF-8") &&
           !strcmp(localeconv()->decimal_point, ",");
}

static int german(const moco_config *config, const char *path)
{
    char folder[] = "/tmp/moco-locale-XXXXXX", command[80];
    moco_engine *a = NULL, *b = NULL;
    int failed = 0;
    if (!mkdtemp(folder))
        return 1;
    if (!speak_german(folder)) {
        printf("no locale with a decimal comma can be made here (Debian: package locales)\n");
        failed = SKIPPED;
    } else if (moco_open(&a, config) || moco_open(&b, config)) {
        failed = fail("opening in another locale", a);
    } else {
        failed = train(a, b, path);
    }
    if (a && strcmp(localeconv()->decimal_point, ","))
        failed = 1, fprintf(stderr, "the program's locale was not put back\n");
    moco_close(&a);
    moco_close(&b);
    setlocale(LC_ALL, "C");
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) ? 1 : failed;
}

/* With "locale" as its argument: in another locale, or skipped. */
int main(int argc, char **argv)
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
    if (!failed && !moco_embed(a, emb_b, x_q, B, 0))
        failed = bad_calls(a);
    moco_close(&a);
    moco_close(&b);
    moco_close(&a);
    failed += bad_settings();
    if (!failed && argc > 1 && !strcmp(argv[1], "locale"))
        failed = german(&config, path);
    if (fd >= 0)
        close(fd), unlink(path);
    return failed == SKIPPED ? SKIPPED : failed > 0;
}
