/* summary.c: see summary.h. */
#include "engine/data/summary.h"

#include <stdio.h>
#include <string.h>

void summary_of(struct summary *out, const struct source *source)
{
    *out = (struct summary){.images = source->count, .samples = source_samples(source),
                            .classes = source->labels ? source->classes : 0,
                            .channels = source->channels, .account = source->account};
}

void summary_text(char *out, size_t size, const struct summary *s, const char *where)
{
    char number[ACCOUNT_NUMBER], left[800];
    size_t used = 0;
#define ADD(...) used += used < size ? (size_t)snprintf(out + used, size - used, __VA_ARGS__) : 0
    if (where)
        ADD("%.200s: ", where);
    ADD("%s image%s", account_number(number, s->images), s->images == 1 ? "" : "s");
    if (s->samples < s->images)
        ADD(" of %s sample%s", account_number(number, s->samples), s->samples == 1 ? "" : "s");
    if (s->classes)
        ADD(", %s class%s", account_number(number, (size_t)s->classes),
            s->classes == 1 ? "" : "es");
    else
        ADD(", no classes");
    ADD(", %d channel%s", s->channels, s->channels == 1 ? "" : "s");
    account_text(left, sizeof left, &s->account);
    if (left[0])
        ADD("; %s%s", s->account.n ? "left out: " : "", left);
#undef ADD
}
