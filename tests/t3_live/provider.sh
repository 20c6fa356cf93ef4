#!/bin/sh
# A provider that does what the prompts of the live tests say, as a real one would: `start` or `resume`, the prompt on
# standard input. It asks people in the language of tests/t3_fake/provider.rs.
prompt=$(cat)
case $prompt in
'Answer with the one word `hello`.'*) echo hello; exit ;;
'Count slowly'*) exec sleep 600 ;;
esac
command=$(printf '%s\n' "$prompt" | sed -n 's|^    \(/.*/agent\.sh .*\)$|\1|p' | tail -n 1)
answered() { while [ ! -e "$T3_ANSWERS/1" ]; do sleep 0.02; done; }
case $prompt in *'say `Let me see.`'*) echo "Let me see." ;; esac
case $prompt in *'`Which colour?`'*) echo "t3: question Which colour?"; answered ;; esac
case $T3_RUNTIME_MODE in approval-required) echo "t3: approval $command"; answered ;; esac
# However it ends, the turn has ended well.
sh -c "$command" 2>&1 || true
