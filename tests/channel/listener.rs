//! Listeners, clients and the connections between them.

use procession::{
    Fd, StartMethod, authkey,
    net::{Address, Client, ErrorKind, Listener, Options, Stream},
    process,
};
use procession_tests::{
    DEADLINE, Directory, by,
    net::{
        KEY, SHORT, be_echo, both, call_echo, kind, meet, options, over_each_family, pair,
        stranger, unique,
    },
    read_to_end, spawn, under_each_method, within,
};
use std::{
    env, fs,
    fs::File,
    io::{self, PipeWriter, Write},
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Mutex,
    thread,
    time::Duration,
};

#[test]
fn listener_and_client_meet_at_each_address() {
    within(DEADLINE, || {
        over_each_family(|address| {
            for options in [Options::new(), options()] {
                let listener = options.bind(&address).unwrap();
                let address = listener.local_address();
                both(
                    || be_echo(&mut listener.accept().unwrap()),
                    || call_echo(&mut options.connect(address).unwrap()),
                );
            }
        });
        let listener = Listener::bind((Ipv6Addr::LOCALHOST, 0));
        // Not every machine has it.
        if let Ok(listener) = listener {
            assert!(Client::connect(listener.local_address()).is_ok());
        }
    });
}

#[test]
fn wrong_key_is_an_error_of_both_and_the_listener_goes_on() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let address = listener.local_address();
            let (refused, rejected) = both(|| listener.accept(), || stranger().connect(address));
            let (refused, rejected) = (refused.unwrap_err(), rejected.unwrap_err());
            assert_eq!(
                (refused.kind(), rejected.kind()),
                (ErrorKind::WrongKey, ErrorKind::Rejected)
            );
            assert_eq!(rejected.peer(), Some(address));
            assert_eq!(
                rejected.to_string(),
                format!(
                    "the handshake with {address} failed: the peer has another key, and said so"
                )
            );
            let named = matches!(address, Address::Tcp(_));
            assert_eq!(refused.peer().is_some(), named);

            let (accepted, connected) = both(|| listener.accept(), || options().connect(address));
            assert!(accepted.is_ok() && connected.is_ok());
        });
    });
}

#[process]
fn relative(address: &Address) -> u32 {
    let options = Options::new().authkey(authkey().unwrap());
    let mut stream = options.connect(address).unwrap();
    stream.send("a relative").unwrap();
    stream.recv().unwrap()
}

#[test]
fn child_has_the_key_of_its_parent() {
    under_each_method(|method| {
        over_each_family(|address| {
            let options = Options::new().authkey(authkey().unwrap());
            let listener = options.bind(&address).unwrap();
            let child = spawn(method, relative::new(listener.local_address()));
            let mut stream = listener.accept().unwrap();
            assert_eq!(stream.recv::<String>().unwrap(), "a relative");
            stream.send(&7_u32).unwrap();
            assert_eq!(child.join().unwrap(), 7);
        });
    });
}

#[process]
fn serve_one(listener: &Listener) {
    be_echo(&mut listener.accept().unwrap());
}

#[process]
fn serve(mut stream: Stream) {
    // A copy of the process holds the other end as well, and would wait for itself to close it.
    let message: String = stream.recv().unwrap();
    stream.send(&message).unwrap();
}

#[test]
fn listeners_and_connections_can_be_handed_to_a_child() {
    under_each_method(|method| {
        let builder = || by(method);
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let child = builder().spawn(serve_one::new(&listener)).unwrap();
            call_echo(&mut options().connect(listener.local_address()).unwrap());
            child.join().unwrap();
            // What the child had of it was no reason to remove a path.
            let client = Client::connect(listener.local_address()).unwrap();

            let parted = Listener::bind(Address::from_abstract_name(unique())).unwrap();
            let mut far = Client::connect(parted.local_address()).unwrap();
            let child = builder()
                .spawn(serve::new(parted.accept().unwrap()))
                .unwrap();
            far.send("and back").unwrap();
            assert_eq!(far.recv::<String>().unwrap(), "and back");
            child.join().unwrap();
            drop(client);
        });
    });
}

#[test]
fn connection_is_not_handed_on_in_the_middle_of_a_message() {
    within(DEADLINE, || {
        let (here, mut there) = UnixStream::pair().unwrap();
        let mut stream = Options::new().connect_over(here).unwrap();
        there.write_all(&[0, 0]).unwrap();
        assert!(!stream.poll(Duration::ZERO));
        let error = serve::spawn(stream).unwrap_err();
        assert_eq!(error.kind(), procession::ErrorKind::Encode);
    });
}

#[test]
fn message_may_be_as_long_as_the_limit() {
    within(DEADLINE, || {
        let (mut client, mut server) = meet(&Options::new().max_message(10), &Options::new());
        let (client, server) = (client.as_mut().unwrap(), server.as_mut().unwrap());
        server.send_bytes(&[1; 10]).unwrap();
        server.send_bytes(&[2; 11]).unwrap();
        server.send_bytes(&[3; 10]).unwrap();
        assert_eq!(client.recv_bytes().unwrap(), [1; 10]);
        for _ in 0..2 {
            let error = client.recv_bytes().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            let words = "a message of 11 bytes was announced where 10 are the limit";
            assert_eq!(error.to_string(), words);
        }
        // The limit is for what comes.
        client.send_bytes(&[4; 20]).unwrap();
        assert_eq!(server.recv_bytes().unwrap(), [4; 20]);
    });
}

#[test]
fn message_that_was_cut_short_is_the_last() {
    within(DEADLINE, || {
        let (mut client, mut server) = pair();
        let error = client
            .send_timeout(&vec![0_u8; 10_000_000], SHORT)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(kind(client.send_bytes(b"more")), ErrorKind::Closed);
        assert_eq!(kind(server.recv_bytes()), ErrorKind::Truncated);
        server.send("this way it still goes").unwrap();
        assert!(client.recv::<String>().is_ok());
        drop(server);
        let (mut client, server) = pair();
        drop(server);
        // A process that another test starts may hold the other end until it runs its program.
        let refused = loop {
            if let Err(error) = client.send_bytes(b"nobody") {
                break error;
            }
        };
        assert_eq!(refused.kind(), ErrorKind::Closed);
    });
}

#[test]
fn files_travel_over_unix_sockets_only() {
    within(DEADLINE, || {
        over_each_family(|address| {
            let listener = options().bind(&address).unwrap();
            let address = listener.local_address();
            let (server, client) = both(|| listener.accept(), || options().connect(address));
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            let (reader, writer) = io::pipe().unwrap();
            let writer = Fd(writer);
            let sent = client.send(&writer);
            if matches!(address, Address::Tcp(_)) {
                assert_eq!(kind(sent), ErrorKind::Encode);
                // Nothing of it went.
                client.send("next").unwrap();
                assert_eq!(server.recv::<String>().unwrap(), "next");
                return;
            }
            sent.unwrap();
            drop(writer);
            let mut writer: Fd<PipeWriter> = server.recv().unwrap();
            writer.write_all(b"from afar").unwrap();
            drop(writer);
            assert_eq!(read_to_end(reader), "from afar");
        });
    });
}

#[test]
fn message_has_so_many_descriptors_and_no_more() {
    within(DEADLINE, || {
        let (mut client, mut server) = pair();
        let null = File::open("/dev/null").unwrap();
        let files = |count| {
            (0..count)
                .map(|_| Fd(null.try_clone().unwrap()))
                .collect::<Vec<_>>()
        };
        client.send(&files(253)).unwrap();
        let received: Vec<Fd<File>> = server.recv().unwrap();
        assert_eq!(received.len(), 253);
        assert_eq!(kind(client.send(&files(254))), ErrorKind::Encode);
    });
}

static SHARED: Mutex<Option<Listener>> = Mutex::new(None);

#[process(start_method = "fork")]
fn drop_copy() -> bool {
    SHARED.lock().unwrap().take().is_some()
}

#[test]
fn path_is_removed_by_its_creator_only() {
    under_each_method(|method| {
        let directory = Directory::new();
        let path = directory.0.join("socket");
        if method == StartMethod::Fork {
            *SHARED.lock().unwrap() = Some(Listener::bind(&*path).unwrap());
            assert!(drop_copy::spawn().unwrap().join().unwrap());
            assert!(path.exists());
            *SHARED.lock().unwrap() = None;
            assert!(!path.exists());
        }
        let listener = Listener::bind(&*path).unwrap();
        assert_eq!(kind(Listener::bind(&*path)), ErrorKind::Io);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        drop(listener);
        assert!(path.exists());
    });
}

#[process]
fn go_elsewhere() -> bool {
    let listener = Listener::bind(Path::new("socket")).unwrap();
    env::set_current_dir("/").unwrap();
    drop(listener);
    Path::new("socket").exists()
}

#[test]
fn relative_path_is_removed_where_it_was() {
    under_each_method(|method| {
        let directory = Directory::new();
        let builder = by(method).current_dir(&directory.0);
        assert!(!builder.spawn(go_elsewhere::new()).unwrap().join().unwrap());
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
    });
}

#[test]
fn address_that_no_socket_can_have_is_a_kind_of_error() {
    within(DEADLINE, || {
        let long = "x".repeat(108);
        for address in [
            Address::from(Path::new(&long)),
            Address::from(Path::new("")),
            Address::from(Path::new("a\0b")),
            Address::from_abstract_name(long.clone()),
        ] {
            assert_eq!(
                kind(Listener::bind(&address)),
                ErrorKind::Address,
                "{address}"
            );
            assert_eq!(
                kind(Client::connect(&address)),
                ErrorKind::Address,
                "{address}"
            );
        }
    });
}

#[test]
fn listener_without_room_is_waited_for_until_the_deadline() {
    within(DEADLINE, || {
        let address = Address::from_abstract_name(unique());
        let listener = Options::new().backlog(0).bind(&address).unwrap();
        let waiting = Client::connect(&address).unwrap();
        let hasty = Client::options().connect_timeout(SHORT);
        assert_eq!(kind(hasty.connect(&address)), ErrorKind::TimedOut);
        assert_eq!(
            kind(hasty.connect_timeout(Duration::ZERO).connect(&address)),
            ErrorKind::TimedOut
        );
        let patient = Client::options().connect_timeout(Duration::MAX);
        let (connected, _) = both(|| patient.connect(&address), || listener.accept().unwrap());
        assert!(connected.is_ok());
        drop(waiting);
    });
}

#[test]
fn any_stream_socket_will_do_and_nothing_else() {
    within(DEADLINE, || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, _) = listener.accept().unwrap();
        let (client, server) = both(
            || options().connect_over(socket),
            || options().accept_over(here),
        );
        assert!(client.is_ok() && server.is_ok());

        let directory = Directory::new();
        let path = directory.0.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let socket = UnixStream::connect(&path).unwrap();
        let (here, _) = listener.accept().unwrap();
        let (client, server) = both(
            || options().connect_over(socket),
            || options().accept_over(here),
        );
        assert!(client.is_ok() && server.is_ok());

        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(kind(options().connect_over(reader)), ErrorKind::Io);
        let (packets, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
        assert_eq!(kind(options().accept_over(packets)), ErrorKind::Io);
    });
}

#[test]
fn key_is_shown_by_nothing() {
    let key = format!("{KEY:?}");
    let listener = options()
        .bind(Address::from_abstract_name(unique()))
        .unwrap();
    for shown in [
        format!("{:?}", options()),
        format!("{listener:?}"),
        format!("{listener:#?}"),
    ] {
        assert!(shown.contains("AuthKey(..)"), "{shown}");
        assert!(
            !shown.contains("sekret") && !shown.contains(key.trim_matches(['[', ']'])),
            "{shown}"
        );
    }
}

#[test]
fn several_threads_accept_at_once() {
    within(DEADLINE, || {
        let listener = options().bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_address();
        thread::scope(|scope| {
            // The first is silent, and holds up one of them only.
            let silent = Client::connect(address).unwrap();
            let accepting = [(); 2].map(|()| scope.spawn(|| listener.accept()));
            let mut client = options().connect(address).unwrap();
            client.send("got through").unwrap();
            drop(silent);
            let accepted = accepting.map(|thread| thread.join().unwrap());
            let mut good = accepted.into_iter().filter_map(Result::ok);
            assert_eq!(
                good.next().unwrap().recv::<String>().unwrap(),
                "got through"
            );
            assert!(good.next().is_none());
        });
        assert!(listener.accept_timeout(Duration::ZERO).unwrap().is_none());
    });
}

#[test]
fn errors_convert() {
    fn is_error<T: std::error::Error + Send + Sync + 'static>(error: T) -> T {
        error
    }
    let nobody = || is_error(Client::connect(Address::from_abstract_name(unique())).unwrap_err());
    let ours = procession::Error::from(nobody());
    assert_eq!(ours.kind(), procession::ErrorKind::Connection);
    assert!(
        ours.to_string()
            .starts_with("cannot connect to @procession-")
    );
    assert_eq!(
        io::Error::from(nobody()).kind(),
        io::ErrorKind::ConnectionRefused
    );
}
