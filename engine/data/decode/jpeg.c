/* jpeg.c: JPEG by libjpeg(-turbo), or by stb_image where the build has none.
 *
 * libjpeg leaves through longjmp() on errors, so everything that lives across one is in a struct.
 * What it calls warnings are guesses about damaged data: those make the file unreadable, the
 * harmless ones (unknown versions, bytes between segments, numbers that nothing reads) pass. Only
 * what the part needs is decoded: at 1/2, 1/4 or 1/8 by smaller inverse transforms, rows above
 * skipped, rows below never reached. The part is asked for with a margin, because libjpeg smooths
 * colour across its edges, so that the pixels are those of a whole decoding. */
#include "engine/data/decode/decode.h"

#include <string.h>

#include "engine/base/error.h"

#ifdef MOCO_JPEG
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include <jerror.h>
#else
#include <stb_image.h>
#endif

/* ---- EXIF ---- */

struct tiff {
    const unsigned char *bytes;
    size_t size;
    int little;
};

static uint32_t number(const struct tiff *tiff, size_t at, int width)
{
    uint32_t value = 0;
    if (at > tiff->size || tiff->size - at < (size_t)width)
        return 0;
    for (int i = 0; i < width; i++)
        value |= (uint32_t)tiff->bytes[at + (size_t)i] << 8 * (tiff->little ? i : width - 1 - i);
    return value;
}

/* Orientation is tag 0x0112, one SHORT, of the first directory. */
int exif_orientation(const unsigned char *bytes, size_t size)
{
    struct tiff tiff = { bytes, size, size > 0 && bytes[0] == 'I' };
    size_t at = number(&tiff, 4, 4), count = number(&tiff, at, 2);
    if (number(&tiff, 2, 2) != 42)
        return 1;
    for (size_t i = 0; i < count; i++) {
        size_t entry = at + 2 + 12 * i;
        if (number(&tiff, entry, 2) != 0x0112)
            continue;
        uint32_t value = number(&tiff, entry + 8, 2);
        int usual = number(&tiff, entry + 2, 2) == 3 && number(&tiff, entry + 4, 4) == 1;
        return usual && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

int jpeg_orientation(const unsigned char *bytes, size_t size)
{
    for (size_t at = 2; size >= 4 && at <= size - 4 && bytes[at] == 0xff;) {
        unsigned char marker = bytes[at + 1];
        size_t length = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xda || length < 2 || length > size - at - 2)
            return 1;
        if (marker == 0xe1 && length >= 16 && !memcmp(bytes + at + 4, "Exif\0\0", 6))
            return exif_orientation(bytes + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

#ifdef MOCO_JPEG

/* ---- libjpeg ---- */

enum { BLOCK_PIXELS = 64 };

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr error;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    char why[JMSG_LENGTH_MAX];
    int code; /* of the failure */
    const struct decode_file *file;
    unsigned char *row; /* owned */
};

static struct reader *reader_of(j_common_ptr jpeg)
{
    return jpeg->client_data;
}

/* Cut off, of a kind that the library does not read, or damaged. */
static int code_of(int message)
{
    switch (message) {
    case JERR_INPUT_EOF:
    case JERR_INPUT_EMPTY:
        return MOCO_ETRUNCATED;
    case JERR_NO_SOI:
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_CONVERSION_NOTIMPL:
        return MOCO_EFORMAT;
    case JERR_OUT_OF_MEMORY: /* the system's, or more at once than the library ever asks for */
        return errno == ENOMEM ? MOCO_ENOMEM : MOCO_EFORMAT;
    default:
        return MOCO_EDAMAGED;
    }
}

static void fail(j_common_ptr jpeg)
{
    struct reader *reader = reader_of(jpeg);
    reader->code = code_of(jpeg->err->msg_code);
    (*jpeg->err->format_message)(jpeg, reader->why);
    longjmp(reader->failed, 1);
}

static void warn(j_common_ptr jpeg, int level)
{
    int code = jpeg->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM &&
        code != JWRN_JFIF_MAJOR && code != JWRN_TOO_MUCH_DATA && code != JWRN_NOT_SEQUENTIAL
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
        && code != JWRN_BOGUS_ICC
#endif
    )
        fail(jpeg);
}

static void output_message(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void count_scans(j_common_ptr common)
{
    struct reader *reader = reader_of(common);
    if (reader->jpeg.input_scan_number <= DECODE_SCANS_MAX)
        return;
    snprintf(reader->why, sizeof reader->why, "more than %d scans", DECODE_SCANS_MAX);
    longjmp(reader->failed, 1);
}

/* Behind the start of a file, where the rest was not handed in. */
static boolean no_more(j_decompress_ptr jpeg)
{
    ERREXIT(jpeg, JERR_INPUT_EOF);
    return FALSE;
}

static void start(struct reader *reader, const struct decode_file *file)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    errno = 0;
    jpeg_create_decompress(jpeg); /* clears all but err and client_data */
    reader->progress.progress_monitor = count_scans;
    jpeg->progress = &reader->progress;
    jpeg_mem_src(jpeg, (unsigned char *)(uintptr_t)file->bytes, (unsigned long)file->size);
    jpeg->src->fill_input_buffer = no_more; /* the library's own makes up an end */
    jpeg_read_header(jpeg, TRUE);
}

static void prepare(struct reader *reader, const struct decode_file *file)
{
    memset(reader, 0, sizeof *reader);
    reader->jpeg.err = jpeg_std_error(&reader->error);
    reader->jpeg.client_data = reader;
    reader->error.error_exit = fail;
    reader->error.emit_message = warn;
    reader->error.output_message = output_message;
    reader->file = file;
    reader->code = MOCO_EFORMAT;
}

static int finish(struct reader *reader, int rc)
{
    jpeg_destroy_decompress(&reader->jpeg);
    free(reader->row);
    return rc;
}

static int refused(struct reader *reader)
{
    if (reader->code == MOCO_ENOMEM)
        return finish(reader, error_memory(reader->file->name, reader->file->size));
    return finish(reader, decode_fail(reader->code, reader->file, reader->why));
}

int jpeg_header(struct decode_header *out, const struct decode_file *file)
{
    struct reader reader;
    prepare(&reader, file);
    if (setjmp(reader.failed))
        return refused(&reader);
    start(&reader, file);
    struct jpeg_decompress_struct *jpeg = &reader.jpeg;
    out->height = (int)jpeg->image_height;
    out->width = (int)jpeg->image_width;
    out->file_channels = jpeg->num_components;
    out->channels = jpeg->num_components == 1 ? 1 : 3;
    out->progressive = jpeg_has_multiple_scans(jpeg);
    out->pixels_a_byte = jpeg->arith_code ? 0 : BLOCK_PIXELS * 8; /* a bit or more a block */
    out->orientation = jpeg_orientation(file->bytes, file->size);
    int known = jpeg->num_components == 1 || jpeg->num_components == 3 || jpeg->num_components == 4;
    return finish(&reader, known ? MOCO_OK : decode_refuse(file, "a JPEG of 2 or more than 4 "
                                                           "channels"));
}

/* Four bytes a pixel, where libjpeg-turbo gives them, are faster taken apart. */
#ifdef JCS_EXTENSIONS
#define RGB_SPACE JCS_EXT_RGBX
#else
#define RGB_SPACE JCS_RGB
#endif

static void choose(struct jpeg_decompress_struct *jpeg, int divisor, size_t bytes)
{
    static const J_COLOR_SPACE spaces[] = { JCS_GRAYSCALE, RGB_SPACE, RGB_SPACE, JCS_CMYK };
    jpeg->out_color_space = spaces[jpeg->num_components - 1];
    jpeg->scale_num = 1;
    jpeg->scale_denom = (unsigned)divisor;
    jpeg->mem->max_memory_to_use = (long)bytes; /* of the coefficients of a progressive file */
}

/* CMYK, which Adobe stores inverted, to RGB in place: (1 - c) (1 - k) and so on. */
static void cmyk_to_rgb(unsigned char *row, int n, int inverted)
{
    const unsigned char *in = row;
    int flip = inverted ? 0 : 255;
    for (int x = 0; x < n; x++, in += 4, row += 3)
        for (int c = 0; c < 3; c++) {
            int t = (in[c] ^ flip) * (in[3] ^ flip) + 128; /* rounded division by 255 */
            row[c] = (unsigned char)((t + (t >> 8)) >> 8);
        }
}

/* Rows and columns beside the part that its edges are made with: two of subsampled colour. */
enum { MARGIN = 4 };

/* Leaves out columns and rows before the part; returns the first column and *row, the next row. */
static int skip_before(struct jpeg_decompress_struct *jpeg, const struct decode_target *target,
                       int *row)
{
    *row = 0;
#if defined LIBJPEG_TURBO_VERSION_NUMBER && LIBJPEG_TURBO_VERSION_NUMBER >= 2001000
    int from = target->left > MARGIN ? target->left - MARGIN : 0;
    int to = target->left + target->width + MARGIN, width = (int)jpeg->output_width;
    JDIMENSION left = (JDIMENSION)from, columns = (JDIMENSION)((to < width ? to : width) - from);
    if (columns < jpeg->output_width)
        jpeg_crop_scanline(jpeg, &left, &columns);
    else
        left = 0;
    if (target->top > MARGIN)
        *row = (int)jpeg_skip_scanlines(jpeg, (JDIMENSION)(target->top - MARGIN));
    return (int)left;
#else
    (void)jpeg, (void)target;
    return 0;
#endif
}

static void read_rows(struct reader *reader, struct image *out, int channels,
                      const struct decode_target *target)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    int row, left = skip_before(jpeg, target, &row), from = jpeg->output_components;
    int cmyk = jpeg->out_color_space == JCS_CMYK;
    unsigned char *wanted = reader->row + (target->left - left) * from;
    for (; row < target->top + target->height; row++) {
        jpeg_read_scanlines(jpeg, &reader->row, 1);
        if (row < target->top)
            continue;
        if (cmyk)
            cmyk_to_rgb(wanted, target->width, jpeg->saw_Adobe_marker);
        decode_put8(out, target, row, channels, wanted, cmyk ? 3 : from);
    }
    if (jpeg->output_scanline == jpeg->output_height)
        jpeg_finish_decompress(jpeg); /* reads to the end and so sees that it is there */
}

int jpeg_image(struct image *out, const struct decode_file *file,
               const struct decode_header *header, int channels, struct part *part)
{
    struct reader reader;
    struct decode_target target;
    int divisor = part ? part->divisor : 1;
    int rc = decode_aim(&target, out, header, channels, part, divisor);
    if (rc != MOCO_OK)
        return rc;
    prepare(&reader, file);
    if (setjmp(reader.failed))
        return refused(&reader);
    start(&reader, file);
    choose(&reader.jpeg, divisor, decode_bytes(header, file->size));
    jpeg_start_decompress(&reader.jpeg);
    size_t bytes = (size_t)reader.jpeg.output_width * 4;
    reader.row = malloc(bytes);
    if (!reader.row)
        return finish(&reader, error_memory("a row of a JPEG", bytes));
    read_rows(&reader, out, channels, &target);
    return finish(&reader, MOCO_OK);
}

#else

/* ---- stb_image ---- */

int jpeg_header(struct decode_header *out, const struct decode_file *file)
{
    stb_budget((size_t)4 << 20);
    if (!stbi_info_from_memory(file->bytes, (int)file->size, &out->width, &out->height,
                               &out->file_channels))
        return stb_refuse(file, MOCO_EFORMAT, stbi_failure_reason());
    out->channels = out->file_channels == 1 ? 1 : 3;
    out->orientation = jpeg_orientation(file->bytes, file->size);
    return MOCO_OK;
}

/* It reads a file that is cut off as if zeros followed: at least the end must be there. */
static int has_end(const struct decode_file *file)
{
    for (size_t at = file->size; at >= 2; at--)
        if (file->bytes[at - 2] == 0xff && file->bytes[at - 1] == 0xd9)
            return 1;
    return 0;
}

int jpeg_image(struct image *out, const struct decode_file *file,
               const struct decode_header *header, int channels, struct part *part)
{
    struct decode_target target;
    int width, height, from;
    if (!has_end(file))
        return decode_fail(MOCO_ETRUNCATED, file, "a JPEG that is cut off");
    stb_budget(decode_bytes(header, file->size));
    unsigned char *data = stbi_load_from_memory(file->bytes, (int)file->size, &width, &height,
                                                &from, header->channels);
    if (!data)
        return stb_refuse(file, MOCO_EDAMAGED, stbi_failure_reason());
    int rc = decode_aim(&target, out, header, channels, part, 1);
    for (int y = target.top; rc == MOCO_OK && y < target.top + target.height; y++)
        decode_put8(out, &target, y, channels,
                    data + ((size_t)y * (size_t)width + (size_t)target.left) *
                           (size_t)header->channels, header->channels);
    stbi_image_free(data);
    return rc;
}

#endif
