#!/usr/bin/env bash
# test_help.sh MOCO: help, manual pages and completions say what the commands take. Pages are linted
# where mandoc or man is installed, zsh is asked where it is.
moco=$1
tests=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
export LC_ALL=C.UTF-8 # order of sort
export OMP_WAIT_POLICY=passive

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

commands=$("$moco" help | sed -n 's/^  moco \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 13 ] || fail "moco help lists only: $commands"

# ---- help: what a synopsis names is listed, and what is listed is taken ----

for command in $commands; do
    "$moco" "$command" --help >"$work/text" || fail "moco $command --help"
    cmp -s <("$moco" help "$command") "$work/text" || fail "moco help $command is another text"
    listed=$(sed -n 's/^  \(--*[a-z0-9-]*\) .*/\1/p; s/^  \(--*[a-z0-9-]*\)$/\1/p' "$work/text")
    for option in $(sed '/^  [^ ]/,$d' "$work/text" | grep -oE -- '(^|[ [])--?[a-z][a-z0-9-]*' |
        tr -d ' [' | sort -u); do
        grep -qx -- "$option" <<<"$listed" || fail "moco $command: $option is not listed"
    done
    "$moco" "$command" --no-such-thing >/dev/null 2>"$work/err"
    [ $? -eq 2 ] || fail "moco $command takes any option"
done
# what a setting is where nobody gives it
for line in "--epochs NUMBER .*(200)" "--batch-size NUMBER .*(from the data)" "--cos .*(on)" \
    "--mlp [^(]*([^(]*)" "--key-encoder NAME .*"; do
    "$moco" train --help | grep -q -- "^  $line\$" || fail "moco train --help has no line $line"
done
for command in bench views; do
    "$moco" "$command" --help | grep -q -- '^  --\(out\|resume\) ' &&
        fail "moco $command --help lists what it does not read"
done
"$moco" help nothing 2>/dev/null && fail "help for a command that is none"
"$moco" help --man nothing 2>/dev/null && fail "a page for a command that is none"

# ---- manual pages ----

page() {
    "$moco" help --man ${1:+"$1"} >"$work/page.1" || fail "moco help --man $1"
    for section in NAME SYNOPSIS DESCRIPTION EXAMPLES "SEE ALSO"; do
        grep -qx ".SH $section" "$work/page.1" || fail "the page of moco $1 has no section $section"
    done
    if command -v mandoc >/dev/null; then
        mandoc -T lint "$work/page.1" >"$work/lint"
        [ -s "$work/lint" ] && fail "moco $1: $(head -3 "$work/lint")"
    fi
    if command -v groff >/dev/null; then
        groff -man -Tutf8 -ww -rF0 "$work/page.1" 2>&1 >"$work/shown" | grep . &&
            fail "the page of moco $1 is shown with warnings"
    fi
}

page ""
for command in $commands; do
    page "$command"
    grep -qF "moco\\-$command (1)" <("$moco" help --man) || fail "moco(1) does not name $command"
done

# ---- bash ----

"$moco" help --bash >"$work/moco.bash"

# offers "WORDS": what is completed behind the words, of which the last may be empty.
offers() {
    (
        cd "$work" || exit
        # shellcheck disable=SC1091
        . ./moco.bash
        # bash cuts words at colons too
        mapfile -t COMP_WORDS < <(sed 's/:/\n:\n/g; s/ /\n/g' <<<"$1" | sed '$!{/^$/d}')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _moco
        printf '%s\n' "${COMPREPLY[@]}" | sort | xargs
    )
}

expect() {
    local got
    got=$(offers "$1")
    [ "$got" = "$2" ] || fail "bash offers behind '$1': $got; not: $2"
}

mkdir "$work/images" "$work/run"
touch "$work/x.npy" "$work/y.npy"
expect "moco kn" "knn"
expect "moco help e" "embed export"
expect "moco knn --fe" "--feature"
expect "moco knn run --feature " "backbone head pixels"
expect "moco knn pi" "pixels"
expect "moco knn r" "run"
expect "moco train --method memory" "memory-bank"
expect "moco train --conv " "auto onednn own"
expect "moco train --no-sh" "--no-shuffle-bn"
expect "moco train --width " ""
expect "moco train --out im" "images"
expect "moco train cifar" "cifar100: cifar10:"
expect "moco train folder:im" "images"
expect "moco knn run --train npy:x.npy,y" "x.npy,y.npy"
expect "moco knn run --train cifar100" "cifar100:"
expect "moco embed run fold" "folder:"
expect "moco embed run folder:images -" \
    "--feature --help --ids --json --max-missing --raw --simd --threads -o"
expect "moco compare images --study s" "sampling sharing"
expect "moco no-such-command " ""

# the studies that there are, from the sentence
studies=$("$moco" compare x --out y --study no 2>&1 | sed 's/.*one of //; s/ (.*//; s/, /\n/g' | sort | xargs)
expect "moco compare x --study " "$studies"

# the values of settings, from the sentences that refuse another one
# shellcheck disable=SC1091,SC2154
for setting in $(. "$work/moco.bash" && tr ' ' '\n' <<<"$_moco_settings" | grep ':='); do
    name=${setting%%:=*}
    [ "$name" = --key-encoder ] && continue # its sentence knows those that follow from a method
    known=$("$moco" bench synthetic:n=64,side=16 --width 8 --batch-size 16 --moco-k 32 \
        "$name" zzz 2>&1 | tail -1 | sed 's/.*\(known: \|one of \|known are \|zzz: \)//; s/ (moco.*//
            s/ are known$//; s/ are$//; s/,//g; s/ and / /g; s/ /\n/g' | sort | xargs)
    expect "moco train x $name " "$known"
done

# ---- zsh ----

if command -v zsh >/dev/null; then
    mkdir "$work/zsh"
    "$moco" help --zsh >"$work/zsh/_moco"
    zsh -f "$tests/test_zsh.zsh" "$work/zsh" || failures=$((failures + 1))
else
    echo "left out: zsh is not installed"
fi

echo "$failures failures"
[ "$failures" -eq 0 ]
