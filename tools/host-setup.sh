#!/bin/sh
# The host's part of the set-up: Debian packages, then the base image. Run by the launcher beside `npm ci`.
#
#   tools/host-setup.sh --check    exit 0 when nothing is missing
#   tools/host-setup.sh            installs what is missing; needs root
#
# No service of a package is started or left enabled, with systemd or without: those of packages installed here are masked, and
# nothing may start while dpkg works. What was there before is not touched. Every change is a line in $CROFT_SETUP/host-changes.
# Files in $CROFT_SETUP: packages.done (apt is through), host.steps (finished steps), host.result (`ok`, or why not), host.log.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
cache=${CROFT_CACHE:-/var/cache/croft}
packages='runc nftables haproxy redis-server mmdebstrap zstd iproute2 kmod gcc libc6-dev git ca-certificates procps libatomic1 openssl xz-utils e2fsprogs'

missing() {
  for package in $packages; do
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in ii*) ;; *) echo "$package" ;; esac
  done
}
if [ "${1-}" = --check ]; then
  [ -e "$cache/base/debian-12/current/image.json" ] || exit 1
  # one process for all of them: this runs on every start
  [ "$(dpkg-query -W -f '${db:Status-Abbrev}\n' $packages 2>/dev/null | grep -c '^ii')" -ge "$(echo $packages | wc -w)" ]
  exit
fi

. "$root/tools/steps.sh"
setup=${CROFT_SETUP:?}
rm -f "$setup/packages.done" "$setup/host.result"
: >"$setup/host.steps"
failed() { # WHAT REMEDY
  unmask_missing
  printf '%s\n%s\n' "$1" "$2" >"$setup/host.result.new"
  mv "$setup/host.result.new" "$setup/host.result"
  # without Node nobody else can say it
  [ -z "${CROFT_NEEDS_NODE-}" ] || [ -e "$setup/packages.done" ] || fail "$1" "$2"
  exit 1
}
trap 'restore_policy; [ -e "$setup/host.result" ] || failed "the set-up of this host was interrupted" "run it again"' EXIT
trap 'exit 1' INT TERM HUP

policy=/usr/sbin/policy-rc.d
forbid_starts() {
  restore_policy
  [ ! -e "$policy" ] || mv "$policy" "$policy.before-croft"
  printf '#!/bin/sh\n# made by croft while it installs packages: nothing is started\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}
restore_policy() {
  if grep -q '^# made by croft' "$policy" 2>/dev/null; then rm -f "$policy"; fi
  if [ -e "$policy.before-croft" ]; then mv "$policy.before-croft" "$policy"; fi
}
changed() { printf '%s\n' "$*" >>"$setup/host-changes"; }
mask() { # SERVICE of a package we are about to install
  [ ! -e "/etc/systemd/system/$1.service" ] || return 0
  mkdir -p /etc/systemd/system
  ln -s /dev/null "/etc/systemd/system/$1.service"
  changed masked "$1.service"
  masked="${masked-} $1"
}
unmask_missing() { # a package that did not come leaves no mask behind
  for _name in ${masked-}; do
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$_name" 2>/dev/null) in ii*) continue ;; esac
    rm -f "/etc/systemd/system/$_name.service"
    sed -i "/^masked $_name\\.service\$/d" "$setup/host-changes"
  done
}
apt() { # with apt's own patience a source that never answers would be minutes of silence
  DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -y -q --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 "$@" >>"$setup/host.log" 2>&1
}
cause() { grep -E '^E: ' "$setup/host.log" | head -n 1 | cut -c4-200; }
# apt-get update succeeds also when no source answers; what is missing then is only seen at the installation
refuse_unreachable() {
  _fetch=$(grep -m 1 -E '^[WE]: Failed to fetch ' "$setup/host.log" | tr -s ' ' | cut -c20-220)
  [ -z "$_fetch" ] || failed "apt cannot reach its package sources: $_fetch" \
    "check the network, the proxy of apt and /etc/apt/sources.list until apt-get update succeeds, then run it again; the whole log is $setup/host.log"
}

install_packages() {
  wanted=$(missing)
  if [ -n "${CROFT_ONLY_NODE-}" ]; then wanted=; fi
  if [ -n "${CROFT_NEEDS_NODE-}" ]; then wanted="$wanted nodejs npm"; fi
  [ -n "$wanted" ] || return 0
  started=$(now_ms)
  # shellcheck disable=SC2086
  set -- $wanted
  forbid_starts
  before=" $(dpkg-query -W -f '${Package} ' 2>/dev/null) "
  for package; do case $package in haproxy | redis-server) mask "$package" ;; esac; done
  updated=
  if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -1 2>/dev/null | head -n 1)" ]; then
    updated=1
    apt update || { refuse_unreachable; failed "apt-get update failed: $(cause)" "check /etc/apt/sources.list; the whole log is $setup/host.log"; }
  fi
  apt install "$@" || { [ -z "$updated" ] && apt update && apt install "$@"; } || {
    refuse_unreachable
    failed "apt could not install $*: $(cause)" "apt-get install $*; the whole log is $setup/host.log"
  }
  for package in $(dpkg-query -W -f '${Package} '); do
    case $before in *" $package "*) ;; *) changed installed "$package" ;; esac
  done
  for package; do # neither a link into the run levels nor one of systemd's stays
    case $package in haproxy | redis-server) ;; *) continue ;; esac
    ! command -v update-rc.d >/dev/null || update-rc.d "$package" disable >>"$setup/host.log" 2>&1 || true
    find /etc/systemd/system -maxdepth 2 -type l -lname "*/$package.service" -delete
  done
  restore_policy
  # when Node had to be waited for, the launcher has shown it
  [ -n "${CROFT_NEEDS_NODE-}" ] || printf '%s\t%s\n' "$(seconds_since "$started")" "Installing $# host packages" >>"$setup/host.steps"
}

: >"$setup/host.log"
install_packages
: >"$setup/packages.done"
if [ -z "${CROFT_ONLY_NODE-}" ] && [ ! -e "$cache/base/debian-12/current/image.json" ]; then
  started=$(now_ms)
  "$root/tools/base-image.sh" "$cache" debian-12 >>"$setup/host.log" 2>&1 ||
    failed "the base image could not be made: $(grep -E '^(E|croft): ' "$setup/host.log" | head -n 1 | cut -c1-200)" \
      "check that apt-get update works on this host; the whole log is $setup/host.log"
  printf '%s\t%s\n' "$(seconds_since "$started")" 'Making the base image (Debian 12)' >>"$setup/host.steps"
fi
echo ok >"$setup/host.result"
