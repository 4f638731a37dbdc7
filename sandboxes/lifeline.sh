# Ends what is left of a sandbox when hermes dies. Run by bash with the marker value as $1 and, if there is more to do,
# a program and its arguments behind it; standard input is a pipe that hermes alone holds. "+N" and "-N" say that process group N began and ended, "quit" that nothing is left to do.
# Any other end of input means that hermes is gone.

declare -A groups=()
while read -r word; do
  case $word in
    quit) exit 0 ;;
    +*) groups[${word#+}]=1 ;;
    -*) unset "groups[${word#-}]" ;;
  esac
done

# Adds to `tree` the marked processes and all that descends from them, and to `groups` the groups of the marked:
# what lost its marker is still in one of these, where hermes had no time to name the group.
find_tree() {
  local entry line pid more=1
  local -A parents=()
  for entry in $(grep -lsaF "HERMES_TASK=$1" /proc/[0-9]*/environ); do
    entry=${entry#/proc/}
    tree[${entry%/environ}]=1
  done
  for entry in /proc/[0-9]*/stat; do
    IFS= read -r line < "$entry" || continue
    pid=${line%% *}
    line=${line##*) }
    set -- $line # state parent group
    parents[$pid]=$2
    if [ -n "${tree[$pid]}" ] && [ "$3" -gt 1 ]; then groups[$3]=1; fi
  done
  while [ -n "$more" ]; do
    more=
    for pid in "${!parents[@]}"; do
      if [ -z "${tree[$pid]}" ] && [ -n "${tree[${parents[$pid]}]}" ]; then tree[$pid]=1 more=1; fi
    done
  done
}

declare -A tree=()
end_all() {
  local group entry
  if [ -d /proc/self ]; then find_tree "$2"; fi
  for group in "${!groups[@]}"; do kill "-$1" -- "-$group"; done
  if [ -d /proc/self ]; then
    for entry in "${!tree[@]}"; do kill "-$1" "$entry"; done
  else
    ps -axEww -o pid= -o command= | grep -F "HERMES_TASK=$2" | while read -r entry _; do kill "-$1" "$entry"; done
  fi
} 2> /dev/null

if [ $# -gt 1 ]; then "${@:2}" & fi
end_all TERM "$1"
sleep 0.5
end_all KILL "$1"
wait
