//! The same program, built in other ways: it is compiled anew for each.

#![allow(missing_docs, reason = "a test")]

use procession_tests::within;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Compiling takes its time, on a machine that does other things as well.
const DEADLINE: Duration = Duration::from_secs(600);

/// Builds the helper programs with these options and flags, and returns where they are.
fn build(name: &str, options: &[&str], flags: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(env!("CARGO"));
    command
        .args([
            "build",
            "--quiet",
            "--offline",
            "--package",
            "procession-tests",
            "--bin",
            "plain",
            "--bin",
            "deferred",
        ])
        .args(options)
        .arg("--target-dir")
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RUSTFLAGS", flags)
        // The macros are instrumented as well, and write what they have seen of the compiler.
        .env("LLVM_PROFILE_FILE", target.join("macros-%m.profraw"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    assert!(within(DEADLINE, || command.status().unwrap()).success());
    let release = options.contains(&"--release");
    target.join(if release { "release" } else { "debug" })
}

fn said(program: &Path, act: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    command
        .arg(act)
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    let output = within(Duration::from_secs(60), || command.output().unwrap());
    assert!(output.status.success(), "{} {act}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn panics_that_abort_are_told() {
    let programs = build("abort", &["--config", "profile.dev.panic=\"abort\""], "");
    for program in ["plain", "deferred"].map(|name| programs.join(name)) {
        assert_eq!(
            said(&program, "panic", &[]),
            "main\nPanicked in the child true Some(6)\n"
        );
        assert_eq!(said(&program, "value", &[]), "main\nOk(3)\n");
    }
}

#[test]
fn optimised_and_stripped_programs_find_their_functions() {
    let options = [
        "lto=\"fat\"",
        "codegen-units=1",
        "strip=true",
        "opt-level=3",
    ]
    .map(|option| format!("profile.release.{option}"));
    let mut arguments = vec!["--release"];
    arguments.extend(
        options
            .iter()
            .flat_map(|option| ["--config", option.as_str()]),
    );
    let programs = build("lto", &arguments, "-C link-arg=-Wl,--gc-sections");
    for program in ["plain", "deferred"].map(|name| programs.join(name)) {
        assert_eq!(said(&program, "nest", &[]), "main\nOk(3)\n");
        assert_eq!(
            said(&program, "panic", &[]),
            "main\nPanicked in the child true None\n"
        );
    }
}

#[test]
fn lines_of_a_child_count_for_coverage() {
    let programs = build("coverage", &[], "-C instrument-coverage");
    for name in ["plain", "deferred"] {
        let profiles = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profiles-{name}"));
        // Left by a run before.
        let _ = fs::remove_dir_all(&profiles);
        let pattern = profiles.join("%p.profraw");
        let variables = [("LLVM_PROFILE_FILE", pattern.to_str().unwrap())];
        assert_eq!(
            said(&programs.join(name), "child", &variables),
            "main\nOk(42)\n"
        );
        let sizes: Vec<_> = fs::read_dir(&profiles)
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect();
        // The parent's and the child's: each process writes one of its own, and all counters are in each.
        assert_eq!(sizes.len(), 2, "{name}: {sizes:?}");
        assert!(sizes[0] == sizes[1] && sizes[0] > 1000, "{name}: {sizes:?}");
    }
}
