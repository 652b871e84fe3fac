/* scaled.c: images scaled while they are packed, against sums in double precision. */
#include "tests/pack/pack.h"

/* Output o of an axis, as resample.h defines it. */
static double weight(int j, int o, double scale)
{
    double w = 1 - fabs(j + 0.5 - scale * (o + 0.5)) / scale;
    return w > 0 ? w : 0;
}

static double smaller_pixel(const struct image *x, int c, int y0, int x0, double down, double right)
{
    double sum = 0, total = 0;
    for (int i = 0; i < x->height; i++)
        for (int j = 0; j < x->width; j++) {
            double w = weight(i, y0, down) * weight(j, x0, right);
            sum += w * (double)x->pixels[(c * x->height + i) * x->width + j];
            total += w;
        }
    return sum / total;
}

static void compare_scaled(const struct image *in, const struct image *out, int side)
{
    int shorter = in->height < in->width ? in->height : in->width;
    CHECK(out->height == in->height * side / shorter && out->width == in->width * side / shorter);
    double worst = 0;
    for (int c = 0; c < out->channels; c++)
        for (int y = 0; y < out->height; y++)
            for (int x = 0; x < out->width; x++) {
                double want = smaller_pixel(in, c, y, x, (double)in->height / out->height,
                                            (double)in->width / out->width);
                double got = (double)out->pixels[(c * out->height + y) * out->width + x];
                worst = fmax(worst, fabs(got - want));
            }
    CHECK_MSG(worst < 0.501 / 255, "off by %g steps of 8 bits", 255 * worst);
}

void test_scaled(void)
{
    struct image in = { 0 }, out = { 0 };
    static const int sizes[][2] = { { 31, 40 }, { 40, 21 }, { 64, 13 }, { 9, 9 }, { 8, 30 } };
    char name[64];
    mkdir(at("large"), 0777);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "large/%d.ppm", i);
        put_pnm(name, i == 3 ? 1 : 3, sizes[i][0], sizes[i][1], 255);
    }
    must_pack("large.pack", spec_of("folder", "large", ""), 8);
    CHECK(report.written == 5 && report.scaled == 4);
    struct source *a = must_open(spec_of("folder", "large", ""));
    struct source *b = must_open(spec_of("", "large.pack", ""));
    for (size_t i = 0; a && b && i < 5; i++) {
        CHECK(!a->read(a, i, &in) && !b->read(b, i, &out));
        compare_scaled(&in, &out, 8);
    }
    CHECK(b && b->dtype == DTYPE_U8 && numbers_of("large.pack") == 3 * 8 * (10 + 15 + 39 + 8 + 30));
    image_close(&in);
    image_close(&out);
    source_close(&a);
    source_close(&b);
}
