/* draw_weights.h: see draw_weights.c. */
#ifndef MOCO_TESTS_FIELD_DRAW_WEIGHTS_H
#define MOCO_TESTS_FIELD_DRAW_WEIGHTS_H

int draw_weights(const char *from, const char *to, const char *prefix, const char *kind);

#endif
