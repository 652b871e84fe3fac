/* curves.c: what log.csv has, by epoch. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "engine/plot/scale.h"
#include "engine/report/part.h"

enum { WIDTH = 470, HEIGHT = 250, LEFT = 62, RIGHT = 14, TOP = 34, BOTTOM = 38, DOTS = 25 };

static const struct curve {
    const char *title, *colour;
    size_t column;
    double factor;
    int from_zero;
} curves[] = {
    { "loss, nats", "#1f4e9c", offsetof(struct log_row, loss), 1, 0 },
    { "kNN, % of the test images", "#b03a2e", offsetof(struct log_row, knn), 1, 0 },
    { "classifier, % of the test images", "#b9770e", offsetof(struct log_row, accuracy), 1, 0 },
    { "queries that find their key, %", "#6c3483", offsetof(struct log_row, top1), 100, 0 },
    { "learning rate at the end of the epoch", "#566573", offsetof(struct log_row, lr), 1, 1 },
    { "images a second", "#1e8449", offsetof(struct log_row, img_s), 1, 1 },
};

static double value_of(const struct log_row *row, const struct curve *curve)
{
    return *(const double *)((const char *)row + curve->column) * curve->factor;
}

/* points: (n, 2) of the rows that have a value; n. */
static int outline(double *points, const struct report *r, const struct curve *curve,
                   const struct plot_scale *x, const struct plot_scale *y)
{
    int n = 0;
    for (size_t i = 0; i < r->count; i++) {
        double value = value_of(&r->rows[i], curve);
        if (!isfinite(value))
            continue;
        points[2 * n] = plot_at(x, r->rows[i].epoch);
        points[2 * n + 1] = plot_at(y, value);
        n++;
    }
    return n;
}

/* What a guess costs, where the loss has such a number. */
static void draw_guess(struct svg *svg, const struct report *r, const struct plot_scale *x,
                       const struct plot_scale *y)
{
    const struct svg_style style = { PLOT_FAINT, 1, 0.7 };
    double guess = r->rows[r->count - 1].ln_k1;
    if (!(guess > y->lo && guess < y->hi))
        return;
    double at = plot_at(y, guess);
    svg_line(svg, x->from, at, x->to, at, &style);
    svg_text(svg, x->to, at - 4, 11, SVG_END, PLOT_FAINT, 0, "a guess");
}

static void draw(const struct report *r, const struct curve *curve, double *points)
{
    struct plot_range epochs = { 0, 1 }, values = plot_nothing();
    struct svg_style line = { curve->colour, 1.8, 0 };
    struct svg svg;
    int is_loss = curve->column == offsetof(struct log_row, loss);
    for (size_t i = 0; i < r->count; i++) {
        plot_include(&epochs, r->rows[i].epoch);
        plot_include(&values, value_of(&r->rows[i], curve));
        if (is_loss && isfinite(value_of(&r->rows[i], curve)))
            plot_include(&values, r->rows[i].ln_k1);
    }
    if (values.lo > values.hi)
        return;
    if (curve->from_zero)
        plot_include(&values, 0);
    struct plot_scale x = plot_fit(&epochs, 6, LEFT, WIDTH - RIGHT);
    struct plot_scale y = plot_fit(&values, 6, HEIGHT - BOTTOM, TOP);
    x.lo = 0, x.hi = epochs.hi, x.step = x.step < 1 ? 1 : x.step;
    svg_begin(&svg, r->out, WIDTH, HEIGHT, curve->title);
    svg_text(&svg, LEFT, TOP - 14, 13, SVG_START, PLOT_INK, 1, curve->title);
    plot_y(&svg, &y, x.from, x.to);
    plot_x(&svg, &x, y.from, y.from + 3);
    svg_text(&svg, x.to, HEIGHT - 6, 11, SVG_END, PLOT_FAINT, 0, "epoch");
    if (is_loss)
        draw_guess(&svg, r, &x, &y);
    int n = outline(points, r, curve, &x, &y);
    if (n > 1)
        svg_path(&svg, points, n, &line);
    for (int i = 0; i < n && n <= DOTS; i++)
        svg_dot(&svg, points[2 * i], points[2 * i + 1], 2.6, &line);
    svg_end(&svg);
}

void report_curves(const struct report *report)
{
    double *points = malloc((2 * report->count + 1) * sizeof *points);
    for (size_t i = 0; points && i < sizeof curves / sizeof *curves; i++)
        draw(report, &curves[i], points);
    free(points);
}
