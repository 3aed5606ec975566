#[procession::main]
async fn main() {
    println!("main");
}
