/* archive.c: what is in a zip or tar archive; see refuse.h. Names alone are looked at: those of the
 * zip's directory at its end, those in front of each file of a tar. */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "engine/data/format/refuse.h"

enum {
    TAIL = 1 << 16,           /* bytes at the end of a zip that have its last record */
    DIRECTORY_MAX = 64 << 20, /* bytes of a zip's directory */
    ENTRIES_MAX = 1000000,    /* files of a tar */
    UNPACKED_MAX = 64 << 20,  /* bytes of a tar behind gzip */
    TAR_BLOCK = 512,
};

static int ends_as(const char *name, size_t length, const char *const *endings)
{
    for (; *endings; endings++) {
        size_t n = strlen(*endings);
        if (length > n && !strncasecmp(name + length - n, *endings, n))
            return 1;
    }
    return 0;
}

/* Adds a file's name; folders, and what systems leave behind, count as nothing. */
static void meet(struct archive *out, const char *name, size_t length)
{
    static const char *const images[] = { ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif",
                                          ".webp", ".ppm", ".pgm", ".tga", NULL };
    static const char *const tiffs[] = { ".tif", ".tiff", NULL };
    static const char *const tables[] = { ".cls", ".json", ".txt", NULL };
    const char *slash = memrchr(name, '/', length);
    size_t folder = slash ? (size_t)(slash - name) + 1 : 0;
    if (folder == length || name[folder] == '.' || !strncmp(name, "__MACOSX/", 9))
        return;
    out->files++;
    out->arrays += (unsigned long)ends_as(name, length, (const char *const[]){ ".npy", NULL });
    out->tables += (unsigned long)ends_as(name, length, tables);
    out->tiffs += (unsigned long)ends_as(name, length, tiffs);
    out->pytorch |= ends_as(name, length, (const char *const[]){ "/data.pkl", NULL });
    if (!ends_as(name, length, images) && !ends_as(name, length, tiffs))
        return;
    const char *dot = memrchr(name, '.', length), *end = memchr(name, '/', length);
    size_t top = end && (size_t)(end - name) < sizeof out->top ? (size_t)(end - name) : 0;
    if (!out->images)
        snprintf(out->top, sizeof out->top, "%.*s", (int)top, name);
    else if (strlen(out->top) != top || strncmp(out->top, name, top) != 0)
        out->top[0] = '\0';
    if (!out->images++ && dot)
        for (size_t i = 0; i < sizeof out->ending - 1 && dot + i < name + length; i++)
            out->ending[i] = (char)tolower((unsigned char)dot[i]);
}

/* ---- zip (APPNOTE.TXT, sections 4.3.12 to 4.3.16) ---- */

static uint64_t number(const unsigned char *bytes, int size)
{
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

/* The last `size` bytes of the file or all it has. */
static unsigned char *read_tail(size_t *got, FILE *file, long size)
{
    unsigned char *bytes = malloc((size_t)size);
    *got = 0;
    if (!bytes || fseek(file, 0, SEEK_END))
        return bytes;
    long end = ftell(file), from = end > size ? end - size : 0;
    if (!fseek(file, from, SEEK_SET))
        *got = fread(bytes, 1, (size_t)(end - from), file);
    return bytes;
}

/* Where the directory is and how long. 0: there is no last record. */
static int find_directory(uint64_t *at, uint64_t *size, FILE *file)
{
    size_t got;
    unsigned char *tail = read_tail(&got, file, TAIL), wide[56];
    int found = 0;
    for (size_t i = got < 22 ? 0 : got - 22 + 1; i-- > 0 && tail && !found;) {
        if (memcmp(tail + i, "PK\5\6", 4))
            continue;
        *size = number(tail + i + 12, 4);
        *at = number(tail + i + 16, 4);
        found = 1;
        if (*at != UINT32_MAX || i < 20 || memcmp(tail + i - 20, "PK\6\7", 4))
            continue;
        found = !fseek(file, (long)number(tail + i - 20 + 8, 8), SEEK_SET) &&
                fread(wide, 1, sizeof wide, file) == sizeof wide && !memcmp(wide, "PK\6\6", 4);
        *size = number(wide + 40, 8);
        *at = number(wide + 48, 8);
    }
    free(tail);
    return found;
}

void archive_look_zip(struct archive *out, const char *path)
{
    uint64_t at, size;
    *out = (struct archive){ 0 };
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL, start[30 + 256];
    if (file && find_directory(&at, &size, file) && size <= DIRECTORY_MAX &&
        (bytes = malloc(size + 1)) && !fseek(file, (long)at, SEEK_SET) &&
        fread(bytes, 1, size, file) == size) {
        out->readable = 1;
        for (size_t i = 0; i + 46 <= size && !memcmp(bytes + i, "PK\1\2", 4);) {
            size_t name = number(bytes + i + 28, 2);
            if (i + 46 + name > size)
                break;
            meet(out, (const char *)bytes + i + 46, name);
            i += 46 + name + number(bytes + i + 30, 2) + number(bytes + i + 32, 2);
        }
    } else if (file && !fseek(file, 0, SEEK_SET)) { /* cut off: its first file tells */
        size_t got = fread(start, 1, sizeof start, file);
        size_t name = got >= 30 ? number(start + 26, 2) : 0;
        if (name && 30 + name <= got)
            meet(out, (const char *)start + 30, name);
    }
    free(bytes);
    if (file)
        fclose(file);
}

/* ---- tar (POSIX ustar) ---- */

static int is_header(const unsigned char *block)
{
    unsigned long sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return sum == strtoul((const char *)block + 148, NULL, 8) && block[0];
}

/* Octal digits, or a binary number where the first bit says so. */
static uint64_t tar_size(const unsigned char *block)
{
    char text[13] = "";
    uint64_t value = 0;
    memcpy(text, block + 124, 12);
    if (!(block[124] & 0x80))
        return strtoull(text, NULL, 8);
    for (int i = 4; i < 12; i++)
        value = value << 8 | block[124 + i];
    return value;
}

/* The name of the next file, in the `size` bytes behind a header of type L (GNU) or x (pax: a line
 * "LENGTH path=NAME"). 0: the bytes end first. */
static int long_name(char *out, size_t room, gzFile file, uint64_t size, char type)
{
    char text[4096];
    size_t all = (size_t)((size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK);
    if (all > sizeof text || gzread(file, text, (unsigned)all) != (int)all)
        return all > sizeof text ? gzseek(file, (z_off_t)all, SEEK_CUR) >= 0 : 0;
    text[size < sizeof text ? size : sizeof text - 1] = '\0';
    const char *name = type == 'L' ? text : strstr(text, " path=");
    if (name)
        snprintf(out, room, "%.*s", (int)strcspn(name + (type == 'L' ? 0 : 6), "\n"),
                 name + (type == 'L' ? 0 : 6));
    return 1;
}

/* Goes over the `bytes` of a file. 0: the archive ends within them. */
static int skip(gzFile file, uint64_t bytes)
{
    char last;
    if (!bytes)
        return 1;
    return gzseek(file, (z_off_t)(bytes - 1), SEEK_CUR) >= 0 && gzread(file, &last, 1) == 1;
}

void archive_look_tar(struct archive *out, const char *path)
{
    unsigned char block[TAR_BLOCK];
    char name[1024] = "";
    gzFile file = gzopen(path, "rb");
    *out = (struct archive){ 0 };
    if (!file)
        return;
    int direct = gzdirect(file), whole = 1;
    for (long n = 0; n < ENTRIES_MAX && whole; n++) {
        int got = gzread(file, block, sizeof block);
        whole = got == TAR_BLOCK; /* zeros stand at the end */
        if (!whole || !is_header(block))
            break;
        char type = (char)block[156];
        uint64_t size = tar_size(block), blocks = (size + TAR_BLOCK - 1) / TAR_BLOCK;
        if (type == 'L' || type == 'x') {
            whole = long_name(name, sizeof name, file, size, type);
            continue;
        }
        if (!name[0])
            snprintf(name, sizeof name, "%.100s", (const char *)block);
        if (type == '0' || type == '\0')
            meet(out, name, strlen(name));
        name[0] = '\0';
        if (!direct && gztell(file) > UNPACKED_MAX)
            break;
        whole = blocks < INT64_MAX / TAR_BLOCK / 2 && skip(file, blocks * TAR_BLOCK);
    }
    out->readable = whole;
    gzclose(file);
}
