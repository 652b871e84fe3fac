/* score_classes.c: classes that one of two labelled sets has and the other has not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/eval/score.h"

enum { NAMED = 5 };

static size_t *count(const int32_t *labels, size_t n, int classes)
{
    size_t *counts = calloc((size_t)classes + 1, sizeof *counts);
    for (size_t i = 0; i < n && counts; i++)
        counts[labels[i]]++;
    return counts;
}

int score_count_unknown(struct score_sets *sets, const int32_t *train, size_t n,
                        const int32_t *test, size_t m)
{
    size_t *known = count(train, n, sets->classes);
    if (!known)
        return error_memory("counts of classes", (size_t)sets->classes * sizeof *known);
    sets->unknown = 0;
    for (size_t i = 0; i < m; i++)
        sets->unknown += !known[test[i]];
    free(known);
    return MOCO_OK;
}

void score_note_unlabelled(struct score_sets *sets)
{
    const struct score_side *sides[] = {&sets->train, &sets->test};
    for (int i = 0; i < 2; i++) {
        size_t used = strlen(sets->only), n = sides[i]->unlabelled;
        if (n && !(i && sides[1]->source == sides[0]->source))
            snprintf(sets->only + used, sizeof sets->only - used,
                     "%s%zu of %zu images of %.120s have no label and are left out",
                     used ? "; " : "", n, sides[i]->source->count, sides[i]->source->where);
    }
}

/* "HERE has 12 images of 2 classes that THERE lacks (cat 6, dog 6)END" */
static void tell(struct score_sets *sets, const size_t *here, const size_t *there,
                 const char *const where[2], const char *end)
{
    size_t images = 0, used = strlen(sets->only), size = sizeof sets->only;
    int classes = 0;
    for (int c = 0; c < sets->classes; c++)
        if (here[c] && !there[c]) {
            images += here[c];
            classes++;
        }
    if (!classes)
        return;
    used += (size_t)snprintf(sets->only + used, size - used,
                             "%s%.120s has %zu image%s of %d class%s that %.120s lacks (",
                             used ? "; " : "", where[0], images, images == 1 ? "" : "s", classes,
                             classes == 1 ? "" : "es", where[1]);
    for (int c = 0, told = 0; c < sets->classes && told < NAMED && used < size; c++)
        if (here[c] && !there[c])
            used += (size_t)snprintf(sets->only + used, size - used, "%s%.40s %zu",
                                     told++ ? ", " : "", sets->numbering.names[c], here[c]);
    if (used < size)
        snprintf(sets->only + used, size - used, "%s)%s", classes > NAMED ? ", ..." : "", end);
}

int score_compare_classes(struct score_sets *sets)
{
    const struct score_side *a = &sets->train, *b = &sets->test;
    size_t *train = count(a->labels, a->n, sets->classes);
    size_t *test = count(b->labels, b->n, sets->classes);
    int rc = train && test ? MOCO_OK : error_memory("counts of classes", sizeof *train);
    if (!rc) {
        const char *const there[] = {b->source->where, a->source->where};
        const char *const here[] = {a->source->where, b->source->where};
        size_t used = strlen(sets->only);
        if (sets->numbering.note[0])
            snprintf(sets->only + used, sizeof sets->only - used, "%s%s", used ? "; " : "",
                     sets->numbering.note);
        tell(sets, test, train, there, ", which count as wrong");
        tell(sets, train, test, here, "");
    }
    free(train);
    free(test);
    return rc;
}
