/* test_study.c: studies.
 *
 * A tiny study (two rows, one that can not be, one that diverges; two seeds, two epochs) gives
 * tables whose numbers are those of the runs' logs, and the same tables when it is interrupted and
 * taken up again; nothing complete is trained twice. The picture is well-formed XML. Every row of
 * the named studies is a configuration that can be trained. */
#include "tests/files.h" /* first: it asks for nftw() */

#include "engine/study/part.h"
#include "tests/xml.h"

#include <omp.h>

enum { EPOCHS = 2, STEPS = 6, SEEDS = 2, FIELDS = 25 };

static const struct study_row rows[] = {
    { "first", "a group", "m < 1 & \"more\"", "moco-m=0.9" },
    { "second", "a group", "m = 0.5", "moco-m=0.5 batch-size=8" },
    { "short", "others", "no room", "moco-k=8" },
    { "wild", "others", "wild", "wd=1e6 lr=1e6" },
};
static const struct study tiny = {
    "tiny", "A tiny study", "width=8 batch-size=16 moco-k=32 moco-dim=16 bn-splits=2 lr=0.05",
    "A remark.", rows, 4, .oscillation = 1,
};

/* ---- running ---- */

struct counter {
    int steps, runs, measured;
    int stop_at; /* steps; 0: never */
};

static void on_progress(void *user, const struct train_progress *p)
{
    struct counter *counter = user;
    counter->steps += !p->epoch_done;
}

static int on_stop(void *user)
{
    const struct counter *counter = user;
    return counter->stop_at && counter->steps >= counter->stop_at;
}

static void on_run(void *user, const struct study_row *row, uint64_t seed, int index, int count)
{
    struct counter *counter = user;
    int rows_planned = count / SEEDS;
    CHECK_MSG(index == counter->runs && index < count, "run %d of %d", index, count);
    CHECK(seed == 1 + (uint64_t)(index / rows_planned) && strcmp(row->name, "short"));
    counter->runs++;
}

static void on_measure(void *user, const struct study_row *row)
{
    struct counter *counter = user;
    (void)row;
    counter->measured++;
}

static void base_config(struct config *config, const char *out)
{
    config_default(config);
    snprintf(config->value.data, sizeof config->value.data,
             "synthetic:n=96,classes=4,side=16,seed=1");
    CHECK(config_set(config, "out", at(out), FROM_FLAG) == MOCO_OK);
    CHECK(config_set(config, "epochs", "2", FROM_FLAG) == MOCO_OK);
}

static int train_with(struct counter *counter, const struct study *study,
                      const struct config *config, double minutes)
{
    struct moco_simd simd;
    struct study_budget budget = { minutes, SEEDS };
    struct study_hooks hooks = {
        .train = { .user = counter, .progress = on_progress, .stop = on_stop },
        .run = on_run, .measure = on_measure,
    };
    CHECK(moco_simd_init(&simd, NULL) == 0);
    return study_train(study, config, &budget, &simd, &hooks);
}

static int train(struct counter *counter, const char *out)
{
    struct config config;
    base_config(&config, out);
    return train_with(counter, &tiny, &config, 0);
}

/* ---- reading tables ---- */

static char *text_of(const char *folder, const char *name)
{
    char path[200];
    unsigned char *bytes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    size_t size = get(&bytes, path);
    CHECK_MSG(size > 0, "%s is empty", path);
    return (char *)bytes;
}

/* Fields of line `index` of a CSV text; quotes are taken off. */
static int fields(char out[FIELDS][STUDY_NOTE], const char *text, int index)
{
    int n = 0, quoted = 0;
    size_t used = 0;
    for (; index > 0 && *text; text++)
        index -= *text == '\n';
    for (; *text && n < FIELDS; text++) {
        if (*text == '"')
            quoted = !quoted;
        else if (!quoted && (*text == ',' || *text == '\n'))
            out[n++][used] = '\0', used = 0;
        else if (used + 1 < STUDY_NOTE)
            out[n][used++] = *text;
        if (*text == '\n')
            break;
    }
    return n;
}

/* Column of the last line of a run's log.csv, read by counting commas. */
static double last_of(const char *folder, const char *row, int seed, int column)
{
    char name[100];
    snprintf(name, sizeof name, "%s/seed-%d/log.csv", row, seed);
    char *text = text_of(folder, name), *line = strrchr(text, '\n');
    CHECK(line != NULL);
    while (line && line > text && line[-1] != '\n')
        line--;
    for (; line && column > 0; column--)
        line = strchr(line, ',') + 1;
    double value = line ? strtod(line, NULL) : NAN;
    free(text);
    return value;
}

static int near(const char *text, double wanted, double error)
{
    return text[0] && fabs(strtod(text, NULL) - wanted) <= error;
}

/* Standard deviation of the differences of the last epoch's losses. */
static double oscillation(const char *folder, const char *row, int seed)
{
    char name[100];
    double losses[64], sum = 0, squares = 0;
    int n = 0, steps = !strcmp(row, "second") ? 2 * STEPS : STEPS;
    snprintf(name, sizeof name, "%s/seed-%d/steps.csv", row, seed);
    char *text = text_of(folder, name);
    for (char *line = text; line && *line && n < 64; n++) {
        losses[n] = strtod(strchr(line, ',') + 1, NULL);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    free(text);
    CHECK_MSG(n == EPOCHS * steps, "%d steps in %s", n, name);
    for (int i = n - steps; i + 1 < n; i++)
        sum += losses[i + 1] - losses[i];
    for (int i = n - steps; i + 1 < n; i++)
        squares += pow(losses[i + 1] - losses[i] - sum / (steps - 1), 2);
    return sqrt(squares / (steps - 2));
}

static void check_row(const char *text, int r)
{
    char f[FIELDS][STUDY_NOTE];
    double a, b;
    const char *row = rows[r].name;
    CHECK_MSG(fields(f, text, r + 1) == FIELDS, "line %d", r + 1);
    CHECK(!strcmp(f[0], "tiny") && !strcmp(f[2], "2 epochs") && !strcmp(f[3], row));
    CHECK_MSG(!strcmp(f[7], "2") && !strcmp(f[8], "2"), "%s epochs, %s seeds", f[7], f[8]);
    a = last_of("whole", row, 1, 10), b = last_of("whole", row, 2, 10);
    CHECK_MSG(near(f[9], (a + b) / 2, 1e-3) && near(f[10], fabs(a - b) / sqrt(2), 1e-3),
              "kNN %s %s, not of %g and %g", f[9], f[10], a, b);
    a = last_of("whole", row, 1, 2), b = last_of("whole", row, 2, 2);
    CHECK_MSG(a != b && near(f[11], (a + b) / 2, 2e-6) && near(f[12], fabs(a - b) / sqrt(2), 2e-6),
              "loss %s %s, not of %g and %g", f[11], f[12], a, b);
    CHECK(near(f[13], log(33.0), 1e-5));
    a = oscillation("whole", row, 1), b = oscillation("whole", row, 2);
    CHECK_MSG(near(f[16], (a + b) / 2, 2e-6) && near(f[17], fabs(a - b) / sqrt(2), 2e-6),
              "oscillation %s %s, not of %g and %g", f[16], f[17], a, b);
    CHECK(!f[18][0] && near(f[20], 1e5, 1e5) && near(f[22], 0.5, 0.5) && !f[24][0]);
}

static void test_tables(void)
{
    char f[FIELDS][STUDY_NOTE];
    struct counter counter = { 0 };
    CHECK_MSG(train(&counter, "whole") == MOCO_OK, "%s", error_text());
    CHECK(counter.runs == 3 * SEEDS && counter.measured == 0); /* "short" is not trained */
    char *csv = text_of("whole", "study.csv"), *md = text_of("whole", "study.md");
    check_row(csv, 0);
    check_row(csv, 1);
    CHECK(fields(f, csv, 2) == FIELDS && !strcmp(f[6], "moco-m=0.5 batch-size=8 lr=0.025"));
    CHECK(fields(f, csv, 3) == FIELDS && !strcmp(f[8], "0") && !f[9][0] && !f[11][0]);
    CHECK_MSG(strstr(f[24], "a step makes 16 keys, the queue holds 8"), "%s", f[24]);
    CHECK(fields(f, csv, 4) == FIELDS && !strcmp(f[8], "0"));
    CHECK_MSG(!strncmp(f[24], "seed 2: ", 8) && strstr(f[24], "finite"), "%s", f[24]);
    CHECK(strstr(md, "2 epochs a run, seeds 1 to 2") && strstr(md, "A remark.") &&
          strstr(md, "(96 images)") && strstr(md, "the queue holds 8"));
    free(csv);
    free(md);
}

/* ---- interruption ---- */

/* All but what depends on the clock. */
static int same_line(const char *a, const char *b, int line)
{
    char f[FIELDS][STUDY_NOTE], g[FIELDS][STUDY_NOTE];
    int n = fields(f, a, line), same = n == fields(g, b, line) && n == FIELDS;
    for (int i = 0; i < FIELDS; i++)
        same &= (i >= 20 && i < 24) || !strcmp(f[i], g[i]) || (i == 24 && line == 4);
    return same;
}

static void test_interruption(void)
{
    int sizes[] = { 4, STEPS, STEPS + 1, 20, 0 }, all = 0, calls = 0, rc = TRAIN_INTERRUPTED;
    for (; rc == TRAIN_INTERRUPTED && calls < 5; calls++) {
        struct counter counter = { .stop_at = sizes[calls] };
        rc = train(&counter, "parts");
        all += counter.steps;
    }
    CHECK_MSG(rc == MOCO_OK && calls == 5, "%s after %d calls", error_text(), calls);
    struct counter whole = { 0 }, again = { 0 };
    char *a = text_of("whole", "study.csv"), *b = text_of("parts", "study.csv");
    for (int line = 1; line <= 4; line++)
        CHECK_MSG(same_line(a, b, line), "line %d differs:\n%s\n%s", line, a, b);
    free(a);
    free(b);
    /* only the diverging row has steps to make again, and those of "first" and "second" are made
     * once: 2 seeds x (12 + 24) */
    CHECK(train(&again, "whole") == MOCO_OK && train(&whole, "fresh") == MOCO_OK);
    CHECK_MSG(whole.steps - again.steps == 2 * (2 * STEPS + 4 * STEPS), "%d and %d steps",
              whole.steps, again.steps);
    CHECK_MSG(all >= whole.steps && all <= whole.steps + 2 * again.steps, "%d steps in parts", all);
}

/* ---- refusals, budgets ---- */

static void test_refusals(void)
{
    struct config config;
    struct counter counter = { 0 };
    base_config(&config, "whole");
    CHECK(config_set(&config, "epochs", "3", FROM_FLAG) == MOCO_OK);
    CHECK(train_with(&counter, &tiny, &config, 0) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "budget '2 epochs', not '3 epochs'"), "%s", error_text());
    struct study other = tiny;
    other.name = "other";
    base_config(&config, "whole");
    CHECK(train_with(&counter, &other, &config, 0) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "study 'tiny', not 'other'"), "%s", error_text());
    base_config(&config, "whole");
    CHECK(config_set(&config, "lr", "0.01", FROM_FLAG) == MOCO_OK);
    CHECK_MSG(train_with(&counter, &tiny, &config, 0) == MOCO_EARG, "%s", error_text());
    other.count = 2;
    base_config(&config, "flags");
    CHECK(config_set(&config, "moco-m", "0.3", FROM_FLAG) == MOCO_OK);
    CHECK(train_with(&counter, &other, &config, 0) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "--moco-m does not go with study other"), "%s", error_text());
    other.rows = rows + 2;
    other.count = 1;
    base_config(&config, "nothing");
    CHECK(train_with(&counter, &other, &config, 0) == MOCO_EARG);
    CHECK_MSG(strstr(error_text(), "no row of study other can be trained: "), "%s", error_text());
    CHECK(counter.steps == 0 && !study_named("nonsense"));
    CHECK_MSG(strstr(error_text(), "sharing"), "%s", error_text());
}

/* Minutes become epochs once; a second call keeps what the first found. */
static void test_minutes(void)
{
    struct config config;
    struct study one = tiny;
    struct counter first = { .stop_at = 1 }, second = { .stop_at = 1 };
    one.count = 1;
    base_config(&config, "minutes");
    CHECK(train_with(&first, &one, &config, 0.05) == TRAIN_INTERRUPTED || first.runs != 1);
    char *was = text_of("minutes", "plan.json");
    CHECK(first.measured == 1 && strstr(was, "0.05 minutes of training"));
    const char *epochs = strstr(was, "\"first\":");
    CHECK_MSG(epochs && strtol(epochs + 8, NULL, 10) >= 1, "%s", was);
    train_with(&second, &one, &config, 0.05);
    char *is = text_of("minutes", "plan.json");
    CHECK(second.measured == 0 && !strcmp(was, is));
    free(was);
    free(is);
    static const char bad[] = "{\"study\": \"tiny\", \"data\":";
    put("minutes/plan.json", bad, sizeof bad - 1);
    CHECK(train_with(&second, &one, &config, 0.05) == MOCO_EFORMAT);
    CHECK_MSG(strstr(error_text(), "plan.json is no plan of a study"), "%s", error_text());
}

/* ---- the picture ---- */

static int count(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

static void test_picture(void)
{
    char *svg = text_of("whole", "study.svg");
    CHECK(well_formed("<a b=\"c\"><d/>x &amp; y</a>\n") && !well_formed("<a><b></a>\n"));
    CHECK(!well_formed("<a b=c/>\n") && !well_formed("<a>&</a>\n") && !well_formed("<a>\n"));
    CHECK_MSG(well_formed(svg), "%.400s", svg);
    CHECK(!strstr(svg, "nan") && !strstr(svg, "inf"));
    CHECK(strstr(svg, "m &lt; 1 &amp; &quot;more&quot;") && strstr(svg, "kNN, % of the test"));
    CHECK(strstr(svg, ">loss, nats<") && strstr(svg, ">epoch<") && strstr(svg, "skipped"));
    CHECK_MSG(count(svg, "<polyline") == 4, "%d curves", count(svg, "<polyline"));
    CHECK_MSG(count(svg, "<polygon") == 4, "%d bands", count(svg, "<polygon"));
    free(svg);
}

/* A classifier's accuracy is a column of both tables. */
static void test_accuracy(void)
{
    static const struct study_row few[] = {
        { "few", "", "few", "method=semi-supervised labels-fraction=0.2 labels-per-batch=4" },
    };
    char f[FIELDS][STUDY_NOTE];
    struct config config;
    struct study labels = tiny;
    struct counter counter = { 0 };
    labels.rows = few, labels.count = 1, labels.oscillation = 0, labels.accuracy = 1;
    base_config(&config, "labels");
    CHECK_MSG(train_with(&counter, &labels, &config, 0) == MOCO_OK, "%s", error_text());
    char *csv = text_of("labels", "study.csv"), *md = text_of("labels", "study.md");
    CHECK(fields(f, csv, 1) == FIELDS && strstr(md, "| top-1 | classifier | img/s |"));
    double a = last_of("labels", "few", 1, 11), b = last_of("labels", "few", 2, 11);
    CHECK_MSG(a > 0 && near(f[18], (a + b) / 2, 1e-3) && near(f[19], fabs(a - b) / sqrt(2), 1e-3),
              "accuracy %s %s, not of %g and %g", f[18], f[19], a, b);
    free(csv);
    free(md);
}

/* Without kNN there is a loss to show all the same. */
static void test_no_knn(void)
{
    struct config config;
    struct study one = tiny;
    struct counter counter = { 0 };
    one.count = 1;
    base_config(&config, "deep/er");
    CHECK(config_set(&config, "knn-every", "0", FROM_FLAG) == MOCO_OK);
    CHECK_MSG(train_with(&counter, &one, &config, 0) == MOCO_OK, "%s", error_text());
    char *svg = text_of("deep/er", "study.svg"), *md = text_of("deep/er", "study.md");
    CHECK(well_formed(svg) && !strstr(svg, "kNN") && count(svg, "<polyline") == 1);
    CHECK_MSG(strstr(md, "| a group: m < 1 & \"more\" | `moco-m=0.9` | 2 | 2 | | "), "%s", md);
    free(svg);
    free(md);
}

/* Of a small set the batch is not the study's: tables tell that of the runs, minutes come from it,
 * and the rate of AdamW from each row's own. */
static void test_small_set(void)
{
    static const struct study_row two[] = {
        { "usual", "", "usual", "moco-m=0.9" }, { "b8", "", "8", "batch-size=8" },
    };
    struct config config;
    struct study small = tiny;
    struct counter counter = { 0 };
    const struct study_hooks hooks = { .run = NULL };
    struct study_state *state = calloc(1, sizeof *state);
    small.base = "width=8 batch-size=128 moco-k=32 moco-dim=16 lr=0.05";
    small.rows = two, small.count = 2, small.oscillation = 0;
    base_config(&config, "small");
    CHECK(config_set(&config, "optimizer", "adamw", FROM_FLAG) == MOCO_OK);
    CHECK_MSG(train_with(&counter, &small, &config, 0) == MOCO_OK, "%s", error_text());
    char *md = text_of("small", "study.md");
    CHECK_MSG(strstr(md, " batch-size=32 "), "%s", md);
    CHECK_MSG(strstr(md, "`batch-size=8 lr=4.6875e-06`"), "%s", md);
    free(md);
    *state = (struct study_state){ .study = &small, .base = &config, .budget = { 0, 1 },
                                   .hooks = &hooks, .out = config.value.out };
    CHECK_MSG(study_plan(state) == MOCO_OK && study_read(state) == MOCO_OK, "%s", error_text());
    double images = 60.0 * state->results[0].minutes.mean * state->results[0].img_s.mean;
    CHECK_MSG(fabs(images - 2 * 96) < 0.5, "%g images in two epochs of 96", images);
    study_forget(state);
    source_close(&state->source);
    free(state);
}

/* ---- the named studies ---- */

static void check_study(const struct study *study)
{
    struct study_state state = { .study = study };
    struct config base, config;
    base_config(&base, study->name);
    state.base = &base;
    state.common = base;
    state.out = base.value.out;
    CHECK(study->count >= 2 && study->count <= STUDY_ROWS_MAX);
    for (int r = 0; r < study->count; r++) {
        int rc = study_configure(&config, &state, &study->rows[r], 20, 1);
        const char *key = method_named(config.value.method)->keys == KEYS_NONE      ? "none"
                          : method_named(config.value.method)->keys == KEYS_TRAINED ? "same"
                          : method_named(config.value.method)->keys == KEYS_JOINT   ? "joint"
                                                                                    : "momentum";
        if (!rc)
            rc = config_set(&config, "key-encoder", key, FROM_DATA);
        if (!rc && config.value.queue < config.value.batch)
            rc = config_set(&config, "batch-size", "128", FROM_FLAG);
        CHECK_MSG(rc == MOCO_OK && config_check(&config, 50000) == MOCO_OK, "%s/%s: %s",
                  study->name, study->rows[r].name, error_text());
        for (int i = 0; i < r; i++)
            CHECK_MSG(strcmp(study->rows[i].name, study->rows[r].name), "%s twice in %s",
                      study->rows[r].name, study->name);
    }
}

static void test_named(void)
{
    static const char *const names[] = { "mechanisms", "momentum",    "sharing", "queue",
                                         "sampling",   "temperature", "proximal", "labels" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct study *study = study_named(names[i]);
        CHECK_MSG(study && !strcmp(study->name, names[i]), "%s", names[i]);
        if (study)
            check_study(study);
    }
}

int main(void)
{
    omp_set_num_threads(1); /* the steps are too small to share */
    if (files_begin())
        return 1;
    test_tables();
    test_interruption();
    test_refusals();
    test_minutes();
    test_picture();
    test_no_knn();
    test_accuracy();
    test_small_set();
    test_named();
    files_end();
    return check_summary("study");
}
