# shellcheck shell=bash
# emulation.sh: programs of a build under qemu's user mode.

# emulated BUILD PROGRAM ARGUMENTS...: a program of a build by the command in "emulator"; ends well.
# OMP_WAIT_POLICY must be set: without it moco starts itself again, past the emulator.
emulated() {
    local build=$1 program=$2 log=$work/$cpu/$2.log start=$SECONDS
    mkdir -p "${log%/*}"
    shift 2
    if timeout 1800 "${emulator[@]}" "$build/$program" "$@" >"$log" 2>&1; then
        echo "ok     $cpu $program, $((SECONDS - start)) s: $(tail -1 "$log")"
        ok
    else
        tail -20 "$log"
        bad "$cpu $program $*"
    fi
}

# chosen BUILD LEVEL REFUSED: what the dispatch takes on this CPU, and what it does not give.
chosen() {
    local info
    info=$("${emulator[@]}" "$1/moco" info --json 2>/dev/null)
    case $info in
    *'"kernels":"'"$2"'"'*) echo "ok     $cpu moco info: $info"; ok ;;
    *) bad "$cpu: kernels $2 expected: $info" ;;
    esac
    if info=$("${emulator[@]}" "$1/moco" info --simd "$3" 2>&1); [ $? -eq 1 ]; then
        echo "ok     $cpu $(tail -1 <<<"$info")"
        ok
    else
        bad "$cpu: kernels $3 were not refused"
    fi
}

qemu_user() {
    command -v qemu-x86_64 >/dev/null && return
    packages qemu-user
}
