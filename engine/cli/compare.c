/* compare.c: moco compare: a study from flags, its progress on the terminal. */
#include "engine/cli/cli.h"
#include "engine/cli/show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/study/study.h"

enum { SEEDS = 3 };

struct compare {
    const char *study, *minutes, *seeds;
    struct study_budget budget;
    struct show show;
};

static int take_seeds(struct compare *compare)
{
    char *end = NULL;
    const char *seeds = compare->seeds;
    long count = seeds ? strtol(seeds, &end, 10) : SEEDS;
    if (seeds && (end == seeds || *end || count < 1 || count > STUDY_SEEDS_MAX))
        return cli_usage("--seeds takes a whole number from 1 to %d, not '%s'",
                         (int)STUDY_SEEDS_MAX, seeds);
    compare->budget.seeds = (int)count;
    return 0;
}

/* The options that are no settings of a run. */
static int take_options(struct compare *compare, int *argc, char **argv)
{
    const struct option options[] = {
        { "--study", OPTION_TEXT, &compare->study, NULL,
          "`mechanisms`, `momentum`, `sharing`, `queue`, `temperature`, `sampling`, `proximal` "
          "or `labels`" },
        { "--minutes", OPTION_TEXT, &compare->minutes, "NUMBER",
          "minutes of each run, in the place of --epochs" },
        { "--seeds", OPTION_TEXT, &compare->seeds, "NUMBER", "runs of each row; 3 when not given" },
    };
    int rc = cli_take(argc, argv, options, sizeof options / sizeof *options);
    return rc ? rc : take_seeds(compare);
}

static int take_minutes(struct compare *compare, const struct config *config)
{
    char *end = NULL;
    size_t count;
    const struct setting *epochs = config_setting("epochs");
    if (!compare->minutes)
        return 0;
    double minutes = strtod(compare->minutes, &end);
    if (end == compare->minutes || *end || !(minutes > 0 && minutes < 1e6))
        return cli_usage("--minutes takes a number above 0, not '%s'", compare->minutes);
    if (config->origin[epochs - config_settings(&count)] == FROM_FLAG)
        return cli_usage("the budget is either --epochs or --minutes");
    compare->budget.minutes = minutes;
    return 0;
}

static void on_run(void *user, const struct study_row *row, uint64_t seed, int index, int count)
{
    if (((struct show *)user)->json)
        printf("{\"row\":\"%s\",\"seed\":%llu,\"run\":%d,\"runs\":%d}\n", row->name,
               (unsigned long long)seed, index + 1, count);
    fprintf(stderr, "run %d/%d: %s%s%s, seed %llu\n", index + 1, count, row->group,
            row->group[0] ? ": " : "", row->label, (unsigned long long)seed);
}

static void on_measure(void *user, const struct study_row *row)
{
    (void)user;
    fprintf(stderr, "timing %s%s%s\n", row->group, row->group[0] ? ": " : "", row->label);
}

static int compare_run(struct compare *compare, const struct study *study,
                       const struct config *config, const struct moco_simd *simd)
{
    struct study_hooks hooks = { .run = on_run, .measure = on_measure };
    show_open(&compare->show, &hooks.train, config->value.json);
    int rc = study_train(study, config, &compare->budget, simd, &hooks);
    show_close(&compare->show);
    if (rc == TRAIN_INTERRUPTED) {
        fprintf(stderr, "moco: interrupted; all is saved, the same command goes on\n");
        return show_interrupted();
    }
    if (rc)
        return cli_failed();
    fprintf(stderr, "moco: results are in %s: study.md, study.csv, study.svg\n",
            config->value.out);
    return EXIT_DONE;
}

/* A run's files and a study's would lie beside each other. */
static int check_folder(const char *out)
{
    static const char *const files[] = { "log.csv", "checkpoint.safetensors" };
    char path[1200];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", out, files[i]);
        if (access(path, F_OK) == 0)
            return error_set(MOCO_EARG, "%s holds a run of moco train, not a study; choose "
                                        "another --out", out);
    }
    return MOCO_OK;
}

int command_compare(int argc, char **argv)
{
    struct compare compare = { 0 };
    struct moco_simd simd;
    struct config config;
    int rc = take_options(&compare, &argc, argv);
    if (!rc)
        rc = cli_settings(&config, &simd, "compare", argc, argv);
    if (!rc)
        rc = take_minutes(&compare, &config);
    if (rc)
        return rc;
    if (!config.value.out[0])
        return cli_usage("moco compare needs --out DIR");
    if (!compare.study)
        return cli_usage("moco compare needs --study NAME");
    if (check_folder(config.value.out))
        return cli_failed();
    const struct study *study = study_named(compare.study);
    return study ? compare_run(&compare, study, &config, &simd) : cli_usage("%s", error_text());
}
