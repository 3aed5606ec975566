//! What a process can be asked, and what it can be given before it starts.
//!
//! Settings belong to a `Builder`, and what `spawn` returns has none: a process that runs cannot become a daemon any more, and
//! code that tries does not compile. The authentication key is a secret that parent and children share; printing it does not
//! give it away.
//!
//! ```text
//! name: pl
//! id: 4101
//! is_daemon: true
//! is_alive: true
//! authkey: AuthKey(..)
//! exit status: 0
//! is_alive: false
//! same authkey: true
//! ```

use procession::{AuthKey, Builder, authkey, process};
use std::io::{self, PipeReader, Read, Write};

#[process]
fn task(mut turn: PipeReader, key: &AuthKey) -> bool {
    turn.read_exact(&mut [0]).expect("main gives the turn");
    authkey().is_ok_and(|own| own == *key)
}

pub(crate) fn main() -> io::Result<()> {
    let (turn, mut go) = io::pipe()?;
    let key = authkey()?;
    let mut p = Builder::new()
        .name("pl")
        .daemon(true)
        .spawn(task::new(turn, &key))?;
    println!("name: {}", p.name());
    println!("id: {}", p.id());
    println!("is_daemon: {}", p.is_daemon());
    println!("is_alive: {}", p.is_alive());
    println!("authkey: {key:?}");
    go.write_all(b"!")?;
    println!("{}", p.wait()?);
    println!("is_alive: {}", p.is_alive());
    println!("same authkey: {}", p.join()?);
    Ok(())
}
