/* check.h: the smallest test harness. CHECK counts and prints what failed; a test program's main()
 * ends with `return check_summary("name")`, which is 0 only when something was checked and
 * nothing failed. */
#ifndef MOCO_TESTS_CHECK_H
#define MOCO_TESTS_CHECK_H

#include <stdio.h>

#ifdef CHECK_SHARED /* a program of several files, one of which defines the two */
extern int check_count, check_failures;
#else
static int check_count, check_failures;
#endif

#define CHECK(condition) CHECK_MSG(condition, "%s", #condition)
#define CHECK_MSG(condition, ...)                                    \
    do {                                                             \
        check_count++;                                               \
        if (!(condition)) {                                          \
            check_failures++;                                        \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);          \
            fprintf(stderr, __VA_ARGS__);                            \
            fputc('\n', stderr);                                     \
        }                                                            \
    } while (0)

static inline int check_summary(const char *name)
{
    printf("%s: %d checks, %d failed\n", name, check_count, check_failures);
    return check_failures > 0 || check_count == 0;
}

#endif
