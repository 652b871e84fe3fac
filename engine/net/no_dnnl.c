/* no_dnnl.c: what dnnl.c offers in a build without oneDNN: nothing, with a sentence. */
#include "engine/base/error.h"
#include "engine/net/conv_impl.h"
#include "engine/net/encoder.h"

const char *net_library_version(void)
{
    return NULL;
}

const char *net_library_level(void)
{
    return NULL;
}

int net_library_busy(void)
{
    return 0;
}

int onednn_has_bf16(int lanes)
{
    (void)lanes;
    return 0;
}

int onednn_open(struct onednn **out, const struct conv_shape *shape, unsigned directions,
                const char *name)
{
    (void)shape;
    (void)directions;
    *out = NULL;
    return error_set(MOCO_EUNSUPPORTED,
                     "layer %s was to be computed by oneDNN, which this build is without", name);
}

void onednn_close(struct onednn **conv)
{
    *conv = NULL;
}

size_t onednn_scratch_bytes(const struct onednn *conv)
{
    (void)conv;
    return 0;
}

int onednn_run(struct onednn *conv, enum conv_direction direction, void *out, const void *a,
               const void *b, void *scratch)
{
    (void)conv;
    (void)direction;
    (void)out;
    (void)a;
    (void)b;
    (void)scratch;
    return error_set(MOCO_EUNSUPPORTED, "this build is without oneDNN");
}
