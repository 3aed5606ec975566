//! The same program, built in other ways: it is compiled anew for each.

use procession_tests::within;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Compiling takes its time, on a machine that does other things as well.
const DEADLINE: Duration = Duration::from_secs(600);

/// Builds two helper programs with these options and flags, and returns where they are.
fn build(name: &str, options: &[&str], flags: &str) -> PathBuf {
    build_programs(name, &["plain", "deferred"], options, flags)
}

fn build_programs(name: &str, programs: &[&str], options: &[&str], flags: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = Command::new(env!("CARGO"));
    command
        .args([
            "build",
            "--quiet",
            "--offline",
            "--package",
            "procession-tests",
        ])
        .args(programs.iter().flat_map(|program| ["--bin", program]))
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
        // The reason why a child does not start is told too.
        assert_eq!(said(&program, "set up", &[]), "main\nInit true\n");
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
        // The parent's and the child's: each process writes one of its own, and all counters are in
        // each.
        assert_eq!(sizes.len(), 2, "{name}: {sizes:?}");
        assert!(sizes[0] == sizes[1] && sizes[0] > 1000, "{name}: {sizes:?}");
    }
}

/// Whether the standard library is installed for a target.
fn has_target(target: &str) -> bool {
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--print", "target-libdir", "--target", target]);
    let output = command.stderr(Stdio::null()).output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    output.status.success() && Path::new(path.trim()).exists()
}

#[test]
fn static_programs_find_their_functions() {
    // A program at a fixed place, and one that is moved and does not say where its headers are.
    for (library, model) in [("gnu", "static"), ("musl", "pic")] {
        let target = format!("{}-unknown-linux-{library}", env::consts::ARCH);
        if !has_target(&target) {
            eprintln!("skipped: there is no standard library for {target} here");
            continue;
        }
        let flags = format!("-C target-feature=+crt-static -C relocation-model={model}");
        let name = format!("static-{library}");
        build(&name, &["--target", &target], &flags);
        let programs = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(name)
            .join(&target);
        for program in ["plain", "deferred"].map(|name| programs.join("debug").join(name)) {
            for method in ["forkserver", "spawn", "fork"] {
                let variables = [("TEST_START_METHOD", method)];
                assert_eq!(said(&program, "value", &variables), "main\nOk(3)\n");
            }
        }
    }
}

/// The flag makes this system count as one that the crate does not support.
#[test]
fn elsewhere_functions_run_and_processes_are_refused() {
    let flag = "--cfg procession_elsewhere";
    let programs = build_programs("elsewhere", &["elsewhere"], &[], flag);
    let expected = "6\n0\nyou is greeted by main\n\
                    cannot start process `all`: processes can be started on Linux on x86-64 and aarch64 only\n";
    assert_eq!(said(&programs.join("elsewhere"), "", &[]), expected);
}

/// Copies a folder and what is in it, but for what was built there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A library that starts processes by the version of this crate that it depends on.
const USER: &str = r#"
    use procession::{Builder, StartMethod, process};

    #[process]
    fn parent() -> (String, u32) {
        let parent = procession::parent().expect("it is a child");
        (procession::current().name().to_owned(), parent.id())
    }

    #[process]
    fn start_another() -> String {
        let error = parent::spawn().expect_err("a daemon has no children");
        format!("{:?}", error.kind())
    }

    pub fn report() {
        for method in [StartMethod::ForkServer, StartMethod::Spawn, StartMethod::Fork] {
            let builder = || Builder::new().start_method(method);
            let child = builder().name("c").spawn(parent::new()).expect("it starts");
            let started = child.start_method();
            let (name, parent) = child.join().expect("it returns");
            let daemon = builder().daemon(true).spawn(start_another::new()).expect("it starts");
            let refused = daemon.join().expect("it returns");
            println!("{started} {name} {} {refused}", parent == std::process::id());
        }
    }
"#;

#[test]
fn two_versions_in_one_program_start_each_their_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("versions");
    let sources = folder.join("sources");
    // Left by a run before. What was built is kept.
    let _ = fs::remove_dir_all(&sources);
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace(r#", "tests", "examples""#, "");
    let version = env!("CARGO_PKG_VERSION");
    for (name, version_there) in [("this", version), ("another", "999.0.0")] {
        let crates = sources.join(name);
        for part in ["macros", "runtime"] {
            copy(&root.join(part), &crates.join(part));
        }
        fs::copy(root.join("README.md"), crates.join("README.md")).unwrap();
        let manifest = manifest.replace(version, version_there);
        fs::write(crates.join("Cargo.toml"), manifest).unwrap();
    }

    let package = |name: &str, dependencies: &str, file: &str, source: &str| {
        let folder = sources.join(name);
        fs::create_dir_all(folder.join("src")).unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n\
             [dependencies]\n{dependencies}\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join("src").join(file), source).unwrap();
    };
    for (name, version) in [("one", "this"), ("two", "another")] {
        let dependency = format!("procession.path = \"../{version}/runtime\"");
        package(name, &dependency, "lib.rs", USER);
    }
    let both = "one.path = \"../one\"\ntwo.path = \"../two\"";
    let program = "fn main() { one::report(); two::report(); one::report(); }";
    package("both", both, "main.rs", program);
    let workspace = "[workspace]\nmembers = [\"one\", \"two\", \"both\"]\n\
                     exclude = [\"this\", \"another\"]\nresolver = \"3\"\n";
    fs::write(sources.join("Cargo.toml"), workspace).unwrap();
    // With the dependencies that are at hand, but without these crates themselves, which would be
    // taken for the other version.
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let packages = lock.split("[[package]]\n");
    let packages = packages.filter(|package| !package.starts_with("name = \"procession"));
    let lock = packages.collect::<Vec<_>>().join("[[package]]\n");
    fs::write(sources.join("Cargo.lock"), lock).unwrap();

    let target = folder.join("target");
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--offline", "--package", "both"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&sources)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    assert!(within(DEADLINE, || command.status().unwrap()).success());
    let each = "forkserver c true DaemonicChildren\n\
                spawn c true DaemonicChildren\n\
                fork c true DaemonicChildren\n";
    assert_eq!(said(&target.join("debug/both"), "", &[]), each.repeat(3));
}
