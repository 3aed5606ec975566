//! The same work done by others, where they are on the machine: `CPython`'s multiprocessing, and other crates.

use crate::table::Table;
use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Starts processes by each method, each with an argument, takes the result and joins.
const PYTHON: &str = r#"
import multiprocessing, sys, time

def length(text, pipe):
    pipe.send(len(text))

if __name__ == "__main__":
    for method in ("fork", "forkserver", "spawn"):
        context = multiprocessing.get_context(method)
        taken = []
        for _ in range(60):
            begun = time.perf_counter()
            ours, theirs = context.Pipe(False)
            child = context.Process(target=length, args=("hello, small string", theirs))
            child.start()
            theirs.close()
            ours.recv()
            child.join()
            taken.append(time.perf_counter() - begun)
        taken.sort()
        print(f"CPython {sys.version.split()[0]} multiprocessing {method}\t{taken[len(taken) // 2] * 1e6}")
"#;

/// Measures the starting of processes where there is what does it, and notes where there is not.
#[allow(dead_code, reason = "other benches measure other work")]
pub(crate) fn measure(table: &mut Table, crates: bool) {
    python(table, "start", PYTHON);
    other_crates(table, &["crossmist", "procspawn"], crates);
}

/// Runs a script, and takes what it measured.
pub(crate) fn python(table: &mut Table, name: &str, script: &str) {
    // A file, since what is started anew has to import it.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer_{name}.py"));
    let written = std::fs::write(&path, script);
    let mut command = Command::new("python3");
    match written.and_then(|()| command.arg(&path).stderr(Stdio::inherit()).output()) {
        Ok(output) => take(table, &output.stdout),
        Err(error) => table.note(format!("CPython is not measured: python3: {error}")),
    }
}

/// Runs the programs of other crates, if that was asked for. They have a package of their own, so that nobody else has to compile
/// them.
pub(crate) fn other_crates(table: &mut Table, programs: &[&str], asked: bool) {
    if !asked {
        table.note("Other crates are measured too when asked for with `-- --peers`.");
        return;
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    for peer in programs {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["run", "--release", "--quiet", "--bin", peer])
            .arg("--manifest-path")
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&target)
            .stderr(Stdio::inherit());
        match command.output() {
            Ok(output) if output.status.success() => take(table, &output.stdout),
            _ => table.note(format!(
                "{peer} is not measured: it could not be built or run"
            )),
        }
    }
}

/// Takes lines of a name, a tab and microseconds. Other lines are notes.
fn take(table: &mut Table, said: &[u8]) {
    for line in String::from_utf8_lossy(said).lines() {
        match line.split_once('\t') {
            Some((who, took)) => {
                if let Ok(took) = took.trim().parse() {
                    table.add_other(who.to_owned(), took);
                }
            }
            None => table.note(line),
        }
    }
}
