/* main.c: test_pack: packed files. */
#include "tests/pack/pack.h"

int main(void)
{
    if (files_begin())
        return 1;
    test_same();
    test_scaled();
    test_left_out();
    test_damage();
    test_gaps();
    files_end();
    return check_summary("pack");
}
