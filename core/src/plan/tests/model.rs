//! A registry in memory, which gives facts as sparingly as the catalog does.

use std::collections::{HashMap, HashSet};

use crate::directive::Pair;
use crate::naming::{Naming, ReleaseName};
use crate::order::Ordering;
use crate::plan::*;

pub use super::requests::*;

#[derive(Debug, Clone)]
pub struct Model {
    pub ordering: Ordering,
    pub allow_down: bool,
    /// In key order.
    pub registry: Vec<Entry>,
    /// Oldest position first.
    pub applied: Vec<String>,
    pub unfinished: Option<Unfinished>,
    /// For each accepted migration what was applied after its place when it was reviewed, and is so still.
    pub reviewed: HashMap<String, HashSet<String>>,
}

impl Model {
    pub fn new(ordering: Ordering, names: &[&str]) -> Self {
        let mut model = Model {
            ordering,
            allow_down: true,
            registry: Vec::new(),
            applied: Vec::new(),
            unfinished: None,
            reviewed: HashMap::new(),
        };
        model.register(names);
        model
    }

    pub fn register(&mut self, names: &[&str]) {
        let naming = Naming::detect(names.iter().copied());
        for name in names {
            if self.find(name).is_some() {
                continue;
            }
            let release = ReleaseName::parse(name).ok();
            self.registry.push(Entry {
                id: self.registry.len() as i64,
                name: (*name).to_owned(),
                key: naming.sort_key(name).unwrap(),
                requires: Vec::new(),
                pair: None,
                reversible: true,
                phase: release.as_ref().map(|parts| parts.phase),
                release: release.map(|parts| parts.release),
                up_transaction: true,
                acceptance: None,
            });
        }
        self.registry.sort_by(|a, b| a.key.cmp(&b.key));
    }

    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.registry.iter().find(|entry| entry.name == name)
    }

    pub fn edit(&mut self, name: &str) -> &mut Entry {
        let found = self.registry.iter_mut().find(|entry| entry.name == name);
        found.unwrap()
    }

    pub fn pair(&mut self, name: &str, partner: &str, indivisible: bool) {
        self.edit(name).pair = Some(Pair {
            name: partner.to_owned(),
            indivisible,
        });
    }

    pub fn is_applied(&self, name: &str) -> bool {
        self.applied.iter().any(|applied| applied == name)
    }

    /// What is applied and sorts after an entry; for one that is applied, only what was applied before it.
    fn later<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a String> {
        self.applied
            .iter()
            .take_while(|name| **name != entry.name)
            .filter(|name| self.find(name).unwrap().key > entry.key)
    }

    /// A review lets the late migration run after all that is applied now.
    pub fn accept(&mut self, name: &str) {
        let entry = self.find(name).unwrap();
        let covered = self.later(entry).cloned().collect();
        self.reviewed.insert(name.to_owned(), covered);
    }

    /// The entry with what became of its review.
    fn entry(&self, entry: &Entry) -> Entry {
        let acceptance = self.reviewed.get(&entry.name).map(|covered| {
            Box::new(match self.later(entry).all(|name| covered.contains(name)) {
                true => Acceptance::Holds {
                    by: "reviewer".to_owned(),
                    reason: "agreed".to_owned(),
                },
                false => Acceptance::Overtaken {
                    after: "another".to_owned(),
                },
            })
        });
        Entry {
            acceptance,
            ..entry.clone()
        }
    }

    pub fn facts(&self, request: &Request) -> Facts {
        let listed = self.listed(request);
        let pending: Vec<Entry> = self
            .registry
            .iter()
            .filter(|entry| !self.is_applied(&entry.name))
            .map(|entry| self.entry(entry))
            .collect();
        let newest = |names: &mut dyn Iterator<Item = &String>| {
            names
                .map(|name| (name.clone(), self.find(name).unwrap().key.clone()))
                .max_by(|a, b| a.1.cmp(&b.1))
        };
        let listed_names: HashSet<&str> = listed.iter().map(|e| e.name.as_str()).collect();
        let mut standing = HashMap::new();
        let mentioned = pending
            .iter()
            .chain(&listed)
            .flat_map(|e| e.requires.iter());
        for name in mentioned.map(String::as_str).chain(request.target_name()) {
            if self.find(name).is_some() {
                standing.insert(name.to_owned(), self.standing(name));
            }
        }
        Facts {
            ordering: self.ordering,
            allow_down: self.allow_down,
            newest_applied: newest(&mut self.applied.iter()),
            newest_unlisted: newest(
                &mut self
                    .applied
                    .iter()
                    .filter(|n| !listed_names.contains(n.as_str())),
            ),
            applied_requirers: self
                .applied
                .iter()
                .map(|name| (name.clone(), self.find(name).unwrap().requires.clone()))
                .filter(|(_, requires)| !requires.is_empty())
                .collect(),
            applied_indivisible: self.pairs(),
            unfinished: self.unfinished.clone(),
            naming: Some(Naming::detect(
                self.registry.iter().map(|e| e.name.as_str()),
            )),
            last_registered: self.registry.last().map(|entry| entry.name.clone()),
            pending,
            applied: listed,
            standing,
        }
    }

    fn standing(&self, name: &str) -> Standing {
        if self.is_applied(name) {
            Standing::Applied
        } else {
            Standing::Pending
        }
    }

    /// The applied entries that the request wants, newest first.
    fn listed(&self, request: &Request) -> Vec<Entry> {
        let newest = self.applied.iter().rev();
        let names: Vec<&String> = match request.applied_wanted() {
            AppliedWanted::Nothing => Vec::new(),
            AppliedWanted::Newest(steps) => newest.take(steps as usize).collect(),
            AppliedWanted::NewerThan(name) if self.is_applied(&name) => {
                newest.take_while(|other| **other != name).collect()
            }
            AppliedWanted::NewerThan(_) => Vec::new(),
            AppliedWanted::All => newest.collect(),
        };
        let entries = names.into_iter().map(|name| self.find(name).unwrap());
        entries.map(|entry| self.entry(entry)).collect()
    }

    fn pairs(&self) -> Vec<AppliedPair> {
        let depth = |name: &str| {
            let at = self.applied.iter().position(|applied| applied == name);
            at.map(|at| (self.applied.len() - at) as u32)
        };
        let declared = self.registry.iter().filter_map(|entry| {
            let pair = entry.pair.as_ref().filter(|pair| pair.indivisible)?;
            let (own, other) = (depth(&entry.name)?, depth(&pair.name)?);
            Some(AppliedPair {
                name: entry.name.clone(),
                partner: pair.name.clone(),
                steps_for_both: own.max(other),
            })
        });
        declared.collect()
    }

    pub fn plan(&self, request: &Request) -> Plan {
        plan(request, &self.facts(request)).unwrap()
    }

    pub fn error(&self, request: &Request) -> PlanError {
        plan(request, &self.facts(request)).unwrap_err()
    }

    /// Runs a plan as the caller does: refused as a whole if a step has an obstacle.
    pub fn run(&mut self, request: &Request) -> Result<Vec<String>, Obstacle> {
        let plan = self.plan(request);
        if let Some((_, obstacle)) = plan.first_obstacle() {
            return Err(obstacle.clone());
        }
        for step in &plan.steps {
            self.take(step);
        }
        Ok(shown(&plan))
    }

    pub fn take(&mut self, step: &PlannedStep) {
        let name = &step.entry.name;
        match step.direction {
            Direction::Up => {
                assert!(!self.is_applied(name), "{name} applied twice");
                self.applied.push(name.clone());
                for covered in self.reviewed.values_mut() {
                    covered.remove(name);
                }
            }
            Direction::Down => {
                assert!(self.is_applied(name), "{name} reverted and not applied");
                self.applied.retain(|applied| applied != name);
            }
        }
        if self
            .unfinished
            .as_ref()
            .is_some_and(|begun| begun.name == *name)
        {
            self.unfinished = None;
        }
    }

    pub fn applied_set(&self) -> HashSet<String> {
        self.applied.iter().cloned().collect()
    }
}

/// `up 1`, `down 2`, ...
pub fn shown(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter();
    steps
        .map(|step| format!("{} {}", step.direction, step.entry.name))
        .collect()
}

pub fn obstacles(plan: &Plan) -> Vec<Option<Obstacle>> {
    plan.steps
        .iter()
        .map(|step| step.obstacle.clone())
        .collect()
}
