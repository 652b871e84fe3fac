/* eval.c: moco knn: the accuracy of a trained encoder's features. */
#include "engine/cli/cli.h"


static void print_knn(double top1, int k, double t, const char *feature,
                      const struct score_sets *sets, int json)
{
    size_t n_train = sets->train.n - sets->train.left_out;
    size_t n_test = sets->test.n - sets->test.left_out;
    if (sets->why[0])
        fprintf(stderr, "moco: %s\n", sets->why);
    if (json)
        printf("{\"top1\":%.4f,\"k\":%d,\"t\":%.9g,\"feature\":\"%s\",\"n_train\":%zu,"
               "\"n_test\":%zu}\n", top1, k, t, feature, n_train, n_test);
    else
        printf("kNN top-1 %.2f %% (k %d, t %g, %s, %zu -> %zu images)\n", top1, k, t, feature,
               n_train, n_test);
}

static int knn(const char *weights, const char *train, const char *test, const char *feature,
               int k, double t, const struct moco_simd *simd, int json)
{
    struct probe probe;
    double top1 = 0.0;
    int rc = probe_open(&probe, weights, train, test, feature, simd);
    if (!rc)
        rc = score_run(&top1, &probe.sets, probe.with, &probe.policy, k, t, simd);
    if (!rc)
        print_knn(top1, k, t, probe.feature, &probe.sets, json);
    probe_close(&probe);
    return rc;
}

int command_knn(int argc, char **argv)
{
    const char *train = NULL, *test = NULL, *feature = NULL, *cap = NULL, *weights;
    int k = 200, threads = 0, json = 0;
    double t = 0.1;
    struct moco_simd simd;
    const struct option options[] = {
        {"--train", OPTION_TEXT, &train}, {"--test", OPTION_TEXT, &test},
        {"--feature", OPTION_TEXT, &feature}, {"--knn-k", OPTION_INT, &k},
        {"--knn-t", OPTION_DOUBLE, &t}, {"--threads", OPTION_INT, &threads},
        {"--simd", OPTION_TEXT, &cap}, {"--json", OPTION_SWITCH, &json},
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &weights, 1);
    if (rc)
        return rc;
    if (!train || !test)
        return cli_usage("moco knn needs --train DATA and --test DATA");
    if (k < 1 || !(t > 0.0))
        return cli_usage("--knn-k and --knn-t must be above 0");
    if (cli_machine(&simd, threads, cap) ||
        knn(weights, train, test, feature, k, t, &simd, json))
        return cli_failed();
    return EXIT_DONE;
}
