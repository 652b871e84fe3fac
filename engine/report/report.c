/* report.c: see report.h. */
#include "engine/report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/replace.h"
#include "engine/plot/svg.h"
#include "engine/report/part.h"

enum { PATH = 1200 };

static const char style[] =
    "body { font: 15px/1.5 Helvetica, Arial, sans-serif; color: #222; background: #fff;\n"
    "       max-width: 980px; margin: 32px auto; padding: 0 20px; }\n"
    "h1 { font-size: 24px; margin: 0; } h2 { font-size: 18px; margin: 32px 0 8px; }\n"
    ".faint, summary { color: #6b6b6b; } .value { font-family: monospace; }\n"
    ".figures { display: flex; flex-wrap: wrap; gap: 12px; margin: 24px 0; }\n"
    ".figures div { border: 1px solid #e2e2e2; border-radius: 6px; padding: 10px 16px; }\n"
    ".figures b { font-size: 22px; display: block; }\n"
    ".curves { display: flex; flex-wrap: wrap; gap: 12px; }\n"
    "svg { max-width: 100%; height: auto; }\n"
    "table { border-collapse: collapse; font-size: 13px; width: 100%; }\n"
    "td, th { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid #eee;\n"
    "         vertical-align: top; overflow-wrap: anywhere; }\n";

const char *report_member(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

/* ---- reading ---- */

static int read_settings(struct report *r)
{
    char path[PATH], *text = NULL;
    snprintf(path, sizeof path, "%s/config.json", r->folder);
    config_default(&r->config);
    int rc = config_file_text(&text, path);
    if (!rc)
        rc = config_read_text(&r->config, text, path);
    r->json = rc ? NULL : json_parse(NULL, text);
    free(text);
    return rc;
}

static int read_run(struct report *r)
{
    char path[PATH];
    struct stat st;
    int rc = read_settings(r);
    snprintf(path, sizeof path, "%s/log.csv", r->folder);
    if (!rc)
        rc = log_read(&r->rows, &r->count, path);
    snprintf(path, sizeof path, "%s/weights.safetensors", r->folder);
    r->weights = stat(path, &st) ? NAN : (double)st.st_size / (1 << 20);
    return rc;
}

static void forget(struct report *r)
{
    cJSON_Delete(r->json);
    free(r->rows);
}

/* ---- figures ---- */

static void figure(const struct report *r, const char *value, const char *what)
{
    fputs("<div><b>", r->out);
    svg_escape(r->out, value);
    fputs("</b>", r->out);
    svg_escape(r->out, what);
    fputs("</div>\n", r->out);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Epochs that a resumed process only closed have no rate. */
static double median_rate(const struct report *r)
{
    double *rates = malloc((r->count + 1) * sizeof *rates), median = NAN;
    size_t n = 0;
    for (size_t i = 0; rates && i < r->count; i++)
        if (r->rows[i].img_s > 0)
            rates[n++] = r->rows[i].img_s;
    if (n) {
        qsort(rates, n, sizeof *rates, ascending);
        median = (rates[(n - 1) / 2] + rates[n / 2]) / 2;
    }
    free(rates);
    return median;
}

static void duration(char *out, size_t size, double seconds)
{
    if (seconds < 60)
        snprintf(out, size, "%.0f s", seconds);
    else if (seconds < 3600)
        snprintf(out, size, "%.0f min", seconds / 60);
    else
        snprintf(out, size, "%.1f h", seconds / 3600);
}

/* The newest value of kNN and that of the untrained encoder. */
static void knn_figure(const struct report *r)
{
    char value[40], what[80] = "kNN";
    double first = NAN, last = NAN;
    for (size_t i = 0; i < r->count; i++) {
        if (!isnan(r->rows[i].knn))
            last = r->rows[i].knn;
        if (r->rows[i].epoch == 0)
            first = r->rows[i].knn;
    }
    if (isnan(last))
        return;
    snprintf(value, sizeof value, "%.2f %%", last);
    if (!isnan(first))
        snprintf(what, sizeof what, "kNN; %.2f %% before training", first);
    figure(r, value, what);
}

static void figures(const struct report *r)
{
    char value[40], what[80];
    const struct log_row *last = &r->rows[r->count - 1];
    double seconds = 0, rate = median_rate(r);
    for (size_t i = 0; i < r->count; i++)
        if (r->rows[i].data_s >= 0 && r->rows[i].compute_s >= 0)
            seconds += r->rows[i].data_s + r->rows[i].compute_s;
    fputs("<div class=\"figures\">\n", r->out);
    knn_figure(r);
    if (!isnan(last->loss)) {
        snprintf(value, sizeof value, "%.3f", last->loss);
        snprintf(what, sizeof what, isnan(last->ln_k1) ? "loss" : "loss; %.3f is a guess",
                 last->ln_k1);
        figure(r, value, what);
    }
    if (!isnan(last->accuracy)) {
        snprintf(value, sizeof value, "%.2f %%", last->accuracy);
        figure(r, value, "classifier");
    }
    snprintf(value, sizeof value, "%d of %d", last->epoch, r->config.value.epochs);
    figure(r, value, last->epoch < r->config.value.epochs ? "epochs so far" : "epochs, complete");
    if (!isnan(rate)) {
        snprintf(value, sizeof value, "%.0f", rate);
        figure(r, value, "images a second, median");
        duration(value, sizeof value, seconds);
        figure(r, value, "of training in these epochs");
    }
    if (!isnan(r->weights)) {
        snprintf(value, sizeof value, "%.1f MiB", r->weights);
        figure(r, value, "weights.safetensors");
    }
    fputs("</div>\n", r->out);
}

/* ---- the page ---- */

static void head(const struct report *r)
{
    char text[400];
    const struct run_config *c = &r->config.value;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          "<title>moco: ", r->out);
    svg_escape(r->out, r->folder);
    fprintf(r->out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
    svg_escape(r->out, r->folder);
    snprintf(text, sizeof text, "method %s, %s of width %d, views of %d x %d, batch %d", c->method,
             c->arch, c->width, c->side, c->side, c->batch);
    fputs("</h1>\n<p class=\"faint\">", r->out);
    svg_escape(r->out, text);
    fputs("<br/>trained on ", r->out);
    svg_escape(r->out, c->data);
    fputs("<br/>moco ", r->out);
    svg_escape(r->out, report_member(r->json, "version"));
    fputs(", kernels ", r->out);
    svg_escape(r->out, report_member(r->json, "kernels"));
    fputs(", ", r->out);
    svg_escape(r->out, report_member(r->json, "cpu"));
    fputs("</p>\n", r->out);
}

static void page(const struct report *r)
{
    head(r);
    if (r->count) {
        figures(r);
        fputs("<h2>By epoch</h2>\n<div class=\"curves\">\n", r->out);
        report_curves(r);
        fputs("</div>\n", r->out);
    } else {
        fputs("<p>No epoch is complete yet.</p>\n", r->out);
    }
    report_settings(r);
    fputs("</body>\n</html>\n", r->out);
}

int report_write(const char *run, const char *out)
{
    struct report report = { .folder = run };
    struct replace file;
    int rc = read_run(&report);
    if (!rc)
        rc = replace_open(&file, out);
    if (!rc) {
        report.out = file.file;
        page(&report);
        rc = replace_commit(&file);
    }
    forget(&report);
    return rc;
}
