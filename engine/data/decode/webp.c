/* webp.c: WebP by libwebp: lossy, lossless, with alpha, and the first frame of an animation. It has
 * no grey images: all have three channels. */
#include "engine/data/decode/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "engine/base/error.h"

enum { RIFF_HEAD = 8 };

/* NULL from libwebp: for lack of memory, or for what the file is. */
static int refuse_null(const struct decode_file *file, const char *why)
{
    return errno == ENOMEM ? error_memory("a WebP", file->whole)
                           : decode_fail(MOCO_EDAMAGED, file, why);
}

static int cut_off(const struct decode_file *file)
{
    return decode_fail(MOCO_ETRUNCATED, file, "a WebP that is cut off");
}

static int refuse(const struct decode_file *file, VP8StatusCode status)
{
    if (status == VP8_STATUS_OUT_OF_MEMORY)
        return error_memory("a WebP", file->whole);
    if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED)
        return cut_off(file);
    return decode_fail(MOCO_EDAMAGED, file, "a WebP whose data make no sense");
}

/* Bytes of the file as its first chunk says. */
static uint64_t promised(const struct decode_file *file)
{
    const unsigned char *b = file->bytes;
    return RIFF_HEAD + ((uint64_t)b[4] | (uint64_t)b[5] << 8 | (uint64_t)b[6] << 16 |
                        (uint64_t)b[7] << 24);
}

/* EXIF's orientation and the number of frames, which stand in chunks anywhere in the file. */
static int read_chunks(struct decode_header *out, const struct decode_file *file)
{
    const WebPData data = { file->bytes, file->size };
    WebPChunkIterator chunk;
    errno = 0;
    WebPDemuxer *demux = WebPDemux(&data);
    if (!demux)
        return refuse_null(file, "a WebP whose chunks make no sense");
    out->frames = (int)WebPDemuxGetI(demux, WEBP_FF_FRAME_COUNT);
    if (WebPDemuxGetChunk(demux, "EXIF", 1, &chunk)) {
        size_t skip = chunk.chunk.size > 6 && !memcmp(chunk.chunk.bytes, "Exif\0\0", 6) ? 6 : 0;
        out->orientation = exif_orientation(chunk.chunk.bytes + skip, chunk.chunk.size - skip);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    WebPDemuxDelete(demux);
    return MOCO_OK;
}

/* Chunks of a still image without EXIF need not be looked at; of the others the whole file. */
int webp_header(struct decode_header *out, const struct decode_file *file)
{
    WebPBitstreamFeatures features;
    if (file->size < 2 * RIFF_HEAD || promised(file) > file->whole)
        return cut_off(file);
    VP8StatusCode status = WebPGetFeatures(file->bytes, file->size, &features);
    if (status != VP8_STATUS_OK)
        return refuse(file, status);
    out->width = features.width;
    out->height = features.height;
    out->channels = 3;
    out->alpha = features.has_alpha != 0;
    out->file_channels = 3 + out->alpha;
    if (memcmp(file->bytes + 12, "VP8X", 4))
        return MOCO_OK;
    return file->size < file->whole ? cut_off(file) : read_chunks(out, file);
}

static int read_still(unsigned char *rgba, const struct decode_file *file,
                      const struct decode_header *size)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return error_set(MOCO_EUNSUPPORTED, "%s: libwebp is of another version than it was built "
                         "with", file->name);
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = rgba;
    config.output.u.RGBA.stride = 4 * size->width;
    config.output.u.RGBA.size = 4 * (size_t)size->width * (size_t)size->height;
    VP8StatusCode status = WebPDecode(file->bytes, file->size, &config);
    WebPFreeDecBuffer(&config.output);
    return status == VP8_STATUS_OK ? MOCO_OK : refuse(file, status);
}

static int read_animation(unsigned char *rgba, const struct decode_file *file,
                          const struct decode_header *size)
{
    const WebPData data = { file->bytes, file->size };
    WebPAnimDecoderOptions options;
    errno = 0;
    WebPAnimDecoder *decoder =
        WebPAnimDecoderOptionsInit(&options) ? WebPAnimDecoderNew(&data, &options) : NULL;
    uint8_t *frame;
    int time, rc = MOCO_OK;
    if (!decoder || !WebPAnimDecoderGetNext(decoder, &frame, &time))
        rc = refuse_null(file, "a WebP whose first frame makes no sense");
    else
        memcpy(rgba, frame, 4 * (size_t)size->width * (size_t)size->height);
    WebPAnimDecoderDelete(decoder);
    return rc;
}

int webp_image(struct image *out, const struct decode_file *file,
               const struct decode_header *header, int channels, struct part *part)
{
    struct decode_header size = *header; /* as the file has it, before turning */
    struct decode_target target;
    WebPBitstreamFeatures features;
    VP8StatusCode status = WebPGetFeatures(file->bytes, file->size, &features);
    if (status != VP8_STATUS_OK)
        return refuse(file, status);
    if (header->orientation >= 5)
        size.height = header->width, size.width = header->height;
    size_t row = 4 * (size_t)size.width, bytes = row * (size_t)size.height;
    unsigned char *rgba = malloc(bytes);
    int rc = rgba ? MOCO_OK : error_memory("a WebP", bytes);
    if (!rc)
        rc = features.has_animation ? read_animation(rgba, file, &size) /* of one frame, too */
                                    : read_still(rgba, file, &size);
    if (!rc)
        rc = decode_aim(&target, out, header, channels, part, 1);
    for (int y = rc ? 0 : target.top; !rc && y < target.top + target.height; y++)
        decode_put8(out, &target, y, channels, rgba + (size_t)y * row + 4 * (size_t)target.left, 4);
    free(rgba);
    return rc;
}
