/* test_library.c: the functions of moco.h in a program that has parallel regions, children and
 * limits of its own: all of them are called, rightly and wrongly; an engine goes on bit for bit
 * wherever its next step is made; and nothing waits for threads that are not there. With an
 * argument, the number of threads that OpenMP gives at most. */
#define _GNU_SOURCE
#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/moco.h"
#include "tests/check.h"

enum { B = 8, SIDE = 8, DIM = 16, FLOATS = B * 3 * SIDE * SIDE, HOSTS = 2, TEAM = 2 };
enum { LONGEST = 280 /* seconds */ };

static float x_q[FLOATS], x_k[FLOATS];
static int most = TEAM; /* threads that OpenMP gives here */

static void settings(moco_config *config)
{
    moco_config_default(config);
    config->width = 16, config->side = SIDE, config->batch = B, config->dim = DIM;
    config->queue = 32, config->bn_splits = 2, config->threads = TEAM;
}

static moco_engine *opened(int threads)
{
    moco_config config;
    moco_engine *engine = NULL;
    settings(&config);
    config.threads = threads;
    if (moco_open(&engine, &config))
        fprintf(stderr, "%s\n", moco_error(engine));
    return engine;
}

/* NAN: it failed. */
static double loss_of_step(moco_engine *engine)
{
    moco_step_result result = { NAN, 0, 0 };
    if (moco_step(engine, &result, x_q, x_k, NULL, 0.05f))
        fprintf(stderr, "%s\n", moco_error(engine));
    return result.loss;
}

/* ---- every function ---- */

static void files(moco_engine *a, moco_engine *b)
{
    static float emb[2][B * 16 * 8];
    char path[] = "/tmp/moco-library-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK(moco_backbone_dim(a) == 8 * 16);
    CHECK(moco_save_weights(a, path) == MOCO_OK && moco_load_weights(b, path) == MOCO_OK);
    CHECK(moco_embed(a, emb[0], x_q, B, 1) == MOCO_OK && moco_embed(b, emb[1], x_q, B, 1) == 0);
    CHECK(!memcmp(emb[0], emb[1], sizeof emb[0]));
    double square = 0;
    for (int i = 0; i < 16 * 8; i++)
        square += (double)emb[0][i] * (double)emb[0][i];
    CHECK_MSG(fabs(square - 1) < 1e-4, "a row's length squared is %g", square);
    CHECK(moco_save_checkpoint(a, path) == MOCO_OK && moco_load_checkpoint(b, path) == MOCO_OK);
    CHECK(loss_of_step(a) == loss_of_step(b));
    CHECK(moco_load_weights(b, "/nowhere/w") == MOCO_EIO && strstr(moco_error(b), "/nowhere/w"));
    CHECK(moco_save_weights(b, "/nowhere/w") == MOCO_EIO && strstr(moco_error(b), "/nowhere/"));
    CHECK(moco_save_checkpoint(b, "/nowhere/c") == MOCO_EIO);
    CHECK(moco_load_checkpoint(b, "/nowhere/c") == MOCO_EIO);
    close(fd);
    unlink(path);
}

/* Two classes on two axes: the first test row is right, the second wrong, the third not counted. */
static void votes(void)
{
    static const float train[] = { 1, 0, 0, 1, 0.96f, 0.28f }, test[] = { 1, 0, 0, 1, 0.6f, 0.8f };
    static const int32_t of_train[] = { 0, 1, 0 }, of_test[] = { 0, 0, -1 }, wild[] = { 0, 7, 0 };
    double top1 = -1;
    CHECK(moco_knn(&top1, train, of_train, 3, test, of_test, 3, 2, 2, 0.1f, 2) == MOCO_OK);
    CHECK_MSG(top1 == 50.0, "%g percent", top1);
    CHECK(moco_knn(&top1, train, wild, 3, test, of_test, 3, 2, 2, 0.1f, 2) == MOCO_EARG);
    CHECK(moco_knn(&top1, train, of_train, 3, test, of_test, 3, 2, 0, 0.1f, 2) == MOCO_EARG);
    CHECK(moco_knn(&top1, train, of_train, 3, test, of_test, 3, 2, 2, NAN, 2) == MOCO_EARG);
    CHECK(moco_knn(&top1, NULL, of_train, 3, test, of_test, 3, 2, 2, 0.1f, 2) == MOCO_EARG);
    CHECK(moco_knn(NULL, train, of_train, 3, test, of_test, 3, 2, 2, 0.1f, 2) == MOCO_EARG);
    CHECK(top1 == 50.0);
}

static void wrong_calls(void)
{
    float emb[DIM];
    moco_config config;
    moco_engine *none = NULL;
    moco_config_default(NULL);
    settings(&config);
    CHECK(moco_open(NULL, &config) == MOCO_EARG);
    CHECK(moco_open(&none, NULL) == MOCO_EARG && none && strstr(moco_error(none), "config"));
    CHECK(moco_step(none, NULL, x_q, x_k, NULL, 0.1f) == MOCO_EARG);
    CHECK(strstr(moco_error(none), "not open"));
    CHECK(moco_embed(none, emb, x_q, 1, 0) == MOCO_EARG && moco_save_weights(none, "x") < 0);
    CHECK(moco_backbone_dim(none) == 0 && moco_threads(none) == 0);
    moco_close(&none);
    CHECK(!none && moco_backbone_dim(NULL) == 0 && moco_threads(NULL) == 0);
    CHECK(moco_step(NULL, NULL, x_q, x_k, NULL, 0.1f) == MOCO_EARG && moco_error(NULL)[0]);
    config.threads = 5000;
    CHECK(moco_open(&none, &config) == MOCO_EARG && strstr(moco_error(none), "5000"));
    moco_close(&none);
    settings(&config);
    config.batch = 65536, config.queue = 65536, config.side = 4096;
    CHECK(moco_open(&none, &config) == MOCO_EARG && strstr(moco_error(none), "pixels"));
    moco_close(&none);
    moco_close(NULL);
    CHECK(strchr(moco_version(), '.') && moco_simd_name()[0]);
}

/* A step on numbers that are not finite fails, and changes nothing that counts. */
static void poisoned(moco_engine *engine)
{
    float kept = x_q[5];
    x_q[5] = NAN;
    int rc = moco_step(engine, NULL, x_q, x_k, NULL, 0.05f);
    x_q[5] = kept;
    CHECK_MSG(rc == MOCO_EDIVERGED && moco_error(engine)[0], "%d: %s", rc, moco_error(engine));
}

/* ---- teams ---- */

static void teams(void)
{
    moco_engine *two = opened(TEAM), *one = opened(1), *all = opened(0);
    CHECK_MSG(moco_threads(two) == most, "%d threads, not %d", moco_threads(two), most);
    CHECK(moco_threads(one) == 1 && moco_threads(all) >= 1);
    CHECK(isfinite(loss_of_step(two)) && isfinite(loss_of_step(one)));
    CHECK(isfinite(loss_of_step(all)));
    moco_close(&two), moco_close(&one), moco_close(&all);
    omp_set_num_threads(3);
    omp_set_dynamic(1);
    int before = omp_get_max_threads();
    two = opened(TEAM);
    loss_of_step(two);
    CHECK(omp_get_max_threads() == before && omp_get_dynamic() == 1);
    omp_set_dynamic(0);
    moco_close(&two);
}

/* Each host thread opens, trains and closes an engine of its own. */
static void inside_a_region(void)
{
    double losses[HOSTS][2] = { { 0 } };
    int threads[HOSTS] = { 0 };
#pragma omp parallel num_threads(HOSTS)
    {
#pragma omp for schedule(static, 1)
        for (int i = 0; i < HOSTS; i++) {
            moco_engine *engine = opened(TEAM);
            threads[i] = moco_threads(engine);
            losses[i][0] = loss_of_step(engine);
            losses[i][1] = loss_of_step(engine);
            moco_close(&engine);
        }
    }
    for (int i = 0; i < HOSTS; i++) {
        CHECK_MSG(threads[i] == 1 || threads[i] == most, "%d threads", threads[i]);
        CHECK_MSG(isfinite(losses[i][0]) && losses[i][0] == losses[0][0] &&
                  losses[i][1] == losses[0][1], "losses %g, %g", losses[i][0], losses[i][1]);
    }
}

/* Engines that were opened outside make their next steps inside, as if nothing had happened. */
static void from_outside(void)
{
    moco_engine *engines[HOSTS], *quiet = opened(TEAM);
    double losses[HOSTS] = { 0 }, wanted;
    for (int i = 0; i < HOSTS; i++)
        engines[i] = opened(TEAM);
    wanted = loss_of_step(quiet);
    CHECK(loss_of_step(engines[0]) == wanted && loss_of_step(engines[1]) == wanted);
#pragma omp parallel for num_threads(HOSTS) schedule(static, 1)
    for (int i = 0; i < HOSTS; i++)
        losses[i] = loss_of_step(engines[i]);
    wanted = loss_of_step(quiet);
    for (int i = 0; i < HOSTS; i++) {
        CHECK_MSG(losses[i] == wanted, "loss %.17g, not %.17g", losses[i], wanted);
        CHECK(moco_threads(engines[i]) == most);
        moco_close(&engines[i]);
    }
    moco_close(&quiet);
}

/* ---- fork() ---- */

/* A child goes on with its copy, and with an engine of its own. */
static void children(void)
{
    moco_engine *engine = opened(TEAM);
    double losses[2] = { NAN, NAN }, first = loss_of_step(engine);
    int ends[2], status = -1;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(LONGEST);
        losses[0] = loss_of_step(engine);
        moco_engine *own = opened(TEAM);
        losses[1] = loss_of_step(own);
        votes();
        _exit(write(ends[1], losses, sizeof losses) != sizeof losses || check_failures);
    }
    waitpid(child, &status, 0);
    CHECK_MSG(status == 0, "the child ended with %x", status);
    if (status == 0)
        CHECK(read(ends[0], losses, sizeof losses) == sizeof losses);
    CHECK_MSG(losses[1] == first, "a fresh engine's loss is %.17g, not %.17g", losses[1], first);
    CHECK(loss_of_step(engine) == losses[0]);
    close(ends[0]), close(ends[1]);
    moco_close(&engine);
}

int main(int argc, char **argv)
{
    alarm(LONGEST); /* a team that never comes is waited for, for ever */
    if (argc > 1)
        most = atoi(argv[1]);
    if (omp_get_max_threads() == 1 && !getenv("OMP_NUM_THREADS") && most > 1) {
        omp_set_num_threads(TEAM);
        most = omp_get_max_threads(); /* 1 where there is no OpenMP */
    }
    srand(3);
    for (int i = 0; i < FLOATS; i++) {
        x_q[i] = (float)rand() / (float)RAND_MAX - 0.5f;
        x_k[i] = x_q[i] + 0.1f * (float)rand() / (float)RAND_MAX;
    }
    children();
    moco_engine *a = opened(TEAM), *b = opened(TEAM);
    CHECK(isfinite(loss_of_step(a)));
    files(a, b);
    poisoned(b);
    moco_close(&a), moco_close(&b);
    votes();
    wrong_calls();
    teams();
    inside_a_region();
    from_outside();
    children();
    return check_summary("library");
}
