/* tree_walk.c: goes through the folders below a root, links included, and accounts for all that is
 * met there; see tree.h. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/base/grow.h"
#include "engine/data/decode/decode.h"
#include "engine/data/format/content.h"
#include "engine/data/format/tree.h"

enum { DEPTH_MAX = 32 };

/* The folders that a walk is in, the innermost first. */
struct chain {
    dev_t device;
    ino_t inode;
    const struct chain *above;
    int depth;
};

/* ---- names ---- */

static int add(char ***names, size_t *count, size_t *capacity, const char *name)
{
    char **grown = array_grow(*names, capacity, *count, sizeof *grown, "names of files");
    if (!grown)
        return MOCO_ENOMEM;
    *names = grown;
    grown[*count] = strdup(name);
    if (!grown[*count])
        return error_memory("the name of a file", strlen(name) + 1);
    ++*count;
    return MOCO_OK;
}

/* out (PATH_MAX) = "a/b", or b alone when a is "". */
static int join(char *out, const char *a, const char *b)
{
    size_t length = strlen(a);
    int slash = length && a[length - 1] != '/';
    int size = snprintf(out, PATH_MAX, "%s%s%s", a, slash ? "/" : "", b);
    if (size >= 0 && size < PATH_MAX)
        return MOCO_OK;
    return error_set(MOCO_EIO, "a path below %.200s is longer than %d bytes", a, PATH_MAX);
}

/* What systems and programs leave in folders. */
static int is_hidden(const char *name)
{
    static const char *const names[] = { "Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX",
                                         "lost+found", "$RECYCLE.BIN", "System Volume Information",
                                         "@eaDir" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(name, names[i]))
            return 1;
    return name[0] == '.';
}

/* The ending, in small letters, of a name that has one: ".csv", ".tar.gz". */
static int ending_of(char out[16], const char *name)
{
    const char *file = strrchr(name, '/'), *dot = strrchr(file ? file + 1 : name, '.');
    size_t n = dot ? strlen(dot) : 0;
    if (n < 2 || n > 8 || dot == (file ? file + 1 : name))
        return 0;
    for (size_t i = 1; i < n; i++)
        if (!isalnum((unsigned char)dot[i]))
            return 0;
    for (size_t i = 0; i <= n; i++)
        out[i] = (char)tolower((unsigned char)dot[i]);
    return 1;
}

/* ---- one file ---- */

/* An ordinary text may begin with "P1 "; a PNM goes on with numbers. */
static int is_image(enum content content, const char *path)
{
    char head[4] = "";
    FILE *file = content == CONTENT_PNM ? fopen(path, "rb") : NULL;
    size_t n = file ? fread(head, 1, sizeof head, file) : 0;
    if (file)
        fclose(file);
    return content >= CONTENT_JPEG && content <= CONTENT_WEBP &&
           (content != CONTENT_PNM ||
            (n == sizeof head && (isdigit((unsigned char)head[3]) || head[3] == '#')));
}

static enum tree_kind kind_of_content(enum content content, const char *path)
{
    if (is_image(content, path))
        return TREE_IMAGE;
    return content == CONTENT_TIFF ? TREE_TIFF : content == CONTENT_FITS ? TREE_FITS : TREE_OTHER;
}

/* A file that is of no kind: by its ending, or what it is. */
static void leave_file(struct tree *tree, enum content content, const char *name)
{
    char ending[16];
    if (ending_of(ending, name))
        account_leave(&tree->account, 1, "%s", ending);
    else if (content == CONTENT_UNKNOWN)
        account_leave(&tree->account, 1, "files without ending or known content");
    else
        account_leave(&tree->account, 1, "files without ending (%s)", content_name(content));
}

/* An image of a kind that this build does not decode. */
static int leave_undecoded(struct tree *tree, enum content content)
{
    if (content < CONTENT_JPEG || content > CONTENT_WEBP || decode_reads(content))
        return 0;
    account_leave(&tree->account, 1, "%s (not built in)", content_name(content) + 2);
    return 1;
}

/* Which kind a file is of: what its name says where that is the kind looked for, else its content.
 * */
static int meet(struct tree *tree, const char *name, const char *path)
{
    enum tree_kind kind = tree_kind_of(name);
    enum content content = CONTENT_UNKNOWN;
    int number = 0;
    if (!tree->by_name && (kind != tree->kind || kind == TREE_OTHER)) {
        content = content_of_file(path, &number);
        if (number == EACCES || number == EPERM) {
            account_leave(&tree->account, 1, "files that may not be opened");
            return MOCO_OK;
        }
        if (number)
            return error_system("reading", path, number);
        if (content == CONTENT_EMPTY) {
            account_leave(&tree->account, 1, "empty files");
            return MOCO_OK;
        }
        if (tree->kind == TREE_IMAGE && leave_undecoded(tree, content))
            return MOCO_OK;
        /* What no magic tells keeps its name's kind: TGA, FITS behind gzip. */
        if (content != CONTENT_UNKNOWN && content != CONTENT_GZIP)
            kind = kind_of_content(content, path);
    }
    tree->seen[kind]++;
    if (kind == TREE_OTHER && !tree->by_name)
        leave_file(tree, content, name);
    return kind == tree->kind && kind != TREE_OTHER
               ? add(&tree->names, &tree->count, &tree->capacity, name) : MOCO_OK;
}

/* ---- folders ---- */

/* Who only looks what there is has seen enough with the first image. */
static int enough(const struct tree *tree)
{
    return tree->kind == TREE_OTHER && tree->seen[TREE_IMAGE] > 0;
}

/* stat() of an entry. 1: there is something; 0: it is left out; below 0: an error. */
static int look_at(struct tree *tree, struct stat *info, const char *path)
{
    struct stat link;
    int rc;
    do
        rc = stat(path, info);
    while (rc && errno == EINTR);
    if (!rc)
        return 1;
    int number = errno;
    if (number == EACCES)
        account_leave(&tree->account, 1, "files where a folder may not be entered");
    else if (number == ELOOP)
        account_leave(&tree->account, 1, "links in a circle");
    else if (number == ENOENT && !lstat(path, &link) && S_ISLNK(link.st_mode))
        account_leave(&tree->account, 1, "links to nothing");
    else if (number != ENOENT) /* gone meanwhile */
        return error_system("looking at", path, number);
    return 0;
}

static int is_above(const struct chain *chain, const struct stat *info)
{
    for (; chain; chain = chain->above)
        if (chain->device == info->st_dev && chain->inode == info->st_ino)
            return 1;
    return 0;
}

static int walk(struct tree *tree, const char *below, const struct chain *chain);

static int enter(struct tree *tree, const char *below, const char *path, const struct stat *info,
                 const struct chain *chain)
{
    const struct chain inner = { info->st_dev, info->st_ino, chain, chain->depth + 1 };
    if (is_above(chain, info)) {
        account_leave(&tree->account, 1, "links to a folder above");
        return MOCO_OK;
    }
    if (inner.depth > DEPTH_MAX)
        return error_set(MOCO_EIO, "%s lies more than %d folders deep", path, DEPTH_MAX);
    int rc = chain->above ? MOCO_OK
                          : add(&tree->folders, &tree->folder_count, &tree->folder_capacity, below);
    return rc ? rc : walk(tree, below, &inner);
}

static int visit(struct tree *tree, const char *below, const char *name, const struct chain *chain)
{
    char path[PATH_MAX], next[PATH_MAX];
    struct stat info;
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return MOCO_OK;
    if (is_hidden(name)) {
        account_leave(&tree->account, 1, "hidden or of the system");
        return MOCO_OK;
    }
    int rc = join(next, below, name);
    if (!rc)
        rc = join(path, tree->root, next);
    int there = rc ? rc : look_at(tree, &info, path);
    if (there <= 0)
        return there;
    if (S_ISDIR(info.st_mode))
        return enter(tree, next, path, &info, chain);
    if (S_ISREG(info.st_mode))
        return meet(tree, next, path);
    account_leave(&tree->account, 1, "special files (sockets, pipes, devices)");
    return MOCO_OK;
}

static DIR *open_folder(const char *path)
{
    DIR *dir;
    do
        dir = opendir(path);
    while (!dir && errno == EINTR);
    return dir;
}

/* `below`: path below the root, "" for the root itself. */
static int walk(struct tree *tree, const char *below, const struct chain *chain)
{
    char path[PATH_MAX];
    int rc = join(path, tree->root, below);
    DIR *dir = rc ? NULL : open_folder(path);
    if (!rc && !dir && errno == EACCES && below[0]) {
        account_leave(&tree->account, 1, "folders that may not be opened");
        return MOCO_OK;
    }
    if (!dir)
        return rc ? rc : error_system("opening the folder", path, errno);
    while (!rc && !enough(tree)) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry && errno)
            rc = error_system("reading the folder", path, errno);
        if (!entry)
            break;
        rc = visit(tree, below, entry->d_name, chain);
    }
    closedir(dir);
    return rc;
}

int tree_walk(struct tree *tree)
{
    struct stat info;
    if (stat(tree->root, &info))
        return error_system("opening the folder", tree->root, errno);
    const struct chain root = { info.st_dev, info.st_ino, NULL, 0 };
    return walk(tree, "", &root);
}

int tree_single(struct tree *tree)
{
    char path[PATH_MAX];
    memcpy(path, tree->root, sizeof path);
    char *slash = strrchr(tree->root, '/');
    slash[slash == tree->root] = '\0';
    return meet(tree, strrchr(path, '/') + 1, path);
}
