# As root in a sandbox whose slots are accounts: bash modal_slots.sh UID FOLDER [UID FOLDER …]
#
# Ends every process of each account and removes every file of it; then makes its FOLDER anew, for it alone. Fails if
# a process is left.

if ! command -v setpriv > /dev/null; then
  echo "the image has no setpriv (util-linux)" >&2
  exit 3
fi

find_all() { # sets `found`: the processes of account $1 that have not ended
  local each name value rest state
  found=()
  for each in /proc/[1-9]*; do
    state=
    while read -r name value rest; do
      case $name in
        State:) state=$value ;;
        Uid:)
          if [ "$value" = "$1" ] && [ "$state" != Z ] && [ "$state" != X ]; then found+=("${each#/proc/}"); fi
          break
          ;;
      esac
    done < "$each/status"
  done
} 2> /dev/null

while [ $# -gt 1 ]; do
  account=$1 folder=$2
  shift 2
  # Stopped first, until there is no new one: what multiplies would be faster than one KILL after the other.
  seen=
  for ((again = 0; again < 100; again++)); do
    find_all "$account"
    if [ ${#found[@]} = 0 ]; then break; fi
    if [ "${found[*]}" = "$seen" ]; then
      kill -KILL "${found[@]}"
      seen=
    else
      kill -STOP "${found[@]}"
      seen=${found[*]}
    fi 2> /dev/null
  done
  if [ ${#found[@]} -gt 0 ]; then
    echo "processes of it cannot be ended" >&2
    exit 1
  fi
  for place in / /tmp /var/tmp /dev/shm /run; do
    if [ -d "$place" ]; then find "$place" -xdev -depth -user "$account" -delete 2> /dev/null; fi
  done
  rm -rf -- "$folder" # root's own things in it, if a task had any made
  umask 077
  mkdir -p -m 711 -- "${folder%/*}" && mkdir -- "$folder" "$folder/.tmp" || exit 1
  chown "$account:$account" "$folder" "$folder/.tmp" || exit 1
done
