/* test_paths: a path in a file of settings means the same from wherever it is read. */
#define _GNU_SOURCE /* files.h */
#include "engine/base/path.h"

#include "engine/run/config/config.h"
#include "tests/files.h"

static void joins(const char *folder, const char *path, const char *wanted)
{
    char out[300];
    CHECK(path_join(out, sizeof out, folder, path) == 0);
    CHECK_MSG(!strcmp(out, wanted), "%s and %s: %s, not %s", folder, path, out, wanted);
}

static void leads(const char *from, const char *to, const char *wanted)
{
    char out[300];
    CHECK_MSG(path_between(out, sizeof out, from, to) == 0 && !strcmp(out, wanted),
              "from %s to %s: %s, not %s", from, to, out, wanted);
}

/* In the folder of the test: a/b/c, ab, and link -> a/b. */
static void test_path(void)
{
    char out[8], folder[300];
    joins("", "x", "x");
    joins("a", "x", "a/x");
    joins("a/", "x", "a/x");
    joins("/", "x", "/x");
    joins("a", "/x", "/x");
    joins("a", "../x", "x");
    joins("a/b", "../../x/y", "x/y");
    joins("a/b", "../../../x", "../x");
    joins("..", "../x", "../../x");
    joins("link", "../x", "link/../x");
    joins("nowhere", "../x", "nowhere/../x");
    joins("a", ".", "a");
    joins("", ".", ".");
    CHECK(path_join(out, sizeof out, "1234", "567") != 0);
    leads("a/b/c", "a", "../..");
    leads("a", "a/b/c", "b/c");
    leads("a/b/c", "ab", "../../../ab");
    leads("ab", "a", "../a");
    leads("", "", "");
    leads("link", "", "../..");
    CHECK(path_between(out, sizeof out, "nowhere", "a") != 0);
    CHECK(!path_folder(folder, sizeof folder, "a/b/c.json") && !strcmp(folder, "a/b"));
    CHECK(!path_folder(folder, sizeof folder, "c.json") && !strcmp(folder, ""));
    CHECK(!path_folder(folder, sizeof folder, "/c.json") && !strcmp(folder, "/"));
}

static void rebased(const char *spec, const char *wanted)
{
    char out[300];
    CHECK_MSG(!source_rebase(out, sizeof out, spec, "..", ""), "%s", error_text());
    CHECK_MSG(!strcmp(out, wanted), "%s: %s, not %s", spec, out, wanted);
}

/* Every kind of argument; what a comma parts depends on what is there. */
static void test_spec(void)
{
    static const unsigned char idx[16] = { 0, 0, 8, 3 };
    const float x[4] = { 0 };
    put_npy("x.npy", "<f4", "1, 2, 2", x, sizeof x);
    put_npy("one,two.npy", "<f4", "1, 2, 2", x, sizeof x);
    put("images", idx, sizeof idx);
    put("x.npz", "PK\3\4", 4);
    put("x.h5", "\211HDF\r\n\032\n", 8);
    rebased("x.npy", "../x.npy");
    rebased("npy:x.npy:nhwc", "npy:../x.npy:nhwc");
    rebased("npy:x.npy,y.npy", "npy:../x.npy,../y.npy");
    rebased("x.npy,y.npy:nhwc", "../x.npy,../y.npy:nhwc");
    rebased("x.npy:nhwc,/y.npy", "../x.npy:nhwc,/y.npy");
    rebased("npy:/x.npy,y.npy", "npy:/x.npy,y.npy"); /* neither is there */
    rebased("one,two.npy", "../one,two.npy");
    rebased("npy:one,two.npy", "npy:../one,two.npy");
    rebased("idx:images,labels", "idx:../images,../labels");
    rebased("images,labels", "../images,../labels");
    rebased("npz:x.npz:images,labels", "npz:../x.npz:images,labels");
    rebased("npy:x.npz:images,labels", "npy:../x.npz:images,labels");
    rebased("x.npz:images,labels", "../x.npz:images,labels");
    rebased("hdf5:x.h5:/images,/labels:nhwc", "hdf5:../x.h5:/images,/labels:nhwc");
    rebased("x.h5:images,labels", "../x.h5:images,labels");
    rebased("folder:a:alpha=keep", "folder:../a:alpha=keep");
    rebased("a/b", "../a/b");
    rebased("cifar10:/data:test", "cifar10:/data:test");
    rebased("tiff:a:pages=channels", "tiff:../a:pages=channels");
    rebased("synthetic", "synthetic");
    rebased("synthetic:n=100,side=8", "synthetic:n=100,side=8");
    rebased("", "");
}

static void reads(const char *file, const char *data, const char *out, const char *test)
{
    struct config config;
    config_default(&config);
    CHECK_MSG(!config_read(&config, file), "%s", error_text());
    CHECK_MSG(!strcmp(config.value.data, data), "%s: data %s, not %s", file, config.value.data,
              data);
    CHECK_MSG(!strcmp(config.value.out, out), "%s: out %s, not %s", file, config.value.out, out);
    CHECK_MSG(!strcmp(config.value.knn_test, test), "%s: knn-test %s, not %s", file,
              config.value.knn_test, test);
}

static void test_config(void)
{
    struct config config;
    char whole[700], absolute[700];
    config_default(&config);
    snprintf(absolute, sizeof absolute, "folder:%s", at("a"));
    strcpy(config.value.data, "npy:x.npy,y.npy");
    CHECK(!config_set(&config, "out", "a/b", FROM_FLAG));
    CHECK(!config_set(&config, "positive", absolute, FROM_FLAG));
    CHECK(!config_set(&config, "knn-test", "images,labels", FROM_FLAG));
    CHECK_MSG(!config_write(&config, "a/b/config.json", "ref"), "%s", error_text());
    reads("a/b/config.json", "npy:x.npy,y.npy", "a/b", "images,labels");
    reads("link/config.json", "npy:link/../../x.npy,link/../../y.npy", "link",
          "link/../../images,link/../../labels");
    CHECK(chdir("a/b") == 0);
    reads("config.json", "npy:../../x.npy,../../y.npy", ".", "../../images,../../labels");
    CHECK(chdir("../../ab") == 0);
    reads("../a/b/config.json", "npy:../x.npy,../y.npy", "../a/b", "../images,../labels");
    snprintf(whole, sizeof whole, "npy:%s,%s", at("x.npy"), at("y.npy"));
    snprintf(absolute, sizeof absolute, "%s,%s", at("images"), at("labels"));
    reads(at("a/b/config.json"), whole, at("a/b"), absolute);
    CHECK(chdir("..") == 0);

    /* A file by hand, and one of a run before paths were written. */
    static const char hand[] = "{\"data\":\"../x.npy\",\"out\":\"run\",\"knn-test\":\"synthetic\"}";
    static const char old[] = "{\"version\":\"0.1.0\",\"data\":\"x.npy\",\"out\":\"a/b\"}";
    put("ab/hand.json", hand, sizeof hand - 1);
    put("a/b/config.json", old, sizeof old - 1);
    reads("ab/hand.json", "x.npy", "ab/run", "synthetic");
    reads("a/b/config.json", "x.npy", "a/b", "");
}

int main(void)
{
    if (files_begin() || chdir(files_dir))
        return 1;
    CHECK(!mkdir("a", 0777) && !mkdir("a/b", 0777) && !mkdir("a/b/c", 0777) && !mkdir("ab", 0777) &&
          !symlink("a/b", "link"));
    test_path();
    test_spec();
    test_config();
    files_end();
    return check_summary("paths");
}
