/* account.c: see account.h. */
#include "engine/data/account.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void account_leave(struct account *account, size_t count, const char *format, ...)
{
    char what[ACCOUNT_TEXT];
    size_t i = 0;
    va_list args;
    if (!count)
        return;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    while (i < account->n && strcmp(account->rows[i].what, what))
        i++;
    if (i == ACCOUNT_ROWS) {
        i = ACCOUNT_ROWS - 1;
        snprintf(account->rows[i].what, ACCOUNT_TEXT, "others");
    } else if (i == account->n) {
        snprintf(account->rows[account->n++].what, ACCOUNT_TEXT, "%s", what);
    }
    account->rows[i].count += count;
}

void account_class_gone(struct account *account, const char *name)
{
    if (account->gone_count < ACCOUNT_GONE)
        snprintf(account->gone[account->gone_count], ACCOUNT_TEXT, "%s", name);
    account->gone_count++;
}

size_t account_total(const struct account *account)
{
    size_t total = 0;
    for (size_t i = 0; i < account->n; i++)
        total += account->rows[i].count;
    return total;
}

const char *account_number(char out[ACCOUNT_NUMBER], size_t n)
{
    char digits[ACCOUNT_NUMBER];
    int length = snprintf(digits, sizeof digits, "%zu", n), used = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

/* Reasons are written for many: "links to nothing". Of one the first word that ends with s has
 * none: "link to nothing", "empty file". */
static void singular(char out[ACCOUNT_TEXT], const char *what)
{
    snprintf(out, ACCOUNT_TEXT, "%s", what);
    for (char *word = out; *word; word += *word != '\0') {
        size_t length = strcspn(word, " (");
        if (length > 2 && word[length - 1] == 's') {
            memmove(word + length - 1, word + length, strlen(word + length) + 1);
            return;
        }
        word += length;
    }
}

void account_text(char *out, size_t size, const struct account *account)
{
    size_t used = 0;
    if (size)
        out[0] = '\0';
    for (size_t i = 0; i < account->n && used < size; i++) {
        const struct account_row *row = &account->rows[i];
        char number[ACCOUNT_NUMBER], one[ACCOUNT_TEXT];
        singular(one, row->what);
        used += (size_t)snprintf(out + used, size - used, "%s%s %s", i ? ", " : "",
                                 account_number(number, row->count),
                                 row->count == 1 ? one : row->what);
    }
    for (size_t i = 0; i < account->gone_count && i < ACCOUNT_GONE && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s",
                                 i ? ", " : account->n ? "; no image is left of class "
                                                       : "no image is left of class ",
                                 account->gone[i]);
    if (account->gone_count > ACCOUNT_GONE && used < size)
        snprintf(out + used, size - used, " and %zu more", account->gone_count - ACCOUNT_GONE);
}
