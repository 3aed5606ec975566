//! Request and reply.
//!
//! A process serves over a pipe: each request is a value of one type, each reply one of another. When nobody can ask any more it is
//! told, and ends. When the server is killed, the one who waits for its reply is told, and does not wait for ever.
//!
//! ```text
//! main process: the mean of 3 numbers is 4
//! main process: the mean of 1000000 numbers is 0.5
//! main process: an error: there is no mean of nothing
//! server: has replied 3 times
//! main process: another server is killed
//! main process: the other side is gone
//! ```

use procession::{
    channel::{Connection, RecvError, pipe},
    process,
};
use std::io;

type Reply = Result<f64, String>;

#[allow(clippy::cast_precision_loss, reason = "it is none for so few")]
fn mean(numbers: &[f64]) -> Reply {
    if numbers.is_empty() {
        return Err("there is no mean of nothing".to_owned());
    }
    Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
}

#[process]
#[allow(clippy::needless_pass_by_value, reason = "its end is its own")]
fn serve(connection: Connection<Reply, Vec<f64>>) -> u32 {
    let mut replies = 0;
    // Until the other side is gone.
    while let Ok(numbers) = connection.recv() {
        if connection.send(mean(&numbers)).is_err() {
            break;
        }
        replies += 1;
    }
    println!("server: has replied {replies} times");
    replies
}

pub(crate) fn main() -> io::Result<()> {
    let (connection, theirs) = pipe::<Vec<f64>, Reply>()?;
    let server = serve::spawn(theirs)?;
    for numbers in [vec![2.0, 4.0, 6.0], vec![0.5; 1_000_000], vec![]] {
        let count = numbers.len();
        connection.send(numbers)?;
        match connection.recv()? {
            Ok(mean) => println!("main process: the mean of {count} numbers is {mean}"),
            Err(error) => println!("main process: an error: {error}"),
        }
    }
    drop(connection);
    server.join()?;

    let (connection, theirs) = pipe::<Vec<f64>, Reply>()?;
    let server = serve::spawn(theirs)?;
    println!("main process: another server is killed");
    server.kill()?;
    if let Err(error @ RecvError::Disconnected) = connection.recv() {
        println!("main process: {error}");
    }
    Ok(())
}
