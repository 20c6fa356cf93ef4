//! However many runs a repository has, git is started a few times. A binary of its own, for what is logged is counted.

#[path = "support/git.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use afk::adapters::git::GitMirrors;
use afk::engine::identity::RunId;
use afk::policy::Landing;
use afk::ports::{Code, RunRange};
use pretty_assertions::assert_eq;
use support::{Repository, git};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

fn run(number: u32) -> RunId {
    RunId::of_arming(&number.to_string())
}

fn mirrors(repository: &Repository) -> GitMirrors {
    GitMirrors::new(repository.path("mirrors"), BTreeMap::from([("acme/app".to_owned(), repository.remote())]))
}

/// Counts the git processes that this thread starts.
#[derive(Clone, Default)]
struct Started(Arc<AtomicUsize>);

impl Started {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl<S: tracing::Subscriber> Layer<S> for Started {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "afk::adapters::git::process" {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A history with a side branch that was merged, a base that a forced push took away, and runs of every kind.
async fn runs_of_one_repository(repository: &Repository, count: u32) -> Vec<RunRange> {
    let mut ranges = Vec::new();
    let gone = repository.commit("soon gone", &[("x", "1")]);
    repository.push();
    mirrors(repository).head("acme/app").await.expect("a mirror that has it still");
    git(&repository.work(), &["reset", "-q", "--hard", "HEAD~1"]);
    for number in 0..count {
        let base = match number % 5 {
            0 => Some(git(&repository.work(), &["rev-parse", "HEAD"])),
            1 => Some(gone.clone()),
            2 => Some("0".repeat(40)),
            3 => None,
            _ => Some(repository.commit("a base of its own", &[])),
        };
        let issue = u64::from(number) + 1;
        ranges.push(RunRange {
            repo: "acme/app".to_owned(),
            number: issue,
            run: run(number),
            base,
            landing: Landing::Push,
        });
        if number % 3 == 0 {
            git(&repository.work(), &["checkout", "-q", "-b", &format!("side-{number}")]);
            let line = format!("AFK-Run: {}", run(number));
            repository.commit(&format!("Mend it\n\n{line}"), &[(&format!("file-{number}"), "1")]);
            git(&repository.work(), &["checkout", "-q", "main"]);
            git(&repository.work(), &["merge", "-q", "--no-ff", "-m", "Merge", &format!("side-{number}")]);
        }
        // Before the base of the next ones, and so none of theirs.
        repository.commit(&format!("See #{issue} and #{}\n\nAFK-Run: {}", issue + 1, run(number + 1)), &[]);
    }
    repository.push();
    ranges
}

#[tokio::test]
async fn runs_of_one_repository_are_read_together_and_come_to_the_same_as_alone() {
    let started = Started::default();
    let _counting = tracing::subscriber::set_default(tracing_subscriber::registry().with(started.clone()));
    let mut counts = Vec::new();
    for count in [2, 20, 60] {
        let repository = Repository::new();
        let ranges = runs_of_one_repository(&repository, count).await;
        let (together, alone) = (mirrors(&repository), mirrors(&repository));
        together.head("acme/app").await.expect("a mirror");
        started.take();
        together.expect(&ranges).await.expect("read");
        counts.push(started.take());
        for range in &ranges {
            let found = together.run_commits(range).await.expect("readable");
            assert_eq!(started.take(), 0, "what was read is not read again");
            assert_eq!(found, alone.run_commits(range).await.expect("readable"), "{range:?}");
            started.take();
        }
        // Asked again, they are read afresh.
        together.run_commits(&ranges[0]).await.expect("readable");
        assert!(started.take() > 0);
    }
    assert!(counts.iter().all(|count| *count <= 10), "{counts:?}");
    assert_eq!(counts[1], counts[2], "{counts:?}");
}
