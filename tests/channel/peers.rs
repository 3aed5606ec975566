//! Peers of listeners, clients and connections that are hostile, slow or broken.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use procession::net::{Client, Error, ErrorKind, Options, Stream};
use procession_tests::{
    DEADLINE, alone_within, chain, is_readable,
    net::{LONG, SHORT, both, frame, kind, options, over_each_family, read_frame},
    within,
};
use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
    time::{Duration, Instant},
};

#[test]
fn client_finds_out_a_listener_that_does_not_know_the_key() {
    within(DEADLINE, || {
        let (here, mut there) = UnixStream::pair().unwrap();
        let (client, ()) = both(
            || options().connect_over(here),
            || {
                let challenge = [b"#CHALLENGE#{sha256}", &[7; 40][..]].concat();
                there.write_all(&frame(&challenge)).unwrap();
                read_frame(&mut there).unwrap();
                there.write_all(&frame(b"#WELCOME#")).unwrap();
                let challenge = read_frame(&mut there).unwrap();
                assert_eq!(challenge.len(), 11 + 8 + 40);
                let guess = [b"{sha256}", &[0; 32][..]].concat();
                there.write_all(&frame(&guess)).unwrap();
                assert_eq!(read_frame(&mut there).unwrap(), b"#FAILURE#");
            },
        );
        assert_eq!(kind(client), ErrorKind::WrongKey);
    });
}

/// An impostor listens, and lets two clients of one key prove it to each other, as each takes it
/// for the listener.
#[test]
fn challenge_of_a_client_is_not_answered_by_another() {
    within(DEADLINE, || {
        let options = options();
        let pairs = [(); 2].map(|()| UnixStream::pair().unwrap());
        let [(first, mut to_first), (second, mut to_second)] = pairs;
        let connect = |socket: UnixStream| options.connect_over(socket);
        let (results, ()) = both(
            || both(|| connect(first), || connect(second)),
            || {
                let challenge = [b"#CHALLENGE#{sha256}", &[7; 40][..]].concat();
                to_first.write_all(&frame(&challenge)).unwrap();
                read_frame(&mut to_first).unwrap();
                to_first.write_all(&frame(b"#WELCOME#")).unwrap();
                let challenge = read_frame(&mut to_first).unwrap();
                to_second.write_all(&frame(&challenge)).unwrap();
                let answer = read_frame(&mut to_second).unwrap_err();
                assert_eq!(answer.kind(), io::ErrorKind::UnexpectedEof);
                drop(to_first);
            },
        );
        assert_eq!(kind(results.0), ErrorKind::Closed);
        assert_eq!(kind(results.1), ErrorKind::Reflected);
    });
}

#[test]
fn one_side_without_a_key_does_not_get_in() {
    within(DEADLINE, || {
        let (here, there) = UnixStream::pair().unwrap();
        let (server, ()) = both(
            || options().accept_over(here),
            || {
                let mut client = Options::new().connect_over(there).unwrap();
                // What it takes for the first message is the challenge.
                assert!(client.recv_bytes().unwrap().starts_with(b"#CHALLENGE#"));
                client.send_bytes(b"let me in").unwrap();
                assert_eq!(client.recv_bytes().unwrap(), b"#FAILURE#");
            },
        );
        assert_eq!(kind(server), ErrorKind::NoKey);

        let (here, there) = UnixStream::pair().unwrap();
        let mut server = Options::new().accept_over(there).unwrap();
        server.send_bytes(b"welcome").unwrap();
        assert_eq!(kind(options().connect_over(here)), ErrorKind::NoKey);

        // One that says nothing cannot be told from one that is slow, but what is missing can be
        // said.
        let hasty = options().handshake_timeout(SHORT);
        let (here, _there) = UnixStream::pair().unwrap();
        let error = hasty.connect_over(here.try_clone().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let words = "the handshake failed: it took longer than 100ms: no challenge came, \
                     which a listener without a key sends to nobody";
        assert_eq!(error.to_string(), words);
        let error = hasty.accept_over(here).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let words = "the handshake failed: it took longer than 100ms: the peer did not answer \
                     the challenge, which a client without a key never does";
        assert_eq!(error.to_string(), words);
    });
}

/// Passes on what one socket gives to another: so many bytes and no more, or with one of them
/// changed.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    EndAfter(usize),
    Flip(usize),
    None,
}

/// Returns how many bytes there were to be passed on.
fn pass_on(mut from: &UnixStream, mut to: &UnixStream, meddling: Meddling) -> usize {
    let mut passed = 0;
    let mut byte = [0];
    while meddling_allows(meddling, passed) && from.read(&mut byte).is_ok_and(|count| count == 1) {
        if matches!(meddling, Meddling::Flip(place) if place == passed) {
            byte[0] ^= 1;
        }
        passed += 1;
        if to.write_all(&byte).is_err() {
            break;
        }
    }
    // The other direction may have ended it already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
    passed
}

fn meddling_allows(meddling: Meddling, passed: usize) -> bool {
    !matches!(meddling, Meddling::EndAfter(end) if end == passed)
}

/// Has two sides meet with somebody in between, who meddles with what one of them sends. Returns
/// what became of it, and how much each has sent.
fn meet_through(
    options: &Options,
    from_client: Meddling,
    from_listener: Meddling,
) -> ([Result<(), ErrorKind>; 2], [usize; 2]) {
    let (client, near) = UnixStream::pair().unwrap();
    let (listener, far) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        // Both close as soon as they are done, which ends what is in between.
        let kind = |result: Result<Stream, Error>| result.map(drop).map_err(|error| error.kind());
        let client = scope.spawn(move || kind(options.connect_over(client)));
        let listener = scope.spawn(move || kind(options.accept_over(listener)));
        let to_listener = scope.spawn(|| pass_on(&near, &far, from_client));
        let to_client = pass_on(&far, &near, from_listener);
        let results = [client, listener].map(|side| side.join().unwrap());
        (results, [to_listener.join().unwrap(), to_client])
    })
}

#[test]
fn end_at_any_byte_of_the_handshake_is_the_end_of_it() {
    within(DEADLINE, || {
        let options = options();
        let (results, sent) = meet_through(&options, Meddling::None, Meddling::None);
        assert_eq!(results, [Ok(()), Ok(())]);
        assert_eq!(
            sent,
            [
                4 + 8 + 32 + 4 + 11 + 48 + 4 + 9,
                4 + 11 + 48 + 4 + 9 + 4 + 8 + 32
            ]
        );
        let ended = |result| matches!(result, Err(ErrorKind::Closed | ErrorKind::Truncated));
        for end in 0..sent[0] {
            let ([_, listener], _) =
                meet_through(&options, Meddling::EndAfter(end), Meddling::None);
            assert!(ended(listener), "{end}: {listener:?}");
        }
        for end in 0..sent[1] {
            let ([client, _], _) = meet_through(&options, Meddling::None, Meddling::EndAfter(end));
            assert!(ended(client), "{end}: {client:?}");
        }
    });
}

#[test]
fn change_of_any_byte_of_the_handshake_is_noticed() {
    within(DEADLINE, || {
        let (_, sent) = meet_through(&options(), Meddling::None, Meddling::None);
        // A length that was made longer has both wait for the other.
        let options = options().handshake_timeout(SHORT);
        for place in 0..sent[0] {
            let ([_, listener], _) = meet_through(&options, Meddling::Flip(place), Meddling::None);
            assert!(listener.is_err(), "{place}");
        }
        for place in 0..sent[1] {
            let ([client, _], _) = meet_through(&options, Meddling::None, Meddling::Flip(place));
            assert!(client.is_err(), "{place}");
        }
    });
}

/// Has a peer say something instead of its part, and returns what the two roles make of it.
fn confront(said: &[u8]) -> [ErrorKind; 2] {
    let one = |take_part: fn(&Options, UnixStream) -> Result<Stream, Error>| {
        let (here, mut there) = UnixStream::pair().unwrap();
        there.write_all(said).unwrap();
        there.shutdown(Shutdown::Write).unwrap();
        let options = options().allow_md5(true);
        let error = take_part(&options, here).unwrap_err();
        assert!(
            error.to_string().starts_with("the handshake failed: "),
            "{error}"
        );
        error.kind()
    };
    [one(Options::accept_over), one(Options::connect_over)]
}

#[test]
fn nonsense_is_a_typed_error() {
    within(DEADLINE, || {
        let negative = (-7_i32).to_be_bytes();
        let huge = [&[0xff; 4][..], &u64::MAX.to_be_bytes()].concat();
        for (said, kind) in [
            (&b""[..], ErrorKind::Closed),
            (b"GET / HTTP/1.1\r\n\r\n", ErrorKind::TooLarge),
            (&negative, ErrorKind::Protocol),
            (&huge, ErrorKind::TooLarge),
            (&257_u32.to_be_bytes(), ErrorKind::TooLarge),
            (&256_u32.to_be_bytes(), ErrorKind::Truncated),
            (&[0, 0, 0], ErrorKind::Truncated),
            (&frame(b""), ErrorKind::NoKey),
            (&frame(&[b'#'; 256]), ErrorKind::Protocol),
            (&frame(b"#WELCOME#"), ErrorKind::Protocol),
            (&frame(b"#CHALLENGE#"), ErrorKind::Protocol),
        ] {
            assert_eq!(confront(said), [kind; 2], "{}", said.escape_ascii());
        }
        let guess = [[0; 16].to_vec(), [b"{sha256}", &[0; 32][..]].concat()];
        for guess in guess {
            assert_eq!(confront(&frame(&guess))[0], ErrorKind::WrongKey);
        }
    });
}

#[test]
fn silent_peer_has_no_more_than_its_time() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().handshake_timeout(SHORT).bind(&address).unwrap();
            let address = listener.local_address();
            let silent = Client::connect(address).unwrap();
            let error = listener.accept().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            drop(silent);
            // One that does not even accept.
            let options = options().handshake_timeout(SHORT);
            assert_eq!(kind(options.connect(address)), ErrorKind::TimedOut);
        });
    });
}

#[test]
fn peer_that_dribbles_has_no_more_than_its_time() {
    within(DEADLINE, || {
        let options = options().handshake_timeout(5 * SHORT);
        let (here, mut there) = UnixStream::pair().unwrap();
        let start = Instant::now();
        let (server, sent) = both(
            || options.accept_over(here),
            || {
                // A byte every now and then, for as long as anybody listens.
                let mut left = frame(&[b'#'; 256]).into_iter();
                there.set_read_timeout(Some(SHORT / 4)).unwrap();
                let mut sent = 0;
                while there.write_all(&[left.next().unwrap()]).is_ok() {
                    sent += 1;
                    let mut verdict = [0; 64];
                    while there.read(&mut verdict).is_ok_and(|count| count > 0) {}
                }
                sent
            },
        );
        assert_eq!(kind(server), ErrorKind::TimedOut);
        assert!(
            start.elapsed() >= 5 * SHORT && (1..200).contains(&sent),
            "{sent}"
        );
    });
}

#[test]
fn bad_clients_do_not_end_a_listener() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let address = listener.local_address();
            drop(Client::connect(address).unwrap());
            Client::connect(address)
                .unwrap()
                .send_bytes(b"nonsense")
                .unwrap();
            let late = thread::spawn({
                let address = address.clone();
                move || options().connect(address)
            });
            let mut failed = 0;
            let good = listener.incoming().find_map(|accepted| {
                failed += usize::from(accepted.is_err());
                accepted.ok()
            });
            late.join().unwrap().unwrap().send("good").unwrap();
            assert_eq!(good.unwrap().recv::<String>().unwrap(), "good");
            assert!(failed <= 2, "{failed}");
        });
    });
}

#[test]
fn silent_clients_keep_nobody_waiting() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let address = listener.local_address();
            let silent = [(); 10].map(|()| Client::connect(address).unwrap());
            for _ in 0..3 {
                let (connected, accepted) =
                    both(|| options().connect(address), || listener.accept());
                assert!(connected.is_ok() && accepted.is_ok());
                // Nor is a time that was set exceeded for them.
                assert!(listener.accept_timeout(SHORT).unwrap().is_none());
            }
            // Dropping it ends their connections as well.
            drop(listener);
            for mut client in silent {
                assert!(client.recv_bytes().unwrap().starts_with(b"#CHALLENGE#"));
                assert_eq!(kind(client.recv_bytes()), ErrorKind::Closed);
            }
        });
    });
}

#[test]
fn client_that_dribbles_keeps_nobody_waiting() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let address = listener.local_address();
            let (reader, writer) = UnixStream::pair().unwrap();
            let mut slow = Client::connect(address).unwrap();
            thread::scope(|scope| {
                scope.spawn(move || {
                    // A length, and then one byte after the other of a message that never ends.
                    slow.send_bytes_timeout(&[b'#'; 10], LONG).unwrap();
                    reader
                        .set_read_timeout(Some(Duration::from_millis(1)))
                        .unwrap();
                    while (&reader).read(&mut [0]).is_err() {
                        let _ = slow.send_bytes(b"#");
                    }
                });
                let (connected, accepted) = both(
                    || options().connect(address),
                    || loop {
                        match listener.accept() {
                            Ok(stream) => break stream,
                            Err(error) => assert_ne!(error.kind(), ErrorKind::TimedOut),
                        }
                    },
                );
                drop((connected.unwrap(), accepted, writer));
            });
        });
    });
}

#[test]
fn oldest_client_makes_room_for_others() {
    within(DEADLINE, || {
        let listener = options()
            .bind(procession::net::Address::from_abstract_name(
                procession_tests::net::unique(),
            ))
            .unwrap();
        let address = listener.local_address();
        let connect = || Client::connect(address).unwrap();
        let mut silent = Vec::new();
        for _ in 0..128 {
            silent.push(connect());
            assert!(listener.accept_timeout(Duration::ZERO).unwrap().is_none());
        }
        silent.push(connect());
        let refused = listener.accept_timeout(Duration::ZERO);
        assert_eq!(kind(refused), ErrorKind::TooManyClients);
        silent[0].recv_bytes().unwrap();
        assert_eq!(kind(silent[0].recv_bytes()), ErrorKind::Closed);
        let (connected, accepted) = both(
            || options().connect(address),
            || listener.incoming().next().unwrap(),
        );
        assert!(connected.is_ok() && accepted.is_ok());
    });
}

#[test]
fn descriptor_tells_when_accepting_gets_on() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let address = listener.local_address();
            let _silent = Client::connect(address).unwrap();
            let (connected, accepted) = both(
                || options().connect(address),
                || loop {
                    let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
                    poll(&mut polled, PollTimeout::NONE).unwrap();
                    if let Some(stream) = listener.accept_timeout(Duration::ZERO).unwrap() {
                        break stream;
                    }
                },
            );
            let (_connected, _accepted) = (connected.unwrap(), accepted);
            assert!(!is_readable(&listener));
        });
    });
}

#[test]
fn several_threads_accept_beside_silent_clients() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let address = listener.local_address();
            let _silent = [(); 4].map(|()| Client::connect(address).unwrap());
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| listener.accept().unwrap().send("welcome").unwrap());
                    scope.spawn(|| {
                        let mut stream = options().connect(address).unwrap();
                        assert_eq!(stream.recv::<String>().unwrap(), "welcome");
                    });
                }
            });
        });
    });
}

#[test]
fn no_sentence_of_an_error_stands_twice() {
    let (here, there) = UnixStream::pair().unwrap();
    drop(there);
    let errors = [
        Client::connect(procession::net::Address::from_abstract_name("nobody")).unwrap_err(),
        "nowhere".parse::<procession::net::Address>().unwrap_err(),
        options().connect_over(here).unwrap_err(),
        options().connect_over(io::pipe().unwrap().0).unwrap_err(),
    ];
    for error in errors {
        let shown = format!("{error:?}");
        assert!(shown.contains(&error.to_string()), "{shown}");
        let has_cause = std::error::Error::source(&error).is_some();
        assert_eq!(shown.contains("source: Some"), has_cause, "{shown}");
        let converted: Box<dyn std::error::Error> = Box::new(procession::Error::from(error));
        let sentences = chain(&*converted);
        for (place, sentence) in sentences.iter().enumerate() {
            let mut others = sentences[..place].iter();
            assert!(
                !others.any(|other| other.contains(sentence)),
                "{sentences:?}"
            );
        }
    }
}

#[test]
fn half_of_a_message_is_lost_by_no_timeout() {
    within(DEADLINE, || {
        let message = frame(b"a message");
        for cut in 0..message.len() {
            let (here, mut there) = UnixStream::pair().unwrap();
            let mut stream = Options::new().connect_over(here).unwrap();
            let (first, second) = message.split_at(cut);
            there.write_all(first).unwrap();
            assert!(!stream.poll(Duration::ZERO));
            assert_eq!(
                stream.recv_bytes_timeout(Duration::from_millis(1)).unwrap(),
                None
            );
            assert_eq!(stream.recv_timeout::<u8>(Duration::ZERO).unwrap(), None);
            there.write_all(second).unwrap();
            assert!(stream.poll(Duration::ZERO) && stream.poll(LONG));
            assert_eq!(stream.recv_bytes().unwrap(), b"a message");
            assert!(!stream.poll(Duration::ZERO));
            drop(there);
            assert!(stream.poll(LONG));
            assert_eq!(kind(stream.recv_bytes()), ErrorKind::Closed);
        }
    });
}

#[test]
fn end_within_a_message_is_another_than_after_it() {
    alone_within(DEADLINE, || {
        let message = frame(b"last");
        for cut in 0..=message.len() {
            let (here, mut there) = UnixStream::pair().unwrap();
            let mut stream = Options::new().connect_over(here).unwrap();
            there.write_all(&message[..cut]).unwrap();
            drop(there);
            let expected = match cut {
                0 => ErrorKind::Closed,
                cut if cut == message.len() => {
                    assert_eq!(stream.recv_bytes().unwrap(), b"last");
                    ErrorKind::Closed
                }
                _ => ErrorKind::Truncated,
            };
            assert!(stream.poll(Duration::ZERO));
            assert_eq!(
                [kind(stream.recv_bytes()), kind(stream.recv::<u8>())],
                [expected; 2]
            );
            assert_eq!(kind(stream.recv_bytes_into(&mut [])), expected);
        }
    });
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    within(DEADLINE, || {
        let long = |length: u64| [&[0xff; 4][..], &length.to_be_bytes()].concat();
        for (header, expected) in [
            (0x8000_0000_u32.to_be_bytes().to_vec(), ErrorKind::Protocol),
            (0xffff_fffe_u32.to_be_bytes().to_vec(), ErrorKind::Protocol),
            (0x7fff_ffff_u32.to_be_bytes().to_vec(), ErrorKind::TooLarge),
            (long(1 << 40), ErrorKind::TooLarge),
            (long(64 << 20), ErrorKind::Truncated),
        ] {
            let (here, mut there) = UnixStream::pair().unwrap();
            let mut stream = Options::new().connect_over(here).unwrap();
            there.write_all(&header).unwrap();
            drop(there);
            assert_eq!(kind(stream.recv_bytes()), expected, "{header:?}");
        }
    });
}
