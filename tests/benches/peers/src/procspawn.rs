//! The same work by procspawn.

use std::time::Instant;

fn main() {
    procspawn::init();
    let mut taken: Vec<_> = (0..100)
        .map(|_| {
            let begun = Instant::now();
            let child =
                procspawn::spawn("hello, small string".to_owned(), |text: String| text.len());
            assert_eq!(child.join().expect("it returns"), 19);
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    println!("procspawn\t{}", taken[taken.len() / 2]);
}
