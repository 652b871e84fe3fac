/* words.c: edit distance of two words, by the rows of its table; see words.h.
 *
 * D(i, j) of the first i and j letters is the least of D(i-1, j) + 1, D(i, j-1) + 1, D(i-1, j-1)
 * plus one where the letters differ, and D(i-2, j-2) + 1 where the last two are swapped. */
#include "engine/base/words.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t word_distance(const char *a, const char *b)
{
    size_t table[3][WORD_MAX + 1], n = least(strlen(b), WORD_MAX), i;
    for (size_t j = 0; j <= n; j++)
        table[0][j] = j;
    for (i = 1; a[i - 1]; i++) {
        size_t *line = table[i % 3], *above = table[(i - 1) % 3], *two = table[(i + 1) % 3];
        line[0] = i;
        for (size_t j = 1; j <= n; j++) {
            line[j] = least(above[j], line[j - 1]) + 1;
            line[j] = least(line[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                line[j] = least(line[j], two[j - 2] + 1);
        }
    }
    return table[(i - 1) % 3][n];
}
