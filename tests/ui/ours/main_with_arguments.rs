#[procession::main(daemon)]
fn main() {
    println!("main");
}
