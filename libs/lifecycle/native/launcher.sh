#!/bin/bash
# Starts a process of a Croft image. Called by the name of a process type (/cnb/process/web), or as itself with `--` and a
# command, or with words that bash runs. Exit codes of its own are in the eighties; otherwise the process's code is seen.

layers=${CNB_LAYERS_DIR:-/layers}
app=${CNB_APP_DIR:-/workspace}
unset CNB_LAYERS_DIR CNB_APP_DIR CNB_PROCESS_TYPE CNB_PLATFORM_API CNB_DEPRECATION_MODE
shopt -s nullglob

fail() { printf 'launcher: %s\n' "$2" >&2; exit "$1"; }

# The image's own folders do not stay in the path: no app should start the launcher by accident.
path=:$PATH:
path=${path//:\/cnb\/process:/:}
path=${path//:\/cnb\/lifecycle:/:}
path=${path#:}
export PATH=${path%:}

name=${0##*/}
process=$layers/config/launch/process/$name
launch_command=() launch_args=() launch_direct=1 launch_dir=
if [[ -f $process ]]; then
  . "$process"
  if (($# > 0)); then launch_args=("$@"); fi
elif [[ ${1-} == -- ]]; then
  shift
  launch_command=("$@")
else
  launch_command=(bash -c "$*")
  (($# > 0)) || fail 82 "there is no process \"$name\" in this image, and no command was given"
fi
((${#launch_command[@]} > 0)) || fail 82 'no command was given'

set_variable() { # NAME VALUE
  [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] && export "$1=$2"
}

# One folder of NAME[.suffix] files, whole contents; delimiters come from NAME.delim of the same folder.
apply_env() {
  local file base variable suffix value old delimiter
  for file in "$1"/*; do
    [[ -f $file ]] || continue
    base=${file##*/} variable=${base%%.*} suffix=
    [[ $base != *.* ]] || suffix=${base#*.}
    value= delimiter=
    IFS= read -r -d '' value <"$file"
    [[ ! -f $1/$variable.delim ]] || IFS= read -r -d '' delimiter <"$1/$variable.delim"
    old=${!variable-}
    case $suffix in
      '' | override) set_variable "$variable" "$value" ;;
      prepend) set_variable "$variable" "$value${old:+$delimiter$old}" ;;
      append) set_variable "$variable" "${old:+$old$delimiter}$value" ;;
      default) [[ -n $old ]] || set_variable "$variable" "$value" ;;
    esac
  done
}

# What an exec.d program wrote to its third descriptor: lines of  name = "basic"  or  name = 'literal'.
apply_exec() {
  local text line key value
  { text=$("$1" 3>&1 1>&4); } 4>&1 || fail 84 "$1 failed"
  while IFS= read -r line; do
    [[ $line =~ ^[[:space:]]*(#.*)?$ ]] && continue
    if [[ $line =~ ^[[:space:]]*\"?([A-Za-z0-9_-]+)\"?[[:space:]]*=[[:space:]]*\'([^\']*)\'[[:space:]]*$ ]]; then
      value=${BASH_REMATCH[2]}
    elif [[ $line =~ ^[[:space:]]*\"?([A-Za-z0-9_-]+)\"?[[:space:]]*=[[:space:]]*\"(.*)\"[[:space:]]*$ ]]; then
      printf -v value '%b' "${BASH_REMATCH[2]//\\\"/\"}"
    else
      fail 84 "$1 wrote a line that is no TOML string: $line"
    fi
    set_variable "${BASH_REMATCH[1]}" "$value"
  done <<<"$text"
}

folders=()
while IFS= read -r id; do
  for folder in "$layers/$id"/*/; do folders+=("${folder%/}"); done
  for folder in "$layers/$id"/*/; do
    [[ ! -d ${folder}bin ]] || export PATH=${folder}bin${PATH:+:$PATH}
    [[ ! -d ${folder}lib ]] || export LD_LIBRARY_PATH=${folder}lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  done
  for folder in "$layers/$id"/*/; do
    apply_env "${folder}env"
    apply_env "${folder}env.launch"
    apply_env "${folder}env.launch/$name"
  done
done <"$layers/config/launch/buildpacks"

for folder in "${folders[@]}"; do
  for program in "$folder/exec.d/"* "$folder/exec.d/$name/"*; do
    [[ ! -f $program ]] || apply_exec "$program"
  done
done

cd "${launch_dir:-$app}" || fail 80 "cannot enter ${launch_dir:-$app}"
if ((launch_direct)); then
  exec "${launch_command[@]}" "${launch_args[@]}"
fi
for folder in "${folders[@]}"; do
  for script in "$folder/profile.d/"* "$folder/profile.d/$name/"*; do
    [[ ! -f $script ]] || . "$script"
  done
done
[[ ! -f $app/.profile ]] || . "$app/.profile"
if ((${#launch_args[@]} == 0)); then exec bash -c "${launch_command[0]}"; fi
exec bash -c '"$@"' bash "${launch_command[@]}" "${launch_args[@]}"
