/* dnnl.c: convolutions by oneDNN 2.x or 3.x; nothing outside this file and dnnl_shim.h, which has
 * what differs between the two, names a oneDNN type.
 *
 * Primitives are created once. Activations have plain block tags (nChw8c, nChw16c), weights the
 * tag that oneDNN likes best for each direction; our OIHW weights are reordered into scratch on
 * each call. Winograd is the choice of oneDNN 2.x (`convolution_auto`), on AVX-512 only. With
 * bfloat16 activations the weights become bfloat16 in that reorder; their gradient is float. */
#include "engine/net/conv_impl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <oneapi/dnnl/dnnl_debug.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/net/dnnl_shim.h"
#include "engine/net/encoder.h"

enum { ARGS_MAX = 4 };

/* One primitive with the memory objects whose handles change from call to call. */
struct primitive {
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t run;
    dnnl_exec_arg_t args[ARGS_MAX]; /* memories owned; the last is the library's scratchpad */
    int arg_count;
    size_t pad_bytes; /* of the scratchpad */
};

/* One direction of the convolution, with the reorder of its weights. */
struct direction {
    struct primitive conv, reorder;
    size_t weight_bytes; /* in the layout that the direction wants */
};

struct onednn {
    struct conv_shape shape;
    char name[64];
    struct direction directions[3]; /* by enum conv_direction; unopened ones are empty */
    size_t scratch_bytes;
};

static const char *const titles[] = { "the forward pass", "the data gradient",
                                      "the weight gradient" };

/* One engine and one stream for the process: oneDNN's CPU engine has no state of its own. */
static dnnl_engine_t cpu_engine;
static dnnl_stream_t cpu_stream;

/* Its C++ throws out of C functions, or writes to what it did not get, where an allocation fails:
 * memory is tried for before each call, and a handler of signals may ask where the process was. */
enum { TRY_OPEN = 16 << 20, TRY_RUN = 1 << 20 };

static atomic_int busy;

static int begin_call(size_t bytes)
{
    int err = arena_try(bytes, "oneDNN's own records");
    if (!err)
        atomic_fetch_add(&busy, 1);
    return err;
}

static void end_call(void)
{
    atomic_fetch_sub(&busy, 1);
}

int net_library_busy(void)
{
    return atomic_load(&busy) > 0;
}

static int dnnl_error(dnnl_status_t status, const char *name, const char *what)
{
    return status == dnnl_success
               ? MOCO_OK
               : error_set(status == dnnl_out_of_memory ? MOCO_ENOMEM : MOCO_EDNNL,
                           "oneDNN refused %s of layer %s (status %d)", what, name, (int)status);
}

/* oneDNN's code for AVX2 needs FMA and does not ask for it; a hypervisor can hide it, and a few
 * CPUs lack it. A cap from outside is kept. Nothing of oneDNN that depends on the CPU may come
 * before. */
static void cap_isa(void)
{
    static int done;
    if (!done && moco_cpu_level() == MOCO_LEVEL_REF && !getenv("ONEDNN_MAX_CPU_ISA") &&
        !getenv("DNNL_MAX_CPU_ISA"))
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx);
    done = 1;
}

static int start_engine(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* engines may open side by side */
    dnnl_status_t status = dnnl_success;
    pthread_mutex_lock(&lock);
    cap_isa();
    if (!cpu_engine)
        status = dnnl_engine_create(&cpu_engine, dnnl_cpu, 0);
    if (status == dnnl_success && !cpu_stream)
        status = dnnl_stream_create(&cpu_stream, cpu_engine, dnnl_stream_default_flags);
    pthread_mutex_unlock(&lock);
    return status == dnnl_success ? MOCO_OK
                                  : error_set(MOCO_EDNNL, "oneDNN can not start its CPU engine");
}

const char *net_library_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

/* oneDNN says "cpu_isa_avx2", and 0 where it has nothing for the CPU but plain code. */
const char *net_library_level(void)
{
    if (begin_call(TRY_OPEN))
        return "a level that can not be asked for without memory";
    cap_isa();
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const char *name = dnnl_cpu_isa2str(isa);
    end_call();
    if (isa == 0)
        return "plain code";
    return strncmp(name, "cpu_isa_", 8) ? name : name + 8;
}

int onednn_has_bf16(int lanes)
{
    if (begin_call(TRY_OPEN))
        return 0;
    cap_isa();
    unsigned isa = dnnl_get_effective_cpu_isa(), bf16 = dnnl_cpu_isa_avx512_core_bf16;
    end_call();
    return lanes == 16 && (isa & bf16) == bf16;
}

void net_sgemm(float *c, const float *a, const float *b, size_t M, size_t N, size_t K)
{
    cap_isa();
    dnnl_sgemm('N', 'N', (dnnl_dim_t)M, (dnnl_dim_t)N, (dnnl_dim_t)K, 1.0f, a, (dnnl_dim_t)K, b,
               (dnnl_dim_t)N, 0.0f, c, (dnnl_dim_t)N);
}

static void primitive_close(struct primitive *p)
{
    for (int i = 0; i < p->arg_count; i++)
        if (p->args[i].memory)
            dnnl_memory_destroy(p->args[i].memory);
    if (p->run)
        dnnl_primitive_destroy(p->run);
    if (p->desc)
        dnnl_primitive_desc_destroy(p->desc);
    *p = (struct primitive){ 0 };
}

/* Adds the memory of one argument as the primitive describes it. */
static dnnl_status_t add_argument(struct primitive *p, int arg, dnnl_query_t query, int index)
{
    shim_const_desc md = dnnl_primitive_desc_query_md(p->desc, query, index);
    dnnl_exec_arg_t *slot = &p->args[p->arg_count];

    if (!md)
        return dnnl_invalid_arguments;
    *slot = (dnnl_exec_arg_t){ .arg = arg };
    p->arg_count++;
    if (arg == DNNL_ARG_SCRATCHPAD)
        p->pad_bytes = arena_round(dnnl_memory_desc_get_size(md));
    return dnnl_memory_create(&slot->memory, md, cpu_engine, DNNL_MEMORY_NONE);
}

/* handles: in the order in which the arguments were added. */
static dnnl_status_t primitive_run(struct primitive *p, const void *const *handles)
{
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < p->arg_count && status == dnnl_success; i++)
        status = dnnl_memory_set_data_handle(p->args[i].memory, (void *)(size_t)handles[i]);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(p->run, cpu_stream, p->arg_count, p->args);
    return status == dnnl_success ? dnnl_stream_wait(cpu_stream) : status;
}

/* Descriptors of the three tensors of a convolution; weights in any layout, or canonical. */
struct shapes {
    shim_desc src, weights, dst, canonical;
};

static void shapes_close(struct shapes *m)
{
    shim_desc_destroy(m->src);
    shim_desc_destroy(m->weights);
    shim_desc_destroy(m->dst);
    shim_desc_destroy(m->canonical);
}

/* out must be zeroes, and be closed also after a failure. */
static dnnl_status_t describe(struct shapes *out, const struct conv_shape *s,
                              enum conv_direction which)
{
    dnnl_data_type_t number = s->number == MOCO_BF16 ? dnnl_bf16 : dnnl_f32;
    dnnl_data_type_t of_weights = which == CONV_BACKWARD_WEIGHTS ? dnnl_f32 : number;
    dnnl_format_tag_t block = s->lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_dims_t src = { s->B, s->IC, s->H, s->W }, dst = { s->B, s->OC, s->OH, s->OW };
    dnnl_dims_t weights = { s->OC, s->IC, s->kernel, s->kernel };
    dnnl_status_t status =
        shim_desc_create(&out->src, 4, src, number, s->src_plain ? dnnl_nchw : block);
    if (status == dnnl_success)
        status = shim_desc_create(&out->dst, 4, dst, number, block);
    if (status == dnnl_success)
        status = shim_desc_create(&out->weights, 4, weights, of_weights, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = shim_desc_create(&out->canonical, 4, weights, dnnl_f32, dnnl_oihw);
    return status;
}

static dnnl_status_t describe_conv(dnnl_primitive_desc_t *out, const struct shapes *m,
                                   const struct conv_shape *s, enum conv_direction which,
                                   const_dnnl_primitive_desc_t hint,
                                   const_dnnl_primitive_attr_t attr)
{
    struct shim_conv conv = {
        .alg = s->policy == CONV_DIRECT ? dnnl_convolution_direct : dnnl_convolution_auto,
        .src = m->src, .weights = m->weights, .dst = m->dst,
        .strides = { s->stride, s->stride }, .near = { s->pad, s->pad },
        /* The far side's padding is what the output size leaves. */
        .far = { (s->OH - 1) * s->stride + s->kernel - s->H - s->pad,
                 (s->OW - 1) * s->stride + s->kernel - s->W - s->pad },
    };
    switch (which) {
    case CONV_FORWARD:
        return shim_conv_forward(out, cpu_engine, &conv, attr);
    case CONV_BACKWARD_DATA:
        return shim_conv_backward_data(out, cpu_engine, &conv, hint, attr);
    default:
        return shim_conv_backward_weights(out, cpu_engine, &conv, hint, attr);
    }
}

static dnnl_status_t add_conv_arguments(struct primitive *p, enum conv_direction which)
{
    static const struct {
        int arg;
        dnnl_query_t query;
    } table[3][3] = {
        { { DNNL_ARG_SRC, dnnl_query_src_md },
          { DNNL_ARG_WEIGHTS, dnnl_query_weights_md },
          { DNNL_ARG_DST, dnnl_query_dst_md } },
        { { DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md },
          { DNNL_ARG_WEIGHTS, dnnl_query_weights_md },
          { DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md } },
        { { DNNL_ARG_SRC, dnnl_query_src_md },
          { DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md },
          { DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md } },
    };
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < 3 && status == dnnl_success; i++)
        status = add_argument(p, table[which][i].arg, table[which][i].query, 0);
    if (status == dnnl_success)
        status = add_argument(p, DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, 0);
    return status;
}

/* The reorder between OIHW and the layout of this direction; for the weight gradient backwards. */
static dnnl_status_t open_reorder(struct direction *d, shim_const_desc canonical,
                                  enum conv_direction which, const_dnnl_primitive_attr_t attr)
{
    struct primitive *r = &d->reorder;
    shim_const_desc own = dnnl_primitive_desc_query_md(
        d->conv.desc,
        which == CONV_BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    shim_const_desc from = which == CONV_BACKWARD_WEIGHTS ? own : canonical;
    shim_const_desc to = which == CONV_BACKWARD_WEIGHTS ? canonical : own;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&r->desc, from, cpu_engine, to, cpu_engine, attr);

    d->weight_bytes = arena_round(dnnl_memory_desc_get_size(own));
    if (status == dnnl_success)
        status = dnnl_primitive_create(&r->run, r->desc);
    if (status == dnnl_success)
        status = add_argument(r, DNNL_ARG_FROM, dnnl_query_src_md, 0);
    if (status == dnnl_success)
        status = add_argument(r, DNNL_ARG_TO, dnnl_query_dst_md, 0);
    if (status == dnnl_success)
        status = add_argument(r, DNNL_ARG_SCRATCHPAD, dnnl_query_scratchpad_md, 0);
    return status;
}

static dnnl_status_t direction_open(struct direction *d, const struct conv_shape *s,
                                    enum conv_direction which, const_dnnl_primitive_desc_t hint)
{
    struct shapes m = { 0 };
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = describe(&m, s, which);

    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = describe_conv(&d->conv.desc, &m, s, which, hint, attr);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&d->conv.run, d->conv.desc);
    if (status == dnnl_success)
        status = add_conv_arguments(&d->conv, which);
    if (status == dnnl_success)
        status = open_reorder(d, m.canonical, which, attr);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    shapes_close(&m);
    return status;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t direction_bytes(const struct direction *d)
{
    return d->weight_bytes + larger(d->conv.pad_bytes, d->reorder.pad_bytes);
}

static size_t canonical_bytes(const struct conv_shape *s)
{
    return arena_round((size_t)s->OC * s->IC * s->kernel * s->kernel * sizeof(float));
}

/* The backward primitives want the forward one's description as a hint, so it is made even where
 * only they will run. */
static int open_directions(struct onednn *c, unsigned wanted)
{
    for (int i = 0; i < 3; i++) {
        if (i != CONV_FORWARD && !(wanted & conv_bit((enum conv_direction)i)))
            continue;
        dnnl_status_t status =
            direction_open(&c->directions[i], &c->shape, (enum conv_direction)i,
                           i == CONV_FORWARD ? NULL : c->directions[CONV_FORWARD].conv.desc);
        if (status != dnnl_success)
            return dnnl_error(status, c->name, titles[i]);
        size_t bytes = direction_bytes(&c->directions[i]) +
                       (i == CONV_BACKWARD_WEIGHTS ? canonical_bytes(&c->shape) : 0);
        c->scratch_bytes = larger(c->scratch_bytes, bytes);
    }
    return MOCO_OK;
}

int onednn_open(struct onednn **out, const struct conv_shape *shape, unsigned directions,
                const char *name)
{
    struct onednn *c = calloc(1, sizeof *c);
    int err = c ? begin_call(TRY_OPEN) : error_memory("a convolution", sizeof *c);

    *out = NULL;
    if (err) {
        free(c);
        return err;
    }
    *out = c;
    err = start_engine();
    c->shape = *shape;
    snprintf(c->name, sizeof c->name, "%s", name);
    if (shape->src_plain)
        directions &= ~conv_bit(CONV_BACKWARD_DATA);
    if (!err)
        err = open_directions(c, directions);
    end_call();
    if (err)
        onednn_close(out);
    return err;
}

void onednn_close(struct onednn **conv)
{
    struct onednn *c = *conv;
    if (!c)
        return;
    for (int i = 0; i < 3; i++) {
        primitive_close(&c->directions[i].conv);
        primitive_close(&c->directions[i].reorder);
    }
    free(c);
    *conv = NULL;
}

size_t onednn_scratch_bytes(const struct onednn *conv)
{
    return conv->scratch_bytes;
}

/* Weights into the layout of the direction, then the convolution. first, last: the arguments
 * before and after the weights in the primitive's order. */
static dnnl_status_t run_with_weights(struct direction *d, const void *first, const void *weights,
                                      const void *last, void *scratch)
{
    unsigned char *own = scratch, *pad = own + d->weight_bytes;
    const void *reorder[] = { weights, own, pad };
    const void *conv[] = { first, own, last, pad };
    dnnl_status_t status = primitive_run(&d->reorder, reorder);
    return status == dnnl_success ? primitive_run(&d->conv, conv) : status;
}

static dnnl_status_t run_for_weights(const struct onednn *c, struct direction *d, float *d_weights,
                                     const void *src, const void *d_dst, void *scratch)
{
    size_t count = (size_t)c->shape.OC * c->shape.IC * c->shape.kernel * c->shape.kernel;
    float *plain = scratch; /* (OC, IC, kernel, kernel) */
    unsigned char *own = (unsigned char *)scratch + canonical_bytes(&c->shape);
    unsigned char *pad = own + d->weight_bytes;
    const void *conv[] = { src, own, d_dst, pad };
    const void *reorder[] = { own, plain, pad };
    dnnl_status_t status = primitive_run(&d->conv, conv);

    if (status == dnnl_success)
        status = primitive_run(&d->reorder, reorder);
    if (status != dnnl_success)
        return status;
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < count; i++)
        d_weights[i] += plain[i];
    return status;
}

int onednn_run(struct onednn *c, enum conv_direction direction, void *out, const void *a,
               const void *b, void *scratch)
{
    struct direction *d = &c->directions[direction];
    dnnl_status_t status;
    int err = begin_call(TRY_RUN);
    if (err)
        return err;
    if (direction == CONV_FORWARD)
        status = run_with_weights(d, a, b, out, scratch);
    else if (direction == CONV_BACKWARD_DATA)
        status = run_with_weights(d, out, b, a, scratch);
    else
        status = run_for_weights(c, d, out, a, b, scratch);
    end_call();
    return dnnl_error(status, c->name, titles[direction]);
}
