/* part.h: what the files of a report share; nobody else includes it.
 *
 * report.c reads the run and writes the page, curves.c its pictures, settings.c its table. */
#ifndef MOCO_ENGINE_REPORT_PART_H
#define MOCO_ENGINE_REPORT_PART_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "engine/run/config/config.h"
#include "engine/run/log.h"

struct report {
    const char *folder;
    struct config config;
    cJSON *json;          /* config.json: version, cpu, kernels, origin beside the settings */
    struct log_row *rows; /* (count), owned */
    size_t count;
    double weights;       /* MiB of weights.safetensors, NAN while there is none */
    FILE *out;
};

/* The text of a member of config.json, "" when there is none. */
const char *report_member(const cJSON *object, const char *name);

/* A picture for each column that has numbers. */
void report_curves(const struct report *report);

/* All settings, those that somebody or something chose first. */
void report_settings(const struct report *report);

#endif
