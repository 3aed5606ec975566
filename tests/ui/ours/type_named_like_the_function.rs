use procession::process;
use serde::{Deserialize, Serialize};

#[allow(non_camel_case_types)]
#[derive(Serialize, Deserialize)]
struct point {
    x: i32,
}

#[process]
fn point(point: point) -> i32 {
    point.x
}

fn main() -> procession::Result<()> {
    assert_eq!(point(point { x: 1 }), 1);
    assert_eq!(point::spawn(point { x: 1 })?.join()?, 1);
    Ok(())
}
