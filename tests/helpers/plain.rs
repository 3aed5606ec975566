//! A program whose `main` says nothing about processes.

mod acts;

fn main() {
    acts::main();
}
