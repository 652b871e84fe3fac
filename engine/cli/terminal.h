/* terminal.h: what the commands print, so that it can do no more than be read. */
#ifndef MOCO_ENGINE_CLI_TERMINAL_H
#define MOCO_ENGINE_CLI_TERMINAL_H

/* From now on bytes of names that would act on a terminal are printed as \x1b or \u202e, on
 * standard output and standard error, and bytes of no character as \xff. */
void terminal_begin(void);

/* Of standard error: what stands in the line goes away, where it is a terminal. */
void terminal_clear_line(void);

#endif
