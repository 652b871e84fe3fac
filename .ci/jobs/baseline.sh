# shellcheck shell=bash
# baseline.sh: older x86-64 CPUs.

# CPUs without AVX run the build: outside the kernels' own libraries no instruction is as new as
# that, and the tests pass under qemu's user mode on such a CPU and, for kernels and dispatch, on one
# with AVX2 and no AVX-512. The two run side by side.
job_baseline() {
    local cpu
    [ "$(uname -m)" = x86_64 ] || { echo "left out: this machine is no x86-64"; return; }
    begin baseline || return
    qemu_user || { bad "baseline: installation"; return; }
    meson setup "$work/x86" --werror -Dbench=disabled && ninja -C "$work/x86" ||
        { bad "baseline: build"; return; }
    ok
    check_instructions "$work/x86"
    export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=2
    on_nehalem "$work/x86" >"$work/nehalem.out" 2>&1 &
    on_haswell "$work/x86" >"$work/haswell.out" 2>&1
    wait
    unset OMP_WAIT_POLICY OMP_NUM_THREADS
    cat "$work/nehalem.out" "$work/haswell.out"
    passed=$((passed + $(cat "$work/nehalem.out" "$work/haswell.out" | grep -c '^ok ')))
    failed=$((failed + $(cat "$work/nehalem.out" "$work/haswell.out" | grep -c '^FAILED')))
}

# SSE4.2 at most: kernels ref, oneDNN's code for SSE4.1, fmaf without FMA.
on_nehalem() (
    cpu=Nehalem
    emulator=(qemu-x86_64 -cpu "$cpu")
    chosen "$1" ref avx2
    for test in $(cd "$1/tests" && find . -maxdepth 1 -type f -perm -u+x | sort); do
        case $test in
        ./parity | ./weights_diff | ./test_awkward | ./test_threads) ;;
        ./test_memory | ./test_order) ;;
        ./test_conv | ./test_gradient | ./test_knn | ./test_linear) ;;
        ./test_bad | ./test_finetune | ./test_resume | ./test_labels | ./test_judge) ;;
        ./test_study | ./test_watchdog | ./test_events | ./test_report | ./test_state) ;;
        ./test_library | ./test_classes | ./test_init) ;;
        ./test_augment) emulated "$1" tests/test_augment tests/golden/augment ;;
        ./checksimd) emulated "$1" tests/checksimd --offered ;;
        *) emulated "$1" "tests/${test#./}" ;;
        esac
    done
    for options in "" "--conv own" --deterministic; do
        # shellcheck disable=SC2086
        emulated "$1" tests/parity $options tests/golden/parity/*
    done
    emulated "$1" moco train "${small_run[@]}" --out "$work/nehalem-run"
    emulated "$1" moco knn "$work/nehalem-run" --train synthetic:n=64,side=16 \
        --test synthetic:n=64,side=16,split=test
    echo "left out: test_conv, test_gradient, test_knn, test_linear (minutes each; checksimd," \
        "checkwinograd and parity run the same kernels and layers), test_bad, test_finetune," \
        "test_resume, test_labels, test_judge, test_state, test_classes, test_init, test_study, test_watchdog, test_events," \
        "test_report (whole runs; one is made above), test_library (qemu fails at a fork of" \
        "several threads), test_memory and test_order (qemu keeps no limit of memory)," \
        "test_threads (qemu has a thread of its own), test_awkward (needs images), test_cli.sh" \
        "(train and knn above run the same binary)"
)

on_haswell() (
    cpu=Haswell-noTSX
    emulator=(qemu-x86_64 -cpu "$cpu")
    chosen "$1" avx2 avx512
    emulated "$1" tests/test_dispatch
    emulated "$1" tests/checksimd --readable-ends
    cpu=Haswell-noTSX,-fma # AVX2 and no FMA, as a hypervisor may mask it: nobody uses AVX2
    emulator=(qemu-x86_64 -cpu "$cpu")
    chosen "$1" ref avx2
    emulated "$1" moco train "${small_run[@]}" --out "$work/no-fma-run"
    echo "left out: the other tests, whose buffers end where they will (qemu 7 reads all lanes of a" \
        "masked load), and checkwinograd, which holds AVX2's level to its bytes on any CPU"
)
