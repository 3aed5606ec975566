//! Sends, receives and starts processes at the very end: of a thread, when its thread-locals are dropped, and of the program; and
//! sends and receives when the main thread has ended.

use procession::{
    Builder, ErrorKind, Fd,
    channel::{Tasks, pipe, queue},
    process,
};
use std::{cell::Cell, fs::File, thread};

#[process]
fn echo(text: String, _file: Fd<File>) -> String {
    text
}

#[process]
fn fail() {
    panic!("it fails");
}

fn null() -> Fd<File> {
    Fd(File::open("/dev/null").expect("it is there"))
}

fn talk(text: &str) {
    let (sender, receiver) = queue(4).expect("there is memory");
    sender.send((text.to_owned(), null())).expect("it is sent");
    println!("queue: {}", receiver.recv().expect("it was sent").0);
    let (left, right) = pipe::<(String, Fd<File>), ()>().expect("there are descriptors");
    left.send((text.to_owned(), null())).expect("it is sent");
    println!("pipe: {}", right.recv().expect("it was sent").0);
}

fn start(text: &str) {
    procession_tests::use_method();
    match Builder::new().spawn(echo::new(text.to_owned(), null())) {
        Ok(child) => println!("process: {}", child.join().expect("it returns")),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::MultipleThreads);
            println!("process: {text}");
        }
    }
    if let Ok(child) = Builder::new().spawn(fail::new()) {
        let error = child.join().expect_err("it panics");
        let panic = error.panic().expect("it says so");
        assert_eq!(panic.message(), "it fails");
    }
}

struct LastWords(Cell<&'static str>);

impl Drop for LastWords {
    fn drop(&mut self) {
        talk(self.0.get());
        start(self.0.get());
    }
}

thread_local! {
    static LAST_WORDS: LastWords = const { LastWords(Cell::new("")) };
}

extern "C" fn at_exit() {
    talk("bye");
    start("bye");
}

#[allow(unsafe_code, reason = "one call, for which safe Rust has no words")]
fn main() {
    let how = std::env::args().nth(1);
    match how.as_deref() {
        Some("thread") => {
            let thread = thread::spawn(|| {
                // What is first used later is gone by then.
                LAST_WORDS.with(|words| words.0.set("bye"));
                talk("hello");
            });
            thread.join().expect("it does not panic");
        }
        Some("exit") => {
            // SAFETY: the function lives as long as the program.
            assert_eq!(unsafe { nix::libc::atexit(at_exit) }, 0);
            talk("hello");
        }
        Some("main thread") => {
            thread::spawn(|| {
                procession_tests::eventually("the main thread ends", || {
                    procession_tests::state(std::process::id()) == Some('Z')
                });
                talk("alone");
                let (sender, receiver) = queue(4).expect("there is memory");
                sender
                    .send(queue::<u8>(1).expect("there is memory"))
                    .expect("it is sent");
                let (inner, _there) = receiver.recv().expect("it was sent");
                inner.send(7).expect("there is a receiver");
                let tasks = Tasks::new().expect("there are descriptors");
                drop(tasks.start().expect("there are descriptors"));
                assert!(tasks.are_done());
                println!("tasks: done");
                std::process::exit(0);
            });
            // SAFETY: the call takes an integer, and ends this thread without a look at its stack.
            unsafe { nix::libc::syscall(nix::libc::SYS_exit, 0) };
        }
        _ => panic!("how?"),
    }
}
