/* plot_scale.c: ranges, scales and axes; colours of rows. */
#include "engine/study/plot.h"

#include <math.h>
#include <string.h>

struct plot_range plot_nothing(void)
{
    return (struct plot_range){ INFINITY, -INFINITY };
}

void plot_include(struct plot_range *range, double value)
{
    if (!isfinite(value))
        return;
    range->lo = value < range->lo ? value : range->lo;
    range->hi = value > range->hi ? value : range->hi;
}

void plot_include_moments(struct plot_range *range, const struct study_moments *m)
{
    plot_include(range, m->mean);
    plot_include(range, m->mean - m->std);
    plot_include(range, m->mean + m->std);
}

struct plot_scale plot_fit(const struct plot_range *range, int lines, double from, double to)
{
    static const double steps[] = { 1, 2, 5, 10 };
    double lo = range->lo <= range->hi ? range->lo : 0, hi = range->lo <= range->hi ? range->hi : 1;
    double pad = hi > lo ? 0.06 * (hi - lo) : 0.05 * fabs(hi) + 1e-3;
    lo -= pad;
    hi += pad;
    double power = pow(10, floor(log10((hi - lo) / lines)));
    int i = 0;
    while (i < 3 && (hi - lo) / (steps[i] * power) > lines)
        i++;
    return (struct plot_scale){ lo, hi, steps[i] * power, from, to };
}

double plot_at(const struct plot_scale *s, double value)
{
    return s->from + (value - s->lo) / (s->hi - s->lo) * (s->to - s->from);
}

/* As many digits behind the point as the step has. */
static void tick_text(char *out, size_t size, const struct plot_scale *s, double value)
{
    int digits = (int)-floor(log10(s->step) + 1e-9);
    snprintf(out, size, "%.*f", digits > 0 ? digits : 0, fabs(value) < 1e-12 ? 0.0 : value);
}

void plot_x(struct svg *svg, const struct plot_scale *x, double top, double bottom)
{
    const struct svg_style grid = { PLOT_GRID, 1, 0 }, frame = { PLOT_FAINT, 1, 0 };
    char text[40];
    for (double i = ceil(x->lo / x->step); i * x->step <= x->hi; i++) {
        double at = plot_at(x, i * x->step);
        svg_line(svg, at, top, at, bottom, &grid);
        tick_text(text, sizeof text, x, i * x->step);
        svg_text(svg, at, bottom + 16, 12, SVG_MIDDLE, PLOT_FAINT, 0, text);
    }
    svg_line(svg, x->from, bottom, x->to, bottom, &frame);
}

void plot_y(struct svg *svg, const struct plot_scale *y, double left, double right)
{
    const struct svg_style grid = { PLOT_GRID, 1, 0 }, frame = { PLOT_FAINT, 1, 0 };
    char text[40];
    for (double i = ceil(y->lo / y->step); i * y->step <= y->hi; i++) {
        double at = plot_at(y, i * y->step);
        svg_line(svg, left, at, right, at, &grid);
        tick_text(text, sizeof text, y, i * y->step);
        svg_text(svg, left - 6, at + 4, 12, SVG_END, PLOT_FAINT, 0, text);
    }
    svg_line(svg, left, y->from, left, y->to, &frame);
}

int plot_group_end(const struct study *study, int first)
{
    int r = first + 1;
    while (r < study->count && !strcmp(study->rows[r].group, study->rows[first].group))
        r++;
    return r;
}

/* From dark blue over purple and red to orange: the order shows without colour vision too. */
const char *plot_colour(char out[8], const struct study *study, int row)
{
    static const double stops[5][3] = { { 13, 8, 135 },   { 126, 3, 168 }, { 204, 71, 120 },
                                        { 248, 149, 64 }, { 240, 200, 40 } };
    int first = row;
    while (first > 0 && !strcmp(study->rows[first - 1].group, study->rows[row].group))
        first--;
    int n = plot_group_end(study, first) - first;
    double at = n > 1 ? 3.6 * (row - first) / (n - 1) : 0, rgb[3];
    int i = (int)at;
    for (int c = 0; c < 3; c++)
        rgb[c] = stops[i][c] + (at - i) * (stops[i + 1][c] - stops[i][c]);
    snprintf(out, 8, "#%02x%02x%02x", (unsigned)rgb[0] & 255, (unsigned)rgb[1] & 255,
             (unsigned)rgb[2] & 255);
    return out;
}
