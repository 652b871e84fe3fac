/* scale.h: ranges, scales and axes of a picture. */
#ifndef MOCO_ENGINE_PLOT_SCALE_H
#define MOCO_ENGINE_PLOT_SCALE_H

#include "engine/plot/svg.h"

#define PLOT_INK "#222222"
#define PLOT_FAINT "#6b6b6b"
#define PLOT_GRID "#e2e2e2"

/* Values lo..hi lie on pixels from..to, with a line at each multiple of step. */
struct plot_scale {
    double lo, hi, step, from, to;
};

/* A range that grows; empty while lo > hi. NAN is passed over. */
struct plot_range {
    double lo, hi;
};
struct plot_range plot_nothing(void);
void plot_include(struct plot_range *range, double value);

/* A scale whose ends are a little outside of the range and whose steps are 1, 2 or 5 times a power
 * of ten, at most `lines` of them. */
struct plot_scale plot_fit(const struct plot_range *range, int lines, double from, double to);
double plot_at(const struct plot_scale *scale, double value);

/* Lines and numbers of an axis: x from top to bottom, y from left to right. */
void plot_x(struct svg *svg, const struct plot_scale *x, double top, double bottom);
void plot_y(struct svg *svg, const struct plot_scale *y, double left, double right);

#endif
