/* harness.c: see augment.h. */
#include "tests/augment/augment.h"

#include "engine/base/error.h"

int check_count, check_failures;

void policy_plain(struct policy *policy, int side, int channels)
{
    *policy = (struct policy){ .side = side, .channels = channels,
                               .ratio_lo = 3.0f / 4.0f, .ratio_hi = 4.0f / 3.0f };
    for (int c = 0; c < channels; c++)
        policy->std[c] = 1.0f;
}

void policy_full(struct policy *policy)
{
    policy_plain(policy, 32, 3);
    policy->scale_lo = 0.2f, policy->scale_hi = 1.0f;
    policy->flip_p = 0.5f, policy->jitter_p = 0.8f, policy->grey_p = 0.2f;
    policy->brightness = policy->contrast = policy->saturation = 0.4f, policy->hue = 0.1f;
    policy->blur_p = 0.5f, policy->blur_lo = 0.1f, policy->blur_hi = 2.0f;
}

void policy_later(struct policy *policy)
{
    policy->aliased = 1, policy->flip_vertical_p = 0.3f, policy->quarter_turns = 1;
    policy->rotate = 20.0f, policy->solarise_p = 0.2f, policy->solarise_threshold = 0.5f;
    policy->poisson = 100.0f, policy->noise = 0.1f, policy->drop_p = 0.4f;
}

void apply_whole(float *out, float *pixels, int channels, int side, const struct view *view,
                 const struct policy *policy)
{
    size_t n = (size_t)(channels * side * side);
    struct image image = { .pixels = pixels, .channels = channels, .height = side,
                           .width = side, .capacity = n };
    struct augment_scratch scratch = { 0 };
    struct view whole = *view;

    whole.height = whole.width = side;
    CHECK_MSG(augment_apply(out, &image, &whole, policy, &scratch) == 0, "%s", error_text());
    augment_scratch_close(&scratch);
}
