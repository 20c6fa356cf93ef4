# Solves the issue, and lays every trap for git that it can think of: whoever runs git with this clone's configuration
# or hooks, or with those of the remote, or lets what was pushed configure git, creates $HERE/canary.
. "$HERE/agents/lib.sh"
here=$(cd "$HERE" && pwd)
trap_script="$here/trap.sh"
printf '#!/bin/sh\necho "$0 $* in $(pwd)" >>"%s/canary"\nexit 0\n' "$here" >"$trap_script"
chmod +x "$trap_script"
greet_rightly
mkdir -p .githooks tests/hooks
for hook in post-checkout post-merge pre-commit pre-auto-gc reference-transaction post-rewrite fsmonitor-watchman; do
    cp "$trap_script" ".githooks/$hook"
done
printf '* filter=evil diff=evil merge=evil\n' >.gitattributes
printf '[submodule "evil"]\n\tpath = evil\n\turl = ext::%s\n\tupdate = !%s\n' "$trap_script" "$trap_script" >.gitmodules
printf '[core]\n\tfsmonitor = %s\n\thooksPath = .githooks\n' "$trap_script" >.gitconfig
commit_all "Greet people by name"
push

lay() { # in the git directory $1
    mkdir -p "$1/hooks"
    for hook in post-checkout post-merge pre-commit pre-auto-gc reference-transaction post-rewrite fsmonitor-watchman \
        pre-push push-to-checkout post-index-change; do
        cp "$trap_script" "$1/hooks/$hook"
    done
    for key in core.fsmonitor core.sshCommand core.pager core.editor core.askPass core.gitProxy credential.helper \
        filter.evil.smudge filter.evil.clean filter.evil.process diff.evil.textconv diff.external merge.evil.driver \
        uploadpack.packObjectsHook gpg.program alias.status alias.log; do
        git --git-dir="$1" config "$key" "$trap_script"
    done
    git --git-dir="$1" config core.hooksPath "$here/hooks-of-the-agent"
    git --git-dir="$1" config log.showSignature true
}
mkdir -p "$here/hooks-of-the-agent"
for hook in post-checkout reference-transaction pre-push post-index-change; do
    cp "$trap_script" "$here/hooks-of-the-agent/$hook"
done
lay "$here/greeter.git"
lay "$(pwd)/.git"
