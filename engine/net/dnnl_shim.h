/* dnnl_shim.h: all that oneDNN 2.x and 3.x want called differently; for dnnl.c and its peer in
 * bench/.
 *
 * Descriptors of tensors are handles, as in 3.x; in 2.x, where they are values, a handle points to
 * one. A description of a primitive is made in one call, as in 3.x, from what 2.x puts into a
 * descriptor of the operation first. Flags and kinds go by names that both know, since their values
 * differ. Of what is common a part means less in 3.x: `convolution_auto` has no Winograd there. */
#ifndef MOCO_ENGINE_NET_DNNL_SHIM_H
#define MOCO_ENGINE_NET_DNNL_SHIM_H

#include <stdlib.h>

#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t shim_desc;
typedef const_dnnl_memory_desc_t shim_const_desc;
#else
typedef dnnl_memory_desc_t *shim_desc;
typedef const dnnl_memory_desc_t *shim_const_desc;
#endif

/* A convolution without bias and dilation. near, far: padding before and behind the rows (columns).
 * In the directions of gradients src and dst (weights) stand for their gradients. */
struct shim_conv {
    dnnl_alg_kind_t alg;
    shim_const_desc src, weights, dst;
    dnnl_dims_t strides, near, far;
};

#if DNNL_VERSION_MAJOR >= 3

static inline dnnl_status_t shim_desc_create(shim_desc *out, int rank, const dnnl_dims_t dims,
                                             dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(out, rank, dims, type, tag);
}

static inline void shim_desc_destroy(shim_desc desc)
{
    if (desc)
        dnnl_memory_desc_destroy(desc);
}

static const dnnl_dims_t shim_undilated = { 0 };

static inline dnnl_status_t shim_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                              const struct shim_conv *c,
                                              const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_forward_primitive_desc_create(
        out, engine, dnnl_forward_training, c->alg, c->src, c->weights, NULL, c->dst, c->strides,
        shim_undilated, c->near, c->far, attr);
}

static inline dnnl_status_t shim_conv_backward_data(dnnl_primitive_desc_t *out,
                                                    dnnl_engine_t engine,
                                                    const struct shim_conv *c,
                                                    const_dnnl_primitive_desc_t forward,
                                                    const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_backward_data_primitive_desc_create(
        out, engine, c->alg, c->src, c->weights, c->dst, c->strides, shim_undilated, c->near,
        c->far, forward, attr);
}

static inline dnnl_status_t shim_conv_backward_weights(dnnl_primitive_desc_t *out,
                                                       dnnl_engine_t engine,
                                                       const struct shim_conv *c,
                                                       const_dnnl_primitive_desc_t forward,
                                                       const_dnnl_primitive_attr_t attr)
{
    return dnnl_convolution_backward_weights_primitive_desc_create(
        out, engine, c->alg, c->src, c->weights, NULL, c->dst, c->strides, shim_undilated, c->near,
        c->far, forward, attr);
}

#else /* 2.x */

static inline dnnl_status_t shim_desc_create(shim_desc *out, int rank, const dnnl_dims_t dims,
                                             dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    *out = calloc(1, sizeof **out);
    return *out ? dnnl_memory_desc_init_by_tag(*out, rank, dims, type, tag) : dnnl_out_of_memory;
}

static inline void shim_desc_destroy(shim_desc desc)
{
    free(desc);
}

static inline dnnl_status_t shim_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                              const struct shim_conv *c,
                                              const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &desc, dnnl_forward_training, c->alg, c->src, c->weights, NULL, c->dst, c->strides,
        c->near, c->far);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &desc, attr, engine, NULL)
                                  : status;
}

static inline dnnl_status_t shim_conv_backward_data(dnnl_primitive_desc_t *out,
                                                    dnnl_engine_t engine,
                                                    const struct shim_conv *c,
                                                    const_dnnl_primitive_desc_t forward,
                                                    const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_convolution_backward_data_desc_init(
        &desc, c->alg, c->src, c->weights, c->dst, c->strides, c->near, c->far);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &desc, attr, engine, forward)
                                  : status;
}

static inline dnnl_status_t shim_conv_backward_weights(dnnl_primitive_desc_t *out,
                                                       dnnl_engine_t engine,
                                                       const struct shim_conv *c,
                                                       const_dnnl_primitive_desc_t forward,
                                                       const_dnnl_primitive_attr_t attr)
{
    dnnl_convolution_desc_t desc;
    dnnl_status_t status = dnnl_convolution_backward_weights_desc_init(
        &desc, c->alg, c->src, c->weights, NULL, c->dst, c->strides, c->near, c->far);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &desc, attr, engine, forward)
                                  : status;
}

#endif
#endif
