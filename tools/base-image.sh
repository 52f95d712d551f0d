#!/bin/sh
# Makes the base image of a stack below CACHE/base, once: the image every build and every app of that stack stands on. With --anew
# it is made of the packages that the archives have now, and a former one stays for those who stand on it.
#
#   tools/base-image.sh CACHE STACK [--anew]
#
# CACHE/base/STACK/<hex of diffID>/  tree/ (unpacked, the image's own ids)  layer.tar.zst  image.json
# CACHE/base/STACK/current           a symlink to it, put there last: whoever sees it sees a whole image
#
# The packages come from the Debian archives the host itself is configured with, through its proxies and with its keys. The
# same package versions give the same bytes. Needs root, mmdebstrap and zstd. Safe to run twice at once: one waits.
set -eu
umask 022
cache=${1:?usage: base-image.sh CACHE STACK} stack=${2:?usage: base-image.sh CACHE STACK} how=${3-}
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
. "$here/debian-archive.sh"
suite=$(stack_suite "$stack")
base=$cache/base folder=$cache/base/$stack

mkdir -p "$folder"
chmod 755 "$cache"
chmod 700 "$base" # the trees hold set-uid programs of theirs: nobody on this host may start them
exec 9>"$base/.$stack.lock"
flock 9

# describe IMAGE HEX: its image.json, what the rest of Croft wants to know of it
describe() {
  _version=$(cat "$1/tree/etc/debian_version")
  _blob=$(sha256sum <"$1/layer.tar.zst" | cut -d' ' -f1)
  _packages=$(dpkg-query --admindir="$1/tree/var/lib/dpkg" --show --showformat '${Package}=${Version} ' | sed 's/ $//')
  cat >"$1/image.json.new" <<JSON
{
  "diffId": "sha256:$2",
  "blobDigest": "sha256:$_blob",
  "blobBytes": $(stat -c %s "$1/layer.tar.zst"),
  "treeBytes": $(du -sxb "$1/tree" | cut -f1),
  "stack": "$stack",
  "env": { "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  "user": "1002:1002",
  "labels": {
    "io.buildpacks.base.distro.name": "debian",
    "io.buildpacks.base.distro.version": "${_version%%.*}",
    "io.buildpacks.base.id": "croft.$stack",
    "io.buildpacks.base.description": "Debian $_version for Croft apps",
    "io.croft.base.packages": "$_packages"
  }
}
JSON
  mv "$1/image.json.new" "$1/image.json"
}

if [ -e "$folder/current/image.json" ] && [ "$how" != --anew ]; then
  # made before images named their packages
  grep -q '"io.croft.base.packages"' "$folder/current/image.json" || describe "$folder/current" "$(readlink "$folder/current")"
  exit 0
fi

work=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM HUP

# --- The archives of the host, with its proxies, certificates and passwords.
archive_sources "$suite" "$work/sources"
archive_settings "$work/apt.conf"
archive_passwords >>"$work/apt.conf"

# --- The image. Everything that depends on the moment or on this host goes.
export SOURCE_DATE_EPOCH=1732147200 TMPDIR="$work"
mmdebstrap --quiet --mode=root --format=tar --variant=minbase --skip=output/dev \
  --include=ca-certificates,tzdata,openssl,curl,libatomic1,libstdc++6,libyaml-0-2,libjemalloc2,libsqlite3-0,libpq5,netbase,bash \
  --aptopt="$work/apt.conf" --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --customize-hook="$here/base-image-hook.sh" \
  "$suite" "$work/layer.tar" "$work/sources"/* || fail "mmdebstrap could not make the base image (above)" 'check that apt-get update works on this host'

# mmdebstrap would write device nodes; a container's /dev is a mount, so the folder is enough.
mkdir -p "$work/extra/dev"
tar --append --file "$work/layer.tar" --directory "$work/extra" --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=755 ./dev

# --- Its names, the unpacked tree, and what the rest of Croft wants to know of it.
hex=$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)
zstd -q -3 -T0 "$work/layer.tar" -o "$work/layer.tar.zst" &
zstd=$!
image=$work/image
mkdir -p "$image/tree"
tar --extract --file "$work/layer.tar" --directory "$image/tree" --numeric-owner --same-owner --preserve-permissions
wait "$zstd"
rm "$work/layer.tar"
mv "$work/layer.tar.zst" "$image/"
describe "$image" "$hex"
chmod 755 "$image" "$image/tree"
sync -f "$image"
[ -e "$folder/$hex" ] || mv "$image" "$folder/$hex"
ln -sfn "$hex" "$work/current"
mv -T "$work/current" "$folder/current"
