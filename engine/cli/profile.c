/* profile.c: the tables of `moco train --profile`: stages of a step, then its layers. */
#include "engine/cli/cli.h"

#include "engine/net/report.h"
#include "engine/run/machine.h"
#include "engine/step.h"

static void print_stages(const struct step *s)
{
    const struct {
        const char *name;
        double seconds;
    } stages[] = {
        { "query forward", s->seconds_q }, { "EMA and key forward", s->seconds_k },
        { "loss", s->seconds_loss },       { "backward", s->seconds_backward },
        { "optimiser", s->seconds_update },
    };
    double whole = 0;
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        whole += stages[i].seconds;
    fprintf(stderr, "%-22s %9s %7s\n", "stage (newest step)", "ms", "share");
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        fprintf(stderr, "%-22s %9.2f %6.1f%%\n", stages[i].name, 1e3 * stages[i].seconds,
                100 * stages[i].seconds / whole);
    fprintf(stderr, "%-22s %9.2f, %.1f images/s\n\n", "step", 1e3 * whole,
            s->config.net.batch / whole);
}

static void print_pass(const struct layer_report *r, enum layer_pass pass, double peak)
{
    double seconds = r->seconds[pass];
    if (seconds == 0)
        fprintf(stderr, " |%29s", "");
    else if (r->flops > 0)
        fprintf(stderr, " |%8.2f %-6s %6.1f %5.0f%%", 1e3 * seconds, r->who[pass],
                r->flops / seconds * 1e-9, 100 * r->flops / seconds / peak);
    else
        fprintf(stderr, " |%8.2f %20s", 1e3 * seconds, "");
}

void profile_print(const struct step *step)
{
    struct layer_report r;
    double peak = machine_peak_flops(&step->simd), sums[LAYER_PASSES] = { 0 };
    print_stages(step);
    fprintf(stderr, "measured peak %.0f GFLOP/s; a share above 100 %% is Winograd's, which needs a "
                    "quarter of the direct method's multiplications\n", peak * 1e-9);
    fprintf(stderr, "%-22s %-26s |%-29s |%-29s |%-29s\n", "layer (query branch)", "shape",
            " forward: ms, GFLOP/s, peak", " data gradient", " weight gradient");
    for (int i = 0; layer_report(&r, step->net, step->tape_q, i); i++) {
        fprintf(stderr, "%-22s %-26s", r.name, r.shape);
        for (int pass = 0; pass < LAYER_PASSES; pass++) {
            print_pass(&r, (enum layer_pass)pass, peak);
            sums[pass] += r.seconds[pass];
        }
        fputc('\n', stderr);
    }
    fprintf(stderr, "%-49s", "all layers");
    for (int pass = 0; pass < LAYER_PASSES; pass++)
        fprintf(stderr, " |%8.2f %20s", 1e3 * sums[pass], "");
    fputc('\n', stderr);
}
