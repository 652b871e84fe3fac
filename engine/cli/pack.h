/* pack.h: moco data DATA --pack OUT. */
#ifndef MOCO_ENGINE_CLI_PACK_H
#define MOCO_ENGINE_CLI_PACK_H

#include "engine/data/format/pack.h"

/* Packs `data` into the file `out` and prints what came of it. */
int cli_pack(const char *data, const char *out, struct pack_options *options,
             double max_missing, int json);

#endif
