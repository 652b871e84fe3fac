# shellcheck shell=bash
# builds.sh: other compilers, libraries and ways to link.

# The other family of compilers. Its OpenMP library serves oneDNN, too (test_threads).
job_clang() {
    begin clang || return
    clang_openmp || { echo "left out: clang or its OpenMP library cannot be installed here"; return; }
    CC=clang meson_job clang -- checksimd checkwinograd dispatch threads base schedule contrast \
        methods optimiser step conv bf16 augment data decode_jpeg loader header-c header-c++ \
        parity-own parity-own-direct bench-names
}

clang_openmp() {
    clang_links || packages clang libomp-dev && clang_links
}

clang_links() {
    command -v clang >/dev/null && echo '#include <omp.h>
        int main(void) { return omp_get_max_threads() < 1; }' |
        clang -fopenmp -x c - -o "$work/openmp" 2>/dev/null
}

# Link-time optimisation, which must not carry a kernel's instructions into other functions.
job_lto() {
    local test
    begin lto || return
    meson setup "$work/lto" --werror -Db_lto=true -Dbench=disabled &&
        ninja -C "$work/lto" moco tests/checksimd tests/test_dispatch tests/test_step tests/parity ||
        { bad "lto: build"; return; }
    ok
    check "instructions as new as AVX outside the kernels" newer_outside "$work/lto"
    [ "$(newer_functions "$work/lto/moco" | wc -l)" -gt 100 ] && ok || bad "the search finds no kernel"
    for test in checksimd test_dispatch test_step "parity $(echo tests/golden/parity/*)"; do
        # shellcheck disable=SC2086
        if "$work"/lto/tests/$test >"$work/lto.out" 2>&1; then ok; else
            tail "$work/lto.out"
            bad "lto: $test"
        fi
    done
}

# A build without oneDNN: the tests of whatever convolves, and moco links no library for it.
job_no-onednn() {
    local tests=(conv bf16 gradient step run resume parity-own parity-own-direct parity-own-kernels)
    begin no-onednn || return
    [ -n "$(data_options)" ] && tests+=(parity-moco_bottleneck parity-moco_v3 parity-adamw-direct)
    configured no-onednn -Donednn=disabled -Dbench=disabled && ninja -C "$work/no-onednn" moco ||
        { bad "no-onednn: build"; return; }
    tested no-onednn "${tests[@]}"
    check "oneDNN in a build without it" linked_dnnl "$work/no-onednn/moco"
    if "$work/no-onednn/moco" info | grep -q '^oneDNN  *not built in$'; then
        ok
    else
        bad "moco info does not say that oneDNN is not built in"
    fi
}

linked_dnnl() { ldd "$1" | grep -i dnnl; }

# oneDNN 3.x where the system's is 2.x: what computes convolutions and what is built on them, and the
# peer in bench/. A Python package has the library and its headers, for x86-64.
job_onednn3() {
    local venv=$work/onednn3-python build=$work/onednn3 tests=(conv gradient bf16 step resume)
    begin onednn3 || return
    python3 -m venv "$venv" && "$venv/bin/pip" install -q "onednn-devel-cpu-gomp>=2023.1" ||
        { echo "left out: oneDNN 3.x can not be had here (package onednn-devel-cpu-gomp)"; return; }
    configured onednn3 -Donednn_root="$venv" &&
        ninja -C "$build" moco bench/moco-bench \
            tests/{parity,test_conv,test_gradient,test_bf16,test_step,test_resume} ||
        { bad "onednn3: build"; return; }
    ok
    "$build/moco" info | grep -E 'oneDNN +3\.' && ok || bad "onednn3: moco info names another oneDNN"
    mapfile -t -O 5 tests < <(meson test -C "$build" --list 2>/dev/null | grep -o 'parity-[a-z0-9_-]*')
    tested onednn3 "${tests[@]}"
    "$build/bench/moco-bench" --benchmark_min_time=0.01 \
        --benchmark_filter='bn_add_relu.*/onednn' | tee "$build.bench"
    [ "$(grep -c '^bn_add_relu.*GB/s' "$build.bench")" -eq 2 ] && ok || bad "onednn3: moco-bench"
}

# One file that runs alone: on glibc, and on musl, for which Debian has no OpenMP library.
job_static() { static_job static cc; }
job_musl() { static_job musl musl-gcc -Dopenmp=false; }

static_job() {
    local name=$1 cc=$2
    shift 2
    [ "$(uname -m)" = x86_64 ] || { echo "left out: not tried on $(uname -m)"; return; }
    begin "$name" || return
    cross/prepare-static "$work/$name-libraries" "$cc" ||
        { echo "left out: compiler or sources are not in reach"; return; }
    configured "$name" -Dstatic=true --native-file "$work/$name-libraries/native.ini" "$@" &&
        ninja -C "$work/$name" moco || { bad "$name: build"; return; }
    tested "$name" checksimd checkwinograd dispatch base methods optimiser data loader pack step resume \
        parity-own parity-own-direct
    alone "$work/$name/moco"
}

# alone BINARY: it needs no loader, and trains and is tested in a root that holds nothing else.
alone() {
    local empty run=()
    empty=$(mktemp -d "$work/root.XXXXXX")
    mkdir "$empty/tmp" && cp "$1" "$empty/moco" || { bad "copy of $1"; return; }
    [ "$(id -u)" -eq 0 ] || run=(unshare --map-root-user)
    run+=(chroot "$empty" /moco)
    if ! readelf -l "$1" | grep -q INTERP && "${run[@]}" info &&
        "${run[@]}" train "${small_run[@]}" --out /tmp/run &&
        "${run[@]}" knn /tmp/run --train synthetic:n=64,side=16 \
            --test synthetic:n=64,side=16,split=test &&
        "${run[@]}" info /tmp/run/weights.safetensors; then
        ok
    else
        bad "$1 does not run alone"
    fi
}

# Two clones in folders of unequal names and depths, built at unequal times, give the same bytes.
job_reproducible() {
    local file one=$work/one other=$work/the/other
    begin reproducible || return
    git clone -q . "$one" && git clone -q . "$other/clone" &&
        plain_build "$one/build" "$one" && TZ=Asia/Tokyo plain_build "$other/build" "$other/clone" ||
        { bad "reproducible: build"; return; }
    for file in moco libmoco.so; do
        if cmp "$one/build/$file" "$other/build/$file"; then ok; else bad "$file differs"; fi
    done
    named() { grep -al "$work" "$one"/build/moco "$one"/build/libmoco.so; }
    check "names of the build's folders in binaries" named
}

# Nothing may come out of a cache of objects.
plain_build() {
    meson setup --werror -Dtests=false -Dbench=disabled "$1" "$2" && CCACHE_DISABLE=1 ninja -C "$1"
}
