//! The same work by crossmist.

use std::time::Instant;

#[crossmist::func]
fn length(text: String) -> usize {
    text.len()
}

#[crossmist::main]
fn main() {
    let mut taken: Vec<_> = (0..100)
        .map(|_| {
            let begun = Instant::now();
            let child = length
                .spawn("hello, small string".to_owned())
                .expect("it starts");
            assert_eq!(child.join().expect("it returns"), 19);
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    println!("crossmist\t{}", taken[taken.len() / 2]);
}
