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

# meson_job NAME SETUP-OPTIONS... -- TEST-OPTIONS...
meson_job() {
    local name=$1 setup=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        setup+=("$1")
        shift
    done
    [ $# -gt 0 ] && shift
    mapfile -t data < <(data_options)
    meson setup "$work/$name" --werror ${data[@]+"${data[@]}"} "${setup[@]}" &&
        ninja -C "$work/$name" || { bad "$name: build"; return; }
    ok
    meson test -C "$work/$name" --print-errorlogs "$@" 2>&1 | tee "$work/$name.log"
    sum_up "$work/$name.log"
}

# What small training runs of several jobs share.
small_run=(synthetic:n=64,side=16 --width 8 --side 16 --batch-size 16 --moco-k 32 --moco-dim 16
    --bn-splits 2 --epochs 1)
