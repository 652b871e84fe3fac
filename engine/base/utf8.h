/* utf8.h: texts that may be any bytes, as names of files are. */
#ifndef MOCO_ENGINE_BASE_UTF8_H
#define MOCO_ENGINE_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins at text, of which `size` bytes are there; 0 when none begins.
 * *code, if not NULL: its number. */
size_t utf8_next(uint32_t *code, const char *text, size_t size);

/* Whether the bytes could be the beginning of a longer character. */
int utf8_is_begun(const char *text, size_t size);

/* Characters that act on a terminal instead of being seen: C0, DEL, C1, and those that turn the
 * direction of what follows. */
int utf8_is_control(uint32_t code);

#endif
