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

end_all() {
  local group entry
  for group in "${!groups[@]}"; do kill "-$1" -- "-$group"; done
  if [ -d /proc/self ]; then
    for entry in $(grep -lsaF "HERMES_TASK=$2" /proc/[0-9]*/environ); do
      entry=${entry#/proc/}
      kill "-$1" "${entry%/environ}"
    done
  else
    ps -axEww -o pid= -o command= | grep -F "HERMES_TASK=$2" | while read -r entry _; do kill "-$1" "$entry"; done
  fi
} 2> /dev/null

if [ $# -gt 1 ]; then "${@:2}" & fi
end_all TERM "$1"
sleep 0.5
end_all KILL "$1"
wait
