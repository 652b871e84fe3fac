/* path.c: see path.h. */
#define _GNU_SOURCE
#include "engine/base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int fits(int length, size_t size)
{
    return length >= 0 && (size_t)length < size ? 0 : -1;
}

/* Takes the last part off a folder, where ".." behind it would lead to what then remains. */
static int step_up(char *folder)
{
    struct stat st;
    char *slash = strrchr(folder, '/'), *last = slash ? slash + 1 : folder;
    if (!last[0] || !strcmp(last, ".") || !strcmp(last, "..") || lstat(folder, &st) ||
        !S_ISDIR(st.st_mode))
        return 0;
    if (slash == folder)
        last[0] = '\0'; /* of the root a slash remains */
    else
        *(slash ? slash : folder) = '\0';
    return 1;
}

int path_join(char *out, size_t size, const char *folder, const char *path)
{
    char *room = path[0] == '/' ? NULL : strdup(folder);
    if (path[0] == '/')
        return fits(snprintf(out, size, "%s", path), size);
    if (!room)
        return -1;
    for (size_t n = strlen(room); n > 1 && room[n - 1] == '/'; n--)
        room[n - 1] = '\0';
    while (!strncmp(path, "../", 3) && step_up(room))
        path += 3 + strspn(path + 3, "/");
    int slash = room[0] && room[strlen(room) - 1] != '/';
    if (!strcmp(path, "."))
        path = room[0] ? "" : ".", slash = 0;
    int rc = fits(snprintf(out, size, "%s%s%s", room, slash ? "/" : "", path), size);
    free(room);
    return rc;
}

int path_folder(char *out, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    return fits(snprintf(out, size, "%.*s", (int)length, path), size);
}

/* Bytes of the folders that both paths begin with. */
static size_t common(const char *a, const char *b)
{
    size_t at = 0, end = 0;
    for (; a[at] && a[at] == b[at]; at++)
        end = a[at] == '/' ? at : end;
    if ((!a[at] || a[at] == '/') && (!b[at] || b[at] == '/'))
        end = at;
    return end;
}

static int print_between(char *out, size_t size, const char *from, const char *to)
{
    size_t shared = common(from, to), used = 0;
    for (const char *p = from + shared; *p; p++)
        if (p[0] == '/' && p[1] && used + 3 < size)
            used += (size_t)sprintf(out + used, "../");
    to += shared + strspn(to + shared, "/");
    int rc = fits(snprintf(out + used, size - used, "%s", to), size - used);
    size_t length = strlen(out);
    if (!rc && length && out[length - 1] == '/')
        out[length - 1] = '\0';
    return rc;
}

int path_between(char *out, size_t size, const char *from, const char *to)
{
    char *a = realpath(from[0] ? from : ".", NULL), *b = realpath(to[0] ? to : ".", NULL);
    int rc = a && b ? print_between(out, size, a, b) : -1;
    free(a);
    free(b);
    return rc;
}
