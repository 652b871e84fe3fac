/* eval.c: moco knn: the accuracy of a trained encoder's features, or of none but the pixels. */
#include "engine/cli/cli.h"
#include "engine/cli/wait.h"

#include <math.h>

#include "engine/base/json.h"

/* What moco knn is asked for. */
struct knn_job {
    struct probe_job probe;
    int k, json;
    double t;
};

/* Images that vote on one: of fifths, the fewest. */
static size_t votes(const struct score_sets *sets)
{
    size_t n = sets->train.n - sets->train.left_out;
    return sets->test.n ? n : n - (n + 4) / 5;
}

static void print_knn(double top1, const struct knn_job *job, const struct score_sets *sets,
                      const char *feature)
{
    size_t all = sets->train.n - sets->train.left_out;
    size_t judged = sets->test.n ? sets->test.n - sets->test.left_out : all;
    char unknown[UNKNOWN_TEXT];
    if (job->json) {
        printf("{\"top1\":");
        json_put_number(stdout, "%.4f", top1);
        printf(",\"k\":%d,\"t\":%.9g,\"feature\":\"%s\",\"n_train\":%zu,\"n_test\":%zu,"
               "\"unknown_class\":%zu", job->k, job->t, feature, votes(sets), judged,
               sets->unknown);
        probe_json_accounts(sets);
        printf("}\n");
    } else if (sets->test.n)
        printf("kNN top-1 %.2f %% (k %d, t %g, %s, %zu -> %zu images%s)\n", top1, job->k, job->t,
               feature, all, judged, probe_unknown(unknown, sets));
    else
        printf("kNN top-1 %.2f %% (k %d, t %g, %s, each fifth of %zu images by the others)\n",
               top1, job->k, job->t, feature, all);
}

static int knn(const struct knn_job *job, const struct moco_simd *simd)
{
    struct probe probe;
    double top1 = 0.0;
    int rc = probe_open(&probe, &job->probe, simd);
    if (!rc && (size_t)job->k > votes(&probe.sets))
        fprintf(stderr, "moco: all of the %zu images vote where k is %d; a smaller --knn-k asks "
                        "the nearest\n", votes(&probe.sets), job->k);
    cli_wait_begin();
    if (!rc)
        rc = score_run(&top1, &probe.sets, probe.with, &probe.policy, job->k, job->t, simd);
    cli_wait_end();
    if (!rc)
        probe_missing(&probe), probe_left(&probe);
    if (!rc)
        print_knn(top1, job, &probe.sets, probe.feature);
    probe_close(&probe);
    return rc;
}

int command_knn(int argc, char **argv)
{
    struct knn_job job = {.k = 200, .t = 0.1};
    const char *cap = NULL;
    int threads = 0;
    struct moco_simd simd;
    const struct option options[] = {
        {"--train", OPTION_TEXT, &job.probe.train, "DATA", "labelled images that vote"},
        {"--test", OPTION_TEXT, &job.probe.test, "DATA",
         "labelled images that are classified; without them each fifth of --train by the others"},
        {"--feature", OPTION_TEXT, &job.probe.feature, NULL, CLI_FEATURE},
        {"--knn-k", OPTION_INT, &job.k, NULL, "neighbours that vote"},
        {"--knn-t", OPTION_DOUBLE, &job.t, NULL, "temperature of their weights"},
        {"--side", OPTION_INT, &job.probe.side, NULL, CLI_SIDE},
        CLI_MISSING(job.probe.max_missing),
        CLI_COMMON(threads, cap, job.json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &job.probe.weights,
                       1);
    if (rc)
        return rc;
    if (!job.probe.train)
        return cli_usage("moco knn needs --train DATA, and --test DATA unless each fifth of "
                         "--train is to be classified by the others");
    if (job.k < 1 || !((float)job.t > 0.0f && isfinite((float)job.t)))
        return cli_usage("--knn-k and --knn-t must be above 0, and --knn-t a float's size");
    if (cli_check_missing(job.probe.max_missing))
        return EXIT_USAGE;
    if (cli_machine(&simd, threads, cap) || knn(&job, &simd))
        return cli_failed();
    return EXIT_DONE;
}
