#!/bin/sh
# The compiler that PostgreSQL is configured with for WebAssembly. It compiles with our headers in front; where RECORD_LINKS is set, it writes a
# link's working directory and arguments to its output instead of linking, as recipe/recorder.sh does. Else it links what configure tries.
link=1 output='' previous='' path='' source=''
for argument; do
    case $argument in
    -c | -E | -S | -M | -MM) link='' ;;
    *.c) path=$argument source=${argument##*/} ;;
    esac
    [ "$previous" = -o ] && output=$argument
    previous=$argument
done
if [ -n "$link" ]; then
    if [ -n "$RECORD_LINKS" ] && [ -n "$output" ]; then
        { echo '#linked' && pwd && printf '%s\n' "$@"; } >"$output" && chmod +x "$output"
        exit
    fi
    exec @COMPILE@ "$@" @LINK@
fi
extra=''
# Code that no query spends its time in.
case $path in
@SMALL@) extra=-Oz ;;
esac
case $source in
# A session of a client has these three, and --single alone has not: event triggers, checks of text search, parallel plans.
event_trigger.c | tsearchcmds.c | planner.c) extra="$extra -DIsUnderPostmaster=pgl_true" ;;
esac
# All modules are linked into one program, and each has functions of these names.
case $PWD in
@BUILD@/src/backend/utils/mb/conversion_procs/* | @BUILD@/src/backend/snowball | @BUILD@/src/backend/replication/libpqwalreceiver | @BUILD@/src/pl/* | @BUILD@/contrib/* | @BUILD@/src/test/*)
    name=$(printf %s "${PWD#@BUILD@/}" | tr -c 'a-zA-Z0-9' _)
    case $PWD in */contrib/spi | */src/test/*) name=${name}_${source%.c} ;; esac
    extra="$extra -DPg_magic_func=pgl_magic_$name -D_PG_init=pgl_init_$name -D_PG_output_plugin_init=pgl_output_plugin_$name"
    # there is nothing to be loaded at an address of its own
    for argument; do
        shift
        [ "$argument" = -fPIC ] || set -- "$@" "$argument"
    done
    ;;
esac
case $PWD in
@BUILD@/src/backend/utils/mb/conversion_procs/*)
    # Few sessions need such a table of characters, and all of them are a seventh of the program: so they get a section of their own, from
    # which the build makes files (tables.rs).
    @COMPILE@ "$@" $extra -E -o "$output.c" || exit
    sed -i "s/^static const uint[0-9]* [a-z0-9_]*_tree_table\[/__attribute__((section(\"pgl_tables_${source%.c}\"))) &/" "$output.c" || exit
    for argument; do
        shift
        case $argument in *.c) argument=$output.c ;; esac
        set -- "$@" "$argument"
    done
    ;;
esac
# libpq is compiled for threads: of those a module has none.
exec @COMPILE@ @OPTIMIZE@ "$@" $extra -no-pthread
