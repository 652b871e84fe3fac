/* vec_neon_width.h: the operations of one width of vector, included by vec_neon.h once per width
 * with NEON_VEC, NEON_REGS (its registers) and NEON_OP, which it undefines at the end.
 *
 * NEON has no masked access, so loads and stores of n lanes go one by one through a buffer. */

static inline NEON_VEC NEON_OP(set1)(float x)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vdupq_n_f32(x);
    return out;
}

static inline NEON_VEC NEON_OP(zero)(void)
{
    return NEON_OP(set1)(0.0f);
}

static inline NEON_VEC NEON_OP(load)(const float *p)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vld1q_f32(p + 4 * i);
    return out;
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

static inline NEON_VEC NEON_OP(load_bf16)(const moco_bf16 *p)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = q_load_bf16(p + 4 * i);
    return out;
}

static inline void NEON_OP(store_bf16)(moco_bf16 *p, NEON_VEC a)
{
    for (int i = 0; i < NEON_REGS; i++)
        q_store_bf16(p + 4 * i, a.r[i]);
}

static inline void NEON_OP(keep_bf16)(moco_bf16 *p, NEON_VEC a)
{
    for (int i = 0; i < NEON_REGS; i++)
        q_keep_bf16(p + 4 * i, a.r[i]);
}

static inline void NEON_OP(stream_bf16)(moco_bf16 *p, NEON_VEC a)
{
    NEON_OP(store_bf16)(p, a);
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

static inline NEON_VEC NEON_OP(add)(NEON_VEC a, NEON_VEC b)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vaddq_f32(a.r[i], b.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(sub)(NEON_VEC a, NEON_VEC b)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vsubq_f32(a.r[i], b.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(mul)(NEON_VEC a, NEON_VEC b)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vmulq_f32(a.r[i], b.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(div)(NEON_VEC a, NEON_VEC b)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vdivq_f32(a.r[i], b.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(max)(NEON_VEC a, NEON_VEC b)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = q_max(a.r[i], b.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(min)(NEON_VEC a, NEON_VEC b)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vbslq_f32(vcltq_f32(a.r[i], b.r[i]), a.r[i], b.r[i]);
    return out;
}

/* yes where a < b, else no; and where a = b */
static inline NEON_VEC NEON_OP(where_less)(NEON_VEC a, NEON_VEC b, NEON_VEC yes, NEON_VEC no)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vbslq_f32(vcltq_f32(a.r[i], b.r[i]), yes.r[i], no.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(where_equal)(NEON_VEC a, NEON_VEC b, NEON_VEC yes, NEON_VEC no)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vbslq_f32(vceqq_f32(a.r[i], b.r[i]), yes.r[i], no.r[i]);
    return out;
}

/* Byte `which` of 4 NEON_REGS pixels of four bytes. */
static inline NEON_VEC NEON_OP(bytes)(const uint8_t *p, int which)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = q_bytes(p + 16 * i, which);
    return out;
}

/* a b + c */
static inline NEON_VEC NEON_OP(fma)(NEON_VEC a, NEON_VEC b, NEON_VEC c)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vfmaq_f32(c.r[i], a.r[i], b.r[i]);
    return out;
}

/* a b - c */
static inline NEON_VEC NEON_OP(fms)(NEON_VEC a, NEON_VEC b, NEON_VEC c)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vfmaq_f32(vnegq_f32(c.r[i]), a.r[i], b.r[i]);
    return out;
}

/* c - a b */
static inline NEON_VEC NEON_OP(fnma)(NEON_VEC a, NEON_VEC b, NEON_VEC c)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = vfmsq_f32(c.r[i], a.r[i], b.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(relu)(NEON_VEC a)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = q_relu(a.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(where_positive)(NEON_VEC a, NEON_VEC s)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = q_where_positive(a.r[i], s.r[i]);
    return out;
}

static inline NEON_VEC NEON_OP(where_bits)(NEON_VEC a, unsigned bits)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = q_where_bits(a.r[i], bits >> 4 * i);
    return out;
}

static inline NEON_VEC NEON_OP(zero_below)(NEON_VEC a, NEON_VEC x, NEON_VEC floor)
{
    NEON_VEC out;

    for (int i = 0; i < NEON_REGS; i++)
        out.r[i] = q_zero_below(a.r[i], x.r[i], floor.r[i]);
    return out;
}

static inline unsigned NEON_OP(above)(NEON_VEC a, NEON_VEC b)
{
    unsigned bits = 0;

    for (int i = 0; i < NEON_REGS; i++)
        bits |= q_above(a.r[i], b.r[i]) << 4 * i;
    return bits;
}

#undef NEON_VEC
#undef NEON_REGS
#undef NEON_OP
