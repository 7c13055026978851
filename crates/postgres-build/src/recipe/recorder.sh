#!/bin/sh
# The compiler that PostgreSQL is configured with. It compiles; but where RECORD_LINKS is set, it writes a link's working directory
# and arguments to its output instead of linking. All objects are bitcode then, and whole programs are made of the records later.
# zic is linked, because make runs it to compile the time zones.
if [ -n "$RECORD_LINKS" ]; then
    link=1 output='' previous=''
    for argument; do
        case $argument in -c | -E | -S | -M | -MM) link='' ;; esac
        [ "$previous" = -o ] && output=$argument
        previous=$argument
    done
    if [ -n "$link" ] && [ -n "$output" ] && [ "${output##*/}" != zic ]; then
        { echo '#linked' && pwd && printf '%s\n' "$@"; } >"$output" && chmod +x "$output"
        exit
    fi
fi
# The profile says which branches are taken, and how often. It fits where a function is as it was when the profile was made.
exec @COMPILER@ -fprofile-use=@PROFILE@ @PROFILE_ARGUMENTS@ -Wno-profile-instr-out-of-date -Wno-profile-instr-unprofiled -Wno-backend-plugin "$@"
