/* bad.c: see bad.h. */
#include "engine/run/bad.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/run/run.h"

static size_t place_of(const struct bad_list *list, int64_t id)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* 1 when it is new, 0 when not, or an error. */
static int remember(struct bad_list *list, int64_t id)
{
    size_t at = place_of(list, id);
    if (at < list->n && list->ids[at] == id)
        return 0;
    int64_t *ids = array_grow(list->ids, &list->capacity, list->n, sizeof *ids,
                              "the list of unreadable images");
    if (!ids)
        return MOCO_ENOMEM;
    list->ids = ids;
    memmove(list->ids + at + 1, list->ids + at, (list->n - at) * sizeof *list->ids);
    list->ids[at] = id;
    list->n++;
    return 1;
}

void bad_close(struct bad_list *list)
{
    free(list->ids);
    *list = (struct bad_list){ 0 };
}

static void warn(const struct run *run, const struct bad_image *bad)
{
    if (run->bad.n <= BAD_WARNINGS)
        run_notice(run->hooks, "image %lld can not be read and others take its place: %s",
                   (long long)bad->id, bad->why);
    if (run->bad.n == BAD_WARNINGS)
        run_notice(run->hooks, "further unreadable images are only counted");
}

static int check_share(const struct run *run, const struct bad_image *bad)
{
    double share = run->c->max_bad, count = (double)source_samples(run->source);
    if ((double)run->info.bad <= share * count)
        return MOCO_OK;
    return error_set(MOCO_EFORMAT, "%llu of %.0f images in one epoch could not be read, more than "
                     "--max-bad %g allows; the last: %.600s (moco data lists them all; a larger "
                     "--max-bad goes on without them)", (unsigned long long)run->info.bad, count,
                     share, bad->why);
}

int bad_take(struct run *run, const struct batch *batch)
{
    int rc = MOCO_OK;
    for (size_t i = 0; i < batch->bad_count && !rc; i++) {
        rc = remember(&run->bad, batch->bad[i].id);
        if (rc < 0)
            return rc;
        if (rc > 0)
            warn(run, &batch->bad[i]);
        run->info.bad++;
        rc = check_share(run, &batch->bad[i]);
    }
    return rc;
}

void bad_end_epoch(struct run *run, uint64_t epoch)
{
    if (run->info.bad)
        run_notice(run->hooks, "epoch %llu: %llu of %zu images could not be read; others took "
                               "their place", (unsigned long long)epoch,
                   (unsigned long long)run->info.bad, source_samples(run->source));
    run->info.bad = 0;
}

/* Names where the source has them, else numbers; as many as a line bears. */
void bad_end_run(const struct run *run)
{
    char list[600] = "";
    size_t used = 0, shown = 0;
    const struct source *source = run->source;
    for (; shown < run->bad.n && used < sizeof list - 100; shown++) {
        size_t id = (size_t)run->bad.ids[shown], first = id * source_views(source);
        const char *name = source->name ? source->name(source, first) : NULL;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.90s", shown ? ", " : "",
                                 name ? name : "");
        if (!name)
            used += (size_t)snprintf(list + used, sizeof list - used, "%zu", id);
    }
    if (run->bad.n)
        run_notice(run->hooks, "%zu of %zu images could not be read: %s%s", run->bad.n,
                   source_samples(source), list, shown < run->bad.n ? ", ..." : "");
}
