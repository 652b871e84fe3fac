/* views.c: moco views: images and their views on a contact sheet, as training would make them.
 *
 * Views 1 and 2 of an image are those of the first epoch of a run with these settings, 3 and 4
 * those of the second, and so on. Images stand at even distances in the data. Views are shown with
 * the brightness of their image (sheet_tone()). Of more than four channels three far apart are
 * shown, the last as red, as in a spectrum; --show takes others. */
#include "engine/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/cli/sheet/sheet.h"
#include "engine/data/missing.h"
#include "engine/run/train.h"

enum { CELL = 128, TEXT = 8192, COUNT_MAX = 100000 };

struct views {
    const char *out;
    int count, views; /* rows of the sheet; views in a row */
    struct config config;
    struct source *source;
    struct policy policy;
    struct sheet sheet;
    struct image image;
    struct augment_scratch scratch;
    float *view; /* (C, side, side) */
    const char *show; /* --show, or NULL */
    int shown[3];     /* channels that are red, green and blue */
};

/* ---- what happened to a view, in words ---- */

static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, TEXT - used, format, args);
    va_end(args);
}

static void add_jitter(char *text, const struct view *view, const struct policy *policy)
{
    static const char *const names[] = { "bright", "contrast", "sat", "hue" };
    for (int i = 0; i < 4; i++) {
        enum jitter_part part = view->order[i];
        if (part >= JITTER_SATURATION && (policy->channels != 3 || view->per_channel))
            continue;
        add(text, " %s %.2f", names[part], (double)view->factor[part]);
        for (int c = 1; c < policy->channels && view->per_channel; c++)
            add(text, "/%.2f", (double)view->channel_factor[part][c]);
    }
}

static void describe(char *text, const struct view *view, const struct policy *policy)
{
    text[0] = '\0';
    add(text, "crop %dx%d+%d+%d", view->width, view->height, view->left, view->top);
    if (view->flip)
        add(text, " flip");
    if (view->flip_vertical)
        add(text, " flip-vertical");
    if (view->turns)
        add(text, " turn %d", 90 * view->turns);
    if (view->angle != 0.0f)
        add(text, " rotate %.1f", (double)view->angle);
    if (view->jitter)
        add_jitter(text, view, policy);
    if (view->grey)
        add(text, " grey");
    if (view->sigma > 0.0f)
        add(text, " blur %.2f", (double)view->sigma);
    if (view->solarise)
        add(text, " solarize");
    if (policy->poisson > 0.0f)
        add(text, " poisson %g", (double)policy->poisson);
    if (policy->noise > 0.0f)
        add(text, " noise %g", (double)policy->noise);
    for (int c = 0, first = 1; c < policy->channels; c++)
        if (view->drop[c]) {
            add(text, "%s%d", first ? " drop " : ",", c);
            first = 0;
        }
}

/* ---- the sheet ---- */

static void print_line(const struct views *v, size_t index, int number, const char *text)
{
    int label = source_label(v->source, index);
    const char *name = v->source->name ? v->source->name(v->source, index) : NULL;
    if (v->config.value.json) {
        printf("{\"image\":%zu,\"label\":%d,\"view\":%d,\"parameters\":", index, label, number);
        cli_json_text(text);
        printf("}\n");
        return;
    }
    if (number == 1 || source_views(v->source) > 1)
        printf("image %zu: %d x %d pixels%s%s\n", index, v->image.width, v->image.height,
               name ? ", " : "", name ? name : "");
    printf("  view %d: %s\n", number, text);
}

static int read_filled(struct views *v, size_t index)
{
    int rc = v->source->read(v->source, index, &v->image);
    if (!rc && v->image.channels == v->policy.channels)
        image_fill(&v->image, v->policy.mean);
    return rc;
}

/* Of a sample with several images, the one that training would make this view of. */
static int read_for(struct views *v, size_t *index, size_t sample, int number)
{
    uint64_t image[2];
    if (source_views(v->source) == 1)
        return MOCO_OK;
    loader_images(image, v->source, v->config.value.seed, (uint64_t)number / 2, sample, sample);
    *index = (size_t)image[number % 2];
    return read_filled(v, *index);
}

static int show_view(struct views *v, int row, size_t index, int number, const struct tone *tone)
{
    char text[TEXT];
    size_t sample = index / source_views(v->source);
    int rc = read_for(v, &index, sample, number);
    if (rc)
        return rc;
    struct view view;
    int side = v->policy.side;
    size_t n = (size_t)side * (size_t)side;
    struct rng rng = rng_at(v->config.value.seed, RNG_VIEW, (uint64_t)number / 2,
                            2 * (uint64_t)sample + (uint64_t)(number % 2));
    augment_draw(&view, &v->policy, v->image.height, v->image.width, &rng);
    rc = augment_apply(v->view, &v->image, &view, &v->policy, &v->scratch);
    if (rc)
        return rc;
    for (int c = 0; c < v->policy.channels; c++)
        for (size_t i = 0; i < n; i++) {
            float *x = &v->view[(size_t)c * n + i];
            *x = *x * v->policy.std[c] + v->policy.mean[c];
        }
    describe(text, &view, &v->policy);
    sheet_picture(&v->sheet, row, 1 + number, v->view, v->policy.channels, side, side, tone);
    sheet_text(&v->sheet, row, 1 + number, text);
    print_line(v, index, 1 + number, text);
    return MOCO_OK;
}

static int show_row(struct views *v, int row)
{
    char text[400];
    struct tone tone;
    size_t sample = (size_t)row * source_samples(v->source) / (size_t)v->count;
    size_t index = sample * source_views(v->source);
    int label = source_label(v->source, index);
    int rc = read_filled(v, index);
    if (!rc)
        rc = sheet_tone(&tone, &v->image, v->shown, v->source->dtype != DTYPE_U8);
    if (rc)
        return rc;
    snprintf(text, sizeof text, "#%zu %dx%d", index, v->image.width, v->image.height);
    if (label >= 0 && v->source->class_names)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %.200s",
                 v->source->class_names[label]);
    else if (label >= 0)
        snprintf(text + strlen(text), sizeof text - strlen(text), " class %d", label);
    sheet_picture(&v->sheet, row, 0, v->image.pixels, v->image.channels, v->image.height,
                  v->image.width, &tone);
    sheet_text(&v->sheet, row, 0, text);
    for (int number = 0; number < v->views && !rc; number++)
        rc = show_view(v, row, index, number, &tone);
    return rc;
}

static void on_notice(void *user, const char *sentence)
{
    (void)user;
    fprintf(stderr, "moco: %s\n", sentence);
}

static int choose_channels(struct views *v)
{
    int C = v->policy.channels, *shown = v->shown, end = 0;
    sheet_channels(shown, C);
    if (v->show) {
        int got = sscanf(v->show, "%d,%d,%d%n", &shown[0], &shown[1], &shown[2], &end);
        for (int c = 0; c < 3; c++)
            if (got != 3 || v->show[end] || shown[c] < 0 || shown[c] >= C)
                return error_set(MOCO_EARG, "--show takes three channels from 0 to %d, as 2,1,0, "
                                 "not '%.64s'", C - 1, v->show);
    }
    if (C > 3 || v->show)
        fprintf(stderr, "moco: channels %d, %d and %d of %d are shown as red, green and blue%s\n",
                shown[0], shown[1], shown[2], C, v->show ? "" : "; --show R,G,B chooses others");
    return MOCO_OK;
}

static int open_views(struct views *v, const struct moco_simd *simd)
{
    const struct train_hooks hooks = { .notice = on_notice };
    int rc = source_open_pair(&v->source, v->config.value.data, v->config.value.positive,
                              !strcmp(v->config.value.positive_by, "index"));
    if (!rc)
        missing_allow(v->source, v->config.value.max_missing);
    if (!rc)
        cli_note(v->source, 0);
    if (!rc)
        rc = views_resolve(&v->config, v->source, &hooks);
    if (!rc)
        rc = config_policy(&v->policy, &v->config.value, v->source->channels);
    if (!rc)
        rc = choose_channels(v);
    if (rc)
        return rc;
    v->policy.simd = simd;
    int side = v->policy.side, zoom = side < CELL ? CELL / side : 1;
    size_t floats = (size_t)v->policy.channels * (size_t)side * (size_t)side;
    size_t samples = source_samples(v->source);
    v->count = (size_t)v->count < samples ? v->count : (int)samples;
    v->view = malloc(floats * sizeof *v->view);
    if (!v->view)
        return error_memory("a view", floats * sizeof *v->view);
    return sheet_open(&v->sheet, v->count, 1 + v->views, side * zoom);
}

static int make_sheet(struct views *v, const struct moco_simd *simd)
{
    int rc = open_views(v, simd);
    for (int row = 0; row < v->count && !rc; row++)
        rc = show_row(v, row);
    if (!rc)
        rc = sheet_write(&v->sheet, v->out);
    if (!rc)
        fprintf(stderr, "moco: %s shows %d images and %d views of each on %d x %d pixels\n", v->out,
                v->count, v->views, v->sheet.width, v->sheet.height);
    sheet_close(&v->sheet);
    augment_scratch_close(&v->scratch);
    image_close(&v->image);
    source_close(&v->source);
    free(v->view);
    return rc;
}

int command_views(int argc, char **argv)
{
    struct moco_simd simd;
    struct views v = { .count = 8, .views = 2 };
    const struct option options[] = {
        { "-o", OPTION_TEXT, &v.out, "FILE", "the sheet, a PNG" },
        { "--count", OPTION_INT, &v.count, NULL, "images, a row each, spread over the set" },
        { "--views", OPTION_INT, &v.views, NULL, "views of each" },
        { "--show", OPTION_TEXT, &v.show, NULL,
          "channels shown as red, green and blue: 2,1,0; the first three of up to four, else three "
          "far apart when not given" },
    };
    int rc = cli_take(&argc, argv, options, sizeof options / sizeof *options);
    if (!rc)
        rc = cli_settings(&v.config, &simd, "views", argc, argv);
    if (rc)
        return rc;
    if (!v.out)
        return cli_usage("moco views needs -o SHEET.png");
    if (v.count < 1 || v.views < 1 || v.count > COUNT_MAX || v.views > COUNT_MAX)
        return cli_usage("--count and --views must be from 1 to %d", COUNT_MAX);
    return make_sheet(&v, &simd) ? cli_failed() : EXIT_DONE;
}
