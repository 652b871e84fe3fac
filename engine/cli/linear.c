/* linear.c: moco linear: accuracy of a linear classifier on frozen features. */
#include "engine/cli/cli.h"
#include "engine/cli/wait.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/eval/linear.h"

enum { EPOCHS = 100, LR = 30 }; /* of MoCo's protocol */

static void show_epoch(void *user, int epoch, double loss)
{
    cli_epoch("linear", epoch, *(const int *)user, loss);
}

static void print_json(const struct linear_result *r, const struct class_score *classes,
                       const struct probe *probe, const char *protocol, double seconds)
{
    const struct score_sets *sets = &probe->sets;
    printf("{\"top1\":");
    json_put_number(stdout, "%.4f", r->top1);
    if (!isnan(r->top5)) /* with more than 5 classes */
        cli_json_number("top5", "%.4f", r->top5);
    printf(",\"n_train\":%zu,\"n_test\":%zu,\"feature\":\"%s\",\"protocol\":\"%s\"", sets->train.n,
           sets->test.n, probe->feature, protocol);
    if (protocol[0] == 's') {
        cli_json_number("l2", "%.6g", r->l2);
        cli_json_number("gradient", "%.3g", r->gradient);
        printf(",\"iterations\":%d,\"converged\":%s", r->iterations,
               r->converged ? "true" : "false");
    }
    cli_json_number("loss", "%.6f", r->loss);
    printf(",\"columns\":%zu,\"seconds\":%.2f,\"unknown_class\":%zu", r->columns, seconds,
           sets->unknown);
    if (classes) {
        printf(",\"per_class\":[");
        for (int c = 0; c < sets->classes; c++)
            printf("%s{\"class\":%d,\"n\":%zu,\"right\":%zu}", c ? "," : "", c, classes[c].n,
                   classes[c].right);
        printf("]");
    }
    probe_json_accounts(sets);
    printf("}\n");
}

static void print_text(const struct linear_result *r, const struct class_score *classes,
                       const struct probe *probe, const char *protocol, double seconds)
{
    char unknown[UNKNOWN_TEXT];
    printf("linear top-1 %.2f %%", r->top1);
    if (!isnan(r->top5))
        printf(", top-5 %.2f %%", r->top5);
    printf(" (%s, %zu columns, %zu -> %zu images%s, %s", probe->feature, r->columns,
           probe->sets.train.n, probe->sets.test.n, probe_unknown(unknown, &probe->sets), protocol);
    if (protocol[0] == 's')
        printf(", l2 %.3g", r->l2);
    printf(", %.1f s)\n", seconds);
    for (int c = 0; classes && c < probe->sets.classes; c++) {
        printf("  %-20s", probe->sets.numbering.names[c]);
        printf(" %6.2f %% of %zu\n",
               classes[c].n ? 100.0 * (double)classes[c].right / (double)classes[c].n : 0.0,
               classes[c].n);
    }
}

/* What was asked for. */
struct request {
    struct probe_job job;
    const char *protocol, *cap;
    int epochs, seed, threads, per_class, json;
    double l2, lr;
};

static int parse(struct request *r, int argc, char **argv)
{
    const struct option options[] = {
        {"--train", OPTION_TEXT, &r->job.train, "DATA",
         "labelled images that the classifier learns"},
        {"--test", OPTION_TEXT, &r->job.test, "DATA",
         "labelled images that judge it; without them every fifth of --train"},
        {"--feature", OPTION_TEXT, &r->job.feature, NULL, CLI_FEATURE},
        {"--side", OPTION_INT, &r->job.side, NULL, CLI_SIDE},
        {"--protocol", OPTION_TEXT, &r->protocol, NULL,
         "`solver`: to the minimum; `moco`: SGD as in the paper"},
        {"--l2", OPTION_DOUBLE, &r->l2, NULL,
         "solver: weight of the squared weights; chosen on a fifth of --train when not given"},
        {"--lr", OPTION_DOUBLE, &r->lr, NULL, "moco: learning rate"},
        {"--epochs", OPTION_INT, &r->epochs, NULL, "moco: passes over the features"},
        {"--seed", OPTION_INT, &r->seed, NULL, "of all random numbers"},
        CLI_MISSING(r->job.max_missing),
        {"--per-class", OPTION_SWITCH, &r->per_class, NULL, "accuracy of each class too"},
        CLI_COMMON(r->threads, r->cap, r->json),
    };
    return cli_parse(argc, argv, options, sizeof options / sizeof *options, &r->job.weights, 1);
}

static int configure(struct linear_config *config, struct request *r)
{
    *config = (struct linear_config){.l2 = isnan(r->l2) ? -1.0 : r->l2, .epochs = r->epochs,
                                     .lr = r->lr, .seed = (uint64_t)r->seed,
                                     .progress = show_epoch, .user = &r->epochs};
    if (!r->job.train)
        return cli_usage("moco linear needs --train DATA, and --test DATA unless every fifth image "
                         "of --train is to be the test set");
    if (linear_protocol_named(&config->protocol, r->protocol))
        return cli_usage("%s", error_text());
    if (cli_check_missing(r->job.max_missing))
        return EXIT_USAGE;
    if (!(r->lr > 0.0) || r->epochs < 1 || !isfinite(r->lr) || r->l2 < 0.0 || isinf(r->l2))
        return cli_usage("--lr and --epochs must be above 0, --l2 a number from 0");
    int solver = config->protocol == LINEAR_SOLVER;
    if (solver ? r->lr != LR || r->epochs != EPOCHS : !isnan(r->l2))
        fprintf(stderr, "moco: %s no effect with --protocol %s\n",
                solver ? "--lr and --epochs have" : "--l2 has", r->protocol);
    return EXIT_DONE;
}

static int run(struct probe *probe, const struct linear_config *config, const struct request *r,
               const struct moco_simd *simd)
{
    struct linear_result result;
    struct class_score *classes = NULL;
    double start = clock_seconds();
    if (r->per_class)
        classes = calloc((size_t)probe->sets.classes, sizeof *classes);
    if (r->per_class && !classes)
        return error_memory("classes", (size_t)probe->sets.classes * sizeof *classes);
    cli_wait_begin();
    int rc = linear_run(&result, classes, &probe->sets, probe->with, &probe->policy, config, simd);
    cli_wait_end();
    if (!rc && config->protocol == LINEAR_SOLVER && !result.converged)
        fprintf(stderr, "moco: the solver stopped after %d iterations with %.1e of the first "
                        "gradient left\n", result.iterations, result.gradient);
    if (!rc)
        probe_missing(probe), probe_left(probe);
    if (!rc)
        (r->json ? print_json : print_text)(&result, classes, probe, r->protocol,
                                            clock_seconds() - start);
    free(classes);
    return rc;
}

int command_linear(int argc, char **argv)
{
    struct request request = {.job = {.split = 1}, .protocol = "solver", .epochs = EPOCHS,
                              .seed = 1, .l2 = NAN, .lr = LR};
    struct linear_config config;
    struct moco_simd simd;
    struct probe probe;
    int rc = parse(&request, argc, argv);
    if (!rc)
        rc = configure(&config, &request);
    if (rc)
        return rc;
    if (cli_machine(&simd, request.threads, request.cap))
        return cli_failed();
    rc = probe_open(&probe, &request.job, &simd);
    if (!rc)
        rc = run(&probe, &config, &request, &simd);
    probe_close(&probe);
    return rc ? cli_failed() : EXIT_DONE;
}
