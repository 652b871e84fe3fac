/* test_report.c: reports of runs. The page is well-formed, shows the numbers of log.csv and the
 * settings with who chose them, asks nothing of any server, and what stands in names is text; runs
 * without an epoch, without kNN, and one that was interrupted; a folder that is no run. */
#include "tests/files.h" /* first: it asks for nftw() */

#include <omp.h>

#include "engine/report/report.h"
#include "engine/run/train.h"
#include "tests/xml.h"

static struct moco_simd simd;
static int stop_at;

static int stop(void *user)
{
    (void)user;
    return stop_at > 0 && --stop_at == 0;
}

/* 3 epochs of 4 steps into `out`, or as many steps as `steps` says. */
static int train(const char *out, const char *knn, int steps)
{
    const char *const settings[][2] = {
        { "width", "8" }, { "side", "16" }, { "batch-size", "16" }, { "moco-k", "64" },
        { "moco-dim", "16" }, { "bn-splits", "1" }, { "epochs", "3" }, { "lr", "0.0625" },
        { "knn-every", knn }, { "out", at(out) },
    };
    const struct train_hooks hooks = { .stop = stop };
    struct config config;
    config_default(&config);
    snprintf(config.value.data, sizeof config.value.data, "synthetic:n=64,side=16");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        CHECK(!config_set(&config, settings[i][0], settings[i][1], FROM_FLAG));
    stop_at = steps;
    return train_run(&config, &simd, &hooks);
}

/* The page of a run as text, checked; for free(). */
static char *page_of(const char *run)
{
    unsigned char *bytes;
    CHECK_MSG(!report_write(at(run), at("page.html")), "%s", error_text());
    size_t size = get(&bytes, "page.html");
    char *page = (char *)bytes, *body = strchr(page, '\n');
    CHECK(size > 1000 && !strncmp(page, "<!DOCTYPE html>\n", 16));
    CHECK_MSG(body && well_formed(body + 1), "%.300s", page);
    CHECK(!strstr(page, "nan") && !strstr(page, "inf ") && !strstr(page, "<script"));
    for (const char *p = page; (p = strstr(p, "http")) != NULL; p++)
        CHECK_MSG(!strncmp(p, "http://www.w3.org/2000/svg\"", 27), "%.40s", p);
    return page;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

/* The text between the last comma-separated columns of log.csv: column of line `line`. */
static double logged(const char *run, int line, int column)
{
    char name[80];
    unsigned char *bytes;
    snprintf(name, sizeof name, "%s/log.csv", run);
    get(&bytes, name);
    const char *at_line = (const char *)bytes;
    for (; line > 0; line--)
        at_line = strchr(at_line, '\n') + 1;
    for (; column > 0; column--)
        at_line = strchr(at_line, ',') + 1;
    double value = strtod(at_line, NULL);
    free(bytes);
    return value;
}

static void whole(void)
{
    char text[80];
    CHECK_MSG(train("a & <b>", "1", 0) == MOCO_OK, "%s", error_text());
    char *page = page_of("a & <b>");
    CHECK(strstr(page, "a &amp; &lt;b&gt;</h1>") && strstr(page, "synthetic:n=64,side=16"));
    CHECK_MSG(count(page, "<svg ") == 5, "%d pictures", count(page, "<svg "));
    CHECK(count(page, "<polyline") == 5 && count(page, "<circle") == 4 + 4 * 3);
    CHECK(strstr(page, "3 of 3") && strstr(page, "epochs, complete") && strstr(page, "MiB"));
    snprintf(text, sizeof text, "<b>%.2f %%</b>kNN; %.2f %% before training",
             logged("a & <b>", 4, 10), logged("a & <b>", 1, 10));
    CHECK_MSG(strstr(page, text), "no %s", text);
    snprintf(text, sizeof text, "<b>%.3f</b>loss; %.3f is a guess", logged("a & <b>", 4, 2),
             log(64 + 1));
    CHECK_MSG(strstr(page, text), "no %s", text);
    CHECK(strstr(page, "<tr><td>lr</td><td class=\"value\">0.0625</td><td>flag</td>"));
    CHECK(strstr(page, "<tr><td>momentum</td><td class=\"value\">0.9</td><td>default</td>"));
    CHECK(strstr(page, "<tr><td>lr</td>") < strstr(page, "<details>"));
    CHECK(strstr(page, "<tr><td>momentum</td>") > strstr(page, "<details>"));
    free(page);
}

static void parts(void)
{
    CHECK_MSG(train("early", "0", 2) == TRAIN_INTERRUPTED, "%s", error_text());
    char *page = page_of("early");
    CHECK(strstr(page, "No epoch is complete yet.") && !strstr(page, "<svg "));
    free(page);
    CHECK_MSG(train("part", "0", 9) == TRAIN_INTERRUPTED, "%s", error_text());
    page = page_of("part");
    CHECK(strstr(page, "2 of 3") && strstr(page, "epochs so far") && !strstr(page, "kNN,"));
    CHECK(!strstr(page, "weights.safetensors") && count(page, "<svg ") == 4);
    free(page);
}

static void refusals(void)
{
    CHECK(report_write(at("nowhere"), at("x.html")) == MOCO_EIO);
    CHECK_MSG(strstr(error_text(), "nowhere/config.json"), "%s", error_text());
    CHECK(report_write(at("part"), at("nowhere/x.html")) == MOCO_EIO);
    CHECK_MSG(strstr(error_text(), "nowhere/x.html"), "%s", error_text());
    put("part/config.json", "{\"lr\": 1", 8);
    CHECK(report_write(at("part"), at("x.html")) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "part/config.json"), "%s", error_text());
    CHECK(access(at("x.html"), F_OK) != 0);
}

int main(void)
{
    omp_set_num_threads(1); /* the steps are too small to share */
    if (moco_simd_init(&simd, NULL) || files_begin())
        return 1;
    whole();
    parts();
    refusals();
    files_end();
    return check_summary("report");
}
