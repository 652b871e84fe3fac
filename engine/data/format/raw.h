/* raw.h: what the formats share: files in memory, numbers to floats, labels, class names.
 *
 * Each format's file turns its header into sizes; from there on images are runs of numbers of one
 * enum source_dtype, and labels are int32 with -1 for "none". */
#ifndef MOCO_ENGINE_DATA_FORMAT_RAW_H
#define MOCO_ENGINE_DATA_FORMAT_RAW_H

#include "engine/data/source.h"

enum {
    RAW_LABEL_MAX = (1 << 20) - 1, /* a larger label is a damaged file, not a class */
    RAW_NUMBERS_MAX = 1 << 28,     /* of one image */
    RAW_PATH = 1024,
    RAW_NAMES_MAX = 100,
};

/* A file lies there, or a sentence; its bytes, 0 where none lies there. */
int raw_check_file(const char *path);
uint64_t raw_file_size(const char *path);

/* A file mapped read-only; bytes is NULL when it is empty or not open. */
struct mapping {
    const unsigned char *bytes;
    size_t size;
};

int mapping_open(struct mapping *mapping, const char *path);
void mapping_close(struct mapping *mapping);

/* The `size` bytes of a number, least significant first. */
static inline uint64_t raw_get(const unsigned char *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static inline void raw_put(unsigned char *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

/* 1 where the machine's own numbers have their most significant byte first. */
static inline int raw_machine_big(void)
{
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
}

/* Bytes of one number. */
size_t raw_size(enum source_dtype dtype);

/* dst: (n) floats from n numbers `step` numbers apart, unsigned integers scaled to [0, 1]. src
 * needs no alignment; `big`: most significant byte first. */
void raw_floats(float *dst, const unsigned char *src, size_t n, size_t step,
                enum source_dtype dtype, int big);

/* count * channels * height * width * size of a number, or 0 when a factor is 0 or an image or the
 * whole is too large to be meant. */
size_t raw_bytes(const struct source *source);

/* Counts one image more of a set whose files may differ in size: keeps the sizes where they agree,
 * 0 where not, and the largest; the number of channels must agree, and the type of numbers but for
 * u8 beside u16: other files are no bad ones but of another set, MOCO_EARG. All sizes are
 * positive. */
int raw_add_image(struct source *source, int channels, int height, int width,
                  enum source_dtype dtype, const char *path);

/* Files of a folder that can not be read. */
struct raw_bad {
    size_t count;
    char first[400]; /* the sentence about the first */
};

/* 1 where `code` is the file's own fault: it is counted, an image more whose every read fails. To
 * those of source_open_lenient() a file of another set is one as well. */
int raw_keep_bad(struct source *source, struct raw_bad *bad, int code);

/* Refuses a folder where `files` has as many bad ones as good ones, else notes how many there are;
 * all is well for those of source_open_lenient(), who will see them. */
int raw_check_bad(struct source *source, const struct raw_bad *bad, size_t files);

/* Hands labels (source->count of them, malloc()ed) over to the source and counts the classes. */
void raw_take_labels(struct source *source, int32_t *labels);

/* A label read from `path` fits -1..RAW_LABEL_MAX, or a sentence. */
int raw_check_label(int64_t label, size_t index, const char *path);

/* The same for a float, which has to be whole. */
int raw_whole_label(int64_t *label, double value, size_t index, const char *path);

/* Copies the first n names into one block that source_close() frees. */
int raw_take_names(struct source *source, char *const *names, size_t n);

/* Class names from DIR/FILE, one a line, empty lines passed over. No such file, or one with fewer
 * than `classes` of them, is no error: classes are numbers then. At most RAW_NAMES_MAX. */
int raw_names_file(struct source *source, const char *dir, const char *file, size_t classes);

/* Copies `path` without `suffix` when it ends with it; 1 if it did. Both buffers are RAW_PATH. */
int raw_cut_suffix(char *path, const char *suffix);

/* How the axes of an array are meant, from the words behind its name: ":nhwc", channels are last;
 * ":views", the second axis holds images of one sample. Cuts them off `path` (RAW_PATH). */
struct raw_axes {
    int nhwc, views;
};
void raw_cut_axes(char *path, struct raw_axes *axes);

/* Count, views, channels, height and width from an array of `rank` sizes: (N, H, W), (N, C, H, W),
 * (N, H, W, C), with views a T behind N. A sentence where it is none of these, and a note where the
 * sizes look like another order of C, H and W. */
int raw_take_shape(struct source *source, const size_t *size, int rank,
                   const struct raw_axes *axes, const char *path);

/* A note where the three sizes of an image look like another order of C, H and W. */
void raw_note_order(struct source *source, const size_t *size, int nhwc, const char *path);

/* Splits "first,second" at the last comma, unless a file has the whole name; second may be "". */
int raw_split(char *first, char *second, const char *path);

/* Splits "first:second" behind the longest part that a file or folder has for a name; without one,
 * first is all and second "". All are RAW_PATH. */
void raw_split_colon(char *first, char *second, const char *path);

#endif
