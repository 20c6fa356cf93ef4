//! Sets of inputs as decision diagrams: exact, and equal sets are the same diagram.
//!
//! An input is one value for each of finitely many variables. A [`Region`] is a set of inputs, held as a directed graph
//! that asks one variable after the other, in a fixed order, and branches by ranges of its values. The graph is
//! reduced and shared, so two regions are equal exactly when their handles are.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use foldhash::fast::FixedState;

/// Hashed the same in every run: the keys are ours, nobody can choose them to collide.
type Table<K, V> = HashMap<K, V, FixedState>;

/// A set of inputs; a handle into the [`Diagrams`] that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(u32);

impl Region {
    /// No input.
    pub const NOTHING: Self = Self(0);
    /// Every input.
    pub const EVERYTHING: Self = Self(1);

    /// Whether no input is in it.
    pub fn is_empty(self) -> bool {
        self == Self::NOTHING
    }
}

/// A variable by its place in the order; earlier ones are asked first.
pub type Variable = usize;
/// A value of a variable, counted from 0.
pub type Value = u32;

/// From this value on, up to the start of the next branch.
type Branch = (Value, Region);

/// The branches of a region by one variable; most regions do not ask most variables.
enum Branches {
    Asked(Rc<[Branch]>),
    NotAsked([Branch; 1]),
}

impl std::ops::Deref for Branches {
    type Target = [Branch];

    fn deref(&self) -> &[Branch] {
        match self {
            Self::Asked(branches) => branches,
            Self::NotAsked(one) => one,
        }
    }
}

#[derive(Debug)]
struct Node {
    variable: Variable,
    /// Ascending; the first starts at 0; neighbours differ.
    branches: Rc<[Branch]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    And,
    Or,
    Without,
}

impl Operation {
    /// The result where it needs no look inside.
    fn shortcut(self, left: Region, right: Region) -> Option<Region> {
        use Region as R;
        match (self, left, right) {
            (Self::And | Self::Or, left, right) if left == right => Some(left),
            (Self::Without, left, right) if left == right => Some(R::NOTHING),
            (Self::And, R::NOTHING, _) | (Self::And, _, R::NOTHING) => Some(R::NOTHING),
            (Self::And, R::EVERYTHING, other) | (Self::And, other, R::EVERYTHING) => Some(other),
            (Self::Or, R::EVERYTHING, _) | (Self::Or, _, R::EVERYTHING) => Some(R::EVERYTHING),
            (Self::Or, R::NOTHING, other) | (Self::Or, other, R::NOTHING) => Some(other),
            (Self::Without, R::NOTHING, _) | (Self::Without, _, R::EVERYTHING) => Some(R::NOTHING),
            (Self::Without, left, R::NOTHING) => Some(left),
            _ => None,
        }
    }
}

/// What a usual policy comes to: tables of this size need not grow.
const USUAL_NODES: usize = 1_024;

/// The store of all regions of one question. Work is bounded: once `steps` are used up, results mean nothing any more
/// and [`Diagrams::exceeded`] says so.
#[derive(Debug)]
pub struct Diagrams {
    nodes: Vec<Node>,
    /// For each variable the regions that ask it first, by their branches.
    known: Vec<Table<Rc<[Branch]>, Region>>,
    results: Table<(Operation, Region, Region), Region>,
    met: Table<(Region, Region), bool>,
    /// Branches of the nodes that are being made, one behind the other.
    scratch: Vec<Branch>,
    steps: u32,
}

impl Diagrams {
    /// An empty store that does at most `steps` units of work.
    pub fn new(steps: u32) -> Self {
        Self {
            nodes: Vec::with_capacity(USUAL_NODES),
            known: Vec::new(),
            results: Table::with_capacity_and_hasher(USUAL_NODES, FixedState::default()),
            met: Table::with_capacity_and_hasher(USUAL_NODES, FixedState::default()),
            scratch: Vec::new(),
            steps,
        }
    }

    /// Whether the bound was reached: then no result may be believed.
    pub fn exceeded(&self) -> bool {
        self.steps == 0
    }

    /// How much work may still be done.
    pub fn left(&self) -> u32 {
        self.steps
    }

    /// Counts work done elsewhere on regions of this store; `false` once the bound is reached.
    pub fn spend(&mut self, steps: u32) -> bool {
        self.steps = self.steps.saturating_sub(steps);
        !self.exceeded()
    }

    /// The inputs whose `variable` has a value for which `wanted` says yes; `size` values are asked.
    pub fn values(&mut self, variable: Variable, size: Value, wanted: impl Fn(Value) -> bool) -> Region {
        if !self.spend(size.div_euclid(8)) {
            return Region::NOTHING;
        }
        let region = |value| if wanted(value) { Region::EVERYTHING } else { Region::NOTHING };
        let branches = (0..size).map(|value| (value, region(value))).collect();
        self.node(variable, branches)
    }

    /// The inputs whose `variable` has this value, of `size` values.
    pub fn is(&mut self, variable: Variable, size: Value, value: Value) -> Region {
        // A range that no value lies in would make a region that is never empty.
        let after = value.saturating_add(1);
        let branches = [(0, Region::NOTHING), (value, Region::EVERYTHING), (after, Region::NOTHING)];
        let branches = branches.into_iter().skip(usize::from(value == 0)).take_while(|(start, _)| *start < size);
        self.node(variable, branches.collect())
    }

    /// The inputs that are in the region which `chosen` gives for their value of `variable`; `size` values are asked.
    /// What it gives must ask later variables only.
    pub fn by_value(&mut self, variable: Variable, size: Value, chosen: impl Fn(&mut Self, Value) -> Region) -> Region {
        let branches = (0..size).map(|value| (value, chosen(self, value))).collect();
        self.node(variable, branches)
    }

    /// In both.
    pub fn and(&mut self, left: Region, right: Region) -> Region {
        self.combine(Operation::And, left.min(right), left.max(right))
    }

    /// Whether any input is in both: cheaper than building what is.
    pub fn meet(&mut self, left: Region, right: Region) -> bool {
        let (left, right) = (left.min(right), left.max(right));
        if let Some(region) = Operation::And.shortcut(left, right) {
            return !region.is_empty();
        }
        let known = self.results.get(&(Operation::And, left, right));
        if let Some(met) = known.map(|region| !region.is_empty()).or_else(|| self.met.get(&(left, right)).copied()) {
            return met;
        }
        if !self.spend(1) {
            return false;
        }
        let variable = self.variable(left).min(self.variable(right));
        let (lefts, rights) = (self.branches(left, variable), self.branches(right, variable));
        let met = side_by_side(&lefts, &rights).any(|(_, left, right)| self.meet(left, right));
        self.met.insert((left, right), met);
        met
    }

    /// In one of the two, or in both.
    pub fn or(&mut self, left: Region, right: Region) -> Region {
        self.combine(Operation::Or, left.min(right), left.max(right))
    }

    /// In the first and not in the second.
    pub fn without(&mut self, left: Region, right: Region) -> Region {
        self.combine(Operation::Without, left, right)
    }

    /// In none.
    pub fn not(&mut self, region: Region) -> Region {
        self.combine(Operation::Without, Region::EVERYTHING, region)
    }

    /// In all of them.
    pub fn all(&mut self, regions: impl IntoIterator<Item = Region>) -> Region {
        regions.into_iter().fold(Region::EVERYTHING, |all, one| self.and(all, one))
    }

    /// In any of them.
    pub fn any(&mut self, regions: impl IntoIterator<Item = Region>) -> Region {
        regions.into_iter().fold(Region::NOTHING, |any, one| self.or(any, one))
    }

    fn combine(&mut self, operation: Operation, left: Region, right: Region) -> Region {
        if let Some(region) = operation.shortcut(left, right) {
            return region;
        }
        if let Some(region) = self.results.get(&(operation, left, right)) {
            return *region;
        }
        if !self.spend(1) {
            return Region::NOTHING;
        }
        let variable = self.variable(left).min(self.variable(right));
        let (lefts, rights) = (self.branches(left, variable), self.branches(right, variable));
        if !self.spend(u32::try_from(lefts.len().saturating_add(rights.len())).unwrap_or(u32::MAX)) {
            return Region::NOTHING;
        }
        let made = self.scratch.len();
        for (start, left, right) in side_by_side(&lefts, &rights) {
            let branch = (start, self.combine(operation, left, right));
            self.push(made, branch);
        }
        let region = self.pop_node(variable, made);
        self.results.insert((operation, left, right), region);
        region
    }

    /// The region where `variable` is known to have `value`; the result does not ask it any more.
    pub fn given(&mut self, region: Region, variable: Variable, value: Value) -> Region {
        self.rebuild(region, variable, &mut Table::default(), &|_, branches| {
            let before = branches.iter().rev().find(|(start, _)| *start <= value);
            before.map_or(Region::NOTHING, |(_, region)| *region)
        })
    }

    /// The inputs that are in the region for some value of `variable`.
    pub fn for_some(&mut self, region: Region, variable: Variable) -> Region {
        self.rebuild(region, variable, &mut Table::default(), &|diagrams, branches| {
            branches.iter().fold(Region::NOTHING, |any, (_, one)| diagrams.or(any, *one))
        })
    }

    /// Replaces each node of `variable` by what `change` makes of its branches.
    fn rebuild(
        &mut self,
        region: Region,
        variable: Variable,
        done: &mut Table<Region, Region>,
        change: &dyn Fn(&mut Self, &[Branch]) -> Region,
    ) -> Region {
        let asked = self.variable(region);
        if asked > variable {
            return region;
        }
        if let Some(result) = done.get(&region) {
            return *result;
        }
        let branches = self.branches(region, asked);
        if !self.spend(u32::try_from(branches.len()).unwrap_or(u32::MAX)) {
            return Region::NOTHING;
        }
        let result = if asked == variable {
            change(self, &branches)
        } else {
            let rebuilt =
                branches.iter().map(|(start, one)| (*start, self.rebuild(*one, variable, done, change))).collect();
            self.node(asked, rebuilt)
        };
        done.insert(region, result);
        result
    }

    /// The variables that decide whether an input is in the region, ascending.
    pub fn support(&self, region: Region) -> Vec<Variable> {
        let mut seen = HashSet::new();
        let mut open = vec![region];
        let mut variables = BTreeSet::new();
        while let Some(region) = open.pop() {
            if let Some(node) = self.get(region).filter(|_| seen.insert(region)) {
                variables.insert(node.variable);
                open.extend(node.branches.iter().map(|(_, region)| *region));
            }
        }
        variables.into_iter().collect()
    }

    /// The cheapest input of a region: a value for every variable that the cheapest way through asks; `None` of an
    /// empty one. `price` gives the cheapest value of a variable in a range, both ends included (`None`: up to its
    /// last value), and what it costs; a variable that is not asked costs nothing.
    pub fn cheapest(
        &self,
        region: Region,
        price: &dyn Fn(Variable, Value, Option<Value>) -> (Value, u64),
    ) -> Option<Vec<(Variable, Value)>> {
        let mut best = HashMap::new();
        self.cost(region, price, &mut best)?;
        let mut path = Vec::new();
        let mut at = region;
        while let (Some(node), Some(Some((_, value, next)))) = (self.get(at), best.get(&at)) {
            path.push((node.variable, *value));
            at = *next;
        }
        Some(path)
    }

    fn cost(
        &self,
        region: Region,
        price: &dyn Fn(Variable, Value, Option<Value>) -> (Value, u64),
        best: &mut HashMap<Region, Option<(u64, Value, Region)>>,
    ) -> Option<u64> {
        let Some(node) = self.get(region) else {
            return (region == Region::EVERYTHING).then_some(0);
        };
        if let Some(known) = best.get(&region) {
            return known.map(|(cost, ..)| cost);
        }
        let mut cheapest: Option<(u64, Value, Region)> = None;
        let mut branches = node.branches.iter().peekable();
        while let Some((start, next)) = branches.next() {
            let last = branches.peek().map(|(start, _)| start.saturating_sub(1));
            let Some(rest) = self.cost(*next, price, best) else { continue };
            let (value, own) = price(node.variable, *start, last);
            let cost = own.saturating_add(rest);
            if cheapest.is_none_or(|(least, ..)| cost < least) {
                cheapest = Some((cost, value, *next));
            }
        }
        best.insert(region, cheapest);
        cheapest.map(|(cost, ..)| cost)
    }

    fn get(&self, region: Region) -> Option<&Node> {
        let index = usize::try_from(region.0).ok()?.checked_sub(2)?;
        self.nodes.get(index)
    }

    fn variable(&self, region: Region) -> Variable {
        self.get(region).map_or(Variable::MAX, |node| node.variable)
    }

    fn branches(&self, region: Region, variable: Variable) -> Branches {
        match self.get(region) {
            Some(node) if node.variable == variable => Branches::Asked(Rc::clone(&node.branches)),
            _ => Branches::NotAsked([(0, region)]),
        }
    }

    fn node(&mut self, variable: Variable, branches: Vec<Branch>) -> Region {
        let start = self.scratch.len();
        branches.into_iter().for_each(|branch| self.push(start, branch));
        self.pop_node(variable, start)
    }

    /// Adds a branch to the node that is being made, unless it goes where the one before it goes.
    fn push(&mut self, start: usize, branch: Branch) {
        let last = self.scratch.get(start..).and_then(<[Branch]>::last);
        if last.is_none_or(|(_, region)| *region != branch.1) {
            self.scratch.push(branch);
        }
    }

    /// Ends the node whose branches were pushed from `start` on.
    fn pop_node(&mut self, variable: Variable, start: usize) -> Region {
        let region = self.region_of(variable, start);
        self.scratch.truncate(start);
        region
    }

    fn region_of(&mut self, variable: Variable, start: usize) -> Region {
        let branches = self.scratch.get(start..).unwrap_or_default();
        if let [(_, only)] = branches {
            return *only;
        }
        if self.known.len() <= variable {
            self.known.resize_with(variable.saturating_add(1), Table::default);
        }
        let Some(known) = self.known.get_mut(variable) else { return Region::NOTHING };
        if let Some(region) = known.get(branches) {
            return *region;
        }
        let Some(region) = u32::try_from(self.nodes.len()).ok().and_then(|index| index.checked_add(2)).map(Region)
        else {
            self.steps = 0;
            return Region::NOTHING;
        };
        let branches: Rc<[Branch]> = branches.into();
        known.insert(Rc::clone(&branches), region);
        self.nodes.push(Node { variable, branches });
        region
    }
}

/// Two lists of branches cut at the starts of both.
fn side_by_side<'b>(lefts: &'b [Branch], rights: &'b [Branch]) -> impl Iterator<Item = (Value, Region, Region)> + 'b {
    let (mut lefts, mut rights) = (lefts.iter().peekable(), rights.iter().peekable());
    let (mut left, mut right) = (Region::NOTHING, Region::NOTHING);
    std::iter::from_fn(move || {
        let start = match (lefts.peek(), rights.peek()) {
            (None, None) => return None,
            (Some((start, _)), None) | (None, Some((start, _))) => *start,
            (Some((one, _)), Some((other, _))) => (*one).min(*other),
        };
        if let Some((_, region)) = lefts.next_if(|(at, _)| *at == start) {
            left = *region;
        }
        if let Some((_, region)) = rights.next_if(|(at, _)| *at == start) {
            right = *region;
        }
        Some((start, left, right))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    /// How many values each variable has.
    const SIZES: [Value; 4] = [2, 3, 4, 2];

    type Input = [Value; 4];

    fn inputs() -> impl Iterator<Item = Input> {
        (0..SIZES.iter().product()).map(|mut number: Value| {
            SIZES.map(|size| {
                let value = number % size;
                number /= size;
                value
            })
        })
    }

    fn contains(diagrams: &Diagrams, region: Region, input: Input) -> bool {
        let mut at = region;
        while let Some(node) = diagrams.get(at) {
            let branch = node.branches.iter().rev().find(|(start, _)| *start <= input[node.variable]);
            at = branch.unwrap().1;
        }
        at == Region::EVERYTHING
    }

    fn members(diagrams: &Diagrams, region: Region) -> BTreeSet<Input> {
        inputs().filter(|input| contains(diagrams, region, *input)).collect()
    }

    /// A set, built from its members one by one.
    fn region(diagrams: &mut Diagrams, set: &BTreeSet<Input>) -> Region {
        let each: Vec<Region> = set
            .iter()
            .map(|input| {
                let parts: Vec<Region> =
                    (0..4).map(|variable| diagrams.is(variable, SIZES[variable], input[variable])).collect();
                diagrams.all(parts)
            })
            .collect();
        diagrams.any(each)
    }

    fn sets() -> impl Strategy<Value = BTreeSet<Input>> {
        let all: Vec<Input> = inputs().collect();
        let most = all.len();
        prop::sample::subsequence(all, 0..=most).prop_map(|some| some.into_iter().collect())
    }

    proptest! {
        #[test]
        fn operations_on_regions_are_those_on_sets(one in sets(), other in sets()) {
            let mut diagrams = Diagrams::new(u32::MAX);
            let (left, right) = (region(&mut diagrams, &one), region(&mut diagrams, &other));
            prop_assert_eq!(&members(&diagrams, left), &one);
            prop_assert_eq!(diagrams.meet(left, right), !one.is_disjoint(&other));
            let both = diagrams.and(left, right);
            prop_assert_eq!(&members(&diagrams, both), &(&one & &other));
            let any = diagrams.or(left, right);
            prop_assert_eq!(&members(&diagrams, any), &(&one | &other));
            let rest = diagrams.without(left, right);
            prop_assert_eq!(&members(&diagrams, rest), &(&one - &other));
            // Equal sets are the same region, however they came about.
            for (made, set) in [(both, &one & &other), (any, &one | &other), (rest, &one - &other)] {
                prop_assert_eq!(made, region(&mut diagrams, &set));
                prop_assert_eq!(made.is_empty(), set.is_empty());
            }
            let not = diagrams.not(left);
            prop_assert_eq!(diagrams.not(not), left);
        }

        #[test]
        fn a_variable_can_be_given_or_let_go(set in sets(), variable in 0_usize..4) {
            let mut diagrams = Diagrams::new(u32::MAX);
            let whole = region(&mut diagrams, &set);
            let with = |input: &Input, value| { let mut input = *input; input[variable] = value; input };
            for value in 0..SIZES[variable] {
                let given = diagrams.given(whole, variable, value);
                let wanted = inputs().filter(|input| set.contains(&with(input, value))).collect();
                prop_assert_eq!(members(&diagrams, given), wanted);
                prop_assert!(!diagrams.support(given).contains(&variable));
            }
            let some = diagrams.for_some(whole, variable);
            let wanted = inputs().filter(|input| (0..SIZES[variable]).any(|value| set.contains(&with(input, value))));
            prop_assert_eq!(members(&diagrams, some), wanted.collect());
        }

        #[test]
        fn the_cheapest_input_is_in_the_region_and_none_is_cheaper(set in sets(), usual in [0_u32..2, 0..3, 0..4, 0..2]) {
            let mut diagrams = Diagrams::new(u32::MAX);
            let whole = region(&mut diagrams, &set);
            let price = |variable: Variable, first: Value, last: Option<Value>| {
                let usual = usual[variable];
                if (first..=last.unwrap_or(Value::MAX)).contains(&usual) { (usual, 0) } else { (first, 2) }
            };
            let cost = |input: &Input| (0..4).filter(|variable| input[*variable] != usual[*variable]).count();
            let Some(path) = diagrams.cheapest(whole, &price) else {
                prop_assert!(set.is_empty());
                return Ok(());
            };
            let mut input = usual;
            for (variable, value) in path {
                input[variable] = value;
            }
            prop_assert!(set.contains(&input));
            prop_assert_eq!(Some(cost(&input)), set.iter().map(cost).min());
        }
    }

    #[test]
    fn work_that_runs_out_is_noticed() {
        let mut diagrams = Diagrams::new(3);
        let (one, other) = (diagrams.is(0, 2, 1), diagrams.is(1, 3, 2));
        let both = diagrams.and(one, other);
        diagrams.or(both, one);
        assert!(diagrams.exceeded());
        assert_eq!(diagrams.left(), 0);
    }
}
