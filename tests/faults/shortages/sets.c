/* sets.c: see sets.h. */
#include "tests/faults/shortages/sets.h"

#include <zlib.h>

#include "engine/data/format/pack.h"
#include "engine/data/format/raw.h"
#include "simd/simd.h"
#include "tests/stb_write.h"

#ifdef MOCO_TIFF
#include <tiffio.h>
#endif
#ifdef MOCO_FITS
#include <fitsio.h>
#endif
#ifdef MOCO_HDF5
#define H5_USE_110_API
#include <hdf5.h>
#endif

enum { W = 12, H = 8, PIXELS = W * H, MANY = 4 };

/* (MANY, H, W, 3) */
static unsigned char numbers[MANY * PIXELS * 3];

static void fill(void)
{
    for (size_t i = 0; i < sizeof numbers; i++)
        numbers[i] = (unsigned char)(i * 37 + i / 29);
}

/* ---- files of one image each ---- */

static void make_folder(void)
{
    unsigned char pnm[64 + 6 * PIXELS];
    fill();
    mkdir(at("folder"), 0777);
    mkdir(at("folder/a"), 0777);
    mkdir(at("folder/b"), 0777);
    CHECK(stbi_write_png(at("folder/a/1.png"), W, H, 3, numbers, 3 * W));
    CHECK(stbi_write_png(at("folder/a/2.png"), W, H, 4, numbers, 4 * W));
    CHECK(stbi_write_jpg(at("folder/a/3.jpg"), W, H, 3, numbers, 90));
    CHECK(stbi_write_bmp(at("folder/b/4.bmp"), W, H, 3, numbers));
    CHECK(stbi_write_tga(at("folder/b/5.tga"), W, H, 3, numbers));
    int head = snprintf((char *)pnm, 64, "P6\n%d %d\n65535\n", W, H);
    memcpy(pnm + head, numbers, 6 * PIXELS);
    put("folder/b/6.ppm", pnm, (size_t)head + 6 * PIXELS);
}

#ifdef MOCO_TIFF

/* GDAL's tag, of which libtiff knows nothing: without it a number is no longer missing. */
static void put_page(TIFF *tif, int compression, int page)
{
    static const TIFFFieldInfo nodata[] = {
        { 42113, -1, -1, TIFF_ASCII, FIELD_CUSTOM, 1, 0, (char *)(uintptr_t) "GDAL_NODATA" },
    };
    TIFFMergeFieldInfo(tif, nodata, 1);
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, W);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, H);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, compression);
    TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, 2);
    TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, "no stack at all, but words enough for a read");
    TIFFSetField(tif, 42113, "37.0000000000");
    for (int y = 0; y < H; y++)
        CHECK(TIFFWriteScanline(tif, numbers + (page * H + y) * W, (uint32_t)y, 0) == 1);
    CHECK(TIFFWriteDirectory(tif));
}

static void make_tiff(void)
{
    static const int compressions[] = { COMPRESSION_NONE, COMPRESSION_LZW,
                                        COMPRESSION_ADOBE_DEFLATE };
    char name[32];
    fill();
    mkdir(at("tiff"), 0777);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "tiff/%d.tif", i);
        TIFF *tif = TIFFOpen(at(name), "w");
        CHECK(tif != NULL);
        for (int page = 0; tif && page < 2; page++)
            put_page(tif, compressions[i], i + page);
        TIFFClose(tif);
    }
}

#endif

#ifdef MOCO_FITS

static void put_fits(const char *path, int packed)
{
    int status = 0;
    long size[] = { W, H };
    fitsfile *file = NULL;
    fits_create_diskfile(&file, path, &status);
    for (int i = 0; i < 2; i++) {
        if (packed)
            fits_set_compression_type(file, i ? GZIP_1 : RICE_1, &status);
        fits_create_img(file, BYTE_IMG, 2, size, &status);
        fits_write_img(file, TBYTE, 1, PIXELS, numbers + i * PIXELS, &status);
    }
    fits_close_file(file, &status);
    CHECK_MSG(!status, "writing %s: %d", path, status);
}

static void make_fits(void)
{
    unsigned char *bytes;
    fill();
    mkdir(at("fits"), 0777);
    put_fits(at("fits/1.fits"), 0);
    put_fits(at("fits/2.fits"), 1);
    size_t size = get(&bytes, "fits/1.fits");
    gzFile gz = gzopen(at("fits/3.fits.gz"), "wb");
    CHECK(gz && gzwrite(gz, bytes, (unsigned)size) == (int)size);
    gzclose(gz);
    free(bytes);
}

#endif

/* ---- one file of many images ---- */

#ifdef MOCO_HDF5

static void put_dataset(hid_t file, const char *name, int rank, const hsize_t *size,
                        const hsize_t *chunk, const void *data)
{
    hid_t space = H5Screate_simple(rank, size, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
    if (chunk)
        H5Pset_chunk(plan, rank, chunk), H5Pset_deflate(plan, 6);
    hid_t set = H5Dcreate2(file, name, H5T_NATIVE_UINT8, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    CHECK(H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    /* what a failure would make "absent": MATLAB's order of sizes */
    hid_t word = H5Tcopy(H5T_C_S1), one = H5Screate(H5S_SCALAR);
    H5Tset_size(word, 5);
    hid_t class = H5Acreate2(set, "MATLAB_class", word, one, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(class, word, "uint8");
    H5Aclose(class), H5Sclose(one), H5Tclose(word), H5Dclose(set), H5Pclose(plan), H5Sclose(space);
}

static void make_hdf5(void)
{
    static const hsize_t size[] = { MANY, 3, W, H }, chunk[] = { 1, 3, W, H }, n[] = { MANY };
    static const unsigned char labels[MANY] = { 1, 0, 1, 2 };
    fill();
    hid_t file = H5Fcreate(at("a.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put_dataset(file, "images", 4, size, chunk, numbers);
    put_dataset(file, "labels", 1, n, NULL, labels);
    CHECK(H5Fclose(file) >= 0);
}

#endif

static void make_npy(void)
{
    static const int64_t labels[MANY] = { 1, 0, 1, 2 };
    fill();
    put_npy("x.npy", "|u1", "4, 3, 8, 12", numbers, sizeof numbers);
    put_npy("y.npy", "<i8", "4,", labels, sizeof labels);
}

static void number(unsigned char *out, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

/* An archive of x.npy alone, deflated. */
static void make_npz(void)
{
    static unsigned char zip[1 << 13];
    unsigned char *bytes, *end;
    make_npy();
    size_t size = get(&bytes, "x.npy");
    z_stream stream = { .next_in = bytes, .avail_in = (unsigned)size, .next_out = zip + 35,
                        .avail_out = 4096 };
    CHECK(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    size_t packed = 4096 - stream.avail_out, place = 35 + packed;
    deflateEnd(&stream);
    memcpy(zip, "PK\3\4", 4), memcpy(zip + 30, "x.npy", 5);
    number(zip + 8, 8, 2), number(zip + 26, 5, 2);
    unsigned char *entry = zip + place;
    memcpy(entry, "PK\1\2", 4), memcpy(entry + 46, "x.npy", 5);
    number(entry + 10, 8, 2), number(entry + 16, crc32(0, bytes, (unsigned)size), 4);
    number(entry + 20, packed, 4), number(entry + 24, size, 4), number(entry + 28, 5, 2);
    end = entry + 51;
    memcpy(end, "PK\5\6", 4);
    number(end + 8, 1, 2), number(end + 10, 1, 2);
    number(end + 12, 51, 4), number(end + 16, place, 4);
    put("a.npz", zip, place + 51 + 22);
    free(bytes);
}

static void put_gz(const char *name, const void *head, unsigned size, const void *body,
                   unsigned more)
{
    gzFile gz = gzopen(at(name), "wb");
    CHECK(gz && gzwrite(gz, head, size) == (int)size && gzwrite(gz, body, more) == (int)more);
    gzclose(gz);
}

static void make_idx(void)
{
    static const unsigned char images[] = { 0, 0, 8, 3, 0, 0, 0, 12, 0, 0, 0, H, 0, 0, 0, W };
    static const unsigned char labels[] = { 0, 0, 8, 1, 0, 0, 0, 12 };
    static const unsigned char values[12] = { 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0 };
    fill();
    put_gz("images-idx3-ubyte.gz", images, sizeof images, numbers, 12 * PIXELS);
    put_gz("labels-idx1-ubyte.gz", labels, sizeof labels, values, sizeof values);
}

static void make_cifar(void)
{
    static unsigned char records[3 * 3073];
    static const char names[] = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n";
    for (size_t i = 0; i < sizeof records; i++)
        records[i] = (unsigned char)(i % 3073 ? i * 7 : i / 3073);
    mkdir(at("cifar"), 0777);
    put("cifar/data_batch_1.bin", records, sizeof records);
    put("cifar/batches.meta.txt", names, sizeof names - 1);
}

static void make_packed(void)
{
    struct moco_simd simd;
    struct pack_report report;
    const struct pack_options options = { .simd = &simd };
    CHECK(moco_simd_init(&simd, NULL) == MOCO_OK);
    make_npy();
    struct source *source = must_open(at("x.npy"));
    CHECK(source && pack_write(&report, at("a.pack"), source, &options) == MOCO_OK);
    source_close(&source);
}

const struct set sets[] = {
    { "", "folder", "", make_folder, 1, 0 },
#ifdef MOCO_TIFF
    { "", "tiff", "", make_tiff, 1, 1 },
    { "tiff", "tiff", ":pages=views", make_tiff, 1, 1 },
#endif
#ifdef MOCO_FITS
    { "", "fits", "", make_fits, 1, 1 },
#endif
#ifdef MOCO_HDF5
    { "", "a.h5", "", make_hdf5, 0, 2 },
#endif
    { "", "x.npy", "", make_npy, 0, 0 },
    { "npy", "x.npy", ",y.npy", make_npy, 0, 0 },
    { "", "a.npz", "", make_npz, 0, 0 },
    { "", "images-idx3-ubyte.gz", "", make_idx, 0, 0 },
    { "", "cifar", "", make_cifar, 0, 0 },
    { "", "a.pack", "", make_packed, 0, 0 },
    { "", NULL, "", NULL, 0, 0 },
};
