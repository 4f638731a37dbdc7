# Runs a program as a made-up user who needs a password for sudo. Called by root inside a mount namespace of its own:
# `bash a_user.sh FOLDER PROGRAM ARGUMENT…`. What is mounted here nobody else sees, and it is gone with the program.
set -e
folder=$1
shift
mount --make-rprivate /
mkdir -p "$folder/etc" "$folder/behind"
cp /etc/passwd /etc/shadow "$folder/etc/"
chmod 600 "$folder/etc/shadow"
echo "person:x:4242:4242::$folder/home:/bin/bash" >> "$folder/etc/passwd"
echo "person:$HASH:19000:0:99999:7:::" >> "$folder/etc/shadow"
printf 'Defaults env_reset, !fqdn\nperson ALL=(ALL:ALL) ALL\nperson ALL=(ALL) NOPASSWD: /usr/bin/env\n' > "$folder/etc/sudoers"
printf 'auth required pam_unix.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n' > "$folder/etc/pam"
chmod 440 "$folder/etc/sudoers"
for name in passwd shadow sudoers; do mount --bind "$folder/etc/$name" "/etc/$name"; done
mount --bind "$folder/etc/pam" /etc/pam.d/sudo
mkdir -p /run/sudo
mount -t tmpfs none /run/sudo
# A Python that lies in root's home is reached by this user too, and nothing else of that home.
case $PYTHON_HOME in
  /root/*)
    mount --bind "$PYTHON_HOME" "$folder/behind"
    mount -t tmpfs -o mode=755 none /root
    mkdir -p "$PYTHON_HOME"
    mount --bind "$folder/behind" "$PYTHON_HOME"
    ;;
esac
unset HASH PYTHON_HOME
exec setpriv --reuid 4242 --regid 4242 --clear-groups --inh-caps=-all "$@"
