//! stub
use super::{Child, Process};
use crate::error::Result;
use std::time::Duration;
/// stub
#[derive(Debug, Default)]
pub struct Builder {}
impl Builder {
    /// .
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
    /// .
    #[must_use]
    pub fn name(self, _name: impl Into<String>) -> Self {
        self
    }
    /// .
    #[must_use]
    pub fn daemon(self, _daemon: bool) -> Self {
        self
    }
    /// .
    #[must_use]
    pub fn start_method(self, _m: crate::StartMethod) -> Self {
        self
    }
    /// .
    #[must_use]
    pub fn timeout(self, _t: Duration) -> Self {
        self
    }
    /// .
    #[must_use]
    pub fn memory_limit(self, _t: u64) -> Self {
        self
    }
    /// .
    #[must_use]
    pub fn cpu_time_limit(self, _t: Duration) -> Self {
        self
    }
    /// .
    #[must_use]
    pub fn open_files_limit(self, _t: u64) -> Self {
        self
    }
    /// .
    #[must_use]
    pub fn nice(self, _t: i32) -> Self {
        self
    }
    /// .
    pub fn spawn<P: Process>(self, _process: P) -> Result<Child<P::Output>> {
        unimplemented!()
    }
}
