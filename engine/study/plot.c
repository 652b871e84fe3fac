/* plot.c: study.svg: a line for each row with its mean, every seed and a bar of one standard
 * deviation either way; below, curves by epoch. A row has the same colour in both. */
#include "engine/study/plot.h"

#include <math.h>
#include <string.h>

#include "engine/base/replace.h"

enum { HEAD = 86, ROW = 22, GROUP = 30, LABELS = 230, GAP = 20, NUMBERS = 92, FOOT = 40 };

enum { KNN, LOSS, OSCILLATION, PANELS };

static const char *const titles[PANELS] = { "kNN, % of the test images", "loss, nats",
                                            "oscillation of the loss, nats" };

struct panel {
    int kind;
    double left, right; /* of the scale; numbers stand on the right of it */
    struct plot_scale x;
};

static const struct study_moments *value_of(const struct study_result *result, int kind)
{
    return kind == KNN ? &result->knn : kind == LOSS ? &result->loss : &result->oscillation;
}

static int has_values(const struct study_state *state, int kind)
{
    for (int r = 0; r < state->study->count; r++)
        if (value_of(&state->results[r], kind)->n)
            return 1;
    return 0;
}

/* The panels that have something to show, side by side; at least the loss. */
static int lay_out(struct panel *panels, const struct study_state *state)
{
    int n = 0;
    for (int kind = 0; kind < PANELS; kind++)
        if (kind == LOSS || has_values(state, kind))
            panels[n++].kind = kind;
    double width = (PLOT_WIDTH - PLOT_MARGIN - LABELS - GAP * (n - 1)) / (double)n;
    for (int i = 0; i < n; i++) {
        struct plot_range range = plot_nothing();
        panels[i].left = LABELS + i * (width + GAP);
        panels[i].right = panels[i].left + width - NUMBERS;
        for (int r = 0; r < state->study->count; r++)
            plot_include_moments(&range, value_of(&state->results[r], panels[i].kind));
        panels[i].x = plot_fit(&range, n > 2 ? 4 : 6, panels[i].left, panels[i].right);
    }
    return n;
}

/* "47.6 ± 1.2" */
static void number_text(char *out, size_t size, const struct study_moments *m, int kind)
{
    int digits = (kind == KNN ? 1 : kind == LOSS ? 2 : 3) - (fabs(m->mean) >= 100);
    if (m->n > 1)
        snprintf(out, size, "%.*f ± %.*f", digits, m->mean, digits, m->std);
    else
        snprintf(out, size, "%.*f", digits, m->mean);
}

static void draw_value(struct svg *svg, const struct study_state *state, int r,
                       const struct panel *panel, double y)
{
    char colour[8], text[64];
    const struct study_result *result = &state->results[r];
    const struct study_moments *m = value_of(result, panel->kind);
    struct svg_style style = { plot_colour(colour, state->study, r), 2.0, 0 };
    struct svg_style pale = { colour, 0, 0.35 };
    if (!m->n)
        return;
    double x = plot_at(&panel->x, m->mean);
    if (m->n > 1) {
        double a = plot_at(&panel->x, m->mean - m->std), b = plot_at(&panel->x, m->mean + m->std);
        svg_line(svg, a, y, b, y, &style);
        svg_line(svg, a, y - 4, a, y + 4, &style);
        svg_line(svg, b, y - 4, b, y + 4, &style);
    }
    for (int i = 0; panel->kind != OSCILLATION && m->n > 1 && i < result->loss.n; i++)
        if (!isnan(result->each[i][panel->kind]))
            svg_dot(svg, plot_at(&panel->x, result->each[i][panel->kind]), y, 3, &pale);
    svg_dot(svg, x, y, 5, &style);
    number_text(text, sizeof text, m, panel->kind);
    svg_text(svg, panel->right + NUMBERS - 6, y + 4, 12, SVG_END, PLOT_INK, 0, text);
}

static void draw_row(struct svg *svg, const struct study_state *state, int r,
                     const struct panel *panels, int n, double y)
{
    const struct svg_style guide = { PLOT_GRID, 0.6, 0 };
    const struct study_result *result = &state->results[r];
    const char *why = result->skipped[0] ? "skipped, see study.md"
                      : result->failed[0] && !result->loss.n ? "diverged" : "not trained yet";
    svg_text(svg, LABELS - 16, y + 4, 13, SVG_END, result->loss.n ? PLOT_INK : PLOT_FAINT, 0,
             state->study->rows[r].label);
    if (!result->loss.n)
        svg_text(svg, LABELS + 4, y + 4, 12, SVG_START, PLOT_FAINT, 0, why);
    for (int i = 0; i < n && result->loss.n; i++) {
        svg_line(svg, panels[i].left, y, panels[i].right, y, &guide);
        draw_value(svg, state, r, &panels[i], y);
    }
}

static int starts_group(const struct study *study, int r)
{
    const char *group = study->rows[r].group;
    return group[0] && (!r || strcmp(group, study->rows[r - 1].group));
}

static double rows_height(const struct study *study)
{
    double height = 0;
    for (int r = 0; r < study->count; r++)
        height += ROW + (starts_group(study, r) ? GROUP : 0);
    return height;
}

static void draw_rows(struct svg *svg, const struct study_state *state, double top)
{
    const struct study *study = state->study;
    struct panel panels[PANELS] = { { 0 } };
    int n = lay_out(panels, state);
    double bottom = top + rows_height(study), y = top;
    for (int i = 0; i < n; i++) {
        svg_text(svg, panels[i].left, top - 8, 13, SVG_START, PLOT_INK, 1, titles[panels[i].kind]);
        plot_x(svg, &panels[i].x, top, bottom);
    }
    for (int r = 0; r < study->count; r++) {
        if (starts_group(study, r)) {
            svg_text(svg, PLOT_MARGIN, y + GROUP - 8, 13, SVG_START, PLOT_INK, 1,
                     study->rows[r].group);
            y += GROUP;
        }
        draw_row(svg, state, r, panels, n, y + 0.5 * ROW);
        y += ROW;
    }
}

static void draw_head(struct svg *svg, const struct study_state *state)
{
    char budget[80], text[1400];
    const struct run_config *c = &state->common.value;
    const char *data = c->data;
    size_t length = strlen(data);
    study_budget_text(budget, sizeof budget, state);
    svg_text(svg, PLOT_MARGIN, 32, 20, SVG_START, PLOT_INK, 1, state->study->title);
    snprintf(text, sizeof text, "%s%s, %zu images, %s a run, %s, width %d, side %d",
                        length > 50 ? "…" : "", length > 50 ? data + length - 50 : data,
                        state->source->count, budget, c->arch, c->width, c->side);
    svg_text(svg, PLOT_MARGIN, 52, 12, SVG_START, PLOT_FAINT, 0, text);
    if (state->budget.seeds == 1)
        return;
    snprintf(text, sizeof text, "large dots: mean of %d seeds, which are the small ones; bars and "
             "bands: one standard deviation either way", state->budget.seeds);
    svg_text(svg, PLOT_MARGIN, 69, 12, SVG_START, PLOT_FAINT, 0, text);
}

int study_write_plot(const struct study_state *state)
{
    char path[STUDY_PATH];
    struct replace file;
    struct svg svg;
    double rows = rows_height(state->study), top = HEAD + GAP;
    double height = top + rows + FOOT + plot_curves_height(state);
    snprintf(path, sizeof path, "%s/study.svg", state->out);
    int rc = replace_open(&file, path);
    if (rc)
        return rc;
    fputs(SVG_DECLARATION, file.file);
    svg_begin(&svg, file.file, PLOT_WIDTH, height, state->study->title);
    draw_head(&svg, state);
    draw_rows(&svg, state, top);
    plot_curves(&svg, state, top + rows + FOOT);
    svg_end(&svg);
    return replace_commit(&file);
}
