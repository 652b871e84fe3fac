/* terminal.c: see terminal.h.
 *
 * Both streams write through a filter. Our own control sequence is asked for with a NUL, the one
 * byte that no name can have. A character may arrive in several writes: its first bytes wait. */
#define _GNU_SOURCE
#include "engine/cli/terminal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/utf8.h"

enum { ROOM = 4096, LONGEST = 8 /* bytes that stand for one */ };

struct filter {
    int fd;
    char begun[4]; /* of a character */
    size_t begun_size;
    char out[ROOM];
    size_t size;
};

static int flush(struct filter *f)
{
    size_t done = 0;
    while (done < f->size) {
        ssize_t n = write(f->fd, f->out + done, f->size - done);
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    f->size = 0;
    return 0;
}

static void put(struct filter *f, const char *bytes, size_t size)
{
    memcpy(f->out + f->size, bytes, size);
    f->size += size;
}

static void put_number(struct filter *f, const char *format, unsigned number)
{
    char text[LONGEST + 1];
    put(f, text, (size_t)snprintf(text, sizeof text, format, number));
}

/* Bytes taken from text; 0: more of the character must come first. */
static size_t take(struct filter *f, const char *text, size_t size)
{
    uint32_t code;
    size_t length = utf8_next(&code, text, size);
    if (!length && utf8_is_begun(text, size))
        return 0;
    if (!length)
        put_number(f, "\\x%02x", (unsigned char)*text);
    else if (code == 0)
        put(f, "\r\033[K", 4);
    else if (utf8_is_control(code) && code != '\n' && code != '\t')
        put_number(f, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
    else
        put(f, text, length);
    return length ? length : 1;
}

static void feed(struct filter *f, char byte)
{
    f->begun[f->begun_size++] = byte;
    while (f->begun_size) {
        size_t taken = take(f, f->begun, f->begun_size);
        if (!taken)
            return;
        f->begun_size -= taken;
        memmove(f->begun, f->begun + taken, f->begun_size);
    }
}

static ssize_t filtered(void *cookie, const char *data, size_t size)
{
    struct filter *f = cookie;
    for (size_t i = 0; i < size; i++) {
        if (f->size + sizeof f->begun * LONGEST > ROOM && flush(f))
            return 0;
        feed(f, data[i]);
    }
    return flush(f) ? 0 : (ssize_t)size;
}

#ifndef __GLIBC__
FILE *terminal_out, *terminal_err;
#endif

static void filter_open(FILE **stream, struct filter *f, int mode)
{
    cookie_io_functions_t functions = {.write = filtered};
    FILE *file = fopencookie(f, "w", functions);
    if (!file)
        return; /* without memory names come as they are */
    setvbuf(file, NULL, mode, 0);
    *stream = file;
}

void terminal_begin(void)
{
    static struct filter out = {.fd = 1}, err = {.fd = 2};
#ifndef __GLIBC__
    terminal_out = fdopen(1, "w"), terminal_err = fdopen(2, "w");
#endif
    filter_open(&stdout, &out, isatty(1) ? _IOLBF : _IOFBF);
    filter_open(&stderr, &err, _IONBF);
}

void terminal_clear_line(void)
{
    if (isatty(2))
        fputc('\0', stderr);
}
