//! What a process is started with, beside its arguments.

use super::{StartMethod, Stdio, heritage::Variable, identity::AuthKey};
use crate::error::{Error, ErrorKind, Result};
use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::PathBuf, time::Duration};

/// The settings of a [`Builder`](crate::Builder): what is none is left to the attribute, then to the default.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) daemon: Option<bool>,
    pub(crate) start_method: Option<StartMethod>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) authkey: Option<AuthKey>,
    pub(crate) env_clear: bool,
    /// Changes in the order they were asked for; none removes.
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

    /// Returns what these settings make of an environment.
    pub(super) fn environment(&self, inherited: &[Variable]) -> Vec<Variable> {
        let mut environment = if self.env_clear {
            Vec::new()
        } else {
            inherited.to_vec()
        };
        for (name, value) in &self.env {
            let place = environment.iter().position(|(other, _)| other == name);
            match (place, value) {
                (Some(place), Some(value)) => environment[place].1.clone_from(value),
                (Some(place), None) => drop(environment.remove(place)),
                (None, Some(value)) => environment.push((name.clone(), value.clone())),
                (None, None) => {}
            }
        }
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
