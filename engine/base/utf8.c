/* utf8.c: see utf8.h. Longer forms than needed, surrogates and numbers above U+10FFFF are none. */
#include "engine/base/utf8.h"

/* Length by the first byte; 0: none begins with it. */
static size_t length_of(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3
                                             : first < 0xf5   ? 4
                                                              : 0;
}

/* Of a character of `length` bytes; surrogates have no place in UTF-8. */
static int is_number(uint32_t code, size_t length)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    return code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

size_t utf8_next(uint32_t *code, const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t length = size ? length_of(p[0]) : 0;
    if (!length || length > size)
        return 0;
    uint32_t number = length == 1 ? p[0] : p[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        number = number << 6 | (p[i] & 0x3fu);
    }
    if (!is_number(number, length))
        return 0;
    if (code)
        *code = number;
    return length;
}

int utf8_is_begun(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t length = size ? length_of(p[0]) : 0;
    if (length <= size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return 1;
}

int utf8_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0x200e || code == 0x200f ||
           code == 0x2028 || code == 0x2029 || code == 0x061c;
}
