/* svg.h: a picture in SVG 1.1, element by element, into an open file.
 *
 * Text is drawn in the viewer's own sans-serif, nothing else is fetched; coordinates are pixels
 * from the upper left corner. Errors of writing stay in the file (ferror). */
#ifndef MOCO_ENGINE_PLOT_SVG_H
#define MOCO_ENGINE_PLOT_SVG_H

#include <stdio.h>

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

struct svg {
    FILE *out; /* borrowed */
};

struct svg_style {
    const char *colour;
    double width;   /* of the line */
    double opacity; /* 0: opaque */
};

/* A file of its own begins with this line, a picture in a page does not. */
#define SVG_DECLARATION "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

void svg_begin(struct svg *svg, FILE *out, double width, double height, const char *title);
void svg_end(struct svg *svg);

/* Text of an element or attribute, of HTML too. */
void svg_escape(FILE *out, const char *text);

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
