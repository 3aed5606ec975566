use procession::process;

#[process(struct = String)]
fn task(name: String) -> usize {
    name.len()
}

fn main() {
    assert_eq!(task("a".into()), 1);
}
