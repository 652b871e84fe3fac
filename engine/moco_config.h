/* moco_config.h: from the settings of a caller of the library to those of a step. */
#ifndef MOCO_ENGINE_MOCO_CONFIG_H
#define MOCO_ENGINE_MOCO_CONFIG_H

#include "engine/step.h"
#include "include/moco.h"

/* MOCO_EARG or MOCO_EUNSUPPORTED with a sentence for what can not be. */
int moco_translate(struct step_config *out, const moco_config *config);

/* The settings as text, through the table that training runs use; free() it. */
int moco_recipe(char **out, const moco_config *config);

#endif
