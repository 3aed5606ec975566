//! What it costs to send many short messages to another process, beside doing it over a raw socketpair.
//!
//! The table goes to the standard output and to a file.

#![allow(missing_docs, reason = "a program")]

#[path = "shared/peers.rs"]
mod peers;
#[path = "shared/table.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod table;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use procession::{
    channel::{Receiver, queue},
    process,
};
use std::{
    env, io,
    io::{Read, Write},
    os::unix::net::UnixStream,
};
use table::{Row, Table};

type Message = [u64; 8];
const SIZE: usize = size_of::<Message>();

const MESSAGES: u32 = 100_000;
const TIMES: usize = 15;
const CAPACITY: usize = 1024;
const GOAL: f64 = 0.25;

#[process]
#[allow(
    clippy::needless_pass_by_value,
    reason = "it ends with the last sender"
)]
fn count(messages: Receiver<Message>) -> usize {
    messages.iter().count()
}

#[process]
#[allow(
    clippy::needless_pass_by_value,
    reason = "it ends with the last sender"
)]
fn count_texts(messages: Receiver<(u32, String)>) -> usize {
    messages.iter().count()
}

#[process]
fn count_raw(mut socket: UnixStream) -> usize {
    let mut bytes = [0; SIZE];
    let packets = std::iter::from_fn(|| socket.read(&mut bytes).ok().filter(|count| *count > 0));
    packets.count()
}

const PYTHON: &str = r#"
import multiprocessing, sys, time

MESSAGES = 20000

def count(queue):
    while queue.get() is not None:
        pass

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    taken = []
    for _ in range(3):
        queue = context.Queue(1024)
        child = context.Process(target=count, args=(queue,))
        child.start()
        begun = time.perf_counter()
        for _ in range(MESSAGES):
            queue.put(b"7" * 64)
        queue.put(None)
        child.join()
        taken.append(time.perf_counter() - begun)
    print(f"CPython {sys.version.split()[0]}, 64 bytes through a Queue\t{sorted(taken)[1] / MESSAGES * 1e6}")
"#;

fn main() -> io::Result<()> {
    let mut by_queue = || {
        let (sender, receiver) = queue(CAPACITY).expect("there are descriptors");
        let child = count::spawn(receiver).expect("it starts");
        for _ in 0..MESSAGES {
            sender.send([7; 8]).expect("it is received");
        }
        drop(sender);
        assert_eq!(child.join().expect("it counts"), MESSAGES as usize);
    };
    let mut by_hand = || {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .expect("there are descriptors");
        let mut ours = UnixStream::from(ours);
        let child = count_raw::spawn(theirs.into()).expect("it starts");
        for _ in 0..MESSAGES {
            ours.write_all(&[7; SIZE]).expect("it is received");
        }
        drop(ours);
        assert_eq!(child.join().expect("it counts"), MESSAGES as usize);
    };
    let mut texts = || {
        let (sender, receiver) = queue(CAPACITY).expect("there are descriptors");
        let child = count_texts::spawn(receiver).expect("it starts");
        for number in 0..MESSAGES {
            let text = "a text of some fifty letters, as messages often are";
            sender
                .send((number, text.to_owned()))
                .expect("it is received");
        }
        drop(sender);
        assert_eq!(child.join().expect("it counts"), MESSAGES as usize);
    };
    let mut table = Table::new();
    let each = f64::from(MESSAGES);
    let [queued, told, hand] =
        table::alternate(TIMES, [&mut by_queue, &mut texts, &mut by_hand]).map(|took| took / each);
    let row = |work, took| Row {
        work,
        took,
        yardstick: "raw SEQPACKET socketpair",
        yardstick_took: hand,
        goal: GOAL,
    };
    table.add(row("queue, 64-byte messages streamed", queued));
    table.add(row("queue, tuples of a number and a text", told));
    peers::python(&mut table, "stream", PYTHON);
    let asked = env::args().any(|argument| argument == "--peers");
    peers::other_crates(
        &mut table,
        &["stream_crossmist", "stream_ipc_channel"],
        asked,
    );
    table.finish("stream")
}
