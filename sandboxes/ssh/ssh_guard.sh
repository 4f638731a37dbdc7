# Sees to it that nothing is left on a machine that is reached by ssh: bash -c THIS bash TOKEN CWD GRACE
#
# HERMES_GUARD in its environment is the identity of a sandbox: it begins the markers of its processes (processes.sh) and
# stands in the file `owner` of its folder (boot.sh). Writes TOKEN and "up " once it stands guard, which it does not if
# there is no folder CWD ("" for the home). Standard input comes from hermes: the line "gone" says that it has no more use for
# anything here. If the connection ends without that, the guard waits GRACE seconds: a new connection of the same sandbox
# brings a new guard, which ends this one. Then it ends the sandbox's processes, removes its folder, and writes "down ".

guards_of() { # IDENTITY: writes the ids of its guards
  if [ -r /proc/self/environ ]; then
    grep -lsaF "HERMES_GUARD=$1" /proc/[1-9]*/environ | tr -dc '0-9\n'
  else
    ps -axEww -o pid= -o command= | grep -F "HERMES_GUARD=$1" | while read -r id _; do echo "$id"; done
  fi
}

each_folder() { # FUNCTION: is called with each folder of a sandbox of this login, and its owner
  local folder owner
  for folder in "${TMPDIR:-/tmp}"/.hermes-????????; do
    if [ -L "$folder" ] || [ ! -O "$folder" ] || [ ! -f "$folder/owner" ]; then continue; fi
    { IFS= read -r owner < "$folder/owner"; } 2> /dev/null || continue
    if [ -n "$owner" ]; then "$1" "$folder" "$owner"; fi
  done
}

remove() { # FOLDER OWNER
  bash "$1/processes.sh" end "$2" 100
  rm -rf -- "$1"
}

remove_own() { if [ "$2" = "$HERMES_GUARD" ]; then remove "$@"; fi; }

remove_forsaken() { # a guard that was killed, a machine that was switched off
  if [ "$2" != "$HERMES_GUARD" ] && [ -z "$(guards_of "$2")" ]; then remove "$@"; fi
}

cd 2> /dev/null || cd /
if [ -n "$2" ]; then cd -- "$2" || exit 1; fi
trap '' HUP PIPE
for each in $(guards_of "$HERMES_GUARD"); do
  if [ "$each" != $$ ]; then kill -KILL "$each"; fi
done 2> /dev/null
printf '%s' "$1up "
exec 2> /dev/null
each_folder remove_forsaken > /dev/null

word=
while IFS= read -r word && [ "$word" != gone ]; do :; done
if [ "$word" != gone ]; then
  # No program of ours may wait here: it would be left if this is killed.
  exec {never}<> <(:)
  read -r -t "$3" -u "$never"
fi
each_folder remove_own
printf 'down '
