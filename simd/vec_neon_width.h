/* vec_neon_width.h: the operations of one width of vector, included by vec_neon.h once per width
 * with NEON_VEC, NEON_REGS (its registers) and NEON_OP, which it undefines at the end.
 *
 * Most do the same to each register i. NEON has no masked access, so loads and stores of n lanes go
 * one by one through a buffer. */

#define NEON_EACH(op, parameters, result)                                                        \
    static inline NEON_VEC NEON_OP(op) parameters                                                \
    {                                                                                            \
        NEON_VEC out;                                                                            \
                                                                                                 \
        for (int i = 0; i < NEON_REGS; i++)                                                      \
            out.r[i] = result;                                                                   \
        return out;                                                                              \
    }

NEON_EACH(set1, (float x), vdupq_n_f32(x))
NEON_EACH(load, (const float *p), vld1q_f32(p + 4 * i))
NEON_EACH(load_bf16, (const moco_bf16 *p), q_load_bf16(p + 4 * i))

/* Byte `which` of 4 NEON_REGS pixels of four bytes. */
NEON_EACH(bytes, (const uint8_t *p, int which), q_bytes(p + 16 * i, which))

NEON_EACH(add, (NEON_VEC a, NEON_VEC b), vaddq_f32(a.r[i], b.r[i]))
NEON_EACH(sub, (NEON_VEC a, NEON_VEC b), vsubq_f32(a.r[i], b.r[i]))
NEON_EACH(mul, (NEON_VEC a, NEON_VEC b), vmulq_f32(a.r[i], b.r[i]))
NEON_EACH(div, (NEON_VEC a, NEON_VEC b), vdivq_f32(a.r[i], b.r[i]))

/* a b + c, a b - c, c - a b */
NEON_EACH(fma, (NEON_VEC a, NEON_VEC b, NEON_VEC c), vfmaq_f32(c.r[i], a.r[i], b.r[i]))
NEON_EACH(fms, (NEON_VEC a, NEON_VEC b, NEON_VEC c), vfmaq_f32(vnegq_f32(c.r[i]), a.r[i], b.r[i]))
NEON_EACH(fnma, (NEON_VEC a, NEON_VEC b, NEON_VEC c), vfmsq_f32(c.r[i], a.r[i], b.r[i]))

NEON_EACH(max, (NEON_VEC a, NEON_VEC b), q_max(a.r[i], b.r[i]))
NEON_EACH(min, (NEON_VEC a, NEON_VEC b), vbslq_f32(vcltq_f32(a.r[i], b.r[i]), a.r[i], b.r[i]))

/* yes where a < b, else no; and where a = b */
NEON_EACH(where_less, (NEON_VEC a, NEON_VEC b, NEON_VEC yes, NEON_VEC no),
          vbslq_f32(vcltq_f32(a.r[i], b.r[i]), yes.r[i], no.r[i]))
NEON_EACH(where_equal, (NEON_VEC a, NEON_VEC b, NEON_VEC yes, NEON_VEC no),
          vbslq_f32(vceqq_f32(a.r[i], b.r[i]), yes.r[i], no.r[i]))

NEON_EACH(relu, (NEON_VEC a), q_relu(a.r[i]))
NEON_EACH(where_positive, (NEON_VEC a, NEON_VEC s), q_where_positive(a.r[i], s.r[i]))
NEON_EACH(where_bits, (NEON_VEC a, unsigned bits), q_where_bits(a.r[i], bits >> 4 * i))
NEON_EACH(zero_below, (NEON_VEC a, NEON_VEC x, NEON_VEC floor),
          q_zero_below(a.r[i], x.r[i], floor.r[i]))

static inline NEON_VEC NEON_OP(zero)(void)
{
    return NEON_OP(set1)(0.0f);
}

static inline void NEON_OP(store)(float *p, NEON_VEC a)
{
    for (int i = 0; i < NEON_REGS; i++)
        vst1q_f32(p + 4 * i, a.r[i]);
}

/* NEON has no store past the caches in C; ordinary ones need no end. */
static inline void NEON_OP(stream)(float *p, NEON_VEC a)
{
    NEON_OP(store)(p, a);
}

static inline void NEON_OP(store_bf16)(moco_bf16 *p, NEON_VEC a)
{
    for (int i = 0; i < NEON_REGS; i++)
        q_store_bf16(p + 4 * i, a.r[i]);
}

static inline void NEON_OP(stream_bf16)(moco_bf16 *p, NEON_VEC a)
{
    NEON_OP(store_bf16)(p, a);
}

static inline void NEON_OP(keep_bf16)(moco_bf16 *p, NEON_VEC a)
{
    for (int i = 0; i < NEON_REGS; i++)
        q_keep_bf16(p + 4 * i, a.r[i]);
}

static inline NEON_VEC NEON_OP(load_n)(const float *p, size_t n)
{
    float part[4 * NEON_REGS] = {0};

    for (size_t i = 0; i < n && i < 4 * NEON_REGS; i++)
        part[i] = p[i];
    return NEON_OP(load)(part);
}

static inline void NEON_OP(store_n)(float *p, NEON_VEC a, size_t n)
{
    float part[4 * NEON_REGS];

    NEON_OP(store)(part, a);
    for (size_t i = 0; i < n && i < 4 * NEON_REGS; i++)
        p[i] = part[i];
}

/* Bit i is set where lane i of a is above lane i of b; never for NaN. */
static inline unsigned NEON_OP(above)(NEON_VEC a, NEON_VEC b)
{
    unsigned bits = 0;

    for (int i = 0; i < NEON_REGS; i++)
        bits |= q_above(a.r[i], b.r[i]) << 4 * i;
    return bits;
}

#undef NEON_EACH
#undef NEON_VEC
#undef NEON_REGS
#undef NEON_OP
