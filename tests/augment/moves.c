/* moves.c: flips, turns and rotation, which move pixels. */
#include "tests/augment/augment.h"

#include <math.h>

/* Flips and turns move pixels and change none: flips first, then turns against the clock. */
static void test_places(void)
{
    enum { SIDE = 5 };
    float pixels[SIDE * SIDE], out[SIDE * SIDE];
    struct policy policy;

    policy_plain(&policy, SIDE, 1);
    for (int i = 0; i < SIDE * SIDE; i++)
        pixels[i] = (float)i;
    for (int move = 0; move < 16; move++) {
        struct view view = { .flip = move & 1, .flip_vertical = move >> 1 & 1, .turns = move >> 2 };
        int wrong = 0;
        apply_whole(out, pixels, 1, SIDE, &view, &policy);
        for (int i = 0; i < SIDE * SIDE; i++) {
            int y = i / SIDE, x = i % SIDE;
            for (int turn = 0; turn < view.turns; turn++) {
                int kept = y;
                y = x, x = SIDE - 1 - kept;
            }
            x = view.flip ? SIDE - 1 - x : x;
            y = view.flip_vertical ? SIDE - 1 - y : y;
            wrong += out[i] != pixels[y * SIDE + x];
        }
        CHECK_MSG(wrong == 0, "move %d: %d pixels at a wrong place", move, wrong);
    }
}

/* Outside is 0 or the mirror image; within the inner circle the two are the same. */
static void test_rotation_edges(void)
{
    enum { SIDE = 24, PLANE = SIDE * SIDE };
    float pixels[PLANE], zero[PLANE], mirror[PLANE];
    struct view view = { .angle = 37.0f };
    struct policy policy;
    int outside = 0, wrong = 0;

    policy_plain(&policy, SIDE, 1);
    for (int i = 0; i < PLANE; i++)
        pixels[i] = 0.75f;
    apply_whole(zero, pixels, 1, SIDE, &view, &policy);
    policy.rotate_reflect = 1;
    apply_whole(mirror, pixels, 1, SIDE, &view, &policy);
    for (int i = 0; i < PLANE; i++) {
        outside += zero[i] == 0.0f;
        wrong += fabsf(mirror[i] - 0.75f) > 1e-6f;
    }
    CHECK_MSG(outside > 40 && zero[0] == 0.0f && wrong == 0, "%d outside, %d wrong", outside,
              wrong);
    for (int i = 0; i < PLANE; i++)
        pixels[i] = (float)(i * 37 % 101) / 101.0f;
    apply_whole(mirror, pixels, 1, SIDE, &view, &policy);
    policy.rotate_reflect = 0;
    apply_whole(zero, pixels, 1, SIDE, &view, &policy);
    for (int i = 0; i < PLANE; i++) {
        double y = i / SIDE - 11.5, x = i % SIDE - 11.5;
        CHECK(x * x + y * y > 11.0 * 11.0 || zero[i] == mirror[i]);
    }
}

void test_moves(void)
{
    test_places();
    test_rotation_edges();
}
