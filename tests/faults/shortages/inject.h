/* inject.h: allocations and system calls that fail on demand, in the test's own process: what
 * inject.c defines stands before the C library's, for all libraries of the program. */
#ifndef MOCO_TESTS_FAULTS_SHORTAGES_INJECT_H
#define MOCO_TESTS_FAULTS_SHORTAGES_INJECT_H

enum inject_what { INJECT_ALLOCATION, INJECT_OPEN, INJECT_READ, INJECT_KINDS };

/* From here on the `at`-th call (from 1) fails with errno `number`; lasting: each after it too. */
void inject(enum inject_what what, long at, int lasting, int number);

/* Ends that. Returns how many such calls there were. */
long inject_end(void);

/* Blocks of memory that are held now. */
long inject_held(void);

#endif
