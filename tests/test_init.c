/* test_init: training that starts from weights. Before the first step the encoders of every method
 * hold the file's numbers, and everything else is as in a run without; conv1 of another number of
 * channels; what does not fit is named; a run that is stopped goes on bit for bit when the file is
 * gone, and says so when it is another one. */
#define _GNU_SOURCE /* files.h */
#include <fcntl.h>

#include "engine/base/sha256.h"
#include "engine/run/run.h"
#include "simd/simd.h"
#include "tests/files.h"

enum { IMAGES = 16, SIDE = 8, CHANNELS_MAX = 5 };

static struct moco_simd simd;
static char said[6000];
static int steps, stop_after;

/* ---- runs ---- */

static void progress(void *user, const struct train_progress *p)
{
    (void)user;
    steps += !p->epoch_done;
}

static int stop(void *user)
{
    (void)user;
    return stop_after && steps >= stop_after ? TRAIN_STOP : TRAIN_GO;
}

static void notice(void *user, const char *sentence)
{
    size_t used = strlen(said);
    (void)user;
    snprintf(said + used, sizeof said - used, "%s\n", sentence);
}

static const struct train_hooks hooks = { .progress = progress, .stop = stop, .notice = notice };

/* "x3.npy" with labels: images of so many channels. */
static void put_images(int channels)
{
    static unsigned char bytes[IMAGES * CHANNELS_MAX * SIDE * SIDE];
    int64_t labels[IMAGES];
    char name[16], shape[40];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((i * 2654435761u) >> 11);
    for (int i = 0; i < IMAGES; i++)
        labels[i] = i % 2;
    snprintf(name, sizeof name, "x%d.npy", channels);
    snprintf(shape, sizeof shape, "%d, %d, %d, %d", IMAGES, channels, SIDE, SIDE);
    put_npy(name, "|u1", shape, bytes, (size_t)(IMAGES * channels * SIDE * SIDE));
    put_npy("l.npy", "<i8", "16,", labels, sizeof labels);
}

static void set(struct config *config, const char *name, const char *text)
{
    CHECK_MSG(!config_set(config, name, text, FROM_FLAG), "%s: %s", name, error_text());
}

/* Settings that every run of these tests has, but for those of the network. */
static void configure(struct config *config, const char *out, const char *init, int channels)
{
    static const char *const usual[][2] = {
        { "batch-size", "8" }, { "moco-k", "8" }, { "bn-splits", "1" }, { "negatives", "8" },
        { "moco-mlp-dim", "12" }, { "epochs", "2" }, { "threads", "1" }, { "workers", "1" },
        { "cos", "off" }, { "lr", "0.05" },
        { "conv", "own" },
    };
    config_default(config);
    snprintf(config->value.data, sizeof config->value.data, "npy:%s,%s",
             at(channels == 1 ? "x1.npy" : channels == 2 ? "x2.npy" : channels == 3 ? "x3.npy"
                : channels == 4 ? "x4.npy" : "x5.npy"), at("l.npy"));
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        set(config, usual[i][0], usual[i][1]);
    set(config, "out", at(out));
    if (init)
        set(config, "init", at(init));
}

static void configure_network(struct config *config)
{
    set(config, "width", "4");
    set(config, "moco-dim", "6");
}

static int go(struct config *config, int after)
{
    said[0] = '\0';
    steps = 0;
    stop_after = after;
    return train_run(config, &simd, &hooks);
}

/* A run of 3 or other channels that others start from. */
static void train_source(const char *out, int channels, int mlp)
{
    struct config config;
    put_images(channels);
    configure(&config, out, NULL, channels);
    configure_network(&config);
    set(&config, "mlp", mlp ? "on" : "off");
    CHECK_MSG(!go(&config, 0), "%s", error_text());
}

static int open_run(struct run *run, struct config *config)
{
    *run = (struct run){ .config = config, .c = &config->value, .simd = &simd, .hooks = &hooks,
                         .log.fd = -1, .events.fd = -1, .knn = NAN, .accuracy = NAN };
    said[0] = '\0';
    return run_open(run);
}

static void tells(const char *part)
{
    CHECK_MSG(strstr(said, part) != NULL, "no '%s' in '%s'", part, said);
}

/* ---- what a run starts with ---- */

static const void *numbers_of(const struct encoder *e, const struct tensor *t)
{
    return t->kind == TENSOR_PARAM  ? (const void *)(e->params + t->offset)
           : t->kind == TENSOR_STAT ? (const void *)(e->stats + t->offset)
                                    : (const void *)&e->batches;
}

static size_t bytes_of(const struct tensor *t)
{
    return t->kind == TENSOR_COUNT ? sizeof(int64_t) : t->count * sizeof(float);
}

/* Every tensor is the file's where `head` lets it be, else that of the run `fresh`. */
static void check_query(const struct run *run, const struct run *fresh, const char *path, int head)
{
    size_t count, taken = 0, kept = 0;
    struct st_file *file;
    const struct tensor *tensors = net_tensors(run->step.net, &count);
    CHECK(!safetensors_open(&file, path));
    for (size_t i = 0; i < count; i++) {
        const struct tensor *t = &tensors[i];
        const struct st_tensor *there = safetensors_find(file, t->name);
        const void *now = numbers_of(&run->step.q, t);
        int wanted = there && (head || strncmp(t->name, "fc.", 3) != 0);
        taken += wanted;
        kept += !wanted;
        CHECK_MSG(!memcmp(now, wanted ? there->data : numbers_of(&fresh->step.q, t), bytes_of(t)) ||
                      t->kind == TENSOR_COUNT, "%s is not %s", t->name,
                  wanted ? "the file's" : "that of a fresh run");
    }
    CHECK(taken > 60 && (head || kept));
    CHECK(run->step.q.batches == 4);
    safetensors_close(&file);
}

static void check_keys(const struct step *s)
{
    enum key_encoder key = s->config.key.kind;
    if (key_has_params(key))
        CHECK(!memcmp(s->k.params, s->q.params, step_key_count(s) * sizeof(float)));
    if (key_has_branch(key) && key != KEY_SAME) {
        CHECK(!memcmp(s->k.stats, s->q.stats, net_stat_count(s->net_k) * sizeof(float)));
        CHECK(s->k.batches == s->q.batches);
    }
    for (size_t i = 0; i < net_param_count(s->net); i++)
        if (s->moments_q[0][i] != 0.0f) {
            CHECK_MSG(0, "moment %zu is not zero", i);
            break;
        }
}

static void test_methods(void)
{
    static const struct {
        const char *method, *keys;
        int head; /* that of `from` fits */
    } cases[] = {
        { "moco", "momentum", 1 }, { "moco", "shared", 1 }, { "moco", "partial:layer2", 1 },
        { "moco-v3", "momentum", 0 }, { "memory-bank", NULL, 1 }, { "end-to-end", "same", 1 },
        { "end-to-end", "separate", 1 }, { "parametric", NULL, 1 }, { "margin", NULL, 1 },
        { "semi-supervised", NULL, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run, fresh;
        struct config config, plain;
        configure(&config, "m", "from", 3);
        configure(&plain, "f", NULL, 3);
        configure_network(&plain);
        set(&config, "method", cases[i].method);
        set(&plain, "method", cases[i].method);
        if (cases[i].keys) {
            set(&config, "key-encoder", cases[i].keys);
            set(&plain, "key-encoder", cases[i].keys);
        }
        if (!cases[i].head) /* what does not follow */
            set(&plain, "moco-dim", "128");
        CHECK_MSG(!open_run(&fresh, &plain), "%s: %s", cases[i].method, error_text());
        CHECK_MSG(!open_run(&run, &config), "%s: %s", cases[i].method, error_text());
        tells(cases[i].head ? "backbone and head (fc of 6)" : "its head (fc of 6) is not that");
        check_query(&run, &fresh, at("from/weights.safetensors"), cases[i].head);
        check_keys(&run.step);
        run_close(&run);
        run_close(&fresh);
        remove(at("m/log.csv")), remove(at("f/log.csv"));
    }
}

/* Of another architecture a second network can only start from random weights. */
static void test_separate(void)
{
    struct run run;
    struct config config;
    configure(&config, "m", "from", 3);
    set(&config, "method", "end-to-end");
    set(&config, "key-encoder", "separate:resnet34");
    CHECK_MSG(!open_run(&run, &config), "%s", error_text());
    tells("the key encoder is a resnet34 and starts from random weights");
    run_close(&run);
    remove(at("m/log.csv"));
}

/* ---- what follows from the file ---- */

static void is_set(const struct config *config, const char *name, const char *wanted,
                   enum origin origin)
{
    char text[200];
    size_t count;
    const struct setting *row = config_setting(name);
    config_text(text, sizeof text, config, row);
    CHECK_MSG(!strcmp(text, wanted), "%s is %s, not %s", name, text, wanted);
    CHECK_MSG(config->origin[row - config_settings(&count)] == origin, "%s is from %s", name,
              origin_name(config->origin[row - config_settings(&count)]));
}

static void test_settings(void)
{
    struct run run;
    struct config config;
    train_source("mlp", 3, 1);
    configure(&config, "m", "mlp", 3);
    CHECK_MSG(!open_run(&run, &config), "%s", error_text());
    is_set(&config, "arch", "resnet18", FROM_WEIGHTS);
    is_set(&config, "width", "4", FROM_WEIGHTS);
    is_set(&config, "stem", "cifar", FROM_WEIGHTS);
    is_set(&config, "side", "8", FROM_WEIGHTS);
    is_set(&config, "mlp", "on", FROM_WEIGHTS);
    is_set(&config, "moco-dim", "6", FROM_WEIGHTS);
    tells("backbone and head (mlp of 6)");
    run_close(&run);
    remove(at("m/log.csv"));

    configure(&config, "m", "mlp", 3);
    set(&config, "mlp", "off");
    set(&config, "mean", "0.1");
    CHECK_MSG(!open_run(&run, &config), "%s", error_text());
    is_set(&config, "moco-dim", "128", FROM_DEFAULT);
    is_set(&config, "mean", "0.1", FROM_FLAG);
    tells("the backbone; its head (mlp of 6) is not that of the run (fc of 128), which starts from "
          "random weights");
    run_close(&run);
    remove(at("m/log.csv"));
}

static void refuses(const char *init, const char *name, const char *value, const char *part)
{
    struct config config;
    configure(&config, "refused", init, 3);
    if (name)
        set(&config, name, value);
    CHECK(go(&config, 0));
    CHECK_MSG(strstr(error_text(), part), "no '%s' in '%s'", part, error_text());
    CHECK(access(at("refused"), F_OK) != 0);
}

static void test_refusals(void)
{
    struct st_file *file;
    struct st_tensor tensors[200];
    float none[4096];
    refuses("from", "arch", "resnet34", "holds a resnet18 of width 4 with stem cifar, and --arch "
                                        "asks for arch resnet34");
    refuses("from", "width", "8", "--width asks for width 8");
    refuses("from", "stem", "imagenet", "--stem asks for stem imagenet");
    refuses("x3.npy", NULL, NULL, "x3.npy is ");
    refuses("nothing", NULL, NULL, "nothing");
    refuses("", NULL, NULL, "holds neither weights.safetensors nor checkpoint.safetensors");
    CHECK(!safetensors_open(&file, at("from/weights.safetensors")));
    size_t n = safetensors_count(file);
    CHECK(n <= 200);
    for (size_t i = 0; i < n && i < 200; i++) {
        tensors[i] = *safetensors_at(file, i);
        if (strcmp(tensors[i].name, "layer2.0.bn1.running_mean"))
            continue;
        memcpy(none, tensors[i].data, safetensors_bytes(&tensors[i]));
        none[1] = NAN;
        tensors[i].data = none;
    }
    CHECK(!safetensors_write(at("nan.safetensors"), tensors, n, NULL, 0));
    safetensors_close(&file);
    refuses("nan.safetensors", NULL, NULL, "tensor layer2.0.bn1.running_mean is not finite");
}

/* ---- channels ---- */

static float wanted_tap(const float *in, size_t row, size_t c, size_t i, size_t from, size_t to)
{
    float sum = 0;
    if (to > 1)
        return (float)from / (float)to * in[(row * from + c % from) * 9 + i];
    for (size_t k = 0; k < from; k++)
        sum += in[(row * from + k) * 9 + i];
    return sum;
}

static void test_channels(void)
{
    static const struct {
        int from, to;
        const char *said;
    } cases[] = {
        { 3, 1, "is for 3 channels and the images have one: it is summed over them" },
        { 3, 2, "scaled by 3/2" }, { 3, 5, "repeated in turn, scaled by 3/5" },
        { 1, 3, "is for 1 channel and the images have 3: its channels are repeated in turn, scaled "
                "by 1/3" },
        { 5, 1, "summed" }, { 5, 3, "scaled by 5/3" },
    };
    char name[16];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run;
        struct config config;
        struct st_file *file;
        size_t from = (size_t)cases[i].from, to = (size_t)cases[i].to;
        float in[4 * CHANNELS_MAX * 9];
        snprintf(name, sizeof name, "from%d", cases[i].from);
        if (access(at(name), F_OK))
            train_source(name, cases[i].from, 0);
        put_images(cases[i].to);
        configure(&config, "c", name, cases[i].to);
        CHECK_MSG(!open_run(&run, &config), "%s", error_text());
        tells(cases[i].said);
        is_set(&config, "moco-dim", "6", FROM_WEIGHTS);
        char path[40];
        snprintf(path, sizeof path, "%s/weights.safetensors", name);
        CHECK(!safetensors_open(&file, at(path)));
        memcpy(in, safetensors_find(file, "conv1.weight")->data, 4 * from * 9 * sizeof *in);
        const float *now = run.step.q.params + net_find(run.step.net, "conv1.weight")->offset;
        double most = 0;
        for (size_t row = 0; row < 4; row++)
            for (size_t c = 0; c < to; c++)
                for (size_t tap = 0; tap < 9; tap++)
                    most = fmax(most, fabs((double)(now[(row * to + c) * 9 + tap] -
                                                    wanted_tap(in, row, c, tap, from, to))));
        CHECK_MSG(most < 1e-6, "%zu to %zu channels: off by %g", from, to, most);
        safetensors_close(&file);
        run_close(&run);
        remove(at("c/log.csv"));
    }
}

/* ---- going on ---- */

static void same_files(const char *name)
{
    char path[60];
    unsigned char *a, *b;
    snprintf(path, sizeof path, "whole/%s", name);
    size_t n = get(&a, path);
    snprintf(path, sizeof path, "parts/%s", name);
    size_t m = get(&b, path);
    CHECK_MSG(n && n == m && !memcmp(a, b, n), "%s differs", name);
    free(a);
    free(b);
}

static int again(const char *init, int after)
{
    struct config config;
    configure(&config, "parts", init, 3);
    set(&config, "resume", "on");
    return go(&config, after);
}

static void copy_file(const char *to, const char *from)
{
    unsigned char *bytes;
    size_t size = get(&bytes, from);
    put(to, bytes, size);
    free(bytes);
}

static void test_resume(void)
{
    struct config config;
    char sum[ST_SUM + 20], digits[SHA256_TEXT];
    unsigned char *bytes;
    copy_file("w.safetensors", "from/weights.safetensors");
    size_t size = get(&bytes, "w.safetensors");
    sha256_text(digits, bytes, size);
    free(bytes);
    configure(&config, "whole", "w.safetensors", 3);
    CHECK_MSG(!go(&config, 0), "%s", error_text());
    CHECK(!checkpoint_setting(sum, sizeof sum, at("whole/checkpoint.safetensors"), "init"));
    CHECK_MSG(!strncmp(sum, "sha256:", 7) && !strcmp(sum + 7, digits), "the hash is %s", sum);

    CHECK(again("w.safetensors", 1) == TRAIN_INTERRUPTED);
    CHECK_MSG(again("w.safetensors", 1) == TRAIN_INTERRUPTED && !strstr(said, "--init"), "%s",
              said);
    copy_file("w.safetensors", "mlp/weights.safetensors");
    CHECK_MSG(again("w.safetensors", 1) == TRAIN_INTERRUPTED, "%s", error_text());
    tells("was started from other weights than");
    CHECK(!remove(at("w.safetensors")));
    CHECK_MSG(!again("w.safetensors", 0), "%s", error_text());
    same_files("checkpoint.safetensors");
    same_files("weights.safetensors");
    CHECK_MSG(!again(NULL, 0), "%s", error_text()); /* complete, and nobody need say --init again */

    CHECK(!remove(at("parts/checkpoint.safetensors")) && !again(NULL, 0));
    tells("is complete");
    configure(&config, "from", "mlp", 3);
    configure_network(&config);
    set(&config, "resume", "on");
    CHECK(go(&config, 0) && strstr(error_text(), "was not started from weights"));
    CHECK(!checkpoint_setting(sum, sizeof sum, at("from/checkpoint.safetensors"), "init"));
    CHECK(!sum[0]);
}

/* ---- the hash ---- */

static void test_sum(void)
{
    static const struct {
        const char *text, *sum;
    } known[] = { /* FIPS 180-2, appendix B */
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    char digits[SHA256_TEXT];
    static char million[1000000];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        sha256_text(digits, known[i].text, strlen(known[i].text));
        CHECK_MSG(!strcmp(digits, known[i].sum), "'%s' has %s", known[i].text, digits);
    }
    memset(million, 'a', sizeof million);
    sha256_text(digits, million, sizeof million);
    CHECK(!strcmp(digits, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
}

int main(void)
{
    if (files_begin() || moco_simd_init(&simd, NULL))
        return 1;
    test_sum();
    train_source("from", 3, 0);
    test_methods();
    test_separate();
    test_settings();
    test_refusals();
    test_channels();
    test_resume();
    files_end();
    return check_summary("init");
}
