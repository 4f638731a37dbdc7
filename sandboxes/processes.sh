# Looks after marked processes inside a host: bash processes.sh end|list|wait MARKER [SECONDS]
#
# A process is marked if the variable HERMES_TASK in its environment begins with MARKER; the value is inherited through
# setsid and double forks. `list` writes their ids; `wait` returns when there are none; `end` sends TERM, the oldest
# first, and KILL to those that are left after SECONDS, a number of hundredths; it fails if some are left still.

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

alive() { # drops from `found` this script, and who has ended but was not waited for
  local each state kept=()
  for each in "${found[@]}"; do
    if [ "$each" = $$ ]; then continue; fi # where nothing lies between hermes and the host, this is marked itself
    if [ -r "/proc/$each/stat" ]; then
      state=$(< "/proc/$each/stat") && state=${state##*) }
      case $state in Z* | X* | '') continue ;; esac
    fi
    kept+=("$each")
  done
  found=("${kept[@]}")
}

pause() { # SECONDS; standard input stays open, without anything in it
  read -r -t "$1" || [ $? -gt 128 ] || sleep "$1"
}

case $1 in
  list) find_marked "$2" && echo "${found[@]}" ;;
  wait) until find_marked "$2" && [ ${#found[@]} = 0 ]; do sleep 0.2; done ;;
  end) # without starting a process: there may be no room for one
    find_marked "$2"
    oldest_first=()
    for each in "${found[@]}"; do oldest_first[each]=1; done
    for each in "${!oldest_first[@]}"; do kill -TERM "$each"; done 2> /dev/null
    for each in "${found[@]}"; do kill -CONT "$each"; done 2> /dev/null
    for ((tick = 0; tick < ${3:-100}; tick += 5)); do
      find_marked "$2"
      if [ ${#found[@]} = 0 ]; then exit 0; fi
      pause 0.05
    done
    # Stopped first, until there is no new one: what multiplies would be faster than one KILL after the other.
    seen=
    for ((again = 0; again < 50; again++)); do
      find_marked "$2"
      if [ ${#found[@]} = 0 ]; then exit 0; fi
      if [ "${found[*]}" = "$seen" ]; then
        kill -KILL "${found[@]}"
        seen=
      else
        kill -STOP "${found[@]}"
        seen=${found[*]}
      fi 2> /dev/null
    done
    exit 1
    ;;
esac
