/* config_file.c: settings as JSON: config.json, files of settings, the recipe.
 *
 * A file is one object with the settings by name beside each other; config.json adds version, cpu,
 * kernels, data, paths and origin, which reading skips (data are taken when none were given). Paths
 * in it start at the file's own folder; of a run's own folder that is all that "out" says. Files of
 * runs before that have no "paths": theirs start where moco is called. Numbers are
 * written with the digits that read back as the same value; seeds above 2^53 as text, because JSON
 * readers keep numbers as doubles. */
#include "engine/run/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/replace.h"
#include "engine/run/config/config_paths.h"

enum { TEXT_MAX = 8400, FILE_MAX = 1 << 20 };

static const char *const extras[] = {
    "version", "cpu", "kernels", "data", "paths", "files", "origin",
};

/* ---- writing ---- */

/* paths: NULL in a recipe, which has none. */
static int add_value(cJSON *object, const struct config *config, const struct setting *row,
                     const struct paths *paths)
{
    char typed[TEXT_MAX], text[TEXT_MAX];
    config_text(typed, sizeof typed, config, row);
    if (!paths || !paths->known)
        snprintf(text, sizeof text, "%s", typed);
    else if (!strcmp(row->name, "out"))
        snprintf(text, sizeof text, ".");
    else if (paths_setting(text, sizeof text, paths, row, typed))
        return 0;
    if (row->type == SETTING_SWITCH)
        return cJSON_AddBoolToObject(object, row->name, !strcmp(text, "on")) != NULL;
    if (row->type == SETTING_TEXT ||
        (row->type == SETTING_U64 && strtoull(text, NULL, 10) > 1ULL << 53))
        return cJSON_AddStringToObject(object, row->name, text) != NULL;
    return cJSON_AddRawToObject(object, row->name, text) != NULL;
}

static int in_recipe(const struct config *config, const struct setting *row)
{
    return row->saved == SAVED_IF_OTHER ? !config_is_usual(config, row) : row->saved;
}

static int add_values(cJSON *object, const struct config *config, int only_saved,
                      const struct paths *paths)
{
    size_t count;
    const struct setting *rows = config_settings(&count);
    for (size_t i = 0; i < count; i++)
        if ((!only_saved || in_recipe(config, &rows[i])) &&
            !add_value(object, config, &rows[i], paths))
            return 0;
    return !only_saved || !config->init_sum[0] ||
           cJSON_AddStringToObject(object, "init", config->init_sum) != NULL;
}

char *config_recipe(const struct config *config)
{
    cJSON *object = cJSON_CreateObject();
    char *text = object && add_values(object, config, 1, NULL) ? json_print(object, 0) : NULL;
    cJSON_Delete(object);
    return text;
}

/* The processor as Linux names it, "" where it does not. */
static void cpu_name(char *out, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    out[0] = '\0';
    while (file && !out[0] && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon || !colon[1])
            continue;
        snprintf(out, size, "%s", colon + 2);
        out[strcspn(out, "\n")] = '\0';
    }
    if (file)
        fclose(file);
}

static int add_origins(cJSON *object, const struct config *config)
{
    size_t count;
    const struct setting *rows = config_settings(&count);
    cJSON *origins = cJSON_AddObjectToObject(object, "origin");
    int ok = origins != NULL;
    for (size_t i = 0; i < count && ok; i++)
        ok = cJSON_AddStringToObject(origins, rows[i].name,
                                     origin_name(config->origin[i])) != NULL;
    return ok;
}

static int add_files(cJSON *object, const struct digest *files)
{
    cJSON *sums = files->names[0] ? cJSON_AddObjectToObject(object, "files") : NULL;
    return !files->names[0] || (sums && cJSON_AddStringToObject(sums, "names", files->names) &&
                                 cJSON_AddStringToObject(sums, "classes", files->classes) &&
                                cJSON_AddStringToObject(sums, "sizes", files->sizes) &&
                                cJSON_AddStringToObject(sums, "times", files->times));
}

static char *file_text(const struct config *config, const char *simd_name,
                       const struct paths *paths)
{
    char cpu[256], data[TEXT_MAX], *text = NULL;
    const char *from = paths->known ? "from the folder of this file" : "from where moco was called";
    if (paths_data(data, sizeof data, paths, config->value.data))
        return NULL;
    cJSON *object = cJSON_CreateObject();
    cpu_name(cpu, sizeof cpu);
    if (object && cJSON_AddStringToObject(object, "version", moco_version()) &&
        cJSON_AddStringToObject(object, "cpu", cpu) &&
        cJSON_AddStringToObject(object, "kernels", simd_name) &&
        cJSON_AddStringToObject(object, "paths", from) &&
        cJSON_AddStringToObject(object, "data", data) &&
        add_files(object, &config->files) && add_values(object, config, 0, paths) &&
        add_origins(object, config))
        text = json_print(object, 1);
    cJSON_Delete(object);
    return text;
}

int config_write(const struct config *config, const char *path, const char *simd_name)
{
    struct replace file;
    struct paths paths;
    char *text = paths_to_file(&paths, path) ? file_text(config, simd_name, &paths) : NULL;
    if (!text) { /* the current folder is gone, or too long to stand in front */
        paths.known = 0;
        text = file_text(config, simd_name, &paths);
    }
    int rc = text ? replace_open(&file, path) : error_memory("config.json", TEXT_MAX);
    if (rc)
        goto fail;
    rc = replace_write(&file, text, strlen(text));
    if (!rc)
        rc = replace_write(&file, "\n", 1);
    if (rc)
        replace_abort(&file);
    else
        rc = replace_commit(&file);
fail:
    free(text);
    return rc;
}

/* ---- reading ---- */

int config_file_text(char **out, const char *path)
{
    FILE *file = fopen(path, "rb");
    *out = NULL;
    if (!file)
        return error_set(MOCO_EIO, "%s can not be read: %s", path, strerror(errno));
    char *text = malloc(FILE_MAX + 1);
    size_t size = text ? fread(text, 1, FILE_MAX + 1, file) : 0;
    int bad = ferror(file), number = errno;
    fclose(file);
    if (text && !bad && size <= FILE_MAX) {
        text[size] = '\0';
        *out = text;
        return MOCO_OK;
    }
    free(text);
    if (!text)
        return error_memory("a file of settings", FILE_MAX);
    if (bad)
        return error_set(MOCO_EIO, "reading %s: %s", path, strerror(number));
    return error_set(MOCO_EFORMAT, "%s is longer than 1 MiB: no file of settings", path);
}

/* The value as config_set() takes it, or NULL. */
static const char *item_text(char *room, size_t size, const cJSON *item)
{
    if (cJSON_IsString(item))
        return item->valuestring;
    if (cJSON_IsBool(item))
        return cJSON_IsTrue(item) ? "on" : "off";
    if (!cJSON_IsNumber(item))
        return NULL;
    snprintf(room, size, "%.17g", item->valuedouble);
    return room;
}

static int is_extra(const char *name)
{
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
        if (!strcmp(name, extras[i]))
            return 1;
    return 0;
}

/* Flags of one process: no settings of a run. */
static int is_of_process(const char *name)
{
    return !strcmp(name, "resume") || !strcmp(name, "force") || !strcmp(name, "json") ||
           !strcmp(name, "config");
}

/* What a recipe has in the place of a path. */
static int is_sum(const cJSON *item)
{
    return !strcmp(item->string, "init") && cJSON_IsString(item) &&
           !strncmp(item->valuestring, ST_SUM_PREFIX, sizeof ST_SUM_PREFIX - 1);
}

static int explain(int rc, const char *path)
{
    char why[512];
    snprintf(why, sizeof why, "%.500s", error_text());
    return error_set(rc, "%s: %s", path, why);
}

static int apply_item(struct config *config, const cJSON *item, const struct paths *paths,
                      const char *path)
{
    char room[64], value[TEXT_MAX];
    const char *text = item_text(room, sizeof room, item);
    int rc = MOCO_OK;
    if (!strcmp(item->string, "data") && text && !config->value.data[0])
        rc = paths_data(config->value.data, sizeof config->value.data, paths, text);
    if (rc)
        return explain(rc, path);
    if (is_extra(item->string) || is_of_process(item->string) || is_sum(item))
        return MOCO_OK;
    if (!text)
        return error_set(MOCO_EFORMAT, "%s: the value of %.64s is no number, text, true or false",
                         path, item->string);
    const struct setting *row = config_setting(item->string);
    if (row && row->type == SETTING_U64 && cJSON_IsNumber(item) && item->valuedouble >= 0x1p53)
        return error_set(MOCO_EFORMAT, "%s: %s is no whole number but one with a point or an "
                         "exponent, of which some digits are lost: write all its digits", path,
                         item->string);
    if (row && row->what) {
        rc = paths_setting(value, sizeof value, paths, row, text);
        text = value;
    }
    if (!rc)
        rc = config_set(config, item->string, text, FROM_FILE);
    return rc ? explain(rc, path) : MOCO_OK;
}

static void read_sum(char *out, size_t size, const cJSON *files, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(files, name));
    snprintf(out, size, "%s", text ? text : "");
}

static void read_files(struct digest *out, const cJSON *object)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(object, "files");
    read_sum(out->names, sizeof out->names, files, "names");
    read_sum(out->classes, sizeof out->classes, files, "classes");
    read_sum(out->sizes, sizeof out->sizes, files, "sizes");
    read_sum(out->times, sizeof out->times, files, "times");
}

/* Runs of earlier versions wrote paths as they were typed, and said nothing of them. */
static int find_paths(struct paths *paths, const cJSON *object, const char *path)
{
    const char *from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "paths"));
    int version = cJSON_HasObjectItem(object, "version");
    *paths = (struct paths){.known = 0};
    if (from ? !strncmp(from, "from where", 10) : version)
        return MOCO_OK;
    return paths_from_file(paths, path);
}

int config_read_text(struct config *config, const char *text, const char *path)
{
    int rc = MOCO_OK;
    const cJSON *item;
    struct paths paths;
    size_t wrong;
    cJSON *object = json_parse(&wrong, text);
    if (!cJSON_IsObject(object))
        rc = error_set(MOCO_EFORMAT, "%s is no JSON object of settings: byte %zu is the first that "
                       "does not fit", path, wrong);
    if (!rc)
        rc = find_paths(&paths, object, path);
    if (!rc)
        read_files(&config->files, object);
    if (!rc && cJSON_HasObjectItem(object, "version") &&
        !cJSON_HasObjectItem(object, "positive-by")) /* of a run before pairs were found by name */
        rc = config_set(config, "positive-by", "index", FROM_FILE);
    cJSON_ArrayForEach(item, object) {
        if (!rc)
            rc = apply_item(config, item, &paths, path);
    }
    cJSON_Delete(object);
    return rc;
}

int config_read(struct config *config, const char *path)
{
    char *text;
    int rc = config_file_text(&text, path);
    if (!rc)
        rc = config_read_text(config, text, path);
    free(text);
    return rc;
}
