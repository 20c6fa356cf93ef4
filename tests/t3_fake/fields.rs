//! What each type of command has to carry. Whatever else it carries is dropped without a word.

use serde_json::Value;

use super::Generation;

/// What a field may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Not empty, once trimmed.
    Word,
    Text,
    /// A word, or null.
    NullableWord,
    RuntimeMode,
    InteractionMode,
    Model,
    Message,
    Decision,
    Object,
    Array,
    Flag,
    Count,
    /// The one reason that people may give.
    User,
}

use Kind::{
    Array, Count, Decision, Flag, InteractionMode, Message, Model, NullableWord, Object, RuntimeMode, Text, User, Word,
};

/// Required fields, and those that are checked when they are there.
type Fields = (&'static [(&'static str, Kind)], &'static [(&'static str, Kind)]);

/// `None`: there is no such type.
fn fields(generation: Generation, kind: &str) -> Option<Fields> {
    const THREAD: (&str, Kind) = ("threadId", Word);
    const AT: (&str, Kind) = ("createdAt", Text);
    let main = generation == Generation::Main;
    Some(match kind {
        "project.create" => (
            &[("projectId", Word), ("title", Word), ("workspaceRoot", Word), AT],
            &[("createWorkspaceRootIfMissing", Flag), ("defaultModelSelection", Model)],
        ),
        "project.meta.update" => (
            &[("projectId", Word)],
            &[("title", Word), ("workspaceRoot", Word), ("defaultModelSelection", Model), ("scripts", Array)],
        ),
        "project.delete" => (&[("projectId", Word)], &[("force", Flag)]),
        "thread.create" => (
            &[
                THREAD,
                ("projectId", Word),
                ("title", Word),
                ("modelSelection", Model),
                ("runtimeMode", RuntimeMode),
                ("branch", NullableWord),
                ("worktreePath", NullableWord),
                AT,
            ],
            &[("interactionMode", InteractionMode)],
        ),
        "thread.turn.start" => (
            &[THREAD, ("message", Message), ("runtimeMode", RuntimeMode), ("interactionMode", InteractionMode), AT],
            &[("modelSelection", Model), ("titleSeed", Word), ("bootstrap", Object)],
        ),
        "thread.turn.interrupt" => (&[THREAD, AT], &[("turnId", Word)]),
        "thread.approval.respond" => (&[THREAD, ("requestId", Word), ("decision", Decision), AT], &[]),
        "thread.user-input.respond" => (&[THREAD, ("requestId", Word), ("answers", Object), AT], &[]),
        "thread.session.stop" => (&[THREAD, AT], &[("onlyIfSettled", Flag)]),
        "thread.archive" | "thread.unarchive" | "thread.delete" => (&[THREAD], &[]),
        "thread.meta.update" => (
            &[THREAD],
            &[
                ("title", Word),
                ("modelSelection", Model),
                ("branch", NullableWord),
                ("worktreePath", NullableWord),
                ("regenerateTitle", Flag),
            ],
        ),
        "thread.runtime-mode.set" => (&[THREAD, ("runtimeMode", RuntimeMode), AT], &[]),
        "thread.interaction-mode.set" => (&[THREAD, ("interactionMode", InteractionMode), AT], &[]),
        "thread.checkpoint.revert" => (&[THREAD, ("turnCount", Count), AT], &[]),
        "thread.settle" | "thread.unpin" if main => (&[THREAD], &[]),
        "thread.unsettle" | "thread.unsnooze" if main => (&[THREAD, ("reason", User)], &[]),
        "thread.snooze" if main => (&[THREAD, ("snoozedUntil", Text)], &[]),
        "thread.pin" if main => (&[THREAD], &[("orderKey", Word)]),
        "thread.pin.reorder" if main => (&[THREAD, ("orderKey", Word)], &[]),
        _ => return None,
    })
}

/// Whether a body is a command at all.
pub fn are_right(generation: Generation, command: &Value) -> bool {
    let Some((required, optional)) = command["type"].as_str().and_then(|kind| fields(generation, kind)) else {
        return false;
    };
    let fits = |field: &str, kind: Kind| command.get(field).is_some_and(|value| kind.fits(generation, value));
    let absent = |field: &str| command.get(field).is_none();
    Word.fits(generation, &command["commandId"])
        && required.iter().all(|(field, kind)| fits(field, *kind))
        && optional.iter().all(|(field, kind)| absent(field) || fits(field, *kind))
}

impl Kind {
    fn fits(self, generation: Generation, value: &Value) -> bool {
        let text = value.as_str();
        let one_of = |words: &[&str]| text.is_some_and(|text| words.contains(&text));
        let is_word = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        match self {
            Word => is_word(value),
            Text => text.is_some(),
            NullableWord => value.is_null() || is_word(value),
            RuntimeMode => {
                one_of(&["full-access", "auto-accept-edits", "approval-required"])
                    || (generation == Generation::Main && one_of(&["auto"]))
            }
            InteractionMode => one_of(&["default", "plan"]),
            Model => is_word(&value["instanceId"]) && is_word(&value["model"]),
            Message => {
                is_word(&value["messageId"])
                    && value["role"] == "user"
                    && value["text"].is_string()
                    && value["attachments"].is_array()
            }
            Decision => one_of(&["accept", "acceptForSession", "decline", "cancel"]),
            Object => value.is_object(),
            Array => value.is_array(),
            Flag => value.is_boolean(),
            Count => value.is_u64(),
            User => one_of(&["user"]),
        }
    }
}
