//! The files of a directory through a function that crashes on some, with results that are kept.
//!
//! A result is written down as soon as it arrives, so the program can be stopped at any time. When
//! it is started again, it skips the files that are done, and tries those that failed again.
//!
//! `cargo run --example checksums -- DIRECTORY RESULTS` does so with a directory and a file of
//! results of yours. Without arguments it makes some files. One of them crashes the function at
//! first, and is put right for the second run.
//!
//! ```text
//! first run
//! broken.dat failed: Signalled
//! 4 files: 3 done now, 0 before, 1 failed
//! second run
//! 4 files: 1 done now, 3 before, 0 failed
//! results
//! 968aa6208c33fa7c short.dat
//! b35669e12e103ec5 long.dat
//! cb85ff157d083358 broken.dat
//! cbf29ce484222325 empty.dat
//! ```

use procession::{Pool, process};
use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Returns the FNV-1a checksum of a file. It stands for a library in C, which crashes on some
/// files.
#[process]
fn checksum(path: &Path) -> io::Result<u64> {
    let data = fs::read(path)?;
    if data.starts_with(b"broken") {
        std::process::abort();
    }
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    Ok(data.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Returns the files of a directory, without the directories in it.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The file of results: a line for each file that is done.
struct Results {
    file: fs::File,
    /// The names of the files that were done before.
    done: BTreeSet<String>,
}

impl Results {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).append(true).open(path)?;
        let text = fs::read_to_string(path)?;
        // A program that was killed may have left a part of a line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        let lines = text[..whole].lines();
        let names = lines.filter_map(|line| line.split_once(' '));
        let done = names.map(|(_, name)| name.to_owned()).collect();
        Ok(Self { file, done })
    }

    fn write(&mut self, name: &str, sum: u64) -> io::Result<()> {
        self.file
            .write_all(format!("{sum:016x} {name}\n").as_bytes())
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn sum_up(directory: &Path, results: &Path) -> io::Result<()> {
    let mut results = Results::open(results)?;
    let mut files = files(directory)?;
    let all = files.len();
    files.retain(|file| !results.done.contains(&name(file)));
    let before = all - files.len();
    let (mut done, mut failed) = (0, 0);
    let pool = Pool::builder()
        .workers(2)
        .task_timeout(Duration::from_secs(60))
        .build()?;
    let jobs = files.iter().map(|file| checksum::new(file));
    for (index, result) in pool.map_unordered(jobs) {
        let name = name(&files[index]);
        match result {
            Ok(Ok(sum)) => {
                results.write(&name, sum)?;
                done += 1;
            }
            // The function says why it has no value.
            Ok(Err(error)) => {
                println!("{name} failed: {error}");
                failed += 1;
            }
            // It does not: it has crashed, or it took too long.
            Err(error) => {
                println!("{name} failed: {:?}", error.kind());
                failed += 1;
            }
        }
    }
    println!("{all} files: {done} done now, {before} before, {failed} failed");
    Ok(())
}

/// A directory with some files, which is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("checksums-{}", std::process::id()));
        fs::create_dir_all(path.join("files"))?;
        let scratch = Self(path);
        for (name, text) in [
            ("broken.dat", "broken"),
            ("empty.dat", ""),
            ("long.dat", &"a long file ".repeat(10_000)),
            ("short.dat", "a short file"),
        ] {
            fs::write(scratch.files().join(name), text)?;
        }
        Ok(scratch)
    }

    fn files(&self) -> PathBuf {
        self.0.join("files")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left: {error}", self.0.display());
        }
    }
}

pub(crate) fn main() -> io::Result<()> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match &arguments[..] {
        [] => {}
        [directory, results] => return sum_up(directory.as_ref(), results.as_ref()),
        _ => return Err(io::Error::other("usage: checksums [DIRECTORY RESULTS]")),
    }
    let scratch = Scratch::new()?;
    let results = scratch.0.join("results.txt");
    println!("first run");
    sum_up(&scratch.files(), &results)?;
    fs::write(scratch.files().join("broken.dat"), "put right")?;
    println!("second run");
    sum_up(&scratch.files(), &results)?;
    let text = fs::read_to_string(&results)?;
    let lines: BTreeSet<_> = text.lines().collect();
    println!("results");
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
