# shellcheck shell=bash
# tests.sh: the build that everyone makes: its tests, the sanitizers, fuzzers, the demonstration.

# Inputs by libraries of others, which Python brings, are made here alone.
job_test() {
    local field
    begin test || return
    # a locale with a decimal comma is made
    [ "$(id -u)" -ne 0 ] || packages locales python3-venv >/dev/null 2>&1
    field=$(realpath -q "$root/../shared/field") && [ -d "$field" ] || field=
    meson_job test ${field:+-Dfield_dir="$field"}
}

job_sanitize() {
    begin sanitize || return
    # cfitsio asks for what damaged headers say, and is told no
    export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    meson_job sanitize -Db_sanitize=address,undefined -Db_lundef=false \
        -Dbuildtype=debugoptimized -Dbench=disabled -- --timeout-multiplier 10
    unset ASAN_OPTIONS UBSAN_OPTIONS
}

# The thread sanitizer: the loader's threads in two programs that start no OpenMP team, for gcc's
# runtime is not built for it, and its barriers would be taken for races; and the teams' loops with
# clang, whose runtime tells the sanitizer (by its tool Archer) who waits for whom. (Leaks: job
# sanitize.)
job_tsan() {
    local test fixed=""
    begin tsan || return
    meson setup "$work/tsan" --werror -Db_sanitize=thread -Db_lundef=false \
        -Dbuildtype=debugoptimized -Dbench=disabled &&
        ninja -C "$work/tsan" tests/test_loader tests/test_order || { bad "tsan: build"; return; }
    ok
    setarch -R true 2>/dev/null && fixed="setarch -R" # older runtimes know few places for memory
    for test in test_loader test_order; do
        if TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 $fixed "$work/tsan/tests/$test"; then
            ok
        else
            bad "tsan: $test"
        fi
    done
    tsan_teams "$fixed"
}

# Without oneDNN, which is not built for the sanitizer; children of fork() start threads (library).
tsan_teams() {
    local test tests=(knn contrast methods step optimiser logistic library)
    clang_openmp && [ -n "$(find /usr/lib/llvm-* -name libarcher.so 2>/dev/null)" ] ||
        { echo "left out: teams under tsan: clang, its OpenMP library or Archer is missing"; return; }
    CC=clang meson setup "$work/tsan-teams" --werror -Db_sanitize=thread -Db_lundef=false \
        -Dbuildtype=debugoptimized -Dbench=disabled -Donednn=disabled &&
        ninja -C "$work/tsan-teams" "${tests[@]/#/tests/test_}" ||
        { bad "tsan: build with clang"; return; }
    ok
    for test in "${tests[@]}"; do
        # shellcheck disable=SC2086
        if TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1:die_after_fork=0 \
            OMP_NUM_THREADS=4 $1 "$work/tsan-teams/tests/test_$test"; then
            ok
        else
            bad "tsan: teams of test_$test"
        fi
    done
}

# Readers of files under a fuzzer, for a moment each; tests/fuzz/run -s SECONDS takes longer.
job_fuzz() {
    begin fuzz || return
    clang_fuzzer || { echo "left out: clang or its fuzzer cannot be installed here"; return; }
    if tests/fuzz/run -s 20 -o "$work/fuzz"; then ok; else bad "fuzz: a target failed"; fi
}

# Debian 12 keeps the fuzzer's runtime in a package of clang's version.
clang_fuzzer() {
    local version
    fuzzer_links && return
    packages clang || return 1
    version=$(clang -dumpversion | cut -d. -f1)
    fuzzer_links || packages "libclang-rt-$version-dev" && fuzzer_links
}

fuzzer_links() {
    command -v clang >/dev/null &&
        echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' |
        clang -fsanitize=fuzzer,address,undefined -x c - -o "$work/fuzzer" 2>/dev/null
}

job_demo() {
    local raw trained
    clone && ./quickstart build || { bad "demo: build"; return; }
    timeout 180 ./quickstart demo | tee "$work/demo.log"
    raw=$(awk '/raw pixels/ { print $(NF - 1) }' "$work/demo.log")
    trained=$(awk '/after training/ { print $(NF - 1) }' "$work/demo.log")
    if awk -v a="${trained:-0}" -v b="${raw:-100}" 'BEGIN { exit !(a > b) }'; then
        ok
    else
        bad "demo: kNN ${trained:-none} against ${raw:-none} of raw pixels within 3 minutes"
    fi
}
