//! The changes that a setting makes to the environment of a child.

use super::message::heritage::{self, Variable};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::text,
};
use std::{
    collections::HashMap,
    env,
    ffi::{OsStr, OsString},
};

/// Changes to the environment that a child has from its parent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// Whether the child has nothing of its parent's environment.
    is_cleared: bool,
    /// The changes in the order in which they were asked for. `None` removes the variable.
    changes: Vec<(OsString, Option<OsString>)>,
}

impl Environment {
    /// Sets a variable, or removes it if there is no value.
    pub(crate) fn change(&mut self, name: OsString, value: Option<OsString>) {
        self.changes.push((name, value));
    }

    /// Removes all variables, also those that were set before.
    pub(crate) fn clear(&mut self) {
        self.is_cleared = true;
        self.changes.clear();
    }

    /// Adds changes that come after these.
    pub(super) fn then(mut self, later: Self) -> Self {
        if later.is_cleared {
            return later;
        }
        self.changes.extend(later.changes);
        self
    }

    /// Checks that an environment can have these variables.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::new(ErrorKind::Setting, what));
        for (name, value) in &self.changes {
            let bytes = text::bytes(name);
            if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) {
                return refuse(format!(
                    "its environment cannot have a variable named {}",
                    name.display()
                ));
            }
            if value
                .as_ref()
                .is_some_and(|value| text::bytes(value).contains(&0))
            {
                return refuse(format!(
                    "its environment cannot have a NUL in the value of {}",
                    name.display()
                ));
            }
        }
        Ok(())
    }

    /// Whether there is any change.
    pub(super) fn changes_anything(&self) -> bool {
        self.is_cleared || !self.changes.is_empty()
    }

    /// Returns the environment of this process, with the changes.
    pub(super) fn variables(&self) -> Vec<Variable> {
        let inherited = env::vars_os();
        if self.changes_anything() {
            self.changed(inherited)
        } else {
            inherited.collect()
        }
    }

    /// Returns the same environment as one block.
    pub(super) fn block(&self) -> Vec<u8> {
        if self.changes_anything() {
            heritage::block(self.variables())
        } else {
            heritage::block(env::vars_os())
        }
    }

    /// Changes an environment. A variable that gets another value keeps its place, and new ones
    /// come last. An environment may have a variable twice, but not one that is changed here.
    fn changed(&self, inherited: impl Iterator<Item = Variable>) -> Vec<Variable> {
        // The last change of a variable counts.
        let mut last: HashMap<&OsStr, (usize, Option<&OsString>)> = HashMap::new();
        for (place, (name, value)) in self.changes.iter().enumerate() {
            last.entry(name).or_insert((place, None)).1 = value.as_ref();
        }
        let mut left = last.clone();
        let mut environment = Vec::new();
        for (name, value) in inherited.filter(|_| !self.is_cleared) {
            if !last.contains_key(name.as_os_str()) {
                environment.push((name, value));
            } else if let Some((_, Some(value))) = left.remove(name.as_os_str()) {
                environment.push((name, value.clone()));
            }
        }
        let mut new: Vec<_> = left.into_iter().collect();
        new.sort_unstable_by_key(|(_, (place, _))| *place);
        for (name, (_, value)) in new {
            environment.extend(value.map(|value| (name.to_owned(), value.clone())));
        }
        environment
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, Variable};

    fn variables(text: &str) -> Vec<Variable> {
        let words = text.split_whitespace();
        let pairs = words.filter_map(|word| word.split_once('='));
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn last_change_of_a_variable_counts() {
        let inherited = || variables("A=1 B=2 A=3 C=4 D=5").into_iter();
        let mut settings = Environment::default();
        assert_eq!(
            settings.changed(inherited()),
            inherited().collect::<Vec<_>>()
        );
        for (name, value) in [
            ("E", Some("6")),
            ("A", None),
            ("A", Some("7")),
            ("C", Some("8")),
        ] {
            settings.change(name.into(), value.map(Into::into));
        }
        settings.change("C".into(), None);
        assert_eq!(settings.changed(inherited()), variables("A=7 B=2 D=5 E=6"));
        settings.change("A".into(), None);
        assert_eq!(settings.changed(inherited()), variables("B=2 D=5 E=6"));
        settings.is_cleared = true;
        assert_eq!(settings.changed(inherited()), variables("E=6"));
    }

    #[test]
    fn later_changes_come_last() {
        let set = |name: &str, value: &str| {
            let mut settings = Environment::default();
            settings.change(name.into(), Some(value.into()));
            settings
        };
        let inherited = || variables("A=1 B=2").into_iter();
        let both = set("A", "3").then(set("C", "4"));
        assert_eq!(both.changed(inherited()), variables("A=3 B=2 C=4"));
        let mut cleared = set("C", "4");
        cleared.clear();
        let both = cleared.then(set("D", "5"));
        assert_eq!(both.changed(inherited()), variables("D=5"));
        let mut cleared = set("C", "4");
        cleared.clear();
        let both = set("A", "3").then(cleared);
        assert_eq!(both.changed(inherited()), variables(""));
    }
}
