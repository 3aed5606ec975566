use procession::process;
use std::fs::File;

#[process]
fn task(files: Vec<File>) -> usize {
    files.len()
}

fn main() {}
