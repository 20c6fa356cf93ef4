# The agent of the recordings: it does what stands between `[stub:` and `]` in its prompt, in the words that were recorded.
here=$(dirname "$0")
prompt=$(cat)
until_there() { while [ ! -e "$1" ]; do sleep 0.005; done; }
[ ! -e "$here/deaf" ] || trap '' TERM
: >"$here/up"
case $prompt in
*stub:slow*)
    until_there "$here/go"
    echo "Slow work done."
    ;;
*stub:hang\ say=*)
    echo "Still thinking"
    until_there "$here/go"
    ;;
*stub:hang*) until_there "$here/go" ;;
*stub:commit*)
    file=$(printf '%s' "$prompt" | sed 's/.*file=\([a-z.]*\).*/\1/')
    echo "Done: committed 0123456789abcdef0123456789abcdef01234567 ($file); pushed to origin"
    ;;
*stub:error*)
    echo "About to fail."
    case $prompt in *overloaded*) echo "model overloaded" >&2 ;; *) echo "stub: the model refused" >&2 ;; esac
    exit 1
    ;;
*stub:crash*)
    echo "stub: crashing on purpose" >&2
    exit 3
    ;;
*stub:approve*)
    echo "t3: approval rm -rf build"
    until_there "$T3_ANSWERS/1"
    echo "Approved, ran it."
    ;;
*stub:ask*)
    echo "t3: question Which colour?"
    until_there "$T3_ANSWERS/1"
    echo "Thanks: $(cat "$T3_ANSWERS/1")"
    ;;
*) echo "Stub reply to: $prompt" ;;
esac
