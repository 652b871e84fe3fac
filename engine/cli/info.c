/* info.c: moco info and moco export: machine, build, files. */
#include "engine/cli/cli.h"

#include <string.h>

#include "engine/base/cpus.h"
#include "engine/base/error.h"
#include "engine/run/memory.h"
#include "include/moco.h"

/* ---- what the process may use ---- */

/* What is limited, and by what: the CPUs, and the memory that may still be taken. */
static void print_limits(void)
{
    const char *from;
    int threads = cli_threads(&from);
    struct cpus cpus;
    struct memory_limit memory;
    cpus_allowed(&cpus, "");
    memory_limit(&memory, "");
    printf("threads   %d\ncpus      %d online, %d in the affinity mask, ", threads, cpus.online,
           cpus.affinity);
    if (cpus.quota > 0)
        printf("%g by the control group's quota", cpus.quota);
    else
        printf("no quota");
    printf("; what counts: %s\n", from);
    if (memory.bytes < UINT64_MAX)
        printf("memory    %.1f GiB may be taken; what counts: %s\n",
               (double)memory.bytes / (1 << 30), memory.what);
    else
        printf("memory    %s\n", memory.what);
}

static void print_limits_json(void)
{
    const char *from;
    int threads = cli_threads(&from);
    struct cpus cpus;
    struct memory_limit memory;
    cpus_allowed(&cpus, "");
    memory_limit(&memory, "");
    printf("\"threads\":%d,\"threads_from\":\"%s\",\"cpus_online\":%d,\"cpus_affinity\":%d,",
           threads, from, cpus.online, cpus.affinity);
    if (cpus.quota > 0)
        printf("\"cpus_quota\":%g,", cpus.quota);
    else
        printf("\"cpus_quota\":null,");
    if (memory.bytes < UINT64_MAX)
        printf("\"memory_free\":%llu,\"memory_from\":\"%s\"}\n",
               (unsigned long long)memory.bytes, memory.what);
    else
        printf("\"memory_free\":null,\"memory_from\":null}\n");
}

/* The choice of kernels: what the machine offers, what caps it, what came of it. */
static void print_machine(const struct moco_simd *simd, const struct cap *cap)
{
    printf("moco      %s\n", moco_version());
    printf("cpu       offers %s%s\n", moco_level_name(moco_cpu_level()),
           moco_cpu_features() & MOCO_CPU_AVX512_BF16 ? " and AVX512_BF16" : "");
    if (cap->level)
        printf("cap       %s, from %s\n", cap->level, cap->from);
    else
        printf("cap       none\n");
    printf("kernels   %s\n", simd->name);
    if (net_library_version())
        printf("oneDNN    %s, up to %s\n", net_library_version(), net_library_level());
    else
        printf("oneDNN    not built in\n");
    print_limits();
}

static void print_machine_json(const struct moco_simd *simd, const struct cap *cap)
{
    printf("{\"version\":\"%s\",\"cpu\":\"%s\",\"cpu_features\":[%s],", moco_version(),
           moco_level_name(moco_cpu_level()),
           moco_cpu_features() & MOCO_CPU_AVX512_BF16 ? "\"avx512_bf16\"" : "");
    if (cap->level)
        printf("\"cap\":\"%s\",\"cap_from\":\"%s\",", cap->level, cap->from);
    else
        printf("\"cap\":null,\"cap_from\":null,");
    printf("\"kernels\":\"%s\",", simd->name);
    if (net_library_version())
        printf("\"onednn\":\"%s\",\"onednn_level\":\"%s\",", net_library_version(),
               net_library_level());
    else
        printf("\"onednn\":null,\"onednn_level\":null,");
    print_limits_json();
}

static void print_channels(const char *name, const float *values, int count, int json)
{
    printf(json ? ",\"%s\":[" : "%-10s", name);
    for (int i = 0; i < count; i++)
        printf("%s%g", i ? (json ? "," : " ") : "", (double)values[i]);
    printf(json ? "]" : "\n");
}

/* Metadata of our files by the keys that we write. */
static void print_meta(const struct st_file *file, int json)
{
    static const char *const keys[] = {"recipe", "moco.version", "step", "images"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = safetensors_meta(file, keys[i]);
        if (!value)
            continue;
        printf(json ? ",\"%s\":" : "%-10s", keys[i]);
        if (json)
            cli_json_text(value);
        else
            printf(" %s\n", value);
    }
}

static void json_field(const char *key, const char *text)
{
    printf(",\"%s\":", key);
    cli_json_text(text);
}

/* Behind which prefix the encoder stands, and what else there is. */
static void print_names(const struct weights_info *info, int json)
{
    const char *prefix = info->names.is.prefix;
    if (json) {
        json_field("prefix", prefix);
        json_field("other_prefixes", info->prefixes);
        printf(",\"not_read\":%zu", info->left_out_count);
        return;
    }
    if (*prefix || info->prefixes[0])
        printf("prefix     %s%s%s%s\n", *prefix ? prefix : "(none)",
               info->prefixes[0] ? " (also there: " : "", info->prefixes,
               info->prefixes[0] ? ")" : "");
    if (info->left_out_count)
        printf("not read   %zu other: %s%s\n", info->left_out_count, info->left_out,
               info->left_out_count > 3 ? " and so on" : "");
}

static int print_file(const char *path, int json)
{
    struct st_file *file = NULL;
    struct weights_info info;
    size_t bytes = 0;
    int rc = safetensors_open(&file, path);
    if (rc)
        return rc;
    for (size_t i = 0; i < safetensors_count(file); i++)
        bytes += safetensors_bytes(safetensors_at(file, i));
    rc = weights_info(&info, file);
    if (!rc) {
        const struct net_config *n = &info.net;
        printf(json ? "{\"arch\":\"%s\",\"width\":%d,\"stem\":\"%s\",\"head\":\"%s\",\"dim\":%d,"
                      "\"channels\":%d,\"side\":%d,\"tensors\":%zu,\"bytes\":%zu"
                    : "encoder    %s width %d, %s stem, %s head, dim %d, %d channels, side %d\n"
                      "tensors    %zu, %zu bytes\n",
               n->arch, n->width, n->stem == STEM_CIFAR ? "cifar" : "imagenet",
               net_head_name(n->head), n->dim, n->channels, n->side,
               safetensors_count(file), bytes);
        print_names(&info, json);
        print_channels("mean", info.mean, n->channels, json);
        print_channels("std", info.std, n->channels, json);
        print_meta(file, json);
        printf(json ? "}\n" : "");
    }
    safetensors_close(&file);
    return rc;
}

int command_info(int argc, char **argv)
{
    const char *cap = NULL, *path = NULL;
    int threads = 0, json = 0;
    struct moco_simd simd;
    const struct option options[] = {CLI_COMMON(threads, cap, json)};
    int rc = cli_parse_may(argc, argv, options, sizeof options / sizeof *options, &path);
    if (rc)
        return rc;
    if (cli_machine(&simd, threads, cap))
        return cli_failed();
    if (!path) {
        struct cap from = cli_cap(cap);
        (json ? print_machine_json : print_machine)(&simd, &from);
        return EXIT_DONE;
    }
    char file[1200];
    rc = weights_path(file, sizeof file, path, "weights.safetensors", "checkpoint.safetensors");
    return rc || print_file(file, json) ? cli_failed() : EXIT_DONE;
}

static int export_weights(const char *path, const char *out, const struct moco_simd *simd)
{
    struct model model;
    char file[1200];
    int rc = weights_path(file, sizeof file, path, "checkpoint.safetensors",
                          "weights.safetensors");
    if (!rc)
        rc = model_open(&model, file, simd);
    if (rc)
        return rc;
    const struct weights_info *info = &model.info;
    rc = weights_save(out, model.net, &model.encoder,
                      safetensors_meta(model.file, "mean") ? info->mean : NULL,
                      safetensors_meta(model.file, "std") ? info->std : NULL,
                      safetensors_meta(model.file, "recipe"));
    model_close(&model);
    return rc;
}

int command_export(int argc, char **argv)
{
    const char *cap = NULL, *out = NULL, *path;
    int threads = 0, json = 0;
    struct moco_simd simd;
    const struct option options[] = {
        {"-o", OPTION_TEXT, &out, "FILE", "the weights, a safetensors file"},
        CLI_COMMON(threads, cap, json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &path, 1);
    if (rc)
        return rc;
    if (!out)
        return cli_usage("moco export needs -o W.safetensors");
    if (cli_machine(&simd, threads, cap) || export_weights(path, out, &simd))
        return cli_failed();
    if (json) {
        printf("{\"weights\":");
        cli_json_text(out);
        printf("}\n");
    } else {
        fprintf(stderr, "moco: %s holds the query network of %s\n", out, path);
    }
    return EXIT_DONE;
}
