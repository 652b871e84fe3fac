#!/bin/sh
# allocations.sh: commands in which one allocation fails, at places spread over the whole of their
# work: each ends well all the same, or with exit status 1 and a sentence, and leaves no file half
# written. The third argument is the library that makes them fail.
preload=$(realpath "$3")
. "$(dirname "$0")/../field/lib.sh"

mkdir -p set/a set/b
for i in 1 2 3 4 5 6; do
    "$draw" png "set/a/$i.png" 16x16x3 60 50 "$i"
    "$draw" png "set/b/$i.png" 16x16x3 200 50 "$i"
done
status 0 "a run" train set --out run $small --epochs 1

# sweep SAMPLES ARGS...: SAMPLES of the command's allocations fail, one in each run of it.
sweep() {
    samples=$1
    shift
    rm -f count out.*
    FAIL_COUNT=count LD_PRELOAD=$preload GOMP_SPINCOUNT=1000 "$moco" "$@" >out 2>err
    check $? 0 "$1 undisturbed"
    total=$(cat count)
    checks=$((checks + 1))
    [ "$total" -gt 20 ] || fail "$1 allocates $total times: nothing is tried"
    for i in $(seq 1 "$samples"); do
        at=$((1 + (i - 1) * total / samples))
        rm -f out.*
        FAIL_AT=$at LD_PRELOAD=$preload GOMP_SPINCOUNT=1000 "$moco" "$@" >out 2>err
        got=$?
        checks=$((checks + 2))
        case $got in
        0) ;;
        1) grep -Eq '^(moco|libgomp): ' err || fail "$1, allocation $at of $total: no sentence" ;;
        *) fail "$1, allocation $at of $total: ended with $got: $(tail -1 err)" ;;
        esac
        [ -z "$(find . -name '*.part')" ] || fail "$1, allocation $at: a file is left behind"
    done
}

sweep 16 info --threads 1
sweep 40 views set -o out.png --threads 1
sweep 40 data set -o out.png --threads 1
sweep 24 data set --json --threads 2
sweep 16 data set --pack out.pack --threads 1
sweep 24 embed run set -o out.npy --threads 1

finish allocations
