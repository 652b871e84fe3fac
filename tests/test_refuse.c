/* test_refuse: what is known and not read: archives, tables, volumes, pickles, stores. Each gets
 * one sentence that says what it is and what to do, whatever its name is and whichever kind was
 * asked for; NumPy's archives and what is merely damaged keep theirs. */
#include "tests/files.h"

#include <zlib.h>

#include "engine/data/format/refuse.h"

static unsigned char bytes[1 << 16];
static size_t used;

static void add(const void *data, size_t size)
{
    memcpy(bytes + used, data, size);
    used += size;
}

static void add_number(unsigned long value, int size)
{
    for (int i = 0; i < size; i++, value >>= 8)
        bytes[used++] = (unsigned char)value;
}

/* ---- archives ---- */

/* Stored files of one byte; cut: without the directory. */
static void put_zip(const char *file, const char *const *names, int cut)
{
    size_t at[16], n = 0, start;
    used = 0;
    for (; names[n]; n++) {
        at[n] = used;
        add("PK\3\4\24\0\0\0\0\0\0\0\0\0", 14);
        add_number(crc32(0, (const unsigned char *)"x", 1), 4);
        add_number(1, 4), add_number(1, 4), add_number(strlen(names[n]), 2), add_number(0, 2);
        add(names[n], strlen(names[n]));
        add("x", 1);
    }
    start = used;
    for (size_t i = 0; i < n && !cut; i++) {
        add("PK\1\2\24\0\24\0\0\0\0\0\0\0\0\0", 16);
        add_number(crc32(0, (const unsigned char *)"x", 1), 4);
        add_number(1, 4), add_number(1, 4), add_number(strlen(names[i]), 2);
        add_number(0, 6), add_number(0, 6), add_number(at[i], 4);
        add(names[i], strlen(names[i]));
    }
    if (!cut) {
        size_t size = used - start;
        add("PK\5\6\0\0\0\0", 8);
        add_number(n, 2), add_number(n, 2), add_number(size, 4), add_number(start, 4);
        add_number(0, 2);
    }
    put(file, bytes, used);
}

static void add_entry(const char *name, unsigned long size, char type)
{
    unsigned char block[512] = { 0 };
    unsigned sum = 8 * ' ';
    snprintf((char *)block, 100, "%s", name);
    snprintf((char *)block + 100, 8, "0000644");
    snprintf((char *)block + 124, 12, "%011lo", size);
    snprintf((char *)block + 136, 12, "%011o", 0);
    block[156] = (unsigned char)type;
    memcpy(block + 257, "ustar\00000", 8);
    for (int i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? 0 : block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
    add(block, 512);
    memset(block, 'x', 512);
    for (unsigned long i = 0; i < size && type != 'L' && type != 'x'; i += 512)
        add(block, 512);
}

static void add_tar(const char *name, unsigned long size)
{
    add_entry(name, size, name[strlen(name) - 1] == '/' ? '5' : '0');
}

/* A name of more than 100 bytes in front of its file, as GNU's tar and pax write it. */
static void add_long(int gnu)
{
    char text[512] = "", name[200] = "set/a/";
    memset(name + 6, 'n', 150);
    memcpy(name + 156, ".png", 5);
    snprintf(text, sizeof text, gnu ? "%s" : "170 path=%s\n", name);
    add_entry(gnu ? "././@LongLink" : "set/PaxHeaders/x", strlen(text), gnu ? 'L' : 'x');
    add(text, 512);
    name[99] = '\0';
    add_entry(name, 0, '0');
}

static void put_tar(const char *file, const char *const *names, int packed)
{
    used = 0;
    for (; *names; names++)
        add_tar(*names, (*names)[strlen(*names) - 1] == '/' ? 0 : 700);
    memset(bytes + used, 0, 1024);
    used += 1024;
    if (!packed) {
        put(file, bytes, used);
        return;
    }
    gzFile out = gzopen(at(file), "wb");
    CHECK(out && gzwrite(out, bytes, (unsigned)used) == (int)used && gzclose(out) == Z_OK);
}

/* Bare, with any kind in front of it, and under a name that says nothing. */
static void told(const char *file, const char *is, const char *todo)
{
    must_refuse(at(file), is);
    must_refuse(at(file), todo);
    must_refuse(spec_of("folder", file, ""), is);
    must_refuse(spec_of("npy", file, ""), is);
    must_refuse(spec_of("npz", file, ""), is);
    CHECK(rename(at(file), at("nameless")) == 0);
    must_refuse(at("nameless"), is);
    must_refuse(spec_of("tiff", "nameless", ""), is);
    CHECK(rename(at("nameless"), at(file)) == 0);
}

static void test_archives(void)
{
    static const char *const images[] = { "set/", "__MACOSX/._0.png", ".DS_Store", "set/a/0.png",
                                          "set/a/1.PNG", "set/b/2.png", NULL };
    static const char *const shards[] = { "0.jpg", "0.cls", "1.jpg", "1.cls", NULL };
    static const char *const slides[] = { "a.tif", "b.tiff", NULL };
    static const char *const texts[] = { "word/document.xml", NULL };
    static const char *const torch[] = { "archive/data.pkl", "archive/data/0", NULL };
    put_zip("set.zip", images, 0);
    told("set.zip", "is a zip archive of images (3, the first is a .png)", "unzip");
    put_zip("cut.zip", images + 3, 1);
    told("cut.zip", "is a zip archive of images (cut off or damaged", "unzip");
    put_zip("slides.zip", slides, 0);
    told("slides.zip", "of images (2, the first is a .tif)", "give tiff:DIR");
    put_zip("text.docx", texts, 0);
    told("text.docx", "in which no image was found", "unpack it");
    put_zip("weights.pt", torch, 0);
    told("weights.pt", "is a PyTorch file", "torch.load");
    put_tar("set.tar", images, 0);
    told("set.tar", "is a tar archive of images (3, the first is a .png)", "tar -xf");
    put_tar("set.tar.gz", images, 1);
    told("set.tar.gz", "is a tar.gz archive of images (3, the first is a .png)", "tar -xf");
    put_tar("shard.tar", shards, 0);
    told("shard.tar", "as WebDataset has them", "tar -xf");
    told("set.tar", "give folder:DIR/set", "tar -xf"); /* the classes are in there */
    for (int gnu = 0; gnu < 2; gnu++) {
        used = 0;
        add_long(gnu);
        memset(bytes + used, 0, 1024);
        put("long.tar", bytes, used + 1024);
        told("long.tar", "(1, the first is a .png)", "tar -xf");
    }
    put_tar("set.tar", images, 0);
    unsigned char *whole;
    size_t size = get(&whole, "set.tar");
    put("cut.tar", whole, size - 1024 - 300);
    told("cut.tar", "cut off or damaged", "tar -xf");
    free(whole);
    CHECK(mkfifo(at("pipe"), 0666) == 0);
    must_refuse(at("pipe"), "neither a file nor a folder");
    /* An .npz keeps its own sentence. */
    put_zip("x.npz", (const char *const[]){ "x.npy", NULL }, 0);
    CHECK(refuse_known(at("x.npz")) == MOCO_OK);
}

/* ---- others ---- */

static void starts(const char *file, size_t at, const char *head, size_t size, const char *is,
                   const char *todo)
{
    memset(bytes, 0, 2048);
    memcpy(bytes + at, head, size);
    put(file, bytes, 2048);
    told(file, is, todo);
}

static void test_kinds(void)
{
    starts("x.parquet", 0, "PAR1", 4, "is a Parquet table", "pyarrow");
    starts("x.arrow", 0, "ARROW1", 6, "is an Arrow table", "datasets");
    starts("x.dcm", 128, "DICM", 4, "is a DICOM file", "pydicom");
    starts("x.nii", 344, "n+1", 4, "is a NIfTI volume", "nibabel");
    starts("data_batch_1", 0, "\x80\2}q\1", 5, "is a Python pickle", "cifar10:DIR");
    starts("old.pth", 0, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15,
           "is a PyTorch file", "torch.load");
    starts("x.mat", 0, "MATLAB 5.0 MAT-file", 19, "is a MATLAB 5 file", "-v7.3");
    starts("x.7z", 0, "7z\xbc\xaf\x27\x1c", 6, "is a 7z archive", "7z x");
    starts("x.rar", 0, "Rar!\x1a\x07", 6, "is a RAR archive", "unrar");
    starts("x.tar.xz", 0, "\xfd" "7zXZ\0", 6, "is an xz file", "tar -xf");
    starts("x.tar.zst", 0, "\x28\xb5\x2f\xfd", 4, "is a zstd file", "tar -xf");
    starts("x.tbz", 0, "BZh", 3, "is a bzip2 file", "tar -xf");
    starts("x.avif", 0, "\0\0\0\x1c" "ftypavif", 12, "is an AVIF", "x.png");
    starts("x.heic", 0, "\0\0\0\x1c" "ftypheic", 12, "is a HEIF", "x.png");
    starts("x.jxl", 0, "\xff\x0a", 2, "is a JPEG XL", "djxl");
    starts("x.mp4", 0, "\0\0\0\x1c" "ftypisom", 12, "is a video", "/%06d.png");
    starts("x.pdf", 0, "%PDF-1.7", 8, "is a PDF", "pdftoppm");
    starts("x.sqlite", 0, "SQLite format 3", 16, "is an SQLite database", "folder");
    starts("w.safetensors", 0, "\x40\0\0\0\0\0\0\0{\"a\"", 12, "is a safetensors file", "WEIGHTS");
}

static void test_gzip(void)
{
    memset(bytes, 0, 2048);
    memcpy(bytes + 344, "n+1", 4);
    gzFile out = gzopen(at("x.nii.gz"), "wb");
    CHECK(out && gzwrite(out, bytes, 2048) == 2048 && gzclose(out) == Z_OK);
    told("x.nii.gz", "is a NIfTI volume behind gzip", "nibabel");
    out = gzopen(at("x.png.gz"), "wb");
    CHECK(out && gzwrite(out, "\x89PNG\r\n\x1a\n", 8) == 8 && gzclose(out) == Z_OK);
    told("x.png.gz", "is a PNG behind gzip", "gunzip");
}

static void test_folders(void)
{
    mkdir(at("x.zarr"), 0777);
    put("x.zarr/.zarray", "{}", 2);
    must_refuse(at("x.zarr"), "is a Zarr store");
    must_refuse(spec_of("folder", "x.zarr", ""), "zarr.open");
    mkdir(at("lmdb"), 0777);
    put("lmdb/data.mdb", "", 0);
    must_refuse(at("lmdb"), "is an LMDB database");
    mkdir(at("cifar-10-batches-py"), 0777);
    put("cifar-10-batches-py/data_batch_1", "\x80\2}", 3);
    must_refuse(at("cifar-10-batches-py"), "binary version");
    must_refuse(spec_of("cifar10", "cifar-10-batches-py", ""), "binary version");
    mkdir(at("saved"), 0777);
    put("saved/dataset_info.json", "{}", 2);
    put("saved/state.json", "{}", 2);
    must_refuse(at("saved"), "load_from_disk");
}

/* One image is a set of one. */
static void test_single(void)
{
    put("one", "P6\n2 1\n255\n\1\2\3\4\5\6", 17);
    struct source *source = must_open(at("one"));
    CHECK(source && source->count == 1 && source->channels == 3 && !source->labels);
    CHECK(source && !strcmp(source->name(source, 0), "one"));
    source_close(&source);
    put("text", "name,label\n", 11);
    must_refuse(at("text"), "starts neither like");
}

int main(void)
{
    if (files_begin())
        return 1;
    test_archives();
    test_kinds();
    test_gzip();
    test_folders();
    test_single();
    files_end();
    return check_summary("refuse");
}
