/* svg.c: see svg.h. Two digits behind the point are a hundredth of a pixel. */
#include "engine/plot/svg.h"

/* Characters that XML 1.0 does not have become blanks. */
void svg_escape(FILE *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        switch (*p) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*p < 32 ? ' ' : *p, out);
        }
    }
}

void svg_begin(struct svg *svg, FILE *out, double width, double height, const char *title)
{
    svg->out = out;
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                 "viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, Arial, sans-serif\">\n"
                 "<title>", width, height, width, height);
    svg_escape(out, title);
    fprintf(out, "</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
}

void svg_end(struct svg *svg)
{
    fprintf(svg->out, "</svg>\n");
}

static void stroke(FILE *out, const struct svg_style *style)
{
    fprintf(out, " stroke=\"%s\" stroke-width=\"%.2f\"", style->colour, style->width);
    if (style->opacity > 0)
        fprintf(out, " stroke-opacity=\"%.2f\"", style->opacity);
}

void svg_line(struct svg *svg, double x1, double y1, double x2, double y2,
              const struct svg_style *style)
{
    fprintf(svg->out, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\"", x1, y1, x2, y2);
    stroke(svg->out, style);
    fputs("/>\n", svg->out);
}

static void write_points(FILE *out, const double *points, int n)
{
    for (int i = 0; i < n; i++)
        fprintf(out, "%s%.2f,%.2f", i ? " " : "", points[2 * i], points[2 * i + 1]);
}

void svg_path(struct svg *svg, const double *points, int n, const struct svg_style *style)
{
    fputs("<polyline points=\"", svg->out);
    write_points(svg->out, points, n);
    fputs("\" fill=\"none\" stroke-linejoin=\"round\"", svg->out);
    stroke(svg->out, style);
    fputs("/>\n", svg->out);
}

void svg_area(struct svg *svg, const double *points, int n, const struct svg_style *style)
{
    fputs("<polygon points=\"", svg->out);
    write_points(svg->out, points, n);
    fprintf(svg->out, "\" fill=\"%s\" fill-opacity=\"%.2f\"/>\n", style->colour,
            style->opacity > 0 ? style->opacity : 1.0);
}

void svg_dot(struct svg *svg, double x, double y, double radius, const struct svg_style *style)
{
    fprintf(svg->out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" fill=\"%s\"", x, y, radius,
            style->colour);
    if (style->opacity > 0)
        fprintf(svg->out, " fill-opacity=\"%.2f\"", style->opacity);
    fputs("/>\n", svg->out);
}

void svg_text(struct svg *svg, double x, double y, double size, enum svg_anchor anchor,
              const char *colour, int bold, const char *text)
{
    static const char *const anchors[] = { "start", "middle", "end" };
    fprintf(svg->out, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%.0f\" text-anchor=\"%s\" "
                      "fill=\"%s\"%s>", x, y, size, anchors[anchor], colour,
            bold ? " font-weight=\"bold\"" : "");
    svg_escape(svg->out, text);
    fputs("</text>\n", svg->out);
}
