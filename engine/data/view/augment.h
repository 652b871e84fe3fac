/* augment.h: one view of one image: random parameters drawn first, then applied.
 *
 * Definitions are torchvision v2's on float32 tensors: RandomResizedCrop (10 tries, then the
 * centre fall-back; bilinear resize, antialiased unless the policy says otherwise),
 * RandomHorizontalFlip, RandomVerticalFlip, RandomRotation (bilinear, about the centre, outside 0),
 * ColorJitter (random order of its four parts, hue through HSV), RandomGrayscale (weights .2989
 * .587 .114), GaussianBlur, RandomSolarize, Normalize. Beyond torchvision, as defined here: quarter
 * turns (torch.rot90), a rotation that reflects at the edges, operations for channels that are no
 * colours, noise, dropped channels. They are applied in this order:
 *
 *   crop and resize, flips, quarter turns, rotation, jitter, grey, blur, solarisation, shot noise,
 *   Gaussian noise, dropped channels, (x - mean) / std
 *
 * Drawing and applying are apart so that a test can apply parameters that torchvision drew.
 * In: an image (C, H, W). Out: a view (C, side, side), normalised. */
#ifndef MOCO_ENGINE_DATA_VIEW_AUGMENT_H
#define MOCO_ENGINE_DATA_VIEW_AUGMENT_H

#include "engine/base/rng.h"
#include "engine/data/source.h"
#include "simd/simd.h"

enum { AUGMENT_CHANNELS_MAX = 256 };

/* What may happen to a view; one per run. All fields 0 = resize and normalise only. */
struct policy {
    int side;                       /* H = W of the views */
    int plain_height, plain_width;  /* of evaluation's view, which then is the whole image, its axes
                                     * scaled apart; 0, 0: the centre, side x side */
    int channels;                   /* of the data; saturation and hue need 3 (else they are off) */
    float scale_lo, scale_hi;       /* area of the crop; 0, 0: the whole image is resized */
    float ratio_lo, ratio_hi;       /* aspect ratio of the crop, 3/4 and 4/3 */
    float flip_p;                   /* horizontal flip */
    float jitter_p;                 /* colour jitter as a whole */
    float brightness, contrast, saturation, hue; /* factor in 1±b, 1±c, 1±s; hue in ±h */
    float grey_p;
    float blur_p, blur_lo, blur_hi; /* sigma of the Gaussian, in pixels of the view */
    int blur_kernel;                /* taps, odd; 0: the odd number nearest to side / 10 */
    int aliased;                    /* the crop is resized without antialiasing */
    float flip_vertical_p;
    int quarter_turns;              /* 0, 90, 180 or 270 degrees, each as likely */
    float rotate;                   /* angle in ±rotate degrees */
    int rotate_reflect;             /* outside the view lies its mirror image, not 0 */
    int per_channel;                /* channels are no colours: brightness and contrast of each by
                                     * itself, grey is their mean, no saturation, no hue */
    float solarise_p, solarise_threshold;
    float poisson;                  /* counts that a value of 1 stands for; 0: no shot noise */
    float noise;                    /* sigma of the Gaussian noise; values are not clamped */
    float drop_p;                   /* of each channel, to its mean: 0 once it is normalised */
    float mean[AUGMENT_CHANNELS_MAX], std[AUGMENT_CHANNELS_MAX];
    const struct moco_simd *simd;   /* kernels; NULL: the best here, as moco_simd_init() finds it */
};

enum jitter_part { JITTER_BRIGHTNESS, JITTER_CONTRAST, JITTER_SATURATION, JITTER_HUE };

/* What happens to this view. */
struct view {
    int top, left, height, width;     /* of the crop, in pixels of the image */
    int flip;
    int jitter;                       /* 0: none of the four */
    enum jitter_part order[4];
    float factor[4];                  /* by jitter_part; 1, 1, 1, 0 change nothing */
    int per_channel;                  /* the first two by channel: */
    float channel_factor[2][AUGMENT_CHANNELS_MAX];
    int grey;                         /* of the colours, or of all channels */
    float sigma;                      /* 0: no blur */
    int flip_vertical, turns;         /* quarter turns against the clock, 0..3 */
    float angle;                      /* in degrees against the clock */
    int solarise;
    int dropped;                      /* channels with drop[c] */
    unsigned char drop[AUGMENT_CHANNELS_MAX];
    struct rng noise;                 /* the view's stream behind its parameters */
};

enum view_grey { VIEW_GREY_COLOUR = 1, VIEW_GREY_MEAN };

/* Working memory of one thread; zero it at the start. */
struct augment_scratch {
    float *floats; /* owned */
    size_t capacity;
    struct moco_simd simd; /* where the policy names none */
};

/* Draws the parameters of a view for an image of (height, width). */
void augment_draw(struct view *out, const struct policy *policy, int height, int width,
                  struct rng *rng);

/* dst: (C, side, side) = the view of `image`, normalised. */
int augment_apply(float *dst, const struct image *image, const struct view *view,
                  const struct policy *policy, struct augment_scratch *scratch);

/* dst: (C, side, side) = the image (shorter side resized to `side`, centre crop), normalised: what
 * evaluation sees; with plain_height (C, plain_height, plain_width) = the whole image. An image
 * that has the size already is only normalised. */
int augment_plain(float *dst, const struct image *image, const struct policy *policy,
                  struct augment_scratch *scratch);

void augment_scratch_close(struct augment_scratch *scratch);

#endif
