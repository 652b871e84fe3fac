# shellcheck shell=bash
# bochs.sh: AVX-512 on a machine without it.

# AVX-512's kernels in the emulator Bochs, whose CPU has it (qemu's has not): Debian's small kernel
# starts static test programs from an initial file system and sends what they print down a serial
# line. Specification and mutants, which need no AVX-512, are left to other jobs.
job_bochs() {
    local dir=$work/bochs cpu=corei7_skylake_x
    local programs=("moco info --json" test_dispatch "checkwinograd --level avx512"
        "checksimd --level avx512")
    [ "$(uname -m)" = x86_64 ] || { echo "left out: this machine is no x86-64"; return; }
    begin bochs || return
    mkdir "$dir" && bochs_parts "$dir" ||
        { echo "left out: Bochs or the kernel of Debian's clouds is not to be had here"; return; }
    cross/prepare-static "$dir/libraries" ||
        { echo "left out: the sources of static libraries are not in reach"; return; }
    meson setup "$dir/build" --werror -Dstatic=true --native-file "$dir/libraries/native.ini" &&
        ninja -C "$dir/build" moco tests/{checksimd,checkwinograd,test_dispatch} ||
        { bad "bochs: build"; return; }
    ok
    emulate "$dir" "$dir/build" "${programs[@]}"
    results "$dir/serial.log" "${programs[@]}"
    grep -q '"kernels":"avx512"' "$dir/serial.log" && ok ||
        bad "bochs: moco info does not choose AVX-512's kernels"
}

# unpacked PACKAGE DIR: without installing it
unpacked() {
    (mkdir -p "$2" && cd "$2" && apt-get download -q "$1" && dpkg-deb -x "$1"_*.deb .) >/dev/null 2>&1
}

bochs_parts() {
    local kernel
    apt-cache show bochs >/dev/null 2>&1 || apt-get update -q
    packages bochs bochsbios vgabios isolinux syslinux-common xorriso cpio || return 1
    kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
        awk '/Depends: linux-image-/ { print $2; exit }')
    [ -n "$kernel" ] && unpacked "$kernel" "$1/kernel" && unpacked busybox-static "$1/busybox"
}

# emulate DIR BUILD PROGRAM...: a machine that runs programs of a build, one after the other, and
# switches itself off. DIR/serial.log has what they print.
emulate() {
    local dir=$1 build=$2
    shift 2
    mkdir -p "$dir"/{root/{bin,dev,proc},disc}
    cp "$dir"/busybox/bin/busybox "$dir/root/bin/sh"
    cp "$dir"/busybox/bin/busybox "$build"/moco "$build"/tests/{checksimd,checkwinograd,test_dispatch} \
        "$dir/root/bin/"
    first_process "$@" >"$dir/root/init"
    chmod +x "$dir/root/init"
    (cd "$dir/root" && find . | cpio -o -H newc --quiet) >"$dir/disc/initrd"
    cp "$dir"/kernel/boot/vmlinuz-* "$dir/disc/vmlinuz"
    cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$dir/disc/"
    # XSAVES's area has another size in Bochs than the kernel reckons ("XSAVE consistency problem"), and
    # it would give up AVX altogether: it is told to do without XSAVES and XSAVEC.
    echo "default vmlinuz initrd=initrd loglevel=1 console=ttyS0,115200 clearcpuid=321,323 nokaslr" \
        "mitigations=off panic=-1" >"$dir/disc/isolinux.cfg"
    xorriso -as mkisofs -quiet -o "$dir/disc.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
        -boot-load-size 4 -boot-info-table "$dir/disc"
    hardware "$dir" >"$dir/bochsrc"
    echo continue >"$dir/debugger" # which Debian's Bochs has
    timeout 3600 bochs -q -f "$dir/bochsrc" -rc "$dir/debugger" </dev/null >"$dir/bochs.out" 2>&1
}

# It waits for the serial line before it goes off.
first_process() {
    local program
    printf '#!/bin/sh\nbusybox mount -t proc none /proc\nbusybox mount -t devtmpfs none /dev\n'
    printf 'export PATH=/bin OMP_WAIT_POLICY=passive\n'
    for program in "$@"; do
        printf 'echo "== %s"\n%s 2>&1\necho "== status $?"\n' "$program" "$program"
    done
    printf 'busybox sleep 3\nbusybox poweroff -f\n'
}

hardware() {
    printf '%s\n' "cpu: model=$cpu, count=1, ips=100000000" "memory: guest=1024, host=1024" \
        "romimage: file=/usr/share/bochs/BIOS-bochs-latest" \
        "vgaromimage: file=/usr/share/vgabios/vgabios.bin" "boot: cdrom" \
        "ata0-master: type=cdrom, path=$1/disc.iso, status=inserted" \
        "com1: enabled=1, mode=file, dev=$1/serial.log" "log: $1/bochs.log" \
        "config_interface: textconfig" 'display_library: rfb, options="timeout=0"' \
        "panic: action=fatal"
}

# results LOG PROGRAM...: what each program printed last, and whether it ended well.
results() {
    local log=$1 program last
    shift
    for program in "$@"; do
        last=$(tr -d '\r' <"$log" | awk -v name="== $program" '
            on && /^== status/ { print $3, last; exit } on { last = $0 } $0 == name { on = 1 }')
        case $last in
        "0 "*) echo "ok     Bochs $cpu $program: ${last#0 }"; ok ;;
        *) tail -5 "$log"; bad "Bochs $cpu $program: ${last:-no end}" ;;
        esac
    done
}
