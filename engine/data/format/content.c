/* content.c: see content.h. A table of first bytes, then the few kinds that need a second look. */
#define _GNU_SOURCE
#include "engine/data/format/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "engine/data/format/pack.h"

enum { USER_BLOCK_MAX = 1 << 16 }; /* in front of HDF5 */

static const struct magic {
    size_t at, length;
    const char *bytes;
    enum content content;
} magics[] = {
    { 0, 3, "\xff\xd8\xff", CONTENT_JPEG },
    { 0, 8, "\x89PNG\r\n\x1a\n", CONTENT_PNG },
    { 0, 6, "GIF87a", CONTENT_GIF },
    { 0, 6, "GIF89a", CONTENT_GIF },
    { 8, 4, "WEBP", CONTENT_WEBP }, /* behind RIFF and a length */
    { 0, 4, "II*\0", CONTENT_TIFF },
    { 0, 4, "MM\0*", CONTENT_TIFF },
    { 0, 4, "II+\0", CONTENT_TIFF },
    { 0, 4, "MM\0+", CONTENT_TIFF },
    { 0, 9, "SIMPLE  =", CONTENT_FITS },
    { 0, 8, "\211HDF\r\n\032\n", CONTENT_HDF5 },
    { 512, 8, "\211HDF\r\n\032\n", CONTENT_MATLAB73 },
    { 0, 6, "\x93NUMPY", CONTENT_NPY },
    { 0, PACK_MAGIC_SIZE, PACK_MAGIC, CONTENT_PACKED },
    { 0, 4, "PK\3\4", CONTENT_ZIP },
    { 0, 4, "PK\5\6", CONTENT_ZIP },
    { 0, 2, "\x1f\x8b", CONTENT_GZIP },
    { 257, 5, "ustar", CONTENT_TAR },
    { 0, 3, "BZh", CONTENT_BZIP2 },
    { 0, 6, "\xfd" "7zXZ\0", CONTENT_XZ },
    { 0, 4, "\x28\xb5\x2f\xfd", CONTENT_ZSTD },
    { 0, 6, "7z\xbc\xaf\x27\x1c", CONTENT_7Z },
    { 0, 6, "Rar!\x1a\x07", CONTENT_RAR },
    { 0, 4, "PAR1", CONTENT_PARQUET },
    { 0, 6, "ARROW1", CONTENT_ARROW },
    { 0, 4, "FEA1", CONTENT_ARROW },
    { 128, 4, "DICM", CONTENT_DICOM },
    { 344, 4, "n+1\0", CONTENT_NIFTI },
    { 344, 4, "ni1\0", CONTENT_NIFTI },
    { 4, 4, "n+2\0", CONTENT_NIFTI },
    { 0, 10, "MATLAB 5.0", CONTENT_MATLAB5 },
    { 0, 2, "\x80\2", CONTENT_PICKLE },
    { 0, 2, "\x80\3", CONTENT_PICKLE },
    { 0, 2, "\x80\4", CONTENT_PICKLE },
    { 0, 2, "\x80\5", CONTENT_PICKLE },
    { 4, 8, "ftypavif", CONTENT_AVIF },
    { 4, 8, "ftypavis", CONTENT_AVIF },
    { 4, 8, "ftypheic", CONTENT_HEIF },
    { 4, 8, "ftypheix", CONTENT_HEIF },
    { 4, 8, "ftypmif1", CONTENT_HEIF },
    { 4, 4, "ftyp", CONTENT_VIDEO },
    { 0, 4, "\x1a\x45\xdf\xa3", CONTENT_VIDEO },
    { 8, 4, "AVI ", CONTENT_VIDEO },
    { 0, 2, "\xff\x0a", CONTENT_JXL },
    { 0, 12, "\0\0\0\x0cJXL \r\n\x87\n", CONTENT_JXL },
    { 0, 12, "\0\0\0\x0cjP  \r\n\x87\n", CONTENT_JP2 },
    { 0, 4, "\xff\x4f\xff\x51", CONTENT_JP2 },
    { 0, 5, "%PDF-", CONTENT_PDF },
    { 0, 4, "8BPS", CONTENT_PSD },
    { 0, 4, "\x76\x2f\x31\x01", CONTENT_EXR },
    { 0, 4, "<svg", CONTENT_SVG },
    { 0, 4, "\0\0\1\0", CONTENT_ICO },
    { 0, 15, "SQLite format 3", CONTENT_SQLITE },
    { 16, 4, "\xde\xc0\xef\xbe", CONTENT_LMDB },
};

static int is_space(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Two letters are little: sizes and offsets must make sense too. */
static int is_bmp(const unsigned char *head, size_t size)
{
    return size >= 18 && !memcmp(head, "BM", 2) && head[15] == 0 && head[16] == 0 && head[17] == 0;
}

static int is_pnm(const unsigned char *head, size_t size)
{
    return size >= 3 && head[0] == 'P' && head[1] >= '1' && head[1] <= '7' &&
           (is_space(head[2]) || head[2] == '#');
}

/* The length of a JSON object, and its brace. */
static int is_safetensors(const unsigned char *head, size_t size)
{
    return size >= 10 && head[8] == '{' && (head[9] == '"' || head[9] == '}') && !head[5] &&
           !head[6] && !head[7];
}

/* A TFRecord begins with a length of 8 bytes and its checksum; so long a first record is none. */
static int is_tfrecord(const unsigned char *head, size_t size)
{
    return size >= 16 && head[0] && !head[4] && !head[5] && !head[6] && !head[7] &&
           head[12] == 0x0a && (head[8] | head[9] | head[10] | head[11]);
}

enum content content_of(const unsigned char *head, size_t size)
{
    if (!size)
        return CONTENT_EMPTY;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const struct magic *m = &magics[i];
        if (size >= m->at + m->length && !memcmp(head + m->at, m->bytes, m->length) &&
            (m->at != 8 || !memcmp(head, "RIFF", 4)))
            return m->content;
    }
    if (is_bmp(head, size))
        return CONTENT_BMP;
    if (is_pnm(head, size))
        return CONTENT_PNM;
    if (is_safetensors(head, size))
        return CONTENT_SAFETENSORS;
    if (is_tfrecord(head, size))
        return CONTENT_TFRECORD;
    if (memmem(head, size < 256 ? size : 256, "<svg", 4))
        return CONTENT_SVG;
    return CONTENT_UNKNOWN;
}

static size_t read_all(int fd, unsigned char *head, size_t size, int *number)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = read(fd, head + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            *number = errno;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

/* HDF5 may stand behind a block of the user's own, whose size is a power of two. */
static int is_hdf5_behind(int fd)
{
    char magic[8];
    for (off_t at = 1024; at <= USER_BLOCK_MAX; at *= 2)
        if (pread(fd, magic, sizeof magic, at) == (ssize_t)sizeof magic &&
            !memcmp(magic, "\211HDF\r\n\032\n", sizeof magic))
            return 1;
    return 0;
}

enum content content_of_file(const char *path, int *number)
{
    unsigned char head[CONTENT_HEAD];
    int failed = 0, fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    size_t got = 0;
    if (fd < 0)
        failed = errno;
    else
        got = read_all(fd, head, sizeof head, &failed);
    enum content content = failed ? CONTENT_UNKNOWN : content_of(head, got);
    if (content == CONTENT_UNKNOWN && !failed && is_hdf5_behind(fd))
        content = CONTENT_HDF5;
    if (fd >= 0)
        close(fd);
    if (number)
        *number = failed;
    return content;
}

const char *content_name(enum content content)
{
    static const char *const names[CONTENT_KINDS] = {
        [CONTENT_UNKNOWN] = "nothing that moco knows", [CONTENT_EMPTY] = "empty",
        [CONTENT_JPEG] = "a JPEG", [CONTENT_PNG] = "a PNG", [CONTENT_BMP] = "a BMP",
        [CONTENT_PNM] = "a PNM", [CONTENT_GIF] = "a GIF", [CONTENT_WEBP] = "a WebP",
        [CONTENT_TIFF] = "a TIFF", [CONTENT_FITS] = "a FITS file", [CONTENT_HDF5] = "an HDF5 file",
        [CONTENT_MATLAB73] = "a MATLAB 7.3 file", [CONTENT_NPY] = "an .npy array",
        [CONTENT_PACKED] = "a packed set of moco", [CONTENT_ZIP] = "a zip archive",
        [CONTENT_GZIP] = "a gzip file", [CONTENT_TAR] = "a tar archive",
        [CONTENT_BZIP2] = "a bzip2 file", [CONTENT_XZ] = "an xz file",
        [CONTENT_ZSTD] = "a zstd file", [CONTENT_7Z] = "a 7z archive",
        [CONTENT_RAR] = "a RAR archive", [CONTENT_PARQUET] = "a Parquet table",
        [CONTENT_ARROW] = "an Arrow table", [CONTENT_DICOM] = "a DICOM file",
        [CONTENT_NIFTI] = "a NIfTI volume", [CONTENT_PICKLE] = "a Python pickle",
        [CONTENT_MATLAB5] = "a MATLAB 5 file", [CONTENT_AVIF] = "an AVIF",
        [CONTENT_HEIF] = "a HEIF", [CONTENT_JXL] = "a JPEG XL", [CONTENT_JP2] = "a JPEG 2000",
        [CONTENT_PDF] = "a PDF", [CONTENT_PSD] = "a Photoshop file", [CONTENT_EXR] = "an OpenEXR",
        [CONTENT_SVG] = "an SVG drawing", [CONTENT_ICO] = "an icon", [CONTENT_VIDEO] = "a video",
        [CONTENT_TFRECORD] = "a TFRecord file", [CONTENT_LMDB] = "an LMDB database",
        [CONTENT_SQLITE] = "an SQLite database", [CONTENT_SAFETENSORS] = "a safetensors file",
    };
    return names[content];
}
