#!/bin/sh
# Runs in mmdebstrap on the finished root file system $1: adds the users and folders of a build and of an app, and drops
# whatever depends on the moment or on the host.
set -eu
root=$1
printf 'croft-build:x:1001:1001::/workspace:/bin/bash\ncroft:x:1002:1002::/workspace:/bin/bash\n' >>"$root/etc/passwd"
printf 'croft-build:x:1001:\ncroft:x:1002:\n' >>"$root/etc/group"
printf 'croft-build:!:20000::::::\ncroft:!:20000::::::\n' >>"$root/etc/shadow"
printf 'croft-build:!::\ncroft:!::\n' >>"$root/etc/gshadow"
mkdir -p "$root/workspace" "$root/layers" "$root/platform" "$root/cnb"
chown 1001:1001 "$root/workspace" "$root/layers"
ln -s /workspace "$root/app"

find "$root/var/lib/apt/lists" "$root/var/cache/apt" "$root/var/log" -type f -delete
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/apt/sources.list.d/* "$root/var/cache/ldconfig/aux-cache" \
  "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow- "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old
: >"$root/etc/apt/sources.list" # classic buildpacks read it
: >"$root/etc/machine-id"
: >"$root/etc/hostname"
: >"$root/etc/resolv.conf"
