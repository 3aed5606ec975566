//! Every form of a struct that is a process compiles, is run and spawned.

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

use procession::{Process, Transfer};
use std::{fs::File, marker::PhantomData};

#[derive(Process)]
#[process(output = String)]
struct Greeting<'a, T, const N: usize = 2>
where
    T: Transfer + ToString,
{
    text: &'a str,
    value: T,
    array: [u8; N],
}

impl<T: Transfer + ToString, const N: usize> Greeting<'_, T, N> {
    fn run(&mut self) -> String {
        self.array[0] += 1;
        format!("{}{}{}", self.text, self.value.to_string(), self.array[0])
    }
}

#[derive(Process)]
struct Tuple<T: Transfer = u8>(String, T, File);

impl<T: Transfer> Tuple<T> {
    fn run(&self) {}
}

#[derive(Process)]
#[process(output = u8)]
struct Unit;

impl Unit {
    fn run(self) -> u8 {
        1
    }
}

#[derive(Process)]
struct Empty {}

impl Empty {
    fn run(self) {}
}

#[derive(Process)]
struct Marked<'a, T> {
    r#type: u8,
    marker: PhantomData<&'a T>,
}

impl<T> Marked<'_, T> {
    fn run(self) {
        assert_eq!((self.r#type, self.marker), (1, PhantomData));
    }
}

#[test]
fn structs() {
    let mut greeting = Greeting {
        text: "a",
        value: 1,
        array: [1],
    };
    assert_eq!(greeting.run(), "a12");
    Tuple("s".into(), 1, File::open("/dev/null").unwrap()).run();
    assert_eq!(Unit.run(), 1);
    Empty {}.run();
    Marked::<Vec<u8>> {
        r#type: 1,
        marker: PhantomData,
    }
    .run();
}

#[test]
fn every_struct_is_spawned() -> Result<(), Box<dyn std::error::Error>> {
    let greeting = Greeting {
        text: "a",
        value: 1,
        array: [1],
    };
    assert_eq!(greeting.spawn()?.join()?, "a12");
    Tuple("s".into(), 1, File::open("/dev/null")?)
        .spawn()?
        .join()?;
    assert_eq!(Unit.spawn()?.join()?, 1);
    Empty {}.spawn()?.join()?;
    Marked::<Vec<u8>> {
        r#type: 1,
        marker: PhantomData,
    }
    .spawn()?
    .join()?;
    Own { calls: 0 }.spawn()?.join()?;
    Ok(())
}

#[derive(Process)]
struct Own {
    calls: usize,
}

impl Own {
    fn run(self) {}

    fn join(&mut self) -> usize {
        self.calls += 1;
        self.calls
    }

    fn kill(&self) -> usize {
        self.calls
    }

    fn terminate(self) -> usize {
        self.calls
    }

    fn is_alive(&mut self) -> bool {
        self.calls > 0
    }

    fn wait(&self, extra: usize) -> usize {
        self.calls + extra
    }
}

#[test]
fn own_methods_are_found_before_the_guards() {
    let mut own = Own { calls: 0 };
    assert_eq!(own.join(), 1);
    assert_eq!(own.kill(), 1);
    assert!(own.is_alive());
    assert_eq!(own.wait(1), 2);
    assert_eq!(own.terminate(), 1);
    Own { calls: 0 }.run();
}
