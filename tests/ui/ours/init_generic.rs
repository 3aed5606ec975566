#[procession::init]
fn setup<T: Default>() {
    T::default();
}

fn main() {}
