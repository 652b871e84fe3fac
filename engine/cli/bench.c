/* bench.c: moco bench: speed, length and memory of a run, from a few of its steps. */
#include "engine/cli/cli.h"

#include <omp.h>

#include "engine/run/forecast.h"

static void on_notice(void *user, const char *sentence)
{
    (void)user;
    fprintf(stderr, "moco: %s\n", sentence);
}

static double mib(size_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

static void print_json(const struct forecast *f, const struct run_config *c,
                       const struct moco_simd *simd)
{
    printf("{\"method\":\"%s\",\"arch\":\"%s\",\"width\":%d,\"side\":%d,\"batch_size\":%d,"
           "\"accumulate\":%d,\"threads\":%d,\"kernels\":\"%s\"", c->method, c->arch, c->width,
           c->side, c->batch, c->accumulate, omp_get_max_threads(), simd->name);
    cli_json_number("img_s", "%.6g", f->img_s);
    cli_json_number("img_s_min", "%.6g", f->img_s_min);
    cli_json_number("img_s_max", "%.6g", f->img_s_max);
    printf(",\"steps_timed\":%d", f->timed);
    cli_json_number("step_s", "%.6g", f->step_s);
    cli_json_number("data_share", "%.4g", f->data_share);
    cli_json_number("compute_share", "%.4g", 1 - f->data_share);
    printf(",\"epochs\":%d,\"steps\":%llu,\"evaluations\":%d", f->epochs,
           (unsigned long long)f->steps, f->evaluations);
    cli_json_number("evaluation_s", "%.6g", f->evaluation_s);
    cli_json_number("total_s", "%.6g", f->total_s);
    printf(",\"memory_predicted\":%zu,\"memory_measured\":%zu", f->predicted, f->measured);
    if (f->limit.bytes != UINT64_MAX)
        printf(",\"memory_available\":%llu", (unsigned long long)f->limit.bytes);
    printf(",\"encoders\":%zu,\"activations\":%zu,\"dictionary\":%zu,\"batches\":%zu,"
           "\"features\":%zu,\"evaluation\":%zu", f->plan.encoders, f->plan.activations,
           f->plan.dictionary, f->plan.batches, f->plan.features, f->plan.evaluation);
    printf(",\"images\":%zu,\"classes\":%d,\"channels\":%d", f->data.images, f->data.classes,
           f->data.channels);
    cli_json_account(&f->data.account, "");
    printf("}\n");
}

static void print_memory(const struct forecast *f)
{
    const struct memory_plan *p = &f->plan;
    printf("memory      %.0f MiB predicted, %.0f MiB measured in these steps", mib(f->predicted),
           mib(f->measured));
    if (f->limit.bytes != UINT64_MAX)
        printf("; %.0f MiB were available (%s)", mib(f->limit.bytes), f->limit.what);
    printf("\n            encoders %.1f, activations %.1f, dictionary %.1f, batches %.1f",
           mib(p->encoders), mib(p->activations), mib(p->dictionary), mib(p->batches));
    if (p->features)
        printf(", features for kNN %.1f, evaluation %.1f", mib(p->features), mib(p->evaluation));
    printf(" MiB\n");
}

static void print_text(const struct forecast *f, const struct run_config *c,
                       const struct moco_simd *simd)
{
    char whole[32], evaluation[32];
    cli_duration(whole, sizeof whole, f->total_s);
    cli_duration(evaluation, sizeof evaluation, f->evaluation_s);
    printf("run         %s, %s width %d, side %d, batch %d", c->method, c->arch, c->width, c->side,
           c->batch);
    if (c->accumulate > 1)
        printf(" in %d micro-batches", c->accumulate);
    printf(", %d threads, %s\n", omp_get_max_threads(), simd->name);
    printf("speed       %.1f images/s, median of %d steps (%.1f to %.1f); %.4g s a step\n",
           f->img_s, f->timed, f->img_s_min, f->img_s_max, f->step_s);
    printf("time        data %.1f %%, compute %.1f %%\n", 100 * f->data_share,
           100 - 100 * f->data_share);
    printf("whole run   %s: %d epochs of %llu steps", whole, f->epochs,
           (unsigned long long)f->steps);
    if (f->evaluations)
        printf(", %d kNN evaluation%s of %s", f->evaluations, f->evaluations > 1 ? "s" : "",
               evaluation);
    printf("\n");
    print_memory(f);
}

int command_bench(int argc, char **argv)
{
    struct moco_simd simd;
    struct config config;
    struct forecast f;
    const struct train_hooks hooks = {.notice = on_notice};
    int rc = cli_settings(&config, &simd, "bench", argc, argv);
    if (rc)
        return rc;
    if (forecast_run(&f, &config, &simd, &hooks))
        return cli_failed();
    if (config.value.json)
        print_json(&f, &config.value, &simd);
    else
        print_text(&f, &config.value, &simd);
    return EXIT_DONE;
}
