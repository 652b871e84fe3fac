/* data.c: moco data: counts, sizes, classes, statistics; every image is tried. */
#include "engine/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/cli/pack.h"

enum { NAMED_MAX = 10 };

struct survey {
    uint64_t *hash;  /* (count) of the pixels; 0: unreadable */
    size_t bad, duplicates;
    char first[NAMED_MAX][300]; /* sentences of unreadable images */
};

/* FNV-1a over size and pixels. */
static uint64_t hash_of(const struct image *image)
{
    uint64_t h = 1469598103934665603u;
    size_t n = (size_t)image->channels * (size_t)image->height * (size_t)image->width;
    h = (h ^ (uint64_t)image->height) * 1099511628211u;
    h = (h ^ (uint64_t)image->channels) * 1099511628211u;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &image->pixels[i], sizeof bits);
        h = (h ^ bits) * 1099511628211u;
        h ^= h >> 29;
    }
    return h ? h : 1;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void look(struct survey *survey, const struct source *source)
{
#pragma omp parallel
    {
        struct image image = {0};
#pragma omp for schedule(dynamic, 16)
        for (size_t i = 0; i < source->count; i++) {
            if (!source->read(source, i, &image)) {
                survey->hash[i] = hash_of(&image);
                continue;
            }
#pragma omp critical(survey)
            {
                if (survey->bad < NAMED_MAX)
                    snprintf(survey->first[survey->bad], sizeof survey->first[0], "%.299s",
                             error_text());
                survey->bad++;
            }
        }
        image_close(&image);
    }
    qsort(survey->hash, source->count, sizeof *survey->hash, ascending);
    for (size_t i = 1; i < source->count; i++)
        survey->duplicates += survey->hash[i] && survey->hash[i] == survey->hash[i - 1];
}

static void print_classes(const struct source *source, int json)
{
    size_t *count = calloc((size_t)source->classes + 1, sizeof *count);
    if (!count)
        return;
    for (size_t i = 0; i < source->count; i++)
        if (source_label(source, i) >= 0)
            count[source_label(source, i)]++;
    printf(json ? ",\"classes\":%d,\"class_counts\":[" : "classes     %d\n", source->classes);
    for (int c = 0; c < source->classes; c++) {
        if (json)
            printf("%s%zu", c ? "," : "", count[c]);
        else if (source->class_names)
            printf("  %-20s %zu\n", source->class_names[c], count[c]);
        else
            printf("  %-20d %zu\n", c, count[c]);
    }
    if (json)
        putchar(']');
    free(count);
}

static void print_statistics(const struct source *source, int json)
{
    float mean[AUGMENT_CHANNELS_MAX], std[AUGMENT_CHANNELS_MAX];
    if (source->channels <= 0 || source_statistics(source, mean, std, 4096))
        return;
    for (int row = 0; row < 2; row++) {
        printf(json ? ",\"%s\":[" : "%-12s", row ? "std" : "mean");
        for (int c = 0; c < source->channels; c++)
            printf("%s%.6g", c ? (json ? "," : " ") : "", (double)(row ? std[c] : mean[c]));
        printf(json ? "]" : "\n");
    }
}

static void print_size(const struct source *source, int json)
{
    static const char *const names[] = {"u8", "u16", "i16", "f16", "f32", "f64"};
    printf(json ? "{\"kind\":\"%s\",\"count\":%zu,\"channels\":%d,\"height\":%d,\"width\":%d,"
                  "\"dtype\":\"%s\""
                : "kind        %s\nimages      %zu\nchannels    %d\nheight      %d\n"
                  "width       %d\ndtype       %s\n",
           source->kind, source->count, source->channels, source->height, source->width,
           names[source->dtype]);
    if (!json && (!source->channels || !source->height))
        printf("            (0: images differ)\n");
}

static int survey_source(const struct source *source, int json)
{
    struct survey *survey = calloc(1, sizeof *survey);
    if (survey)
        survey->hash = calloc(source->count + 1, sizeof *survey->hash);
    if (!survey || !survey->hash) {
        free(survey);
        return error_memory("a survey of the data", source->count * sizeof(uint64_t));
    }
    look(survey, source);
    print_size(source, json);
    print_classes(source, json);
    if (!survey->bad)
        print_statistics(source, json);
    printf(json ? ",\"unreadable\":%zu,\"duplicates\":%zu}\n"
                : "unreadable  %zu\nduplicates  %zu\n", survey->bad, survey->duplicates);
    for (size_t i = 0; i < survey->bad && i < NAMED_MAX; i++)
        fprintf(stderr, "moco: %s\n", survey->first[i]);
    free(survey->hash);
    free(survey);
    return MOCO_OK;
}

int command_data(int argc, char **argv)
{
    const char *cap = NULL, *data, *pack = NULL;
    int threads = 0, json = 0;
    struct pack_options packing = {.max_bad = 1};
    struct moco_simd simd;
    struct source *source = NULL;
    const struct option options[] = {
        {"--threads", OPTION_INT, &threads}, {"--simd", OPTION_TEXT, &cap},
        {"--json", OPTION_SWITCH, &json}, {"--pack", OPTION_TEXT, &pack},
        {"--side", OPTION_INT, &packing.side}, {"--max-bad", OPTION_DOUBLE, &packing.max_bad},
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, &data, 1);
    if (rc)
        return rc;
    rc = cli_machine(&simd, threads, cap);
    if (!rc && pack)
        return cli_pack(data, pack, &packing, json) ? cli_failed() : EXIT_DONE;
    if (!rc)
        rc = source_open(&source, data);
    if (!rc)
        cli_note(source), rc = survey_source(source, json);
    source_close(&source);
    return rc ? cli_failed() : EXIT_DONE;
}
