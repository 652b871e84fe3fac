/* account.h: what a source left out, and why.
 *
 * In: a line for each reason as a format meets it. Out: numbers and one text for a notice, in the
 * order in which the reasons were first met. Equal reasons are one row. There is room for a fixed
 * number of rows; what comes later is summed up as "others". */
#ifndef MOCO_ENGINE_DATA_ACCOUNT_H
#define MOCO_ENGINE_DATA_ACCOUNT_H

#include <stddef.h>

enum { ACCOUNT_ROWS = 32, ACCOUNT_GONE = 16, ACCOUNT_TEXT = 64 };

struct account {
    struct account_row {
        char what[ACCOUNT_TEXT]; /* behind the number: ".gif", "empty files" */
        size_t count;
    } rows[ACCOUNT_ROWS];
    size_t n;
    char gone[ACCOUNT_GONE][ACCOUNT_TEXT]; /* classes of which nothing is left */
    size_t gone_count;                     /* of them; the first ACCOUNT_GONE are named */
};

/* `count` files or images (0: none, nothing happens) are left out for the reason. */
void account_leave(struct account *account, size_t count, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The class `name` has no image left. */
void account_class_gone(struct account *account, const char *name);

/* All that was left out. */
size_t account_total(const struct account *account);

/* "12,480" */
enum { ACCOUNT_NUMBER = 32 };
const char *account_number(char out[ACCOUNT_NUMBER], size_t n);

/* "212 .gif, 3 empty files; no image is left of class b", "" where nothing was left out. */
void account_text(char *out, size_t size, const struct account *account);

#endif
