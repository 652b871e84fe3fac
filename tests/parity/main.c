/* parity: replays recorded training steps through the engine's own step and compares.
 *
 *   parity [--list] [--conv auto|onednn|own] [--deterministic] [--simd LEVEL] [--factor X] CASE...
 *
 * A case is a folder: weights, dictionary, the inputs of some steps, and what these must produce,
 * recorded in double precision by another implementation. A quantity passes when the RMS of
 * (engine - expected) is within its tolerance, times --factor, at every leading index; of 0 it
 * means equal. One line a case; --list prints every quantity. Convolutions are those of training,
 * Winograd included; --deterministic leaves the direct ones only. Exit 0: all cases pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "tests/parity/parity.h"

static int replay(struct replay *r)
{
    const char *method = word(r, "method");

    if (!strcmp(method, "infonce_kernel"))
        return replay_infonce(r);
    if (!strcmp(method, "knn"))
        return replay_knn(r);
    return replay_training(r);
}

/* The last part of the folder's name. */
static void case_name(char *out, const char *dir)
{
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/')
        length--;
    size_t begin = length;
    while (begin > 0 && dir[begin - 1] != '/')
        begin--;
    snprintf(out, NAME, "%.*s", (int)(length - begin), dir + begin);
}

static int run_case(const char *dir, const struct options *options)
{
    struct replay r = { .dir = dir, .options = options };
    struct verdict v = { 0 };
    char path[PATH], name[NAME];
    int err = MOCO_OK;

    case_name(name, dir);
    path_of(path, &r, "case.json");
    r.json = read_json(path);
    r.config = cJSON_GetObjectItemCaseSensitive(r.json, "config");
    r.got = room(QUANTITIES * sizeof *r.got);
    if (!r.config)
        err = error_set(MOCO_EFORMAT, "%s is not there, or has no config", path);
    if (!err)
        err = replay(&r);
    if (!err)
        err = compare(&v, &r);
    if (err)
        printf("FAILED %-22s %s\n", name, error_text());
    else
        printf("%-6s %-22s %zu of %zu quantities, worst %.3g of its tolerance at %s\n",
               v.failed ? "FAILED" : "ok", name, v.quantities - v.failed, v.quantities, v.worst,
               v.name);
    for (size_t i = 0; i < r.got_count; i++)
        free(r.got[i].data);
    free(r.got);
    cJSON_Delete(r.json);
    return err || v.failed;
}

static enum conv_policy policy_named(const char *name)
{
    return !strcmp(name, "own") ? CONV_OWN : !strcmp(name, "onednn") ? CONV_ONEDNN : CONV_AUTO;
}

int main(int argc, char **argv)
{
    struct options options = { .conv = CONV_AUTO, .factor = 1.0 };
    const char *level = NULL;
    int failed = 0, i = 1;

    for (; i < argc && argv[i][0] == '-'; i++)
        if (!strcmp(argv[i], "--list"))
            options.list = 1;
        else if (!strcmp(argv[i], "--deterministic"))
            options.conv = options.conv == CONV_OWN ? CONV_OWN_DIRECT : CONV_DIRECT;
        else if (!strcmp(argv[i], "--conv") && i + 1 < argc)
            options.conv = policy_named(argv[++i]);
        else if (!strcmp(argv[i], "--factor") && i + 1 < argc)
            options.factor = atof(argv[++i]);
        else if (!strcmp(argv[i], "--simd") && i + 1 < argc)
            level = argv[++i];
        else
            break;
    if (i >= argc || argv[i][0] == '-') {
        fprintf(stderr, "parity [--list] [--conv auto|onednn|own] [--deterministic] "
                        "[--simd LEVEL] [--factor X] CASE_DIR...\n");
        return 2;
    }
    if (moco_simd_init(&options.simd, level)) {
        fprintf(stderr, "parity: kernels of level %s are not available here\n",
                level ? level : "MOCO_SIMD");
        return 2;
    }
    for (; i < argc; i++)
        failed += run_case(argv[i], &options);
    return failed > 0;
}
