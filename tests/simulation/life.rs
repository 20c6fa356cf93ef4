//! Living a life: one thread, no real time. Ticks are futures polled by hand; each stands still at every call until
//! the script says what becomes of it. A crash is a future that is dropped.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use afk::adapters::confined::DirectoryLock;
use afk::adapters::installation::{Heartbeat, Installation, TickKind};
use afk::policy::facts::IssueStatus;
use afk::ports::*;
use afk::ticks::record::Seal;
use afk::ticks::world::{Tick, World};
use afk::ticks::{poll, watch};
use chrono::TimeDelta;

use crate::chance::Chance;
use crate::defects::{Defect, Defective};
use crate::edges::{Bell, Desk, Edge, Fate};
use crate::invariants::{self, TICKS_TO_END, WITHOUT_A_LOCK};
use crate::policies::choices;
use crate::script::{Act, Apart, Script, Step};
use crate::truth::{BELLS, Card, Eye, HUMAN, IN_PROGRESS, KEY, PAUSED, READY, ROBOT, TickId, Truth, Violation};

/// After so long a tick is over, whatever it is at.
const TICK_DEADLINE: TimeDelta = TimeDelta::minutes(10);

struct OpenTick {
    id: TickId,
    kind: TickKind,
    began: chrono::DateTime<chrono::Utc>,
    work: Pin<Box<dyn Future<Output = ()>>>,
    desk: Rc<RefCell<Desk>>,
    _lock: Option<DirectoryLock>,
}

/// What came of a life.
#[derive(Debug)]
pub struct Lived {
    pub violation: Option<Violation>,
    pub story: Vec<String>,
    pub dispatches: usize,
    pub ticks: usize,
    /// The states that runs ended in, and `correction` for each that was sent.
    pub endings: BTreeMap<String, usize>,
}

pub struct Life {
    truth: Rc<RefCell<Truth>>,
    installations: Vec<Installation>,
    /// Which of them the next tick is of.
    turns: Chance,
    open: Vec<OpenTick>,
    ticks: usize,
    apart: Apart,
    defect: Option<Defect>,
}

/// Lives a script in an empty folder, which holds what the installation keeps.
pub fn live(script: &Script, folder: &Path, narrate: bool, defect: Option<Defect>) -> Lived {
    let mut life = Life::begin(script, folder, narrate, defect);
    for step in &script.steps {
        life.take(*step);
        if life.is_over() {
            break;
        }
    }
    if !life.is_over() {
        life.calm_down(script);
    }
    life.open.clear();
    let mut truth = life.truth.borrow_mut();
    let mut endings = BTreeMap::new();
    for record in truth.accounts.values().filter_map(|account| account.record.as_ref()) {
        *endings.entry(record.state.clone()).or_default() += 1;
    }
    endings.insert("correction".to_owned(), truth.turns_about.len());
    Lived {
        endings,
        violation: truth.violation.take(),
        story: truth.story.take().unwrap_or_default(),
        dispatches: truth.dispatches,
        ticks: life.ticks,
    }
}

impl Life {
    fn begin(script: &Script, folder: &Path, narrate: bool, defect: Option<Defect>) -> Self {
        let mut truth = Truth::of(choices(script.policies));
        truth.story = narrate.then(Vec::new);
        let policy = &truth.choices[script.policy];
        truth.policy = Some(policy);
        truth.policies.push(policy);
        truth.excused = if script.apart == Apart::ByItsLock { &[] } else { &WITHOUT_A_LOCK };
        truth.tell(|| format!("seed {}, policy {}", script.seed, script.policy));
        for change in &policy.changes {
            truth.tell(|| format!("its rules are those of the shipped policy, but {change}"));
        }
        let mut chance = Chance::of(!script.seed);
        truth.repos = (0..script.size.repos).map(|repo| format!("acme/r{repo}")).collect();
        for number in 1..=script.size.issues {
            let repo = chance.of_these(&truth.repos);
            let reference = IssueRef { repo, number: number as u64 };
            let mut labels = Vec::new();
            if chance.one_in(3) {
                labels.push(format!("priority:{}", chance.below(4)));
            }
            let issue = Issue {
                reference: reference.clone(),
                title: "Mend it".to_owned(),
                body: "It is broken.".to_owned(),
                url: format!("https://sim.example/{number}"),
                author: Some(chance.of_these(&["mallory", "ada"]).to_owned()),
                status: IssueStatus::Open,
                labels,
                assignees: Vec::new(),
                created_at: truth.now - TimeDelta::hours(1),
                remembered: false,
            };
            let card =
                Card { issue, events: Vec::new(), edits: Vec::new(), comments: Vec::new(), blocked_by: Vec::new() };
            truth.cards.insert(reference, Rc::new(card));
        }
        let mut installations = vec![Installation::new(folder)];
        if script.apart == Apart::ByTwoLocks {
            installations.push(Installation::new(folder.join("another")));
        }
        Self {
            truth: Rc::new(RefCell::new(truth)),
            installations,
            turns: Chance::of(script.seed ^ 1),
            open: Vec::new(),
            ticks: 0,
            apart: script.apart,
            defect,
        }
    }

    fn is_over(&self) -> bool {
        self.truth.borrow().violation.is_some()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Tick(kind, calls) => {
                let installation = self.turns.below(self.installations.len());
                self.start(kind, installation);
                if let Some(place) = self.open.len().checked_sub(1) {
                    self.go(place, calls);
                }
            }
            // With two at work, the one that came first goes on, and they take turns.
            Step::Go(calls) => {
                if calls.is_none() {
                    while !self.open.is_empty() && !self.is_over() {
                        self.go(0, None);
                    }
                } else if !self.open.is_empty() {
                    self.open.rotate_left(1);
                    self.go(0, calls);
                }
            }
            Step::Fate(fate) => {
                if !self.open.is_empty() {
                    self.advance(0, fate);
                }
            }
            Step::Next(call, fate) => {
                self.truth.borrow_mut().next.insert(call, fate);
            }
            Step::Crash => self.crash(0, "is killed"),
            Step::Wait(seconds) => self.wait(seconds),
            Step::Person(act @ (Act::Stop | Act::StopOne | Act::UndoStop | Act::Abandon), pick) => {
                self.order(act, pick, (pick >> 24) as usize % self.installations.len());
            }
            Step::Person(act, pick) => self.truth.borrow_mut().person(act, pick),
            Step::Agent(deed, pick) => self.truth.borrow_mut().deed(deed, pick),
            Step::Ci(word, pick) => self.truth.borrow_mut().word(word, pick),
            Step::Outage(call, kind) => {
                let mut truth = self.truth.borrow_mut();
                truth.tell(|| format!("from now on {call} fails: {kind:?}"));
                truth.outages.insert(call, kind);
            }
            Step::Mend => {
                let mut truth = self.truth.borrow_mut();
                truth.tell(|| "everything answers again".to_owned());
                truth.outages.clear();
            }
            Step::Clock(ahead) => {
                let mut truth = self.truth.borrow_mut();
                truth.tell(|| format!("this machine's clock is set {ahead} s ahead"));
                truth.skew = TimeDelta::seconds(ahead);
            }
        }
    }

    /// Starts a tick as the command line does: policy, kill switch, lock.
    fn start(&mut self, kind: TickKind, installation: usize) {
        let mut truth = self.truth.borrow_mut();
        let Some(policy) = truth.policy else {
            return truth.tell(|| format!("afk {} finds a broken policy", kind.word()));
        };
        let off = truth.switched_off(installation).is_some() && !Defect::blind_to_the_switch(self.defect, kind);
        if off && kind == TickKind::Poll {
            return truth.tell(|| "afk poll finds the kill switch on".to_owned());
        }
        let lock = match self.installations[installation].lock() {
            Ok(Some(lock)) => Some(lock),
            _ if self.apart == Apart::Not || self.defect == Some(Defect::NoTickLock) => None,
            _ => return truth.tell(|| format!("afk {} finds another tick at work", kind.word())),
        };
        truth.tell(|| format!("afk {}", kind.word()));
        self.ticks += 1;
        let id = self.ticks;
        let eye = Eye {
            installation,
            policy,
            start: truth.snapshot(),
            versions: Vec::new(),
            permissions: vec![truth.permissions.clone()],
            stale: Vec::new(),
            newest: Default::default(),
            verdicts: Default::default(),
            rings: Vec::new(),
        };
        truth.eyes.insert(id, eye);
        let began = truth.now;
        drop(truth);
        let desk = Rc::new(RefCell::new(Desk::default()));
        let edge = Edge { truth: self.truth.clone(), desk: desk.clone(), tick: id };
        let world = self.world(&edge, kind, installation);
        let policy = if off { &policy.on } else { &policy.off };
        let mut open = OpenTick { id, kind, began, work: Box::pin(tick(kind, policy, world)), desk, _lock: lock };
        // To its first call.
        let ready = open.work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(ready, Poll::Pending, "a tick that makes no call");
        self.open.push(open);
    }

    fn world(&self, edge: &Edge, kind: TickKind, installation: usize) -> World {
        let blind = Defect::blind_to_the_switch(self.defect, kind);
        let truth = self.truth.clone();
        let bell = |name: &str| (name.to_owned(), Rc::new(Bell(edge.clone(), name.to_owned())) as Rc<dyn Notifier>);
        let keys =
            if self.defect == Some(Defect::TrustsByAssociation) { Vec::new() } else { vec![KEY.to_owned().into()] };
        let seal = Seal::new("sim", keys);
        let kill_switch: Box<dyn Fn() -> Option<String>> =
            Box::new(move || truth.borrow().switched_off(installation).filter(|_| !blind));
        let common = |tracker, code, ci, executor| World {
            tracker,
            code,
            ci,
            executors: [("t3".to_owned(), executor)].into(),
            doorbells: BELLS.map(bell).into(),
            clock: Rc::new(edge.clone()),
            seal,
            agent_logins: vec![ROBOT.to_owned()],
            installation: self.installations[installation].clone(),
            kill_switch,
            calls: Rc::default(),
            cost: Box::new(|| None),
        };
        match self.defect {
            None => {
                let edge = Rc::new(edge.clone());
                common(edge.clone(), edge.clone(), edge.clone(), edge)
            }
            Some(defect) => {
                let edge = Rc::new(Defective::new(edge.clone(), defect));
                common(edge.clone(), edge.clone(), edge.clone(), edge)
            }
        }
    }

    /// A tick goes on for so many calls, or to its end.
    fn go(&mut self, place: usize, calls: Option<u16>) {
        let id = self.open[place].id;
        let mut left = calls;
        while left != Some(0) && !self.is_over() {
            let Some(place) = self.open.iter().position(|open| open.id == id) else { return };
            if self.truth.borrow().now - self.open[place].began > TICK_DEADLINE {
                return self.crash(place, "runs into its deadline");
            }
            self.advance(place, Fate::Works);
            left = left.map(|left| left - 1);
        }
    }

    fn advance(&mut self, place: usize, fate: Fate) {
        let open = &mut self.open[place];
        open.desk.borrow_mut().fate = Some(fate);
        let ready = open.work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if ready.is_ready() {
            let open = self.open.remove(place);
            self.truth.borrow_mut().eyes.remove(&open.id);
        } else if open.desk.borrow().dead {
            self.crash(place, "is killed");
        }
    }

    fn crash(&mut self, place: usize, how: &str) {
        if self.open.is_empty() {
            return;
        }
        let open = self.open.remove(place);
        let mut truth = self.truth.borrow_mut();
        let at = open.desk.borrow().at.unwrap_or("its end");
        truth.tell(|| format!("      afk {} {how} at {at}", open.kind.word()));
        truth.disturb(open.id);
        truth.eyes.remove(&open.id);
    }

    fn wait(&mut self, seconds: i64) {
        let mut truth = self.truth.borrow_mut();
        truth.past = (seconds <= 60).then(|| truth.snapshot());
        truth.now += TimeDelta::seconds(seconds);
        let now = truth.now;
        let (due, later): (Vec<_>, Vec<_>) = truth.late.drain(..).partition(|(at, _)| *at <= now);
        truth.late = later;
        for (_, write) in due {
            truth.tell(|| "      what timed out takes effect now".to_owned());
            truth.apply(None, &write).ok();
        }
    }

    /// `afk stop` and `afk abandon`, which one installation is told, and which wait for no tick.
    fn order(&mut self, act: Act, pick: u32, installation: usize) {
        let mut truth = self.truth.borrow_mut();
        let now = truth.machine_time();
        let agents: Vec<_> = truth.agents.values().cloned().collect();
        let one = (!agents.is_empty()).then(|| agents[pick as usize % agents.len()].clone());
        let run = one.as_ref().map(|agent| agent.assignment.run);
        let mut interrupted = Vec::new();
        let given = self.installations[installation].give_orders(|orders| match act {
            Act::Stop => {
                orders.stopped_at.get_or_insert(now);
                interrupted.extend(agents.iter().map(|agent| agent.assignment.run));
            }
            Act::UndoStop => {
                orders.stopped_at = None;
                orders.stopped_runs.clear();
            }
            Act::StopOne => {
                orders.stopped_runs.extend(run);
                interrupted.extend(run);
            }
            _ => orders.abandoned.extend(run),
        });
        let given = std::pin::pin!(given).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(given, Poll::Ready(Ok(())));
        match act {
            Act::Stop => {
                truth.tell(|| "afk stop".to_owned());
                truth.stopped.insert(installation);
            }
            Act::UndoStop => {
                truth.tell(|| "afk stop --undo".to_owned());
                truth.stopped.remove(&installation);
            }
            Act::StopOne => {
                truth.tell(|| {
                    format!("afk stop --issue {}", one.map_or(String::new(), |one| one.assignment.issue.to_string()))
                });
            }
            _ => {
                truth.tell(|| {
                    format!("afk abandon, for {}", one.map_or(String::new(), |one| one.assignment.issue.to_string()))
                });
                truth.abandoned.extend(run);
            }
        }
        for run in interrupted {
            truth.apply(None, &crate::truth::Write::Interrupt { run }).ok();
        }
    }

    /// The world gets well, and stays as it is; whatever goes on must come to its end, and work go on after that.
    fn calm_down(&mut self, script: &Script) {
        self.take(Step::Go(None));
        if self.is_over() {
            return;
        }
        {
            let mut truth = self.truth.borrow_mut();
            truth.tell(|| "from now on everything works, and nobody does anything".to_owned());
            truth.outages.clear();
            truth.next.clear();
            truth.skew = TimeDelta::zero();
            truth.policy = Some(&truth.choices[script.policy]);
            (truth.switch_in_policy, truth.switch_in_environment) = (false, false);
            let runs: Vec<_> = truth.agents.keys().copied().collect();
            for run in runs {
                truth.agent(run).into_iter().for_each(|agent| agent.unreadable = false);
            }
            for role in [READY, IN_PROGRESS, HUMAN, PAUSED] {
                let renamed = format!("{role}-renamed");
                if truth.cards.values().any(|card| {
                    card.issue.labels.contains(&renamed) || card.events.iter().any(|event| event.label == renamed)
                }) {
                    truth.rename(&renamed, role);
                }
            }
        }
        for installation in 0..self.installations.len() {
            self.order(Act::UndoStop, 0, installation);
        }
        // Beyond every bound of the policy.
        self.take(Step::Wait(25 * 60 * 60));
        self.watch_to_the_end();
        if self.is_over() {
            return;
        }
        invariants::of_calm(&mut self.truth.borrow_mut());
        let overtaken = invariants::overtaken(&self.truth.borrow());
        self.work_goes_on(&overtaken);
        if !overtaken.is_empty() {
            self.watch_to_the_end();
            self.work_goes_on(&BTreeSet::new());
        }
    }

    fn watch_to_the_end(&mut self) {
        for _ in 0..TICKS_TO_END {
            if self.is_over() {
                return;
            }
            for installation in 0..self.installations.len() {
                self.start(TickKind::Watch, installation);
                self.take(Step::Go(None));
            }
            self.take(Step::Wait(61 * 60));
        }
    }

    fn work_goes_on(&mut self, but: &BTreeSet<String>) {
        if self.is_over() {
            return;
        }
        let before = self.truth.borrow().dispatches;
        self.take(Step::Tick(TickKind::Poll, None));
        if !self.is_over() {
            invariants::work_goes_on(&mut self.truth.borrow_mut(), before, but);
        }
    }
}

/// One tick, and the heartbeat that it leaves, as the command line does it.
async fn tick(kind: TickKind, policy: &'static afk::policy::Policy, world: World) {
    let known = |kind| world.installation.heartbeat(kind).ok().flatten().map(|beat| beat.in_flight);
    let in_flight = match Tick::begin(policy, &world).await {
        Err(_) => None,
        Ok(tick) => {
            let fleet = match kind {
                TickKind::Poll => poll::poll(&tick).await.map(|survey| survey.fleet),
                TickKind::Watch => watch::watch(&tick).await,
            };
            fleet.ok().map(|fleet| fleet.runs_in_flight().map(|run| run.reference.clone()).collect())
        }
    };
    let heartbeat = Heartbeat {
        tick: kind,
        at: world.clock.now(),
        revision: Some(policy.revision.clone()),
        result: "ok".to_owned(),
        problems: Vec::new(),
        calls: world.calls.get(),
        cost: None,
        // What was known before is still where to look.
        in_flight: in_flight.or_else(|| known(kind)).unwrap_or_default(),
    };
    world.installation.beat(&heartbeat).unwrap();
}
