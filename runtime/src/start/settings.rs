//! What a process is started with, beside its arguments.

use super::{StartMethod, Stdio, heritage::Variable, identity::AuthKey};
use crate::error::{Error, ErrorKind, Result};
use std::{
    collections::HashMap,
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::Duration,
};

/// The settings of a [`Builder`](crate::Builder): what is none is left to the attribute, then to the default.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) daemon: Option<bool>,
    pub(crate) start_method: Option<StartMethod>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) authkey: Option<AuthKey>,
    pub(crate) env_clear: bool,
    /// Changes in the order in which they were asked for; `None` removes the variable.
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) stdin: Option<Stdio>,
    pub(crate) stdout: Option<Stdio>,
    pub(crate) stderr: Option<Stdio>,
    pub(crate) limits: Limits,
    pub(crate) subreaper: bool,
}

/// What the child may use; each is left as it is where it is none.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Limits {
    pub(crate) memory: Option<u64>,
    pub(crate) cpu_time: Option<Duration>,
    pub(crate) open_files: Option<u64>,
    pub(crate) nice: Option<i32>,
    pub(crate) affinity: Option<Vec<usize>>,
}

impl Settings {
    /// Makes sure that the environment can be what it is to be.
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

    /// Returns the environment of this process as these settings change it.
    ///
    /// The last word on a variable counts. One that is replaced stays in its place; those that are new come last. An environment
    /// may have a variable twice, though not through these settings.
    pub(super) fn environment(&self) -> Vec<Variable> {
        if !self.changes_environment() {
            return env::vars_os().collect();
        }
        let words = self.env.iter().enumerate();
        let words = words.map(|(place, (name, value))| (name.as_os_str(), (place, value.as_ref())));
        let last: HashMap<&OsStr, _> = words.collect();
        let mut left = last.clone();
        let mut environment = Vec::new();
        if !self.env_clear {
            for (name, value) in env::vars_os() {
                if !last.contains_key(name.as_os_str()) {
                    environment.push((name, value));
                } else if let Some((_, Some(value))) = left.remove(name.as_os_str()) {
                    environment.push((name, value.clone()));
                }
            }
        }
        let mut new: Vec<_> = left.into_iter().collect();
        new.sort_unstable_by_key(|(_, (place, _))| *place);
        let new = new.into_iter();
        environment
            .extend(new.filter_map(|(name, (_, value))| Some((name.to_owned(), value?.clone()))));
        environment
    }

    /// Fills in what is not set with what `defaults` has set.
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
