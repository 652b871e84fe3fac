/* main.c: test_methods: losses against ones written out in double, gradients against central
 * differences of those, and what each method remembers and draws. test_contrast.c has queue and
 * in-batch InfoNCE, the parity cases whole steps. */
#include "tests/methods/method.h"

int main(void)
{
    if (moco_simd_init(&simd, NULL))
        return 1;
    test_memory_bank();
    test_parametric();
    test_margin();
    test_semi_supervised();
    test_consistency();
    test_moco_v3();
    return check_summary("methods");
}
