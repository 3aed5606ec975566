//! Every form of a generic process compiles, is run and spawned.

#![allow(
    clippy::multiple_bound_locations,
    clippy::needless_lifetimes,
    clippy::needless_pass_by_value,
    clippy::too_many_arguments,
    clippy::toplevel_ref_arg,
    clippy::trivially_copy_pass_by_ref,
    clippy::unused_self,
    unreachable_pub,
    reason = "all forms are tested, also those that are better written otherwise"
)]

use procession::{Process, Transfer, process};
use serde::{Serialize, de::DeserializeOwned};

#[process]
fn generic<'a, T, const N: usize, U: Serialize + DeserializeOwned>(
    first: T,
    lent: &'a T,
    rest: [u8; N],
    other: Vec<U>,
) -> (T, usize)
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    assert!(first == *lent);
    (first, N + rest.len() + other.len())
}

#[test]
fn generic_function() {
    assert_eq!(generic(1, &1, [0; 3], vec![true]), (1, 7));
    assert_eq!(generic::new(1, &1, [0; 3], vec![true]).run(), (1, 7));
    let process = generic::<u8, 3, bool> {
        first: 1,
        lent: &1,
        rest: [0; 3],
        other: vec![],
    };
    assert_eq!(process.run(), (1, 6));
}

trait Scoped<'a> {}

impl Scoped<'_> for u8 {}

#[process]
fn bound_to_a_lifetime<'a, T: Scoped<'a> + Transfer>(
    value: T,
    text: &'a str,
    other: &str,
) -> usize {
    drop(value);
    text.len() + other.len()
}

#[derive(Process)]
#[process(output = usize)]
struct BoundToALifetime<'a, T>(T, &'a str)
where
    T: Transfer,
    (T, u8): IntoScoped<&'a u8>;

trait IntoScoped<T> {}

impl<T, U> IntoScoped<T> for U {}

impl<'a, T> BoundToALifetime<'a, T>
where
    T: Transfer,
    (T, u8): IntoScoped<&'a u8>,
{
    fn run(self) -> usize {
        drop(self.0);
        self.1.len()
    }
}

#[test]
fn lifetimes_in_bounds() {
    assert_eq!(
        bound_to_a_lifetime {
            value: 1,
            text: "a",
            other: "b"
        }
        .run(),
        2
    );
    assert_eq!(BoundToALifetime(1, "a").run(), 1);
}

trait Named {
    const NAME: &'static str;
}

struct Mine;

impl Named for Mine {
    const NAME: &'static str = "mine";
}

#[process]
fn unmentioned<'a, T: Named + ?Sized, U: Default, const N: usize, const B: bool>(
    times: usize,
) -> String
where
    T: 'a,
{
    drop(U::default());
    T::NAME.repeat(times * N * usize::from(B))
}

#[process]
fn unmentioned_and_generic<T: Transfer, U: Default>(value: T) -> T {
    drop(U::default());
    value
}

#[process]
fn unmentioned_alone<T: Named>() -> String {
    T::NAME.to_owned()
}

#[test]
fn generic_parameters_that_no_field_mentions() {
    assert_eq!(
        unmentioned::<Mine, u8, 2, true> { times: 1 }.run(),
        "minemine"
    );
    assert_eq!(unmentioned::<Mine, u8, 2, true>::new(1).run(), "minemine");
    assert_eq!(unmentioned_and_generic::<u16, u8> { value: 1 }.run(), 1);
    assert_eq!(unmentioned_and_generic::<_, u8>::new(1).run(), 1);
    assert_eq!(unmentioned_alone::<Mine>::new().run(), "mine");
}

#[process]
fn projected<I: Iterator>(first: I::Item, second: <I as Iterator>::Item) -> I::Item
where
    I::Item: Transfer + std::ops::Add<Output = I::Item>,
{
    first + second
}

#[test]
fn associated_types() {
    assert_eq!(
        projected::<std::vec::IntoIter<u8>> {
            first: 1,
            second: 2
        }
        .run(),
        3
    );
}

#[test]
fn every_generic_form_is_spawned() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(generic::spawn(1, &1, [0; 3], vec![true])?.join()?, (1, 7));
    assert_eq!(bound_to_a_lifetime::spawn(1, "a", "b")?.join()?, 2);
    assert_eq!(BoundToALifetime(1, "a").spawn()?.join()?, 1);
    assert_eq!(
        unmentioned::<Mine, u8, 2, true> { times: 1 }
            .spawn()?
            .join()?,
        "minemine"
    );
    assert_eq!(unmentioned_and_generic::<_, u8>::spawn(1)?.join()?, 1);
    assert_eq!(unmentioned_alone::<Mine>::spawn()?.join()?, "mine");
    assert_eq!(projected::<std::vec::IntoIter<u8>>::spawn(1, 2)?.join()?, 3);
    Ok(())
}
