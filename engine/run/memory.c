/* memory.c: the plan of a run's memory and its refusal; see memory.h.
 *
 * Each stage states the size of what it opens; the sums here follow run_open(). What is open
 * already (libraries, the data set's index, decompressed images) is no longer free and counts on
 * the other side. Files that are mapped do not count: the system takes their pages back. */
#include "engine/run/memory.h"

#include <omp.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/size.h"

static int plan_evaluation(struct memory_plan *out, const struct run_config *c,
                           const struct score_sets *sets, const struct net *net)
{
    struct embed embed = { .net = net };
    int rc = embed_feature_named(&embed.feature, c->feature);
    if (rc)
        return rc;
    size_t train = source_reader_bytes(sets->train.source);
    size_t test = source_reader_bytes(sets->test.source), most = train > test ? train : test;
    out->features = score_bytes(sets, embed_dim(net, embed.feature));
    out->evaluation = size_add(embed_bytes(net), size_mul((size_t)omp_get_max_threads(), most));
    return MOCO_OK;
}

int memory_plan(struct memory_plan *out, const struct step_config *step,
                const struct run_config *c, const struct source *source,
                const struct policy *policy, const struct score_sets *sets,
                const struct moco_simd *simd)
{
    struct net *net, *net_k = NULL;
    struct step_memory s;
    struct loader_config loader;
    *out = (struct memory_plan){ 0 };
    int rc = step_net(&net, step, simd);
    if (!rc)
        rc = step_key_net(&net_k, step, simd);
    if (rc) {
        net_close(&net);
        return rc;
    }
    step_memory(&s, step, net, net_k);
    config_loader(&loader, c);
    *out = (struct memory_plan){
        .encoders = s.encoders, .activations = s.activations, .dictionary = s.dictionary,
        .batches = loader_bytes(source, policy, &loader),
    };
    if (sets)
        rc = plan_evaluation(out, c, sets, net);
    net_close(&net_k);
    net_close(&net);
    return rc;
}

size_t memory_total(const struct memory_plan *p)
{
    const size_t parts[] = { p->encoders, p->activations, p->dictionary,
                             p->batches,  p->features,    p->evaluation };
    return size_sum(parts, sizeof parts / sizeof *parts);
}

/* What remains with `parts` times as many micro-batches: what holds images shrinks. */
static double total_in_parts(const struct memory_plan *p, double parts)
{
    double images = (double)p->activations + (double)p->batches + (double)p->evaluation;
    return (double)memory_total(p) - images + images / parts;
}

/* The fewest micro-batches that fit; 0 when none do. */
static int parts_that_fit(const struct memory_plan *p, uint64_t limit, const struct run_config *c)
{
    const struct method *kind = method_named(c->method);
    if (!kind || kind->whole_batch)
        return 0;
    for (int n = c->accumulate + 1; n <= c->batch / c->bn_splits; n++)
        if (c->batch % n == 0 && c->batch / n % c->bn_splits == 0 &&
            total_in_parts(p, (double)n / c->accumulate) <= (double)limit)
            return n;
    return 0;
}

static double gib(double bytes)
{
    return bytes / (1024.0 * 1024.0 * 1024.0);
}

int memory_check(const struct memory_plan *p, const struct memory_limit *limit,
                 const struct run_config *c)
{
    char advice[64] = "";
    double need = (double)memory_total(p);
    if (limit->bytes == UINT64_MAX || need <= (double)limit->bytes)
        return MOCO_OK;
    int n = parts_that_fit(p, limit->bytes, c);
    if (n)
        snprintf(advice, sizeof advice, "--accumulate %d, ", n);
    return error_set(MOCO_ENOMEM, "the run needs %.2f GiB of memory and %.2f GiB are available "
                     "(%s): give %sa smaller --batch-size, --width%s, or --force to start it all "
                     "the same", gib(need), gib((double)limit->bytes), limit->what, advice,
                     strcmp(c->method, "moco") ? " or --side" : ", --side or --moco-k");
}
