use procession::process;

struct Data;

#[process]
fn task<'a>(text: &'a str, data: std::marker::PhantomData<fn(Data)>, file: std::fs::File) -> u64 {
    drop((text, data, file));
    1
}

fn main() {
    let file = std::fs::File::open("/dev/null").unwrap();
    drop(task::new("a", std::marker::PhantomData, file).clone());
}
