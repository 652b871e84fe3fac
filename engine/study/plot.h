/* plot.h: what the parts of study.svg share: colours of rows, groups of them. */
#ifndef MOCO_ENGINE_STUDY_PLOT_H
#define MOCO_ENGINE_STUDY_PLOT_H

#include "engine/plot/scale.h"
#include "engine/study/part.h"

enum { PLOT_WIDTH = 1000, PLOT_MARGIN = 24 };

void plot_include_moments(struct plot_range *range, const struct study_moments *m);

/* "#rrggbb" of a row, by its place among the rows of its group. */
const char *plot_colour(char out[8], const struct study *study, int row);

/* Rows first..last - 1 form the group of `first`. */
int plot_group_end(const struct study *study, int first);

/* Curves by epoch, the groups below each other, and the height that they take. */
double plot_curves_height(const struct study_state *state);
void plot_curves(struct svg *svg, const struct study_state *state, double top);

#endif
