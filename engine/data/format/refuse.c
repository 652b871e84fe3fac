/* refuse.c: sentences about what is known and not read; see refuse.h. Each says what the file is
 * and which command or lines of Python make of it what is read. */
#define _GNU_SOURCE
#include "engine/data/format/refuse.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "engine/base/error.h"
#include "engine/data/format/content.h"

/* What to do; %s is the file. Where there is none, the kind has a function below. */
static const char *const advice[CONTENT_KINDS] = {
    [CONTENT_BZIP2] = "unpack it (tar -xf %s, or bunzip2 where it is no archive) and give "
                      "folder:DIR",
    [CONTENT_XZ] = "unpack it (tar -xf %s, or unxz where it is no archive) and give folder:DIR",
    [CONTENT_ZSTD] = "unpack it (tar -xf %s, or unzstd where it is no archive) and give folder:DIR",
    [CONTENT_7Z] = "unpack it (7z x %s) and give folder:DIR",
    [CONTENT_RAR] = "unpack it (unrar x %s) and give folder:DIR",
    [CONTENT_PARQUET] =
        "write its images into a folder a class and give folder:DIR. In Python: import os, "
        "pyarrow.parquet as pq; [(os.makedirs(f\"DIR/{r['label']}\", exist_ok=True), "
        "open(f\"DIR/{r['label']}/{i}\", \"wb\").write(r[\"image\"][\"bytes\"])) for i, r in "
        "enumerate(pq.read_table(\"%s\").to_pylist())]",
    [CONTENT_ARROW] =
        "write its images into a folder and give folder:DIR. In Python: from datasets import "
        "Dataset; [r[\"image\"].save(f\"DIR/{i}.png\") for i, r in "
        "enumerate(Dataset.from_file(\"%s\"))]",
    [CONTENT_DICOM] =
        "make an array of it. In Python: import numpy, pydicom; "
        "a = pydicom.dcmread(\"%s\").pixel_array; numpy.save(\"x.npy\", a if a.ndim > 2 else "
        "a[None]), then give npy:x.npy (several frames are several images)",
    [CONTENT_NIFTI] =
        "make an array of its slices. In Python: import numpy, nibabel; numpy.save(\"x.npy\", "
        "numpy.moveaxis(nibabel.load(\"%s\").get_fdata(dtype=\"f4\"), 2, 0).copy()), then give "
        "npy:x.npy",
    [CONTENT_MATLAB5] =
        "save it from MATLAB with -v7.3, or in Python: import numpy, scipy.io; "
        "numpy.save(\"x.npy\", scipy.io.loadmat(\"%s\")[\"images\"].copy(\"C\")), then give "
        "npy:x.npy",
    [CONTENT_TFRECORD] =
        "write its images into a folder and give folder:DIR. In Python: import tensorflow as tf; "
        "[open(f\"DIR/{i}\", \"wb\").write(tf.train.Example.FromString(r.numpy()).features."
        "feature[\"image/encoded\"].bytes_list.value[0]) for i, r in "
        "enumerate(tf.data.TFRecordDataset(\"%s\"))]",
    [CONTENT_LMDB] =
        "write its images into a folder and give folder:DIR. In Python: import lmdb; "
        "[open(f\"DIR/{i}\", \"wb\").write(v) for i, (k, v) in enumerate(lmdb.open(\"%s\", "
        "subdir=False, readonly=True, lock=False).begin().cursor())]",
    [CONTENT_SQLITE] = "write its images into a folder and give folder:DIR (%s)",
    [CONTENT_AVIF] = "convert it (magick %s x.png)", [CONTENT_HEIF] = "convert it (magick %s "
        "x.png)",
    [CONTENT_JXL] = "convert it (djxl %s x.png)", [CONTENT_JP2] = "convert it (magick %s x.png)",
    [CONTENT_PSD] = "convert it (magick %s[0] x.png)", [CONTENT_EXR] = "convert it (magick %s "
        "x.tif)",
    [CONTENT_SVG] = "draw it (rsvg-convert %s -o x.png)",
    [CONTENT_ICO] = "convert it (magick %s[0] x.png)",
    [CONTENT_PDF] = "draw its pages (pdftoppm -png %s DIR/page) and give folder:DIR",
    [CONTENT_VIDEO] = "write its pictures into a folder (ffmpeg -i %s DIR/%%06d.png) and give "
                      "folder:DIR",
    [CONTENT_SAFETENSORS] = "which has weights and no images: give %s as WEIGHTS",
};

/* ---- archives ---- */

static int refuse_archive(const char *path, const struct archive *a, const char *what,
                          const char *unpack)
{
    char set[200];
    const char *damaged = a->readable ? "" : "cut off or damaged; ";
    const char *more = a->readable ? "" : " or more";
    snprintf(set, sizeof set, "%s:DIR%s%s", a->images && a->tiffs == a->images ? "tiff" : "folder",
             a->top[0] ? "/" : "", a->top);
    if (a->images && 2 * a->tables >= a->images)
        return error_set(MOCO_EUNSUPPORTED, "%s is a %s archive (%s%lu%s images and their labels "
                         "in files of their own, as WebDataset has them): unpack it (%s) and give "
                         "%s", path, what, damaged, a->images, more, unpack, set);
    if (a->images)
        return error_set(MOCO_EUNSUPPORTED, "%s is a %s archive of images (%s%lu%s, the first is "
                         "a %s): unpack it (%s) and give %s", path, what, damaged, a->images,
                         more, a->ending, unpack, set);
    return error_set(MOCO_EUNSUPPORTED, "%s is a %s archive%s, in which no image was found: unpack "
                     "it (%s) and give what is in it", path, what,
                     a->readable ? "" : " that is cut off or damaged", unpack);
}

static int refuse_zip(const char *path)
{
    char unpack[1200];
    struct archive a;
    archive_look_zip(&a, path);
    if (a.arrays || (!a.readable && !a.images)) /* NumPy's, or who knows */
        return MOCO_OK;
    if (a.pytorch)
        return error_set(MOCO_EUNSUPPORTED, "%s is a PyTorch file. For images in it, in Python: "
                         "import numpy, torch; numpy.save(\"x.npy\", torch.load(\"%s\")[\"x\"]"
                         ".numpy()), then give npy:x.npy", path, path);
    snprintf(unpack, sizeof unpack, "unzip %.1000s -d DIR", path);
    return refuse_archive(path, &a, "zip", unpack);
}

static int refuse_tar(const char *path, const char *what)
{
    char unpack[1200];
    struct archive a;
    archive_look_tar(&a, path);
    snprintf(unpack, sizeof unpack, "mkdir DIR; tar -xf %.1000s -C DIR", path);
    return refuse_archive(path, &a, what, unpack);
}

/* Behind gzip; IDX and FITS are read so. */
static int refuse_gzip(const char *path)
{
    unsigned char head[CONTENT_HEAD];
    gzFile file = gzopen(path, "rb");
    int got = file ? gzread(file, head, sizeof head) : -1;
    if (file)
        gzclose(file);
    if (got < 0)
        return MOCO_OK; /* damaged: whoever reads such files says so */
    enum content content = content_of(head, (size_t)got);
    if (content == CONTENT_TAR)
        return refuse_tar(path, "tar.gz");
    if (content == CONTENT_NIFTI)
        return error_set(MOCO_EUNSUPPORTED, "%s is a NIfTI volume behind gzip: make an array of "
                                            "its "
                         "slices. In Python: import numpy, nibabel; numpy.save(\"x.npy\", numpy."
                         "moveaxis(nibabel.load(\"%s\").get_fdata(dtype=\"f4\"), 2, 0).copy()), "
                         "then give npy:x.npy", path, path);
    if (content == CONTENT_FITS || content == CONTENT_UNKNOWN || content == CONTENT_EMPTY)
        return MOCO_OK;
    return error_set(MOCO_EUNSUPPORTED, "%s is %s behind gzip: unpack it (gunzip -k %s) and give "
                     "what comes of it", path, content_name(content), path);
}

/* PyTorch's files of old begin with a number of their own. */
static int refuse_pickle(const char *path)
{
    char head[14] = "";
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(head, 1, sizeof head, file) : 0;
    if (file)
        fclose(file);
    if (got == sizeof head &&
        !memcmp(head + 2, "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12))
        return error_set(MOCO_EUNSUPPORTED, "%s is a PyTorch file. For images in it, in Python: "
                         "import numpy, torch; numpy.save(\"x.npy\", torch.load(\"%s\")[\"x\"]"
                         ".numpy()), then give npy:x.npy", path, path);
    return error_set(MOCO_EUNSUPPORTED, "%s is a Python pickle: of CIFAR take the binary version "
                     "(cifar10:DIR). Of an array x in it, in Python: import numpy, pickle; x = "
                     "pickle.load(open(\"%s\", \"rb\"), encoding=\"bytes\"); x = x[b\"data\"]"
                     ".reshape(-1, 3, 32, 32) if isinstance(x, dict) else x; numpy.save(\"x.npy\", "
                     "x), then give npy:x.npy", path, path);
}

/* ---- folders ---- */

static int has(const char *dir, const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* Zarr keeps arrays and groups of arrays; version 3 says which in zarr.json. */
static int is_zarr_array(const char *dir)
{
    char path[4200], text[8192];
    if (has(dir, ".zarray"))
        return 1;
    snprintf(path, sizeof path, "%s/zarr.json", dir);
    FILE *file = fopen(path, "rb");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[n] = '\0';
    const char *type = strstr(text, "\"node_type\"");
    return type && !strncmp(type + strcspn(type, ":") + strspn(type + strcspn(type, ":"), ": \n"),
                            "\"array\"", 7);
}

static int refuse_folder(const char *dir)
{
    if (has(dir, ".zarray") || has(dir, ".zgroup") || has(dir, "zarr.json"))
        return error_set(MOCO_EUNSUPPORTED, "%s is a Zarr store: make an array of it. In Python: "
                         "import numpy, zarr; numpy.save(\"x.npy\", zarr.open(\"%s\")%s[:]), then "
                         "give npy:x.npy", dir, dir,
                         is_zarr_array(dir) ? "" : "[\"NAME\"]");
    if (has(dir, "data.mdb"))
        return error_set(MOCO_EUNSUPPORTED,
                         "%s is an LMDB database: write its images into a folder and give "
                         "folder:DIR. In Python: import lmdb; [open(f\"DIR/{i}\", \"wb\").write(v) "
                         "for i, (k, v) in enumerate(lmdb.open(\"%s\", readonly=True, lock=False)."
                         "begin().cursor())]", dir, dir);
    if (has(dir, "dataset_info.json") && has(dir, "state.json"))
        return error_set(MOCO_EUNSUPPORTED,
                         "%s is a data set as Hugging Face's library saves it: write its images "
                         "into a folder and give folder:DIR. In Python: from datasets import "
                         "load_from_disk; [r[\"image\"].save(f\"DIR/{i}.png\") for i, r in "
                         "enumerate(load_from_disk(\"%s\"))]", dir, dir);
    if (has(dir, "data_batch_1") || (has(dir, "train") && has(dir, "meta")))
        return error_set(MOCO_EUNSUPPORTED, "%s is CIFAR's version for Python: take the binary "
                         "version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz)", dir);
    return MOCO_OK;
}

/* ---- the whole ---- */

int refuse_known(const char *path)
{
    struct stat info;
    char text[900];
    if (stat(path, &info))
        return MOCO_OK;
    if (S_ISDIR(info.st_mode))
        return refuse_folder(path);
    enum content content = content_of_file(path, NULL);
    if (content == CONTENT_ZIP)
        return refuse_zip(path);
    if (content == CONTENT_TAR)
        return refuse_tar(path, "tar");
    if (content == CONTENT_GZIP)
        return refuse_gzip(path);
    if (content == CONTENT_PICKLE)
        return refuse_pickle(path);
    if (!advice[content])
        return MOCO_OK;
    snprintf(text, sizeof text, advice[content], path);
    return error_set(MOCO_EUNSUPPORTED, "%s is %s: %s", path, content_name(content), text);
}
