/* foreign_kind.c: files that hold no encoder of ours; see foreign_kind.h. */
#define _GNU_SOURCE /* memmem() */
#include "engine/run/saved/foreign_kind.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/data/format/content.h"

/* ---- other formats ---- */

enum { LOOK = 1 << 16 }; /* bytes at either end of a zip archive where its names stand */

/* A name among a zip archive's: at the start, or in the directory at the end. */
static int has_name(const unsigned char *bytes, size_t size, const char *name)
{
    size_t look = size < LOOK ? size : LOOK, length = strlen(name);
    return memmem(bytes, look, name, length) || memmem(bytes + size - look, look, name, length);
}

/* PyTorch's first format: its magic number is pickled first. */
static int is_legacy(const unsigned char *bytes, size_t size)
{
    static const char magic[] = "\x80\x02\x8a\x0al\xfc\x9c" "F\xf9 j\xa8" "P\x19.";
    return size >= sizeof magic - 1 && !memcmp(bytes, magic, sizeof magic - 1);
}

/* A protobuf whose first field is a small version of ONNX, its second a text or a number. */
static int is_onnx(const unsigned char *bytes, size_t size)
{
    return size > 8 && bytes[0] == 0x08 && bytes[1] >= 3 && bytes[1] <= 20 &&
           (bytes[2] == 0x12 || bytes[2] == 0x3a);
}

/* x.pth.tar -> x.safetensors, without its folder's part where both are told. */
static void new_name(char *out, size_t size, const char *path)
{
    static const char *const ends[] = { ".tar", ".gz", ".pth", ".pt", ".ckpt", ".bin", ".pkl" };
    size_t length = strlen(path);
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            size_t n = strlen(ends[i]);
            if (length > n && !strncmp(path + length - n, ends[i], n))
                length -= n;
        }
    snprintf(out, size, "%.*s.safetensors", (int)length, path);
}

/* The lines that make safetensors of it; LOAD is what gives the state dict, of the file's name. */
static int refuse_torch(const char *path, const char *what, const char *load)
{
    char to[240], from[200];
    int plain = strlen(path) < sizeof from && !strpbrk(path, "\"\\\n");
    snprintf(from, sizeof from, "%s", plain ? path : "FILE");
    new_name(to, sizeof to, from);
    return error_set(MOCO_EFORMAT, "%.200s is %s; moco reads safetensors, which two lines of "
                     "Python make of it:\n"
                     "import torch; from safetensors.torch import save_file\n"
                     "sd = torch.%s(\"%s\", map_location=\"cpu\")%s; "
                     "sd = sd.get(\"state_dict\", sd); "
                     "save_file({k: v.contiguous().clone() for k, v in sd.items() "
                     "if torch.is_tensor(v)}, \"%s\")", path, what, load, from,
                     !strcmp(load, "jit.load") ? ".state_dict()" : "", to);
}

static int refuse_zip(const char *path, const unsigned char *bytes, size_t size)
{
    if (has_name(bytes, size, "constants.pkl") && has_name(bytes, size, "code/"))
        return refuse_torch(path, "a TorchScript archive", "jit.load");
    if (has_name(bytes, size, "data.pkl"))
        return refuse_torch(path, "a PyTorch file (a zip archive with data.pkl)", "load");
    if (has_name(bytes, size, "model.weights.h5"))
        return error_set(MOCO_EFORMAT, "%s is a Keras model; moco reads safetensors with the names "
                         "of torchvision's ResNets", path);
    if (has_name(bytes, size, ".npy"))
        return error_set(MOCO_EFORMAT, "%s is NumPy's .npz; if its arrays are a ResNet's weights "
                         "by torchvision's names, two lines of Python make safetensors of it:\n"
                         "import numpy; from safetensors.numpy import save_file\n"
                         "save_file(dict(numpy.load(\"FILE.npz\")), \"FILE.safetensors\")", path);
    return error_set(MOCO_EFORMAT, "%s is a ZIP archive and no safetensors file; unpack it, and "
                     "save a PyTorch model with safetensors.torch.save_file", path);
}

static int refuse_json(const char *path, const unsigned char *bytes, size_t size)
{
    if (memmem(bytes, size, "\"weight_map\"", 12))
        return error_set(MOCO_EFORMAT, "%s says which of several files holds which tensor; moco "
                         "reads one file: join them with load_file() and save_file() of "
                         "safetensors.torch", path);
    return error_set(MOCO_EFORMAT, "%s is a JSON text and no safetensors file", path);
}

static int refuse_content(const char *path, const unsigned char *bytes, size_t size)
{
    enum content content = content_of(bytes, size < CONTENT_HEAD ? size : CONTENT_HEAD);
    if (content == CONTENT_ZIP)
        return refuse_zip(path, bytes, size);
    if (content == CONTENT_PICKLE)
        return refuse_torch(path, is_legacy(bytes, size)
                                      ? "a PyTorch file of the format before version 1.6"
                                      : "a Python pickle, as PyTorch's files are", "load");
    if (content == CONTENT_TAR && (!memcmp(bytes, "sys_info", 9) || !memcmp(bytes, "pickle", 7) ||
                                   !memcmp(bytes, "storages", 9) || !memcmp(bytes, "tensors", 8)))
        return refuse_torch(path, "a PyTorch file of the first format, a tar archive", "load");
    if (content == CONTENT_HDF5)
        return error_set(MOCO_EFORMAT, "%s is an HDF5 file, as Keras writes weights; moco reads "
                         "safetensors with the names of torchvision's ResNets", path);
    if (content != CONTENT_UNKNOWN && content != CONTENT_SAFETENSORS &&
        content != CONTENT_TFRECORD)
        return error_set(MOCO_EFORMAT, "%s is %s and no safetensors file", path,
                         content_name(content));
    return MOCO_OK;
}

int foreign_check_format(const char *path, const unsigned char *bytes, size_t size)
{
    uint64_t length = 0;
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)bytes[i] << (8 * i);
    if (length <= size - 8 && size > 8 && bytes[8] == '{')
        return MOCO_OK; /* whatever its length's bytes look like */
    if (size > 4 && !memcmp(bytes, "GGUF", 4))
        return error_set(MOCO_EFORMAT, "%s is a GGUF file, which holds language models; moco reads "
                         "ResNets as safetensors", path);
    if (*bytes == '{')
        return refuse_json(path, bytes, size);
    if (length > size - 8 && is_onnx(bytes, size))
        return error_set(MOCO_EFORMAT, "%s is an ONNX model, whose names are not kept; export the "
                         "PyTorch model that it was made of with safetensors.torch.save_file",
                         path);
    return length > size - 8 ? refuse_content(path, bytes, size) : MOCO_OK;
}

/* ---- other networks ---- */

static const struct kind {
    const char *part, *what; /* of a tensor's name; what has such names */
} kinds[] = {
    { "conv1.0.weight", "the stem is a chain of convolutions, as in ResNet-C and ResNet-D "
                        "(timm's resnet50d), where moco's is one" },
    { "stages.0.blocks.0.conv1.weight", "it is a pre-activation ResNet (timm's resnetv2, BiT)" },
    { "stem.conv.weight", "its stem is called as in timm's resnetv2, RegNet or NFNet" },
    { "blocks.0.attn.", "it is a vision transformer" },
    { "layers.0.blocks.0.attn.", "it is a Swin transformer" },
    { "attention.self.query.weight", "it is a transformer" },
    { "attention.attention.query.weight", "it is a vision transformer" },
    { "stages.0.0.conv_dw.weight", "it is a ConvNeXt" },
    { "stages.0.blocks.0.conv_dw.weight", "it is a ConvNeXt" },
    { "dwconv.weight", "it is a ConvNeXt" },
    { "depthwise_conv", "it is an EfficientNet or a MobileNet" },
    { "conv_pw.weight", "it is an EfficientNet or a MobileNet" },
    { "denseblock1.", "it is a DenseNet" },
    { "Mixed_5b", "it is an Inception network" },
    { "features.0.weight", "it is a VGG or an AlexNet" },
    { "layer1.0.conv1.weight", "conv1.weight is missing beside layer1" },
    { "conv1.weight", "layer1.0.conv1.weight is missing beside conv1" },
};

int foreign_refuse(const struct st_file *file)
{
    const char *path = safetensors_path(file);
    size_t count = safetensors_count(file);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < count; i++) {
            const char *name = safetensors_at(file, i)->name;
            if (strstr(name, kinds[k].part))
                return error_set(MOCO_EFORMAT, "%s holds no ResNet that moco knows: %s (tensor "
                                 "%.100s); it reads resnet18, 34, 50 and 101 by torchvision's "
                                 "names, behind any prefix", path, kinds[k].what, name);
        }
    return error_set(MOCO_EFORMAT, "%s holds no ResNet that moco knows: none of its %zu tensors is "
                     "called conv1.weight beside a layer1.0.conv1.weight%s%.100s%s", path, count,
                     count ? "; the first is " : "", count ? safetensors_at(file, 0)->name : "",
                     strstr(path, "-of-") ? "; by its name it is one file of several" : "");
}
