# Ends an instance of Apptainer: bash apptainer_farewell.sh CLIENT FOLDER NAME
#
# FOLDER is its folder on this machine, with the number of its first process in the file `pid`. That process ended, the
# kernel ends all others in its namespace, which is quicker than asking; asking tidies up. An order to start it may be
# under way still, and the number may by now be another's.

read -r pid 2> /dev/null < "$2/pid"
if [[ ${pid-} =~ ^[1-9][0-9]*$ ]] && grep -qaE "^(appinit|sinit)" "/proc/$pid/cmdline" "/proc/$pid/comm" 2> /dev/null; then
  kill -KILL "$pid"
fi
for pause in 0 0.5 3; do
  sleep "$pause"
  if [ -e "$2" ] && ! "$1" instance stop -F "$3" 2> /dev/null; then
    if [ -n "${pid-}" ]; then break; fi
  else
    break
  fi
done > /dev/null 2>&1
chmod -R u+rwx -- "$2" 2> /dev/null
rm -rf -- "$2"
