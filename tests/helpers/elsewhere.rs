//! A program for a system that the crate does not support. Functions and structs run as ever, and
//! everything that takes another process is refused.

#![forbid(unsafe_code)]

use procession::{
    AuthKey, Builder, Child, Process, StartMethod, Stdio,
    channel::{self, Tasks, one_way, pipe, queue},
    net::{Address, Client, Listener, Options},
    process,
    shm::{Shared, SharedSlice},
    sync::{Barrier, BoundedSemaphore, Condvar, Event, Mutex, ReentrantMutex, RwLock, Semaphore},
};
use std::{fs::File, io, net::Ipv4Addr, time::Duration};

/// Every kind of parameter, and arguments of the attribute.
#[process(name = "sum", timeout = Duration::from_secs(1), start_method = "spawn", env("A" = "b"))]
fn sum<T: procession::Transfer + Copy + Into<u64>>(numbers: &[T], more: u64, _: &str) -> u64 {
    numbers.iter().copied().map(Into::into).sum::<u64>() + more
}

#[process]
fn length(file: File) -> u64 {
    io::read_to_string(file).map_or(0, |text| text.len() as u64)
}

#[derive(Process)]
#[process(output = String)]
struct Greeting<'a> {
    whom: &'a str,
}

impl Greeting<'_> {
    fn run(&self) -> String {
        format!(
            "{} is greeted by {}",
            self.whom,
            procession::current().name()
        )
    }
}

/// Checks that something was refused, and that the error says so as one of I/O too.
fn refused<T>(what: &str, result: Result<T, impl Into<procession::Error>>) {
    let error = result.err().unwrap_or_else(|| panic!("{what}: it is made"));
    let error = error.into();
    assert_eq!(
        error.kind(),
        procession::ErrorKind::Unsupported,
        "{what}: {error}"
    );
    let error = io::Error::from(error);
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{what}: {error}");
}

fn starts() -> procession::Result<()> {
    println!("{}", sum(&[1_u32, 2], 3, ""));
    println!("{}", length(File::open("/dev/null")?));
    println!("{}", Greeting { whom: "you" }.run());
    for method in [
        StartMethod::ForkServer,
        StartMethod::Spawn,
        StartMethod::Fork,
    ] {
        let named = Builder::new().start_method(method);
        refused(&method.to_string(), named.spawn(Greeting { whom: "you" }));
        procession::set_start_method(method);
        refused("as set", Greeting { whom: "you" }.spawn());
    }
    refused("function", sum::spawn(&[1_u32], 2, ""));
    refused("struct of the function", sum::new(&[1_u32], 2, "").spawn());
    refused("file", length::spawn(File::open("/dev/null")?));
    let builder = Builder::new()
        .name("all")
        .daemon(true)
        .timeout(Duration::from_secs(1))
        .authkey(AuthKey::new(*b"key"))
        .env("A", "b")
        .stdin(Stdio::piped())
        .stdout(Stdio::inherit())
        .stderr(File::open("/dev/null")?)
        .kill_on_drop(true)
        .backtrace(true)
        .memory_limit(1 << 30)
        .affinity([0]);
    let error = builder
        .spawn(length::new(File::open("/dev/null")?))
        .expect_err("it is refused");
    println!("{error}");
    refused("all settings", Err::<(), _>(error));
    Ok(())
}

fn others() -> procession::Result<()> {
    let current = procession::current();
    assert_eq!(
        (current.name(), current.is_daemon(), current.start_method()),
        ("main", false, None)
    );
    assert_eq!(current.id(), std::process::id());
    assert!(procession::parent().is_none());
    assert!(procession::children().is_empty());
    assert_eq!(procession::authkey()?, procession::authkey()?);
    assert_ne!(procession::authkey()?, AuthKey::random()?);
    procession::prewarm(2)?;
    procession::stop_helper();
    procession::set_exit_grace(Duration::from_secs(1));
    assert!(procession::join_all(Vec::<Child<()>>::new()).is_empty());
    assert_eq!(procession::wait_any(Vec::<Child<()>>::new(), None)?, None);
    assert!(channel::wait(&[], None)?.is_empty());
    Ok(())
}

fn shared() -> procession::Result<()> {
    refused("queue", queue::<u32>(4));
    refused("pipe", pipe::<u32, String>());
    refused("one-way pipe", one_way::<u32>());
    refused("tasks", Tasks::new());
    refused(
        "wait",
        channel::wait(&[&File::open("/dev/null")?], Duration::ZERO),
    );
    refused("mutex", Mutex::new(0));
    refused("reentrant mutex", ReentrantMutex::new(0));
    refused("rwlock", RwLock::new(0));
    refused("condvar", Condvar::new());
    refused("event", Event::new());
    refused("semaphore", Semaphore::new(1));
    refused("bounded semaphore", BoundedSemaphore::new(1));
    refused("barrier", Barrier::new(1));
    refused("shared", Shared::new(0_u32));
    refused("named", Shared::<u32>::open("name"));
    refused("slice", SharedSlice::<u32>::new(4));
    refused("named slice", SharedSlice::<u32>::open("name"));
    let localhost = || Address::from((Ipv4Addr::LOCALHOST, 0));
    refused("listener", Listener::bind(localhost()));
    refused(
        "abstract listener",
        Listener::bind(Address::from_abstract_name("name")),
    );
    refused("client", Client::connect(localhost()));
    refused(
        "connected",
        Options::new().connect_over(File::open("/dev/null")?),
    );
    refused(
        "accepted",
        Options::new().accept_over(File::open("/dev/null")?),
    );
    Ok(())
}

#[procession::main]
fn main() -> procession::Result<()> {
    starts()?;
    others()?;
    shared()
}
