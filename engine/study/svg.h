/* svg.h: a picture in SVG 1.1, element by element.
 *
 * Text is drawn in the viewer's own sans-serif, nothing else is fetched; coordinates are pixels
 * from the upper left corner. The file appears whole when it is closed. */
#ifndef MOCO_ENGINE_STUDY_SVG_H
#define MOCO_ENGINE_STUDY_SVG_H

#include "engine/base/replace.h"

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

struct svg {
    struct replace file;
    FILE *out; /* file.file */
};

struct svg_style {
    const char *colour;
    double width;   /* of the line */
    double opacity; /* 0: opaque */
};

int svg_open(struct svg *svg, const char *path, double width, double height, const char *title);
int svg_close(struct svg *svg, const char *path);

void svg_line(struct svg *svg, double x1, double y1, double x2, double y2,
              const struct svg_style *style);
/* points: (n, 2) */
void svg_path(struct svg *svg, const double *points, int n, const struct svg_style *style);
/* A closed area without outline. */
void svg_area(struct svg *svg, const double *points, int n, const struct svg_style *style);
void svg_dot(struct svg *svg, double x, double y, double radius, const struct svg_style *style);
void svg_text(struct svg *svg, double x, double y, double size, enum svg_anchor anchor,
              const char *colour, int bold, const char *text);

#endif
