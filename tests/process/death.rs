//! Death tests: how a process must end, and what is said if it does not.

use nix::sys::signal::Signal as NixSignal;
use procession::{
    Builder, JoinErrorKind, Process, StartMethod, Transfer, assert_dies,
    death::{Death, DeathTest, End},
    process,
};
use procession_tests::{
    ANEW, alone_under_each_method, by, child_ids, descriptors, forever, send_signal,
    under_each_method,
};
use std::{
    hint::black_box,
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    thread,
    time::{Duration, Instant},
};

#[process]
fn value(n: u32) -> u32 {
    n
}

#[process]
fn abort(words: &str) {
    eprintln!("{words}");
    std::process::abort()
}

#[process]
fn exit(status: i32) -> u32 {
    println!("it leaves");
    std::process::exit(status)
}

#[process]
fn fault() -> u8 {
    #[allow(unsafe_code, reason = "this is how a program gets a SIGSEGV")]
    // SAFETY: there is none: the process must die of it.
    unsafe {
        std::ptr::without_provenance::<u8>(16).read_volatile()
    }
}

#[process]
fn panic(message: &str) {
    panic!("{message}")
}

/// Panics while it panics.
#[process]
fn panic_twice() {
    struct Second;

    impl Drop for Second {
        fn drop(&mut self) {
            panic!("the second")
        }
    }

    let _second = Second;
    panic!("the first")
}

#[process(memory_limit = 1 << 30)]
fn use_memory(most: usize) -> usize {
    let mut blocks = Vec::new();
    while blocks.len() < most {
        blocks.push(vec![1_u8; 64 << 20]);
    }
    black_box(blocks).len()
}

#[process]
fn overflow(n: u64) -> u64 {
    let below = if n == u64::MAX { 0 } else { overflow(n + 1) };
    black_box([n; 100])[0] + black_box(below)
}

#[process]
fn hang() {
    forever()
}

#[process(cpu_time_limit = Duration::from_secs(1), timeout = Duration::from_secs(50))]
fn spin() {
    loop {
        black_box(());
    }
}

#[process]
fn generic<T: Transfer, const N: usize>(value: T) -> [Option<T>; N] {
    drop(value);
    std::process::exit(9)
}

#[derive(Process)]
struct Leaver {
    status: i32,
}

impl Leaver {
    fn run(self) {
        std::process::exit(self.status)
    }
}

#[test]
fn every_end_is_told_apart() {
    under_each_method(|method| {
        let with = || by(method);
        assert_dies!(
            abort("so be it"),
            Signal(SIGABRT),
            "so be",
            builder = with()
        );
        assert_dies!(exit(3), Exit(3), builder = with());
        assert_dies!(exit(0), Exit(0), builder = with());
        assert_dies!(fault(), Signal(SIGSEGV), builder = with());
        assert_dies!(panic("no, never"), Panic, "no, never", builder = with());
        assert_dies!(panic("no, never"), Exit(101), builder = with());
        assert_dies!(
            panic_twice(),
            Signal(SIGABRT),
            "the second",
            builder = with()
        );
        assert_dies!(use_memory(100), OutOfMemory, builder = with());
        assert_dies!(overflow(0), Signal(SIGABRT), "overflow", builder = with());
        let soon = Duration::from_millis(50);
        assert_dies!(hang(), Hang, timeout = soon, builder = with());
        assert_dies!(Leaver { status: 4 }, Exit(4), builder = with());
    });
}

#[test]
fn processor_time_is_an_end_too() {
    assert_dies!(spin(), CpuTime);
    assert_dies!(spin(), Signal(SIGXCPU));
}

#[test]
fn process_is_a_call_or_any_value() {
    mod inner {
        pub(super) mod deeper {
            #[procession::process]
            pub(in super::super) fn leave(status: i32) {
                std::process::exit(status)
            }
        }
    }

    let process = exit::new(1);
    assert_dies!(process, Exit(1));
    assert_dies!(exit::new(2), Exit(2));
    assert_dies!(inner::deeper::leave(3), Exit(3));
    assert_dies!(inner::deeper::leave::new(4), Exit(4));
    assert_dies!(generic::<u8, 3>(1), Exit(9));
    assert_dies!(
        generic::<Vec<Option<u8>>, { 1 + 1 }>(vec![Some(1)]),
        Exit(9)
    );
    assert_dies!(generic::<_, 0>::new("a".to_owned()), Exit(9),);
    assert_dies!({ exit { status: 5 } }, Exit(5));
    assert_dies!(
        if black_box(true) {
            exit::new(6)
        } else {
            exit::new(7)
        },
        Exit(6)
    );
}

#[test]
fn all_but_the_process_may_be_left_out() {
    let timeout = Duration::from_secs(20);
    assert_dies!(exit(1));
    assert_dies!(abort("a word"), "a word");
    assert_dies!(abort("a word"), "a word", timeout = timeout);
    assert_dies!(
        exit(1),
        timeout = timeout,
        builder = Builder::new().name("x")
    );
    let (end, message) = (End::Signal(6), String::from("a word"));
    let death = assert_dies!(abort("a word"), end, message);
    assert_eq!(death.stderr(), "a word\n");
    assert_eq!(death.error().kind(), JoinErrorKind::Signalled);
    let death = assert_dies!(exit(1), Any);
    assert_eq!((death.stdout(), death.stderr()), ("it leaves\n", ""));
}

#[track_caller]
fn failure<R>(test: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(test)).err();
    *payload.expect("the assertion fails").downcast().unwrap()
}

fn run<P: Process>(method: StartMethod, test: DeathTest<P>) -> Death {
    test.builder(by(method).name("it")).run()
}

#[test]
fn failure_says_what_was_expected_and_what_came() {
    under_each_method(|method| {
        let test = || DeathTest::new(value::new(1)).end(End::Panic);
        assert_eq!(
            failure(|| run(method, test())),
            "the process should panic, but it returned a value\n\
             it wrote nothing to its standard error"
        );
        let test = || {
            DeathTest::new(abort::new("one\ntwo"))
                .end(End::Exit(3))
                .message("two")
        };
        let said = failure(|| run(method, test()));
        let (begin, end) = said.split_once("`it` (pid ").unwrap();
        assert_eq!(
            begin,
            "the process should exit with status 3 and say \"two\", but process "
        );
        let (_, end) = end.split_once(") was killed by SIGABRT").unwrap();
        assert!(
            end.ends_with("\nthe last lines of its standard error:\n  | one\n  | two"),
            "{end}"
        );
        let test = || {
            DeathTest::new(abort::new("one"))
                .end(End::Signal(6))
                .message("three")
        };
        let said = failure(|| run(method, test()));
        assert!(said.starts_with("the process should be killed by SIGABRT and say \"three\", but it did not say that: "), "{said}");
        let test = || DeathTest::new(hang::new()).timeout(Duration::from_millis(20));
        assert_eq!(
            failure(|| run(method, test())),
            "the process should end without a value, but it still ran after 20ms and was killed\n\
             it wrote nothing to its standard error"
        );
        for end in [End::Signal(9), End::Hang, End::OutOfMemory, End::CpuTime] {
            failure(|| run(method, DeathTest::new(abort::new("")).end(end)));
        }
        let lost = || DeathTest::new(value::new(1)).builder(by(method).current_dir("/nowhere"));
        let said = failure(|| lost().run());
        assert!(
            said.contains("cannot be set to /nowhere: No such file"),
            "{said}"
        );
    });
}

/// Writes more than any pipe holds, to both streams in turn.
#[process]
fn flood(end: bool) {
    for line in 0.. {
        let text = format!("{line} {}", "x".repeat(10_000));
        println!("{text}");
        eprintln!("{text}");
        if end && line == 300 {
            eprintln!("the last word");
            std::process::abort();
        }
    }
}

#[test]
fn output_of_any_length_is_read_and_cut() {
    // Under `Fork`, what a test prints is not captured.
    for method in ANEW {
        let death = assert_dies!(
            flood(true),
            Signal(SIGABRT),
            "the last word",
            builder = by(method)
        );
        for text in [death.stdout(), death.stderr()] {
            assert!(text.starts_with("0 xxx"));
            assert!(text.contains("bytes are left out"));
            assert!((1_000_000..1_100_000).contains(&text.len()));
        }
        let soon = Duration::from_millis(300);
        assert_dies!(
            flood(false),
            Hang,
            "0 xxx",
            timeout = soon,
            builder = by(method)
        );
    }
}

/// Leaves a process that holds its standard error.
#[process]
fn leave_behind() {
    let sleeper = Command::new("sleep").arg("100").spawn().unwrap();
    println!("{}", sleeper.id());
    std::process::abort()
}

#[test]
fn descendant_that_holds_the_pipe_delays_nothing() {
    under_each_method(|method| {
        let begun = Instant::now();
        let death = assert_dies!(
            leave_behind(),
            Signal(SIGABRT),
            timeout = Duration::from_secs(50),
            builder = by(method)
        );
        send_signal(death.stdout().trim().parse().unwrap(), NixSignal::SIGKILL);
        assert!(begun.elapsed() < Duration::from_secs(50));
    });
}

/// Starts a process that never ends, and does not end either.
#[process]
fn hang_with_a_child() {
    let child = hang::spawn().unwrap();
    println!("{}", child.id());
    io::stdout().flush().unwrap();
    forever()
}

#[test]
fn nothing_is_left() {
    alone_under_each_method(|method| {
        let with = || by(method);
        assert_dies!(exit(1), builder = with());
        let before = descriptors();
        assert_dies!(abort(""), builder = with());
        assert_dies!(exit(1), builder = with());
        assert_dies!(
            hang(),
            Hang,
            timeout = Duration::from_millis(20),
            builder = with()
        );
        failure(|| DeathTest::new(value::new(1)).builder(with()).run());
        let soon = Duration::from_secs(1);
        let death = assert_dies!(hang_with_a_child(), Hang, timeout = soon, builder = with());
        let id = death.stdout().trim().parse().unwrap();
        procession_tests::eventually("its child is gone", || {
            procession_tests::state(id).is_none_or(|state| state == 'Z')
        });
        assert_eq!(descriptors(), before);
        assert!(child_ids().is_empty());
    });
}

/// The output of this test is what [`output_is_captured_as_that_of_the_test`] looks at.
#[test]
fn child_talks() {
    assert_dies!(abort("a child has said this"));
    assert!(std::env::var_os("TEST_FAILS").is_none(), "as was asked for");
}

#[test]
fn output_is_captured_as_that_of_the_test() {
    let run = |fails: bool, more: &[&str]| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "death::child_talks"]).args(more);
        if fails {
            command.env("TEST_FAILS", "1");
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.success(), !fails);
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text)
            .unwrap()
            .matches("a child has said this")
            .count()
    };
    assert_eq!(run(false, &[]), 0);
    assert_eq!(run(false, &["--nocapture"]), 1);
    assert_eq!(run(true, &[]), 1);
}

#[test]
fn it_works_in_any_thread() {
    let deaths =
        [3, 4, 5].map(|status| thread::spawn(move || assert_dies!(exit(status), Exit(status))));
    for death in deaths {
        death.join().unwrap();
    }
}
