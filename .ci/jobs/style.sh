# shellcheck shell=bash
# style.sh: rules of the tree that no compiler checks.

sources() { git ls-files '*.c' '*.h'; }
tabs() { sources | xargs grep -nP '\t'; }
trailing() { sources | xargs grep -nE ' +$'; }
wide() { sources | xargs awk 'length > 100 { print FILENAME ":" FNR ": " length " characters" }'; }
upward() { grep -rnE '#include "(engine|include)/' simd --include='*.[ch]'; }
dnnl_users() {
    grep -rnE '\bdnnl_[a-z_]+\(|dnnl_shim\.h"' engine simd --include='*.[ch]' |
        grep -vE '^engine/net/dnnl(\.c|_shim\.h):'
}
printers() { grep -rnE '\b(printf|puts|exit|abort)\(' engine --include='*.c' | grep -v '^engine/cli/'; }
paths() { git grep -nE '/(home|work|Users)/[a-z]' -- . ':!.ci/jobs/style.sh'; }
notes() { sources | xargs grep -nE '\b(TODO|FIXME|XXX)\b'; }
headers() {
    local header
    # simd/ has bodies too, which a variant's file includes after its vector type.
    for header in $(git ls-files '*.h' | grep -vE '^simd/(.*_body|.*_few|tile|.*_plane|vec_.*)\.h$'); do
        cc -std=gnu11 -I. $(pkg-config --cflags libcjson stb hdf5-serial) -x c -fsyntax-only "$header" 2>&1 | grep -v 'pragma once in main'
    done
    c++ -I. -x c++ -fsyntax-only include/moco.h
    c++ -I. -x c++ -fsyntax-only simd/simd.h
}

job_style() {
    clone || { bad "style: clone"; return; }
    check "tabs" tabs
    check "trailing blanks" trailing
    check "lines over 100 characters" wide
    check "simd/ includes the engine" upward
    check "oneDNN outside engine/net/dnnl.c and its shim" dnnl_users
    check "printing below the command line" printers
    check "machine paths" paths
    check "notes to self" notes
    check "headers that need others" headers
}
