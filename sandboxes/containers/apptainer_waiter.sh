#!/usr/bin/env bash
# The first program in an instance of Apptainer: it waits, and starts nothing.
exec 3<> <(:)
while :; do read -r -u 3; done
