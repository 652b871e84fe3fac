/* test_shape: side and what evaluation sees, by the sizes that images mostly have; grey images for
 * what takes colours. */
#include "tests/files.h"

#include "engine/data/grey.h"
#include "engine/data/shape.h"
#include "engine/eval/embed.h"
#include "engine/run/train.h"

static struct moco_simd simd;

/* A picture of noise, `channels` 1 or 3. */
static void put_noise(const char *name, int channels, int height, int width, unsigned seed)
{
    size_t n = (size_t)(channels * height * width);
    unsigned char *bytes = malloc(32 + n);
    int head = snprintf((char *)bytes, 32, "P%c %d %d 255\n", channels == 3 ? '6' : '5', width,
                        height);
    for (size_t i = 0; i < n; i++)
        bytes[(size_t)head + i] = (unsigned char)((seed += 2654435761u) >> 13);
    put(name, bytes, (size_t)head + n);
    free(bytes);
}

/* Images of (height, width) and `odd` of another size. */
static struct shape shape_with(const char *folder, int height, int width, int odd, int h, int w)
{
    char name[60];
    struct shape shape = { 0 };
    mkdir(at(folder), 0777);
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "%s/%d.ppm", folder, i);
        put_noise(name, 3, i < odd ? h : height + i % 2, i < odd ? w : width, (unsigned)i + 1);
    }
    struct source *source = must_open(spec_of("folder", folder, ""));
    CHECK(!shape_of(&shape, source));
    source_close(&source);
    return shape;
}

static void side_is(const char *spec, int side, const char *stem)
{
    struct config config;
    config_default(&config);
    struct source *source = must_open(spec);
    CHECK_MSG(!views_resolve(&config, source, NULL), "%s", error_text());
    CHECK_MSG(config.value.side == side && !strcmp(config.value.stem, stem), "%s: %d, %s", spec,
              config.value.side, config.value.stem);
    source_close(&source);
}

static void test_sides(void)
{
    struct shape s = shape_with("near", 28, 30, 0, 0, 0);
    CHECK(s.shorter >= 28 && s.shorter <= 29 && s.width == 30 && !s.elongated);
    side_is(spec_of("folder", "near", ""), s.shorter, "cifar");
    s = shape_with("odd", 28, 30, 1, 400, 500); /* one odd image changes nothing */
    CHECK(s.shorter >= 28 && s.shorter <= 29 && !s.elongated);
    side_is(spec_of("folder", "odd", ""), s.shorter, "cifar");
    s = shape_with("large", 300, 400, 4, 20, 20);
    CHECK(s.shorter >= 300);
    side_is(spec_of("folder", "large", ""), 224, "imagenet");
    s = shape_with("wide", 16, 40, 0, 0, 0);
    CHECK(s.elongated && s.width == 40);
    s = shape_with("odd-wide", 16, 16, 4, 16, 200);
    CHECK(!s.elongated);
    s = shape_with("tall", 80, 16, 4, 30, 30);
    CHECK(s.elongated && s.width == 16);
}

static void test_whole(void)
{
    struct shape shape = shape_with("bar", 12, 96, 0, 0, 0);
    struct policy policy = { .side = 12, .channels = 3 };
    struct image image = { 0 };
    static float x[9 * 3 * 13 * 96];
    char text[400];
    for (int c = 0; c < 3; c++)
        policy.std[c] = 1.0f;
    struct source *source = must_open(spec_of("folder", "bar", ""));
    shape_text(text, sizeof text, &shape, source);
    CHECK_MSG(strstr(text, "of 96 columns"), "%s", text);
    shape_pixels(&policy, &shape);
    CHECK(policy.plain_height == shape.height && policy.plain_width == 96);
    CHECK(embed_pixel_dim(&policy) == (size_t)(3 * shape.height * 96));
    /* An image of that size is taken as it is. */
    size_t same = 0;
    for (size_t i = 0; i < 9; i++) {
        CHECK(!embed_pixels(x, source, &i, 1, &policy, 1, &simd, NULL));
        CHECK(!source->read(source, i, &image));
        if (image.height == shape.height)
            same += !memcmp(x, image.pixels, embed_pixel_dim(&policy) * sizeof *x);
        else
            same += fabsf(x[0] - image.pixels[0]) < 0.5f;
    }
    CHECK_MSG(same == 9, "%zu", same);
    shape_square(&policy, &shape);
    CHECK(policy.plain_height == 12 && policy.plain_width == 12);
    CHECK(!embed_pixels(x, source, NULL, 1, &policy, 1, &simd, NULL));
    /* Each pixel is a mean of 8 columns: the view's mean is the image's. */
    CHECK(!source->read(source, 0, &image));
    double view = 0, whole = 0;
    for (int i = 0; i < 3 * 144; i++)
        view += (double)x[i] / (3 * 144);
    for (int i = 0; i < 3 * image.height * 96; i++)
        whole += (double)image.pixels[i] / (3 * image.height * 96);
    CHECK_MSG(fabs(view - whole) < 0.02, "%g, not %g", view, whole);
    shape_with("long", 2000, 4001, 0, 0, 0);
    source_close(&source);
    source = must_open(spec_of("folder", "long", ""));
    CHECK(!shape_of(&shape, source) && shape.elongated);
    shape_pixels(&policy, &shape); /* no more pixels than a square of 224 has */
    CHECK(policy.plain_height * policy.plain_width <= 224 * 224 &&
          policy.plain_width > 2 * policy.plain_height - 3);
    source_close(&source);
    image_close(&image);
}

/* Grey files give what the same files of three equal channels do. */
static void test_grey(void)
{
    struct policy policy = { .side = 10, .channels = 3, .mean = { 0.4f, 0.5f, 0.6f },
                             .std = { 0.2f, 0.3f, 0.4f } };
    static float a[3 * 100], b[3 * 100];
    unsigned char colour[15 + 3 * 14 * 17] = "P6 17 14 255\n", *grey;
    mkdir(at("grey"), 0777);
    mkdir(at("rgb"), 0777);
    put_noise("grey/0.pgm", 1, 14, 17, 5);
    size_t n = get(&grey, "grey/0.pgm");
    CHECK(n == 13 + 14 * 17);
    for (int i = 0; i < 3 * 14 * 17; i++)
        colour[13 + i] = grey[13 + i / 3];
    put("rgb/0.ppm", colour, 13 + 3 * 14 * 17);
    free(grey);
    struct source *one = must_open(spec_of("folder", "grey", ""));
    struct source *three = must_open(spec_of("folder", "rgb", ""));
    CHECK(one->channels == 1 && three->channels == 3);
    CHECK_MSG(!embed_decode(a, one, NULL, 1, &policy, NULL), "%s", error_text());
    CHECK(!embed_decode(b, three, NULL, 1, &policy, NULL));
    CHECK(!memcmp(a, b, sizeof a));
    const struct view_draw draw = { .seed = 3 };
    policy.scale_lo = 0.2f, policy.scale_hi = 1.0f, policy.ratio_lo = 0.75f;
    policy.ratio_hi = 4.0f / 3;
    CHECK(!embed_decode(a, one, NULL, 1, &policy, &draw));
    CHECK(!embed_decode(b, three, NULL, 1, &policy, &draw));
    CHECK(!memcmp(a, b, sizeof a));
    policy.channels = 1;
    CHECK(embed_decode(a, three, NULL, 1, &policy, NULL) == MOCO_EARG);
    CHECK(strstr(error_text(), "3 channels"));
    CHECK(grey_expands(1, 3) && grey_expands(2, 4) && !grey_expands(3, 1) &&
          !grey_expands(1, 4));
    source_close(&one);
    source_close(&three);
}

int main(void)
{
    if (moco_simd_init(&simd, NULL) || files_begin())
        return 1;
    test_sides();
    test_whole();
    test_grey();
    files_end();
    return check_summary("shape");
}
