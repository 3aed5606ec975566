use procession::process;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct View<'a>(&'a str);

#[process]
fn task(view: View<'_>) -> usize {
    view.0.len()
}

fn main() -> procession::Result<()> {
    assert_eq!(task::spawn(View("a"))?.join()?, 1);
    Ok(())
}
