use procession::{process, sync::Mutex};

#[process]
fn task(done: &Mutex<bool>) {
    let _ = done;
}

fn main() {}
