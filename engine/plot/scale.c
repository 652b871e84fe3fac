/* scale.c: see scale.h. */
#include "engine/plot/scale.h"

#include <math.h>
#include <stdio.h>

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
