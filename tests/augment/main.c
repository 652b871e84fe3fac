/* main.c: test_augment: views against torchvision's, and the distribution of what is drawn.
 *
 * argv[1]: the folder with views.bin and views2.bin (format: tests/oracle/augment_golden.py). */
#include "tests/augment/augment.h"

int main(int argc, char **argv)
{
    CHECK_MSG(argc == 2, "usage: test_augment FOLDER");
    if (argc == 2)
        test_golden(argv[1]);
    test_draws();
    test_channels();
    test_moves();
    test_noise();
    test_bytes();
    return check_summary("augment");
}
