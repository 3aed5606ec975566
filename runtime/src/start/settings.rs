//! The settings that a process is started with.

use super::{
    StartMethod, Stdio,
    identity::AuthKey,
    message::heritage::{self, Variable},
};
use crate::error::{Error, ErrorKind, Result};
use std::{
    collections::HashMap,
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::Duration,
};

/// The settings of a [`Builder`](crate::Builder). The attribute of the process decides about those
/// that are not set, and the defaults decide about the rest.
#[derive(Debug, Default)]
pub struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) daemon: Option<bool>,
    pub(crate) start_method: Option<StartMethod>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) authkey: Option<AuthKey>,
    pub(crate) env_clear: bool,
    /// The changes in the order in which they were asked for. `None` removes the variable.
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) stdin: Option<Stdio>,
    pub(crate) stdout: Option<Stdio>,
    pub(crate) stderr: Option<Stdio>,
    pub(crate) limits: Limits,
    pub(crate) subreaper: bool,
    pub(crate) kill_on_drop: Option<bool>,
    pub(crate) backtrace: Option<bool>,
}

/// The limits of the child. Those that are `None` stay as they are.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Limits {
    pub(crate) memory: Option<u64>,
    pub(crate) cpu_time: Option<Duration>,
    pub(crate) open_files: Option<u64>,
    pub(crate) nice: Option<i32>,
    pub(crate) affinity: Option<Vec<usize>>,
}

impl Settings {
    /// Checks that an environment can have these variables.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::new(ErrorKind::Setting, what));
        for (name, value) in &self.env {
            let bytes = name.as_bytes();
            if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) {
                return refuse(format!(
                    "its environment cannot have a variable named {}",
                    name.display()
                ));
            }
            if value
                .as_ref()
                .is_some_and(|value| value.as_bytes().contains(&0))
            {
                return refuse(format!(
                    "its environment cannot have a NUL in the value of {}",
                    name.display()
                ));
            }
        }
        Ok(())
    }

    /// Whether these settings change the environment.
    pub(super) fn changes_environment(&self) -> bool {
        self.env_clear || !self.env.is_empty()
    }

    /// Returns the environment of this process, with the changes of these settings.
    pub(super) fn environment(&self) -> Vec<Variable> {
        let inherited = env::vars_os();
        if self.changes_environment() {
            self.changed(inherited)
        } else {
            inherited.collect()
        }
    }

    /// Returns the same environment as one block.
    pub(super) fn environment_block(&self) -> Vec<u8> {
        if self.changes_environment() {
            heritage::block(self.environment())
        } else {
            heritage::block(env::vars_os())
        }
    }

    /// Changes an environment. A variable that gets another value keeps its place, and new ones
    /// come last. An environment may have a variable twice, but not one that these settings name.
    fn changed(&self, inherited: impl Iterator<Item = Variable>) -> Vec<Variable> {
        // The last change of a variable counts.
        let mut words: HashMap<&OsStr, (usize, Option<&OsString>)> = HashMap::new();
        for (place, (name, value)) in self.env.iter().enumerate() {
            words.entry(name).or_insert((place, None)).1 = value.as_ref();
        }
        let mut left = words.clone();
        let mut environment = Vec::new();
        for (name, value) in inherited.filter(|_| !self.env_clear) {
            if !words.contains_key(name.as_os_str()) {
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

    /// Takes from `defaults` what is not set here.
    pub(crate) fn or(self, defaults: Self) -> Self {
        Self {
            name: self.name.or(defaults.name),
            daemon: self.daemon.or(defaults.daemon),
            start_method: self.start_method.or(defaults.start_method),
            timeout: self.timeout.or(defaults.timeout),
            authkey: self.authkey.or(defaults.authkey),
            env_clear: self.env_clear || defaults.env_clear,
            env: defaults.env.into_iter().chain(self.env).collect(),
            current_dir: self.current_dir.or(defaults.current_dir),
            stdin: self.stdin.or(defaults.stdin),
            stdout: self.stdout.or(defaults.stdout),
            stderr: self.stderr.or(defaults.stderr),
            subreaper: self.subreaper || defaults.subreaper,
            kill_on_drop: self.kill_on_drop.or(defaults.kill_on_drop),
            backtrace: self.backtrace.or(defaults.backtrace),
            limits: Limits {
                memory: self.limits.memory.or(defaults.limits.memory),
                cpu_time: self.limits.cpu_time.or(defaults.limits.cpu_time),
                open_files: self.limits.open_files.or(defaults.limits.open_files),
                nice: self.limits.nice.or(defaults.limits.nice),
                affinity: self.limits.affinity.or(defaults.limits.affinity),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, Variable};

    fn variables(text: &str) -> Vec<Variable> {
        let words = text.split_whitespace();
        let pairs = words.filter_map(|word| word.split_once('='));
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn last_word_on_a_variable_counts() {
        let inherited = || variables("A=1 B=2 A=3 C=4 D=5").into_iter();
        let mut settings = Settings::default();
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
            settings.env.push((name.into(), value.map(Into::into)));
        }
        settings.env.push(("C".into(), None));
        assert_eq!(settings.changed(inherited()), variables("A=7 B=2 D=5 E=6"));
        settings.env.push(("A".into(), None));
        assert_eq!(settings.changed(inherited()), variables("B=2 D=5 E=6"));
        settings.env_clear = true;
        assert_eq!(settings.changed(inherited()), variables("E=6"));
    }
}
