/* embed.c: moco embed: features of images as .npy, and beside them a table of whose they are.
 *
 * Row i of X.npy is described by line i + 1 of X.csv (behind its header). An image that can not be
 * read has no row in either, since any numbers in its place would look like features. Images are
 * embedded and written in blocks, so memory does not grow with their number; both files are
 * replaced when they are whole. */
#include "engine/cli/cli.h"
#include "engine/cli/wait.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/csv.h"
#include "engine/base/error.h"
#include "engine/base/replace.h"
#include "engine/base/watch.h"
#include "engine/data/missing.h"
#include "engine/eval/embed.h"

enum { BLOCK = 2048, PATH = 1200, HEAD = 128 };

/* ---- the two files ---- */

/* NPY version 1: magic, header length, a Python dictionary padded to 128 bytes in all. */
static int write_head(struct replace *rows, size_t n, size_t D)
{
    char text[118], head[HEAD + 1];
    snprintf(text, sizeof text,
             "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", n, D);
    memcpy(head, "\x93NUMPY\1\0\x76\0", 10);
    snprintf(head + 10, sizeof head - 10, "%-117s\n", text);
    return replace_write(rows, head, HEAD);
}

static void write_line(FILE *table, const struct source *source, size_t index)
{
    int label = source_label(source, index);
    const char *name = source->name ? source->name(source, index) : NULL;
    fprintf(table, "%zu,", index);
    csv_cell(table, name ? name : "");
    if (label >= 0)
        fprintf(table, ",%d,", label);
    else
        fprintf(table, ",,");
    if (label >= 0 && source->class_names)
        csv_cell(table, source->class_names[label]);
    fputc('\n', table); /* a write that fails is told at the end */
}

/* X.npy -> X.csv; any other name gets .csv behind it. */
static void table_beside(char *out, const char *path)
{
    size_t length = strlen(path);
    int npy = length > 4 && !strcmp(path + length - 4, ".npy");
    snprintf(out, PATH, "%.*s.csv", (int)(npy ? length - 4 : length), path);
}

/* ---- embedding ---- */

struct job {
    struct model model;
    struct source *source;
    struct embed embed;
    struct embed_bad bad;
    char rows_path[PATH], table_path[PATH];
    struct replace rows, table;
    float *x;        /* (BLOCK, D) */
    size_t *index;   /* (BLOCK) */
    size_t D, written, left_out;
};

static int open_job(struct job *job, const char *weights, const char *data, const char *feature)
{
    int rc = embed_feature_named(&job->embed.feature, feature);
    if (!rc)
        rc = model_open(&job->model, weights, job->embed.simd);
    if (!rc)
        rc = model_check_feature(&job->model, feature);
    if (!rc)
        rc = source_open(&job->source, data);
    if (rc)
        return rc;
    cli_note(job->source, 0);
    rc = model_see(&job->model.policy, job->source);
    if (rc)
        return rc;
    job->embed.net = job->model.net;
    job->embed.encoder = &job->model.encoder;
    job->embed.bad = &job->bad;
    job->D = embed_dim(job->model.net, job->embed.feature);
    job->x = malloc(BLOCK * job->D * sizeof *job->x);
    job->index = malloc(BLOCK * sizeof *job->index);
    job->bad.at = malloc(BLOCK);
    return job->x && job->index && job->bad.at
               ? MOCO_OK : error_memory("features", BLOCK * job->D * sizeof *job->x);
}

static void close_job(struct job *job)
{
    replace_abort(&job->rows);
    replace_abort(&job->table);
    free(job->x);
    free(job->index);
    free(job->bad.at);
    source_close(&job->source);
    model_close(&job->model);
}

/* The images first..first+n-1. */
static int write_block(struct job *job, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        job->index[i] = first + i;
    watch_part("embed", "images", first, job->source->count);
    int rc = embed_source(job->x, &job->embed, job->source, job->index, n, &job->model.policy);
    if (rc)
        return rc;
    if (job->bad.count)
        cli_wait_clear();
    if (job->bad.count && !job->left_out)
        fprintf(stderr, "moco: images that can not be read get no row, the first: %s\n",
                job->bad.why);
    job->left_out += job->bad.count;
    embed_pack(job->x, job->D * sizeof *job->x, n, &job->bad);
    n = embed_pack(job->index, sizeof *job->index, n, &job->bad);
    job->written += n;
    for (size_t i = 0; i < n; i++)
        write_line(job->table.file, job->source, job->index[i]);
    return replace_write(&job->rows, job->x, n * job->D * sizeof *job->x);
}

static int write_all(struct job *job)
{
    size_t count = job->source->count;
    int rc = write_head(&job->rows, count, job->D);
    fputs("index,name,label,class\n", job->table.file);
    cli_wait_begin();
    for (size_t first = 0; first < count && !rc; first += BLOCK)
        rc = write_block(job, first, count - first < BLOCK ? count - first : BLOCK);
    cli_wait_end();
    if (!rc && !job->written)
        rc = error_set(MOCO_EFORMAT, "no image of %s can be read", job->source->where);
    if (!rc)
        rc = replace_rewind(&job->rows);
    if (!rc)
        rc = write_head(&job->rows, job->written, job->D);
    return rc ? rc : replace_commit_both(&job->rows, &job->table);
}

static void print_result(const struct job *job, const char *feature, int json)
{
    cli_missing(job->source);
    if (job->left_out)
        fprintf(stderr, "moco: %zu of %zu images could not be read and have no row\n",
                job->left_out, job->source->count);
    if (!json) {
        fprintf(stderr, "moco: %s holds %zu rows of %zu columns (%s), %s which image each is\n",
                job->rows_path, job->written, job->D, feature, job->table_path);
        return;
    }
    printf("{\"rows\":%zu,\"columns\":%zu,\"left_out\":%zu,\"feature\":\"%s\",\"ids\":",
           job->written, job->D, job->left_out, feature);
    cli_json_text(job->table_path);
    cli_json_account(&job->source->account, "");
    printf("}\n");
}

int command_embed(int argc, char **argv)
{
    const char *out = NULL, *ids = NULL, *feature = "backbone", *cap = NULL, *words[2];
    int threads = 0, json = 0;
    double max_missing = 0.0;
    struct moco_simd simd;
    struct job job = {.embed = {.simd = &simd}};
    const struct option options[] = {
        {"-o", OPTION_TEXT, &out, "FILE", "the features, an NPY file of a row an image"},
        {"--ids", OPTION_TEXT, &ids, "FILE",
         "table of index, name, label and class of each row; X.csv for X.npy when not given"},
        {"--feature", OPTION_TEXT, &feature, NULL, "what is written: `backbone` or `head`"},
        {"--raw", OPTION_SWITCH, &job.embed.raw, NULL, "rows as they come, not of unit length"},
        CLI_MISSING(max_missing),
        CLI_COMMON(threads, cap, json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, words, 2);
    if (rc)
        return rc;
    if (!out)
        return cli_usage("moco embed needs -o X.npy");
    if (strlen(out) >= PATH - 4 || (ids && strlen(ids) >= PATH))
        return cli_usage("-o and --ids take paths of up to %d bytes", PATH - 5);
    if (cli_check_missing(max_missing))
        return EXIT_USAGE;
    snprintf(job.rows_path, PATH, "%s", out);
    table_beside(job.table_path, out);
    if (ids)
        snprintf(job.table_path, PATH, "%s", ids);
    if (!strcmp(job.rows_path, job.table_path))
        return cli_usage("--ids and -o are the same file, %s", out);
    rc = cli_machine(&simd, threads, cap);
    if (!rc)
        rc = open_job(&job, words[0], words[1], feature);
    if (!rc)
        missing_allow(job.source, max_missing);
    if (!rc)
        rc = replace_open(&job.rows, job.rows_path);
    if (!rc)
        rc = replace_open(&job.table, job.table_path);
    if (!rc)
        rc = write_all(&job);
    if (!rc)
        print_result(&job, feature, json);
    close_job(&job);
    return rc ? cli_failed() : EXIT_DONE;
}
