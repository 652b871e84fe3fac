/* error.h: the sentence that goes with an error code.
 *
 * A function that fails says `return error_set(MOCO_EIO, "reading %s: %s", path, ...)` where the
 * failure is seen; everything above passes the code on. The sentence is kept per thread until the
 * next one: what, which file or layer, which value, what to do. No final newline, no prefix. */
#ifndef MOCO_ENGINE_BASE_ERROR_H
#define MOCO_ENGINE_BASE_ERROR_H

#include "include/moco.h"

/* Keeps the sentence for this thread and returns `code`. */
int error_set(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* error_set(MOCO_ENOMEM, …) for `what` of `bytes` bytes. */
int error_memory(const char *what, size_t bytes);

/* Whether errno `number` tells of what this process or machine lacks. Libraries that do not say why
 * they failed are asked so: errno is 0 before the call. */
int error_is_shortage(int number);

/* "DOING PATH: REASON" for a call that ended with errno `number`: MOCO_ENOMEM or MOCO_ELIMIT where
 * this process lacks something, so that nobody takes it for a fault of the file, else MOCO_EIO. */
int error_system(const char *doing, const char *path, int number);

/* The newest sentence of this thread, "" if none. Valid until the next error_set() here. */
const char *error_text(void);

#endif
