#!/usr/bin/env bash
# test_install.sh SOURCE BUILD PREFIX LIBDIR: what `meson install` leaves is complete and works: a
# program is compiled against it by pkg-config and trains, nothing but moco_ is exported, the list of
# what is linked is SPDX, and everything names one version.
set -u
source=$1 build=$2 prefix=$3 libdir=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage
lib=$stage$prefix/$libdir
share=$stage$prefix/share
failures=0
export OMP_WAIT_POLICY=passive LC_ALL=C.UTF-8

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

meson install -C "$build" --no-rebuild --destdir "$stage" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
moco=$stage$prefix/bin/moco

# ---- files ----

there() {
    [ -s "$1" ] || fail "${1#"$stage"} is not installed"
}

there "$moco"
there "$stage$prefix/include/moco.h"
there "$lib/pkgconfig/moco.pc"
there "$share/doc/moco/moco.spdx.json"
there "$share/bash-completion/completions/moco"
there "$share/zsh/site-functions/_moco"
there "$share/man/man1/moco.1"
for command in $("$moco" help | sed -n 's/^  moco \([a-z]*\) .*/\1/p'); do
    there "$share/man/man1/moco-$command.1"
done
for name in README.md CHANGELOG.md LICENSE docs/method.md; do
    there "$share/doc/moco/$name"
done
for folder in "$source" "$build" "$stage"; do
    grep -rIlF "$folder" "$stage" && fail "a file names the folder $folder"
done
# shellcheck disable=SC1091
(. "$share/bash-completion/completions/moco" && complete -p moco) >/dev/null ||
    fail "bash does not take the completion"

# ---- one version ----

version=$("$moco" --version | cut -d' ' -f2)
same() {
    [ "$2" = "$version" ] || fail "$1 says $2, moco --version $version"
}
same moco.h "$(awk '/#define MOCO_VERSION_(MAJOR|MINOR|PATCH)/ { v = v s $3; s = "." } END { print v }' \
    "$stage$prefix/include/moco.h")"
same pkg-config "$(sed -n 's/^Version: //p' "$lib/pkgconfig/moco.pc")"
same CHANGELOG.md "$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$source/CHANGELOG.md" | head -1)"
same debian/changelog "$(sed -n '1s/.*(\(.*\)).*/\1/p' "$source/debian/changelog")"
same moco.1 "$(sed -n 's/^\.TH .*"moco \([0-9.]*\)".*/\1/p' "$share/man/man1/moco.1")"
day=$(sed -n 's/^ -- .*>  //p' "$source/debian/changelog" | head -1)
[ "$(date -u -d "$day" +%F)" = "$(awk '/^\.TH/ { print $4 }' "$share/man/man1/moco.1")" ] ||
    fail "moco.1 has another day than debian/changelog, $day"

# ---- programs against it ----

mkdir "$work/pc" "$work/a"
sed "s|^prefix=.*|prefix=$stage$prefix|" "$lib/pkgconfig/moco.pc" >"$work/pc/moco.pc"
export PKG_CONFIG_PATH=$work/pc
sed 's|"include/moco.h"|<moco.h>|' "$source/tests/header_c.c" >"$work/program.c"
sed 's|"include/moco.h"|<moco.h>|' "$source/tests/header_cpp.cc" >"$work/program.cc"

runs() {
    "$@" >"$work/out" 2>&1 || {
        cat "$work/out"
        fail "$(basename "$1")"
    }
}

# shellcheck disable=SC2046
if [ -f "$lib/libmoco.so" ]; then
    runs ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror "$work/program.c" -o "$work/shared" \
        $(pkg-config --cflags --libs moco) -lm
    runs env LD_LIBRARY_PATH="$lib" "$work/shared"
    readelf -d "$work/shared" | grep -q 'NEEDED.*\[libmoco\.so\.0\]' ||
        fail "a program does not ask for libmoco.so.0"
    if command -v c++ >/dev/null; then
        runs c++ -Wall -Wextra -Werror "$work/program.cc" -o "$work/cpp" \
            $(pkg-config --cflags --libs moco)
        runs env LD_LIBRARY_PATH="$lib" "$work/cpp"
    fi
    nm -D --defined-only "$lib/libmoco.so" | grep -v ' moco_' && fail "libmoco.so exports more"
fi
# shellcheck disable=SC2046
if [ -f "$lib/libmoco.a" ]; then
    cp "$lib/libmoco.a" "$work/a/"
    runs ${CC:-cc} -std=gnu11 "$work/program.c" -o "$work/static" -L"$work/a" \
        $(pkg-config --static --cflags --libs moco)
    runs "$work/static"
    readelf -d "$work/static" | grep 'NEEDED.*libmoco' && fail "a static program asks for libmoco"
    nm -g --defined-only "$lib/libmoco.a" | awk 'NF == 3 && $3 !~ /^moco_/' | grep . &&
        fail "libmoco.a has other global names"
fi

# ---- what is linked ----

sbom=$share/doc/moco/moco.spdx.json
check() {
    python3 "$source/packaging/sbom.py" --check "$1" -- "$moco"
}
same SPDX "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["packages"][0]["versionInfo"])' "$sbom")"
check "$sbom" || fail "moco.spdx.json"
# the check finds what is left out, and what is there
sed 's/SPDXRef-zlib/SPDXRef-other/' "$sbom" >"$work/lacks.json"
sed 's|"NOASSERTION"|"/srv/user/zlib"|' "$sbom" >"$work/path.json"
for wrong in lacks path; do
    check "$work/$wrong.json" 2>/dev/null && fail "$wrong.json passes as SPDX"
done

echo "$failures failures"
[ "$failures" -eq 0 ]
