/* embed.c: moco embed: features of images as .npy, and beside them a table of whose they are.
 *
 * Row i of X.npy is described by line i + 1 of X.csv (behind its header). An image that can not be
 * read has no row in either, since any numbers in its place would look like features. Images are
 * embedded and written in blocks, so memory does not grow with their number; both files are written
 * under other names and renamed when they are whole. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/eval/embed.h"

enum { BLOCK = 2048, PATH = 1200, HEAD = 128 };

/* ---- files ---- */

struct output {
    char path[PATH], temporary[PATH + 32];
    FILE *file;
};

static int output_open(struct output *out, const char *path)
{
    if (snprintf(out->path, sizeof out->path, "%s", path) >= (int)sizeof out->path)
        return error_set(MOCO_EARG, "the path %.60s... is longer than %d bytes", path, PATH - 1);
    snprintf(out->temporary, sizeof out->temporary, "%s.%ld.tmp", path, (long)getpid());
    out->file = fopen(out->temporary, "wb");
    return out->file ? MOCO_OK : error_set(MOCO_EIO, "creating %s: %s", out->temporary,
                                           strerror(errno));
}

static int output_failed(const struct output *out)
{
    return error_set(MOCO_EIO, "writing %s: %s", out->path, strerror(errno));
}

/* All is on the disk, still under the other name. */
static int output_flush(struct output *out)
{
    int whole = !ferror(out->file) && !fflush(out->file) && !fsync(fileno(out->file));
    return whole ? MOCO_OK : output_failed(out);
}

static int output_rename(struct output *out)
{
    if (rename(out->temporary, out->path))
        return output_failed(out);
    out->temporary[0] = '\0';
    return MOCO_OK;
}

/* What was not renamed leaves nothing behind. */
static void output_close(struct output *out)
{
    if (!out->file)
        return;
    fclose(out->file);
    if (out->temporary[0])
        remove(out->temporary);
}

/* NPY version 1: magic, header length, a Python dictionary padded to 128 bytes in all. */
static int write_head(struct output *out, size_t n, size_t D)
{
    char text[118], head[HEAD];
    snprintf(text, sizeof text,
             "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", n, D);
    snprintf(head, sizeof head, "%-117s\n", text);
    rewind(out->file);
    int whole = fwrite("\x93NUMPY\1\0\x76\0", 1, 10, out->file) == 10 &&
                fwrite(head, 1, HEAD - 10, out->file) == HEAD - 10;
    return whole ? MOCO_OK : output_failed(out);
}

/* ---- the table ---- */

/* A cell of CSV (RFC 4180): quoted where it must be. */
static void write_cell(FILE *file, const char *text)
{
    if (!strpbrk(text, "\",\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static int write_line(struct output *out, const struct source *source, size_t index)
{
    int label = source_label(source, index);
    const char *name = source->name ? source->name(source, index) : NULL;
    fprintf(out->file, "%zu,", index);
    write_cell(out->file, name ? name : "");
    if (label >= 0)
        fprintf(out->file, ",%d,", label);
    else
        fprintf(out->file, ",,");
    if (label >= 0 && source->class_names)
        write_cell(out->file, source->class_names[label]);
    return fputc('\n', out->file) == EOF ? output_failed(out) : MOCO_OK;
}

/* X.npy -> X.csv; any other name gets .csv behind it. */
static void table_path(char *out, const char *path)
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
    struct output rows, table;
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
        rc = source_open(&job->source, data);
    if (rc)
        return rc;
    cli_note(job->source);
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
    output_close(&job->rows);
    output_close(&job->table);
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
    int rc = embed_source(job->x, &job->embed, job->source, job->index, n, &job->model.policy);
    if (rc)
        return rc;
    if (job->bad.count && !job->left_out)
        fprintf(stderr, "moco: images that can not be read get no row, the first: %s\n",
                job->bad.why);
    job->left_out += job->bad.count;
    embed_pack(job->x, job->D * sizeof *job->x, n, &job->bad);
    n = embed_pack(job->index, sizeof *job->index, n, &job->bad);
    job->written += n;
    if (fwrite(job->x, job->D * sizeof *job->x, n, job->rows.file) != n)
        return output_failed(&job->rows);
    for (size_t i = 0; i < n && !rc; i++)
        rc = write_line(&job->table, job->source, job->index[i]);
    return rc;
}

static int write_all(struct job *job)
{
    size_t count = job->source->count;
    int rc = write_head(&job->rows, count, job->D);
    fputs("index,name,label,class\n", job->table.file);
    for (size_t first = 0; first < count && !rc; first += BLOCK)
        rc = write_block(job, first, count - first < BLOCK ? count - first : BLOCK);
    if (!rc && !job->written)
        rc = error_set(MOCO_EFORMAT, "no image of %s can be read", job->source->where);
    if (!rc)
        rc = write_head(&job->rows, job->written, job->D);
    if (!rc) /* both before either: a table must not stand beside rows of another run */
        rc = output_flush(&job->table);
    if (!rc)
        rc = output_flush(&job->rows);
    if (!rc)
        rc = output_rename(&job->table);
    return rc ? rc : output_rename(&job->rows);
}

static void print_result(const struct job *job, const char *feature, int json)
{
    if (job->left_out)
        fprintf(stderr, "moco: %zu of %zu images could not be read and have no row\n",
                job->left_out, job->source->count);
    if (!json) {
        fprintf(stderr, "moco: %s holds %zu rows of %zu columns (%s), %s which image each is\n",
                job->rows.path, job->written, job->D, feature, job->table.path);
        return;
    }
    printf("{\"rows\":%zu,\"columns\":%zu,\"left_out\":%zu,\"feature\":\"%s\",\"ids\":",
           job->written, job->D, job->left_out, feature);
    cli_json_text(job->table.path);
    printf("}\n");
}

int command_embed(int argc, char **argv)
{
    const char *out = NULL, *ids = NULL, *feature = "backbone", *cap = NULL, *words[2];
    char table[PATH];
    int threads = 0, json = 0;
    struct moco_simd simd;
    struct job job = {.embed = {.simd = &simd}};
    const struct option options[] = {
        {"-o", OPTION_TEXT, &out, "FILE", "the features, an NPY file of a row an image"},
        {"--ids", OPTION_TEXT, &ids, "FILE",
         "table of index, name, label and class of each row; X.csv for X.npy when not given"},
        {"--feature", OPTION_TEXT, &feature, NULL, "what is written: `backbone` or `head`"},
        {"--raw", OPTION_SWITCH, &job.embed.raw, NULL, "rows as they come, not of unit length"},
        CLI_COMMON(threads, cap, json),
    };
    int rc = cli_parse(argc, argv, options, sizeof options / sizeof *options, words, 2);
    if (rc)
        return rc;
    if (!out)
        return cli_usage("moco embed needs -o X.npy");
    table_path(table, out);
    if (ids && !strcmp(ids, out))
        return cli_usage("--ids and -o are the same file, %s", out);
    rc = cli_machine(&simd, threads, cap);
    if (!rc)
        rc = open_job(&job, words[0], words[1], feature);
    if (!rc)
        rc = output_open(&job.rows, out);
    if (!rc)
        rc = output_open(&job.table, ids ? ids : table);
    if (!rc)
        rc = write_all(&job);
    if (!rc)
        print_result(&job, feature, json);
    close_job(&job);
    return rc ? cli_failed() : EXIT_DONE;
}
