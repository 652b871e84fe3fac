/* test_hdf5.c: datasets of HDF5 files as the library writes them, of every type of numbers, shape,
 * layout and byte order; what is taken without a name; reads from several threads; what is refused;
 * truncations. */
#define _GNU_SOURCE
#include <stdint.h>

#include "engine/data/format/raw.h"
#include "tests/without.h"

#ifdef MOCO_HDF5
#define H5_USE_110_API
#include <hdf5.h>

enum { N = 4, C = 3, H = 5, W = 7, NUMBERS = N * C * H * W };

/* How a dataset lies in the file. */
struct plan {
    hsize_t chunk[4]; /* {0}: contiguous */
    int packed;
};

static hid_t create(hid_t file, const char *name, hid_t type, int rank, const hsize_t *size,
                    const struct plan *plan)
{
    hid_t space = H5Screate_simple(rank, size, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    if (plan && plan->chunk[0])
        H5Pset_chunk(list, rank, plan->chunk);
    if (plan && plan->packed)
        H5Pset_shuffle(list), H5Pset_deflate(list, 6);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    H5Pclose(list);
    H5Sclose(space);
    CHECK_MSG(set >= 0, "creating %s", name);
    return set;
}

static void write_set(hid_t file, const char *name, hid_t type, hid_t memory, int rank,
                      const hsize_t *size, const struct plan *plan, const void *data)
{
    hid_t set = create(file, name, type, rank, size, plan);
    CHECK(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(set);
}

static hid_t make(const char *name)
{
    hid_t file = H5Fcreate(at(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    CHECK_MSG(file >= 0, "creating %s", name);
    return file;
}

static double values[NUMBERS]; /* that fit into every type */
static const int32_t labels[N] = { 3, -1, 0, 2 };

static hid_t half(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

static void check_type(hid_t type, enum source_dtype dtype, float largest)
{
    static const hsize_t size[] = { N, C, H, W };
    static const struct plan plans[] = {
        { { 0 }, 0 }, { { 1, C, H, W }, 1 }, { { 3, 2, 2, 4 }, 1 }, { { 2, C, H, 3 }, 0 },
    };
    float want[C * H * W];
    for (size_t p = 0; p < sizeof plans / sizeof *plans; p++) {
        hid_t file = make("t.h5");
        write_set(file, "x", type, H5T_NATIVE_DOUBLE, 4, size, &plans[p], values);
        H5Fclose(file);
        struct source *source = must_open(at("t.h5"));
        CHECK(source && !strcmp(source->kind, "hdf5") && source->count == N);
        CHECK(source && source->channels == C && source->height == H && source->width == W &&
              source->dtype == dtype && !source->labels);
        for (size_t i = 0; source && i < N; i++) {
            for (int k = 0; k < C * H * W; k++)
                want[k] = (float)values[i * C * H * W + (size_t)k] / largest;
            same_pixels(source, i, want, C, H, W);
        }
        source_close(&source);
    }
}

static void test_types(void)
{
    for (int i = 0; i < NUMBERS; i++)
        values[i] = i % 251;
    hid_t halves = half();
    check_type(H5T_STD_U8LE, DTYPE_U8, 255);
    check_type(H5T_STD_U16LE, DTYPE_U16, 65535);
    check_type(H5T_STD_U16BE, DTYPE_U16, 65535);
    check_type(halves, DTYPE_F16, 1);
    H5Tclose(halves);
    for (int i = 0; i < NUMBERS; i++)
        values[i] = i * 70 - 15000;
    check_type(H5T_STD_I16LE, DTYPE_I16, 1);
    check_type(H5T_STD_I16BE, DTYPE_I16, 1);
    for (int i = 0; i < NUMBERS; i++)
        values[i] = i * 0.37 - 50;
    check_type(H5T_IEEE_F32LE, DTYPE_F32, 1);
    check_type(H5T_IEEE_F32BE, DTYPE_F32, 1);
    check_type(H5T_IEEE_F64LE, DTYPE_F64, 1);
    check_type(H5T_IEEE_F64BE, DTYPE_F64, 1);
}

static void test_shapes(void)
{
    static const hsize_t grey[] = { N, H, W }, last[] = { N, H, W, C };
    float want[C * H * W];
    hid_t file = make("s.h5");
    write_set(file, "grey", H5T_STD_U16LE, H5T_NATIVE_DOUBLE, 3, grey, NULL, values);
    write_set(file, "last", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 4, last, NULL, values);
    write_set(file, "flat", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, grey, NULL, values);
    H5Fclose(file);
    struct source *source = must_open(spec_of("hdf5", "s.h5", ":grey"));
    CHECK(source && source->channels == 1 && source->height == H && source->width == W);
    source_close(&source);
    source = must_open(spec_of("", "s.h5", ":last:nhwc"));
    CHECK(source && source->channels == C && source->height == H && source->width == W);
    for (int c = 0; c < C; c++)
        for (int k = 0; k < H * W; k++)
            want[c * H * W + k] = (float)values[2 * C * H * W + k * C + c];
    same_pixels(source, 2, want, C, H, W);
    source_close(&source);
    must_refuse(spec_of("hdf5", "s.h5", ":grey:nhwc"), "3 dimensions");
    file = make("t.h5");
    write_set(file, "x", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 5, (hsize_t[]){ 2, N / 2, C, H, W },
              NULL, values);
    write_set(file, "y", H5T_STD_I8LE, H5T_NATIVE_INT32, 1, (hsize_t[]){ 2 }, NULL, labels);
    write_set(file, "many", H5T_STD_I8LE, H5T_NATIVE_INT32, 1, (hsize_t[]){ N }, NULL, labels);
    H5Fclose(file);
    source = must_open(spec_of("hdf5", "t.h5", ":x,y:views"));
    CHECK(source && source->count == N && source->views == N / 2 && source->channels == C);
    CHECK(source && source_label(source, 0) == 3 && source_label(source, 1) == 3 &&
          source_label(source, 2) == -1 && source_label(source, 3) == -1);
    for (int i = 0; i < C * H * W; i++)
        want[i] = (float)values[3 * C * H * W + i];
    same_pixels(source, 3, want, C, H, W);
    source_close(&source);
    source = must_open(spec_of("hdf5", "t.h5", ":x,many:views"));
    CHECK(source && source_label(source, 1) == -1 && source_label(source, 3) == 2);
    source_close(&source);
    must_refuse(spec_of("hdf5", "t.h5", ":x,y"), "5 dimensions");
    must_refuse(spec_of("hdf5", "s.h5", ":flat"), "2 dimensions");
    must_refuse(spec_of("hdf5", "s.h5", ":none"), "it has flat, grey, last");
    must_refuse(at("s.h5"), "which of grey, last are the images");
}

static void test_labels(void)
{
    static const hsize_t size[] = { N, H, W }, column[] = { N, 1 }, rows[] = { N };
    static const double parts[N] = { 0, 1.5, 2, 1 };
    hid_t file = make("l.h5");
    hid_t group = H5Gcreate2(file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    write_set(file, "train/images", H5T_STD_U8LE, H5T_NATIVE_DOUBLE, 3, size, NULL, values);
    write_set(file, "train/labels", H5T_STD_I64BE, H5T_NATIVE_INT32, 2, column, NULL, labels);
    write_set(file, "other", H5T_STD_I8LE, H5T_NATIVE_INT32, 1, rows, NULL, labels);
    write_set(file, "real", H5T_IEEE_F32LE, H5T_NATIVE_INT32, 1, rows, NULL, labels);
    write_set(file, "part", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, rows, NULL, parts);
    write_set(file, "row", H5T_STD_I8LE, H5T_NATIVE_INT32, 2, (hsize_t[]){ 1, N }, NULL, labels);
    write_set(file, "few", H5T_STD_I8LE, H5T_NATIVE_INT32, 1, (hsize_t[]){ 3 }, NULL, labels);
    H5Gclose(group);
    H5Fclose(file);
    static const char *const rests[] = { "", ":train/images", ":/train/images,train/labels",
                                         ":train/images,other", ":train/images,real",
                                         ":train/images,row" };
    for (int i = 0; i < 6; i++) {
        struct source *source = must_open(spec_of("hdf5", "l.h5", rests[i]));
        CHECK(source && source->classes == 4 && source_label(source, 0) == 3);
        CHECK(source && source_label(source, 1) == -1 && source_label(source, 3) == 2);
        CHECK_MSG(source && (i < 2) == (strstr(source->note, "labels from train/labels") != NULL),
                  "%s", source ? source->note : "");
        source_close(&source);
    }
    must_refuse(spec_of("hdf5", "l.h5", ":train/images,part"), "label 1 is 1.5; labels are whole");
    must_refuse(spec_of("hdf5", "l.h5", ":train/images,train/images"), "labels need 4 whole");
    must_refuse(spec_of("hdf5", "l.h5", ":train/images,few"), "here are 3");
    must_refuse(spec_of("hdf5", "l.h5", ":train/images,nothing"), "holds no array nothing");
}

/* The library is not made for threads; our reads are. */
static void test_threads(void)
{
    static const hsize_t size[] = { 64, 8, 8 };
    static double many[64 * 64];
    for (int i = 0; i < 64 * 64; i++)
        many[i] = i / 64;
    hid_t file = make("p.h5");
    write_set(file, "x", H5T_IEEE_F32LE, H5T_NATIVE_DOUBLE, 3, size,
              &(struct plan){ { 5, 8, 8 }, 1 }, many);
    H5Fclose(file);
    struct source *source = must_open(at("p.h5"));
    if (source)
        threads_agree(source, 63, 0, 1);
    source_close(&source);
}

static void test_refusals(void)
{
    static const hsize_t size[] = { N, H, W }, huge[] = { 1, 100000, 100000 };
    static const hsize_t many[] = { (hsize_t)1 << 50, 8, 8 }, none[] = { 0, H, W };
    hid_t file = make("r.h5");
    write_set(file, "i32", H5T_STD_I32LE, H5T_NATIVE_DOUBLE, 3, size, NULL, values);
    write_set(file, "i8", H5T_STD_I8LE, H5T_NATIVE_INT32, 3, (hsize_t[]){ 1, 1, 1 }, NULL, labels);
    H5Dclose(create(file, "empty", H5T_STD_U8LE, 3, size, NULL)); /* no number was written */
    H5Dclose(create(file, "huge", H5T_STD_U8LE, 3, huge, &(struct plan){ { 1, 9, 9 }, 1 }));
    H5Dclose(create(file, "many", H5T_STD_U8LE, 3, many, &(struct plan){ { 1, 8, 8 }, 1 }));
    H5Dclose(create(file, "wide", H5T_STD_U8LE, 3, (hsize_t[]){ 65536, 512, 512 },
                    &(struct plan){ { 8192, 512, 512 }, 1 }));
    H5Dclose(create(file, "none", H5T_STD_U8LE, 3, none, NULL));
    hid_t space = H5Screate_simple(3, size, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(list, "elsewhere.raw", 0, N * H * W);
    H5Dclose(H5Dcreate2(file, "away", H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT));
    H5Pclose(list);
    H5Sclose(space);
    H5Fclose(file);
    must_refuse(spec_of("hdf5", "r.h5", ":i32"), "signed numbers of 4 bytes");
    must_refuse(spec_of("hdf5", "r.h5", ":i8"), "signed numbers of 1 bytes");
    must_refuse(spec_of("hdf5", "r.h5", ":empty"), "was not filled");
    must_refuse(spec_of("hdf5", "r.h5", ":huge"), "too large");
    must_refuse(spec_of("hdf5", "r.h5", ":many"), "promises");
    must_refuse(spec_of("hdf5", "r.h5", ":wide"), "larger than 1 GiB");
    must_refuse(spec_of("hdf5", "r.h5", ":none"), "holds no image");
    must_refuse(spec_of("hdf5", "r.h5", ":away"), "lie in other files");
    must_refuse(spec_of("hdf5", "nothing.h5", ""), "No such file");
    mkdir(at("folder.h5"), 0777);
    must_refuse(spec_of("hdf5", "folder.h5", ""), "it is no file");
    put("text.h5", "no HDF5 at all", 14);
    must_refuse(spec_of("hdf5", "text.h5", ""), "text.h5: the file cannot be read");
}

/* Bytes are not changed here as for the other formats: libhdf5 1.10.8 itself reads past its buffers
 * where a changed filter or size of a chunk makes the unpacked chunk shorter than it should be. */
static void test_damage(void)
{
    static const hsize_t size[] = { 2, 4, 4 }, rows[] = { 2 };
    for (int packed = 0; packed < 2; packed++) {
        hid_t file = make("d.h5");
        write_set(file, "x", H5T_STD_U16LE, H5T_NATIVE_DOUBLE, 3, size,
                  packed ? &(struct plan){ { 1, 4, 4 }, 1 } : NULL, values);
        write_set(file, "y", H5T_STD_I32LE, H5T_NATIVE_INT32, 1, rows, NULL, labels);
        H5Fclose(file);
        truncations("hdf5", "d.h5", 61);
    }
}

int main(void)
{
    if (files_begin())
        return 1;
    test_types();
    test_shapes();
    test_labels();
    test_threads();
    test_refusals();
    test_damage();
    files_end();
    return check_summary("hdf5");
}
#else
int main(void)
{
    return without_library(&(struct without){
        .kind = "hdf5", .name = "a.h5", .rest = ":x", .bytes = "\211HDF\r\n\032\n", .size = 8,
        .library = "libhdf5", .package = "libhdf5-dev" });
}
#endif
