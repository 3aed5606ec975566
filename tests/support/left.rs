//! What a test may have left behind in its process.

use crate::alone::assert_alone;
use procession::stop_helper;
use std::{collections::BTreeSet, fs};

/// The open descriptors of this process, without those for its helper, which is stopped.
///
/// # Panics
///
/// When `/proc` is not mounted, and when other tests share this process.
#[must_use]
pub fn descriptors() -> BTreeSet<String> {
    assert_alone();
    stop_helper();
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let paths: Vec<_> = entries
        .map(|entry| entry.expect("the listing does not fail").path())
        .collect();
    // The listing had a descriptor of its own, which is gone now.
    let targets = paths
        .into_iter()
        .filter_map(|path| Some((fs::read_link(&path).ok()?, path)));
    targets
        .map(|(target, path)| format!("{} -> {}", path.display(), target.display()))
        .collect()
}

/// The children of this process, zombies included, by any of its threads, without its helper, which
/// is stopped.
///
/// # Panics
///
/// When `/proc` is not mounted, and when other tests share this process.
#[must_use]
pub fn child_ids() -> Vec<u32> {
    assert_alone();
    stop_helper();
    let mut ids = Vec::new();
    for task in fs::read_dir("/proc/self/task").expect("/proc is mounted") {
        // A thread may end meanwhile.
        let children = task
            .map(|task| task.path().join("children"))
            .and_then(fs::read_to_string);
        ids.extend(
            children
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    ids
}

/// What may not be left behind: descriptors, children, and how often shared memory is mapped.
///
/// # Panics
///
/// When `/proc` is not mounted, and when other tests share this process.
#[must_use]
pub fn holdings() -> (BTreeSet<String>, Vec<u32>, usize) {
    // First these: the helper has memory too, until it is stopped.
    let (descriptors, children) = (descriptors(), child_ids());
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let mappings = maps.matches("/memfd:procession").count();
    (descriptors, children, mappings)
}

/// How many threads of the library's there are; those of the test harness come and go.
///
/// # Panics
///
/// When `/proc` is not mounted, and when other tests share this process.
#[must_use]
pub fn threads() -> usize {
    assert_alone();
    let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    // A thread may end meanwhile.
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("procession")).count()
}
