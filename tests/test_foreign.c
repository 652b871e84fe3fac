/* test_foreign.c: an encoder behind any prefix, under any of the names that others give its
 * tensors, in any float type, comes in as it would from torchvision's; what does not fit is named;
 * files of other kinds get a true sentence. */
#define _GNU_SOURCE /* files.h */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/weights.h"
#include "include/moco.h"
#include "simd/bf16.h"
#include "tests/check.h"
#include "tests/files.h"

enum { TENSORS = 800, TEXT = 200 };

static struct moco_simd simd;

/* A network and its tensors as a file shall have them. */
struct made {
    struct net *net;
    struct encoder encoder;
    struct st_tensor tensors[TENSORS];
    char names[TENSORS][TEXT];
    void *owned[TENSORS];
    size_t count;
};

static void make(struct made *m, const char *arch, enum net_head head, int width, uint64_t seed)
{
    struct net_config c = { .stem = STEM_IMAGENET, .head = head, .width = width, .channels = 3,
                            .side = 32, .batch = 1, .dim = 5, .bn_splits = 1, .hidden = 7 };
    snprintf(c.arch, sizeof c.arch, "%s", arch);
    memset(m, 0, sizeof *m);
    CHECK_MSG(!net_open(&m->net, &c, &simd), "%s", error_text());
    CHECK(!encoder_open(&m->encoder, m->net, 0, NULL));
    encoder_init(&m->encoder, m->net, seed);
    for (size_t i = 0; i < net_stat_count(m->net); i++)
        m->encoder.stats[i] += (float)(i % 7) / 8.0f;
    m->encoder.batches = 9;
}

static void unmake(struct made *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->owned[i]);
    encoder_close(&m->encoder);
    net_close(&m->net);
}

/* Adds the network's tensors with names by `rename`, which may leave some out. */
static void add(struct made *m, int (*rename)(char *, const char *), const char *prefix)
{
    size_t n;
    const struct tensor *tensors = net_tensors(m->net, &n);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *t = &tensors[i];
        char name[TEXT];
        if (!rename(name, t->name))
            continue;
        struct st_tensor *out = &m->tensors[m->count];
        snprintf(m->names[m->count], TEXT, "%s%s", prefix, name);
        *out = (struct st_tensor){ m->names[m->count], ST_F32, t->rank, { 0 }, NULL };
        memcpy(out->shape, t->shape, sizeof out->shape);
        out->data = t->kind == TENSOR_PARAM  ? (void *)(m->encoder.params + t->offset)
                    : t->kind == TENSOR_STAT ? (void *)(m->encoder.stats + t->offset)
                                             : (void *)&m->encoder.batches;
        if (t->kind == TENSOR_COUNT)
            out->type = ST_I64;
        m->count++;
    }
}

static void add_other(struct made *m, const char *name)
{
    static const float numbers[6];
    snprintf(m->names[m->count], TEXT, "%s", name);
    m->tensors[m->count] = (struct st_tensor){ m->names[m->count], ST_F32, 2, { 2, 3 }, numbers };
    m->count++;
}

static void save(const struct made *m, const char *name)
{
    CHECK_MSG(!safetensors_write(at(name), m->tensors, m->count, NULL, 0), "%s", error_text());
}

/* ---- names ---- */

static int plain(char *out, const char *name)
{
    snprintf(out, TEXT, "%s", name);
    return 1;
}

static int headless(char *out, const char *name)
{
    snprintf(out, TEXT, "%s", name);
    return strncmp(name, "fc.", 3) != 0;
}

static int numbered_from(char *out, const char *name, int layer1)
{
    if (!strncmp(name, "layer", 5))
        snprintf(out, TEXT, "%d%s", layer1 + name[5] - '1', name + 6);
    else
        snprintf(out, TEXT, "%d%s", !strncmp(name, "bn1", 3), strchr(name, '.'));
    return strncmp(name, "fc.", 3) != 0;
}

static int numbered(char *out, const char *name)
{
    return numbered_from(out, name, 4);
}

/* lightly's own ResNet: no ReLU and pool between, downsample is shortcut. */
static int lightly(char *out, const char *name)
{
    char text[TEXT];
    int kept = numbered_from(text, name, 2);
    char *down = strstr(text, ".downsample.");
    if (down)
        snprintf(out, TEXT, "%.*s.shortcut.%s", (int)(down - text), text, down + 12);
    else
        snprintf(out, TEXT, "%s", text);
    return kept;
}

static int uncounted(char *out, const char *name)
{
    return headless(out, name) && !strstr(name, "num_batches_tracked");
}

/* Written out here by hand for the names that the table of transformers' ResNet needs. */
static int hugging_face(char *out, const char *name)
{
    int stage, block, unit;
    char rest[64];
    if (!strncmp(name, "conv1.", 6))
        snprintf(out, TEXT, "resnet.embedder.embedder.convolution.%s", name + 6);
    else if (!strncmp(name, "bn1.", 4))
        snprintf(out, TEXT, "resnet.embedder.embedder.normalization.%s", name + 4);
    else if (sscanf(name, "layer%d.%d.conv%d.%63s", &stage, &block, &unit, rest) == 4)
        snprintf(out, TEXT, "resnet.encoder.stages.%d.layers.%d.layer.%d.convolution.%s", stage - 1,
                 block, unit - 1, rest);
    else if (sscanf(name, "layer%d.%d.bn%d.%63s", &stage, &block, &unit, rest) == 4)
        snprintf(out, TEXT, "resnet.encoder.stages.%d.layers.%d.layer.%d.normalization.%s",
                 stage - 1, block, unit - 1, rest);
    else if (sscanf(name, "layer%d.%d.downsample.%d.%63s", &stage, &block, &unit, rest) == 4)
        snprintf(out, TEXT, "resnet.encoder.stages.%d.layers.%d.shortcut.%s.%s", stage - 1, block,
                 unit ? "normalization" : "convolution", rest);
    else
        return 0;
    return 1;
}

/* ---- what comes in ---- */

/* The file's info, and its encoder in `out`, of a net that its info describes. */
static int load(struct weights_info *info, struct made *out, const char *name)
{
    struct st_file *file = NULL;
    memset(out, 0, sizeof *out);
    int rc = safetensors_open(&file, at(name));
    if (!rc)
        rc = weights_info(info, file);
    if (!rc) {
        info->net.batch = 1;
        info->net.side = 32;
        rc = net_open(&out->net, &info->net, &simd);
    }
    if (!rc)
        rc = encoder_open(&out->encoder, out->net, 0, NULL);
    if (!rc)
        rc = weights_load(&out->encoder, out->net, file, info, WEIGHTS_ALL);
    safetensors_close(&file);
    return rc;
}

static const void *numbers_of(const struct made *m, const struct tensor *t)
{
    return t->kind == TENSOR_PARAM ? m->encoder.params + t->offset : m->encoder.stats + t->offset;
}

/* All tensors of `b` are those of `a`, within `error` of their size. */
static int same(const struct made *a, const struct made *b, float error)
{
    size_t n, m, found = 0;
    const struct tensor *x = net_tensors(a->net, &n), *y = net_tensors(b->net, &m);
    for (size_t j = 0; j < m; j++)
        for (size_t i = 0; i < n; i++) {
            if (strcmp(x[i].name, y[j].name) || x[i].kind != y[j].kind)
                continue;
            found++;
            if (y[j].kind == TENSOR_COUNT)
                continue;
            const float *p = numbers_of(a, &x[i]), *q = numbers_of(b, &y[j]);
            for (size_t k = 0; k < y[j].count; k++)
                if (!(fabsf(p[k] - q[k]) <= error * fabsf(p[k])))
                    return 0;
        }
    return found == m && m > 99;
}

static void test_names(void)
{
    static const struct {
        int (*rename)(char *, const char *);
        const char *prefix, *arch;
        enum net_head head, found;
    } cases[] = {
        { plain, "", "resnet18", HEAD_FC, HEAD_FC },
        { plain, "module.", "resnet18", HEAD_MLP, HEAD_MLP },
        { plain, "module.base_encoder.", "resnet18", HEAD_V3, HEAD_V3 },
        { plain, "state_dict.model.backbone.", "resnet50", HEAD_FC, HEAD_FC },
        { headless, "backbone.", "resnet34", HEAD_FC, HEAD_NONE },
        { headless, "", "resnet101", HEAD_FC, HEAD_NONE },
        { numbered, "backbone.", "resnet18", HEAD_FC, HEAD_NONE },
        { numbered, "", "resnet50", HEAD_FC, HEAD_NONE },
        { numbered, "0.", "resnet18", HEAD_FC, HEAD_NONE },
        { lightly, "backbone.", "resnet18", HEAD_FC, HEAD_NONE },
        { lightly, "", "resnet50", HEAD_FC, HEAD_NONE },
        { uncounted, "encoder.", "resnet18", HEAD_FC, HEAD_NONE },
        { hugging_face, "", "resnet50", HEAD_FC, HEAD_NONE },
        { hugging_face, "model.", "resnet18", HEAD_FC, HEAD_NONE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct made a, b;
        struct weights_info info;
        make(&a, cases[i].arch, cases[i].head, 2, i);
        add(&a, cases[i].rename, cases[i].prefix);
        add_other(&a, "queue"); /* beside: not read, and told */
        save(&a, "names");
        CHECK_MSG(!load(&info, &b, "names"), "%zu: %s", i, error_text());
        CHECK_MSG(info.net.head == cases[i].found, "%zu: head %d", i, info.net.head);
        CHECK_MSG(!strcmp(info.net.arch, cases[i].arch) && info.net.width == 2, "%zu: %s width %d",
                  i, info.net.arch, info.net.width);
        CHECK_MSG(!strncmp(info.names.is.prefix, cases[i].prefix, strlen(cases[i].prefix)),
                  "%zu: prefix %s", i, info.names.is.prefix);
        CHECK_MSG(info.left_out_count == 1 && !strcmp(info.left_out, "queue"), "%zu: %s", i,
                  info.left_out);
        CHECK_MSG(b.net && same(&a, &b, 0), "%zu: other numbers", i);
        CHECK(cases[i].rename == uncounted || b.encoder.batches == 9);
        unmake(&a);
        unmake(&b);
    }
}

/* Two encoders: the trained one is taken, whatever the order, and the other is told. */
static void test_prefixes(void)
{
    static const char *const pairs[][2] = { /* taken, other */
        { "module.encoder_q.", "module.encoder_k." }, { "q.", "k." },
        { "module.base_encoder.", "module.momentum_encoder." },
        { "backbone.", "backbone_momentum." }, { "backbone.", "momentum_backbone." },
        { "student.backbone.", "teacher.backbone." },
        { "online_network.encoder.", "target_network.encoder." }, { "model.", "model_ema." },
        { "", "ema." }, { "encoder.", "key_encoder." },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int turn = 0; turn < 2; turn++) {
            static struct made all, other, got;
            struct weights_info info;
            make(&all, "resnet18", HEAD_FC, 2, 1);
            make(&other, "resnet18", HEAD_FC, 2, 2);
            add(turn ? &other : &all, plain, pairs[i][turn]);
            add(turn ? &all : &other, plain, pairs[i][!turn]);
            struct made *first = turn ? &other : &all, *second = turn ? &all : &other;
            for (size_t t = 0; t < second->count; t++)
                first->tensors[first->count++] = second->tensors[t];
            save(first, "two");
            CHECK_MSG(!load(&info, &got, "two"), "%s: %s", pairs[i][0], error_text());
            CHECK_MSG(!strcmp(info.names.is.prefix, pairs[i][0]), "%s was taken, not %s",
                      info.names.is.prefix, pairs[i][0]);
            CHECK_MSG(!strcmp(info.prefixes, pairs[i][1]), "others: %s", info.prefixes);
            CHECK_MSG(!info.left_out_count, "left out: %s", info.left_out);
            CHECK(got.net && same(&all, &got, 0));
            unmake(&got);
            unmake(&all);
            unmake(&other);
        }
}

/* ---- types ---- */

static uint16_t half_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t exponent = bits >> 23 & 255, fraction = bits & 0x7fffff, sign = bits >> 16 & 0x8000;
    if (exponent < 113)
        return (uint16_t)sign; /* of less than 2^-14 little is asked here */
    return (uint16_t)(sign | ((exponent - 112) << 10) | (fraction >> 13));
}

static void convert(struct made *m, enum st_type type)
{
    for (size_t i = 0; i < m->count; i++) {
        struct st_tensor *t = &m->tensors[i];
        size_t n = safetensors_bytes(t) / st_type_size(t->type);
        const float *x = t->data;
        if (t->type != ST_F32) {
            static const int32_t nine = 9;
            t->type = ST_I32;
            t->data = &nine;
            continue;
        }
        void *room = m->owned[i] = malloc(n * 8);
        for (size_t k = 0; k < n && room; k++) {
            if (type == ST_F64)
                ((double *)room)[k] = (double)x[k];
            else
                ((uint16_t *)room)[k] = type == ST_F16 ? half_of(x[k]) : bf16_narrowed(x[k]);
        }
        t->type = type;
        t->data = room;
    }
}

static void test_types(void)
{
    static const struct { enum st_type type; float error; } cases[] = {
        { ST_F64, 0 }, { ST_BF16, 0x1p-8f }, { ST_F16, 0x1p-10f },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct made a, b;
        struct weights_info info;
        make(&a, "resnet18", HEAD_MLP, 2, 5);
        for (size_t p = 0; p < net_param_count(a.net); p++) /* no denormal halves */
            if (fabsf(a.encoder.params[p]) < 1e-3f)
                a.encoder.params[p] = 0;
        add(&a, plain, "");
        convert(&a, cases[i].type);
        save(&a, "type");
        CHECK_MSG(!load(&info, &b, "type"), "%s", error_text());
        CHECK_MSG(b.net && same(&a, &b, cases[i].error), "type %d: other numbers", cases[i].type);
        CHECK(b.encoder.batches == 9);
        unmake(&a);
        unmake(&b);
    }
}

/* ---- refusals ---- */

static void refused(const char *name, const char *const words[3])
{
    static struct made got;
    struct weights_info info;
    int rc = load(&info, &got, name);
    CHECK_MSG(rc == MOCO_EFORMAT, "%s: %d", words[0], rc);
    for (int i = 0; i < 3 && words[i]; i++)
        CHECK_MSG(strstr(error_text(), words[i]), "no '%s' in: %s", words[i], error_text());
    unmake(&got);
}

static struct st_tensor *tensor(struct made *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (!strcmp(m->tensors[i].name, name))
            return &m->tensors[i];
    abort();
}

/* One number of one tensor is another; the file is refused and names the tensor. */
static void spoil(const char *name, enum st_type type, double value)
{
    static struct made a;
    const char *words[3] = { name, value < 0 ? "below 0" : "not finite", NULL };
    make(&a, "resnet18", HEAD_FC, 2, 3);
    add(&a, plain, "");
    convert(&a, type);
    struct st_tensor *t = tensor(&a, name);
    void *last = (char *)(uintptr_t)t->data + safetensors_bytes(t) - st_type_size(type);
    uint16_t half = value > 0 ? 0x7c00 : 0xfe00, bf16 = bf16_upper((float)value);
    memcpy(last, type == ST_F64 ? (void *)&value : type == ST_F16 ? (void *)&half : (void *)&bf16,
           st_type_size(type));
    save(&a, "spoilt");
    refused("spoilt", words);
    unmake(&a);
}

static void test_not_finite(void)
{
    spoil("layer3.0.bn1.weight", ST_F64, (double)NAN);
    spoil("layer1.1.conv2.weight", ST_F64, 1e300); /* finite, but no float */
    spoil("fc.bias", ST_F16, (double)INFINITY);
    spoil("conv1.weight", ST_BF16, (double)INFINITY);
    spoil("layer4.1.bn2.running_mean", ST_F16, (double)NAN);
    spoil("layer2.0.downsample.1.running_var", ST_F64, -0.5);
}

static void test_misfits(void)
{
    static struct made a;
    static char spare[32][12];
    make(&a, "resnet18", HEAD_FC, 2, 3);
    add(&a, plain, "");
    tensor(&a, "bn1.weight")->name = "bn1.scale";
    tensor(&a, "layer1.0.conv2.weight")->shape[0] = 1;
    tensor(&a, "layer1.0.conv2.weight")->shape[1] = 4;
    tensor(&a, "layer2.0.bn2.bias")->type = ST_I32;
    save(&a, "misfits");
    refused("misfits", (const char *[]){ "bn1.weight", "(1, 4, 3, 3), not (2, 2, 3, 3)",
                                         "bn1.scale" });
    refused("misfits", (const char *[]){ "layer2.0.bn2.bias is of type I32", NULL, NULL });
    unmake(&a);
    make(&a, "resnet18", HEAD_FC, 2, 3);
    add(&a, plain, "");
    add_other(&a, "layer1.0.se.fc1.weight"); /* squeeze and excitation: another network */
    save(&a, "misfits");
    refused("misfits", (const char *[]){ "layer1.0.se.fc1.weight", "not in", NULL });
    unmake(&a);
    make(&a, "resnet18", HEAD_FC, 2, 3);
    add(&a, plain, "");
    tensor(&a, "layer2.0.conv1.weight")->name = "other";
    tensor(&a, "layer4.1.conv1.weight")->name = "another";
    save(&a, "misfits");
    refused("misfits", (const char *[]){ "missing: layer2.0.conv1.weight, layer4.1.conv1.weight",
                                         NULL, NULL });
    for (size_t i = 0, n = 0; i < a.count; i++) /* 1 block in the last stage */
        if (!strncmp(a.tensors[i].name, "layer4.1.", 9)) {
            snprintf(spare[n], sizeof spare[n], "other.%zu", n);
            a.tensors[i].name = spare[n++];
        }
    save(&a, "misfits");
    refused("misfits", (const char *[]){ "2, 2, 2 and 1 basic", NULL, NULL });
    unmake(&a);
}

static int deep_stem(char *out, const char *name)
{
    if (!strncmp(name, "conv1.", 6))
        snprintf(out, TEXT, "conv1.0.%s", name + 6);
    else
        plain(out, name);
    return 1;
}

static void test_other_networks(void)
{
    static struct made a;
    static const char *const others[][2] = {
        { "stages.0.blocks.0.conv1.weight", "resnetv2" },
        { "blocks.0.attn.qkv.weight", "vision transformer" },
        { "features.0.weight", "VGG" }, { "lin.weight", "lin.weight" },
    };
    make(&a, "resnet18", HEAD_FC, 2, 3);
    add(&a, deep_stem, "");
    save(&a, "other");
    refused("other", (const char *[]){ "conv1.0.weight", "ResNet-D", NULL });
    unmake(&a);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        memset(&a, 0, sizeof a);
        add_other(&a, others[i][0]);
        save(&a, "other");
        refused("other", (const char *[]){ others[i][1], NULL, NULL });
    }
}

static void test_other_formats(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *words[3];
    } cases[] = {
#define FILE_OF(text) text, sizeof text - 1
        { FILE_OF("PK\3\4\0\0\0\0\0\0\0\0\0\0archive/data.pkl...."), { "PyTorch", "torch.load(" } },
        { FILE_OF("PK\3\4\0\0\0\0\0\0code/x.py constants.pkl data.pkl"), { "TorchScript", "jit" } },
        { FILE_OF("PK\3\4\0\0\0\0\0\0weight.npy"), { "npz", "safetensors.numpy" } },
        { FILE_OF("PK\3\4\0\0\0\0\0\0cat.png"), { "ZIP" } },
        { FILE_OF("\x80\x02\x8a\x0al\xfc\x9c" "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
          { "before version 1.6", "save_file" } },
        { FILE_OF("\x80\x04\x95\x10\0\0\0\0\0\0\0}q\0."), { "pickle", "torch.load" } },
        { FILE_OF("\x08\x08\x12\x07pytorch\x1a\x05" "2.4.0:\xff"), { "ONNX" } },
        { FILE_OF("GGUF\3\0\0\0\0\0\0\0\0\0\0\0"), { "GGUF" } },
        { FILE_OF("\211HDF\r\n\032\n\0\0\0\0\0\x08\x08"), { "HDF5", "Keras" } },
        { FILE_OF("{\"metadata\": {}, \"weight_map\": {\"a\": \"model-1.safetensors\"}}"),
          { "several files" } },
        { FILE_OF("{\"a\": 1, \"b\": 2}"), { "JSON" } },
        { FILE_OF("\x89PNG\r\n\x1a\n\0\0\0\0"), { "PNG" } },
        { FILE_OF("\x93NUMPY\1\0\x76\0{}  "), { "npy" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("model.pth.tar", cases[i].bytes, cases[i].size);
        refused("model.pth.tar", cases[i].words);
        CHECK_MSG(strstr(error_text(), at("model.pth.tar")), "%s", error_text());
    }
    put("model.pth.tar", cases[0].bytes, cases[0].size);
    refused("model.pth.tar", (const char *[]){ "/model.safetensors\")", "state_dict", "\n" });
}

/* ---- the library ---- */

static void test_library(void)
{
    static struct made a;
    moco_config config;
    moco_engine *engine;
    moco_config_default(&config);
    config.width = 2, config.side = 32, config.batch = 8, config.bn_splits = 1;
    config.shuffle_bn = 0, config.stem = "imagenet", config.dim = 5, config.queue = 16;
    CHECK_MSG(!moco_open(&engine, &config), "%s", moco_error(engine));
    float x[3 * 32 * 32] = { 0.5f }, before[16], after[16];
    CHECK(!moco_embed(engine, before, x, 1, 1));
    make(&a, "resnet18", HEAD_FC, 2, 77);
    add(&a, headless, "encoder_q.");
    save(&a, "library");
    CHECK(moco_load_weights(engine, at("library")) == MOCO_EFORMAT);
    CHECK_MSG(strstr(moco_error(engine), "head"), "%s", moco_error(engine));
    CHECK(!moco_embed(engine, after, x, 1, 1) && !memcmp(before, after, sizeof after));
    a.count = 0;
    add(&a, plain, "encoder_q.");
    save(&a, "library");
    CHECK_MSG(!moco_load_weights(engine, at("library")), "%s", moco_error(engine));
    CHECK(!moco_embed(engine, after, x, 1, 1) && memcmp(before, after, sizeof after));
    a.encoder.params[0] = NAN; /* conv1.weight */
    save(&a, "library");
    CHECK(!moco_embed(engine, before, x, 1, 1));
    CHECK(moco_load_weights(engine, at("library")) == MOCO_EFORMAT);
    CHECK_MSG(strstr(moco_error(engine), "conv1.weight"), "%s", moco_error(engine));
    CHECK(!moco_embed(engine, after, x, 1, 1) && !memcmp(before, after, sizeof after));
    moco_close(&engine);
    unmake(&a);
}

int main(void)
{
    if (files_begin() || moco_simd_init(&simd, NULL))
        return 1;
    test_names();
    test_prefixes();
    test_types();
    test_not_finite();
    test_misfits();
    test_other_networks();
    test_other_formats();
    test_library();
    files_end();
    return check_summary("foreign");
}
