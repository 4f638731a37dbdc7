#!/bin/sh
# Prints the last tag, then each commit since: hash, subject, files.
set -eu
tag=$(git describe --tags --abbrev=0 2>/dev/null) || tag=
echo "since: ${tag:-the beginning}"
git --no-pager log --reverse --name-only --format='%n%h %s' ${tag:+"$tag.."}
