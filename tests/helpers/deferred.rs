//! A program whose children are entered in `main`.

#![forbid(unsafe_code)]

mod acts;

#[procession::main]
fn main() {
    acts::main();
}
