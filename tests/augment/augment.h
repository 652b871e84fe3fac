/* augment.h: what the tests of views share: policies by what they switch on, and a view of an image
 * of its own size. One file a subject. */
#ifndef MOCO_TESTS_AUGMENT_AUGMENT_H
#define MOCO_TESTS_AUGMENT_AUGMENT_H

#include "engine/data/view/augment.h"
#define CHECK_SHARED
#include "tests/check.h"

/* Resize and normalise only, with mean 0 and std 1. */
void policy_plain(struct policy *policy, int side, int channels);

/* The policy of MoCo v2 at the size of CIFAR. */
void policy_full(struct policy *policy);

/* Adds all that came after the first operations. */
void policy_later(struct policy *policy);

/* A view of an image of its own size: pixels and out are (channels, side, side). */
void apply_whole(float *out, float *pixels, int channels, int side, const struct view *view,
                 const struct policy *policy);

void test_golden(const char *folder); /* golden.c */
void test_draws(void);                /* draws.c */
void test_channels(void);             /* channels.c */
void test_moves(void);                /* moves.c */
void test_noise(void);                /* noise.c */
void test_bytes(void);                /* bytes.c */

#endif
