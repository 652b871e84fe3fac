/* tiff_file.c: see tiff_file.h.
 *
 * libtiff reads through functions of here, so that a signal interrupts nothing and a disk's failure
 * is told as such. It goes on without tags that it could not read or had no memory for, and warns:
 * what the system had against a read, or lacked when a warning came, is kept for tiff_close(). */
#define _GNU_SOURCE
#include "engine/data/format/tiff_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "engine/base/again.h"
#include "engine/base/error.h"
#include "engine/data/format/raw.h"
#include "engine/data/format/tiff_page.h"

/* ---- what libtiff says ---- */

static void keep_shortage(struct tiff_file *file)
{
    if (!file->number && error_is_shortage(errno))
        file->number = errno;
}

static int keep_error(TIFF *tif, void *user, const char *module, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

static int keep_error(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    struct tiff_file *file = user;
    (void)tif, (void)module;
    keep_shortage(file);
    if (!file->text[0])
        vsnprintf(file->text, sizeof file->text, format, args);
    return 1;
}

static int no_warning(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    (void)tif, (void)module, (void)format, (void)args;
    keep_shortage(user);
    return 1;
}

int tiff_refuse(const struct tiff_file *file)
{
    if (file->number)
        return error_system("reading", file->path, file->number);
    return error_set(MOCO_EDAMAGED, "%s: not a readable TIFF (%s); it is truncated or damaged",
                     file->path, file->text[0] ? file->text : "no reason given");
}

/* ---- what libtiff reads by ---- */

static tmsize_t read_bytes(thandle_t handle, void *out, tmsize_t size)
{
    struct tiff_file *file = handle;
    ssize_t got = read_again(file->fd, out, (size_t)size);
    if (got < 0 && !file->number)
        file->number = errno;
    return got;
}

static tmsize_t write_nothing(thandle_t handle, void *data, tmsize_t size)
{
    (void)handle, (void)data, (void)size;
    return -1;
}

static toff_t seek_to(thandle_t handle, toff_t offset, int whence)
{
    const struct tiff_file *file = handle;
    return (toff_t)lseek(file->fd, (off_t)offset, whence);
}

static int close_later(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle)
{
    const struct tiff_file *file = handle;
    struct stat info;
    return fstat(file->fd, &info) == 0 ? (toff_t)info.st_size : 0;
}

/* ---- opening ---- */

/* "h": no directory is read yet; "m": no mapping of the file, which may shrink. */
static int open_by_library(struct tiff_file *file)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return error_memory("a TIFF file", sizeof *file);
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, file);
    TIFFOpenOptionsSetWarningHandlerExtR(options, no_warning, file);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)tiff_strile_max);
    file->tif = TIFFClientOpenExt(file->path, "rhm", file, read_bytes, write_nothing, seek_to,
                                  close_later, size_of, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (!file->tif)
        return tiff_refuse(file);
    TIFFSetFileno(file->tif, file->fd);
    return MOCO_OK;
}

int tiff_open(struct tiff_file *out, const char *path)
{
    *out = (struct tiff_file){ .fd = -1, .path = path };
    int rc = raw_check_file(path);
    if (rc != MOCO_OK)
        return rc;
    out->fd = open_again(path, O_RDONLY | O_CLOEXEC, 0);
    if (out->fd < 0)
        return error_system("opening", path, errno);
    errno = 0;
    rc = open_by_library(out);
    return rc == MOCO_OK ? rc : tiff_close(out, rc);
}

int tiff_close(struct tiff_file *file, int rc)
{
    if (rc != MOCO_OK && rc != MOCO_ENOMEM)
        keep_shortage(file); /* without a word of the library */
    if (file->tif)
        TIFFClose(file->tif);
    if (file->fd >= 0)
        close(file->fd);
    int failed = file->number && (rc == MOCO_OK || error_is_shortage(file->number));
    return failed && rc != MOCO_ENOMEM ? error_system("reading", file->path, file->number) : rc;
}
