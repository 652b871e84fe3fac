# shellcheck shell=bash
# common.sh: counts, the clone that jobs work in, and what they share.

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; }

# try COMMAND...: it must end well.
try() {
    if "$@"; then ok; else bad "$*"; fi
}

# check NAME COMMAND...: the command must print nothing.
check() {
    local name=$1 out
    shift
    out=$("$@" 2>&1)
    if [ -z "$out" ]; then ok; else echo "$out" | head -20; bad "$name"; fi
}

# packages NAME...: of the distribution.
packages() {
    env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

clone() {
    [ -d "$work/clone" ] || git clone -q "$root" "$work/clone" || return 1
    cd "$work/clone" || return 1
}

# begin JOB: in a clean clone, with what the build needs.
begin() {
    clone && ./quickstart packages || { bad "$1: installation"; return 1; }
    cache
}

# Jobs compile much of the same: one cache of objects, empty when a run begins, where it can be had.
cache() {
    command -v ccache >/dev/null || [ "$(id -u)" -ne 0 ] || packages ccache >/dev/null 2>&1
    export CCACHE_DIR=$work/ccache CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
}

data_options() {
    local shared
    shared=$(realpath -q "$root/../shared") || return 0
    [ -d "$shared/data" ] && printf -- '-Ddata_dir=%s\n' "$shared/data"
    [ -d "$shared/parity" ] && printf -- '-Dparity_dir=%s\n' "$shared/parity"
    return 0
}

# Adds meson's sums to ours; a run without any counts as a failure.
sum_up() {
    local n_ok n_bad
    n_ok=$(sed -n 's/^\(Ok\|Expected Fail\): *\([0-9]*\).*/\2/p' "$1" | awk '{n += $1} END {print n + 0}')
    n_bad=$(sed -n 's/^\(Fail\|Unexpected Pass\|Timeout\): *\([0-9]*\).*/\2/p' "$1" |
        awk '{n += $1} END {print n + 0}')
    passed=$((passed + n_ok))
    failed=$((failed + n_bad))
    [ $((n_ok + n_bad)) -gt 0 ] || bad "no test ran"
}

# configured NAME SETUP-OPTIONS...
configured() {
    local name=$1
    shift
    mapfile -t data < <(data_options)
    meson setup "$work/$name" --werror ${data[@]+"${data[@]}"} "$@"
}

# tested NAME TEST-OPTIONS...: a build's tests, all or those that are named; what these need is built.
tested() {
    local name=$1
    shift
    meson test -C "$work/$name" --print-errorlogs "$@" 2>&1 | tee "$work/$name.log"
    sum_up "$work/$name.log"
}

# meson_job NAME SETUP-OPTIONS... -- TEST-OPTIONS...: everything is built.
meson_job() {
    local name=$1 setup=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        setup+=("$1")
        shift
    done
    [ $# -gt 0 ] && shift
    configured "$name" "${setup[@]}" && ninja -C "$work/$name" || { bad "$name: build"; return; }
    ok
    tested "$name" "$@"
}

# What small training runs of several jobs share.
small_run=(synthetic:n=64,side=16 --width 8 --side 16 --batch-size 16 --moco-k 32 --moco-dim 16
    --bn-splits 2 --epochs 1)
