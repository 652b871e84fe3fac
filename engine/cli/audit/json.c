/* json.c: what moco data found, as one JSON object on a line. */
#include "engine/cli/audit/audit.h"

#include "engine/base/json.h"
#include "engine/cli/cli.h"
#include "engine/data/missing.h"

static void numbers(const char *key, const double *x, int n)
{
    printf(",\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        printf("%s", i ? "," : "");
        json_put_number(stdout, "%.9g", x[i]);
    }
    putchar(']');
}

static void size(const char *key, const int size[2])
{
    printf(",\"%s\":[%d,%d]", key, size[0], size[1]);
}

/* ,"KEY":17,"KEY_name":"a/b.png": the second where there is a name */
static void image(const char *key, const struct source *source, size_t index)
{
    char name[1300];
    printf("\"%s\":%zu", key, index);
    if (!audit_image_name(name, sizeof name, source, index))
        return;
    printf(",\"%s_name\":", key);
    cli_json_text(name);
}

static void finding(const struct source *source, const struct finding *f)
{
    char reason[1300];
    printf("{\"kind\":\"%s\",", audit_kind_one(f->kind));
    if (f->kind == AUDIT_EMPTY_CLASS) {
        printf("\"class\":%zu}", f->image);
        return;
    }
    image("image", source, f->image);
    if (f->kind == AUDIT_DUPLICATE || f->kind == AUDIT_RELABELLED) {
        putchar(',');
        image("other", source, f->other);
    }
    if (f->kind <= AUDIT_DAMAGED) {
        audit_reason(reason, sizeof reason, source, f);
        printf(",\"reason\":");
        cli_json_text(reason);
    }
    putchar('}');
}

static void findings(const struct audit *audit, int list)
{
    size_t at = 0;
    int first = 1;
    printf(",\"findings\":[");
    for (int kind = 0; kind < AUDIT_KINDS; kind++) {
        for (size_t k = 0; k < audit->seen[kind] && k < (size_t)list; k++, first = 0) {
            printf("%s", first ? "" : ",");
            finding(audit->source, &audit->findings[at + k]);
        }
        at += audit->seen[kind];
    }
    putchar(']');
}

static void missing(const struct source *source)
{
    struct missing_counts n = missing_count(source);
    if (!n.images_with)
        return;
    printf(",\"missing\":{\"share\":");
    json_put_number(stdout, "%.9g", (double)(n.declared + n.found) / (double)n.numbers);
    printf(",\"images\":%llu,\"numbers\":%llu,\"declared\":%llu,\"not_declared\":%llu,"
           "\"declared_as\":", (unsigned long long)n.images_with, (unsigned long long)n.numbers,
           (unsigned long long)n.declared, (unsigned long long)n.found);
    cli_json_text(source->declared);
    putchar('}');
}

/* Without its closing brace. */
static void set(const struct audit *audit, int list)
{
    const struct source *source = audit->source;
    printf("{\"kind\":\"%s\",\"count\":%zu,\"read\":%zu,\"channels\":%d,\"height\":%d,\"width\":%d,"
           "\"dtype\":\"%s\"", source->kind, source->count, audit->read, source->channels,
           source->height, source->width, audit_dtype(source));
    size("smallest", audit->smallest);
    size("median", audit->median);
    size("largest", audit->largest);
    printf(",\"classes\":%d,\"class_counts\":[", source->classes);
    for (int c = 0; c < source->classes; c++)
        printf("%s%zu", c ? "," : "", audit->class_counts[c]);
    putchar(']');
    numbers("mean", audit->mean, source->channels);
    numbers("std", audit->std, source->channels);
    numbers("min", audit->low, source->channels);
    numbers("max", audit->high, source->channels);
    printf(",\"alpha\":%zu", audit->alpha);
    missing(source);
    for (int kind = 0; kind < AUDIT_KINDS; kind++)
        printf(",\"%s\":%zu", audit_kind_name((enum audit_kind)kind), audit->seen[kind]);
    findings(audit, list);
    cli_json_account(&source->account, "");
}

void audit_print_json(const struct checked *c)
{
    set(&c->train, c->list);
    if (c->has_test) {
        printf(",\"test\":");
        set(&c->test, c->list);
        printf("},\"leaks\":%zu,\"names_differ\":%d,\"leak\":[", c->leak_count,
               audit_names_differ(c->train.source, c->test.source));
        for (size_t i = 0; i < c->leak_count && i < (size_t)c->list; i++) {
            printf(i ? ",{" : "{");
            image("test", c->test.source, c->leaks[i].test);
            putchar(',');
            image("train", c->train.source, c->leaks[i].train);
            putchar('}');
        }
        printf("],\"untrained\":[");
        for (int label = 0, first = 1; label < c->test.source->classes; label++)
            if (!c->map || audit_untrained(&c->train, &c->test, c->map, label)) {
                printf(first ? "%d" : ",%d", label);
                first = 0;
            }
        putchar(']');
    }
    printf("}\n");
}
