/* bytes.c: what gives the same bytes: the same stream, bytes for the floats they stand for, and
 * every level of instructions. */
#include "tests/augment/augment.h"

#include <string.h>

#include "tests/levels.h"

/* The same stream gives the same view, whatever the scratch was used for before. */
static void test_repeatable(void)
{
    enum { SIDE = 32, FLOATS = 3 * SIDE * SIDE };
    static float pixels[3 * 48 * 40], a[FLOATS], b[FLOATS];
    struct image image = { pixels, 3, 48, 40, 3 * 48 * 40, 0, 0 };
    struct augment_scratch fresh = { 0 }, used = { 0 };
    struct policy policy;

    struct rng noise = rng_at(6, RNG_TEST, 0, 0);
    for (size_t i = 0; i < image.capacity; i++)
        pixels[i] = (float)rng_uniform(&noise);
    policy_full(&policy);
    policy_later(&policy);
    policy.mean[1] = 0.5f, policy.std[1] = 0.25f;
    for (uint64_t i = 0; i < 50; i++) {
        struct view v, w;
        struct rng first = rng_at(7, RNG_VIEW, 1, i), second = rng_at(7, RNG_VIEW, 1, i);
        augment_draw(&v, &policy, 48, 40, &first);
        augment_draw(&w, &policy, 48, 40, &second);
        CHECK(augment_apply(a, &image, &v, &policy, &used) == 0);
        CHECK(augment_apply(b, &image, &w, &policy, &fresh) == 0);
        CHECK_MSG(memcmp(a, b, sizeof(a)) == 0, "view %d is not repeatable", (int)i);
        augment_scratch_close(&fresh);
    }
    augment_scratch_close(&used);
}

/* An image of drawn bytes, as floats and, of three channels, as bytes too. */
static void draw_images(struct image *floats, struct image *bytes, int channels, int height,
                        int width, struct rng *rng)
{
    CHECK(!image_resize(floats, channels, height, width));
    CHECK(!image_resize(bytes, channels, height, width));
    for (int i = 0; i < height * width; i++)
        for (int c = 0; c < channels; c++) {
            unsigned char byte = (unsigned char)rng_below(rng, 256);
            ((unsigned char *)bytes->pixels)[4 * i + c] = byte;
            floats->pixels[c * height * width + i] = (float)byte / 255.0f;
        }
    bytes->bytes = channels == 3;
}

/* A view of bytes is the view of the floats that stand for them, and every level of instructions
 * gives the bytes of the plain C. */
static void compare_levels(const struct policy *policy, int height, int width, uint64_t number)
{
    enum { MOST = 4 * 61 * 61 };
    static float want[MOST], got[MOST];
    size_t out = (size_t)policy->channels * (size_t)policy->side * (size_t)policy->side;
    struct image floats = { 0 }, bytes = { 0 };
    struct augment_scratch scratch = { 0 };
    struct moco_simd tables[TABLES_MAX];
    struct policy with = *policy;
    struct rng rng = rng_at(11, RNG_TEST, 0, number);
    struct view view;

    draw_images(&floats, &bytes, policy->channels, height, width, &rng);
    augment_draw(&view, policy, height, width, &rng);
    for (size_t t = 0, count = all_tables(tables); t < count; t++) {
        with.simd = &tables[t];
        CHECK(!augment_apply(got, &floats, &view, &with, &scratch));
        if (t == 0)
            memcpy(want, got, out * sizeof(*want));
        CHECK_MSG(!memcmp(got, want, out * sizeof(*want)), "view %d: %s differs from ref",
                  (int)number, tables[t].name);
        if (!bytes.bytes)
            continue;
        CHECK(!augment_apply(got, &bytes, &view, &with, &scratch));
        CHECK_MSG(!memcmp(got, want, out * sizeof(*want)), "view %d: bytes differ, %s",
                  (int)number, tables[t].name);
    }
    image_close(&floats);
    image_close(&bytes);
    augment_scratch_close(&scratch);
}

static void test_levels(void)
{
    static const int side[] = { 32, 61, 17, 48 }, channels[] = { 3, 1, 4, 3, 3 };
    struct policy policy;

    for (uint64_t i = 0; i < 48; i++) {
        policy_full(&policy);
        policy.side = side[i % 4];
        policy.channels = channels[i % 5];
        if (i % 2)
            policy_later(&policy);
        policy.per_channel = i % 6 == 5;
        for (int c = 0; c < policy.channels; c++)
            policy.mean[c] = 0.4f + 0.1f * (float)c, policy.std[c] = 0.25f;
        compare_levels(&policy, 20 + (int)(i * 37 % 150), 24 + (int)(i * 53 % 150), i);
    }
}

void test_bytes(void)
{
    test_repeatable();
    test_levels();
}
