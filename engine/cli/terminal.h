/* terminal.h: what the commands print, so that it can do no more than be read. */
#ifndef MOCO_ENGINE_CLI_TERMINAL_H
#define MOCO_ENGINE_CLI_TERMINAL_H

#include <stdio.h>

#ifndef __GLIBC__ /* elsewhere the two streams are constants */
extern FILE *terminal_out, *terminal_err;
#undef stdout
#undef stderr
#define stdout terminal_out
#define stderr terminal_err
#define printf(...) fprintf(terminal_out, __VA_ARGS__)
#define putchar(c) fputc(c, terminal_out)
#define puts(text) fprintf(terminal_out, "%s\n", text)
#endif

/* From now on bytes of names that would act on a terminal are printed as \x1b or \u202e, on
 * standard output and standard error, and bytes of no character as \xff. */
void terminal_begin(void);

/* Of standard error: what stands in the line goes away, where it is a terminal. */
void terminal_clear_line(void);

#endif
