#!/bin/sh
# limits.sh: what the process itself lacks is told and ends a command; no image is left out for it.
. "$(dirname "$0")/lib.sh"

mkdir -p set/a set/b
for i in 1 2 3 4 5 6 7 8; do
    "$draw" png "set/a/$i.png" 16x16x3 60 50 "$i"
    "$draw" png "set/b/$i.png" 16x16x3 200 50 "$i"
done
status 0 "a run" train set --out run $small --epochs 1

status 0 "all rows" embed run set -o all.npy

# few ARGS...: with hardly more files than standard streams take. It ends with the sentence, or
# nothing is missing.
few() {
    told=0
    for n in 4 5 6 7; do
        rm -rf rows.npy rows.csv more
        (ulimit -n $n && exec "$moco" "$@") >out 2>err
        got=$?
        checks=$((checks + 1))
        case $got in
        0) [ "$1" != embed ] || cmp -s rows.npy all.npy || fail "embed with $n files: other rows" ;;
        1)
            told=$((told + 1))
            says err "^moco: .*ulimit -n" "$1 with $n files"
            [ ! -e rows.npy ] || fail "$1 with $n files: rows were written"
            ;;
        *) fail "$1 with $n files: ended with $got" ;;
        esac
    done
    checks=$((checks + 1))
    [ $told -gt 0 ] || fail "$1: $n files are enough, nothing is tried"
}

few embed run set -o rows.npy
few train set --out more $small
few data set

finish limits
