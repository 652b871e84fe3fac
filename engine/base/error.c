/* error.c: one sentence a thread; see error.h. */
#include "engine/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char sentence[1024];

int error_set(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return code;
}

int error_memory(const char *what, size_t bytes)
{
    return error_set(MOCO_ENOMEM, "not enough memory for %s (%.1f MiB)", what,
                     (double)bytes / (1024.0 * 1024.0));
}

int error_is_shortage(int number)
{
    return number == ENOMEM || number == EMFILE || number == ENFILE || number == EAGAIN ||
           number == ENOLCK;
}

/* What the system's own words leave open: whose limit it is. */
static const char *advice(int number)
{
    if (number == EMFILE)
        return "; this process may have no more files open, raise its limit (ulimit -n)";
    return number == ENFILE ? "; this machine may have no more files open" : "";
}

int error_system(const char *doing, const char *path, int number)
{
    int code = number == ENOMEM ? MOCO_ENOMEM : error_is_shortage(number) ? MOCO_ELIMIT : MOCO_EIO;
    return error_set(code, "%s %s: %s%s", doing, path, strerror(number), advice(number));
}

const char *error_text(void)
{
    return sentence;
}
