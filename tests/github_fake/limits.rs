//! The limits of GitHub's API: the primary one by the hour, the secondary ones by the minute, all of them by token.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

/// How much of each a token may use.
#[derive(Debug, Clone)]
pub struct Limits {
    pub rest: u64,
    pub graphql: u64,
    /// Points of REST in a minute: a read is 1, a write 5.
    pub points_a_minute: u64,
    /// Comments, labels and the like in a minute.
    pub content_a_minute: usize,
    used: HashMap<(String, Resource), Window>,
    recent: HashMap<String, Vec<Spent>>,
}

/// What is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    Rest,
    Graphql,
}

/// What a token has used of a primary limit.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub limit: u64,
    pub used: u64,
    pub reset: DateTime<Utc>,
}

#[derive(Debug, Clone)]
struct Spent {
    at: DateTime<Utc>,
    points: u64,
    content: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rest: 5_000,
            graphql: 5_000,
            points_a_minute: 900,
            content_a_minute: 80,
            used: HashMap::new(),
            recent: HashMap::new(),
        }
    }
}

impl Resource {
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "core",
            Self::Graphql => "graphql",
        }
    }
}

impl Window {
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

impl Limits {
    pub fn window(&mut self, token: &str, resource: Resource, now: DateTime<Utc>) -> Window {
        let limit = match resource {
            Resource::Rest => self.rest,
            Resource::Graphql => self.graphql,
        };
        let fresh = Window { limit, used: 0, reset: now + TimeDelta::hours(1) };
        let window = self.used.entry((token.to_owned(), resource)).or_insert(fresh);
        if window.reset <= now {
            *window = fresh;
        }
        window.limit = limit;
        *window
    }

    /// Counts what was used of a primary limit.
    pub fn spend(&mut self, token: &str, resource: Resource, amount: u64, now: DateTime<Utc>) -> Window {
        self.window(token, resource, now);
        let window = self.used.get_mut(&(token.to_owned(), resource)).unwrap();
        window.used += amount;
        *window
    }

    /// Takes a token's whole primary limit.
    pub fn exhaust(&mut self, token: &str, resource: Resource, now: DateTime<Utc>) {
        let left = self.window(token, resource, now).remaining();
        self.spend(token, resource, left, now);
    }

    /// Counts a request against the secondary limits; whether it goes beyond one of them.
    pub fn hurry(&mut self, token: &str, points: u64, content: bool, now: DateTime<Utc>) -> bool {
        let recent = self.recent.entry(token.to_owned()).or_default();
        recent.retain(|spent| now - spent.at < TimeDelta::minutes(1));
        recent.push(Spent { at: now, points, content });
        let points: u64 = recent.iter().map(|spent| spent.points).sum();
        let contents = recent.iter().filter(|spent| spent.content).count();
        points > self.points_a_minute || contents > self.content_a_minute
    }
}
