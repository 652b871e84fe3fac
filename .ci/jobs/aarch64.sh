# shellcheck shell=bash
# aarch64.sh: the cross build.

# The cross build for 64-bit Arm under qemu's user mode: the kernels on two CPUs (the newest that qemu
# knows, and one of Armv8.0), the tests of stages that are quick under emulation, two parity cases,
# a short training run, a benchmark, and runs that move between this machine and the emulated one.
job_aarch64() {
    local sysroot=${MOCO_SYSROOT:-$work/sysroot} cpu test emulator
    begin aarch64 || return
    cross/prepare aarch64 "$sysroot" ||
        { bad "aarch64: packages"; return; }
    meson setup "$work/arm" --werror -Dbench=enabled --cross-file "$sysroot/sysroot.ini" \
        --cross-file cross/aarch64-linux-gnu.ini &&
        ninja -C "$work/arm" && meson setup "$work/here" --werror -Dbench=disabled &&
        ninja -C "$work/here" moco tests/weights_diff tests/checkwinograd tests/checksimd ||
        { bad "aarch64: build"; return; }
    ok
    export OMP_WAIT_POLICY=passive OMP_NUM_THREADS=2
    for cpu in max,pauth-impdef=on cortex-a57; do
        emulator=(qemu-aarch64 -L "$sysroot" -cpu "$cpu")
        chosen "$work/arm" neon avx2
        for test in checkwinograd test_dispatch test_base test_schedule test_contrast test_methods \
            test_optimiser test_data test_decode test_decode_jpeg test_formats test_pack \
            test_audit; do
            emulated "$work/arm" "tests/$test"
        done
        # the level of the tests alone is the same code on both CPUs
        emulated "$work/arm" tests/checksimd $([ "$cpu" = cortex-a57 ] && echo --offered)
        emulated "$work/arm" tests/parity --conv own tests/golden/parity/moco_shuffle_bn \
            tests/golden/parity/end_to_end
        emulated "$work/arm" moco train "${small_run[@]}" --out "$work/arm-run-$cpu"
    done
    cpu=max,pauth-impdef=on
    emulator=(qemu-aarch64 -L "$sysroot" -cpu "$cpu")
    arm_bench "$work/arm"
    same_digests "$work/here"
    exchange "$work/here" "$work/arm" "$work/exchange"
    unset OMP_WAIT_POLICY OMP_NUM_THREADS
}

# `ninja bench`, of one kernel and for a moment.
arm_bench() {
    local log=$work/arm-bench.log
    BENCHMARK_FILTER='^ema/.*/neon' BENCHMARK_MIN_TIME=0.01 ninja -C "$1" bench >"$log" 2>&1
    grep '^ema/.*/neon.*GB/s' "$log" && ok || { tail "$log"; bad "aarch64: ninja bench"; }
}

# The specifications of our convolutions and of every group of kernels give the same bytes on both
# machines, and each machine holds its levels to them.
same_digests() {
    local here there
    here=$("$1/tests/checkwinograd" | grep '^digest'; "$1/tests/checksimd" --offered | grep '^digest')
    there=$(grep -h '^digest' "$work/$cpu"/tests/check{winograd,simd}.log)
    echo "$there"
    if [ "$(wc -l <<<"$here")" -ge 12 ] && [ "$here" = "$there" ]; then
        echo "ok     the same digests on both machines"
        ok
    else
        diff - <(echo "$there") <<<"$here"
        bad "digests here (<) and on $cpu (>)"
    fi
}

# exchange HERE THERE DIR: one step on either machine; and runs begun on one and finished on the other,
# beside whole ones. Convolutions of oneDNN round differently on each, and in a network so small a
# ReLU that opens on the other side is much (a bias 0.02 apart after a step, 0.3 after four). So what
# is compared is one or two steps from the same numbers: they may be 0.05 apart, and another seed must
# be more. A checkpoint holds the same tensors to the bit wherever it is read.
exchange() {
    local here=("$1/moco") there=("${emulator[@]}" "$2/moco") dir=$3 run
    local settings=(synthetic:n=96,side=16 --width 8 --side 16 --moco-k 96 --moco-dim 16
        --bn-splits 2 --epochs 1 --schedule 9 --lr 0.01 --conv own --checkpoint-every 1)
    local step=("${settings[@]}" --batch-size 96) steps=("${settings[@]}" --batch-size 32)
    mkdir -p "$dir"
    "${here[@]}" train "${step[@]}" --out "$dir/step-here" 2>/dev/null
    "${there[@]}" train "${step[@]}" --out "$dir/step-there" 2>/dev/null
    "${here[@]}" train "${step[@]}" --seed 2 --out "$dir/other-seed" 2>/dev/null
    "${here[@]}" train "${steps[@]}" --out "$dir/here" 2>/dev/null
    "${there[@]}" train "${steps[@]}" --out "$dir/there" 2>/dev/null
    interrupted "$dir/here-there" "${here[@]}" train "${steps[@]}"
    interrupted "$dir/there-here" "${there[@]}" train "${steps[@]}"
    for run in here-there there-here; do
        "${here[@]}" export "$dir/$run" -o "$dir/$run.1" 2>/dev/null
        "${there[@]}" export "$dir/$run" -o "$dir/$run.2" 2>/dev/null
        cmp "$dir/$run.1" "$dir/$run.2" && ok || bad "exchange: $run is read differently"
    done
    "${there[@]}" train "${steps[@]}" --resume --out "$dir/here-there" 2>/dev/null
    "${here[@]}" train "${steps[@]}" --resume --out "$dir/there-here" 2>/dev/null
    apart "$1" step-here step-there && ok || bad "exchange: a step"
    apart "$1" here here-there && ok || bad "exchange: begun here, finished there"
    apart "$1" there there-here && ok || bad "exchange: begun there, finished here"
    apart "$1" step-here other-seed && bad "exchange: another seed was not noticed" || ok
}

# apart BUILD RUN RUN, of the folder "dir"
apart() {
    printf '%s and %s: ' "$2" "$3"
    "$1/tests/weights_diff" "$dir/$2/weights.safetensors" "$dir/$3/weights.safetensors" 0.05
}

# interrupted OUT COMMAND...: stopped by a signal behind its first checkpoint; again where the run was
# over by then.
interrupted() {
    local out=$1 pid try
    shift
    for try in 1 2 3 4 5; do
        rm -rf "$out"
        "$@" --out "$out" 2>/dev/null &
        pid=$!
        until [ -e "$out/checkpoint.safetensors" ] || ! kill -0 "$pid" 2>/dev/null; do :; done
        kill -INT "$pid" 2>/dev/null
        wait "$pid"
        [ $? -eq 130 ] && { ok; return; }
    done
    bad "exchange: $out could not be interrupted"
}
