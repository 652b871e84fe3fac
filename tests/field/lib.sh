# shellcheck shell=sh
# lib.sh: what the scripts of this folder share. Each is called with the programs moco and draw, works
# in a folder of its own, $work, and ends with `finish NAME`.
moco=$(realpath "$1")
draw=$(realpath "$2")
failures=0
checks=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# small: settings of a run of seconds.
small="--width 4 --batch-size 8 --epochs 2 --threads 1"

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# check GOT WANTED WHAT
check() {
    checks=$((checks + 1))
    [ "$1" = "$2" ] || fail "$3: $1, not $2"
}

# status WANTED WHAT ARGS...: runs moco; what it printed lies in $work/out and $work/err.
status() {
    wanted=$1 what=$2
    shift 2
    "$moco" "$@" >"$work/out" 2>"$work/err"
    got=$?
    check $got "$wanted" "$what"
    [ $got = "$wanted" ] || tail -3 "$work/err"
}

# says FILE PATTERN WHAT: a line of $work/FILE matches the extended regular expression.
says() {
    checks=$((checks + 1))
    grep -Eq -- "$2" "$work/$1" || { fail "$3: no \"$2\" in:"; cat "$work/$1"; }
}

# silent FILE PATTERN WHAT: none does.
silent() {
    checks=$((checks + 1))
    if grep -Eq -- "$2" "$work/$1"; then fail "$3: \"$2\" in:"; cat "$work/$1"; fi
}

# finish NAME: the last line of a script.
finish() {
    echo "field $1: $checks checks, $failures failed"
    [ "$failures" = 0 ] && [ "$checks" -gt 0 ]
}
