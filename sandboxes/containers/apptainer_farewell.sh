# Ends an instance of Apptainer: bash apptainer_farewell.sh CLIENT FOLDER NAME
#
# FOLDER is its folder on this machine, with the number of its first process in the file `pid`. When that process ends, the
# kernel ends all others of its namespace, and the instance's monitor tidies up: that is ten times quicker than to ask the
# client for it. Without a number an order to start it may be under way still.

export APPTAINER_CONFIGDIR=$2/state SINGULARITY_CONFIGDIR=$2/state
if [ ! -d "$2" ]; then exit 0; fi
for pause in 0 0.5 3; do
  sleep "$pause"
  pid=
  read -r pid < "$2/pid"
  # By now the number may be another's.
  if [[ $pid =~ ^[1-9][0-9]*$ ]] && grep -qaE '^(appinit|sinit)' "/proc/$pid/comm"; then
    kill -KILL "$pid"
    for ((tick = 0; tick < 100; tick++)); do
      if ! "$1" instance list "$3" | grep -qF "$3"; then break; fi
      sleep 0.02
    done
    break
  fi
  if [ -n "$pid" ] || "$1" instance stop -F "$3"; then break; fi
done > /dev/null 2>&1
chmod -R u+rwx -- "$2" 2> /dev/null
rm -rf -- "$2"
