/* direct_plane.h: copies between blocked images and rows for one lane width; included by
 * direct_body.h once per width with DC_VEC, DC_LANES, DC_OP and DC_FN, which it undefines at the
 * end. A block of channels of a pixel is one vector. Images hold floats or bfloat16 numbers: a
 * constant of the always-inlined functions, which step through them in bytes. */

INLINE DC_VEC DC_FN(pixel)(enum moco_number number, const void *p)
{
    return number == MOCO_BF16 ? DC_OP(load_bf16)(p) : DC_OP(load)(p);
}

INLINE size_t DC_FN(pixel_bytes)(enum moco_number number)
{
    return DC_LANES * (number == MOCO_BF16 ? sizeof(moco_bf16) : sizeof(float));
}

/* One tap and block of `count` pixels that stand at the places `at`. */
INLINE void DC_FN(gather_run)(enum moco_number number, float *v, size_t stride, const char *d,
                              const long *at, size_t count)
{
    for (size_t t = 0; t < count; t++)
        DC_OP(store)(v + t * stride,
                     at[t] < 0 ? DC_OP(zero)() : DC_FN(pixel)(number, d + at[t]));
}

INLINE void DC_FN(gather)(enum moco_number number, float *v, size_t stride, const char *d,
                          const struct moco_image *image, size_t first_block, size_t blocks,
                          const struct moco_grid *grid, const struct moco_tap *tap, size_t taps,
                          size_t first, size_t count)
{
    size_t step = DC_FN(pixel_bytes)(number), plane = image->H * image->W * step;
    long at[RUN];

    for (size_t t = 0; t < count; t += RUN) {
        size_t n = least(RUN, count - t);

        for (size_t k = 0; k < taps; k++) {
            places(at, image, step, grid, &tap[k], first + t, n);
            for (size_t b = 0; b < blocks; b++)
                DC_FN(gather_run)(number, v + t * stride + (k * blocks + b) * DC_LANES, stride,
                                  d + (first_block + b) * plane, at, n);
        }
    }
}

INLINE void DC_FN(scatter)(enum moco_number number, char *d, const float *m, size_t width,
                           const struct moco_image *image, size_t first_block, size_t blocks,
                           const struct moco_grid *grid, const struct moco_tap *tap, size_t first,
                           size_t count)
{
    size_t step = DC_FN(pixel_bytes)(number), plane = image->H * image->W * step;
    long at[RUN];

    for (size_t t = 0; t < count; t += RUN) {
        size_t n = least(RUN, count - t);

        places(at, image, step, grid, tap, first + t, n);
        for (size_t b = 0; b < blocks; b++)
            for (size_t i = 0; i < n; i++) {
                DC_VEC x = DC_OP(load)(m + (t + i) * width + b * DC_LANES);
                char *to = d + (first_block + b) * plane + at[i];

                if (number == MOCO_BF16)
                    DC_OP(store_bf16)((moco_bf16 *)(void *)to, x);
                else
                    DC_OP(store)((float *)(void *)to, x);
            }
    }
}

#undef DC_VEC
#undef DC_LANES
#undef DC_OP
#undef DC_FN
