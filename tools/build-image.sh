#!/bin/sh
# Makes an image for builds on a stack below CACHE/base, once: its base image and, as one overlay delta on it, what they need.
#
#   tools/build-image.sh CACHE STACK [HEX [KIND]]     HEX: of a base image that is there; empty or left out: the present one
#
# CACHE/base/STACK/<hex of the base's diffID>.KIND/delta/   the upper directory of an overlay on the base's tree
#
# KIND is `build` (the usual one): compilers and headers; or `dockerfile`: buildah, which builds Dockerfiles.
#
# The base image and the package lists are made first where they are not there. The packages come through the host's apt into a
# chroot whose mounts nobody else sees. Needs root. Safe to run twice at once: one waits.
set -eu
umask 022
usage='usage: build-image.sh CACHE STACK [HEX [KIND]]'
cache=${1:?$usage} stack=${2:?$usage} hex=${3-} kind=${4:-build}
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
. "$here/debian-archive.sh"
case $kind in
  build)
    what="the build image of $stack"
    packages='build-essential pkg-config git python3 xz-utils unzip jq patch file zlib1g-dev libssl-dev libpq-dev libyaml-dev
      libffi-dev libsqlite3-dev libreadline-dev'
    ;;
  dockerfile)
    what="the image that builds Dockerfiles ($stack with buildah)"
    packages='buildah netavark'
    ;;
  *) fail "there is no kind $kind" 'take build or dockerfile' ;;
esac
[ -n "${CROFT_OWN_MOUNTS-}" ] || CROFT_OWN_MOUNTS=1 exec unshare --mount --propagation private "$0" "$@"

[ -n "$hex" ] || "$here/base-image.sh" "$cache" "$stack"
"$here/package-lists.sh" "$cache" "$stack" >/dev/null
folder=$cache/base/$stack
[ -n "$hex" ] || hex=$(readlink "$folder/current")
lists=$cache/apt/$stack/$(readlink "$cache/apt/$stack/current")
exec 9>"$cache/base/.$stack.$kind.lock"
flock 9
[ ! -e "$folder/$hex.$kind/delta" ] || exit 0

work=$(mktemp -d "$folder/.new.XXXXXX")
trap 'umount -l "$work/root/dev/null" "$work/root/proc" "$work/root" 2>/dev/null || true; rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$work/delta" "$work/overlay" "$work/root" "$work/apt"
layers=lowerdir=$folder/$hex/tree,upperdir=$work/delta,workdir=$work/overlay
mount -t overlay overlay -o "$layers,volatile" "$work/root" 2>/dev/null || mount -t overlay overlay -o "$layers" "$work/root"
mkdir -p "$work/root/proc" "$work/root/tmp/archives/partial"
mount -t proc proc "$work/root/proc"
: >"$work/root/dev/null" # scripts of packages write to it
mount --bind /dev/null "$work/root/dev/null"

# --- Fetched and checked by the host's apt, which then runs the image's own dpkg in the image.
{
  cat "$lists/apt.conf"
  archive_passwords
  echo "Dir::State \"$work/apt\"; Dir::State::lists \"$lists/lists\"; Dir::State::status \"$work/root/var/lib/dpkg/status\";"
  echo "Dir::Cache \"$work/apt\"; Dir::Cache::archives \"$work/root/tmp/archives\"; Dir::Log \"$work/apt\";"
  echo 'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Etc::sourcelist "/dev/null";'
  echo "Dir::Etc::sourceparts \"$lists/sources.list.d\"; Dir::Etc::preferencesparts \"/dev/null\"; Dir::Etc::preferences \"/dev/null\";"
  echo 'APT::Install-Recommends "false"; Acquire::Languages "none"; Acquire::Retries "2"; Debug::NoLocking "true"; APT::Sandbox::User "root";'
  echo "DPkg::Chroot-Directory \"$work/root\"; DPkg::Use-Pty \"false\"; DPkg::Options { \"--force-unsafe-io\"; \"--force-confold\"; };"
} >"$work/apt/apt.conf"
install() {
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} ${no_proxy:+"no_proxy=$no_proxy"} \
    APT_CONFIG="$work/apt/apt.conf" apt-get -q -y --no-remove install "$@" >"$work/apt/log" 2>&1 </dev/null
}
install $packages || {
  why=$(grep -m 1 -E '^(E|dpkg): ' "$work/apt/log" | cut -c1-220)
  fail "$what could not be made: ${why:-apt-get install failed}" 'check that apt-get update works on this host'
}
umount "$work/root/dev/null" "$work/root/proc" "$work/root"
rm -rf "$work/delta/tmp" "$work/delta/dev" "$work/delta/var/log" "$work/delta/var/cache/ldconfig" "$work/delta/run"
mkdir "$work/image"
mv "$work/delta" "$work/image/delta"
chmod 755 "$work/image/delta"
sync -f "$work/image"
rm -rf "$folder/$hex.$kind"
mv "$work/image" "$folder/$hex.$kind"
