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

/// Has fields that are not sent, which no other process could have.
#[derive(Process)]
#[process(output = String)]
struct Skipping<'a, T: Transfer + std::fmt::Debug> {
    text: &'a str,
    #[process(skip)]
    count: u32,
    #[process(skip)]
    call: Option<Box<dyn Fn()>>,
    #[process(skip)]
    borrowed: &'a [&'a mut u8],
    #[cfg(any())]
    #[process(skip)]
    gone: Missing,
    value: T,
}

impl<T: Transfer + std::fmt::Debug> Skipping<'_, T> {
    fn run(self) -> String {
        let (has_call, borrowed) = (self.call.is_some(), self.borrowed.len());
        format!(
            "{} {} {has_call} {borrowed} {:?}",
            self.text, self.count, self.value
        )
    }
}

#[derive(Process)]
#[process(output = u8)]
struct SkippingTuple(#[process(skip)] u8, u8);

impl SkippingTuple {
    fn run(self) -> u8 {
        self.0 * 10 + self.1
    }
}

#[test]
fn skipped_fields_have_their_default_in_the_child() {
    fn skipping() -> Skipping<'static, char> {
        Skipping {
            text: "t",
            count: 7,
            call: Some(Box::new(|| ())),
            borrowed: &[],
            value: 'v',
        }
    }

    assert_eq!(skipping().run(), "t 7 true 0 'v'");
    procession_tests::under_each_method(|method| {
        let builder = || procession::Builder::new().start_method(method);
        let child = builder().spawn(skipping()).unwrap();
        assert_eq!(child.join().unwrap(), "t 0 false 0 'v'");
        assert_eq!(
            builder()
                .spawn(SkippingTuple(1, 2))
                .unwrap()
                .join()
                .unwrap(),
            2
        );
    });
}

/// Traits that have the only `run` of a struct.
trait JobOfItself {
    fn run(self) -> u8;
}

trait JobByReference {
    fn run(&self) -> u8;
}

trait JobInPlace {
    fn run(&mut self) -> u8;
}

#[derive(Process)]
#[process(output = u8)]
struct OfItself(u8);

impl JobOfItself for OfItself {
    fn run(self) -> u8 {
        self.0
    }
}

#[derive(Process)]
#[process(output = u8)]
struct ByReference<'a>(&'a [u8]);

impl JobByReference for ByReference<'_> {
    fn run(&self) -> u8 {
        self.0[0]
    }
}

#[derive(Process)]
#[process(output = u8)]
struct InPlace<T: Transfer + Into<u8> + Copy>(T);

impl<T: Transfer + Into<u8> + Copy> JobInPlace for InPlace<T> {
    fn run(&mut self) -> u8 {
        self.0.into()
    }
}

#[derive(Process)]
struct Never(u8);

impl Never {
    fn run(&self) -> ! {
        panic!("{}", self.0)
    }
}

#[derive(Process)]
#[process(output = !)]
struct DeclaredNever;

impl DeclaredNever {
    fn run(self) -> ! {
        panic!("declared")
    }
}

#[test]
fn run_may_be_of_a_trait_or_never_return() {
    assert_eq!(OfItself(1).spawn().unwrap().join().unwrap(), 1);
    assert_eq!(ByReference(&[2]).spawn().unwrap().join().unwrap(), 2);
    assert_eq!(InPlace(3_u8).spawn().unwrap().join().unwrap(), 3);
    let error = Never(1).spawn().unwrap().join().unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "1");
    let error = DeclaredNever.spawn().unwrap().join().unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "declared");
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
