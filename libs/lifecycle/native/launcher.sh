#!/bin/bash
# Starts a process of a Croft image. Called by the name of a process type (/cnb/process/web), or as itself with `--` and a
# command, or with words for a shell. Exit codes of its own: 11 and 12 for an API it does not speak, 80 when a folder cannot be
# entered, 82 when there is nothing to start, 84 when a program of exec.d failed. Otherwise the process's code is seen.
# Everything here is named launcher_*: whatever the process or a layer calls its own variables, they are never touched.

launcher_layers=${CNB_LAYERS_DIR:-/layers}
launcher_app=${CNB_APP_DIR:-/workspace}
launcher_api=${CNB_PLATFORM_API:-0.15}
launcher_in=${CNB_EXEC_ENV:-production}
launcher_name=${0##*/}

launcher_fail() { printf 'launcher: %s\n' "$2" >&2; exit "$1"; }

case $launcher_api in
  0.7 | 0.8 | 0.9 | 0.1[0-5]) ;;
  *) launcher_fail 11 "platform API $launcher_api is not supported (0.7 to 0.15 are)" ;;
esac
if [[ -n ${CNB_PROCESS_TYPE-} ]]; then
  printf 'launcher: CNB_PROCESS_TYPE is ignored; start /cnb/process/%s instead\n' "$CNB_PROCESS_TYPE" >&2
fi
unset CNB_LAYERS_DIR CNB_APP_DIR CNB_PROCESS_TYPE CNB_PLATFORM_API CNB_DEPRECATION_MODE

# The image's own folders do not stay in the path: no app should start the launcher by accident.
launcher_path=:$PATH:
launcher_path=${launcher_path//:\/cnb\/process:/:}
launcher_path=${launcher_path//:\/cnb\/lifecycle:/:}
launcher_path=${launcher_path#:}
export PATH=${launcher_path%:}

# Entries of a folder in byte order, hidden ones too.
launcher_list() { # FOLDER
  local LC_ALL=C
  shopt -s nullglob dotglob
  launcher_found=("$1"/*)
  shopt -u nullglob dotglob
}

launcher_set() { # NAME VALUE
  [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*$ && ! $1 =~ ^(launcher_|BASHOPTS$|SHELLOPTS$|UID$|EUID$|PPID$) ]] || return 0
  export "$1=$2"
}

# One folder of NAME[.suffix] files, whole contents; delimiters come from NAME.delim of the same folder.
launcher_apply_env() { # FOLDER
  launcher_list "$1"
  local launcher_file launcher_base launcher_variable launcher_suffix launcher_value launcher_old launcher_delimiter
  for launcher_file in "${launcher_found[@]}"; do
    [[ -f $launcher_file ]] || continue
    launcher_base=${launcher_file##*/} launcher_variable=${launcher_file##*/} launcher_suffix=override
    launcher_variable=${launcher_variable%%.*}
    [[ $launcher_base != *.* ]] || launcher_suffix=${launcher_base#*.}
    [[ $launcher_variable =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
    launcher_value= launcher_delimiter=
    IFS= read -r -d '' launcher_value <"$launcher_file"
    [[ ! -f $1/$launcher_variable.delim ]] || IFS= read -r -d '' launcher_delimiter <"$1/$launcher_variable.delim"
    launcher_old=${!launcher_variable-}
    case $launcher_suffix in
      override) launcher_set "$launcher_variable" "$launcher_value" ;;
      prepend) launcher_set "$launcher_variable" "$launcher_value${launcher_old:+$launcher_delimiter$launcher_old}" ;;
      append) launcher_set "$launcher_variable" "${launcher_old:+$launcher_old$launcher_delimiter}$launcher_value" ;;
      default) [[ -n $launcher_old ]] || launcher_set "$launcher_variable" "$launcher_value" ;;
    esac
  done
}

# Escapes of a basic TOML string.
launcher_unescape() { # TEXT
  printf -v launcher_value '%b.' "${1//\\\"/\"}"
  launcher_value=${launcher_value%.}
}

# What an exec.d program wrote to its third descriptor: TOML, a string to each key.
launcher_apply_exec() { # PROGRAM
  local launcher_text launcher_line launcher_value launcher_key launcher_more launcher_end
  local launcher_basic='"(([^"\]|\\.)*)"' launcher_literal="'([^']*)'" launcher_rest='[[:space:]]*(#.*)?$'
  local launcher_start='^[[:space:]]*["'\'']?([A-Za-z0-9_-]+)["'\'']?[[:space:]]*=[[:space:]]*'
  { launcher_text=$("$1" 3>&1 1>&4); } 4>&1 || launcher_fail 84 "$1 failed"
  while IFS= read -r launcher_line; do
    launcher_line=${launcher_line%$'\r'}
    [[ $launcher_line =~ ^[[:space:]]*(#.*)?$ ]] && continue
    if [[ $launcher_line =~ $launcher_start(\"\"\"|\'\'\')(.*)$ ]]; then
      launcher_key=${BASH_REMATCH[1]} launcher_end=${BASH_REMATCH[2]} launcher_value=${BASH_REMATCH[3]}
      # A line break right behind the opening quotes is not part of the text.
      [[ -n $launcher_value ]] || IFS= read -r launcher_value || launcher_fail 84 "$1 wrote a text without an end"
      while [[ $launcher_value != *"$launcher_end" ]]; do
        IFS= read -r launcher_more || launcher_fail 84 "$1 wrote a text without an end"
        launcher_value+=$'\n'$launcher_more
      done
      launcher_value=${launcher_value%"$launcher_end"}
      [[ $launcher_end == "'''" ]] || launcher_unescape "$launcher_value"
    elif [[ $launcher_line =~ $launcher_start$launcher_literal$launcher_rest ]]; then
      launcher_key=${BASH_REMATCH[1]} launcher_value=${BASH_REMATCH[2]}
    elif [[ $launcher_line =~ $launcher_start$launcher_basic$launcher_rest ]]; then
      launcher_key=${BASH_REMATCH[1]}
      launcher_unescape "${BASH_REMATCH[2]}"
    else
      launcher_fail 84 "$1 wrote a line that gives no key a string: $launcher_line"
    fi
    launcher_set "$launcher_key" "$launcher_value"
  done <<<"$launcher_text"
}

launcher_command=() launcher_args=() launcher_direct=1 launcher_append=0 launcher_dir= launcher_exec_env=() launcher_type=
launcher_process=$launcher_layers/config/launch/process/$launcher_name
if [[ -f $launcher_process ]]; then
  launcher_type=$launcher_name
  . "$launcher_process"
  if ((${#launcher_exec_env[@]} > 0)) && [[ $launcher_api == 0.15 ]]; then
    [[ " ${launcher_exec_env[*]} " == *" $launcher_in "* || " ${launcher_exec_env[*]} " == *' * '* ]] ||
      launcher_fail 82 "process \"$launcher_name\" is not meant for the environment $launcher_in"
  fi
  case $launcher_api in 0.7 | 0.8 | 0.9) launcher_append=1 ;; esac
  if ((launcher_append)); then launcher_args+=("$@"); elif (($# > 0)); then launcher_args=("$@"); fi
elif [[ ${1-} == -- && $# -gt 1 ]]; then
  launcher_command=("$2")
  launcher_args=("${@:3}")
else
  (($# > 0)) || launcher_fail 82 "there is no process \"$launcher_name\" in this image, and no command was given"
  launcher_command=("$1") launcher_direct=0
  launcher_args=("${@:2}")
fi
((${#launcher_command[@]} > 0)) || launcher_fail 82 "process \"$launcher_name\" names no command"

cd "$launcher_app" || launcher_fail 80 "cannot enter $launcher_app"

launcher_folders=()
while read -r launcher_id launcher_bp_api; do
  case $launcher_bp_api in
    0.7 | 0.8 | 0.9 | 0.10 | 0.11 | 0.12) ;;
    *) launcher_fail 12 "buildpack $launcher_id has API $launcher_bp_api, which is not supported" ;;
  esac
  launcher_list "$launcher_layers/$launcher_id"
  launcher_own=()
  for launcher_folder in "${launcher_found[@]}"; do
    [[ ! -d $launcher_folder || -L $launcher_folder ]] || launcher_own+=("$launcher_folder")
  done
  launcher_folders+=("${launcher_own[@]}")
  for launcher_folder in "${launcher_own[@]}"; do
    [[ ! -d $launcher_folder/bin ]] || export PATH=$launcher_folder/bin${PATH:+:$PATH}
    [[ ! -d $launcher_folder/lib ]] || export LD_LIBRARY_PATH=$launcher_folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  done
  for launcher_folder in "${launcher_own[@]}"; do
    launcher_apply_env "$launcher_folder/env"
    launcher_apply_env "$launcher_folder/env.launch"
    [[ -z $launcher_type ]] || launcher_apply_env "$launcher_folder/env.launch/$launcher_type"
  done
done <"$launcher_layers/config/launch/buildpacks"

launcher_run_exec() { # FOLDER
  launcher_list "$1"
  local launcher_program
  for launcher_program in "${launcher_found[@]}"; do
    [[ ! -f $launcher_program ]] || launcher_apply_exec "$launcher_program"
  done
}
for launcher_folder in "${launcher_folders[@]}"; do
  launcher_run_exec "$launcher_folder/exec.d"
  [[ -z $launcher_type ]] || launcher_run_exec "$launcher_folder/exec.d/$launcher_type"
done

if ((launcher_direct)); then
  launcher_program=${launcher_command[0]}
  # A name with a slash is meant from the working directory.
  if [[ $launcher_program != */* ]]; then
    launcher_program=$(type -P -- "$launcher_program") || launcher_fail 82 "there is no program ${launcher_command[0]} in $PATH"
  fi
  cd "${launcher_dir:-$launcher_app}" || launcher_fail 80 "cannot enter ${launcher_dir:-$launcher_app}"
  [[ -f $launcher_program && -x $launcher_program ]] || launcher_fail 82 "there is no program $launcher_program"
  exec -a "${launcher_command[0]}" "$launcher_program" "${launcher_command[@]:1}" "${launcher_args[@]}"
fi

# A shell that knows nothing of this one reads the profiles and starts the process in a shell of its own: a command alone is a
# script; with words behind it, each word is expanded by itself and stays one word.
launcher_script=
launcher_add_profiles() { # FOLDER
  launcher_list "$1"
  local launcher_profile
  for launcher_profile in "${launcher_found[@]}"; do
    [[ ! -f $launcher_profile ]] || launcher_script+="source ${launcher_profile@Q}"$'\n'
  done
}
for launcher_folder in "${launcher_folders[@]}"; do
  launcher_add_profiles "$launcher_folder/profile.d"
  [[ -z $launcher_type ]] || launcher_add_profiles "$launcher_folder/profile.d/$launcher_type"
done
[[ ! -f $launcher_app/.profile ]] || launcher_script+="source ${launcher_app@Q}/.profile"$'\n'
launcher_dir=${launcher_dir:-$launcher_app}
launcher_script+="cd ${launcher_dir@Q} || exit 80"$'\n'
launcher_words=("${launcher_command[@]:1}" "${launcher_args[@]}")
if ((${#launcher_words[@]} == 0)); then
  launcher_script+='exec bash -c "$@"'
else
  launcher_inner='"$(eval echo \"$0\")"'
  for ((launcher_at = 1; launcher_at <= ${#launcher_words[@]}; launcher_at++)); do
    launcher_inner+=" \"\$(eval echo \\\"\${$launcher_at}\\\")\""
  done
  launcher_script+="exec bash -c ${launcher_inner@Q} \"\$@\""
fi
exec /bin/bash -c "$launcher_script" "$0" "${launcher_command[0]}" "${launcher_words[@]}"
