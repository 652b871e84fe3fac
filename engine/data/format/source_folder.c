/* source_folder.c: a folder of image files.
 *
 * DIR[:alpha=drop|keep]: JPEG, PNG, BMP, PNM, GIF, WebP and TGA, found and labelled as tree.h says.
 * A set of grey images has 1 channel, any other 3; with alpha=keep one more, also where no image
 * has alpha, so that all sets of a kind agree. decode.h has the rules for pixels. Files are opened
 * once for their headers, then again for every read. One without a header that can be read is an
 * image all the same, whose every read fails; raw.h says how many there may be. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/again.h"
#include "engine/base/error.h"
#include "engine/data/decode/decode.h"
#include "engine/data/format/raw.h"
#include "engine/data/format/tree.h"

struct folder {
    struct tree tree;
    int alpha; /* it is kept */
    int (*sizes)[2]; /* (source->count) height and width, 0: unreadable; owned, as is: */
    unsigned char *traits; /* (source->count) */
};

/* ---- files ---- */

/* *out: the first `most` bytes of the file or all there are, for free(). */
static int load_file(unsigned char **out, struct decode_file *file, const char *path, size_t most)
{
    struct stat info = { .st_size = 0 };
    int fd = open_again(path, O_RDONLY | O_CLOEXEC, 0), number = 0, rc = MOCO_OK;
    *out = NULL;
    if (fd < 0 || fstat(fd, &info) != 0)
        number = errno;
    else if (info.st_size < 0 || info.st_size > DECODE_FILE_MAX)
        number = EFBIG;
    size_t whole = (size_t)info.st_size, size = whole < most ? whole : most;
    if (!number && !(*out = malloc(size + 1)))
        rc = error_memory(path, size + 1);
    ssize_t got = *out ? read_again(fd, *out, size) : 0;
    if (*out && got != (ssize_t)size)
        number = got < 0 ? errno : EIO; /* EIO: it has shrunk */
    if (fd >= 0)
        close(fd);
    if (rc == MOCO_OK && number)
        rc = error_system("reading", path, number);
    *file = (struct decode_file){ *out, size, whole, path };
    if (rc != MOCO_OK) {
        free(*out);
        *out = NULL;
    }
    return rc;
}

static void full_path(char *path, const struct source *source, size_t index)
{
    const struct folder *folder = source->state;
    tree_path(path, &folder->tree, index);
}

/* ---- headers ---- */

static int read_header(struct decode_header *out, size_t *size, const char *path, size_t most)
{
    unsigned char *bytes;
    struct decode_file file;
    int rc = load_file(&bytes, &file, path, most);
    if (rc != MOCO_OK)
        return rc;
    rc = decode_header(out, &file);
    free(bytes);
    *size = file.whole;
    /* A header that goes on behind the start of the file, as one with a large preview does. */
    return source_is_bad(rc) && file.size < file.whole ? read_header(out, size, path, file.whole)
                                                       : rc;
}

struct tally {
    size_t alpha, animated;
    struct raw_bad bad;
};

static void take_header(struct source *source, size_t i, const struct decode_header *header,
                        size_t file_size)
{
    struct folder *folder = source->state;
    size_t pixels = (size_t)header->width * (size_t)header->height;
    size_t bytes = decode_bytes(header, file_size) + file_size;
    int first = source->pixels_max == 0;
    folder->sizes[i][0] = header->height;
    folder->sizes[i][1] = header->width;
    folder->traits[i] = (unsigned char)((header->alpha ? TRAIT_ALPHA : 0) |
                                        (header->frames > 1 ? TRAIT_ANIMATED : 0));
    source->channels = header->channels == 3 ? 3 : source->channels;
    source->dtype = header->deep ? DTYPE_U16 : source->dtype;
    source->pixels_max = pixels > source->pixels_max ? pixels : source->pixels_max;
    source->decoder_bytes = bytes > source->decoder_bytes ? bytes : source->decoder_bytes;
    source->width = first || source->width == header->width ? header->width : 0;
    source->height = first || source->height == header->height ? header->height : 0;
}

/* Behind what the tree has noted. */
static void add_note(struct source *source, size_t count, const char *what)
{
    size_t used = strlen(source->note), room = sizeof source->note - used;
    if (count)
        snprintf(source->note + used, room, "%s%.200s: %zu of %zu images %s", used ? "; " : "",
                 source->where, count, source->count, what);
}

static int scan_headers(struct source *source)
{
    char path[PATH_MAX];
    struct folder *folder = source->state;
    struct decode_header header;
    struct tally tally = { 0 };
    size_t size;
    folder->sizes = calloc(folder->tree.count, sizeof *folder->sizes);
    folder->traits = calloc(folder->tree.count, 1);
    if (!folder->sizes || !folder->traits)
        return error_memory("sizes of images", folder->tree.count * sizeof *folder->sizes);
    source->channels = 1;
    source->dtype = DTYPE_U8;
    for (size_t i = 0; i < folder->tree.count; i++) {
        full_path(path, source, i);
        int rc = read_header(&header, &size, path, DECODE_HEAD);
        if (raw_keep_bad(source, &tally.bad, rc))
            continue;
        if (rc != MOCO_OK)
            return rc;
        take_header(source, i, &header, size);
        source->count++;
        tally.alpha += header.alpha != 0;
        tally.animated += header.frames > 1;
    }
    int rc = raw_check_bad(source, &tally.bad, source->count);
    if (rc != MOCO_OK)
        return rc;
    add_note(source, tally.alpha, folder->alpha
                                      ? "have an alpha channel, which is kept as the last channel"
                                      : "have an alpha channel, which is dropped (:alpha=keep "
                                        "behind the folder keeps it)");
    source->channels += folder->alpha;
    add_note(source, tally.animated, "are animated: the first frame is taken");
    return MOCO_OK;
}

/* Why an image has no size: its file is tried again. */
static int explain(const struct source *source, size_t index)
{
    char path[PATH_MAX];
    struct decode_header header;
    size_t size;
    full_path(path, source, index);
    int rc = read_header(&header, &size, path, DECODE_HEAD);
    return rc != MOCO_OK ? rc : error_set(MOCO_EIO, "%s could not be read when the data was opened",
                                          path);
}

static int size_of(const struct source *source, size_t index, int *height, int *width)
{
    const struct folder *folder = source->state;
    *height = folder->sizes[index][0];
    *width = folder->sizes[index][1];
    return *height > 0 ? MOCO_OK : explain(source, index);
}

/* ---- reading ---- */

static int read_part(const struct source *source, size_t index, struct image *out,
                     struct part *part)
{
    char path[PATH_MAX];
    unsigned char *bytes;
    struct decode_file file;
    full_path(path, source, index);
    int rc = load_file(&bytes, &file, path, DECODE_FILE_MAX);
    if (rc == MOCO_OK)
        rc = decode_image(out, &file, source->channels, part);
    if (rc == MOCO_EARG) /* the part is one of the size that the header had */
        rc = error_set(MOCO_EFORMAT, "%s is not what it was when the data was opened", path);
    free(bytes);
    return rc;
}

static int read_image(const struct source *source, size_t index, struct image *out)
{
    const struct folder *folder = source->state;
    if (folder->sizes[index][0] <= 0)
        return explain(source, index);
    return read_part(source, index, out, NULL);
}

static const char *name_of(const struct source *source, size_t index)
{
    const struct folder *folder = source->state;
    return folder->tree.names[index];
}

static int traits_of(const struct source *source, size_t index)
{
    const struct folder *folder = source->state;
    return folder->traits[index];
}

static void close_folder(struct source *source)
{
    struct folder *folder = source->state;
    tree_close(&folder->tree);
    free(folder->sizes);
    free(folder->traits);
    free(folder);
}

static int take_labels(struct source *source, const struct tree *tree)
{
    int32_t *labels;
    int rc = tree_labels(&labels, source, tree);
    if (rc == MOCO_OK)
        raw_take_labels(source, labels);
    return rc;
}

/* ":alpha=keep" and the like behind the folder. */
static int take_words(struct folder *folder, const char *words, const char *dir)
{
    folder->alpha = !strcmp(words, "alpha=keep");
    if (!words[0] || folder->alpha || !strcmp(words, "alpha=drop"))
        return MOCO_OK;
    return error_set(MOCO_EARG, "%s: behind a folder may stand :alpha=keep or :alpha=drop, not "
                     ":%.60s", dir, words);
}

int source_open_folder(struct source *source, const char *path)
{
    char dir[RAW_PATH], words[RAW_PATH];
    struct folder *folder = source->state = calloc(1, sizeof *folder);
    if (!folder)
        return error_memory("a folder", sizeof *folder);
    struct tree *tree = &folder->tree;
    source->close = close_folder;
    source->read = read_image;
    source->size = size_of;
    source->read_part = read_part;
    source->name = name_of;
    source->traits = traits_of;
    raw_split_colon(dir, words, path);
    int rc = take_words(folder, words, dir);
    if (rc == MOCO_OK)
        rc = tree_open(tree, dir, TREE_IMAGE);
    if (rc == MOCO_OK && tree->count == 0)
        rc = tree_none(tree, dir);
    if (rc != MOCO_OK)
        return rc;
    tree_note(source, tree);
    rc = scan_headers(source);
    return rc == MOCO_OK ? take_labels(source, tree) : rc;
}
