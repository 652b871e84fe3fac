# shellcheck shell=bash
# instructions.sh: which instructions a build's objects and binaries hold.

# VEX and EVEX, and what came beside them without a v. (tzcnt is bsf where it is not known, and meant
# as that.)
newer='\t(v[a-z0-9]+|andn|bextr|bls[a-z]+|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx'
newer+='|lzcnt|popcnt|movbe) |%[yz]mm'

# Lines of the objects named on standard input that hold a register or an instruction.
disassembled() {
    xargs objdump -d --no-show-raw-insn |
        awk -v re="$1" '/file format/ { file = $1; sub(/.*\//, "", file) } $0 ~ re { print file $0 }'
}

# The same search must find something in the kernels' libraries.
check_instructions() {
    local evex='%zmm|%k[0-7]|%[xy]mm(1[6-9]|2[0-9]|3[01])' level
    plain() { find "$1" -name '*.o' | grep -vE -- '-avx[0-9]*\.a\.p/' | disassembled "$newer"; }
    avx2() { find "$1" -path '*-avx2.a.p/*.o' | disassembled "$evex"; }
    avx512() { find "$1" -path '*-avx512.a.p/*.o' | disassembled "$2" | wc -l; }
    # An inline function of theirs that others may call would be linked in place of the plain one.
    shared_names() { nm -g --defined-only "$1"/simd/libmoco-avx*.a | awk 'NF == 3 && $3 !~ /_avx(2|512)$/'; }
    check "instructions as new as AVX in plain objects" plain "$1"
    check "AVX-512 in AVX2 objects" avx2 "$1"
    check "names of AVX objects that others may link" shared_names "$1"
    for level in "$newer" "$evex"; do
        [ "$(avx512 "$1" "$level")" -gt 1000 ] && ok || bad "the search finds no AVX-512 in its objects"
    done
}

newer_functions() {
    objdump -d --no-show-raw-insn "$1" | awk -v re="$newer" '
        /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) } $0 ~ re { print name }' | sort -u
}

# Functions of a build's binary that need AVX and come from no kernel's library.
newer_outside() {
    newer_functions "$1/moco" |
        comm -23 - <(nm "$1"/simd/libmoco-avx*.a | awk 'NF == 3 { print $3 }' | sort -u)
}
