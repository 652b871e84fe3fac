/* plot_rows.c: groups of rows and their colours. */
#include "engine/study/plot.h"

#include <string.h>

void plot_include_moments(struct plot_range *range, const struct study_moments *m)
{
    plot_include(range, m->mean);
    plot_include(range, m->mean - m->std);
    plot_include(range, m->mean + m->std);
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
