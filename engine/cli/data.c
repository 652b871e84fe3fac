/* data.c: moco data: one set, or two, looked at image by image; or packed into a file. */
#include "engine/cli/cli.h"

#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/cli/audit/audit.h"
#include "engine/cli/pack.h"
#include "engine/data/classes.h"
#include "engine/data/missing.h"

enum { COUNT_MAX = 100000 };

struct arguments {
    const char *data, *test, *pack, *out, *cap;
    int threads, json, list, count;
    double max_missing;
    struct pack_options packing;
};

static int look(struct audit *audit, struct source **source, const char *data, double max_missing,
                int named)
{
    struct bar bar = cli_bar();
    int rc = source_open_lenient(source, data);
    if (rc)
        return rc;
    missing_allow(*source, max_missing);
    cli_note(*source, named);
    rc = audit_open(audit, *source, cli_bar_step, &bar);
    cli_bar_end(&bar);
    if (!rc)
        cli_missing(*source);
    return rc;
}

/* A set of which nothing can be read is no success, however much could be said of it. */
static int check_read(const struct audit *audit)
{
    const char *first = "";
    if (!audit->source || audit->read > 0 || audit->source->count == 0)
        return MOCO_OK;
    for (size_t i = 0; i < audit->found && !first[0]; i++)
        first = audit->findings[i].sentence ? audit->findings[i].sentence : "";
    return error_set(MOCO_EFORMAT, "none of the %zu images of %.300s can be read%s%s",
                     audit->source->count, audit->source->where, first[0] ? ", the first: " : "",
                     first);
}

/* Two sets without a class in common are a finding here. */
static int align_classes(struct checked *checked)
{
    struct classes classes;
    int rc = classes_open(&classes, checked->train.source);
    if (!rc)
        rc = classes_add(&checked->map, &classes, checked->test.source);
    if (!rc && classes.note[0])
        fprintf(stderr, "moco: %s\n", classes.note);
    if (rc == MOCO_EARG) {
        fprintf(stderr, "moco: %s\n", error_text());
        free(checked->map);
        checked->map = NULL;
        rc = MOCO_OK;
    }
    classes_close(&classes);
    return rc;
}

static int check_data(const struct arguments *a)
{
    struct checked checked = {.has_test = a->test != NULL, .list = a->list};
    struct source *train = NULL, *test = NULL;
    int rc = look(&checked.train, &train, a->data, a->max_missing, a->test != NULL);
    if (!rc && a->test)
        rc = look(&checked.test, &test, a->test, a->max_missing, 1);
    if (!rc && a->test)
        rc = audit_leaks(&checked.leaks, &checked.leak_count, &checked.train, &checked.test);
    if (!rc && a->test)
        rc = align_classes(&checked);
    if (!rc && a->json)
        audit_print_json(&checked);
    else if (!rc)
        audit_print(&checked);
    if (!rc && a->out)
        rc = audit_sheet(&checked, a->out, a->count);
    if (!rc)
        rc = check_read(&checked.train);
    if (!rc && a->test)
        rc = check_read(&checked.test);
    free(checked.leaks);
    free(checked.map);
    audit_close(&checked.train);
    audit_close(&checked.test);
    source_close(&train);
    source_close(&test);
    return rc;
}

static int check_arguments(const struct arguments *a)
{
    if (a->pack && (a->test || a->out))
        return cli_usage("--pack goes with neither --test nor -o");
    if (!a->pack && a->packing.side)
        return cli_usage("--side goes with --pack");
    if (a->count < 1 || a->count > COUNT_MAX)
        return cli_usage("--count must be from 1 to %d", COUNT_MAX);
    if (!(a->packing.max_bad >= 0 && a->packing.max_bad <= 1))
        return cli_usage("--max-bad must be from 0 to 1, the share of images left out");
    return cli_check_missing(a->max_missing);
}

int command_data(int argc, char **argv)
{
    struct arguments a = {.list = 10, .count = 24, .packing = {.max_bad = 0.01}};
    struct moco_simd simd;
    const struct option options[] = {
        {"--test", OPTION_TEXT, &a.test, "DATA", "a second set, and the images that are in both"},
        {"-o", OPTION_TEXT, &a.out, "FILE", "a PNG of some images and of what was found"},
        {"--list", OPTION_INT, &a.list, NULL, "images named of each finding"},
        {"--count", OPTION_INT, &a.count, NULL, "images on the PNG, beside those found"},
        {"--pack", OPTION_TEXT, &a.pack, "FILE", "write the set into this one file instead"},
        {"--side", OPTION_INT, &a.packing.side, NULL,
         "--pack: scale larger images to this shorter side"},
        {"--max-bad", OPTION_DOUBLE, &a.packing.max_bad, NULL,
         "--pack: share of images that may be unreadable and are left out"},
        CLI_MISSING(a.max_missing),
        CLI_COMMON(a.threads, a.cap, a.json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &a.data, 1);
    if (!rc)
        rc = check_arguments(&a);
    if (rc)
        return rc;
    a.packing.simd = &simd;
    rc = cli_machine(&simd, a.threads, a.cap);
    if (!rc)
        rc = a.pack ? cli_pack(a.data, a.pack, &a.packing, a.max_missing, a.json) : check_data(&a);
    return rc ? cli_failed() : EXIT_DONE;
}
