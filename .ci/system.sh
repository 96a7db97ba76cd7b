#!/usr/bin/env bash
# Sees to it that the system's libraries are here: libX11, without which Taichi cannot be imported at all, the Vulkan
# loader, and Mesa's software driver; Chromium, which opens the page of `aat report` in a test, only where AAT_REQUIRE
# names it. Installs them where root and apt-get are at hand; otherwise says in one line what is missing and what that
# means. Never fails: whether a missing backend is an error is for AAT_REQUIRE to say.
set -uo pipefail

say() { printf 'aat: %s\n' "$*" >&2; }

has_library() {
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null; } | grep -qF "$1 "
}
has_driver() {  # $1: a pattern of driver manifests
    compgen -G "/usr/share/vulkan/icd.d/$1" >/dev/null || compgen -G "/etc/vulkan/icd.d/$1" >/dev/null
}

install() {  # the packages $@; false where that is impossible or fails
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    say "installing $*"
    local log
    log=$(mktemp)
    if { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        return 0
    fi
    say "apt-get could not install $*: $(tail -n 1 "$log")"
    rm -f "$log"
    return 1
}

[ "$(uname -s)" = Linux ] || exit 0
export DEBIAN_FRONTEND=noninteractive

case ",${AAT_REQUIRE:-}," in
    *,chromium,*)
        command -v chromium >/dev/null 2>&1 || install chromium ||
            say "no chromium: the page of aat report cannot be opened; as root: apt-get install chromium"
        ;;
esac

packages=()
has_library libX11.so.6 || packages+=(libx11-6)
has_library libvulkan.so.1 || packages+=(libvulkan1)
has_driver 'lvp_icd*.json' || packages+=(mesa-vulkan-drivers)
[ ${#packages[@]} -gt 0 ] || exit 0

install "${packages[@]}" && exit 0

has_library libX11.so.6 ||
    say "no libX11.so.6: Taichi cannot be imported, only the reference will run; as root: apt-get install libx11-6"
{ has_library libvulkan.so.1 && has_driver '*.json'; } ||
    say "no Vulkan driver: the vulkan backend will be skipped; as root: apt-get install libvulkan1 mesa-vulkan-drivers"
exit 0
