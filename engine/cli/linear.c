/* linear.c: moco linear: accuracy of a linear classifier on frozen features. */
#include "engine/cli/cli.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/eval/linear.h"

static void show_epoch(void *user, int epoch, double loss)
{
    const int *epochs = user;
    fprintf(stderr, "\rprobe: epoch %d/%d loss %.4f%s", epoch, *epochs, loss,
            epoch == *epochs ? "\n" : "");
}

static void print_json(const struct linear_result *r, const struct class_score *classes,
                       const struct probe *probe, const char *protocol, double seconds)
{
    const struct score_sets *sets = &probe->sets;
    printf("{\"top1\":%.4f", r->top1);
    if (!isnan(r->top5))
        printf(",\"top5\":%.4f", r->top5);
    printf(",\"n_train\":%zu,\"n_test\":%zu,\"feature\":\"%s\",\"protocol\":\"%s\"", sets->train.n,
           sets->test.n, probe->feature, protocol);
    if (protocol[0] == 's')
        printf(",\"l2\":%.6g,\"gradient\":%.3g,\"iterations\":%d,\"converged\":%s", r->l2,
               r->gradient, r->iterations, r->converged ? "true" : "false");
    printf(",\"loss\":%.6f,\"columns\":%zu,\"seconds\":%.2f", r->loss, r->columns, seconds);
    if (classes) {
        printf(",\"per_class\":[");
        for (int c = 0; c < sets->classes; c++)
            printf("%s{\"class\":%d,\"n\":%zu,\"right\":%zu}", c ? "," : "", c, classes[c].n,
                   classes[c].right);
        printf("]");
    }
    printf("}\n");
}

static void print_text(const struct linear_result *r, const struct class_score *classes,
                       const struct probe *probe, const char *protocol, double seconds)
{
    const struct source *source = probe->sets.test.source;
    printf("linear top-1 %.2f %%", r->top1);
    if (!isnan(r->top5))
        printf(", top-5 %.2f %%", r->top5);
    printf(" (%s, %zu columns, %zu -> %zu images, %s", probe->feature, r->columns,
           probe->sets.train.n, probe->sets.test.n, protocol);
    if (protocol[0] == 's')
        printf(", l2 %.3g", r->l2);
    printf(", %.1f s)\n", seconds);
    for (int c = 0; classes && c < probe->sets.classes; c++) {
        if (source->class_names && c < source->classes)
            printf("  %-20s", source->class_names[c]);
        else
            printf("  %-20d", c);
        printf(" %6.2f %% of %zu\n",
               classes[c].n ? 100.0 * (double)classes[c].right / (double)classes[c].n : 0.0,
               classes[c].n);
    }
}

static int run(struct probe *probe, const struct linear_config *config, const char *protocol,
               int per_class, int json, const struct moco_simd *simd)
{
    struct linear_result result;
    struct class_score *classes = NULL;
    double start = clock_seconds();
    if (per_class)
        classes = calloc((size_t)probe->sets.classes, sizeof *classes);
    if (per_class && !classes)
        return error_memory("classes", (size_t)probe->sets.classes * sizeof *classes);
    int rc = linear_run(&result, classes, &probe->sets, probe->with, &probe->policy, config, simd);
    if (!rc && config->protocol == LINEAR_SOLVER && !result.converged)
        fprintf(stderr, "moco: the solver stopped after %d iterations with %.1e of the first "
                        "gradient left\n", result.iterations, result.gradient);
    if (!rc)
        (json ? print_json : print_text)(&result, classes, probe, protocol,
                                         clock_seconds() - start);
    free(classes);
    return rc;
}

int command_linear(int argc, char **argv)
{
    struct probe_job job = {.split = 1};
    const char *cap = NULL, *protocol = "solver";
    int epochs = 100, seed = 1, threads = 0, per_class = 0, json = 0;
    double l2 = NAN, lr = 30.0;
    struct moco_simd simd;
    struct probe probe;
    struct linear_config config;
    const struct option options[] = {
        {"--train", OPTION_TEXT, &job.train, "DATA", "labelled images that the classifier learns"},
        {"--test", OPTION_TEXT, &job.test, "DATA",
         "labelled images that judge it; without them every fifth of --train"},
        {"--feature", OPTION_TEXT, &job.feature, NULL, CLI_FEATURE},
        {"--side", OPTION_INT, &job.side, NULL, CLI_SIDE},
        {"--protocol", OPTION_TEXT, &protocol, NULL,
         "`solver`: to the minimum; `moco`: SGD as in the paper"},
        {"--l2", OPTION_DOUBLE, &l2, NULL,
         "solver: weight of the squared weights; chosen on a fifth of --train when not given"},
        {"--lr", OPTION_DOUBLE, &lr, NULL, "moco: learning rate"},
        {"--epochs", OPTION_INT, &epochs, NULL, "moco: passes over the features"},
        {"--seed", OPTION_INT, &seed, NULL, "of all random numbers"},
        {"--per-class", OPTION_SWITCH, &per_class, NULL, "accuracy of each class too"},
        CLI_COMMON(threads, cap, json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &job.weights,
                       1);
    if (rc)
        return rc;
    if (!job.train)
        return cli_usage("moco linear needs --train DATA, and --test DATA unless every fifth image "
                         "of --train is to be the test set");
    if (linear_protocol_named(&config.protocol, protocol))
        return cli_usage("%s", error_text());
    if (!(lr > 0.0) || epochs < 1 || !isfinite(lr) || l2 < 0.0 || isinf(l2))
        return cli_usage("--lr and --epochs must be above 0, --l2 a number from 0");
    config = (struct linear_config){.protocol = config.protocol, .l2 = isnan(l2) ? -1.0 : l2,
                                    .epochs = epochs, .lr = lr, .seed = (uint64_t)seed,
                                    .progress = show_epoch, .user = &epochs};
    if (cli_machine(&simd, threads, cap))
        return cli_failed();
    rc = probe_open(&probe, &job, &simd);
    if (!rc)
        rc = run(&probe, &config, protocol, per_class, json, &simd);
    probe_close(&probe);
    return rc ? cli_failed() : EXIT_DONE;
}
