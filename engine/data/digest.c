/* digest.c: whether files are those of before; see digest.h. */
#define _GNU_SOURCE
#include "engine/data/digest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/data/format/raw.h"

struct sums {
    uint64_t names, classes, sizes, times;
};

/* FNV-1a. */
static void add(uint64_t *sum, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        *sum = (*sum ^ bytes[i]) * UINT64_C(1099511628211);
}

static void add_number(uint64_t *sum, int64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)value >> 8 * i);
    add(sum, bytes, sizeof bytes);
}

static void add_name(uint64_t *sum, const char *name)
{
    add(sum, name ? name : "", name ? strlen(name) + 1 : 1);
}

/* 0 where there is no such file; what a folder holds is another matter than the folder. */
static int add_file(struct sums *sums, const char *path)
{
    struct stat st;
    if (stat(path, &st) || !S_ISREG(st.st_mode))
        return 0;
    add_number(&sums->sizes, st.st_size);
    add_number(&sums->times, st.st_mtim.tv_sec);
    add_number(&sums->times, st.st_mtim.tv_nsec);
    return 1;
}

/* The one or two files of "X.npy:nhwc,Y.npy" and the like: what stands behind colons and commas is
 * cut until there is one. Returns where the path of what is there ends. */
static size_t add_container(struct sums *sums, const char *where)
{
    char path[RAW_PATH];
    struct stat st;
    snprintf(path, sizeof path, "%s", where);
    while (stat(path, &st)) {
        char *comma = strrchr(path, ','), *colon = strrchr(path, ':');
        char *cut = comma > colon ? comma : colon;
        if (!cut)
            return strlen(where);
        if (cut == comma) {
            char other[RAW_PATH];
            snprintf(other, sizeof other, "%s", cut + 1);
            other[strcspn(other, ":")] = '\0';
            (void)add_file(sums, other);
        }
        *cut = '\0';
    }
    (void)add_file(sums, path);
    return strlen(path);
}

static void add_source(struct sums *sums, const struct source *source)
{
    char path[2 * RAW_PATH];
    add_number(&sums->names, (int64_t)source->count);
    add_number(&sums->classes, source->classes);
    for (int c = 0; c < source->classes && source->class_names; c++)
        add_name(&sums->classes, source->class_names[c]);
    for (size_t i = 0; i < source->count && source->labels; i++)
        add_number(&sums->names, source->labels[i]);
    size_t root = add_container(sums, source->where);
    for (size_t i = 0; i < source->count && source->name; i++) {
        const char *name = source->name(source, i);
        add_name(&sums->names, name);
        if (!name)
            continue;
        snprintf(path, sizeof path, "%.*s/%s", (int)root, source->where, name);
        (void)add_file(sums, path);
    }
}

void digest_files(struct digest *out, const struct source *source)
{
    const uint64_t start = UINT64_C(1469598103934665603);
    struct sums sums = {start, start, start, start};
    if (source->part[0] && source->part[1]) {
        add_source(&sums, source->part[0]);
        add_source(&sums, source->part[1]);
        for (size_t i = 0; i < source->count && source->name; i++) /* who is whose partner */
            add_name(&sums.names, source->name(source, i));
    } else {
        add_source(&sums, source);
    }
    snprintf(out->names, sizeof out->names, "%016llx", (unsigned long long)sums.names);
    snprintf(out->classes, sizeof out->classes, "%016llx", (unsigned long long)sums.classes);
    snprintf(out->sizes, sizeof out->sizes, "%016llx", (unsigned long long)sums.sizes);
    snprintf(out->times, sizeof out->times, "%016llx", (unsigned long long)sums.times);
}

const char *digest_difference(const struct digest *then, const struct digest *now)
{
    if (!then->names[0])
        return NULL;
    if (strcmp(then->names, now->names))
        return "names, labels or number";
    if (then->classes[0] && strcmp(then->classes, now->classes))
        return "classes";
    if (strcmp(then->sizes, now->sizes))
        return "sizes";
    return strcmp(then->times, now->times) ? "times" : NULL;
}
