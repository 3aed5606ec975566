//! The house in order: what is in a folder is in its manifest, and versions agree.

#![allow(missing_docs, reason = "a test")]

use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The names of the Rust files in a folder.
fn files(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// The files that a manifest names as paths of targets in a folder.
fn listed(manifest: &str, folder: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let paths = text
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
    paths
        .filter_map(|path| path.strip_prefix(folder))
        .filter(|path| !path.contains('/'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_file_is_listed_in_its_manifest() {
    assert_eq!(files("tests"), listed("tests/Cargo.toml", ""));
    assert_eq!(files("examples"), listed("examples/Cargo.toml", ""));
    let mut helpers = files("tests/helpers");
    // What two of the programs share.
    assert!(helpers.remove("acts.rs"));
    assert_eq!(helpers, listed("tests/Cargo.toml", "helpers/"));
}

#[test]
fn version_is_one_and_in_the_changelog() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = manifest
        .lines()
        .find(|line| line.starts_with("version = "))
        .unwrap();
    let version = line.trim_start_matches("version = ").trim_matches('"');
    assert_eq!(
        manifest
            .matches(&format!("version = \"={version}\""))
            .count(),
        2,
        "the crates pin each other"
    );
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(
        changelog
            .lines()
            .any(|line| line.starts_with("## ") && line.contains(version)),
        "no heading for {version}"
    );
}
