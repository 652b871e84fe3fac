/* finetune.c: moco finetune: accuracy of a whole network trained further with few labels. */
#include "engine/cli/cli.h"
#include "engine/cli/wait.h"

#include <math.h>

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/eval/finetune.h"

static void show_epoch(void *user, int epoch, int epochs, double loss)
{
    (void)user;
    cli_epoch("finetune", epoch, epochs, loss);
}

static const char *start_of(const struct finetune_config *config)
{
    return config->from_scratch ? "random" : "pretrained";
}

static void print_json(const struct finetune_result *r, const struct finetune_config *config,
                       const struct score_sets *sets, double seconds)
{
    printf("{\"top1\":");
    json_put_number(stdout, "%.4f", r->top1);
    if (!isnan(r->top5)) /* with more than 5 classes */
        cli_json_number("top5", "%.4f", r->top5);
    printf(",\"n_train\":%zu,\"n_labelled\":%zu,\"n_test\":%zu,\"fraction\":%.9g,\"start\":\"%s\","
           "\"epochs\":%d,\"batch\":%d,\"lr\":%.9g", r->n, sets->train.n, sets->test.n,
           config->fraction, start_of(config), r->epochs, r->batch, config->lr);
    cli_json_number("loss", "%.6f", r->loss);
    printf(",\"seconds\":%.2f,\"unknown_class\":%zu", seconds, sets->unknown);
    probe_json_accounts(sets);
    printf("}\n");
}

static void print(const struct finetune_result *r, const struct finetune_config *config,
                  const struct score_sets *sets, double seconds, int json)
{
    char unknown[UNKNOWN_TEXT];
    const char *start = start_of(config);
    if (json) {
        print_json(r, config, sets, seconds);
        return;
    }
    printf("finetune top-1 %.2f %%", r->top1);
    if (!isnan(r->top5))
        printf(", top-5 %.2f %%", r->top5);
    printf(" (%s weights, %zu of %zu labels -> %zu images%s, %d epochs, %.0f s)\n", start, r->n,
           sets->train.n, sets->test.n, probe_unknown(unknown, sets), r->epochs, seconds);
}

static int run(const struct probe_job *job, const struct finetune_config *config,
               const struct moco_simd *simd, int json)
{
    struct probe probe;
    struct finetune_result result;
    double start = clock_seconds();
    int rc = probe_open(&probe, job, simd);
    if (!rc && !probe.with)
        rc = error_set(MOCO_EARG, "finetune needs an encoder; pixels are none");
    cli_wait_begin();
    if (!rc)
        rc = finetune_run(&result, &probe.sets, probe.model.net, &probe.model.encoder,
                          &probe.policy, config, simd);
    cli_wait_end();
    if (!rc)
        probe_missing(&probe), probe_left(&probe);
    if (!rc)
        print(&result, config, &probe.sets, clock_seconds() - start, json);
    probe_close(&probe);
    return rc;
}

int command_finetune(int argc, char **argv)
{
    const char *cap = NULL;
    struct probe_job job = {.weights = NULL};
    int seed = 1, threads = 0, json = 0;
    struct moco_simd simd;
    struct finetune_config c = {.fraction = 0.01, .batch = 64, .lr = 0.02, .wd = 1e-4,
                                .progress = show_epoch};
    const struct option options[] = {
        {"--train", OPTION_TEXT, &job.train, "DATA", "labelled images; a fraction of them is used"},
        {"--test", OPTION_TEXT, &job.test, "DATA", "labelled images that judge it"},
        {"--fraction", OPTION_DOUBLE, &c.fraction, NULL,
         "share of --train that is used, of each class as many"},
        {"--from-scratch", OPTION_SWITCH, &c.from_scratch, NULL,
         "random weights in the place of the encoder's: what these are worth"},
        {"--epochs", OPTION_INT, &c.epochs, NULL,
         "passes over the chosen images; as many as make 400 steps when not given"},
        {"--batch-size", OPTION_INT, &c.batch, NULL, "images in a step"},
        {"--lr", OPTION_DOUBLE, &c.lr, NULL, "learning rate"},
        {"--wd", OPTION_DOUBLE, &c.wd, NULL, "weight decay"},
        {"--seed", OPTION_INT, &seed, NULL, "of the choice, first weights, order and views"},
        CLI_MISSING(job.max_missing),
        CLI_COMMON(threads, cap, json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &job.weights,
                       1);
    if (rc)
        return rc;
    if (!job.train || !job.test)
        return cli_usage("moco finetune needs --train DATA and --test DATA");
    if (!(c.fraction > 0.0 && c.fraction <= 1.0))
        return cli_usage("--fraction must be above 0 and at most 1");
    if (c.batch < 2 || c.batch > 65536 || !(c.lr > 0.0) || !(c.wd >= 0.0))
        return cli_usage("--batch-size must be from 2 to 65536, --lr above 0, --wd from 0");
    if (cli_check_missing(job.max_missing))
        return EXIT_USAGE;
    c.seed = (uint64_t)seed;
    if (cli_machine(&simd, threads, cap) || run(&job, &c, &simd, json))
        return cli_failed();
    return EXIT_DONE;
}
