/* plot_curves.c: kNN and loss by epoch: one pair of panels for each group of rows, on common
 * scales; bands are one standard deviation either way. */
#include "engine/study/plot.h"

#include <math.h>
#include <stdlib.h>

enum { TITLE = 34, HEIGHT = 210, BELOW = 44, LEFT = 66, WIDTH = 350, BETWEEN = 60, KEY = 18 };

struct curve_panel {
    int loss; /* or kNN */
    struct plot_scale x, y;
};

/* Some row of the group has a curve. */
static int trained(const struct study_state *state, int first, int end)
{
    for (int r = first; r < end; r++)
        if (state->results[r].count)
            return 1;
    return 0;
}

static int groups(const struct study_state *state)
{
    int n = 0, end;
    for (int r = 0; r < state->study->count; r = end) {
        end = plot_group_end(state->study, r);
        n += trained(state, r, end);
    }
    return n;
}

static double panel_height(const struct study *study)
{
    int longest = 0;
    for (int r = 0; r < study->count; r = plot_group_end(study, r)) {
        int n = plot_group_end(study, r) - r;
        longest = n > longest ? n : longest;
    }
    return longest * KEY > HEIGHT ? longest * KEY : HEIGHT;
}

double plot_curves_height(const struct study_state *state)
{
    return groups(state) * (TITLE + panel_height(state->study) + BELOW);
}

static int has_knn(const struct study_state *state)
{
    for (int r = 0; r < state->study->count; r++)
        if (state->results[r].knn.n)
            return 1;
    return 0;
}

static const struct study_moments *value_of(const struct study_point *point, int loss)
{
    return loss ? &point->loss : &point->knn;
}

/* Scales over rows first..end - 1 for the values, over all for the epochs. */
static struct curve_panel fit(const struct study_state *state, int loss, double left, int first,
                              int end)
{
    struct plot_range epochs = { 0, 1 }, values = plot_nothing();
    for (int r = 0; r < state->study->count; r++)
        for (int i = 0; i < state->results[r].count; i++) {
            plot_include(&epochs, state->results[r].points[i].epoch);
            if (r >= first && r < end)
                plot_include_moments(&values, value_of(&state->results[r].points[i], loss));
        }
    struct curve_panel panel = { .loss = loss };
    panel.x = plot_fit(&epochs, 6, left, left + WIDTH);
    panel.x.lo = 0;
    panel.x.hi = epochs.hi;
    panel.x.step = panel.x.step < 1 ? 1 : panel.x.step;
    panel.y = plot_fit(&values, 8, 0, 0);
    return panel;
}

/* points: (count, 2) of the band's lower edge and back along the upper one, or of the mean. */
static int outline(double *points, const struct study_result *result,
                   const struct curve_panel *panel, int side)
{
    int n = 0;
    for (int i = 0; i < result->count; i++) {
        int at = side > 0 ? result->count - 1 - i : i;
        const struct study_moments *m = value_of(&result->points[at], panel->loss);
        if (!m->n || (side && isnan(m->std)))
            continue;
        points[2 * n] = plot_at(&panel->x, result->points[at].epoch);
        points[2 * n++ + 1] = plot_at(&panel->y, m->mean + (side ? side * m->std : 0));
    }
    return n;
}

/* Without memory a curve is left out. */
static void draw_curve(struct svg *svg, const struct study_state *state, int r,
                       const struct curve_panel *panel)
{
    char colour[8];
    const struct study_result *result = &state->results[r];
    struct svg_style line = { plot_colour(colour, state->study, r), 1.8, 0 };
    struct svg_style band = { colour, 0, 0.1 };
    double *points = malloc((size_t)(result->count + 1) * 4 * sizeof *points);
    if (!points)
        return;
    int n = outline(points, result, panel, -1);
    n += outline(points + 2 * n, result, panel, 1);
    if (n > 2)
        svg_area(svg, points, n, &band);
    n = outline(points, result, panel, 0);
    if (n > 1)
        svg_path(svg, points, n, &line);
    for (int i = 0; i < n && n <= 25; i++)
        svg_dot(svg, points[2 * i], points[2 * i + 1], 2.4, &line);
    free(points);
}

static void draw_panel(struct svg *svg, const struct study_state *state, int first, int end,
                       struct curve_panel *panel, double top, double bottom)
{
    char title[100];
    const char *group = state->study->rows[first].group;
    snprintf(title, sizeof title, "%s%s%s", group, group[0] ? ": " : "",
             panel->loss ? "loss, nats" : "kNN, %");
    panel->y.from = bottom;
    panel->y.to = top;
    svg_text(svg, panel->x.from, top - 8, 13, SVG_START, PLOT_INK, 1, title);
    plot_y(svg, &panel->y, panel->x.from, panel->x.to);
    plot_x(svg, &panel->x, bottom, bottom + 3);
    svg_text(svg, panel->x.to, bottom + 32, 12, SVG_END, PLOT_FAINT, 0, "epoch");
    for (int r = first; r < end; r++)
        draw_curve(svg, state, r, panel);
}

static void draw_key(struct svg *svg, const struct study_state *state, int first, int end,
                     double left, double top)
{
    char colour[8];
    for (int r = first; r < end; r++, top += KEY) {
        struct svg_style line = { plot_colour(colour, state->study, r), 2.5, 0 };
        int known = state->results[r].count > 0;
        if (known)
            svg_line(svg, left, top, left + 18, top, &line);
        svg_text(svg, left + 24, top + 4, 12, SVG_START, known ? PLOT_INK : PLOT_FAINT, 0,
                 state->study->rows[r].label);
    }
}

void plot_curves(struct svg *svg, const struct study_state *state, double top)
{
    const struct study *study = state->study;
    double height = panel_height(study);
    struct curve_panel knn = fit(state, 0, LEFT, 0, study->count);
    int both = has_knn(state), left = both ? LEFT + WIDTH + BETWEEN : LEFT;
    struct curve_panel loss = fit(state, 1, left, 0, study->count);
    for (int r = 0, end; r < study->count; r = end) {
        double from = top + TITLE, to = from + height;
        end = plot_group_end(study, r);
        if (!trained(state, r, end))
            continue;
        if (study->losses_differ)
            loss = fit(state, 1, left, r, end);
        if (both)
            draw_panel(svg, state, r, end, &knn, from, to);
        draw_panel(svg, state, r, end, &loss, from, to);
        draw_key(svg, state, r, end, loss.x.to + 20, from + 8);
        top = to + BELOW;
    }
}
