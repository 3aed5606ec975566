//! The examples print what their documentation says they print, in that order.
//!
//! What they are documented to print is compared word by word. The numbers 4100 and 4101 stand for
//! the ids of two processes there, and what ends in `s` stands for a time.

use procession_tests::{DEADLINE, within};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Once,
    time::Duration,
};

/// The order of the lecture.
const CHAPTERS: [&str; 20] = [
    "function",
    "structure",
    "pid",
    "isolation",
    "join_order",
    "join_loop",
    "daemon",
    "attributes",
    "terminate",
    "lock",
    "shared_counter",
    "barrier",
    "queue",
    "pipe",
    "listener",
    "client",
    "pool",
    "pool_crash",
    "pool_nested",
    "checksums",
];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is in a workspace")
}

/// The cargo that builds these tests, on its way to their own target directory, wherever that is.
fn cargo(command: &str) -> Command {
    let target_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([command, "--quiet", "--offline", "--target-dir"])
        .arg(target_dir.expect("it is in the target directory"))
        .current_dir(workspace())
        .stdin(Stdio::null());
    cargo
}

/// Runs an example in the way of the README and returns its lines.
fn run(example: &str) -> Vec<String> {
    static BUILD: Once = Once::new();
    // Most often they are built already, but not for every profile. The deadline of a test is too
    // short for it.
    BUILD.call_once(|| {
        within(Duration::from_secs(600), || {
            let status = cargo("build").args(["--workspace", "--examples"]).status();
            assert!(status.unwrap().success(), "the examples do not build");
        });
    });
    within(DEADLINE, || {
        let output = cargo("run").args(["--example", example]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{example}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    })
}

/// What an example says that it prints.
fn documented(example: &str) -> Vec<String> {
    let path = workspace().join("examples").join(format!("{example}.rs"));
    let source = fs::read_to_string(path).unwrap();
    let transcript = source.split("//! ```").nth(1).unwrap();
    let lines = transcript.lines().skip(1);
    lines
        .map(|line| line.trim_start_matches("//!").trim().to_owned())
        .collect::<Vec<_>>()
}

fn words(lines: &[String]) -> Vec<Vec<&str>> {
    let lines = lines.iter();
    lines
        .map(|line| line.split([' ', ',', '(', ')']).collect())
        .collect()
}

/// Whether the lines are the documented ones, in their order.
fn agree(printed: &[String], documented: &[String]) -> bool {
    let mut ids = BTreeMap::new();
    let (printed, documented) = (words(printed), words(documented));
    let lengths = |lines: &[Vec<_>]| lines.iter().map(Vec::len).collect::<Vec<_>>();
    let mut pairs = printed.iter().flatten().zip(documented.iter().flatten());
    let same_words = pairs.all(|(word, expected)| match *expected {
        "4100" | "4101" => {
            word.parse::<u32>().is_ok() && ids.entry(*expected).or_insert(*word) == word
        }
        time if time.contains('.') && time.parse::<f64>().is_ok() => word.parse::<f64>().is_ok(),
        expected => *word == expected,
    });
    let distinct = ids.values().collect::<BTreeSet<_>>();
    lengths(&printed) == lengths(&documented) && same_words && distinct.len() == ids.len()
}

#[track_caller]
fn assert_agree(example: &str, printed: &[String]) {
    let documented = documented(example);
    assert!(
        agree(printed, &documented),
        "{example} printed\n{printed:#?}\nand not\n{documented:#?}"
    );
}

/// Checks what joining promises, whatever else the machine has to do: main goes past each join when
/// as many processes are gone, and the longest works for nine tenths of a second.
#[track_caller]
fn assert_joined(printed: &[String]) {
    let mut gone = 0;
    let mut joined = 0;
    for line in printed {
        match line.as_str() {
            "is running" => {}
            "is gone" => gone += 1,
            "1" | "2" | "3" => {
                joined += 1;
                assert_eq!(*line, joined.to_string(), "{printed:#?}");
                assert!(gone >= joined, "{printed:#?}");
            }
            _ => {
                let time = line.strip_prefix("main process: ").unwrap();
                let time = time.strip_suffix(" s").unwrap().parse::<f64>().unwrap();
                assert!(time >= 0.9, "{printed:#?}");
            }
        }
    }
    let running = printed.iter().filter(|line| *line == "is running").count();
    assert_eq!((running, gone, joined), (3, 3, 3), "{printed:#?}");
    assert!(printed.last().unwrap().starts_with("main process: "));
}

/// Checks an example whose processes keep their order by working for different times. A machine
/// that is busy can hold one of them up for longer than that, so the order may come with another
/// attempt. What joining promises must hold in each.
fn assert_joins_in_order(example: &str) {
    let documented = documented(example);
    let in_order = (0..10).any(|_| {
        let printed = run(example);
        assert_joined(&printed);
        agree(&printed, &documented)
    });
    assert!(in_order, "{example} was never in the order of the lecture");
}

#[test]
fn function_runs_in_a_child() {
    assert_agree("function", &run("function"));
}

#[test]
fn structure_runs_in_a_child() {
    assert_agree("structure", &run("structure"));
}

#[test]
fn pid_tells_two_processes_apart() {
    assert_agree("pid", &run("pid"));
}

#[test]
fn isolation_goes_both_ways() {
    assert_agree("isolation", &run("isolation"));
}

#[test]
fn join_order_is_that_of_the_joins() {
    assert_joins_in_order("join_order");
}

#[test]
fn join_loop_is_in_the_same_order() {
    assert_joins_in_order("join_loop");
}

#[test]
fn daemon_ends_with_main() {
    assert_agree("daemon", &run("daemon"));
}

#[test]
fn attributes_are_those_that_were_set() {
    assert_agree("attributes", &run("attributes"));
}

#[test]
fn terminate_ends_a_process() {
    assert_agree("terminate", &run("terminate"));
}

#[test]
fn lock_survives_who_holds_it() {
    assert_agree("lock", &run("lock"));
}

#[test]
fn shared_counter_loses_nothing() {
    assert_agree("shared_counter", &run("shared_counter"));
}

#[test]
fn barrier_keeps_step() {
    assert_agree("barrier", &run("barrier"));
}

#[test]
fn listener_serves_who_knows_the_key() {
    assert_agree("listener", &run("listener"));
}

#[test]
fn client_gets_its_answer() {
    assert_agree("client", &run("client"));
}

#[test]
fn queue_feeds_consumers_until_the_last_producer_is_gone() {
    assert_agree("queue", &run("queue"));
}

#[test]
fn pipe_replies_to_requests() {
    assert_agree("pipe", &run("pipe"));
}

#[test]
fn pool_goes_on_in_all_twelve_cases() {
    assert_agree("pool_matrix", &run("pool_matrix"));
}

#[test]
fn pool_runs_jobs() {
    assert_agree("pool", &run("pool"));
}

#[test]
fn pool_outlives_jobs_that_crash() {
    assert_agree("pool_crash", &run("pool_crash"));
}

#[test]
fn pool_is_in_a_job_of_a_pool() {
    assert_agree("pool_nested", &run("pool_nested"));
}

#[test]
fn checksums_are_kept_for_the_next_run() {
    assert_agree("checksums", &run("checksums"));
}

#[test]
fn lecture_is_every_chapter_in_order() {
    let printed = run("lecture");
    let mut chapters = printed.split(|line| line.starts_with("== "));
    assert!(chapters.next().unwrap().is_empty());
    let titles = printed.iter().filter_map(|line| line.strip_prefix("== "));
    let names = titles.map(|title| title.split(':').next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), CHAPTERS);
    for (name, chapter) in CHAPTERS.iter().zip(chapters) {
        let (end, chapter) = chapter.split_last().unwrap();
        assert_eq!(end, "", "{name}");
        match *name {
            "join_order" | "join_loop" => assert_joined(chapter),
            name => assert_agree(name, chapter),
        }
    }
}

#[test]
fn every_file_is_an_example_and_a_chapter() {
    let directory = workspace().join("examples");
    let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap();
    let files = fs::read_dir(directory).unwrap();
    let files = files.map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let sources = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let mut names = sources
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect::<Vec<_>>();
    for name in &names {
        let entry = format!("name = \"{name}\"\npath = \"{name}.rs\"\n");
        assert!(manifest.contains(&entry), "{name} is not in the manifest");
    }
    names.retain(|name| !["lecture", "pool_matrix"].contains(&name.as_str()));
    names.sort_unstable();
    let mut chapters = CHAPTERS;
    chapters.sort_unstable();
    assert_eq!(names, chapters);
}
