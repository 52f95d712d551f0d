# Where this host gets Debian from and how it reaches it: sourced, POSIX sh.

fail() { echo "croft: $1" >&2; [ -z "${2-}" ] || echo "       try: $2" >&2; exit 1; }

# stack_suite STACK: the name of its Debian release; the table for people is libs/stacks
stack_suite() {
  case $1 in
    debian-11) echo bullseye ;;
    debian-12) echo bookworm ;;
    debian-13) echo trixie ;;
    *) fail "there is no stack $1" 'take debian-11, debian-12 or debian-13' ;;
  esac
}

# archive_sources SUITE FOLDER: the archives the host itself is configured with, one file each (N.sources, N.list). On a host of
# another release the same archives, asked for this suite.
archive_sources() {
  _suite=$1 _folder=$2 _count=0
  _host_suite=$(. /etc/os-release && printf %s "${VERSION_CODENAME:-$_suite}")
  set -- $(apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(SOURCESENTRY)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' -v s="$_host_suite" '$1 == "Debian" && ($2 == s || $2 == s "-updates" || $2 == s "-security") { print $3 }' | sort -u)
  [ $# -gt 0 ] || fail "apt knows no Debian archive for $_host_suite" 'add one to /etc/apt/sources.list and run apt-get update'
  mkdir -p "$_folder"
  for _entry; do # an entry is FILE:N, the Nth paragraph of a .sources file or line N of a .list file
    _file=${_entry%:*} _number=${_entry##*:} _count=$((_count + 1))
    case $_file in
      *.sources) awk -v n="$_number" 'BEGIN { RS = ""; } NR == n' "$_file" >"$_folder/$_count.sources" ;;
      *) sed -n "${_number}p" "$_file" >"$_folder/$_count.list" ;;
    esac
  done
  find "$_folder" -name '*.sources' -o -name '*.list' | xargs sed -i "s/\b$_host_suite\b/$_suite/g"
}

# archive_settings FILE: proxies and certificates of the host's apt. mmdebstrap and a private apt look at none of it by themselves.
archive_settings() {
  apt-config dump | grep -E '^Acquire::(http|https|ftp|Check-Date|Check-Valid-Until|Retries|ForceIPv)' >"$1" || true
  for _variable in http_proxy https_proxy no_proxy; do
    eval "_value=\${$_variable-}"
    [ -z "$_value" ] || export "$_variable=$_value"
  done
}

# archive_passwords: settings with which the host's passwords for archives are used; they are only for programs of the host
archive_passwords() {
  [ ! -e /etc/apt/auth.conf ] || echo 'Dir::Etc::netrc "/etc/apt/auth.conf";'
  [ ! -d /etc/apt/auth.conf.d ] || echo 'Dir::Etc::netrcparts "/etc/apt/auth.conf.d";'
}
