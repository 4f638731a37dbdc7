# Ends a connection whose hermes is dead: bash ssh_farewell.sh FOLDER, the folder on this machine with its sockets.

cd -- "$1" || exit 1
if [ -p guard ]; then echo gone 1<> guard; fi
# The guard ends when it is done, and with it the connection, and ssh removes its socket.
for ((tenth = 0; tenth < 100; tenth++)); do
  if [ ! -S ssh ]; then break; fi
  sleep 0.1
done
if [ -S ssh ]; then ssh -F none -S ssh -O exit hermes; fi
cd / && rm -rf -- "$1"
