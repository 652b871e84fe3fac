/* plot.h: what the parts of study.svg share: scales, colours, the grid of an axis. */
#ifndef MOCO_ENGINE_STUDY_PLOT_H
#define MOCO_ENGINE_STUDY_PLOT_H

#include "engine/study/part.h"
#include "engine/study/svg.h"

#define PLOT_INK "#222222"
#define PLOT_FAINT "#6b6b6b"
#define PLOT_GRID "#e2e2e2"

enum { PLOT_WIDTH = 1000, PLOT_MARGIN = 24 };

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
void plot_include_moments(struct plot_range *range, const struct study_moments *m);

/* A scale whose ends are a little outside of the range and whose steps are 1, 2 or 5 times a power
 * of ten, at most `lines` of them. */
struct plot_scale plot_fit(const struct plot_range *range, int lines, double from, double to);
double plot_at(const struct plot_scale *scale, double value);

/* Lines and numbers of an axis: x from top to bottom, y from left to right. */
void plot_x(struct svg *svg, const struct plot_scale *x, double top, double bottom);
void plot_y(struct svg *svg, const struct plot_scale *y, double left, double right);

/* "#rrggbb" of a row, by its place among the rows of its group. */
const char *plot_colour(char out[8], const struct study *study, int row);

/* Rows first..last - 1 form the group of `first`. */
int plot_group_end(const struct study *study, int first);

/* Curves by epoch, the groups below each other, and the height that they take. */
double plot_curves_height(const struct study_state *state);
void plot_curves(struct svg *svg, const struct study_state *state, double top);

#endif
