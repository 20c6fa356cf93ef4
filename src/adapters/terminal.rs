//! A doorbell that writes lines.

use std::cell::RefCell;
use std::io::Write;

use async_trait::async_trait;

use crate::ports::{Notice, Notifier, PortError, PortResult};
use crate::text;

/// The most of a title that is shown.
const TITLE_LIMIT: usize = 300;
/// The most of a body that is shown.
const BODY_LIMIT: usize = 4 * 1024;

/// Writes notices to where it is told: the command line gives it standard error.
#[derive(Debug)]
pub struct TerminalDoorbell<W> {
    writer: RefCell<W>,
}

impl<W: Write> TerminalDoorbell<W> {
    /// A doorbell that writes there.
    pub fn new(writer: W) -> Self {
        Self { writer: RefCell::new(writer) }
    }
}

#[async_trait(?Send)]
impl<W: Write> Notifier for TerminalDoorbell<W> {
    async fn ring(&self, notice: &Notice) -> PortResult<()> {
        let lines = render(notice);
        let mut writer = self.writer.borrow_mut();
        writer
            .write_all(lines.as_bytes())
            .and_then(|()| writer.flush())
            .map_err(|error| PortError::unreachable(format!("could not write to the terminal: {error}")))
    }
}

fn render(notice: &Notice) -> String {
    let title = text::clean_line(&notice.title, TITLE_LIMIT);
    let body = text::clean_block(&notice.body, BODY_LIMIT);
    let mut lines = format!("{}: {title}\n", notice.kind);
    // The body is the title where the policy gives none.
    if body.trim() != title {
        for line in body.lines().filter(|line| !line.trim().is_empty()) {
            lines.push_str(&format!("  {line}\n"));
        }
    }
    for address in [Some(&notice.url), notice.link.as_ref()].into_iter().flatten().filter(|address| !address.is_empty())
    {
        lines.push_str(&format!("  {}\n", text::clean_line(address, TITLE_LIMIT)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use uuid::Uuid;

    use super::*;
    use crate::engine::identity::RunId;
    use crate::policy::Urgency;
    use crate::ports::IssueRef;

    fn notice(title: &str, body: &str) -> Notice {
        Notice {
            id: Uuid::nil(),
            kind: "frozen".to_owned(),
            title: title.to_owned(),
            body: body.to_owned(),
            urgency: Urgency::High,
            tags: vec![],
            issue: IssueRef { repo: "acme/app".to_owned(), number: 7 },
            url: "issues/0007.md".to_owned(),
            link: None,
            run: RunId(Uuid::nil()),
            revision: "3f9c1e2a".to_owned(),
        }
    }

    #[test]
    fn a_notice_is_shown_with_its_kind_and_where_to_look() {
        let rendered = render(&notice("acme/app#7: CI is red", "`test` failed\n\nsee the log"));
        assert_eq!(rendered, "frozen: acme/app#7: CI is red\n  `test` failed\n  see the log\n  issues/0007.md\n");
    }

    #[test]
    fn a_body_that_only_repeats_the_title_is_not_shown_twice() {
        assert_eq!(render(&notice("landed", "landed")), "frozen: landed\n  issues/0007.md\n");
    }

    #[test]
    fn where_the_agent_can_be_watched_is_shown_too() {
        let notice = Notice { link: Some("https://agents/7".to_owned()), ..notice("landed", "landed") };
        assert_eq!(render(&notice), "frozen: landed\n  issues/0007.md\n  https://agents/7\n");
    }

    #[test]
    fn a_title_cannot_take_over_the_terminal() {
        let rendered = render(&notice("\u{1b}]0;owned\u{7}hi\nfrozen: forged", "\u{1b}[2Jgone\u{202e}"));
        assert_eq!(rendered, "frozen: hi frozen: forged\n  gone\n  issues/0007.md\n");
    }
}
