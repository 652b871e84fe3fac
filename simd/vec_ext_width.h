/* vec_ext_width.h: the operations of one width of vector, included by vec_ext.h once per width with
 * EXT_VEC, EXT_INTS, EXT_LANES and EXT_OP, which it undefines at the end.
 *
 * A comparison gives lanes of ones and zeros; selects are made of them, so that NaN goes where
 * x86's instructions send it. */

static inline EXT_VEC EXT_OP(set1)(float x)
{
    EXT_VEC out;

    for (int i = 0; i < EXT_LANES; i++)
        out[i] = x;
    return out;
}

static inline EXT_VEC EXT_OP(zero)(void)
{
    return (EXT_VEC){0};
}

static inline EXT_VEC EXT_OP(load)(const float *p)
{
    EXT_VEC out;

    memcpy(&out, p, sizeof out);
    return out;
}

static inline void EXT_OP(store)(float *p, EXT_VEC a)
{
    memcpy(p, &a, sizeof a);
}

/* As x86's: to an address that is a multiple of the vector's size, or the program ends. */
static inline void EXT_OP(stream)(float *p, EXT_VEC a)
{
    if ((uintptr_t)p % sizeof a)
        __builtin_trap();
    EXT_OP(store)(p, a);
}

static inline EXT_VEC EXT_OP(load_bf16)(const moco_bf16 *p)
{
    EXT_VEC out;

    for (int i = 0; i < EXT_LANES; i++)
        out[i] = bf16_widened(p[i]);
    return out;
}

static inline void EXT_OP(store_bf16)(moco_bf16 *p, EXT_VEC a)
{
    for (int i = 0; i < EXT_LANES; i++)
        p[i] = bf16_narrowed(a[i]);
}

/* Stores what was loaded, or zeros: no rounding. */
static inline void EXT_OP(keep_bf16)(moco_bf16 *p, EXT_VEC a)
{
    for (int i = 0; i < EXT_LANES; i++)
        p[i] = bf16_upper(a[i]);
}

static inline void EXT_OP(stream_bf16)(moco_bf16 *p, EXT_VEC a)
{
    if ((uintptr_t)p % (EXT_LANES * sizeof *p))
        __builtin_trap();
    EXT_OP(store_bf16)(p, a);
}

static inline EXT_VEC EXT_OP(load_n)(const float *p, size_t n)
{
    EXT_VEC out = {0};

    for (size_t i = 0; i < n && i < EXT_LANES; i++)
        out[i] = p[i];
    return out;
}

static inline void EXT_OP(store_n)(float *p, EXT_VEC a, size_t n)
{
    for (size_t i = 0; i < n && i < EXT_LANES; i++)
        p[i] = a[i];
}

static inline EXT_VEC EXT_OP(add)(EXT_VEC a, EXT_VEC b)
{
    return a + b;
}

static inline EXT_VEC EXT_OP(sub)(EXT_VEC a, EXT_VEC b)
{
    return a - b;
}

static inline EXT_VEC EXT_OP(mul)(EXT_VEC a, EXT_VEC b)
{
    return a * b;
}

static inline EXT_VEC EXT_OP(div)(EXT_VEC a, EXT_VEC b)
{
    return a / b;
}

/* a b + c */
static inline EXT_VEC EXT_OP(fma)(EXT_VEC a, EXT_VEC b, EXT_VEC c)
{
    EXT_VEC out;

    for (int i = 0; i < EXT_LANES; i++)
        out[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return out;
}

/* a b - c */
static inline EXT_VEC EXT_OP(fms)(EXT_VEC a, EXT_VEC b, EXT_VEC c)
{
    return EXT_OP(fma)(a, b, -c);
}

/* c - a b */
static inline EXT_VEC EXT_OP(fnma)(EXT_VEC a, EXT_VEC b, EXT_VEC c)
{
    return EXT_OP(fma)(-a, b, c);
}

/* yes where the lanes of `where` are ones, else no */
static inline EXT_VEC EXT_OP(select)(EXT_INTS where, EXT_VEC yes, EXT_VEC no)
{
    return (EXT_VEC)((where & (EXT_INTS)yes) | (~where & (EXT_INTS)no));
}

/* a > b ? a : b */
static inline EXT_VEC EXT_OP(max)(EXT_VEC a, EXT_VEC b)
{
    return EXT_OP(select)(a > b, a, b);
}

/* a < b ? a : b */
static inline EXT_VEC EXT_OP(min)(EXT_VEC a, EXT_VEC b)
{
    return EXT_OP(select)(a < b, a, b);
}

/* yes where a < b, else no; and where a = b */
static inline EXT_VEC EXT_OP(where_less)(EXT_VEC a, EXT_VEC b, EXT_VEC yes, EXT_VEC no)
{
    return EXT_OP(select)(a < b, yes, no);
}

static inline EXT_VEC EXT_OP(where_equal)(EXT_VEC a, EXT_VEC b, EXT_VEC yes, EXT_VEC no)
{
    return EXT_OP(select)(a == b, yes, no);
}

/* Byte `which` of EXT_LANES pixels of four bytes. */
static inline EXT_VEC EXT_OP(bytes)(const uint8_t *p, int which)
{
    EXT_VEC out;

    for (int i = 0; i < EXT_LANES; i++)
        out[i] = p[4 * i + which];
    return out;
}

/* 0 > a ? 0 : a, so that NaN stays NaN */
static inline EXT_VEC EXT_OP(relu)(EXT_VEC a)
{
    return EXT_OP(max)(EXT_OP(zero)(), a);
}

/* a where s > 0, else +0 */
static inline EXT_VEC EXT_OP(where_positive)(EXT_VEC a, EXT_VEC s)
{
    return EXT_OP(select)(s > EXT_OP(zero)(), a, EXT_OP(zero)());
}

/* a where the lane's bit is set, else +0 */
static inline EXT_VEC EXT_OP(where_bits)(EXT_VEC a, unsigned bits)
{
    EXT_VEC out = {0};

    for (int i = 0; i < EXT_LANES; i++)
        if (bits >> i & 1)
            out[i] = a[i];
    return out;
}

/* +0 where x < floor, else a */
static inline EXT_VEC EXT_OP(zero_below)(EXT_VEC a, EXT_VEC x, EXT_VEC floor)
{
    return EXT_OP(select)(x < floor, EXT_OP(zero)(), a);
}

/* 2^n from the low bits of 1.5 * 2^23 + n */
static inline EXT_VEC EXT_OP(pow2)(EXT_VEC t)
{
    return (EXT_VEC)(((EXT_INTS)t + 127) << 23);
}

/* Bit i is set where lane i of a is above lane i of b; never for NaN. */
static inline unsigned EXT_OP(above)(EXT_VEC a, EXT_VEC b)
{
    unsigned bits = 0;

    for (int i = 0; i < EXT_LANES; i++)
        bits |= (unsigned)(a[i] > b[i]) << i;
    return bits;
}

/* The fixed tree: lanes i and i + EXT_LANES / 2, then the half's. */
static inline float EXT_OP(sum)(EXT_VEC a)
{
    for (int half = EXT_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            a[i] += a[i + half];
    return a[0];
}

static inline float EXT_OP(largest)(EXT_VEC a)
{
    for (int half = EXT_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            a[i] = a[i] > a[i + half] ? a[i] : a[i + half];
    return a[0];
}

#undef EXT_VEC
#undef EXT_INTS
#undef EXT_LANES
#undef EXT_OP
