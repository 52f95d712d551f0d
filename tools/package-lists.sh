#!/bin/sh
# Prepares, below CACHE/apt/STACK, what apt needs to fetch packages of a stack inside a build: sources, keys, settings, lists.
#
#   tools/package-lists.sh CACHE STACK [--anew]
#
# CACHE/apt/STACK/<hash of the lists>/  sources.list.d/ keys/ apt.conf lists/    readable by everybody, and no passwords in it
# CACHE/apt/STACK/current               a symlink to it, put there last
#
# Builds see CACHE/apt/STACK as /cnb/croft/apt. Lists younger than a day are kept; with --anew, for when the archive no longer has what
# they name, those younger than five minutes. When no archive answers and older ones are there,
# these stay. Prints `fetched`, `kept` or `stale DAYS`. Needs root. Safe to run twice at once: one waits.
set -eu
umask 022
cache=${1:?usage: package-lists.sh CACHE STACK} stack=${2:?usage: package-lists.sh CACHE STACK} how=${3-}
here=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
. "$here/debian-archive.sh"
suite=$(stack_suite "$stack")
folder=$cache/apt/$stack seen=/cnb/croft/apt/current max_age_min=1440 young_min=1440
[ "$how" != --anew ] || young_min=5

mkdir -p "$folder"
chmod 755 "$cache" "$cache/apt" "$folder"
exec 9>"$cache/apt/.$stack.lock" # not where builds see it: they could hold it
flock 9
is_young() { [ -n "$(find "$folder/fetched" -mmin "-$young_min" 2>/dev/null)" ] && [ -e "$folder/current/apt.conf" ]; }
if is_young; then echo kept; exit; fi

work=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM HUP
chmod 755 "$work"

archive_sources "$suite" "$work/sources.list.d"
archive_settings "$work/apt.conf"

# --- The keys: those the host trusts, copied, and each Signed-By turned to its copy.
mkdir "$work/keys"
for key in /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d/*.gpg /etc/apt/trusted.gpg.d/*.asc /usr/share/keyrings/debian-archive-keyring.gpg; do
  [ ! -s "$key" ] || cp "$key" "$work/keys/"
done
for file in $(grep -ohE '[Ss]igned-[Bb]y *[:=] */[^] ,]+' "$work/sources.list.d"/* | sed 's/.*[:=] *//' | sort -u); do
  [ -s "$file" ] || fail "the key $file, which a source of apt names, is not there" 'install debian-archive-keyring'
  cp "$file" "$work/keys/"
done

# --- The lists, fetched by the host's apt with the host's keys and passwords.
mkdir -p "$work/lists/partial" "$work/state"
{
  cat "$work/apt.conf"
  archive_passwords
  echo "Dir::State \"$work/state\"; Dir::State::lists \"$work/lists\"; Dir::State::status \"/dev/null\"; Dir::Cache \"$work/state\";"
  echo "Dir::Etc::sourcelist \"/dev/null\"; Dir::Etc::sourceparts \"$work/sources.list.d\"; Dir::Etc::preferencesparts \"/dev/null\";"
  echo 'Acquire::Languages "none"; Acquire::GzipIndexes "true"; Acquire::Retries "1"; APT::Get::List-Cleanup "false";'
  echo 'Acquire::http::Timeout "15"; Acquire::https::Timeout "15"; Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";'
} >"$work/state/update.conf"
if ! LC_ALL=C apt-get -q -c "$work/state/update.conf" -o APT::Update::Error-Mode=any update >"$work/state/log" 2>&1; then
  why=$(grep -m 1 -E '^[EW]: ' "$work/state/log" | cut -c4-220)
  [ -e "$folder/current/apt.conf" ] || fail "the package lists of $stack cannot be fetched: ${why:-apt-get update failed}" \
    'check that apt-get update works on this host'
  echo "stale $((($(date +%s) - $(stat -c %Y "$folder/fetched" 2>/dev/null || echo 0)) / 86400))"
  exit
fi

# --- As a build sees it. No passwords go along: neither those of apt's files, nor any in an address.
sed -i -E "s#([Ss]igned-[Bb]y *[:=] *)/[^] ,]*/#\1$seen/keys/#; s#(https?://)[^/@ ]*@#\1#" "$work/sources.list.d"/*
certificates=$(sed -n 's/^Acquire::https::CaInfo "\(.*\)";/\1/p' "$work/apt.conf")
sed -i -E '/::(SslKey|SslCert|CaInfo|CaPath|Proxy-Auto-Detect|ProxyAutoDetect)\b/Id; s#(https?://)[^/@ ]*@#\1#' "$work/apt.conf"
if [ -n "$certificates" ]; then
  cp "$certificates" "$work/ca.crt"
  echo "Acquire::https::CaInfo \"$seen/ca.crt\";" >>"$work/apt.conf"
fi
# whoever calls apt in a build gets what the app will lack, not what the build image happens to have
echo 'Dir::State::status "/cnb/croft/run-image/var/lib/dpkg/status";' >>"$work/apt.conf"
rm -rf "$work/state" "$work/lists/lock" "$work/lists/auxfiles" "$work/lists/partial"
mkdir "$work/lists/partial"
chmod -R a+rX,go-w "$work"
name=$({ cd "$work" && cat sources.list.d/* apt.conf keys/* && sha256sum lists/*Packages*; } | sha256sum | cut -c1-32)
sync -f "$work"
[ ! -e "$folder/current" ] || touch "$folder/current/"
[ -e "$folder/$name" ] || mv "$work" "$folder/$name"
ln -sfn "$name" "$folder/.link"
mv -T "$folder/.link" "$folder/current"
: >"$folder/fetched"
# what a build may still be reading stays for a day
find "$folder" -mindepth 1 -maxdepth 1 -type d -mmin "+$max_age_min" ! -name "$name" -exec rm -rf --one-file-system {} +
echo fetched
