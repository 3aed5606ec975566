//! Pythons of this machine, to talk to.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

/// An interpreter.
#[derive(Clone, Debug)]
pub struct Python {
    command: String,
    version: (u32, u32),
}

/// Returns `python3` and what the variable `TEST_PYTHONS` names, divided by colons. Says so where
/// there is none.
#[must_use]
pub fn pythons() -> Vec<Python> {
    let named = env::var("TEST_PYTHONS").unwrap_or_default();
    let commands = named.split(':').filter(|command| !command.is_empty());
    let found: Vec<_> = ["python3"]
        .into_iter()
        .chain(commands)
        .filter_map(Python::find)
        .collect();
    if found.is_empty() {
        eprintln!("there is no `python3` here: what would be said to it is not tested");
    }
    found
}

impl Python {
    fn find(command: &str) -> Option<Self> {
        let script = "import sys; print(*sys.version_info[:2])";
        let output = Command::new(command).args(["-c", script]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (major, minor) = text.trim().split_once(' ')?;
        Some(Self {
            command: command.to_owned(),
            version: (major.parse().ok()?, minor.parse().ok()?),
        })
    }

    /// Whether it knows the key by MD5 only.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.version < (3, 12)
    }

    /// Runs a program.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Running {
        let mut child = Command::new(&self.command)
            .args(["-c", program])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it has run before");
        let output = child.stdout.take().expect("it is piped");
        Running {
            child,
            output: BufReader::new(output),
        }
    }
}

/// A program that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Waits for a line of its output.
    ///
    /// # Panics
    ///
    /// When that is not UTF-8.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it is text");
        line.trim_end().to_owned()
    }

    /// Waits for its end, and returns the rest of its output.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[must_use]
    pub fn finish(mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("it is text");
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{status}: {rest}");
        rest.trim_end().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
