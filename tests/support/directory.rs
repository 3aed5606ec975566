//! Directories for what a test writes.

use nix::unistd::mkdtemp;
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// A directory that is removed with all that is in it.
#[derive(Debug)]
pub struct Directory(pub PathBuf);

impl Directory {
    /// Makes a directory that no other test has, and that none has left behind.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    #[expect(clippy::new_without_default, reason = "none is like another")]
    #[must_use]
    pub fn new() -> Self {
        Self::within(&env::temp_dir())
    }

    /// Makes such a directory in another one.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    #[must_use]
    pub fn within(folder: &Path) -> Self {
        Self(mkdtemp(&folder.join("procession-XXXXXX")).expect("there is room for it"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("it is there");
    }
}
