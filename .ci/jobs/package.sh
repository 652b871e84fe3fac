# shellcheck shell=bash
# package.sh: what is installed and handed on.

# What others get: the tarball, and from it the .deb; programs are built against what that installs,
# and it is installed, run and removed in a clean Debian.
job_package() {
    local folder built
    command -v dpkg-query >/dev/null || { echo "left out: this is no Debian"; return; }
    begin package || return
    package_tools || { bad "package: installation"; return; }
    meson setup "$work/dist" -Dtests=false -Dbench=disabled && mkdir "$work/deb" &&
        meson dist -C "$work/dist" --no-tests &&
        tar -xf "$work"/dist/meson-dist/moco-*.tar.xz -C "$work/deb" ||
        { bad "package: tarball"; return; }
    ok
    folder=$(echo "$work"/deb/moco-*)
    (cd "$folder" && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b) \
        >"$work/deb.log" 2>&1 || { tail -50 "$work/deb.log"; bad "package: .deb"; return; }
    ok
    built=$(echo "$folder"/obj-*)
    try lintian --fail-on error --tag-display-limit 0 "$work"/deb/*.changes
    try "$folder/tests/test_help.sh" "$built/moco"
    try "$folder/tests/test_install.sh" "$folder" "$built" /usr "lib/${built##*/obj-}"
    if clean_debian "$work/root"; then
        in_clean_debian "$work/root"
    else
        echo "left out: a clean Debian (debootstrap, root); the packages are unpacked instead"
        in_folder "$work/root"
    fi
}

package_tools() {
    dpkg -s debhelper lintian mandoc zsh debootstrap >/dev/null 2>&1 && return
    packages dpkg-dev debhelper lintian mandoc zsh debootstrap
}

# Debian's release and mirror are those of this machine.
clean_debian() {
    local suite mirror
    [ "$(id -u)" -eq 0 ] || return 1
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$suite" '$1 == suite { print $2; exit }')
    debootstrap --variant=minbase "$suite" "$1" "$mirror" >"$work/debootstrap.log" 2>&1 ||
        { tail -3 "$work/debootstrap.log"; return 1; }
}

# What bears moco's name, but for notes of apt and dpkg on what they did.
remains() {
    find "$1" -xdev -name '*moco*' -not -path "$1/var/log/*"
}

in_clean_debian() {
    local root=$1 run=(env OMP_WAIT_POLICY=passive DEBIAN_FRONTEND=noninteractive chroot "$1")
    cp "$work"/deb/*.deb "$root/"
    try "${run[@]}" sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends \
        /moco_*.deb /libmoco0_*.deb' >"$work/apt.log" 2>&1
    try "${run[@]}" moco info
    try "${run[@]}" moco train "${small_run[@]}" --out /test-run
    try "${run[@]}" moco knn /test-run --train synthetic:n=64,side=16
    try "${run[@]}" apt-get purge -y -q moco libmoco0 >>"$work/apt.log" 2>&1
    rm -rf "$root"/*.deb "$root/test-run"
    check "files that the packages leave" remains "$root"
}

in_folder() {
    local root=$1 dpkg=(dpkg --root="$1" --force-depends --force-not-root --force-bad-path)
    mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
    touch "$root/var/lib/dpkg/status"
    try "${dpkg[@]}" --force-script-chrootless --install "$work"/deb/moco_*.deb \
        "$work"/deb/libmoco0_*.deb
    try "$root/usr/bin/moco" info
    try "${dpkg[@]}" --purge moco libmoco0
    check "files that the packages leave" remains "$root"
}
