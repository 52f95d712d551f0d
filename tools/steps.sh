# Steps with a line and a time each, for the launcher and its scripts: sourced, POSIX sh. A terminal shows a spinner meanwhile.

now_ms() { date +%s%3N; }

# seconds_since MS: "1.2 s"
seconds_since() { _d=$(($(now_ms) - $1)); printf '%d.%d s' $((_d / 1000)) $((_d % 1000 / 100)); }

# fail WHAT REMEDY: one line, the remedy, exit 1
fail() { printf 'croft: %s\n' "$1" >&2; [ -z "${2-}" ] || printf '       try: %s\n' "$2" >&2; exit 1; }

# done_line TEXT TIME
done_line() { printf '%s-----> %-54s %8s\n' "${_clear-}" "$1" "$2"; }

spin() { # TEXT STARTED: one frame
  [ -t 1 ] || { sleep 0.2; return; }
  for _frame in '|' / - '\'; do printf '\r  %s    %-54s %8s' "$_frame" "$1" "$(seconds_since "$2")"; sleep 0.1; done
  _clear=$(printf '\r\033[K')
}

# step TEXT LOG COMMAND...: runs it with its output in LOG; its exit code.
step() {
  _text=$1 _log=$2 _started=$(now_ms) _rc=0
  shift 2
  "$@" >"$_log" 2>&1 &
  _pid=$!
  while kill -0 "$_pid" 2>/dev/null; do spin "$_text" "$_started"; done
  wait "$_pid" || _rc=$?
  if [ "$_rc" = 0 ]; then done_line "$_text" "$(seconds_since "$_started")"; else printf '%s' "${_clear-}"; fi
  return "$_rc"
}

# wait_for TEXT DONE ENDED: until one of the files is there; only the first says that the step was done.
wait_for() {
  _started=$(now_ms)
  while [ ! -e "$2" ] && [ ! -e "$3" ]; do spin "$1" "$_started"; done
  if [ -e "$2" ]; then done_line "$1" "$(seconds_since "$_started")"; else printf '%s' "${_clear-}"; fi
}

# fetch_packages ROOT: npm ci of the lock file. With npm's own patience a registry that does not answer would be 70 s of silence.
fetch_packages() {
  cd "$1"
  npm_config_fetch_retries=${npm_config_fetch_retries:-3} \
    npm_config_fetch_retry_mintimeout=${npm_config_fetch_retry_mintimeout:-1000} \
    npm_config_fetch_retry_maxtimeout=${npm_config_fetch_retry_maxtimeout:-8000} npm ci --loglevel=error --no-progress
}

# npm_cause LOG: why npm failed, in one line: the failed request before anything else
npm_cause() {
  grep -m1 -oE 'request to [^ ]+ failed.*' "$1" || grep -E '^npm (ERR!|error) ' "$1" | grep -m1 -vE ' (code|syscall|errno) ' || tail -n 1 "$1"
}
