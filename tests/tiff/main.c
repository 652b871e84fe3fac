/* main.c: test_tiff: TIFF files as libtiff writes them, what is refused, damaged files; with the
 * folder of -Ddata_dir as argv[1] real images. */
#include "tests/tiff/tiff.h"

int main(int argc, char **argv)
{
    if (files_begin())
        return 1;
    test_forms();
    test_pages();
    test_stack();
    test_folder();
    test_views();
    test_nodata();
    test_refusals();
    test_damage();
    if (argc > 1)
        test_real(argv[1]);
    files_end();
    return check_summary("tiff");
}
