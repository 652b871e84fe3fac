/* source_npz.c: NumPy's .npz files, which are zip archives of .npy members.
 *
 * X.npz[:IMAGES[,LABELS]][:nhwc][:views]: names are those of np.load(); choose.h says what is
 * taken when they are missing. Stored members (np.savez) are mapped, deflated ones
 * (np.savez_compressed) inflated once, up to 4 GiB, and checked against their checksum. Sizes come
 * from the central directory, zip64 included, and are believed only as far as the file can hold
 * them: deflate shrinks at most 1032 times. */
#define _GNU_SOURCE
#include "engine/data/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/data/format/choose.h"
#include "engine/data/format/npy.h"
#include "engine/data/format/raw.h"

enum { MEMBERS_MAX = 1 << 16, NAME_SIZE = 128, DEFLATE_RATIO = 1032, PIECE = 1 << 24 };
enum { STORED = 0, DEFLATED = 8, INFLATE_BYTES = 1 << 15 };
#define NPZ_BYTES_MAX ((uint64_t)1 << 32)

struct member {
    char name[NAME_SIZE]; /* without .npy */
    const unsigned char *bytes;
    uint64_t packed, size;
    uint32_t checksum;
    int method;
    char why[200]; /* it cannot be read */
};

struct npz {
    struct npy npy; /* first: npy_read_image() finds it here */
    struct mapping file;
    unsigned char *inflated; /* the images, where they were deflated; owned */
    struct member *members;
    size_t count;
};

static uint64_t number(const unsigned char *at, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static int damaged(const char *path, const char *what)
{
    return error_set(MOCO_EFORMAT, "%s: %s; the file is truncated or damaged", path, what);
}

/* ---- the archive ---- */

struct directory {
    uint64_t at, size, entries;
};

/* The record at the end of the archive, behind which only a comment may stand. */
static const unsigned char *find_end(const struct mapping *file)
{
    for (size_t back = 22; back <= file->size && back <= 22 + 65535; back++) {
        const unsigned char *at = file->bytes + file->size - back;
        if (!memcmp(at, "PK\5\6", 4) && number(at + 20, 2) + 22 <= back)
            return at;
    }
    return NULL;
}

static int find_directory(struct directory *out, const struct mapping *file, const char *path)
{
    const unsigned char *end = find_end(file);
    if (!end)
        return damaged(path, "no end of a zip archive is found");
    uint64_t before = (uint64_t)(end - file->bytes);
    *out = (struct directory){ number(end + 16, 4), number(end + 12, 4), number(end + 10, 2) };
    if (before >= 20 && !memcmp(end - 20, "PK\6\7", 4)) {
        uint64_t at = number(end - 20 + 8, 8);
        if (at > before || before - at < 56 || memcmp(file->bytes + at, "PK\6\6", 4) != 0)
            return damaged(path, "the zip64 record is not where it should be");
        const unsigned char *wide = file->bytes + at;
        *out = (struct directory){ number(wide + 48, 8), number(wide + 40, 8),
                                   number(wide + 32, 8) };
    }
    if (out->at > before || out->size > before - out->at)
        return damaged(path, "the archive's directory lies outside the file");
    if (out->entries > MEMBERS_MAX || out->entries > out->size / 46)
        return damaged(path, "the archive's directory cannot hold as many members as it says");
    return MOCO_OK;
}

/* The zip64 field holds, in this order, those of the sizes and the place that are all ones. */
static int widen(const unsigned char *extra, size_t length, uint64_t *const values[3])
{
    int missing = 0;
    for (int i = 0; i < 3; i++)
        missing += *values[i] == UINT32_MAX;
    while (missing && length >= 4) {
        size_t field = (size_t)number(extra + 2, 2);
        if (field > length - 4)
            return 0;
        const unsigned char *at = extra + 4, *end = at + field;
        for (int i = 0; number(extra, 2) == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX || end - at < 8)
                continue;
            *values[i] = number(at, 8);
            at += 8;
            missing--;
        }
        extra += 4 + field;
        length -= 4 + field;
    }
    return !missing;
}

/* Where the bytes of a member begin: behind its local header, whose own lengths differ. */
static int locate(struct member *member, const struct mapping *file, uint64_t at, const char *path)
{
    if (at > file->size || file->size - at < 30 || memcmp(file->bytes + at, "PK\3\4", 4) != 0)
        return damaged(path, "a member is not where the directory says");
    at += 30 + number(file->bytes + at + 26, 2) + number(file->bytes + at + 28, 2);
    if (at > file->size || member->packed > file->size - at)
        return damaged(path, "a member is longer than the file");
    member->bytes = file->bytes + at;
    return MOCO_OK;
}

/* One entry of the directory; *at moves behind it. Members other than .npy are passed over. */
static int read_entry(struct npz *npz, const unsigned char **at, const unsigned char *end,
                      const char *path)
{
    const unsigned char *entry = *at;
    struct member *member = &npz->members[npz->count];
    if (end - entry < 46 || memcmp(entry, "PK\1\2", 4) != 0)
        return damaged(path, "the archive's directory ends early");
    size_t name = (size_t)number(entry + 28, 2), extra = (size_t)number(entry + 30, 2);
    size_t length = 46 + name + extra + (size_t)number(entry + 32, 2);
    uint64_t place = number(entry + 42, 4);
    if (length > (size_t)(end - entry))
        return damaged(path, "the archive's directory ends early");
    *at += length;
    if (name < 4 || name >= NAME_SIZE || memcmp(entry + 46 + name - 4, ".npy", 4) != 0)
        return MOCO_OK;
    *member = (struct member){ .packed = number(entry + 20, 4), .size = number(entry + 24, 4),
                               .checksum = (uint32_t)number(entry + 16, 4),
                               .method = (int)number(entry + 10, 2) };
    memcpy(member->name, entry + 46, name - 4);
    if (!widen(entry + 46 + name, extra,
               (uint64_t *const[]){ &member->size, &member->packed, &place }))
        return damaged(path, "a large member has no zip64 sizes");
    if (number(entry + 8, 2) & 1)
        return error_set(MOCO_EUNSUPPORTED, "%s: the member %s is encrypted", path, member->name);
    if (member->method != STORED && member->method != DEFLATED)
        return error_set(MOCO_EUNSUPPORTED, "%s: the member %s is packed by method %d; stored and "
                         "deflated ones are read (np.savez, np.savez_compressed)", path,
                         member->name, member->method);
    if (member->method == STORED && member->packed != member->size)
        return damaged(path, "a stored member has two sizes");
    npz->count++;
    return locate(member, &npz->file, place, path);
}

static int read_directory(struct npz *npz, const char *path)
{
    struct directory directory = { 0 };
    if (npz->file.size < 4 || memcmp(npz->file.bytes, "PK", 2) != 0)
        return error_set(MOCO_EFORMAT, "%s does not start like an .npz file (a zip archive)", path);
    int rc = find_directory(&directory, &npz->file, path);
    if (rc != MOCO_OK)
        return rc;
    const unsigned char *at = npz->file.bytes + directory.at, *end = at + directory.size;
    npz->members = calloc(directory.entries + 1, sizeof *npz->members);
    if (!npz->members)
        return error_memory("the directory of an archive",
                            directory.entries * sizeof *npz->members);
    for (uint64_t i = 0; i < directory.entries && rc == MOCO_OK; i++)
        rc = read_entry(npz, &at, end, path);
    return rc;
}

/* ---- members ---- */

/* Inflates the first `size` bytes of a member; *got are those that there were. MOCO_ENOMEM and
 * MOCO_EDAMAGED come without a sentence. */
static int inflate_some(unsigned char *out, uint64_t size, uint64_t *got,
                        const struct member *member)
{
    z_stream stream = { 0 };
    uint64_t in = 0;
    int state = inflateInit2(&stream, -15) == Z_OK ? Z_OK : Z_MEM_ERROR;
    *got = 0;
    while (state == Z_OK && *got < size) {
        uint64_t feed = member->packed - in < PIECE ? member->packed - in : PIECE;
        uint64_t room = size - *got < PIECE ? size - *got : PIECE;
        stream.next_in = (unsigned char *)(uintptr_t)(member->bytes + in);
        stream.avail_in = (unsigned)feed;
        stream.next_out = out + *got;
        stream.avail_out = (unsigned)room;
        state = inflate(&stream, Z_NO_FLUSH);
        in += feed - stream.avail_in;
        *got += room - stream.avail_out;
    }
    inflateEnd(&stream);
    if (state == Z_MEM_ERROR)
        return MOCO_ENOMEM;
    return state == Z_OK || state == Z_STREAM_END ? MOCO_OK : MOCO_EDAMAGED;
}

static int inflate_all(unsigned char **out, const struct member *member, const char *path)
{
    uint64_t got = 0;
    if (member->size > NPZ_BYTES_MAX || member->size / DEFLATE_RATIO > member->packed)
        return error_set(MOCO_EFORMAT, "%s: the member %s promises %llu bytes from %llu deflated "
                         "ones; at most 1032 times as many and 4 GiB are inflated", path,
                         member->name, (unsigned long long)member->size,
                         (unsigned long long)member->packed);
    *out = malloc(member->size + 1);
    if (!*out)
        return error_memory(path, member->size);
    /* One byte more than promised shows a member that goes on. */
    int rc = inflate_some(*out, member->size + 1, &got, member);
    int ok = rc == MOCO_OK && got == member->size;
    uLong checksum = crc32_z(0, *out, (size_t)(ok ? got : 0));
    if (ok && checksum == member->checksum)
        return MOCO_OK;
    free(*out);
    *out = NULL;
    if (rc == MOCO_ENOMEM)
        return error_memory(path, INFLATE_BYTES);
    return error_set(MOCO_EFORMAT, "%s: the member %s does not inflate to the %llu bytes and the "
                     "checksum in the directory; the file is damaged", path, member->name,
                     (unsigned long long)member->size);
}

/* *owned: what npy's numbers lie in when the member was deflated, else NULL. */
static int open_member(struct npy *npy, unsigned char **owned, const struct member *member,
                       const char *path)
{
    char where[RAW_PATH + NAME_SIZE];
    snprintf(where, sizeof where, "%s:%s", path, member->name);
    *owned = NULL;
    int rc = member->method == DEFLATED ? inflate_all(owned, member, path) : MOCO_OK;
    if (rc != MOCO_OK)
        return rc;
    return npy_parse(npy, *owned ? *owned : member->bytes, (size_t)member->size, where);
}

/* Without the path that begins it. */
static void keep_reason(struct member *member, const char *path)
{
    const char *text = error_text();
    size_t length = strlen(path);
    int begins = !strncmp(text, path, length) && text[length] == ':';
    snprintf(member->why, sizeof member->why, "%s", text + (begins ? length + 2 : 0));
}

/* What a member's header says; one that cannot be read is no candidate. */
static int describe(struct candidate *out, struct member *member, const char *path)
{
    unsigned char head[NPY_HEADER_MAX + 12];
    const unsigned char *bytes = member->bytes;
    uint64_t size = member->size;
    struct npy npy = { 0 };
    *out = (struct candidate){ .name = member->name };
    if (member->method == DEFLATED) {
        bytes = head;
        int rc = inflate_some(head, size < sizeof head ? size : sizeof head, &size, member);
        if (rc != MOCO_OK)
            snprintf(member->why, sizeof member->why, "its beginning does not inflate");
        out->why = rc != MOCO_OK ? member->why : NULL;
        if (rc != MOCO_OK)
            return rc == MOCO_ENOMEM ? error_memory(path, INFLATE_BYTES) : MOCO_OK;
    }
    if (npy_header(&npy, bytes, (size_t)size, path) != MOCO_OK) {
        keep_reason(member, path);
        out->why = member->why;
        return MOCO_OK;
    }
    out->rank = npy.dims;
    out->column = npy_is_column(&out->count, &npy);
    out->numbers = 1;
    return MOCO_OK;
}

/* Floats that nobody named are labels only where they are whole. */
static int take_labels(struct source *source, size_t *labels, size_t none, const char *names,
                       const char *path)
{
    struct npz *npz = source->state;
    struct npy npy = { 0 };
    unsigned char *bytes = NULL;
    if (*labels == none)
        return MOCO_OK;
    int rc = open_member(&npy, &bytes, &npz->members[*labels], path);
    if (rc == MOCO_OK)
        rc = npy_take_labels(source, &npy, path);
    free(bytes);
    if (rc == MOCO_EFORMAT && npy.type == 'f' && !choose_named_labels(names)) {
        choose_no_labels(source, npz->members[*labels].name);
        *labels = none;
        rc = MOCO_OK;
    }
    return rc;
}

static int open_arrays(struct source *source, const char *names, const char *path)
{
    struct npz *npz = source->state;
    size_t images, labels;
    struct candidate *all = calloc(npz->count + 1, sizeof *all);
    if (!all)
        return error_memory("the members of an archive", npz->count * sizeof *all);
    int rc = MOCO_OK;
    for (size_t i = 0; rc == MOCO_OK && i < npz->count; i++)
        rc = describe(&all[i], &npz->members[i], path);
    if (rc == MOCO_OK)
        rc = choose_arrays(&images, &labels, all, npz->count, names, path);
    if (rc == MOCO_OK)
        rc = open_member(&npz->npy, &npz->inflated, &npz->members[images], path);
    if (rc == MOCO_OK)
        rc = npy_take_images(source, &npz->npy, path);
    if (rc == MOCO_OK)
        rc = take_labels(source, &labels, npz->count, names, path);
    if (rc == MOCO_OK)
        choose_note(source, all, npz->count, images, labels, names, path);
    free(all);
    return rc;
}

static void close_npz(struct source *source)
{
    struct npz *npz = source->state;
    mapping_close(&npz->file);
    free(npz->inflated);
    free(npz->members);
    free(npz);
}

int source_open_npz(struct source *source, const char *path)
{
    char file[RAW_PATH], names[RAW_PATH], whole[RAW_PATH];
    struct npz *npz = source->state = calloc(1, sizeof *npz);
    if (!npz)
        return error_memory("npz", sizeof *npz);
    source->close = close_npz;
    source->read = npy_read_image;
    snprintf(whole, sizeof whole, "%s", path);
    raw_cut_axes(whole, &npz->npy.axes);
    raw_split_colon(file, names, whole);
    int rc = mapping_open(&npz->file, file);
    if (rc == MOCO_OK)
        rc = read_directory(npz, file);
    if (rc == MOCO_OK)
        rc = open_arrays(source, names, file);
    source->mapped = !npz->inflated;
    if (rc == MOCO_OK && npz->inflated)
        mapping_close(&npz->file);
    free(npz->members);
    npz->members = NULL;
    return rc;
}
