use procession::sync::Mutex;

fn main() {
    let _ = Mutex::new(String::new());
}
