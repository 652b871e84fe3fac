/* test_threads.c: one OpenMP library serves the engine and oneDNN. With two, each would keep a team
 * of its own, whose waiting threads take the cores from the other's. Loops of ours and a
 * convolution of oneDNN, in turn, leave the process with as many threads as one team has, and the
 * loops are really shared among them. */
#include <dirent.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "engine/net/conv_impl.h"
#include "tests/check.h"

enum { TEAM = 3, SIDE = 8, C = 16 };

static int threads_of_process(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* How many threads took part in a loop. */
static int team(void)
{
    int seen[TEAM] = { 0 }, n = 0;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < TEAM; i++)
        seen[omp_get_thread_num() % TEAM] = 1;
    for (int i = 0; i < TEAM; i++)
        n += seen[i];
    return n;
}

static float *room(size_t bytes)
{
    void *p;
    if (posix_memalign(&p, 64, bytes + 64))
        abort();
    return memset(p, 0, bytes + 64);
}

static void convolve(const struct moco_simd *simd)
{
    struct conv_shape shape = { .B = 8, .IC = C, .OC = C, .H = SIDE, .W = SIDE, .OH = SIDE,
                                .OW = SIDE, .kernel = 3, .stride = 1, .pad = 1,
                                .lanes = (int)simd->lanes,
                                .policy = CONV_HAS_ONEDNN ? CONV_ONEDNN : CONV_OWN };
    size_t image = sizeof(float) * 8 * C * SIDE * SIDE;
    struct conv *conv;
    int rc = conv_open(&conv, &shape, simd, "conv");
    CHECK(rc == 0);
    if (rc)
        return;
    float *src = room(image), *dst = room(image), *weights = room(sizeof(float) * C * C * 9);
    float *scratch = room(conv_scratch_bytes(conv));
    CHECK(conv_forward(conv, dst, src, weights, scratch) == 0);
    free(src), free(dst), free(weights), free(scratch);
    conv_close(&conv);
}

int main(void)
{
    struct moco_simd simd;
    CHECK(moco_simd_init(&simd, NULL) == 0);
    omp_set_num_threads(TEAM);
    int most = omp_get_max_threads(); /* 1 where there is no OpenMP */
    int foreign = threads_of_process() - 1; /* one of qemu's, where it runs the test */
    for (int round = 0; round < 3; round++) {
        CHECK_MSG(team() == most, "%d threads share a loop, %d should", team(), most);
        convolve(&simd);
        int now = threads_of_process();
        CHECK_MSG(now == 0 || now == most + foreign, "%d threads run, not %d", now, most + foreign);
    }
    return check_summary("test_threads");
}
