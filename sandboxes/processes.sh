# Looks after marked processes inside a host: bash processes.sh end|list|wait MARKER [SECONDS]
#
# A process is marked if the variable HERMES_TASK in its environment begins with MARKER; the value is inherited through
# setsid and double forks. `list` writes their ids; `wait` returns when there are none; `end` sends TERM, the oldest
# first, and KILL to those that are left after SECONDS. SECONDS is a number of hundredths.

find_marked() { # sets `found`, oldest first
  found=()
  local entry variable
  if [ -r /proc/self/environ ]; then
    for entry in /proc/[1-9]*; do
      while IFS= read -r -d '' variable; do
        if [[ $variable == HERMES_TASK="$1"* ]]; then found+=("${entry#/proc/}"); break; fi
      done < "$entry/environ"
    done
  else
    while read -r entry variable; do
      if [[ $variable == *HERMES_TASK="$1"* ]]; then found+=("$entry"); fi
    done < <(ps -axEww -o pid= -o command=)
  fi
  alive
} 2> /dev/null

alive() { # drops from `found` who has ended but was not waited for
  local each state kept=()
  for each in "${found[@]}"; do
    if [ -r "/proc/$each/stat" ]; then
      state=$(< "/proc/$each/stat") && state=${state##*) }
      case $state in Z* | X* | '') continue ;; esac
    fi
    kept+=("$each")
  done
  found=("${kept[@]}")
}

case $1 in
  list) find_marked "$2" && echo "${found[@]}" ;;
  wait) until find_marked "$2" && [ ${#found[@]} = 0 ]; do sleep 0.2; done ;;
  end)
    find_marked "$2"
    for each in $(printf '%s\n' "${found[@]}" | sort -n); do kill -TERM "$each"; done 2> /dev/null
    for each in "${found[@]}"; do kill -CONT "$each"; done 2> /dev/null
    for ((tick = 0; tick < ${3:-100}; tick += 5)); do
      find_marked "$2"
      if [ ${#found[@]} = 0 ]; then exit 0; fi
      sleep 0.05
    done
    for again in 1 2 3 4 5; do
      find_marked "$2"
      if [ ${#found[@]} = 0 ]; then exit 0; fi
      kill -KILL "${found[@]}" 2> /dev/null
    done
    ;;
esac
